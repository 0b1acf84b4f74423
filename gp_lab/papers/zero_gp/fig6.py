"""zero_gp, Fig. 6: the swiss roll at scale 1 and 10, under each gradient penalty."""

import math

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.data.points import SwissRoll
from gp_lab.evaluation.points import coverage, distance_to_curve, wasserstein
from gp_lab.figures.claims import MOST, Claim, share_of, stated, undecided
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import legend_above, page
from gp_lab.figures.table import Row, Table
from gp_lab.papers.zero_gp._drawing import draw_field, name_arrows
from gp_lab.papers.zero_gp._reading import dataset

NEAR = 0.1
"""Near the curve is within this share of the distance between two arms of the roll."""

COVERED = 0.9
"""The roll is covered if samples come near to this share of it."""

NOTE = (
    "distance: median of the samples' to the curve (grey), over the distance between two of its"
    f" arms;\ncoverage: share of the curve with a sample within {NEAR:g} of that distance"
)

W1_SAMPLES = 1000

METHODS = ("none", "one_gp", "zero_gp_sample", "zero_gp")
"""The paper's."""


def roll(run: Run) -> tuple[np.ndarray, float]:
    """The run's curve [1000, 2], as the data go along it, and the distance between its arms."""
    data = dataset(run)
    assert isinstance(data.distribution, SwissRoll)
    curve = data.distribution.curve(torch.linspace(0, 1, 1000, dtype=torch.float64))
    return data.scale * curve.numpy(), 2 * math.pi * data.scale


def scores(samples: np.ndarray, curve: np.ndarray, arms: float) -> Row:
    """How well samples [n, 2] are the curve [m, 2]: distances in units of `arms`, and a verdict."""
    distance = distance_to_curve(samples, curve) / arms
    median, covered = float(np.median(distance)), coverage(samples, curve, NEAR * arms)
    return {
        "distance_median": median,
        "distance_mean": float(distance.mean()),
        "near": float((distance < NEAR).mean()),
        "coverage": covered,
        "learnt": int(median < NEAR and covered > COVERED),
    }


def measure(run: Run) -> Row:
    samples = run.arrays("samples")
    curve, arms = roll(run)
    real, fake = (samples[kind][:W1_SAMPLES] for kind in ("real", "fake"))
    return scores(samples["fake"], curve, arms) | {"w1": wasserstein(real, fake) / arms}


def claims(table: Table) -> list[Claim]:
    rule = f"(median distance < {NEAR:g} of the arms', coverage > {COVERED:g})"
    found = list[Claim]()
    for method, scale, text, learns in (
        ("one_gp", "1", "1-GP learns the swiss roll at scale 1", True),
        ("one_gp", "10", "1-GP fails to learn it at scale 10", False),
        ("zero_gp", "1", "0-GP learns the swiss roll at scale 1", True),
        ("zero_gp", "10", "0-GP learns it at scale 10", True),
    ):
        cell = {"method": method, "scale": scale}
        learnt = table.outcomes("learnt", **cell) == 1
        what = f"share of seeds that {'learn it' if learns else 'do not learn it'} {rule}"
        test = share_of(learnt == learns, quantity=what)
        if learns and not any(_share_that_learns(table, m, scale) > MOST for m in METHODS):
            test = undecided(test, "no method learns it on most seeds")
        found += stated("zero_gp, Fig. 6", {text: test}, about=cell)
    return found


def _share_that_learns(table: Table, method: str, scale: str) -> float:
    learnt = table.outcomes("learnt", method=method, scale=scale)
    return float(np.mean(learnt == 1)) if len(learnt) else 0.0


def draw(runs: Runs, table: Table) -> Figure:
    def field(axes: Axes, run: Run) -> str:
        curve, _ = roll(run)
        axes.plot(*curve.T, color="0.6", lw=0.6, zorder=0.5)
        longest = draw_field(axes, run, run.step, table, most=400)
        of = scores(run.arrays("samples")["fake"], *roll(run))
        return (
            f"distance {of['distance_median']:.2f}, coverage {of['coverage']:.0%}\n"
            f"arrows ≤ {longest:.2g}"
        )

    # Each scale has a plane of its own, which the penalties share.
    figure, grid = page(runs, field, "method", "scale", height=5.0, legend=None, share="row")
    for axes in grid.flat:
        axes.title.set_fontsize(7)
    if runs.finished:
        name_arrows(grid[0, 0])
    legend_above(figure, grid.flat)
    figure.supxlabel(NOTE, fontsize=7)
    return figure


ENTRY = Entry(measure, claims, draw)
