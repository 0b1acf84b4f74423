"""`zero_gp`, Table 1: generalisation, exploding gradients and convergence of the penalties."""

import math
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, Test, Verdict, computed, only_if, paired_greater
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import beside_the_papers, legend_above
from gp_lab.figures.style import FAKE
from gp_lab.figures.table import Row, Table
from gp_lab.papers.zero_gp._reading import A_POINT, accuracies
from gp_lab.theory.dirac_gan import penalty_curvature, spectral_radius, trajectory
from gp_lab.theory.one_pair import PAIR_PENALTIES, largest_slope

Property = Literal["generalises", "prevents", "converges"]

WORDS: dict[Property, tuple[str, str]] = {
    "generalises": ("improves generalisation", "does not improve generalisation"),
    "prevents": ("prevents exploding gradients", "does not prevent exploding gradients"),
    "converges": ("converges", "does not converge"),
}
"""What is said of a method that has a property, or lacks it."""

COLUMNS: dict[Property, tuple[float, str, str]] = {
    "generalises": (0.17, "improves\ngeneralisation", "trained: mean ± half its interval"),
    "prevents": (0.45, "prevents\nexploding gradients", "calculated: one pair's optimum"),
    "converges": (0.73, "convergence\nguarantee", "calculated: Dirac-GAN"),
}
"""Where the column of a property begins, its head, and what it is decided by."""

PAPER: dict[str, dict[Property, bool]] = {
    "zero_gp": {"generalises": True, "prevents": True, "converges": True},
    "one_gp": {"generalises": False, "prevents": True, "converges": False},
    "zero_gp_sample": {"generalises": False, "prevents": False, "converges": True},
}
"""The paper's ticks and crosses."""

BOUNDED = -0.5
"""Slopes explode if they grow faster than the distance to this power; as 1/distance is -1."""

SAME = 0.01
"""Two ways to the equilibrium are as long as one another within these powers of ten."""

DISTANCES = np.geomspace(1.0, 1e-3, 13)
LR, WEIGHT = 0.1, 1.0

START, STEPS = (0.5, 0.0), 2000
"""Of the trajectories that are drawn."""

MARKS = {True: ("✓", "#009E73"), False: ("✗", "#D55E00"), None: ("?", "0.4")}


def measure(run: Run) -> Row:
    return accuracies(run) | {"slope_max": float(run.arrays("surface")["probability_slope"].max())}


def exact() -> list[Row]:
    """Of each penalty the slopes of one pair as it closes, and the Dirac-GAN's spectral radius."""
    rows: list[Row] = []
    for penalty in PAIR_PENALTIES:
        slopes = [largest_slope(penalty, float(r), WEIGHT) for r in DISTANCES]
        closer = np.log(DISTANCES[-1] / DISTANCES[-2])
        end = trajectory(penalty, START, LR, WEIGHT, STEPS)[-1]
        rows.append(
            {
                "method": penalty,
                "state": "exact",
                "pair_slope_far": slopes[0],
                "pair_slope_near": slopes[-1],
                "pair_exponent": float(np.log(slopes[-1] / slopes[-2]) / closer),
                "spectral_radius": spectral_radius(penalty_curvature(penalty, WEIGHT), LR),
                "distance_after": float(np.linalg.norm(end) / np.linalg.norm(START)),
            }
        )
    return rows


def _exact(table: Table, method: str, quantity: str) -> float:
    return float(table.one(method=method, state="exact")[quantity])


def verdict(table: Table, method: str, what: Property, holds: bool = True) -> Test:
    """Has a penalty the property, or, if not `holds`, does it lack it?"""
    if what == "generalises":
        gap, without = (table.values("accuracy_gap", method=m) for m in (method, "none"))
        held, other = (table.values("accuracy_held_out", method=m) for m in (method, "none"))
        of = "accuracy on training minus on held-out samples"
        better = paired_greater(without, gap, A_POINT, quantity=f"{of}, none minus {method}")
        worse = paired_greater(gap, without, -A_POINT, quantity=f"{of}, {method} minus none")
        test, falls = (better, Verdict.SUPPORTED) if holds else (worse, Verdict.NOT_SUPPORTED)
        if test.verdict != falls:
            return test
        # One that fits less has a smaller gap, too: none where it has learnt nothing.
        return only_if(paired_greater(held, other), test, "it is no better on held-out samples")
    if what == "prevents":
        value = _exact(table, method, "pair_exponent")
        above, below = (BOUNDED, math.inf) if holds else (-math.inf, BOUNDED)
        of = "exponent of the largest slope between a real and a fake in their distance"
        if method == "zero_gp_sample":
            of += " (at least 1 / distance: it leaves D free between them)"
    else:
        value = _exact(table, method, "spectral_radius")
        above, below = (-math.inf, 1.0) if holds else (1.0, math.inf)
        of = "spectral radius of the discrete Dirac-GAN"
    return computed(value, above, below, quantity=of)


def mark(table: Table, method: str, what: Property) -> bool | None:
    """Our tick or cross; None where the runs decide neither."""
    for holds in (True, False):
        if verdict(table, method, what, holds).verdict == Verdict.SUPPORTED:
            return holds
    return None


def claims(table: Table) -> list[Claim]:
    found = [
        Claim(
            f"{table.title(method=method)} {WORDS[what][not holds]}",
            verdict(table, method, what, holds),
            "zero_gp, Table 1",
            paper="tick" if holds else "cross",
        )
        for method, marks in PAPER.items()
        for what, holds in marks.items()
    ]
    text = "1-GP helps to improve generalisation (against the cross of Table 1)"
    found.append(Claim(text, verdict(table, "one_gp", "generalises"), "zero_gp, sec. 6.1"))
    # At the equilibrium both have the same curvature; their ways there differ.
    ends = [_exact(table, m, "distance_after") for m in ("zero_gp", "zero_gp_sample")]
    of = f"|log10| of their distances from the Dirac-GAN's equilibrium after {STEPS} steps"
    text = "0-GP has the same convergence guarantee as 0-GP-sample"
    test = computed(abs(float(np.diff(np.log10(ends))[0])), below=SAME, quantity=of)
    return [*found, Claim(text, test, "zero_gp, sec. 5.4")]


def draw(runs: Runs, table: Table) -> Figure:
    figure = Figure(figsize=(7.0, 4.3), layout="constrained")
    grid = figure.add_gridspec(2, 4, height_ratios=[1.7, 1.0])
    _draw_table(figure.add_subplot(grid[0, :]), table)
    shared: Axes | None = None
    for i, penalty in enumerate(PAIR_PENALTIES):
        axes = figure.add_subplot(grid[1, i], sharex=shared, sharey=shared)
        way = trajectory(penalty, START, LR, WEIGHT, STEPS)
        axes.plot(way[:, 0], way[:, 1], color="#0072B2", lw=0.5)
        axes.plot(*START, "o", color=FAKE, ms=4, label="start")
        axes.plot(0, 0, "k+", ms=6, label="equilibrium")
        axes.set(title=f"Dirac-GAN: {table.title(method=penalty)}", xlabel=r"fake $\theta$")
        axes.tick_params(labelleft=shared is None)
        shared = shared or axes
    figure.axes[1].set_ylabel(r"slope $\psi$ of the logit")
    legend_above(figure, figure.axes[1:2], "lower center")
    return figure


def _draw_table(axes: Axes, table: Table) -> None:
    methods = table.grid.titles("method")
    axes.set(xlim=(0, 1), ylim=(len(methods), -1.2))
    axes.axis("off")
    for left, head, by in COLUMNS.values():
        axes.text(left + 0.13, -0.75, head, ha="center", va="center", weight="bold")
        axes.text(left + 0.13, -0.2, by, ha="center", va="center", fontsize=6.5)
    for y, (method, name) in enumerate(methods.items()):
        axes.axhline(y, color="0.7", lw=0.5)
        papers = " (the paper's)" if method == "zero_gp" else ""
        axes.text(0.0, y + 0.5, name + papers, va="center")
        for what, (left, *_) in COLUMNS.items():
            if method in PAPER:
                _draw_mark(axes, left + 0.045, y + 0.32, PAPER[method][what], "paper")
            if (method, what) != ("none", "generalises"):
                _draw_mark(axes, left + 0.145, y + 0.32, mark(table, method, what), "here")
            else:
                axes.text(left + 0.02, y + 0.32, "what the others are held to", fontsize=6.5)
            number = _number(table, method, what)
            axes.text(left + 0.02, y + 0.78, number, va="center", fontsize=6.5)


def _draw_mark(axes: Axes, x: float, y: float, holds: bool | None, whose: str) -> None:
    axes.text(x - 0.025, y, whose, va="center", fontsize=6.5, color="0.35")
    text, colour = MARKS[holds]
    axes.text(
        x + 0.04, y, text, va="center", ha="center", fontsize=11, color=colour,
        family="DejaVu Sans", weight="bold",
    )  # fmt: skip


def _number(table: Table, method: str, what: Property) -> str:
    """What a cell says below its marks."""
    if what == "generalises":
        gap = np.array(table.values("accuracy_gap", method=method))
        if np.isnan(gap).all():
            return "no finished run"
        return f"train - held out: {beside_the_papers(list(100 * gap), None, 1)} points"
    if what == "prevents":
        near = _exact(table, method, "pair_slope_near")
        digits = ".0f" if near >= 10 else ".2g"
        least = "at least " * (method in ("none", "zero_gp_sample"))
        return f"slope at distance .001: {least}{near:{digits}}"
    return f"spectral radius: {_exact(table, method, 'spectral_radius'):.4g}"


ENTRY = Entry(measure, claims, draw, exact, singles=False)
