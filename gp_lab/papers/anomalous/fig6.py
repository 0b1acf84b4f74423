"""anomalous, Fig. 6: images of fixed latent codes during training, full batch and mini-batches."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import SHARE, Claim, less, paired_greater, stated, supported_only_if
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import panel
from gp_lab.figures.style import new_panels
from gp_lab.figures.table import Table
from gp_lab.papers.anomalous._codes import frames, measure
from gp_lab.papers.anomalous._squares import framed, named_columns

FULL, MINI = "full", "mini"
"""Batches of all images (FGD), and of a quarter of them (MGD)."""

FEW = 0.1
"""FGD has "few anomalous images" if they are a smaller share."""

CODES, LOOKS = 6, 10
"""Codes and moments that are drawn."""


def claims(table: Table) -> list[Claim]:
    wrong = {b: table.values("wrong_late", batch=b) for b in (FULL, MINI)}
    changed = {b: np.log(table.values("changes", batch=b)) for b in (FULL, MINI)}
    share = "share of wrong images of the codes in the second half of the run"
    tests = {
        "FGD is stable, with few anomalous images":
            less(wrong[FULL], FEW, within=SHARE, quantity=share),
        "MGD gives rise to anomalous images, beyond those of FGD":
            paired_greater(wrong[MINI], wrong[FULL], quantity=f"{share}, MGD minus FGD"),
        "the images of MGD's codes change more during training than those of FGD's":
            paired_greater(changed[MINI], changed[FULL],
                           quantity="log of pixels changed between two looks, in the second half"
                           " of the run, MGD minus FGD"),
    }  # fmt: skip
    stable, beyond, _ = tests
    tests[beyond] = supported_only_if(
        tests[stable], tests[beyond], "FGD's are not few, and it has seen more data"
    )
    return stated("anomalous, App. E and Fig. 6", tests, about={"batch": (FULL, MINI)})


def over_time(run: Run, codes: int = CODES, looks: int = LOOKS) -> np.ndarray:
    """A row for each code, a column for each of some looks, evenly spaced, the last one the end."""
    _, images = run.course("rectangles", lambda at: at["codes"])
    some = _spread(len(images), looks)
    rows = images[some, :codes].swapaxes(0, 1)
    return framed(rows.reshape(-1, *rows.shape[2:]), run, columns=len(some))


def draw_over_time(axes: Axes, run: Run, codes: int = CODES, looks: int = LOOKS) -> None:
    """The picture of `over_time`, the iteration below each column."""
    steps = np.array(run.steps("rectangles"))
    named_columns(
        axes,
        over_time(run, codes, looks),
        [f"{step:,}" for step in steps[_spread(len(steps), looks)]],
    )
    axes.set_xlabel("iteration")


def _spread(count: int, most: int) -> np.ndarray:
    """At most so many of `count` looks, evenly spread from the first to the last."""
    return np.unique(np.linspace(0, count - 1, most).round().astype(int))


def draw(runs: Runs, table: Table) -> Figure:
    titles = table.grid.titles("batch")
    figure, grid = new_panels(1, len(titles), height=2.9)
    for axes, (batch, title) in zip(grid.flat, titles.items(), strict=True):
        panel(axes, runs.first(batch=batch), title, draw_over_time)
    figure.suptitle("a row: one latent code; red frame: not two rectangles alone", fontsize=8)
    return figure


def animate(runs: Runs) -> list[np.ndarray]:
    """All codes' images over training, full batch at the left, mini-batches at the right."""
    first, other = runs.first(batch=FULL), runs.first(batch=MINI)
    return frames(first, other) if first and other else []


ENTRY = Entry(measure, claims, draw, animate=animate)
