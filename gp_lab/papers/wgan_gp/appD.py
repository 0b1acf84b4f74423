# ruff: noqa: N999
"""wgan_gp, App. D: networks with ELU, and with a nonlinearity like it that is smooth."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, share_of, stated
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import page
from gp_lab.figures.table import Table
from gp_lab.papers.wgan_gp._random import LEARNT, measure, scores
from gp_lab.papers.wgan_gp._scores import SCORE, given, named
from gp_lab.probes.pictures import grid_picture

ELU, SMOOTH = "elu", "softplus_elu"

SHOWN, COLUMNS = 60, 12
"""Samples in a panel, and in a row of it."""


def claims(table: Table) -> list[Claim]:
    tests = {}
    for depth, title in table.grid.titles("depth").items():
        found = [scores(table, activation=of, depth=depth) for of in (ELU, SMOOTH)]
        elu, smooth = (known[~np.isnan(known)] > LEARNT for known in found)
        said = f"share of seeds with a {SCORE}"
        works = share_of(smooth, quantity=f"{said} above {LEARNT:g}")
        fails = share_of(~elu, quantity=f"{said} of {LEARNT:g} or less, or diverged")
        who = "softplus(2x+2)/2 - 1"
        tests[f"networks of {title} with ELU do not train"] = given(works, fails, who)
        tests[f"networks of {title} with {who} do"] = works
    return stated("wgan_gp, App. D", tests)


def draw(runs: Runs, table: Table) -> Figure:
    def samples(axes: Axes, run: Run) -> str:
        axes.imshow(grid_picture(run.arrays("samples")["fake"][:SHOWN], COLUMNS))
        found = scores(table, **run.cell)
        known = found[~np.isnan(found)]
        above = int((known > LEARNT).sum())
        mean = f"mean {table.mean('score', **run.cell):.2f}"
        return f"{mean}; {above} of {len(known)} above {LEARNT:g}"

    figure, grid = page(runs, samples, "activation", "depth", height=4, share=False, legend=None)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    what = named(runs.finished, "score")
    said = f"mean {what} over seeds; on how many seeds it is above {LEARNT:g}"
    shown = "samples: the first seed's, of the same codes in both columns"
    figure.suptitle(f"below each title: {said}\n{shown}", fontsize=7)
    return figure


ENTRY = Entry(measure, claims, draw)
