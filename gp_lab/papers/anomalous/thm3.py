"""anomalous, Theorem 3: convex combinations of training data under the Lipschitz bound."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import SHARE, Claim, Test, computed, greater, share_of, stated
from gp_lab.figures.entry import Arrays, Entry, Run, Runs
from gp_lab.figures.plots import legend_above, panels
from gp_lab.figures.style import new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.theory.anomalous import convex_bound

ROUNDING = 1e-9
"""Float64's error in f; a bound that is missed by less is not violated."""

DELTA = 0.06
"""The theorem is of pairs within delta: here those of one mode. Two of its points, of standard
deviation .02 / 1.414, lie nearer in 99 % of the draws; the next mode is 1.08 away."""

MOST = 0.5
"""The theorem says something if its premise is met by this share of the pairs within delta."""

HIGH = 0.9
"""Combinations score as real "with high probability" above this share."""


def bounds(arrays: Arrays) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Distances of all pairs; Eq. 11 with each pair's own distance for delta, by the certified L
    and by the steepest slope met; that slope."""
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
    distance, _, _, steepest = bounds(arrays)
    slope, near = float(arrays["lipschitz"]), distance <= DELTA
    f1, f2, share, mixed = (arrays[name][near] for name in ("f1", "f2", "share", "f_mixed"))
    slack = mixed - convex_bound(f1, f2, share, np.full(len(share), DELTA), slope)
    epsilon, away = np.minimum(f1, f2), DELTA * np.minimum(share, 1 - share)
    meets = epsilon > slope * away
    return {
        "lipschitz": slope,
        "steepest": steepest,
        "pairs_near": int(near.sum()),
        "share_near": float(near.mean()),
        "slack_min": float(slack.min()) if near.any() else np.nan,
        "violations": int((slack < -ROUNDING).sum()),
        "premise_pairs": int(meets.sum()),
        "not_real": int((mixed[meets] <= 0).sum()),
        "premise": _share_of(meets),
        "premise_steepest": _share_of(epsilon > steepest * away),
        "assumption_2": _share_of(epsilon > 0),
        "real": _share_of(mixed > 0),
        "real_assumed": _share_of(mixed[epsilon > 0] > 0),
        "real_of_any": _share_of(arrays["f_mixed"][np.minimum(arrays["f1"], arrays["f2"]) > 0] > 0),
    }


def _share_of(values: np.ndarray) -> float:
    """Of those that are true; NaN of nothing."""
    return float(values.mean()) if len(values) else np.nan


def claims(table: Table) -> list[Claim]:
    slack, not_real = table.column("slack_min"), table.column("not_real")
    looked, with_premise = ~np.isnan(slack), table.column("premise_pairs") > 0
    of = f"share of runs, of those with a pair within {DELTA}"
    never = f"{of}, in which f(combination) is above the bound for all such pairs"
    real = f"{of} that meets the premise, in which all such combinations score as real"
    within = f"pairs within {DELTA}"
    # Theorems hold of dead networks, too: no `about`.
    found = stated("anomalous, Theorem 3, Eq. 11", {
        f"{within}: the bound of Eq. 11 is never violated, with a certified L":
            _never(slack[looked] <= -ROUNDING, never),
    }) + stated("anomalous, Theorem 3", {
        f"{within}: where epsilon > L delta min(lambda, 1 - lambda), the combination scores as"
        " real":
            _never(not_real[with_premise] > 0, real),
    })  # fmt: skip
    positive = f"share of {within}, of those with f > 0 at both, that meet the premise"
    both = "share of f(combination) > 0 among all pairs, of any two modes, with f > 0 at both"
    for method, title in table.grid.titles("method").items():
        of_any = table.values("real_of_any", method=method)
        found += stated("anomalous, Theorem 3", {
            f"{title}: the theorem is not vacuous for most {within} that score as real (above"
            f" {MOST:.0%})":
                greater(not_vacuous(table, method), MOST, quantity=positive, within=SHARE),
        }, about={"method": method})  # fmt: skip
        found += stated("anomalous, sec. 4.3", {
            f"{title}: combinations of any two points that score as real do so, too, with high"
            f" probability (above {HIGH:.0%})":
                greater(of_any, HIGH, quantity=both, within=SHARE),
        }, about={"method": method})  # fmt: skip
    return found


def not_vacuous(table: Table, method: str) -> np.ndarray:
    """By seed [n]: of the near pairs that score as real, the share that meets the premise."""
    meets, real = (np.array(table.values(q, method=method)) for q in ("premise", "assumption_2"))
    with np.errstate(invalid="ignore"):
        return np.asarray(meets / real)


def _never(broken: np.ndarray, quantity: str) -> Test:
    """One run with a counter-example refutes it; without one, the exact test of a share."""
    if broken.any():
        return computed(int(broken.sum()), below=1, quantity="runs with a counter-example")
    return share_of(~broken, HIGH, quantity=quantity)


def draw(runs: Runs, table: Table) -> Figure:
    def shares(axes: Axes, run: Run) -> str:
        _shares(axes, [seed.arrays("mixtures") for seed in runs.at(**run.cell)])
        share = np.nanmean(not_vacuous(table, run.cell["method"]))
        return f"not vacuous: {share:.0%} of\nreal pairs below δ"

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
    axes.axvline(DELTA, color="0.7", lw=0.8, ls=":", label=f"δ = {DELTA}")
    axes.set(ylim=(-0.05, 1.05), xlabel="|x₁ − x₂|")


ENTRY = Entry(measure, claims, draw)
