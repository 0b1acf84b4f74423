"""zero_gp, Fig. 3: samples of GANs on MNIST under each penalty, and 0-GP's weight."""

import math
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, greater, rank_correlations, share_of, stated
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import panel
from gp_lab.figures.style import new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.probes.pictures import grid_picture

READS = (
    ("none", "0", False), ("zero_gp_sample", "100", False), ("one_gp", "100", False),
    ("zero_gp", "100", True), ("zero_gp", "100", False),
)  # fmt: skip
"""The paper's panels (a) to (e): a method, its weight, and whether it is looked at early."""

WEIGHTS = {method: weight for method, weight, _ in READS}

OTHERS = ("none", "zero_gp_sample", "one_gp")
"""What the paper holds against 0-GP."""

LEGEND = (
    "sure: samples whose class has a probability above .9; H: entropy of the classes in nats;\n"
    "spread: distance to the nearest other sample, over that of real images"
)

CONFIDENT = 0.5
"""A GAN has learnt something if the classifier is confident of more than this share of samples."""

ENTROPY = 0.5
"""It has collapsed if its classes have less than this share of the largest entropy..."""

SPREAD = 0.25
"""...or its samples are nearer to one another than this share of what real images are."""


def early(run: Run) -> int:
    """The step of the paper's panels (a) to (d): the first at which the probes wrote."""
    return run.steps("classifier")[0]


def scores(run: Run, step: int, classes: int = 10) -> Row:
    """What the probes say of a run's samples at a step, and whether it passes: `confident` of most
    samples, not `collapsed`, `learnt` if it is the one and not the other."""
    judged, near = (run.arrays(probe, step) for probe in ("classifier", "neighbours"))
    row: Row = {f"classifier_{k}": float(v) for k, v in judged.items()}
    row |= {k: float(v) for k, v in near.items() if v.ndim == 0}
    row["spread_share"] = row["spread"] / row["spread_real"]
    row["confident"] = int(row["classifier_confidence_share"] > CONFIDENT)
    few_classes = row["classifier_class_entropy"] < ENTROPY * math.log(classes)
    row["collapsed"] = int(few_classes or row["spread_share"] < SPREAD)
    return row | {"learnt": int(row["confident"] and not row["collapsed"])}


def measure(run: Run) -> Row:
    row: Row = {"data": run.folder.config["dataset"]["name"], "early_step": early(run)}
    row |= scores(run, run.step)
    return row | {f"{k}_early": v for k, v in scores(run, early(run)).items()}


def by_weight(table: Table, quantity: str) -> tuple[list[int], np.ndarray]:
    """The weights [k] of 0-GP and a quantity [seeds, k] at each."""
    weights = [one.cell["weight"] for one in table.grid.at(method="zero_gp")]
    found = [table.values(quantity, method="zero_gp", weight=weight) for weight in weights]
    return [int(weight) for weight in weights], np.array(found).T


def claims(table: Table) -> list[Claim]:
    found, others = list[Claim](), table.grid.titles("method", OTHERS)

    def of_most(method: str, quantity: str, so: bool, text: str, what: str) -> None:
        cell = {"method": method, "weight": WEIGHTS[method]}
        values = table.outcomes(f"{quantity}_early", **cell)
        # A seed that diverged has learnt nothing; one whose units died says nothing of a penalty.
        said = f"share of seeds where the classifier is {what}"
        test = share_of((values == 1) == so, quantity=said)
        where, about = "zero_gp, Fig. 3 and sec. 6.2", {} if so else cell
        found.extend(stated(where, {f"{text} after 1,000 iterations": test}, about=about))

    sure = f"sure (> .9) of more than {CONFIDENT:.0%} of the samples"
    bounds = "the entropy of classes or the spread is below its bound"
    of_most("zero_gp", "confident", True, "most samples of 0-GP are recognised", sure)
    for method, name in others.items():
        text = f"most samples of {name} are not recognised"
        of_most(method, "confident", False, text, f"not {sure}")
    text = "0-GP has learnt, without mode collapse"
    of_most("zero_gp", "learnt", True, text, f"{sure}, and not: {bounds}")
    for method, name in others.items():
        text = f"{name} has collapsed or has learnt nothing"
        of_most(method, "learnt", False, text, f"not {sure}, or {bounds}")
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
        panel(axes, runs.first(method=method, weight=weight), title, partial(_samples, at_early))
    if runs.finished:
        real.imshow(grid_picture(runs.finished[0].arrays("samples")["real"]))
        figure.suptitle(LEGEND, fontsize=7)
    real.set_title("training images")
    _against_weight(places[len(reads)], table)
    for axes in grid.flat:
        axes.title.set_fontsize(7)
    return figure


def _samples(at_early: bool, axes: Axes, run: Run) -> str:
    step = early(run) if at_early else run.step
    axes.imshow(grid_picture(run.arrays("samples", step)["fake"]))
    found = scores(run, step)
    return (
        f"it. {step:,}: {found['classifier_confidence_share']:.0%} sure\n"
        f"H {found['classifier_class_entropy']:.2f}, spread {found['spread_share']:.0%}"
    )


def _against_weight(axes: Axes, table: Table) -> None:
    weights, entropy = by_weight(table, "classifier_class_entropy")
    axes.set_axis_on()
    axes.semilogx(weights, entropy.T, "o-", ms=3, lw=0.8, color="#0072B2")
    axes.axhline(math.log(10), color="0.5", lw=0.6, ls="--")
    axes.set_xticks(weights, [str(weight) for weight in weights])
    axes.minorticks_off()
    axes.yaxis.tick_right()
    axes.set_ylim(0, 1.1 * math.log(10))
    axes.set_xlabel(r"$\lambda$ of 0-GP")
    axes.set_title("entropy H of the classes\n(dashed: log 10)")


ENTRY = Entry(measure, claims, draw)
