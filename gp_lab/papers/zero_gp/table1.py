"""`zero_gp`, Table 1: generalisation, exploding gradients and convergence of the penalties."""

import math
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, Test, Verdict, computed, paired_greater
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.theory.dirac_gan import penalty_curvature, spectral_radius, trajectory
from gp_lab.theory.one_pair import PAIR_PENALTIES, PairPenalty, largest_slope

Property = Literal["generalises", "prevents", "converges"]

NAMES: dict[PairPenalty, str] = {
    "zero_gp": "0-GP (the paper's)",
    "one_gp": "1-GP",
    "zero_gp_sample": "0-GP-sample",
    "none": "no penalty",
}
HEADS: dict[Property, str] = {
    "generalises": "improves\ngeneralisation",
    "prevents": "prevents\nexploding gradients",
    "converges": "convergence\nguarantee",
}
PAPER: dict[PairPenalty, dict[Property, bool]] = {
    "zero_gp": {"generalises": True, "prevents": True, "converges": True},
    "one_gp": {"generalises": False, "prevents": True, "converges": False},
    "zero_gp_sample": {"generalises": False, "prevents": False, "converges": True},
}
"""The paper's ticks and crosses."""

A_POINT = 0.01
"""Generalisation is improved if the gap in accuracy shrinks by more than this."""

BOUNDED = -0.5
"""Slopes explode if they grow faster than the distance to this power; as 1/distance is -1."""

JUST_BELOW_ONE = math.nextafter(1.0, 0.0)
"""A radius of exactly 1 does not converge."""

DISTANCES = np.geomspace(1.0, 1e-3, 13)
LR, WEIGHT = 0.1, 1.0

START, STEPS = (0.5, 0.0), 2000
"""Of the trajectories that are drawn."""

TICK, CROSS = "#009E73", "#D55E00"


def _row(run: Run) -> Row:
    at_grid, at_data = run.arrays("surface"), run.arrays("held_out")
    row: Row = {"panel": run.panel, "seed": run.seed, "state": run.state}
    for part in ("train", "held_out"):
        right = [at_data[f"{part}_real_logit"] > 0, at_data[f"{part}_fake_logit"] < 0]
        row[f"accuracy_{part}"] = float(np.mean([r.mean() for r in right]))
    row["accuracy_gap"] = row["accuracy_train"] - row["accuracy_held_out"]
    row["slope_max"] = float(at_grid["probability_slope"].max())
    return row


def _theory(penalty: PairPenalty) -> Row:
    """What is exact: slopes of one pair as it closes, and the Dirac-GAN's spectral radius."""
    row: Row = {"panel": f"{penalty}, exact", "seed": "", "state": "calculated"}
    slopes = [largest_slope(penalty, float(r), WEIGHT) for r in DISTANCES]
    row["pair_slope_far"], row["pair_slope_near"] = slopes[0], slopes[-1]
    row["pair_exponent"] = float(
        np.log(slopes[-1] / slopes[-2]) / np.log(DISTANCES[-1] / DISTANCES[-2])
    )
    row["spectral_radius"] = spectral_radius(penalty_curvature(penalty, WEIGHT), LR)
    way = trajectory(penalty, START, LR, WEIGHT, STEPS)
    row["distance_after"] = float(np.linalg.norm(way[-1]) / np.linalg.norm(START))
    return row


def _measure(panels: Panels) -> list[Row]:
    rows = [_row(run) for runs in panels.values() for run in runs]
    return rows + [_theory(penalty) for penalty in PAIR_PENALTIES]


def _exact(rows: list[Row], penalty: PairPenalty, quantity: str) -> float:
    (row,) = (r for r in rows if r["panel"] == f"{penalty}, exact")
    return float(row[quantity])


def _test(rows: list[Row], penalty: PairPenalty, what: Property, holds: bool = True) -> Test:
    """Has a penalty the property, or, if not `holds`, does it lack it?"""
    if what == "generalises":
        gap, without = (column(rows, p, "accuracy_gap") for p in (penalty, "none"))
        of = "accuracy on training minus on held-out samples"
        if holds:
            return paired_greater(without, gap, A_POINT, quantity=f"{of}, none minus {penalty}")
        return paired_greater(gap, without, -A_POINT, quantity=f"{of}, {penalty} minus none")
    if what == "prevents":
        exponent = _exact(rows, penalty, "pair_exponent")
        above, below = (BOUNDED, math.inf) if holds else (-math.inf, BOUNDED)
        of = "exponent of the largest slope between a real and a fake in their distance"
        return computed(exponent, above, below, quantity=of)
    radius = _exact(rows, penalty, "spectral_radius")
    above, below = (-math.inf, 1.0) if holds else (JUST_BELOW_ONE, math.inf)
    return computed(radius, above, below, quantity="spectral radius of the discrete Dirac-GAN")


def _mark(rows: list[Row], penalty: PairPenalty, what: Property) -> bool | None:
    """Our tick or cross; None where the runs decide neither."""
    for holds in (True, False):
        if _test(rows, penalty, what, holds).verdict == Verdict.SUPPORTED:
            return holds
    return None


def _claims(rows: list[Row]) -> list[Claim]:
    verbs: dict[Property, tuple[str, str]] = {
        "generalises": ("improves generalisation", "does not improve generalisation"),
        "prevents": ("prevents exploding gradients", "does not prevent exploding gradients"),
        "converges": ("converges", "does not converge"),
    }
    claims = []
    for penalty, marks in PAPER.items():
        for what, holds in marks.items():
            claims.append(
                Claim(
                    f"{NAMES[penalty].partition(' (')[0]} {verbs[what][not holds]}",
                    _test(rows, penalty, what, holds),
                    "zero_gp, Table 1",
                    paper="tick" if holds else "cross",
                    at_any_scale=what != "generalises",
                )
            )
    claims.append(
        Claim(
            "1-GP helps to improve generalisation (against the cross of Table 1)",
            _test(rows, "one_gp", "generalises"),
            "zero_gp, sec. 6.1",
        )
    )
    same, sample = (_exact(rows, p, "spectral_radius") for p in ("zero_gp", "zero_gp_sample"))
    claims.append(
        Claim(
            "0-GP has the same convergence guarantee as 0-GP-sample",
            computed(
                abs(same - sample),
                below=1e-12,
                quantity="difference of the spectral radii of the discrete Dirac-GAN (one closed"
                " form: both penalties have the same curvature there)",
            ),
            "zero_gp, sec. 5.4",
            at_any_scale=True,
        )
    )
    return claims


def _number(rows: list[Row], penalty: PairPenalty, what: Property) -> str:
    """What a cell says beside its marks."""
    if what == "generalises":
        gap = np.array(column(rows, penalty, "accuracy_gap"))
        if np.isnan(gap).all():
            return "no finished run"
        return f"train - held out: {100 * np.nanmean(gap):.1f} points"
    if what == "prevents":
        near = _exact(rows, penalty, "pair_slope_near")
        text = f"{near:.0f}" if near >= 10 else f"{near:.2g}"
        return f"slope at distance .001: {text}"
    radius = _exact(rows, penalty, "spectral_radius")
    return f"spectral radius: {radius:.4g}"


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7.0, 4.3), layout="constrained")
    grid = figure.add_gridspec(2, 4, height_ratios=[1.7, 1.0])
    _draw_table(figure.add_subplot(grid[0, :]), rows)
    shared: Axes | None = None
    for i, (penalty, name) in enumerate(NAMES.items()):
        axes = figure.add_subplot(grid[1, i], sharex=shared, sharey=shared)
        way = trajectory(penalty, START, LR, WEIGHT, STEPS)
        axes.plot(way[:, 0], way[:, 1], color="#0072B2", lw=0.5)
        axes.plot(*START, "o", color="#E69F00", ms=4)
        axes.plot(0, 0, "k+", ms=6)
        axes.set(title=f"Dirac-GAN: {name.partition(' (')[0]}", xlabel=r"fake $\theta$")
        if shared is None:
            axes.set_ylabel(r"slope $\psi$ of the logit")
        else:
            axes.tick_params(labelleft=False)
        shared = shared or axes
    return figure


def _draw_table(axes: Axes, rows: list[Row]) -> None:
    axes.set(xlim=(0, 1), ylim=(len(NAMES), -1))
    axes.axis("off")
    edges = [0.17, 0.45, 0.73]
    for left, head in zip(edges, HEADS.values(), strict=True):
        axes.text(left + 0.13, -0.55, head, ha="center", va="center", weight="bold")
    for y, (penalty, name) in enumerate(NAMES.items()):
        axes.axhline(y, color="0.7", lw=0.5)
        axes.text(0.0, y + 0.5, name, va="center")
        for left, what in zip(edges, HEADS, strict=True):
            paper = PAPER[penalty][what] if penalty in PAPER else None
            if paper is not None:
                _draw_mark(axes, left + 0.045, y + 0.32, paper, "paper")
            if (penalty, what) != ("none", "generalises"):  # that is what the others are held to
                _draw_mark(axes, left + 0.145, y + 0.32, _mark(rows, penalty, what), "here")
            axes.text(
                left + 0.02, y + 0.78, _number(rows, penalty, what), va="center", fontsize=6.5
            )


def _draw_mark(axes: Axes, x: float, y: float, holds: bool | None, whose: str) -> None:
    axes.text(x - 0.025, y, whose, va="center", fontsize=6.5, color="0.35")
    text, colour = {True: ("✓", TICK), False: ("✗", CROSS), None: ("?", "0.4")}[holds]
    axes.text(
        x + 0.04, y, text, va="center", ha="center", fontsize=11, color=colour,
        family="DejaVu Sans", weight="bold",
    )  # fmt: skip


ENTRY = Entry(_measure, _claims, _draw)
