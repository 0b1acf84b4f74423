"""mu_wgan, Fig. 4: samples of 2-D GANs under five penalty measures and two baselines."""

import itertools

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.evaluation.points import wasserstein
from gp_lab.figures.claims import Claim, equivalent, stated
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import page
from gp_lab.figures.style import points, window
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
    found = {}
    for dataset, name in table.grid.titles("dataset").items():
        tested = [
            ("w1", SAME_W1, "exact W1 to the data"),
            ("quality", SAME_QUALITY, "share of samples near the data"),
        ]
        if dataset in SAME_MODES:
            tested.append(("modes", SAME_MODES[dataset], "modes hit"))
        for one, other in itertools.combinations(MEASURES, 2):
            text = f"{name}: the measures {one} and {other} are equivalent in"
            for quantity, margin, words in tested:
                a, b = (table.values(quantity, dataset=dataset, method=m) for m in (one, other))
                test = equivalent(a, b, margin, quantity=f"{words}, {one} minus {other}")
                found[f"{text} {quantity} (within {margin:g})"] = test
    return stated("mu_wgan, sec. 5.1 and Fig. 4", found)


def draw(runs: Runs, table: Table) -> Figure:
    def samples(axes: Axes, run: Run) -> str:
        window(axes, (-WINDOW, WINDOW))
        arrays, look = run.arrays("samples"), {"s": 1.5, "marker": "o", "linewidths": 0}
        points(axes, arrays["real"], arrays["fake"], most=None, edgecolors="face", zorder=1, **look)
        return f"$W_1$ {table.mean('w1', **run.cell):.2f}"

    return page(runs, samples, "method", "dataset", height=4.1, legend={"markerscale": 4})[0]


ENTRY = Entry(measure, claims, draw)
