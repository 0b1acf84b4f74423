"""wgan_gp, Table 3 with Fig. 6: a ResNet on CIFAR-10, without labels and with AC-GAN's."""

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, greater, inside, less, paired_greater, stated
from gp_lab.figures.entry import Entry, Runs
from gp_lab.figures.plots import beside_the_papers, empty, score_table
from gp_lab.figures.table import Table
from gp_lab.papers._scores import judge, measure
from gp_lab.probes.pictures import grid_picture

PAPER = {"unsupervised": 7.86, "supervised": 8.42}
"""The Inception scores of WGAN-GP's ResNets in Table 3."""

NEAR = 0.2
"""Ours is the paper's if it is within this."""

BEST = {"unsupervised": ("DFM", 7.72), "supervised": ("SGAN-no-joint", 8.37)}
"""The best that others had, as Table 3 lists them; SGAN, with labels, was above both."""

SGAN = 8.59

WGAN_GP = "WGAN-GP ResNet"

OTHERS = {
    "unsupervised": {"ALI": 5.34, "BEGAN": 5.62, "DCGAN": 6.16, "Improved GAN (-L+HA)": 6.86,
                     "EGAN-Ent-VI": 7.07, "DFM": 7.72},
    "supervised": {"SteinGAN": 6.35, "DCGAN": 6.58, "Improved GAN": 8.09, "AC-GAN": 8.25,
                   "SGAN-no-joint": 8.37, "SGAN": 8.59},
}  # fmt: skip
"""Table 3's other rows, as published."""

WHERE = "wgan_gp, sec. 5.4 and Table 3"

ROWS = 8
"""Of samples; ten columns, which are the classes where there are labels."""


def claims(table: Table) -> list[Claim]:
    score = {method: table.values("score", method=method) for method in PAPER}
    said = f"{judge(table)} score"
    text = "labels (AC-GAN) improve the score of the same architecture"
    minus = f"{said}, supervised minus unsupervised"
    better = paired_greater(score["supervised"], score["unsupervised"], quantity=minus)
    found = stated("wgan_gp, sec. 5.4", {text: better}, about={"method": tuple(PAPER)})
    for method, number in PAPER.items():
        title, (rival, best) = table.title(method=method), BEST[method]
        near = inside(score[method], number - NEAR, number + NEAR, quantity=said)
        found += stated(
            WHERE,
            {f"{title}: the Inception score is the paper's (within {NEAR:g})": near},
            paper=number,
            needs_paper=True,
        )
        ahead = greater(score[method], best, quantity=said)
        text = f"{title}: the Inception score is above {rival}'s, {best:g}"
        found += stated(WHERE, {text: ahead}, paper=number, needs_paper=True)
    below = less(score["supervised"], SGAN, quantity=said)
    text = f"supervised: the Inception score is below SGAN's, {SGAN:g}"
    return found + stated(WHERE, {text: below}, paper=PAPER["supervised"], needs_paper=True)


def draw(runs: Runs, table: Table) -> Figure:
    """Table 3, others' numbers as published; below it Fig. 6."""
    methods = runs.grid.titles("method")
    figure = Figure(figsize=(3.5 * len(methods), 5.6), layout="constrained")
    above, below = figure.subplots(2, len(methods), height_ratios=[1, 1.5], squeeze=False)
    for axes, (method, title) in zip(above, methods.items(), strict=True):
        ours = beside_the_papers(table.values("score", method=method), None)
        papers = OTHERS.get(method, {}) | {WGAN_GP: PAPER.get(method, np.nan)}
        rows = {
            name: [f"{score:.2f}" if np.isfinite(score) else "", ours if name == WGAN_GP else ""]
            for name, score in sorted(papers.items(), key=lambda pair: pair[1])
        }
        score_table(axes, ["paper's score", "our score"], rows, title)
    for axes, (method, title) in zip(below, methods.items(), strict=True):
        run = runs.first(method=method)
        axes.set_axis_off()
        if run is None:
            empty(axes, title)
            continue
        axes.imshow(grid_picture(run.arrays("samples")["fake"][: 10 * ROWS], 10))
        named = ", a column for each class" if run.folder.config["architecture"]["classes"] else ""
        axes.set_title(f"{title}{named}\nmean FID {table.mean('fid', method=method):.3g}")
    figure.supxlabel(
        f"paper's score: Inception's; our score: {judge(table)}'s, mean over seeds ± half of its"
        " 95% interval", fontsize=7,
    )  # fmt: skip
    return figure


ENTRY = Entry(measure, claims, draw)
