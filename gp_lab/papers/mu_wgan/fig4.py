"""mu_wgan, Fig. 4: samples of 2-D GANs under five penalty measures and two baselines."""

import itertools

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.evaluation.points import wasserstein
from gp_lab.figures.claims import Claim, equivalent
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import page
from gp_lab.figures.style import FAKE, REAL
from gp_lab.figures.table import Row, Table
from gp_lab.papers.mu_wgan._measures import MEASURES

SAME_W1 = 0.1
"""W1 of two methods is called equivalent within this; the 8 Gaussians' circle has radius 1.41."""

SAME_QUALITY = 0.1
"""The shares of samples of quality are called equivalent within this."""

SAME_MODES = {"eight_gaussians": 0.5, "twenty_five_gaussians": 1.0}
"""The numbers of modes hit are called equivalent within this."""

WINDOW = 2.2
"""Half the side of a panel."""


def measure(run: Run) -> Row:
    samples = run.arrays("samples")
    on_curve = run.cell["dataset"] == "swiss_roll"
    scores = run.arrays("curve" if on_curve else "modes")
    real = samples["real"]
    half = len(real) // 2
    row: Row = {
        "w1": float(scores["w1"]),
        "w1_of_reals": wasserstein(real[:half], real[half : 2 * half]),
        "quality": float(scores["near"]),
    }
    if on_curve:
        return row | {"coverage": float(scores["coverage"])}
    return row | {"modes": int(scores["hit"].sum()), "balance": float(scores["balance"])}


def claims(table: Table) -> list[Claim]:
    where = "mu_wgan, sec. 5.1 and Fig. 4"
    found = []
    for dataset, name in table.grid.titles("dataset").items():
        tested = [
            ("w1", SAME_W1, "exact W1 to the data"),
            ("quality", SAME_QUALITY, "share of samples near the data"),
        ]
        if dataset in SAME_MODES:
            tested.append(("modes", SAME_MODES[dataset], "modes hit"))
        for one, other in itertools.combinations(MEASURES, 2):
            for quantity, margin, words in tested:
                mine, its = (
                    table.values(quantity, dataset=dataset, method=m) for m in (one, other)
                )
                found.append(
                    Claim(
                        f"{name}: the measures {one} and {other} are equivalent in {quantity}"
                        f" (within {margin:g})",
                        equivalent(mine, its, margin, quantity=f"{words}, {one} minus {other}"),
                        where,
                    )
                )
    return found


def draw(runs: Runs, table: Table) -> Figure:
    def samples(axes: Axes, run: Run) -> str:
        axes.set(xlim=(-WINDOW, WINDOW), ylim=(-WINDOW, WINDOW), aspect="equal")
        arrays = run.arrays("samples")
        for kind, colour in (("real", REAL), ("fake", FAKE)):
            x, y = arrays[kind].T
            axes.scatter(x, y, s=1.5, c=colour, linewidths=0, label=kind)
        return f"$W_1$ {table.mean('w1', **run.cell):.2f}"

    figure, _ = page(runs, samples, "method", "dataset", height=4.1, legend={"markerscale": 4})
    return figure


ENTRY = Entry(measure, claims, draw)
