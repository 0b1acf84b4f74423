"""What anomalous's figures of fixed latent codes measure: whether their images settle."""

from collections.abc import Callable

import numpy as np

from gp_lab.figures.entry import Arrays, Run
from gp_lab.figures.table import Row
from gp_lab.papers.anomalous._squares import MID_GREY, framed

LATE = 0.5
"""The part of a run, from here on, in which it has had time to settle."""

MOST = 0.5
"""A generator has learnt squares if more than this share of its codes' images are squares alone."""

FRAMES = 20
"""Of an animation, at most."""


def late(run: Run, steps: np.ndarray) -> np.ndarray:
    """Which of the steps [k] lie in the second half of a run, bool."""
    return steps >= LATE * run.step


def measure(run: Run) -> Row:
    """Of the fixed codes' images: shares that are right at the end and wrong in the second half of
    the run, pixels that change between two looks there; how much D's loss and gradient swing."""
    last = run.arrays("rectangles")
    steps, wrong = run.course("rectangles", lambda at: wrong_codes(at).mean())
    _, images = run.course("rectangles", lambda at: at["codes"])
    settled = late(run, steps)
    return {
        "learnt": int(np.mean(last["codes_exact"] & (last["codes_count"] > 0)) > MOST),
        "codes_correct": float(1 - wrong_codes(last).mean()),
        "wrong_late": float(wrong[settled].mean()),
        "changes": changes(images[settled]),
        "loss_swing": swing(run, loss),
        "gradient_swing": swing(run, gradient),
    }


def wrong_codes(at: Arrays) -> np.ndarray:
    """Which codes' images [codes] show another number of squares, or something else, bool."""
    return (at["codes_count"] != at["squares"]) | ~at["codes_exact"]


def changes(images: np.ndarray) -> float:
    """Pixels that go on or off between two looks at images uint8 [looks, codes, 1, H, W], mean over
    codes and looks; NaN for one look."""
    on = images > MID_GREY
    if len(on) < 2:
        return float("nan")
    return float((on[1:] != on[:-1]).sum((2, 3, 4)).mean())


def loss(at: Arrays) -> float:
    """D's on a batch, at one look."""
    return float(at["loss"])


def gradient(at: Arrays) -> float:
    """The norm of its gradient with respect to all of D's weights."""
    return float(np.sqrt(np.sum(at["parameters"] ** 2)))


def swing(run: Run, of: Callable[[Arrays], float]) -> float:
    """The mean square of the differences of successive looks in the second half of a run."""
    steps, values = run.course("layers", of)
    some = values[late(run, steps)]
    return float(np.mean(np.diff(some) ** 2)) if len(some) > 1 else float("nan")


def frames(first: Run, other: Run) -> list[np.ndarray]:
    """A picture of all codes at `FRAMES` looks, of two runs side by side."""
    pictures = []
    for run in (first, other):
        _, looks = run.course("rectangles", lambda at: at["codes"])
        some = np.unique(np.linspace(0, len(looks) - 1, FRAMES).round().astype(int))
        pictures.append([framed(looks[i], run)[::2, ::2] for i in some])  # half as large
    gap = np.full((len(pictures[0][0]), 12, 3), 255, np.uint8)
    return [np.concatenate([a, gap, b], axis=1) for a, b in zip(*pictures, strict=False)]
