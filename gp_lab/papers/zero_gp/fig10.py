"""zero_gp, Fig. 10: samples of 0-GP on ImageNet, of all classes and of one."""

from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.style import new_panels
from gp_lab.figures.table import Table
from gp_lab.papers.zero_gp._imagenet import SCORES, kind, scored
from gp_lab.probes.pictures import grid_picture

NAMES = {
    ("imagenet", 218): "Welsh springer spaniel",
    ("fashion_mnist_16", 8): "bag",
    ("mnist_5k_16", 8): "the digit 8",
}
"""What a class of a data set is called."""


def claims(table: Table) -> list[Claim]:
    return []  # a figure of samples, without a sentence about them


def draw(runs: Runs, table: Table) -> Figure:
    heads = runs.grid.titles("method")
    figure, grid = new_panels(len(heads), 2, 0.5 + 3.3 * len(heads))
    for (every, one), (method, name) in zip(grid, heads.items(), strict=True):
        run = runs.first(method=method)
        for axes in (every, one):
            axes.set_axis_off()
        if run is None:
            every.set_title(f"{name}: no finished run")
            continue
        of_class = run.arrays("class_samples")
        every.imshow(grid_picture(run.arrays("samples")["fake"]))
        every.set_title(f"(a) {name}, all categories: {_score(run)}")
        one.imshow(grid_picture(of_class["fake"]))
        one.set_title(f"(b) {name}, {_name(run, int(of_class['label']))}")
    return figure


def _score(run: Run) -> str:
    probe = kind(run)
    return "no score" if probe is None else f"{SCORES[probe]} {scored(run)['score']:.2f}"


def _name(run: Run, label: int) -> str:
    data = str(run.folder.config["dataset"]["name"])
    return NAMES.get((data, label), f"class {label}")


ENTRY = Entry(scored, claims, draw)
