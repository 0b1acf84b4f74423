"""wgan_gp, Fig. 4: samples of a deep ResNet on LSUN bedrooms of 128 x 128 pixels."""

from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim
from gp_lab.figures.entry import Entry, Runs
from gp_lab.figures.plots import panel
from gp_lab.figures.style import new_panels
from gp_lab.figures.table import Table
from gp_lab.papers._scores import judge, measure, pictures, samples

COLUMNS = 8
"""Of training images, which stand in a narrow panel beside the samples."""


def claims(table: Table) -> list[Claim]:
    """Descriptive: "at least competitive with the best reported so far" has no number to test."""
    return []


def draw(runs: Runs, table: Table) -> Figure:
    methods = runs.grid.titles("method")
    figure, grid = new_panels(1, 1 + len(methods), height=3.9)
    real, *places = grid.flat
    for axes in grid.flat:
        axes.set_axis_off()
    real.set_title("training images")
    if runs.finished:
        pictures(real, runs.finished[0].arrays("samples")["real"], columns=COLUMNS)
    for axes, (method, title) in zip(places, methods.items(), strict=True):
        panel(axes, runs.first(method=method), f"{title} ({judge(table)}'s scores)", samples)
    return figure


ENTRY = Entry(measure, claims, draw)
