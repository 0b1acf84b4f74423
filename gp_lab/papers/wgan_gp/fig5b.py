"""wgan_gp, Fig. 5b: the critic's loss on digits that it has seen and on digits that it has not."""

from collections.abc import Mapping
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import (
    Claim,
    Verdict,
    greater,
    rank_correlations,
    share_of,
    stated,
    undecided,
)
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import curves, panel
from gp_lab.figures.style import COLOURS, new_panels
from gp_lab.figures.table import Row, Table

APART = 0.1
"""The curves part if they are farther apart than this share of the training curve ..."""

END, LATE = 0.1, 0.5
"""... on average over this last share of the run; trends are those of the last half."""


def measure(run: Run) -> Row:
    (steps, train), (_, held_out) = (losses(run, part) for part in ("train", "held_out"))
    return {
        "data": run.folder.config["dataset"]["name"],
        "train_end": train[-1],
        "held_out_end": held_out[-1],
        "apart": distance_at_the_end(steps, train, held_out),
        "trend_train": trend(steps, train),
        "trend_held_out": trend(steps, held_out),
    }


def losses(run: Run, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and the negative critic loss on training or on held-out digits, [k] each."""
    return run.course("critic_losses", lambda at: -at[f"{part}_loss"])


def distance_at_the_end(steps: np.ndarray, train: np.ndarray, held_out: np.ndarray) -> float:
    """Mean of train - held-out over the last tenth of the run, over the size of train's mean."""
    end = steps >= (1 - END) * steps[-1]
    return float(np.mean(train[end] - held_out[end]) / abs(np.mean(train[end])))


def trend(steps: np.ndarray, values: np.ndarray) -> float:
    """Rank correlation of a curve with the iteration over the last half of the run.

    NaN where there was a single measurement.
    """
    late = steps >= LATE * steps[-1]
    if late.sum() < 2:
        return float("nan")
    return float(rank_correlations(steps[late], values[None, late])[0])


def claims(table: Table) -> list[Claim]:
    apart = "(train - validation) over train, last tenth of the run"
    curve = "rank correlation of the negative critic loss with the iteration, last half of the run"
    train, held_out = (
        table.outcomes(f"trend_{of}", method="penalty") for of in ("train", "held_out")
    )
    tests = {
        method: {
            f"{title}: the losses on training and validation digits part":
                greater(table.values("apart", method=method), APART, quantity=apart)
        }
        for method, title in table.grid.titles("method").items()
    }  # fmt: skip
    # Shares of seeds: along a smooth curve the correlation is 1 or -1 on each of them.
    rises = share_of(np.asarray(train) > 0, quantity=f"share of seeds with a positive {curve}")
    falls = share_of(np.asarray(held_out) < 0, quantity=f"share of seeds with a negative {curve}")
    if rises.verdict != falls.verdict == Verdict.SUPPORTED:
        falls = undecided(falls, "the training loss does not rise meanwhile")
    tests["penalty"] |= {
        "gradient penalty: the training loss rises": rises,
        "gradient penalty: the validation loss falls all the while": falls,
    }
    where = "wgan_gp, sec. 5.6 and Fig. 5b"  # a dead critic has one loss on all digits
    return [c for m, of in tests.items() for c in stated(where, of, about={"method": m})]


def draw(runs: Runs, table: Table) -> Figure:
    """Both losses and, below them, how far they are apart: from the first measurement on that the
    critic has been trained for."""
    titles = runs.grid.titles("method")
    figure, grid = new_panels(2, len(titles), height=4.4, sharex=True)

    def trained(run: Run, parts: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
        steps, _ = losses(run, "train")
        found = sum(sign * losses(run, part)[1] for part, sign in parts.items())
        return steps[steps > 0], np.asarray(found)[steps > 0]

    def both(axes: Axes, run: Run) -> None:
        train, held_out = (partial(trained, parts={part: 1}) for part in ("train", "held_out"))
        every = runs.at(**run.cell)
        curves(axes, every, train, "training digits", color=COLOURS[0])
        curves(axes, every[:1], held_out, "validation digits", color=COLOURS[1], ls="--")
        axes.legend()

    def apart(axes: Axes, run: Run) -> None:
        axes.axhline(0, color="0.7", lw=0.6, zorder=0)
        difference = partial(trained, parts={"train": 1, "held_out": -1})
        curves(axes, runs.at(**run.cell), difference, "", color="black")
        axes.set_xlabel("iteration")
        axes.locator_params(axis="x", nbins=6, integer=True)

    for (upper, lower), (method, title) in zip(grid.T, titles.items(), strict=True):
        panel(upper, runs.first(method=method), title, both)
        panel(lower, runs.first(method=method), "", apart)
    grid[0, 0].set_ylabel("negative critic loss")
    grid[1, 0].set_ylabel("training minus validation")
    figure.supxlabel(
        "without iteration 0, before any update; thick: the first seed, thin: the others"
        " (above: their training loss alone)", fontsize=7,
    )  # fmt: skip
    return figure


ENTRY = Entry(measure, claims, draw)
