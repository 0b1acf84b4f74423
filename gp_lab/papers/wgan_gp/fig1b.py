"""wgan_gp, Fig. 1b: gradients through deep critics, and where their weights lie."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, greater, less
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import empty, new_panels

CLIPPING = {"clipping_1e-1": 0.1, "clipping_1e-2": 0.01, "clipping_1e-3": 0.001}
OTHERS = {
    "l2_clipping": "L2 norm clipping",
    "weight_norm": "weight norm",
    "l1_decay": "L1 decay",
    "l2_decay": "L2 decay",
}
LABELS = {name: f"clipping, c = {c:g}" for name, c in CLIPPING.items()}
LABELS |= {"penalty": "gradient penalty", **OTHERS}
COLOURS = {
    "clipping_1e-1": "#D55E00",
    "clipping_1e-2": "#E69F00",
    "clipping_1e-3": "#CC79A7",
    "penalty": "#0072B2",
    "l2_clipping": "#56B4E9",
    "weight_norm": "#009E73",
    "l1_decay": "0.6",
    "l2_decay": "black",
}

STEEP = 0.5
"""A slope of the log norm beyond this is called exponential: 1.65 a layer, 400 over twelve."""

PILED_UP = 0.5
"""Weights pile up at +-c if more than this share lies within 1 % of it."""


def slope(norms: np.ndarray) -> float:
    """Slope of the natural log of gradient norms `[layers]`, input first, a layer (least squares).

    Positive: gradients vanish on the way back to the input. A gradient that has underflown counts
    as the smallest number of float32; NaN if there is none in any layer.
    """
    if not (norms > 0).any():
        return float("nan")
    floored = np.maximum(norms, np.finfo(np.float32).tiny)
    return float(np.polyfit(np.arange(len(norms)), np.log(floored), 1)[0])


def share_at_bound(counts: np.ndarray, largest: np.ndarray, extreme: np.ndarray, c: float) -> float:
    """Share of all weights within 1 % of +-c, from what the probe `weights` stores.

    counts `[tensors, bins]`, largest `[tensors]` and extreme `[tensors]`, the share within 1 % of
    the tensor's own largest weight: that one is c where the tensor reaches it; no weight of a
    tensor that does not reach c counts.
    """
    reaches = largest >= (1 - 1e-5) * c
    of_tensor = counts.sum(axis=1)
    return float((of_tensor * extreme * reaches).sum() / of_tensor.sum())


def _row(run: Run) -> Row:
    layers, weights = run.arrays("layers"), run.arrays("weights")
    norms = layers["after"]
    row: Row = {"panel": run.panel, "seed": run.seed, "state": run.state}
    row["slope"] = slope(norms)
    row["steepness"] = abs(row["slope"])
    row["norm_first"], row["norm_last"] = float(norms[0]), float(norms[-1])
    row["layers_without_gradient"] = int((norms == 0).sum())
    if run.panel in CLIPPING:
        counts, largest, extreme = (weights[k] for k in ("counts", "largest", "extreme"))
        row["share_at_bound"] = share_at_bound(counts, largest, extreme, CLIPPING[run.panel])
    return row


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def _claims(rows: list[Row]) -> list[Claim]:
    where, quantity = "wgan_gp, Fig. 1b and sec. 3.2", "|slope| of ln |gradient| a layer"
    claims = [
        Claim(
            f"clipping at {c:g}: gradients vanish or explode exponentially (beyond {STEEP:g})",
            greater(column(rows, name, "steepness"), STEEP, quantity=quantity),
            where,
        )
        for name, c in CLIPPING.items()
    ]
    claims.append(
        Claim(
            f"with the penalty they do neither (below {STEEP:g})",
            less(column(rows, "penalty", "steepness"), STEEP, quantity=quantity),
            where,
        )
    )
    claims += [
        Claim(
            f"clipping at {c:g}: weights pile up at the two ends of their range",
            greater(
                column(rows, name, "share_at_bound"),
                PILED_UP,
                quantity="share of weights within 1 % of +-c",
            ),
            "wgan_gp, Fig. 1b, right",
        )
        for name, c in CLIPPING.items()
    ]
    claims += [
        Claim(
            f"{label}: a similar problem (beyond {STEEP:g})",
            greater(column(rows, name, "steepness"), STEEP, quantity=quantity),
            "wgan_gp, sec. 3",
        )
        for name, label in OTHERS.items()
    ]
    return claims


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure, grid = new_panels(2, 3, 5.0)
    for axes, names, title in (
        (grid[0, 0], (*CLIPPING, "penalty"), "clipping and penalty"),
        (grid[1, 0], (*OTHERS, "penalty"), "other constraints"),
    ):
        axes.axhline(1, color="0.85", lw=0.5, zorder=0)
        for name in names:
            for run in panels.get(name, ())[:1]:
                norms = run.arrays("layers")["after"]
                layer = np.arange(1, len(norms) + 1)
                shown = np.where(norms > 0, norms, np.nan)
                axes.semilogy(
                    layer, shown, "o-", ms=2, lw=1, color=COLOURS[name], label=LABELS[name]
                )
        axes.set_xticks([1, 4, 7, 10])
        axes.set_xlim(12.6, 0.4)
        axes.set(title=title, xlabel="hidden layer of the critic", ylabel="gradient norm")
    histograms = ("clipping_1e-2", "penalty", "l2_decay", "weight_norm")
    places = (grid[0, 1], grid[0, 2], grid[1, 1], grid[1, 2])
    for axes, name in zip(places, histograms, strict=True):
        _histogram(axes, panels, name)
    found = [axes.get_legend_handles_labels() for axes in grid[:, 0]]
    unique = {label: handle for h, lab in found for handle, label in zip(h, lab, strict=True)}
    figure.legend(unique.values(), unique.keys(), loc="outside upper center", ncols=4)
    return figure


def _histogram(axes: Axes, panels: Panels, name: str) -> None:
    """The first run's weights between hidden layers, all but a few thousand of its weights."""
    if not panels.get(name):
        empty(axes, LABELS[name])
        return
    stored = panels[name][0].arrays("weights")
    inner = stored["counts"].sum(axis=1) > 0.01 * stored["counts"].sum()
    counts, edges = stored["counts"][inner], stored["edges"][inner]
    end = float(stored["largest"][inner].max())
    bins = np.linspace(-end, end, 61)
    # The layers' own bins differ: within each the weights are taken to lie evenly.
    below = np.sum(
        [
            np.interp(bins, own, np.concatenate([[0], np.cumsum(n)]))
            for own, n in zip(edges, counts, strict=True)
        ],
        axis=0,
    )
    axes.stairs(np.diff(below) / counts.sum(), bins, fill=True, color=COLOURS[name])
    axes.set(yscale="log", ylim=(1e-4, 1), title=f"weights: {LABELS[name]}")
    axes.set(xlabel="weight between hidden layers", ylabel="share")
    axes.locator_params(axis="x", nbins=4)


ENTRY = Entry(_measure, _claims, _draw)
