"""lipschitz, Figs. 8 to 12: what makes LSGAN's surface complex: five settings and a factorial."""

from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, greater, paired_greatest, stated, undecided
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import colour_bar, learning_rate, legend_above, panel
from gp_lab.figures.style import COLOURS, points, surface
from gp_lab.figures.table import Row, Table
from gp_lab.launching.grid import Cell
from gp_lab.papers.lipschitz._scene import BAR, LEVELS, known_mean
from gp_lab.papers.lipschitz.fig1 import at_fakes
from gp_lab.theory.surfaces import roughness

FACTORS = {
    "capacity": ("1x1024", "4x1024"),
    "activation": ("relu", "selu"),
    "optimiser": ("adam", "sgd"),
    "rate": ("1e-2", "1e-4"),
}
"""The factorial: of each factor the level that the paper calls simpler, then the other."""

CELLS = [dict(zip(FACTORS, of, strict=True)) for of in product(*FACTORS.values())]

FIGURES = {
    "Fig. 8": ("1x1024", "relu", "adam", "1e-2"),
    "Fig. 9": ("4x1024", "relu", "adam", "1e-2"),
    "Fig. 10": ("4x1024", "relu", "adam", "1e-5"),
    "Fig. 11": ("64x1024", "selu", "sgd", "1e-3"),
    "Fig. 12": ("64x128", "selu", "sgd", "1e-4"),
}
"""The settings of the paper's figures: their levels of the factors."""

SIMPLE = ("Fig. 8", "Fig. 9", "Fig. 10")
COMPLEX = ("Fig. 11", "Fig. 12")
"""What the pictures of App. G show: the last two far more complex than the first three."""

FITTED = 0.1
"""Critics have learnt alike if both are nearer than this to the optimal one (root mean square at
reals and fakes): one that has learnt less is smoother for that."""

SENTENCES = {
    "capacity": "a network of low capacity learns a simpler surface (1 against 4 layers)",
    "optimiser": "SGD learns a more complex surface than Adam",
    "rate": "a large learning rate learns a simpler surface (an optimiser's larger or smaller)",
    "activation": "a strongly nonlinear activation gives a more complex surface (SELU, ReLU)",
}

SAMPLES = 25

SECOND = {"capacity": "4 layers", "activation": "SELU", "optimiser": "SGD", "rate": "small rate"}
"""The second level of each factor, whose effects are told."""

CAPTION = (
    "roughness: mean |second difference of f| along the axes of the grid over the range of f, 0 for"
    " a plane\n"
    "effect: + where this level is rougher than the other; over pairs of settings of which"
    f" both have a mean error of at most {FITTED:g}\n"
    "samples are drawn in the upper row only; all surfaces are over the same window, of one seed"
)


def measure(run: Run) -> Row:
    return {"roughness": roughness(run.arrays("surface")["logit"])} | at_fakes(run)


def effect(table: Table, factor: str) -> np.ndarray:
    """By seed [n]: mean log2 roughness at the factor's second level minus that at its first.

    Over the combinations of the other factors with which both levels have `FITTED`, NaN where there
    are none; NaN for a seed of which one diverged.
    """
    low, high = ([cell for cell in CELLS if cell[factor] == level] for level in FACTORS[factor])
    pairs = [
        pair for pair in zip(low, high, strict=True) if all(has_fitted(table, c) for c in pair)
    ]
    found = [
        [table.values("roughness", **cell) for cell in side] for side in zip(*pairs, strict=True)
    ]
    if not found:
        return np.full(len(table.values("roughness", **low[0])), np.nan)
    with np.errstate(divide="ignore"):
        simple, other = np.log2(found)
    return np.asarray(other.mean(0) - simple.mean(0))


def has_fitted(table: Table, cell: Cell) -> bool:
    """Whether a cell's critics have come to the optimal one, on average over seeds."""
    return known_mean(np.array(table.values("error", **cell))) <= FITTED


def claims(table: Table) -> list[Claim]:
    found = {}
    for factor, sentence in SENTENCES.items():
        low, high = table.grid.titles(factor, FACTORS[factor]).values()
        said = (
            f"log2 roughness, {high} minus {low}, mean over the other factors' settings that both"
            f" fit (error below {FITTED:g})"
        )
        found[sentence] = greater(effect(table, factor), 0.0, quantity=said)
    rivals = {name: log_roughness(table, name) for name in SIMPLE}
    # A network that is dead draws a plane, which is simple for another reason.
    seen = stated("lipschitz, App. G", found, about=FACTORS)
    for name in COMPLEX:
        text = f"{name}'s surface is more complex than each of Figs. 8 to 10"
        test = paired_greatest(
            log_roughness(table, name), rivals, quantity=f"log2 roughness, {name}"
        )
        about = [cell_of(figure) for figure in (*SIMPLE, name)]
        if rough := [
            figure for figure in (*SIMPLE, name) if not has_fitted(table, cell_of(figure))
        ]:
            test = undecided(test, f"{', '.join(rough)}: error above {FITTED:g}")
        seen += stated("lipschitz, App. G, Figs. 8 to 12", {text: test}, about=about)
    return seen


def log_roughness(table: Table, figure: str) -> np.ndarray:
    """By seed [n]: log2 roughness in one of the paper's figures."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log2(table.values("roughness", **cell_of(figure))))


def cell_of(figure: str) -> Cell:
    """The levels of one of the paper's figures."""
    return dict(zip(FACTORS, FIGURES[figure], strict=True))


def draw(runs: Runs, table: Table) -> Figure:
    """The paper's settings, the factorial's surfaces by capacity, and below them its roughness."""
    figure = Figure(figsize=(7.0, 7.0), layout="constrained")
    grid = figure.add_gridspec(4, 40, height_ratios=[1.25, 0.75, 0.65, 2.2])
    top = []

    def with_samples(axes: Axes, run: Run) -> str:
        _surface(axes, run)
        data = run.arrays("gradients")
        points(axes, data["real"], data["fake"], most=SAMPLES, s=7)
        return f"mean roughness\n{table.mean('roughness', **run.cell):.2g}"

    for x, name in enumerate(FIGURES):
        cell = cell_of(name)
        top.append(figure.add_subplot(grid[0, 8 * x : 8 * x + 8], xticks=[], yticks=[]))
        capacity, activation, *trained = _titles(runs, cell)
        title = f"{name}, {activation} {capacity}\n{' '.join(trained)}"
        panel(top[-1], runs.first(**cell), title, with_samples)
    for i, cell in enumerate(CELLS):
        y, x = divmod(i, len(CELLS) // 2)
        axes = figure.add_subplot(grid[1 + y, 5 * x : 5 * x + 5], xticks=[], yticks=[])
        capacity, *levels = _titles(runs, cell)
        if not panel(axes, runs.first(**cell), "" if y else "\n".join(levels), _surface):
            axes.texts[0].set_fontsize(5)
        axes.set_ylabel("" if x else capacity)
        axes.title.set_fontsize(7)
    _draw_roughness(figure.add_subplot(grid[3, :]), runs, table)
    colour_bar(top, location="bottom", shrink=0.4, aspect=40, **BAR)
    legend_above(figure, top, "upper center")
    figure.supxlabel(CAPTION, fontsize=7)
    return figure


def _surface(axes: Axes, run: Run) -> None:
    at = run.arrays("surface")
    surface(axes, at["axis"], at["axis_y"], at["logit"], LEVELS, extend="both")


def _draw_roughness(axes: Axes, runs: Runs, table: Table) -> None:
    axes.set_yscale("log")  # before the points: afterwards it would fail where there are none
    for capacity, colour, shift in zip(FACTORS["capacity"], COLOURS, (-0.08, 0.08), strict=False):
        cells = [cell for cell in CELLS if cell["capacity"] == capacity]
        for x, cell in enumerate(cells):
            found = table.values("roughness", **cell)
            axes.plot(
                [x + shift] * len(found), found, "o", ms=4, mec=colour, mew=0.8,
                color=colour if has_fitted(table, cell) else "white",
            )  # fmt: skip
        axes.plot([], [], "o", ms=4, color=colour, label=_titles(runs, cells[0])[0])
        axes.set_xticks(range(len(cells)), ["\n".join(_titles(runs, cell)[1:]) for cell in cells])
    hollow = f"hollow: mean error above {FITTED:g}"
    axes.plot([], [], "o", ms=4, mec="black", mew=0.8, color="white", label=hollow)
    for place in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        place("{x:g}")
    axes.set_ylabel("roughness")
    axes.set_xlim(-0.5, len(CELLS) / 2 - 0.5)
    axes.legend(loc="best")
    means = {factor: known_mean(effect(table, factor)) for factor in FACTORS}
    texts = ", ".join(f"{SECOND[factor]} {mean:+.2f}" for factor, mean in means.items())
    axes.set_title(f"factorial, not the paper's; mean effects on log2 roughness: {texts}")


def _titles(runs: Runs, cell: Cell) -> list[str]:
    """What a cell's levels are called; its rate is the one that it was trained with."""
    *titles, _ = (runs.grid.title(axis, level) for axis, level in cell.items())
    rate = float(learning_rate(runs, cell["rate"], **cell))
    return [*titles, np.format_float_scientific(rate, trim="-", exp_digits=1)]


ENTRY = Entry(measure, claims, draw)
