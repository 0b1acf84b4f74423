# ruff: noqa: N999
"""lipschitz, App. C: gradients at fakes that have several targets, with and without noise."""

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from gp_lab.evaluation.points import cosines, wasserstein
from gp_lab.figures.claims import (
    COSINE,
    Claim,
    inside,
    less,
    paired_greater,
    stated,
    undecided,
)
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import band, legend_above, panels
from gp_lab.figures.style import panels_above_curves
from gp_lab.figures.table import Row, Table
from gp_lab.papers.lipschitz._scene import draw_plane, draw_units, known_mean

BETWEEN = (0.6, 0.8)
"""A gradient lies between two targets at right angles if its cosine with the nearer is in here:
1/sqrt(2) half-way, 1 if it points to one of them."""

BEGIN = 0.1
"""The share of a run after which coming near is looked at: D knows nothing before."""

APPROACH = 0.5
"""Fakes come near along a run if no more than this of W1's first quarter is left in the last."""

NEAR = 0.02
"""Fakes nearer than this to a real have arrived: no direction is left to point in."""

COLOURS = {"0": "black", "0.01": "#D55E00"}


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


def measure(run: Run) -> Row:
    row = _at(run, run.step)
    if run.cell["fakes"] == "moving":
        _, found = _course(run)
        row["correlation"] = rank_correlation(found["cosine"], found["w1"])
        row["w1_left"] = share_left(found["w1"])
    return row


def _at(run: Run, step: int) -> Row:
    stored = run.arrays("pairs", step)
    nearest, second = target_cosines(stored["fake_gradient"], stored["fake"], stored["real"])
    away = cdist(stored["fake"], stored["real"]).min(axis=1)
    return {
        "cosine": known_mean(nearest[away > NEAR]),
        "cosine_second": known_mean(second[away > NEAR]),
        "distance": float(away.mean()),
        "w1": wasserstein(stored["fake"], stored["real"]),
    }


def _course(run: Run) -> tuple[list[int], dict[str, np.ndarray]]:
    """Steps, and at each the mean cosine with the nearest target, and W1 from fakes to reals."""
    steps = [step for step in run.steps("pairs") if step >= BEGIN * run.step]
    found = [_at(run, step) for step in steps]
    return steps, {q: np.array([row[q] for row in found]) for q in ("cosine", "w1")}


def share_left(w1: np.ndarray) -> float:
    """W1 [k] along a run: its mean over the last quarter over that of the first."""
    first, *_, last = np.array_split(w1, 4)
    return float(last.mean() / first.mean()) if len(w1) >= 4 else float("nan")


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, where both are numbers; NaN for fewer than three or constants."""
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def claims(table: Table) -> list[Claim]:
    still, where = table.at(fakes="fixed"), "lipschitz, App. C"
    nearest, second = (
        still.values(quantity, targets="two", noise="0") for quantity in ("cosine", "cosine_second")
    )
    noisy = still.values("cosine_second", targets="two", noise="0.01")
    alone = {"fakes": "fixed", "targets": "two", "noise": "0"}
    of = "mean cosine of grad f with the"
    noise = "mean cosine with the nearest target, with noise minus without"
    along = "rank correlation of cosine and W1 between fakes and reals, along a run"
    middle = "without noise a gradient points in the middle of its targets (n = 2: cosine .707"
    found = stated(where, {
        f"{middle} with the nearest)":
            inside(nearest, *BETWEEN, quantity=f"{of} nearest target", within=COSINE),
        f"{middle} with the other)":
            inside(second, *BETWEEN, quantity=f"{of} second target", within=COSINE),
    }, paper=0.707, about=alone)  # fmt: skip
    found += stated(where, {
        "more strictly, it is a combination of the ways to both (n = 2: more of the way to the"
        " other one than with noise, which is said to leave none)":
            paired_greater(second, noisy, quantity=f"{of} second target, without noise minus with"),
    }, about={"fakes": "fixed", "targets": "two"})  # fmt: skip
    for targets, n in table.grid.titles("targets").items():
        without, with_noise = still.by("noise", "cosine", targets=targets).values()
        text = f"noise on the fakes turns gradients to single targets ({n})"
        test = paired_greater(with_noise, without, quantity=noise)
        found += stated(where, {text: test}, about={"fakes": "fixed", "targets": targets})
    for level, title in table.grid.titles("noise").items():
        values = table.values("correlation", fakes="moving", noise=level)
        text = f"the nearer p_G is to p_data, the better gradients point to one target ({title})"
        test = less(values, 0.0, quantity=along, within=COSINE)  # a correlation's range, too
        left = known_mean(np.array(table.values("w1_left", fakes="moving", noise=level)))
        if not left < APPROACH:
            why = (
                f"fakes arrive in the first {BEGIN:.0%} of the run: of W1 since {left:.0%} is left"
            )
            test = undecided(test, why)
        found += stated(where, {text: test}, about={"fakes": "moving", "noise": level})
    return found


def draw(runs: Runs, table: Table) -> Figure:
    def surface(axes: Axes, run: Run) -> str:
        at_grid, stored = run.arrays("surface"), run.arrays("pairs")
        axis, fake, real = at_grid["axis"], stored["fake"], np.unique(stored["real"], axis=0)
        draw_plane(axes, axis, axis, at_grid["logit"], real, fake, size=18)
        draw_units(axes, fake[:16], stored["fake_gradient"][:16], scale=6)
        nearest, second = (table.mean(q, **run.cell) for q in ("cosine", "cosine_second"))
        return f"mean cosine: nearest\ntarget {nearest:.2f}, second {second:.2f}"

    figure, ((*planes,),), (cosine, distance) = panels_above_curves(1, 4, 2, height=4.6)
    panels(planes, runs, runs.grid.named("targets", "noise", fakes="fixed"), surface)
    legend_above(planes[0].figure, planes, "upper center")
    for noise, colour in COLOURS.items():
        moving, title = runs.at(fakes="moving", noise=noise), runs.grid.title("noise", noise)
        for axes, quantity in ((cosine, "cosine"), (distance, "w1")):
            band(axes, moving, partial(_line, quantity), title, np.nanmean, color=colour)
    title = "moving fakes: cosine of grad f with the nearest target\n(dotted: half-way, .707)"
    cosine.set(title=title, xlabel="iteration")
    distance.set(title="moving fakes: W1 to the reals", xlabel="iteration", ylim=(0, None))
    cosine.axhline(np.sqrt(0.5), color="black", linewidth=0.6, linestyle=":")
    seeds = f"mean over seeds (shaded: range), after the first {BEGIN:.0%} of the run"
    legend_above(distance.figure, [distance], "lower center", title=seeds, title_fontsize=7)
    return figure


def _line(quantity: str, run: Run) -> tuple[list[int], np.ndarray]:
    steps, found = _course(run)
    return steps, found[quantity]


ENTRY = Entry(measure, claims, draw)
