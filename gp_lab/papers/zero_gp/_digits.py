"""What zero_gp's figures of MNIST have in common: whether a GAN has learnt digits, its samples."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, Verdict, learnt_on, share_of, undecided
from gp_lab.figures.entry import Run, Runs
from gp_lab.figures.plots import panel
from gp_lab.figures.style import new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.launching.grid import Where
from gp_lab.papers.zero_gp._reading import NO_LETTER, dead_networks, of_weight
from gp_lab.probes.pictures import grid_picture

LEGEND = (
    "sure: samples whose class has a probability above .9; H: entropy of the classes in nats;\n"
    "spread: distance to the nearest other sample, over that of real images;\n"
    "collapsed: H below half of its maximum, or spread below 25%; all of the seed that is shown"
)

CONFIDENT = 0.5
"""A GAN has learnt something if the classifier is confident of more than this share of samples."""

ENTROPY = 0.5
"""It has collapsed if its classes have less than this share of the largest entropy..."""

SPREAD = 0.25
"""...or its samples are nearer to one another than this share of what real images are."""

SURE = f"sure (> .9) of more than {CONFIDENT:.0%} of the samples"
BOUNDS = "the entropy of classes or the spread is below its bound"

NO_LETTERS: Mapping[str, str] = {}

EARLY = "_early"
"""What the quantities of the first look end in."""


def early(run: Run) -> int:
    """The first step at which the probes wrote: the paper's iteration 1,000."""
    return run.steps("classifier")[0]


def end(run: Run) -> int:
    return run.step


def scores(run: Run, step: int, classes: int = 10) -> Row:
    """What the probes say of a run's samples at a step, and whether it passes: `confident` of most
    samples, not `collapsed`, `learnt` if it is the one and not the other."""
    judged, near = (run.arrays(probe, step) for probe in ("classifier", "neighbours"))
    row: Row = {f"classifier_{k}": float(v) for k, v in judged.items()}
    row |= {k: float(v) for k, v in near.items() if v.ndim == 0}
    row["spread_share"] = row["spread"] / row["spread_real"]
    row["confident"] = int(row["classifier_confidence_share"] > CONFIDENT)
    few_classes = row["classifier_class_entropy"] < ENTROPY * math.log(classes)
    row["collapsed"] = int(few_classes or row["spread_share"] < SPREAD)
    return row | {"learnt": int(row["confident"] and not row["collapsed"])}


def both_looks(run: Run) -> Row:
    """The scores at the end of a run, and those of the first look, which end in `EARLY`."""
    row: Row = {"data": run.folder.config["dataset"]["name"], "early_step": early(run)}
    row |= scores(run, run.step)
    return row | {f"{k}{EARLY}": v for k, v in scores(run, early(run)).items()}


def unless(zero_gp: Claim, other: Claim) -> Claim:
    """That another penalty fails, unless 0-GP fails, too: to share that says nothing of either."""
    if zero_gp.test.verdict == Verdict.SUPPORTED or other.test.verdict != Verdict.SUPPORTED:
        return other
    why = f"0-GP itself succeeds on {learnt_on(zero_gp.test)}"
    return replace(other, test=undecided(other.test, why))


def recognised(
    table: Table, cell: Where, so: bool, text: str, where: str, look: str = ""
) -> Claim:  # fmt: skip
    """Most samples of a cell are recognised on most seeds, or (not `so`) are not; at the end, or
    at the `look` that quantities of this ending are of."""
    what = SURE if so else f"not {SURE}"
    return _of_most(table, f"confident{look}", cell, so, what, text, where)


def has_learnt(
    table: Table, cell: Where, so: bool, text: str, where: str, look: str = ""
) -> Claim:  # fmt: skip
    """As `recognised`: a cell has learnt without collapse, or has done the one or the other."""
    what = f"{SURE}, and not: {BOUNDS}" if so else f"not {SURE}, or {BOUNDS}"
    return _of_most(table, f"learnt{look}", cell, so, what, text, where)


def _of_most(
    table: Table, quantity: str, cell: Where, so: bool, what: str, text: str, where: str
) -> Claim:
    # A seed that diverged has learnt nothing; one whose units died says nothing of a penalty.
    happened = (table.outcomes(quantity, **cell) == 1) == so
    test = share_of(happened, quantity=f"share of seeds where the classifier is {what}")
    return Claim(text, test, where, about=cell)


def samples(table: Table, step_of: Callable[[Run], int], axes: Axes, run: Run) -> str:
    """Draw the samples of a step, and below them whether they have collapsed and the networks are
    dead; what stands below the title."""
    step = step_of(run)
    axes.imshow(grid_picture(run.arrays("samples", step)["fake"]))
    found = scores(run, step)
    words = ["collapsed"] * found["collapsed"] + [dead_networks(table, run, step)]
    axes.text(
        0.5, -0.02, "\n".join(words), transform=axes.transAxes, ha="center", va="top", fontsize=6
    )
    return (
        f"it. {step:,}: {found['classifier_confidence_share']:.0%} sure\n"
        f"H {found['classifier_class_entropy']:.2f}, spread {found['spread_share']:.0%}"
    )


def page_of_samples(
    runs: Runs, table: Table, looks: Sequence[Callable[[Run], int]],
    letters: Mapping[str, str] = NO_LETTERS,
) -> Figure:  # fmt: skip
    """A row of samples for each look, a column for each method, training images after the last.

    looks: a run -> the step that is shown; letters: method -> that of its panel in the paper.
    """
    heads = runs.grid.titles("method")
    papers = len(heads) - len(runs.grid.own)  # whose panels stay as large as they are alone
    height = 0.2 + len(looks) * (7 / (papers + 1) + 0.8)  # square ones, with what is above them
    figure, grid = new_panels(len(looks), len(heads) + 1, height)
    figure.set_figwidth(figure.get_figwidth() * (len(heads) + 1) / (papers + 1))
    for axes in grid.flat:
        axes.set_axis_off()
    for row, step_of in zip(grid, looks, strict=True):
        for axes, (method, name) in zip(row, heads.items(), strict=False):
            letter = f"({letters[method]}) " if method in letters else ""
            run = runs.first(method=method)
            title = f"{letter}{name}{of_weight(run)}"
            panel(axes, run, title, partial(samples, table, step_of))
    real = grid[0, -1]
    real.set_title("training images")
    if runs.finished:
        real.imshow(grid_picture(runs.finished[0].arrays("samples")["real"]))
        others = f"; {NO_LETTER}" if letters and heads.keys() - letters else ""
        figure.suptitle(LEGEND + others, fontsize=7)
    for axes in grid.flat:
        axes.title.set_fontsize(7)
    return figure
