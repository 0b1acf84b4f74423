"""Figure 5 of zero_gp: the evolution of GAN-0-GP on 8 Gaussians, beside a WGAN-GP."""

import math
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, share_greater
from gp_lab.figures.registry import Entry, Panels, Row, Run
from gp_lab.figures.style import arrows, empty, panels_above_curves, points, window
from gp_lab.papers.zero_gp._reading import centers, mode_scores, outcomes, steps_at, steps_up_to

NAMES = {"zero_gp": "GAN-0-GP", "wgan_gp": "WGAN-GP"}
COLOURS = {"zero_gp": "#0072B2", "wgan_gp": "#D55E00"}

SHARES = (0.05, 0.1, 0.25, 0.5, 1)
"""How far in the run it is drawn."""

MODES = 8

ARROWS = "arrows: gradient of log D; of D for WGAN-GP"
"""As Fig. 2 says it; a critic is no probability."""

ON_CIRCLE = 0.1
"""The circle is learnt when the median radial error is below this share of its radius."""

MOST_SEEDS = 0.5
"""What a GAN does in more than this share of the seeds, it is said to do."""


def evolution(run: Run) -> dict[str, np.ndarray]:
    """step, radial_error, modes, ring and balance of the run's samples over time, [k] each."""
    where, steps = centers(run), steps_up_to(run, "samples")
    found = [mode_scores(run.folder.arrays("samples", s)["fake"], where) for s in steps]
    return {"step": np.array(steps)} | {k: np.array([x[k] for x in found]) for k in found[0]}


def first_step(steps: np.ndarray, reached: Sequence[bool] | np.ndarray) -> float:
    """The first of steps [k] at which something is reached; infinite if it never is."""
    where = np.flatnonzero(reached)
    return float(steps[where[0]]) if len(where) else math.inf


def _row(run: Run) -> Row:
    of = evolution(run)
    circle = first_step(of["step"], of["radial_error"] < ON_CIRCLE)
    eighth = first_step(of["step"], of["modes"] == MODES)
    return {
        "panel": run.panel,
        "seed": run.seed,
        "state": run.state,
        "step_circle": circle,
        "step_eighth_mode": eighth,
        "circle_first": int(circle < eighth < np.inf),
        **{name: of[name][-1] for name in ("radial_error", "modes", "ring", "balance")},
    }


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def _claims(rows: list[Row]) -> list[Claim]:
    claims = []
    for panel, name in NAMES.items():
        first = outcomes(rows, panel, "circle_first") == 1
        claims.append(
            Claim(
                f"{name} learns the circle first and its eighth mode later",
                share_greater(
                    int(first.sum()),
                    len(first),
                    MOST_SEEDS,
                    quantity=f"share of seeds whose median radial error falls below"
                    f" {ON_CIRCLE:.0%} before the 8th mode is hit, as it is at last",
                ),
                "zero_gp, sec. 6.2 and Fig. 5",
            )
        )
    return claims


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure, grid, (errors, modes) = panels_above_curves(2, len(SHARES), 2, height=5.4)
    drawn = None
    for y, (panel, name) in enumerate(NAMES.items()):
        run = panels[panel][0] if panels[panel] else None
        steps = steps_at(run, "samples", SHARES) if run else []
        for axes, step in zip_longest(grid[y], steps):
            if run is None:
                empty(axes, name)
                continue
            if step is None:
                axes.set_axis_off()
                continue
            samples, field = (run.folder.arrays(probe, step) for probe in ("samples", "field"))
            points(axes, samples["real"], samples["fake"])
            arrows(axes, field["axis"], field["gradient"])
            window(axes, np.array([field["axis"][0], -field["axis"][0]]))
            weight = run.folder.config["penalty"]["weight"]
            axes.set_title(f"{name}, $\\lambda$ = {weight:g}\niteration {step:,}")
            drawn = axes
        for i, run in enumerate(panels[panel]):
            look = {"color": COLOURS[panel], "lw": 1.2 if i == 0 else 0.4}
            of = evolution(run)
            errors.semilogy(of["step"], of["radial_error"], label=name if i == 0 else None, **look)
            modes.plot(of["step"], of["modes"], **look)
    errors.axhline(ON_CIRCLE, color="0.6", lw=0.6, ls="--")
    errors.set_title("median radial error / radius")
    modes.set_title("modes hit")
    modes.set_ylim(-0.3, MODES + 0.3)
    modes.set_yticks(range(0, MODES + 1, 2))
    for axes in (errors, modes):
        axes.set_xlabel("iteration")
    if drawn is not None:
        handles, labels = drawn.get_legend_handles_labels()
        handles += drawn.plot([], [], color="0.25", marker=">", markersize=3, linewidth=0.8)
        labels.append(ARROWS)
        figure.legend(handles, labels, loc="outside upper right", ncols=3)
        errors.legend()
    return figure


ENTRY = Entry(_measure, _claims, _draw)
