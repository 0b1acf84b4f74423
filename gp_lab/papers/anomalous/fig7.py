"""anomalous, Fig. 7: training images and the sample nearest to each, under PCR and SC."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import SHARE, Claim, greater, stated
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import page
from gp_lab.figures.table import Table
from gp_lab.papers.anomalous._squares import RIGHT, WRONG, matched, measure
from gp_lab.probes.pictures import grid_picture

PAPERS = ("sc", "pcr", "sc_pcr")

MOST = 0.5
"""Most training images are represented if more than this share of them is."""

GAP = 16
"""Pixels of white between one pair of rows and the next."""


def claims(table: Table) -> list[Claim]:
    share = "share of 30 training images that the nearest sample shows"
    found = []
    for method, name in table.grid.titles("method", PAPERS).items():
        values = table.values("matched", method=method)
        test = greater(values, MOST, within=SHARE, quantity=share)
        text = f"{name}: most training images are represented by the generator's distribution"
        found += stated("anomalous, App. F and Fig. 7", {text: test}, about={"method": method})
    return found


def pairs(axes: Axes, run: Run) -> str:
    """Each training image above the sample nearest to it, in red where it shows another."""
    at, found = run.arrays("matches"), matched(run)
    columns, rows = 5, []
    for start in range(0, len(found), columns):
        some = slice(start, start + columns)
        images = np.concatenate([at["training"][some], at["nearest"][some]])
        known = np.where(found[some, None], RIGHT, WRONG)
        frames = np.concatenate([np.full_like(known, RIGHT), known]).astype(np.uint8)
        row = grid_picture(images, columns, frames)
        rows += [row, np.full((GAP, *row.shape[1:]), 255, np.uint8)]
    axes.imshow(np.concatenate(rows[:-1]))
    axes.set_axis_off()
    return f"{found.sum()} of {len(found)} represented"


def draw(runs: Runs, table: Table) -> Figure:
    figure, _ = page(runs, pairs, "method", height=6.9, legend=None)
    figure.suptitle(
        "pairs of rows: training images, and below each the sample nearest to it\n"
        "red frame: it does not show the same rectangles, the training image is not represented",
        fontsize=8,
    )
    return figure


ENTRY = Entry(measure, claims, draw)
