"""anomalous, Fig. 2: mini-batches against the full batch, and FID by batch size at equal data."""

from collections.abc import Callable
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import (
    LEVEL,
    SHARE,
    Claim,
    Verdict,
    greater,
    learnt_on,
    less,
    paired_greater,
    rank_correlations,
    share_of,
    stated,
    supported_only_if,
    undecided,
)
from gp_lab.figures.entry import Arrays, Entry, Run, Runs
from gp_lab.figures.plots import by_seed, curves, legend_above, panel
from gp_lab.figures.style import COLOURS, FAKE, new_panels, plain_log
from gp_lab.figures.table import Row, Table
from gp_lab.papers import _scores
from gp_lab.papers.anomalous import _codes
from gp_lab.papers.anomalous._codes import frames, gradient, loss
from gp_lab.papers.anomalous.fig6 import draw_over_time

METHODS = {"64": "FGD", "16": "MGD"}
"""Batch size on 64 images -> what the paper calls it."""

ALL = 0.95
"""FGD has converged if more than this share of the codes' images is right."""

CODES = 3
"""That the paper draws."""

LOOKS = 6
"""Moments at which they are drawn."""


def measure(run: Run) -> Row:
    if run.cell["images"] == "rectangles":
        return _codes.measure(run)
    row = _scores.measure(run)
    return row | {"learnt": int(row["fid_left"] <= _scores.LEARNT)}


def claims(table: Table) -> list[Claim]:
    def of(quantity: str) -> dict[str, list[float]]:
        return {b: table.values(quantity, images="rectangles", batch=b) for b in METHODS}

    right, swings = of("codes_correct"), {}
    for what, quantity in (("loss", "loss_swing"), ("gradient", "gradient_swing")):
        swing = {b: np.log(values) for b, values in of(quantity).items()}
        swings[f"the {what} of MGD goes up and down more than FGD's"] = paired_greater(
            swing["16"], swing["64"],
            quantity=f"log of the mean square of successive differences of D's {what}, MGD minus"
            " FGD",
        )  # fmt: skip
    share = "share of the 64 codes whose image has two rectangles at the end"
    converges = {
        "FGD converges: the images of all codes are right":
            greater(right["64"], ALL, within=SHARE, quantity=share),
        "more of FGD's codes have right images than of MGD's":
            paired_greater(right["64"], right["16"], quantity=f"{share}, FGD minus MGD"),
    }  # fmt: skip
    converged, ahead = converges
    converges[ahead] = supported_only_if(
        converges[converged], converges[ahead], "both still learn, and FGD has seen more data"
    )
    sizes = [one.cell["batch"] for one in table.grid.at(images="faces")]
    fid = [table.values("fid", images="faces", batch=size) for size in sizes]
    correlations = rank_correlations([int(size) for size in sizes], np.array(fid).T)
    falls = less(correlations, 0.0, within=(-1, 1),
                 quantity=f"Spearman's correlation of batch size ({', '.join(sizes)}) and"
                 f" {_scores.judge(table)} FID")  # fmt: skip
    for size in sizes:  # of a GAN that has hardly begun FID says how many steps it had
        learnt = table.outcomes("learnt", images="faces", batch=size) == 1
        learns = share_of(learnt, level=LEVEL)
        if learns.verdict != Verdict.SUPPORTED:
            falls = undecided(falls, f"batches of {size} learn on {learnt_on(learns)}")
    better = {"after the same amount of data FID is the better the larger the batch is": falls}
    where = "anomalous, sec. 3.2 and Fig. 2"
    return (
        stated(f"{where} (middle)", swings, about={"images": "rectangles"})
        + stated(f"{where} (left)", converges, about={"images": "rectangles"})
        + stated(f"{where} (right)", better, about={"images": "faces"})
    )


def draw(runs: Runs, table: Table) -> Figure:
    figure, grid = new_panels(2, 3, height=4.6)
    left, middle, right = grid.T
    for axes in (middle[1], right[0]):
        plain_log(axes, "y")
    for axes, (batch, name) in zip(left, METHODS.items(), strict=True):
        panel(axes, runs.first(images="rectangles", batch=batch), f"{name}, fixed codes", _rows)
    for (batch, name), colour in zip(METHODS.items(), COLOURS, strict=False):
        for axes, of in zip(middle, (loss, gradient), strict=True):
            first = runs.at(images="rectangles", batch=batch)[:1]
            curves(axes, first, partial(_layers, of), f"{name} (batches of {batch})", color=colour)
    middle[0].set(title="D's loss, first seed", xlabel="iteration", ylabel="loss")
    middle[1].set(title="norm of D's gradient, first seed", xlabel="iteration", ylabel="norm")
    legend_above(figure, middle, "upper center")
    faces = [one.cell["batch"] for one in runs.grid.at(images="faces")]
    found = {batch: table.values("fid", images="faces", batch=batch) for batch in faces}
    by_seed(right[0], found, [FAKE] * len(found))
    right[0].set(title="FID at equal data, at the end\n(dot: a seed, line: the mean)")
    right[0].set(xlabel="batch size", ylabel=f"{_scores.judge(table)} FID")
    right[1].set_axis_off()
    best = min(faces, key=lambda batch: table.mean("fid", images="faces", batch=batch))
    samples = f"samples, batch size {best}\n(lowest mean FID)"
    panel(right[1], runs.first(images="faces", batch=best), samples, _samples)
    return figure


def _layers(of: Callable[[Arrays], float], run: Run) -> tuple[np.ndarray, np.ndarray]:
    return run.course("layers", of)


def _rows(axes: Axes, run: Run) -> str:
    draw_over_time(axes, run, CODES, LOOKS)
    return "red frame: not two rectangles"


def _samples(axes: Axes, run: Run) -> None:
    _scores.pictures(axes, run.arrays("samples")["fake"])


def animate(runs: Runs) -> list[np.ndarray]:
    """All codes' images over training, full batch at the left, mini-batches at the right."""
    first, other = (runs.first(images="rectangles", batch=batch) for batch in METHODS)
    return frames(first, other) if first and other else []


ENTRY = Entry(measure, claims, draw, animate=animate)
