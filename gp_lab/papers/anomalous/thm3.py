"""anomalous, Theorem 3: convex combinations of training data under the Lipschitz bound."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, Test, computed, greater, share_of
from gp_lab.figures.entry import Arrays, Entry, Run, Runs
from gp_lab.figures.plots import legend_above, panels
from gp_lab.figures.style import new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.theory.anomalous import convex_bound

ROUNDING = 1e-9
"""Float64's error in f; a bound that is missed by less is not violated."""

MOST = 0.5
"""The bound says something if it is not vacuous for this share of the pairs."""

HIGH = 0.9
"""Combinations score as real "with high probability" above this share."""


def bounds(arrays: Arrays) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Distances of the pairs, the certified bound, that with the steepest slope met; that slope."""
    f1, f2, share = arrays["f1"], arrays["f2"], arrays["share"]
    distance = np.linalg.norm((arrays["x1"] - arrays["x2"]).reshape(len(share), -1), axis=1)
    chords = np.abs(f1 - f2)[distance > 0] / distance[distance > 0]
    steepest = float(max(arrays["slope"].max(), chords.max(initial=0.0)))
    certified, seen = (
        convex_bound(f1, f2, share, distance, slope)
        for slope in (float(arrays["lipschitz"]), steepest)
    )
    return distance, certified, seen, steepest


def measure(run: Run) -> Row:
    arrays = run.arrays("mixtures")
    distance, certified, seen, steepest = bounds(arrays)
    mixed = arrays["f_mixed"]
    assumed = (arrays["f1"] > 0) & (arrays["f2"] > 0)
    near = distance <= np.quantile(distance, 0.25)
    return {
        "lipschitz": float(arrays["lipschitz"]),
        "steepest": steepest,
        "slack_min": float((mixed - certified).min()),
        "violations": int((mixed < certified - ROUNDING).sum()),
        "not_real": int((mixed[certified > 0] <= 0).sum()),
        "not_vacuous": float((certified > 0).mean()),
        "not_vacuous_near": float((certified > 0)[near].mean()),
        "not_vacuous_steepest": float((seen > 0).mean()),
        "assumption_2": float(assumed.mean()),
        "real": float((mixed > 0).mean()),
        "real_assumed": float((mixed > 0)[assumed].mean()) if assumed.any() else np.nan,
    }


def claims(table: Table) -> list[Claim]:
    broken = table.column("slack_min") <= -ROUNDING
    not_real = table.column("not_real") > 0
    never = "share of runs in which f(combination) is above its bound for all pairs"
    real = "share of runs without a pair whose bound is positive and whose combination scores fake"
    text = "the bound of Eq. 11 is never violated, with a certified L"
    found = [Claim(text, _never(broken, never), "anomalous, Theorem 3, Eq. 11")]
    text = "where the bound is not vacuous the combination scores as real"
    found.append(Claim(text, _never(not_real, real), "anomalous, Theorem 3"))
    positive = "share of pairs with a positive bound"
    both = "share of f(combination) > 0 among pairs with f > 0 at both"
    for title, values in table.by("method", "not_vacuous").items():
        text = f"{title}: the certified bound is not vacuous for most pairs (above {MOST:.0%})"
        test = greater(values, MOST, quantity=positive)
        found.append(Claim(text, test, "anomalous, Theorem 3"))
        text = (
            f"{title}: combinations of training data that score as real do so, too, with high"
            f" probability (above {HIGH:.0%})"
        )
        test = greater(table.by("method", "real_assumed")[title], HIGH, quantity=both)
        found.append(Claim(text, test, "anomalous, sec. 4.3"))
    return found


def _never(broken: np.ndarray, quantity: str) -> Test:
    """One run with a counter-example refutes it; without one, the exact test of a share."""
    if broken.any():
        return computed(int(broken.sum()), below=1, quantity="runs with a counter-example")
    return share_of(~broken, HIGH, quantity=quantity)


def draw(runs: Runs, table: Table) -> Figure:
    def shares(axes: Axes, run: Run) -> str:
        _shares(axes, [seed.arrays("mixtures") for seed in runs.at(**run.cell)])
        return f"not vacuous: {np.nanmean(table.values('not_vacuous', **run.cell)):.1%}"

    methods = runs.grid.named("method")
    figure, grid = new_panels(2, len(methods), 4.4)
    panels(grid[0], runs, methods, _scatter)
    panels(grid[1], runs, methods, shares)
    grid[0, 0].set_ylabel("f(combination)")
    grid[1, 0].set_ylabel("share of pairs")
    legend_above(figure, grid.flat, "upper center", ncols=3)
    return figure


def _scatter(axes: Axes, run: Run) -> str:
    arrays = run.arrays("mixtures")
    (_, certified, _, _), mixed = bounds(arrays), arrays["f_mixed"]
    axes.scatter(certified, mixed, s=3, c="#0072B2", lw=0, label="a pair, first seed")
    reach = 1.1 * float(max(np.abs(mixed).max(), certified.max()))
    axes.plot([-reach, reach], [-reach, reach], color="black", lw=0.8, label="f = bound")
    axes.axhline(0, color="0.7", lw=0.6)
    axes.axvline(0, color="0.7", lw=0.6)
    # What lies farther left is as vacuous, however far a loose L puts it.
    axes.set(xlim=(-3 * reach, reach), ylim=(-reach, reach), xlabel="bound, Eq. 11")
    axes.locator_params(axis="x", nbins=4)
    return f"L = {float(arrays['lipschitz']):.3g}"


def _shares(axes: Axes, of_runs: list[Arrays]) -> None:
    """Shares over the distance of the pairs, all seeds together, ten bins of as many pairs."""
    found = [bounds(arrays)[:3] for arrays in of_runs]
    distance, certified, seen = (np.concatenate(x) for x in zip(*found, strict=True))
    mixed = np.concatenate([arrays["f_mixed"] for arrays in of_runs])
    edges = np.quantile(distance, np.linspace(0, 1, 11))
    which = np.clip(np.searchsorted(edges, distance, side="right") - 1, 0, 9)
    bins = [which == b for b in np.unique(which)]
    middles = [distance[inside].mean() for inside in bins]
    for values, colour, style, label in (
        (mixed, "#0072B2", "o-", "combination scores as real"),
        (seen, "#E69F00", "s--", "bound > 0 with the steepest slope met for L"),
        (certified, "black", "^-", "bound > 0 with the certified L"),
    ):
        share = [(values > 0)[inside].mean() for inside in bins]
        axes.plot(middles, share, style, color=colour, ms=3, lw=0.9, label=label)
    axes.set(ylim=(-0.05, 1.05), xlabel="|x₁ − x₂|")


ENTRY = Entry(measure, claims, draw)
