# ruff: noqa: N999
"""lipschitz, App. C: gradients at fakes that have several targets, with and without noise."""

import numpy as np
from matplotlib.figure import Figure
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from gp_lab.evaluation.points import cosines, wasserstein
from gp_lab.figures.claims import Claim, inside, less, paired_greater
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import FAKE, REAL, SURFACE, empty

FIXED = {
    "two": "n = 2",
    "two_noise": "n = 2, noise .01",
    "four": "n = 4",
    "four_noise": "n = 4, noise .01",
}
MOVING = {"moving": "without noise", "moving_noise": "noise .01"}

BETWEEN = (0.6, 0.8)
"""A gradient lies between two targets at right angles if its cosine with the nearer is in here:
1/sqrt(2) half-way, 1 if it points to one of them."""

BEGIN = 0.1
"""The share of a run after which coming near is looked at: D knows nothing before."""

NEAR = 0.02
"""Fakes nearer than this to a real have arrived: no direction is left to point in."""


def target_cosines(
    gradient: np.ndarray, fake: np.ndarray, real: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of each gradient `[m, 2]` with the directions to its targets: largest, second `[m]`.

    Reals that are one point count once; NaN where there is no gradient.
    """
    targets = np.unique(real, axis=0)
    each = np.stack([cosines(gradient, target - fake) for target in targets], axis=1)
    ordered = np.sort(np.where(np.isnan(each), -np.inf, each), axis=1)
    ordered[~np.isfinite(ordered)] = np.nan
    return ordered[:, -1], ordered[:, -2]


def _at(run: Run, step: int) -> Row:
    stored = run.folder.arrays("pairs", step)
    nearest, second = target_cosines(stored["fake_gradient"], stored["fake"], stored["real"])
    away = cdist(stored["fake"], stored["real"]).min(axis=1)
    going = away > NEAR
    return {
        "cosine": float(np.nanmean(nearest[going])) if going.any() else float("nan"),
        "cosine_second": float(np.nanmean(second[going])) if going.any() else float("nan"),
        "distance": float(away.mean()),
        "w1": wasserstein(stored["fake"], stored["real"]),
    }


def _course(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps, mean cosine with the nearest target, and W1 between fakes and reals."""
    steps = [s for s in run.folder.array_steps("pairs") if BEGIN * run.step <= s <= run.step]
    found = [_at(run, s) for s in steps]
    return (
        np.array(steps),
        np.array([f["cosine"] for f in found]),
        np.array([f["w1"] for f in found]),
    )


def _measure(panels: Panels) -> list[Row]:
    rows = []
    for runs in panels.values():
        for run in runs:
            row: Row = {"panel": run.panel, "seed": run.seed, "state": run.state}
            row |= _at(run, run.step)
            if run.panel in MOVING:
                _, cosine, distance = _course(run)
                row["correlation"] = rank_correlation(cosine, distance)
            rows.append(row)
    return rows


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, where both are numbers; NaN for fewer than three or constants."""
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def _claims(rows: list[Row]) -> list[Claim]:
    where = "lipschitz, App. C"
    cosine = {panel: column(rows, panel, "cosine") for panel in FIXED}
    claims = [
        Claim(
            "without noise a gradient points between its targets (n = 2: cosine .707 with each)",
            inside(
                cosine["two"], *BETWEEN, quantity="mean cosine of grad f with the nearest target"
            ),
            where,
            paper=0.707,
        ),
        Claim(
            "so it does to the other target (n = 2)",
            inside(
                column(rows, "two", "cosine_second"),
                *BETWEEN,
                quantity="mean cosine of grad f with the second target",
            ),
            where,
            paper=0.707,
        ),
    ]
    claims += [
        Claim(
            f"noise on the fakes turns gradients to single targets ({FIXED[panel]})",
            paired_greater(
                cosine[f"{panel}_noise"],
                cosine[panel],
                quantity="mean cosine with the nearest target, with noise minus without",
            ),
            where,
        )
        for panel in ("two", "four")
    ]
    claims += [
        Claim(
            f"the nearer p_G is to p_data, the better gradients point to one target ({name})",
            less(
                column(rows, panel, "correlation"),
                0.0,
                quantity="rank correlation of cosine and W1 between fakes and reals, along a run",
            ),
            where,
        )
        for panel, name in MOVING.items()
    ]
    return claims


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7.0, 4.6), layout="constrained")
    top, bottom = np.ravel(figure.subfigures(2, 1, height_ratios=[1.1, 1], squeeze=False))
    grid = top.subplots(1, 4, sharex=True, sharey=True)
    for axes, (panel, name) in zip(grid, FIXED.items(), strict=True):
        if not panels[panel]:
            empty(axes, name)
            continue
        run = panels[panel][0]
        at_grid, stored = run.arrays("surface"), run.arrays("pairs")
        axis, fake = at_grid["axis"], stored["fake"]
        real = np.unique(stored["real"], axis=0)
        size = np.linalg.norm(stored["fake_gradient"], axis=1, keepdims=True)
        unit = np.divide(
            stored["fake_gradient"], size, out=np.zeros_like(fake), where=size > 0
        )  # fmt: skip
        axes.contourf(axis, axis, at_grid["logit"], levels=14, cmap=SURFACE)
        axes.scatter(*real.T, s=18, c=REAL, edgecolors="black", linewidths=0.3, label="real")
        axes.scatter(
            *fake.T, s=18, c=FAKE, marker="^", edgecolors="black", linewidths=0.3, label="fake"
        )
        axes.quiver(*fake[:16].T, *unit[:16].T, color="black", width=0.008, scale=6, zorder=3)
        cosine = np.nanmean(column(rows, panel, "cosine"))
        axes.set_title(f"{name}\ncosine {cosine:.2f}")
        axes.set_xlim(axis[0], axis[-1])
        axes.set_ylim(axis[0], axis[-1])
        axes.set_aspect("equal")
    handles, labels = grid[0].get_legend_handles_labels()
    if handles:
        handles += grid[0].plot([], [], color="black", marker=">", markersize=3, linewidth=0.8)
        top.legend(
            handles, [*labels, "direction of grad f at a fake"], loc="outside upper center", ncols=3
        )
    cosine_axes, distance_axes = bottom.subplots(1, 2, sharex=True)
    for (panel, name), colour in zip(MOVING.items(), ("black", "#D55E00"), strict=True):
        courses = [_course(run) for run in panels[panel]]
        if not courses:
            continue
        steps = courses[0][0]
        for axes, which in ((cosine_axes, 1), (distance_axes, 2)):
            for course in courses:
                axes.plot(steps, course[which], color=colour, linewidth=0.4, alpha=0.6)
            mean = np.nanmean([course[which] for course in courses], axis=0)
            axes.plot(steps, mean, color=colour, linewidth=1.5, label=name)
    cosine_axes.set_title("moving fakes: cosine of grad f with the nearest target")
    distance_axes.set_title("moving fakes: W1 to the reals")
    for axes in (cosine_axes, distance_axes):
        axes.set_xlabel("iteration")
    cosine_axes.axhline(np.sqrt(0.5), color="black", linewidth=0.6, linestyle=":")
    distance_axes.legend(frameon=False)
    return figure


ENTRY = Entry(_measure, _claims, _draw)
