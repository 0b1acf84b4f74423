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
from gp_lab.papers.anomalous._squares import framed

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
    return stated("anomalous, App. E and Fig. 6", tests)


def over_time(run: Run, codes: int = CODES, looks: int = LOOKS) -> np.ndarray:
    """A row for each code, a column for each of some looks, evenly spaced, the last one the end."""
    steps, images = run.course("rectangles", lambda at: at["codes"])
    some = np.unique(np.linspace(0, len(steps) - 1, looks).round().astype(int))
    rows = images[some, :codes].swapaxes(0, 1)
    return framed(rows.reshape(-1, *rows.shape[2:]), run, columns=len(some))


def draw(runs: Runs, table: Table) -> Figure:
    titles = table.grid.titles("batch")
    figure, grid = new_panels(1, len(titles), height=3.4)
    for axes, (batch, title) in zip(grid.flat, titles.items(), strict=True):
        axes.set_axis_off()
        panel(axes, runs.first(batch=batch), title, _rows)
    figure.suptitle("rows: latent codes; framed: not two rectangles alone", fontsize=7)
    return figure


def _rows(axes: Axes, run: Run) -> str:
    axes.imshow(over_time(run))
    return f"iterations up to {run.step:,}, from left to right"


def animate(runs: Runs) -> list[np.ndarray]:
    """All codes' images over training, full batch at the left, mini-batches at the right."""
    first, other = runs.first(batch=FULL), runs.first(batch=MINI)
    return frames(first, other) if first and other else []


ENTRY = Entry(measure, claims, draw, animate=animate)
