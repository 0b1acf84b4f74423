"""The robustness that zero_gp claims (contribution 4, secs. 5.2, 5.3, 6.2), as maps."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import (
    Claim,
    Test,
    greater,
    inside,
    less,
    paired_greatest,
    paired_sign,
    rank_correlations,
    stated,
    undecided,
)
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import learning_rate
from gp_lab.figures.style import heat_map, new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.launching.grid import Cell, Where
from gp_lab.papers.zero_gp._reading import MODES, centers, mode_scores, power

NO_POWER = 0.05
"""A discriminator that gives reals and fakes mean probabilities nearer than this has no power."""

FIG2: Where = {"optimizer": "sgd", "network": "relu_2x512", "dataset": "eight_gaussians"}

LOW, HIGH = "2", "128"
"""Dimensions that are compared."""

REGIONS: Mapping[str, Where] = {
    "lambda and learning rate": FIG2,
    "optimiser": {"optimizer": ("adam.5", "adam.9")},
    "architecture": {"network": ("relu_3x512", "tanh_2x64")},
}
"""Where a method is tried, by what is varied."""


NOTE = (
    "diverged, dead networks: in most seeds; regions: share of cells in which a seed"
    " keeps all 8 modes (dots: seeds, bars: mean)"
)


def measure(run: Run) -> Row:
    scores = mode_scores(run.arrays("samples")["fake"], centers(run))
    return scores | {"power": power(run.arrays("segments")["logit"])}


def modes_kept(table: Table, **cell: str) -> np.ndarray:
    """The modes of a cell by seed: 0 where it diverged, NaN where they are not known."""
    return np.array(table.values_or(0.0, "modes", **cell))


def all_kept(table: Table, **cell: str) -> np.ndarray:
    """Whether a cell keeps all modes, by seed: not where it diverged, NaN where it is not known."""
    known = modes_kept(table, **cell)
    return np.where(np.isnan(known), np.nan, known == MODES)


def share_kept(table: Table, method: str, *regions: Where, living: str = "") -> np.ndarray:
    """By seed [n], the share of the cells in which it keeps all modes; a diverged run keeps none.

    Of the cells in which the networks of the `living` method are. Without a penalty each lambda is
    the same run, which counts once for each. NaN for a seed that has neither finished nor diverged
    in one of them, and for all where there is no cell.
    """
    cells = [_with(table, method, cell) for cell in cells_of(table, *regions, living=living)]
    unknown = np.full(len(_seeds(table)), np.nan)
    return np.asarray(np.mean([all_kept(table, **cell) for cell in cells] or [unknown], axis=0))


def cells_of(table: Table, *regions: Where, living: str = "") -> list[Cell]:
    """The cells of 0-GP in these regions, less those in which the networks of the `living` method
    are dead in most seeds."""
    cells = [panel.cell for where in regions for panel in table.grid.at(method="zero_gp", **where)]
    return [c for c in cells if not (living and table.dead(_with(table, living, c)))]


def _with(table: Table, method: str, cell: Cell) -> Cell:
    """A cell of 0-GP with another method: of its lambda, or of the one that the method has."""
    rest = {axis: level for axis, level in cell.items() if axis not in ("method", "weight")}
    own = [panel.cell for panel in table.grid.at(method=method, **rest)]
    return next((c for c in own if c["weight"] == cell["weight"]), own[0])


def _seeds(table: Table) -> set[int]:
    return {row["seed"] for row in table.rows}


def claims(table: Table) -> list[Claim]:
    regions, largest = "the region in which all 8 modes are kept is", dict[str, Test]()
    titles = table.grid.titles("method")
    others = {method: title for method, title in titles.items() if method != "zero_gp"}
    quantity = "share of the cells with living networks in which a seed keeps all modes, 0-GP"
    for method, title in others.items():
        behind, cells = _behind(table, method, *REGIONS.values())
        where = "where its networks live: all settings"
        text = f"{regions} larger with 0-GP than with {title}, {where}"
        largest[text] = greater(-behind, 0.0, quantity=f"{quantity} minus {title} ({cells})")
    for varied, region in REGIONS.items():
        of = {method: _behind(table, method, region) for method in others}
        rivals = {f"{others[m]} ({cells})": behind for m, (behind, cells) in of.items()}
        test = paired_greatest(np.zeros(len(_seeds(table))), rivals, quantity=quantity)
        if dead := [others[m] for m, (behind, _) in of.items() if np.isnan(behind).all()]:
            test = undecided(test, f"no networks of {', '.join(dead)} live")
        text = f"{regions} the largest with 0-GP, where the others' networks live: {varied}"
        largest[text] = test
    cell = {**FIG2, "method": "zero_gp", "lr": "0.003"}
    of_lambda = {w: table.values("power", **cell, weight=w) for w in _weights(table)}
    ended = {w: powers for w, powers in of_lambda.items() if not np.isnan(powers).all()}
    if len(ended) < 3:  # of two every correlation is 1
        ended = of_lambda
    most = list(ended)[-1]
    correlations = rank_correlations([*map(float, ended)], np.transpose([*ended.values()]))
    power_of = "E D(real) - E D(fake) at the end"
    one_low, one_high, zero_high = (
        modes_kept(table, dataset="repeated_ring", method=method, dim=dim)
        for method, dim in (("one_gp", LOW), ("one_gp", HIGH), ("zero_gp", HIGH))
    )
    of_pairs = "share of seeds, of those on which the numbers differ, with more modes"
    in_low = f"{of_pairs} in {LOW} dimensions than in {HIGH}"
    with_zero_gp = f"{of_pairs} with 0-GP than with 1-GP"
    # Gradients that vanish are what a large lambda is about: no `about` there.
    return [
        *stated("zero_gp, contribution 4 and sec. 6.2", largest),
        *stated("zero_gp, sec. 5.2", {
            "the larger lambda, the less 0-GP's discriminator discriminates":
                less(correlations, 0.0, within=(-1, 1),
                     quantity=f"rank correlation of lambda ({', '.join(ended)}) and {power_of}"),
            f"as lambda grows 0-GP's discriminator loses its power (lambda {most})":
                inside(of_lambda[most], -NO_POWER, NO_POWER, within=(-1, 1), quantity=power_of),
        }),
        *stated("zero_gp, sec. 5.3", {
            f"1-GP keeps more modes in {LOW} dimensions than in {HIGH}":
                paired_sign(one_low, one_high, quantity=in_low),
            f"in {HIGH} dimensions 0-GP keeps more modes than 1-GP":
                paired_sign(zero_high, one_high, quantity=with_zero_gp),
        }, about={"dataset": "repeated_ring", "method": "one_gp", "dim": HIGH}),
    ]  # fmt: skip


def _behind(table: Table, method: str, *regions: Where) -> tuple[np.ndarray, str]:
    """By how much the `share_kept` with a method is above that with 0-GP, by seed [n], and in how
    many cells: those in which its networks live, for dead ones say nothing of a penalty."""
    mine, its = (share_kept(table, m, *regions, living=method) for m in ("zero_gp", method))
    living, every = (len(cells_of(table, *regions, living=of)) for of in (method, ""))
    return its - mine, f"{living} of {every}"


def _weights(table: Table) -> list[str]:
    """The lambdas of the maps."""
    return [weight for weight in table.grid.axes["weight"] if weight != "0"]


def draw(runs: Runs, table: Table) -> Figure:
    methods = {title: {"method": m} for m, title in table.grid.titles("method").items()}
    maps = [
        (axis, level)
        for varied in ("optimiser", "architecture")
        for axis, levels in REGIONS[varied].items()
        for level in levels
    ]
    rows = -(-(len(methods) + len(maps) + 1) // 3)
    figure, grid = new_panels(rows, 3, 2.2 * rows)
    panels = iter(grid.flat)
    none, *penalties = methods.items()
    network = table.title(network=str(FIG2["network"]))
    for name, method in penalties:
        lines = {"0 (none)": none[1]}
        lines |= {weight: {**method, "weight": weight} for weight in _weights(table)}
        axes = next(panels)
        _map(axes, runs, table, f"{name}, SGD, {network}", lines, FIG2)
        axes.set_ylabel("lambda")
    for axis, level in maps:
        title = f"{'SGD, ' * (axis == 'network')}{table.title(**{axis: level})}, lambda 10"
        cells = _map(next(panels), runs, table, title, methods, {axis: level})
    ring = {"dataset": "repeated_ring"}
    tried = {name: method for name, method in methods.items() if table.grid.at(**ring, **method)}
    title = f"ring repeated, lambda 10,\nSGD {learning_rate(runs, '0.003', **ring)}, {network}"
    _map(next(panels), runs, table, title, tried, ring, "dim", "dimension")
    axes = next(panels)
    for y, method in enumerate(methods.values()):
        sizes = share_kept(table, method["method"], *REGIONS.values())
        axes.barh(y, np.nan_to_num(np.mean(sizes)), color="0.8")
        axes.plot(sizes, np.full(len(sizes), y), "o", ms=2.5, color="black")
    axes.set_yticks(range(len(methods)), list(methods))
    axes.set(xlim=(-0.02, 1.02), xlabel="share of cells", title="regions, by seed")
    for left in panels:
        left.set_axis_off()
    figure.colorbar(cells, ax=grid, shrink=0.4, label="share of seeds that keep all 8 modes")
    figure.supxlabel(NOTE, fontsize=7)
    return figure


def _map(
    axes: Axes, runs: Runs, table: Table, title: str, lines: Mapping[str, Where], where: Where,
    across: str = "lr", label: str = "learning rate",
) -> Any:  # fmt: skip
    """The share of seeds that keep all modes: titled lines, a column for each level of an axis."""
    levels = list(dict.fromkeys(panel.cell[across] for panel in table.grid.at(**where)))
    shares = np.full((len(lines), len(levels)), np.nan)
    for y, line in enumerate(lines.values()):
        for x, level in enumerate(levels):
            modes = table.outcomes("modes", **{**where, **line, across: level})
            if len(modes):
                shares[y, x] = np.mean(modes == MODES)
            dead = table.dead({**where, **line, across: level})
            word = "diverged" if 2 * np.isnan(modes).sum() > len(modes) else "dead" if dead else ""
            axes.text(x, y - 0.33, word, ha="center", va="center", color="white", fontsize=5)
    titles = levels
    if across == "lr":
        titles = [learning_rate(runs, level, **where, lr=level) for level in levels]
    if titles != levels:  # the cells, which are named below the picture, have the paper's scale's
        titles = [f"{title}\n({level})" for title, level in zip(titles, levels, strict=True)]
        label = "rate (in the cell's name)"
    axes.set(title=title, xlabel=label)
    return heat_map(axes, shares, titles, list(lines))


ENTRY = Entry(measure, claims, draw, singles=False)
