"""What pictures of zero_gp have in common: D's values or its gradients, with the samples."""

import numpy as np
from matplotlib.axes import Axes

from gp_lab.figures.entry import Run, Runs
from gp_lab.figures.plots import Course, band, legend_above
from gp_lab.figures.style import arrows, points, surface, window
from gp_lab.figures.table import Table
from gp_lab.papers.zero_gp._reading import MODES, dead_networks, over_time

LEVELS = np.linspace(0, 1, 11)

LABEL = "D, the probability of real"

ARROWS = "arrows: gradient of log D; ≤: norm of the longest"

SEEDS = "mean (line) and range (shaded) of the seeds, not in the paper's figure"
"""Of the panels of `draw_evolution`."""

COLOURS = {
    "none": "#000000", "none_ttur": "#999999", "zero_gp": "#0072B2", "zero_gp_ttur": "#CC79A7",
    "one_gp": "#D55E00", "wgan_gp": "#D55E00", "zero_gp_sample": "#009E73",
}  # fmt: skip

DASHES = {"none_ttur": "--", "zero_gp_ttur": "--", "zero_gp_sample": ":"}


def draw_values(
    axes: Axes, run: Run, part: str, values: np.ndarray | None = None, most: int = 200
) -> None:
    """D's probability, or other values on its grid, and samples of a part of `held_out`."""
    at_grid, at_data = run.arrays("surface"), run.arrays("held_out")
    shown = at_grid["probability"] if values is None else values
    surface(axes, at_grid["axis"], at_grid["axis"], shown, LEVELS)
    points(axes, at_data[f"{part}_real"], at_data[f"{part}_fake"], most)


def draw_field(axes: Axes, run: Run, step: int, table: Table, most: int = 200) -> float:
    """The samples and the arrows of D's gradient at a step; returns the longest arrow's norm."""
    samples, field = (run.arrays(probe, step) for probe in ("samples", "field"))
    points(axes, samples["real"], samples["fake"], most)
    longest = arrows(axes, field["axis"], field["gradient"])
    low = field["axis"][0]
    window(axes, (low, -low))
    axes.text(
        0.5, 0.03, dead_networks(table, run, step), transform=axes.transAxes, ha="center",
        fontsize=6, bbox={"fc": "white", "ec": "none", "pad": 1},
    )  # fmt: skip
    return longest


def name_arrows(axes: Axes, text: str = ARROWS) -> None:
    """What the arrows of all panels are, for their legend."""
    axes.plot([], [], color="0.25", marker=">", ms=3, lw=0.8, label=text)


def draw_evolution(axes: Axes, of_modes: Axes, runs: Runs, course: Course, title: str) -> None:
    """A quantity over the iterations of each method's runs, in its colour; beside it the modes."""
    for method, name in runs.grid.titles("method").items():
        colour, dashes = COLOURS.get(method), DASHES.get(method, "-")
        for one, what in ((axes, course), (of_modes, over_time("modes"))):
            band(one, runs.at(method=method), what, name, color=colour, ls=dashes)
            one.locator_params(axis="x", nbins=5)
    axes.set(ylabel=title, xlabel="iteration", yscale="log")
    of_modes.set(ylabel="modes hit", xlabel="iteration", ylim=(-0.3, MODES + 0.3))
    of_modes.set_yticks(range(0, MODES + 1, 2))
    legend_above(axes.figure, [axes], "upper center")
    axes.figure.supxlabel(SEEDS, fontsize=7)
