"""What anomalous's figures of squares measure: the share of right images, how it came about."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes

from gp_lab.figures.entry import Arrays, Run
from gp_lab.figures.table import Row
from gp_lab.objectives.squares import count_squares
from gp_lab.probes.pictures import grid_picture

WRONG, RIGHT = (213, 94, 0), (255, 255, 255)
"""The colours of frames."""

MID_GREY = 127.5
"""A pixel, uint8, is on above this."""


def share_correct(at: Arrays) -> float:
    """Of samples [n]: those that show as many squares as the data and nothing else."""
    return float(np.mean((at["counts"] == at["squares"]) & at["exact"]))


def correct_over_time(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Steps [k], and the share of right samples at each [k]."""
    return run.course("rectangles", share_correct)


def measure(run: Run) -> Row:
    """The share of right samples at the end and on average over the run, that of samples of
    squares alone and how many of those show another number, and the share of training images
    whose nearest sample shows them."""
    last = run.arrays("rectangles")
    _, shares = correct_over_time(run)
    squares = last["exact"] & (last["counts"] > 0)
    row: Row = {
        "correct": share_correct(last),
        "correct_over_the_run": float(shares.mean()),
        "squares_only": float(np.mean(squares)),
    }
    if squares.any():  # a blur is no image of another number
        row["wrong_of_squares"] = 1 - row["correct"] / row["squares_only"]
    if "matches" in run.folder.config["probe"]:
        row["matched"] = float(matched(run).mean())
    return row


def matched(run: Run) -> np.ndarray:
    """Which training images [images] the sample nearest to each shows, bool.

    As many pixels may differ as the counter lets be wrong: `tolerance` in each square, and as many
    beside them.
    """
    found, config = run.arrays("matches"), run.folder.config
    squares, tolerance = _data(run)["squares"], config["probe"]["rectangles"]["tolerance"]
    return differing(found["training"], found["nearest"]) <= 2 * squares * tolerance


def differing(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How many pixels [n] are on in one and off in the other of uint8 [n, 1, H, W]."""
    on, on_other = (x.reshape(len(x), -1) > MID_GREY for x in (images, others))
    return (on != on_other).sum(1)


def right(images: np.ndarray, run: Run) -> np.ndarray:
    """Which images uint8 [n, 1, H, W] show as many squares as the data and nothing else, bool."""
    dataset, tolerance = _data(run), run.folder.config["probe"]["rectangles"]["tolerance"]
    signed = torch.from_numpy(images / MID_GREY - 1)
    counts, exact = count_squares(signed, dataset["square"], tolerance)
    return ((counts == dataset["squares"]) & exact).numpy()


def framed(images: np.ndarray, run: Run, columns: int | None = None) -> np.ndarray:
    """A picture of images uint8 [n, 1, H, W], the wrong ones with a red frame."""
    frames = np.where(right(images, run)[:, None], RIGHT, WRONG).astype(np.uint8)
    return grid_picture(images, columns, frames)


def named_columns(axes: Axes, picture: np.ndarray, names: Sequence[str]) -> None:
    """Draw a picture uint8 [h, w, 3] of images in columns, a name below each."""
    axes.imshow(picture)
    places = (np.arange(len(names)) + 0.5) * picture.shape[1] / len(names)
    axes.set_xticks(places, names, fontsize=6, va="baseline")
    axes.set_yticks([])
    axes.tick_params(length=0, pad=7)
    axes.spines[:].set_visible(False)


def codes_over_time(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Steps [k], and the images of the fixed codes at each, uint8 [k, codes, 1, H, W]."""
    return run.course("rectangles", lambda at: at["codes"])


def _data(run: Run) -> Row:
    return dict(run.folder.config["dataset"])
