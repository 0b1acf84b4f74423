"""lipschitz, Figs. 8 to 12: what makes LSGAN's surface complex: five settings and a factorial."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, greater
from gp_lab.papers.lipschitz.fig1 import at_fakes
from gp_lab.papers.lipschitz._scene import LEVELS
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import surface_over
from gp_lab.theory.surfaces import roughness

SETTINGS = {
    "fig8": "Fig. 8: Adam 1e-2\nReLU 1x1024",
    "fig9": "Fig. 9: Adam 1e-2\nReLU 4x1024",
    "fig10": "Fig. 10: Adam 1e-5\nReLU 4x1024",
    "fig11": "Fig. 11: SGD 1e-3\nSELU 64x1024",
    "fig12": "Fig. 12: SGD 1e-4\nSELU 64x128",
}

FACTORS = {
    "capacity": ("small", "large"),
    "activation": ("relu", "selu"),
    "optimiser": ("adam", "sgd"),
    "learning rate": ("fast", "slow"),
}
"""The factorial: of each factor the level that the paper calls simpler, then the other."""

SENTENCES = {
    "capacity": "a network of low capacity learns a simpler surface (1 against 4 layers)",
    "optimiser": "SGD learns a more complex surface than Adam",
    "learning rate": "a large learning rate learns a simpler surface (1e-2 against 1e-4)",
    "activation": "a strongly nonlinear activation gives a more complex surface (SELU, ReLU)",
}

WORDS = {
    "relu": "ReLU",
    "selu": "SELU",
    "adam": "Adam",
    "sgd": "SGD",
    "fast": "1e-2",
    "slow": "1e-4",
}
COLOURS = {"small": "#0072B2", "large": "#D55E00"}
LABELS = {"small": "1x1024", "large": "4x1024"}


def _row(run: Run) -> Row:
    return {
        "panel": run.panel,
        "seed": run.seed,
        "state": run.state,
        "roughness": roughness(run.arrays("surface")["logit"]),
    } | at_fakes(run)


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def effect(rows: list[Row], factor: str) -> np.ndarray:
    """By seed [n]: mean log2 roughness at the factor's second level minus that at its first.

    Over all combinations of the other factors; NaN for a seed of which one diverged.
    """
    place = list(FACTORS).index(factor)
    means = []
    for level in FACTORS[factor]:
        cells = [cell for cell in product(*FACTORS.values()) if cell[place] == level]
        found = [column(rows, "_".join(cell), "roughness") for cell in cells]
        with np.errstate(divide="ignore"):
            means.append(np.log2(np.array(found)).mean(0))
    return means[1] - means[0]


def _claims(rows: list[Row]) -> list[Claim]:
    return [
        Claim(
            sentence,
            greater(
                effect(rows, factor),
                0.0,
                quantity=f"log2 roughness, {LABELS.get(high, WORDS.get(high))} minus"
                f" {LABELS.get(low, WORDS.get(low))}, mean over the other factors",
            ),
            "lipschitz, App. G, Figs. 8 to 12",
        )
        for factor, sentence in SENTENCES.items()
        for low, high in [FACTORS[factor]]
    ]


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7.0, 5.9), layout="constrained")
    grid = figure.add_gridspec(4, 40, height_ratios=[1.25, 0.65, 0.65, 2.2])
    filled = None
    top = []
    for x, (panel, title) in enumerate(SETTINGS.items()):
        axes = figure.add_subplot(grid[0, 8 * x : 8 * x + 8])
        mean = _mean(column(rows, panel, "roughness"))
        filled = _thumbnail(axes, panels[panel], f"{title}\nroughness {mean:.2g}") or filled
        top.append(axes)
    cells = list(product(*(FACTORS[f] for f in ("activation", "optimiser", "learning rate"))))
    for y, capacity in enumerate(FACTORS["capacity"]):
        for x, cell in enumerate(cells):
            axes = figure.add_subplot(grid[1 + y, 5 * x : 5 * x + 5])
            _thumbnail(axes, panels["_".join((capacity, *cell))], "")
            if x == 0:
                axes.set_ylabel(LABELS[capacity])
    _draw_roughness(figure.add_subplot(grid[3, :]), rows, cells)
    if filled is not None:
        figure.colorbar(filled, ax=top, shrink=0.9, ticks=LEVELS[1::5], label="f")
    return figure


def _thumbnail(axes: Axes, runs: Sequence[Run], title: str) -> Any:
    """The surface of a panel's first run, without ticks; returns its colours."""
    axes.set_title(title, fontsize=7)
    axes.set_xticks([])
    axes.set_yticks([])
    if not runs:
        axes.text(0.5, 0.5, "no finished run", fontsize=5, ha="center", transform=axes.transAxes)
        return None
    at_grid = runs[0].arrays("surface")
    return surface_over(axes, at_grid["axis"], at_grid["axis_y"], at_grid["logit"], LEVELS, title)


def _draw_roughness(axes: Axes, rows: list[Row], cells: list[tuple[str, ...]]) -> None:
    for shift, capacity in ((-0.08, "small"), (0.08, "large")):
        for x, cell in enumerate(cells):
            found = column(rows, "_".join((capacity, *cell)), "roughness")
            axes.plot(
                [x + shift] * len(found), found, "o", ms=4, mec="black", mew=0.3,
                color=COLOURS[capacity], label=LABELS[capacity] if x == 0 else None,
            )  # fmt: skip
    axes.set_yscale("log")
    for place in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        place("{x:g}")
    axes.set_ylabel("roughness")
    axes.set_xlim(-0.5, len(cells) - 0.5)
    axes.set_xticks(range(len(cells)), ["\n".join(WORDS[w] for w in cell) for cell in cells])
    axes.legend(loc="best")
    texts = [f"{factor} {_mean(effect(rows, factor).tolist()):+.2f}" for factor in FACTORS]
    axes.set_title("the factorial; effects on log2 roughness: " + ", ".join(texts))


def _mean(values: list[float]) -> float:
    known = [v for v in values if not np.isnan(v)]
    return float(np.mean(known)) if known else float("nan")


ENTRY = Entry(_measure, _claims, _draw)
