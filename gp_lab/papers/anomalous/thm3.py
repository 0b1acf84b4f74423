"""anomalous, Theorem 3: convex combinations of training data under the Lipschitz bound."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, Test, computed, greater, share_greater
from gp_lab.figures.registry import Arrays, Entry, Panels, Row, Run, column
from gp_lab.figures.style import empty
from gp_lab.theory.anomalous import convex_bound

TITLES = {
    "none": "no penalty",
    "one_gp": "1-GP",
    "zero_gp": "0-GP, logit",
    "spectral_norm": "spectral norm",
}

ROUNDING = 1e-9
"""Float64's error in f; a bound that is missed by less is not violated."""

MOST = 0.5
"""The bound says something if it is not vacuous for this share of the pairs."""

HIGH = 0.9
"""Combinations score as real "with high probability" above this share."""


def _bounds(arrays: Arrays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances of the pairs, the certified bound, and what the steepest slope met would give."""
    f1, f2, share = arrays["f1"], arrays["f2"], arrays["share"]
    n = len(share)
    distance = np.linalg.norm((arrays["x1"] - arrays["x2"]).reshape(n, -1), axis=1)
    certified = convex_bound(f1, f2, share, distance, float(arrays["lipschitz"]))
    return distance, certified, convex_bound(f1, f2, share, distance, _steepest(arrays, distance))


def _steepest(arrays: Arrays, distance: np.ndarray) -> float:
    chords = np.abs(arrays["f1"] - arrays["f2"])[distance > 0] / distance[distance > 0]
    return float(max(arrays["slope"].max(), chords.max(initial=0.0)))


def _row(run: Run) -> Row:
    arrays = run.arrays("mixtures")
    distance, certified, seen = _bounds(arrays)
    mixed = arrays["f_mixed"]
    assumed = (arrays["f1"] > 0) & (arrays["f2"] > 0)
    near = distance <= np.quantile(distance, 0.25)
    return {
        "panel": run.panel,
        "seed": run.seed,
        "state": run.state,
        "lipschitz": float(arrays["lipschitz"]),
        "steepest": _steepest(arrays, distance),
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


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def _never(broken: list[bool], quantity: str) -> Test:
    """One run with a counter-example refutes it; without one, the exact test of a share."""
    if any(broken):
        return computed(sum(broken), below=1, quantity="runs with a counter-example")
    return share_greater(len(broken), len(broken), HIGH, quantity=quantity)


def _claims(rows: list[Row]) -> list[Claim]:
    where = "anomalous, Theorem 3"
    found = [row for row in rows if "slack_min" in row]
    never = "share of runs in which f(combination) is above its bound for all pairs"
    real = "share of runs without a pair whose bound is positive and whose combination scores fake"
    claims = [
        Claim(
            "the bound of Eq. 11 is never violated, with a certified L",
            _never([r["slack_min"] <= -ROUNDING for r in found], never),
            f"{where}, Eq. 11",
        ),
        Claim(
            "where the bound is not vacuous the combination scores as real",
            _never([r["not_real"] > 0 for r in found], real),
            where,
        ),
    ]
    for panel, title in TITLES.items():
        claims += [
            Claim(
                f"{title}: the certified bound is not vacuous for most pairs (above {MOST:.0%})",
                greater(
                    column(rows, panel, "not_vacuous"),
                    MOST,
                    quantity="share of pairs with a positive bound",
                ),
                where,
            ),
            Claim(
                f"{title}: combinations of training data that score as real do so, too, with high"
                f" probability (above {HIGH:.0%})",
                greater(
                    column(rows, panel, "real_assumed"),
                    HIGH,
                    quantity="share of f(combination) > 0 among pairs with f > 0 at both",
                ),
                "anomalous, sec. 4.3",
            ),
        ]
    return claims


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7.0, 4.4), layout="constrained")
    grid = figure.subplots(2, len(TITLES))
    for (above, below), (panel, title) in zip(grid.T, TITLES.items(), strict=True):
        if not panels[panel]:
            for axes in (above, below):
                empty(axes, title)
            continue
        arrays = panels[panel][0].arrays("mixtures")
        _draw_scatter(above, arrays, title)
        _draw_shares(below, [run.arrays("mixtures") for run in panels[panel]])
        share = np.nanmean(column(rows, panel, "not_vacuous"))
        below.set_title(f"not vacuous: {share:.1%}")
    grid[0, 0].set_ylabel("f(combination)")
    grid[1, 0].set_ylabel("share of pairs")
    for axes in grid[0]:
        axes.set_xlabel("bound, Eq. 11")
    for axes in grid[1]:
        axes.set_xlabel("|x₁ − x₂|")
    drawn = [next((x for x in row if x.has_data()), row[0]) for row in grid]
    found = [axes.get_legend_handles_labels() for axes in drawn]
    handles, labels = ([x for part in parts for x in part] for parts in zip(*found, strict=True))
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def _draw_scatter(axes: Axes, arrays: Arrays, title: str) -> None:
    (_, certified, _), mixed = _bounds(arrays), arrays["f_mixed"]
    axes.scatter(certified, mixed, s=3, c="#0072B2", lw=0, label="a pair, first seed")
    reach = 1.1 * float(max(np.abs(mixed).max(), certified.max()))
    axes.plot([-reach, reach], [-reach, reach], color="black", lw=0.8, label="f = bound")
    axes.axhline(0, color="0.7", lw=0.6)
    axes.axvline(0, color="0.7", lw=0.6)
    # What lies farther left is as vacuous, however far a loose L puts it.
    axes.set(xlim=(-3 * reach, reach), ylim=(-reach, reach))
    axes.locator_params(axis="x", nbins=4)
    axes.set_title(f"{title}: L = {float(arrays['lipschitz']):.3g}")


def _draw_shares(axes: Axes, of_runs: list[Arrays]) -> None:
    """Shares over the distance of the pairs, all seeds together, ten bins of as many pairs."""
    found = [_bounds(arrays) for arrays in of_runs]
    distance, certified, seen = (np.concatenate(x) for x in zip(*found, strict=True))
    mixed = np.concatenate([arrays["f_mixed"] for arrays in of_runs])
    edges = np.quantile(distance, np.linspace(0, 1, 11))
    which = np.clip(np.searchsorted(edges, distance, side="right") - 1, 0, 9)
    for values, colour, style, label in (
        (mixed, "#0072B2", "o-", "combination scores as real"),
        (seen, "#E69F00", "s--", "bound > 0 with the steepest slope met for L"),
        (certified, "black", "^-", "bound > 0 with the certified L"),
    ):
        middle = [distance[which == b].mean() for b in range(10) if (which == b).any()]
        share = [(values > 0)[which == b].mean() for b in range(10) if (which == b).any()]
        axes.plot(middle, share, style, color=colour, ms=3, lw=0.9, label=label)
    axes.set_ylim(-0.05, 1.05)


ENTRY = Entry(_measure, _claims, _draw)
