"""zero_gp, Fig. 5: the evolution of GAN-0-GP on 8 Gaussians, beside a WGAN-GP."""

import math
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, share_of, stated
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import legend_above
from gp_lab.figures.style import empty, panels_above_curves
from gp_lab.figures.table import Row, Table
from gp_lab.papers.zero_gp._drawing import draw_evolution, draw_field, name_arrows
from gp_lab.papers.zero_gp._reading import MODES, evolution, of_weight, over_time, steps_at

SHARES = (0.05, 0.1, 0.25, 0.5, 1)
"""How far in the run it is drawn."""

ARROWS = "arrows: gradient of log D; of D for WGAN-GP"
"""As Fig. 2 says it; a critic is no probability."""

ON_CIRCLE = 0.1
"""The circle is learnt when the median radial error is below this share of its radius."""


def first_step(steps: np.ndarray, reached: Sequence[bool] | np.ndarray) -> float:
    """The first of steps [k] at which something is reached; infinite if it never is."""
    where = np.flatnonzero(reached)
    return float(steps[where[0]]) if len(where) else math.inf


def measure(run: Run) -> Row:
    of = evolution(run)
    circle = first_step(of["step"], of["radial_error"] < ON_CIRCLE)
    eighth = first_step(of["step"], of["modes"] == MODES)
    return {
        "step_circle": circle,
        "step_eighth_mode": eighth,
        "circle_first": int(circle < eighth < np.inf),
        **{name: of[name][-1] for name in ("radial_error", "modes", "ring", "balance")},
    }


def claims(table: Table) -> list[Claim]:
    what = (
        f"share of seeds whose median radial error falls below {ON_CIRCLE:.0%} before the 8th mode"
        " is hit, as it is at last"
    )
    found = list[Claim]()
    for method, title in table.grid.titles("method").items():
        first = share_of(table.outcomes("circle_first", method=method) == 1, quantity=what)
        text = f"{title} learns the circle first and its eighth mode later"
        # What never comes because the networks died has no order.
        found += stated("zero_gp, sec. 6.2 and Fig. 5", {text: first}, about={"method": method})
    return found


def draw(runs: Runs, table: Table) -> Figure:
    methods = runs.grid.titles("method")
    figure, grid, (errors, modes) = panels_above_curves(len(methods), len(SHARES), 2, height=5.9)
    for line, (method, title) in zip(grid, methods.items(), strict=True):
        run = runs.first(method=method)
        steps = steps_at(run, "samples", SHARES) if run else []
        for axes, step in zip_longest(line, steps):
            if run is None:
                empty(axes, title)
            elif step is None:
                axes.set_axis_off()
            else:
                draw_field(axes, run, step, table)
                axes.set_title(f"{title}{of_weight(run)}\niteration {step:,}")
        if run:
            added = "" if method == "zero_gp" else "not in the paper's:\n"
            rate = run.folder.config["optimizer"]["lr"]
            line[0].set_ylabel(f"{added}learning rate {rate:g}", fontsize=7)
    label = f"circle learnt: error below {ON_CIRCLE:g}"
    errors.axhline(ON_CIRCLE, color="0.6", lw=0.6, ls="--", label=label)
    course = over_time("radial_error")
    draw_evolution(errors, modes, runs, course, "median radial\nerror / radius")
    if runs.finished:
        name_arrows(grid[0, 0], ARROWS)
    legend_above(figure, grid.flat)
    return figure


ENTRY = Entry(measure, claims, draw)
