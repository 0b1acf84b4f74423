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


def claims(table: Table) -> list[Claim]:
    share = "share of 30 training images that the nearest sample shows"
    tests = {
        f"{name}: most training images are represented by the generator's distribution":
            greater(table.values("matched", method=method), MOST, within=SHARE, quantity=share)
        for method, name in table.grid.titles("method", PAPERS).items()
    }  # fmt: skip
    return stated("anomalous, App. F and Fig. 7", tests)


def pairs(axes: Axes, run: Run) -> str:
    """Each training image above the sample nearest to it, framed where it shows another."""
    at, found = run.arrays("matches"), matched(run)
    columns, images, frames = 5, [], []
    for start in range(0, len(found), columns):
        some = slice(start, start + columns)
        images += [at["training"][some], at["nearest"][some]]
        known = np.where(found[some, None], RIGHT, WRONG)
        frames += [np.full_like(known, RIGHT), known]
    picture = grid_picture(np.concatenate(images), columns, np.concatenate(frames).astype(np.uint8))
    axes.imshow(picture)
    axes.set_axis_off()
    return f"{found.sum()} of {len(found)} represented"


def draw(runs: Runs, table: Table) -> Figure:
    figure, _ = page(runs, pairs, "method", height=6.4, legend=None)
    figure.suptitle(
        "rows of training images, each above the sample nearest to it; framed: not the same"
        " rectangles",
        fontsize=7,
    )
    return figure


ENTRY = Entry(measure, claims, draw)
