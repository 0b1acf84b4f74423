"""zero_gp, Fig. 3: samples of GANs on MNIST under each penalty, and 0-GP's weight."""

import math
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, greater, rank_correlations, stated
from gp_lab.figures.entry import Entry, Runs
from gp_lab.figures.plots import panel
from gp_lab.figures.style import new_panels
from gp_lab.figures.table import Table
from gp_lab.papers.zero_gp._digits import (
    EARLY,
    LEGEND,
    both_looks,
    early,
    end,
    has_learnt,
    recognised,
    samples,
    unless,
)
from gp_lab.papers.zero_gp._reading import NO_LETTER
from gp_lab.probes.pictures import grid_picture

READS = (
    ("none", "0", False), ("zero_gp_sample", "100", False), ("one_gp", "100", False),
    ("zero_gp", "100", True), ("zero_gp", "100", False),
)  # fmt: skip
"""The paper's panels (a) to (e): a method, its weight, and whether it is looked at early."""

WEIGHTS = {method: weight for method, weight, _ in READS}

OTHERS = ("none", "zero_gp_sample", "one_gp")
"""What the paper holds against 0-GP."""

THEN = "after 1,000 iterations"


def by_weight(table: Table, quantity: str) -> tuple[list[int], np.ndarray]:
    """The weights [k] of 0-GP and a quantity [seeds, k] at each."""
    weights = [one.cell["weight"] for one in table.grid.at(method="zero_gp")]
    found = [table.values(quantity, method="zero_gp", weight=weight) for weight in weights]
    return [int(weight) for weight in weights], np.array(found).T


def claims(table: Table) -> list[Claim]:
    found, others = list[Claim](), table.grid.titles("method", OTHERS)

    where, zero_gp = "zero_gp, Fig. 3 and sec. 6.2", {"method": "zero_gp", "weight": "100"}
    cells = {name: {"method": m, "weight": WEIGHTS[m]} for m, name in others.items()}
    text = f"most samples of 0-GP are recognised {THEN}"
    zero_gp_is = recognised(table, zero_gp, True, text, where, EARLY)
    found.append(zero_gp_is)
    for name, cell in cells.items():
        text = f"most samples of {name} are not recognised {THEN}"
        found.append(unless(zero_gp_is, recognised(table, cell, False, text, where, EARLY)))
    text = f"0-GP has learnt, without mode collapse {THEN}"
    zero_gp_has = has_learnt(table, zero_gp, True, text, where, EARLY)
    found.append(zero_gp_has)
    for name, cell in cells.items():
        text = f"{name} has collapsed or has learnt nothing {THEN}"
        found.append(unless(zero_gp_has, has_learnt(table, cell, False, text, where, EARLY)))
    diverse = {}
    for quantity, what in (
        ("classifier_class_entropy", "the entropy of the samples' classes"),
        ("spread", "the mean distance of a sample to the nearest other one"),
    ):
        weights, values = by_weight(table, quantity)
        said = f"Spearman's correlation of lambda ({', '.join(map(str, weights))}) with {what}"
        correlations = rank_correlations(weights, values)
        test = greater(correlations, 0.0, within=(-1, 1), quantity=said)
        diverse[f"a higher weight of 0-GP makes samples more diverse: {what}"] = test
    return found + stated("zero_gp, sec. 6.2", diverse)


def draw(runs: Runs, table: Table) -> Figure:
    cells = [(one.cell["method"], one.cell["weight"]) for one in runs.grid.panels]
    reads = [*READS, *((*cell, False) for cell in cells if cell not in WEIGHTS.items())]
    figure, grid = new_panels(-(-(len(reads) + 2) // 5), 5, height=4.4)
    places = list(grid.flat)
    real = places.pop(5)
    for axes in grid.flat:
        axes.set_axis_off()
    for i, (axes, (method, weight, at_early)) in enumerate(zip(places, reads, strict=False)):
        letter = f"({'abcde'[i]}) " if i < len(READS) else ""
        of_weight = rf", $\lambda$ = {weight}" if weight != "0" else ""
        title = f"{letter}{table.title(method=method)}{of_weight}"
        panel(
            axes,
            runs.first(method=method, weight=weight),
            title,
            partial(samples, table, early if at_early else end),
        )
    if runs.finished:
        real.imshow(grid_picture(runs.finished[0].arrays("samples")["real"]))
        figure.suptitle(f"{LEGEND}; {NO_LETTER}", fontsize=7)
    real.set_title("training images")
    _against_weight(places[len(reads)], table)
    for axes in grid.flat:
        axes.title.set_fontsize(7)
    return figure


def _against_weight(axes: Axes, table: Table) -> None:
    weights, entropy = by_weight(table, "classifier_class_entropy")
    axes.set_axis_on()
    axes.semilogx(weights, entropy.T, "o-", ms=2, lw=0.6, color="#0072B2")
    axes.axhline(math.log(10), color="0.5", lw=0.6, ls="--")
    axes.set_xticks(weights, [str(weight) for weight in weights])
    axes.minorticks_off()
    axes.yaxis.tick_right()
    axes.set_xlabel(r"$\lambda$ of 0-GP (log scale)")
    axes.set_title("entropy H (nats), by seed\n(dashed: log 10)")


ENTRY = Entry(both_looks, claims, draw)
