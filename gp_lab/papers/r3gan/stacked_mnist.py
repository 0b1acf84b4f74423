"""Modes of stacked MNIST with R3GAN's loss and penalties; in none of the five papers.

Huang, Gokaslan, Kuleshov and Tompkin: The GAN is dead; long live the GAN! A Modern Baseline GAN
(NeurIPS 2024). Its case on this set: the relativistic pairing loss covers all modes where the
standard one with the same penalties does not.
"""

from functools import partial
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, paired_greater, share_of, stated
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import band, panels
from gp_lab.figures.style import COLOURS, new_panels, plain_log
from gp_lab.figures.table import Row, Table
from gp_lab.probes.pictures import grid_picture

FULL = 0.99
"""All modes are covered if this share of them has a sample."""


def measure(run: Run) -> Row:
    row: Row = {"data": run.folder.config["dataset"]["name"]}
    row |= {name: float(x) for name, x in run.arrays("stacked_modes").items()}
    return row | {"full": int(row["hit"] >= FULL * row["modes"])}


def claims(table: Table) -> list[Claim]:
    where = "r3gan, StackedMNIST"
    kl = {method: table.values("kl", method=method) for method in table.grid.titles("method")}
    quantity = "KL of the modes in nats, {} minus R3GAN"
    titles = table.grid.titles("method", ("gan", "wgan_gp"))
    tests = {
        f"R3GAN's modes are nearer to the data's than those of {title}": paired_greater(
            kl[method], kl["r3gan"], quantity=quantity.format(title)
        )
        for method, title in titles.items()
    }
    full = table.outcomes("full", method="r3gan")
    tests["R3GAN covers all modes"] = share_of(
        full == 1, quantity=f"share of seeds with more than {FULL:.0%} of the modes"
    )
    return stated(where, tests, about={"method": ("gan", "wgan_gp", "r3gan")})


def draw(runs: Runs, table: Table) -> Figure:
    methods = table.grid.titles("method")
    figure, grid = new_panels(2, max(3, len(methods)), height=4.8)
    for axes in grid.flat:
        axes.set_axis_off()

    def samples(axes: Axes, run: Run) -> str:
        axes.imshow(grid_picture(run.arrays("samples")["fake"]))
        found = run.arrays("stacked_modes")
        hit, kl = (table.mean(quantity, **run.cell) for quantity in ("hit", "kl"))
        return (
            f"{int(found['hit'])} of {int(found['modes'])} modes, KL {float(found['kl']):.2f}\n"
            f"(mean of seeds: {hit:.0f}, {kl:.2f})"
        )

    panels(grid[0], runs, runs.grid.named("method"), samples)
    for axes, quantity, label in zip(
        grid[1], ("hit", "kl"), ("modes hit", "KL of the modes, nats"), strict=False
    ):
        axes.set_axis_on()
        for (method, title), colour in zip(methods.items(), cycle(COLOURS)):
            of = runs.at(method=method)
            band(axes, of, partial(course, quantity=quantity), title, color=colour)
        axes.set(xlabel="iteration", title=f"{label}\n(mean of seeds, shaded: range)")
    plain_log(grid[1, 1], "y")
    if runs.finished:
        grid[1, 0].legend(fontsize=7)
        grid[1, 2].imshow(grid_picture(runs.finished[0].arrays("samples")["real"]))
    grid[1, 2].set_title("training images")
    return figure


def course(run: Run, quantity: str) -> tuple[np.ndarray, np.ndarray]:
    """The steps [k] at which modes were counted, and a number of theirs [k]."""
    return run.course("stacked_modes", lambda at: float(at[quantity]))


ENTRY = Entry(measure, claims, draw)
