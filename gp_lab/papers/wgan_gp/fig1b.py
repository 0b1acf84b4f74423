"""wgan_gp, Fig. 1b: gradients through deep critics, and where their weights lie."""

from functools import partial
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, Test, Verdict, paired_greater, share_of, stated, undecided
from gp_lab.figures.entry import Arrays, Entry, Run, Runs
from gp_lab.figures.plots import legend_above, panel
from gp_lab.figures.style import new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.runs.folder import State

CLIPPING = {"clipping_1e-1": 0.1, "clipping_1e-2": 0.01, "clipping_1e-3": 0.001}
OTHERS = ("l2_clipping", "weight_norm", "l1_decay", "l2_decay")
COLOURS = ("#D55E00", "#E69F00", "#CC79A7", "#56B4E9", "#009E73", "0.6", "black", "#0072B2")
"""Of the methods, in their order."""

HISTOGRAMS = ("clipping_1e-2", "penalty", "l2_decay", "weight_norm")
"""Whose weights are drawn."""

STEEP = 0.5
"""A slope of the log norm beyond this is called exponential: 1.65 a layer, 245 from the last hidden
layer of twelve to the first."""

VANISH, EXPLODE, NEITHER = "vanish", "explode", "neither"
"""What gradients do on their way back to the input."""

PUSHED = 0.01
"""Training pushes weights to +-c if so much more of them lies within 1 % of it than when the
initial weights have just been clipped, which puts all those there that are larger."""


def measure(run: Run) -> Row:
    norms = run.arrays("layers")["after"]
    row: Row = {
        "slope": slope(norms),
        "gradients": behaviour(slope(norms)),
        "norm_first": float(norms[0]),
        "norm_last": float(norms[-1]),
        "layers_without_gradient": int((norms == 0).sum()),
    }
    if c := CLIPPING.get(run.cell["method"]):
        row["share_at_bound"] = share_at_bound(run.arrays("weights"), c)
        row["share_at_bound_untrained"] = share_once_clipped(run.arrays("weights", 0), c)
    return row


def slope(norms: np.ndarray) -> float:
    """Slope of the natural log of gradient norms `[layers]`, input first, a layer (least squares).

    Positive: gradients vanish on the way back to the input. One that has underflown or overflown
    counts as the smallest or largest number of float32; NaN if there is none in any layer, or one
    is NaN.
    """
    if not (norms > 0).any() or np.isnan(norms).any():
        return float("nan")
    known = np.clip(norms, np.finfo(np.float32).tiny, np.finfo(np.float32).max)
    return float(np.polyfit(np.arange(len(norms)), np.log(known), 1)[0])


def behaviour(slope: float) -> str:
    """What gradients of this slope do; "" where it is not defined."""
    if np.isnan(slope):
        return ""
    return NEITHER if abs(slope) <= STEEP else VANISH if slope > 0 else EXPLODE


def share_at_bound(weights: Arrays, c: float) -> float:
    """Share of all weights within 1 % of +-c, from what the probe `weights` stores.

    `extreme` is the share within 1 % of a tensor's own largest weight: that one is c where the
    tensor reaches it; no weight of a tensor that does not reach c counts.
    """
    reaches = weights["largest"] >= (1 - 1e-5) * c
    of_tensor = weights["counts"].sum(axis=1)
    return float((of_tensor * weights["extreme"] * reaches).sum() / of_tensor.sum())


def share_once_clipped(weights: Arrays, c: float) -> float:
    """Share of all weights that are within 1 % of +-c when they have been clipped to it.

    The probe's bins are a tensor's own; within each its weights are taken to lie evenly.
    """
    there = 0.0
    for edges, counts, largest in zip(
        weights["edges"], weights["counts"], weights["largest"], strict=True
    ):
        if largest < 0.99 * c:  # biases that are 0, in a bin as wide as any
            continue
        below = np.concatenate([[0], np.cumsum(counts)])
        low, high = np.interp([-0.99 * c, 0.99 * c], edges, below)
        there += low + below[-1] - high
    return float(there / weights["counts"].sum())


def claims(table: Table) -> list[Claim]:
    """Dead networks excuse none (no `about=`): a gradient that has vanished is what they claim.

    That training does nothing to weights is undecided where no gradient reaches them.
    """
    at_bound = "share of weights within 1 % of +-c, minus that of the initial weights, clipped"
    others = table.grid.titles("method", OTHERS)
    beyond = f"(beyond {STEEP:g} a layer)"
    return [
        *stated("wgan_gp, Fig. 1b and sec. 3.2", {
            f"clipping at {c:g}: gradients vanish or explode exponentially {beyond}":
                _on_most_seeds(table, method, VANISH, EXPLODE)
            for method, c in CLIPPING.items()
        } | {
            f"with the penalty they do neither (within {STEEP:g} a layer)":
                _on_most_seeds(table, "penalty", NEITHER),
        }),
        *stated("wgan_gp, Fig. 1b, right", {
            f"clipping at {c:g}: training pushes weights to the two ends of their range":
                _where_it_trains(table, m, paired_greater(
                    table.values("share_at_bound", method=m),
                    table.values("share_at_bound_untrained", method=m),
                    PUSHED, quantity=at_bound))
            for m, c in CLIPPING.items()
        }),
        *stated("wgan_gp, sec. 3", {
            f"{title}: a similar problem {beyond}": _on_most_seeds(table, method, VANISH, EXPLODE)
            for method, title in others.items()
        }),
    ]  # fmt: skip


def seen(table: Table, method: str) -> list[str]:
    """What gradients do, by run: they explode in one that diverged, and never vanish there.

    A run without a slope, or one that failed, says nothing and is left out.
    """
    rows = table.at(method=method).rows
    found = [
        EXPLODE if row["state"] == State.DIVERGED else str(row.get("gradients", "")) for row in rows
    ]
    return [what for what in found if what]


def _on_most_seeds(table: Table, method: str, *wanted: str) -> Test:
    """Do its gradients do what is wanted on most seeds? Exact; the quantity counts all that is."""
    found = seen(table, method)
    diverged = sum(row["state"] == State.DIVERGED for row in table.at(method=method).rows)
    counts = ", ".join(f"{found.count(what)} {what}" for what in (VANISH, EXPLODE, NEITHER))
    said = f"share of seeds: {' or '.join(wanted)} ({counts}; {diverged} diverged)"
    return share_of([what in wanted for what in found], quantity=said)


def _where_it_trains(table: Table, method: str, test: Test) -> Test:
    found = seen(table, method)
    vanished = found.count(VANISH)
    if test.verdict == Verdict.SUPPORTED or vanished <= len(found) / 2:
        return test
    return undecided(test, f"its gradients vanish on {vanished} of {len(found)} seeds")


def draw(runs: Runs, table: Table) -> Figure:
    titles = runs.grid.titles("method")
    colours = dict(zip(titles, cycle(COLOURS), strict=False))
    figure, grid = new_panels(2, 3, 5.0)
    for axes, methods, title in (
        (grid[0, 0], (*CLIPPING, "penalty"), "clipping and penalty"),
        (grid[1, 0], [m for m in titles if m not in CLIPPING], "other constraints and penalty"),
    ):
        notes = list[str]()
        for method in methods:
            for run in runs.at(method=method)[:1]:
                norms = run.arrays("layers")["after"]
                layer, shown = np.arange(1, len(norms) + 1), np.where(norms > 0, norms, np.nan)
                look = {"color": colours[method], "label": titles[method]}
                axes.semilogy(layer, shown, "o-", ms=2, lw=1, **look)
                if zeros := layer[norms == 0].tolist():
                    dead = "\n(dead networks)" if table.dead({"method": method}) else ""
                    layers = f"exactly 0 in layers {zeros[-1]} to {zeros[0]}"
                    notes.append(f"{titles[method]}:\n{layers}{dead}")
        axes.text(0.03, 0.03, "\n".join(notes), fontsize=6, transform=axes.transAxes)
        axes.set(xlim=(12.6, 0.4), xticks=[1, 4, 7, 10], title=title)
        axes.set(xlabel="hidden layer of the critic", ylabel="gradient norm")
    for axes, method in zip(grid[:, 1:].flat, HISTOGRAMS, strict=True):
        weights = partial(_histogram, colour=colours[method])
        panel(axes, runs.first(method=method), f"weights: {titles[method]}", weights)
    legend_above(figure, grid[:, 0], "upper center", ncols=4)
    figure.supxlabel(
        "gradients are those of the critic's loss with respect to a hidden layer's output;"
        " the lower row is not in the paper's figure", fontsize=7,
    )  # fmt: skip
    return figure


def _histogram(axes: Axes, run: Run, colour: str) -> None:
    """The weights between hidden layers, all but a few thousand of its weights."""
    stored = run.arrays("weights")
    inner = stored["counts"].sum(axis=1) > 0.01 * stored["counts"].sum()
    counts, edges = stored["counts"][inner], stored["edges"][inner]
    end = float(stored["largest"][inner].max())
    bins = np.linspace(-end, end, 61)
    # The layers' own bins differ: within each the weights are taken to lie evenly.
    below = sum(
        np.interp(bins, own, np.concatenate([[0], np.cumsum(n)]))
        for own, n in zip(edges, counts, strict=True)
    )
    axes.stairs(np.diff(below) / counts.sum(), bins, fill=True, color=colour)
    axes.set(yscale="log", ylim=(1e-4, 1), xlabel="weight between hidden layers", ylabel="share")
    axes.locator_params(axis="x", nbins=4)


ENTRY = Entry(measure, claims, draw)
