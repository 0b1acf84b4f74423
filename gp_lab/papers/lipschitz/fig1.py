"""lipschitz, Fig. 1: LSGAN's surface on disjoint supports, converged and complex."""

import numpy as np
from matplotlib.figure import Figure

from gp_lab.evaluation.points import cosines
from gp_lab.figures.claims import Claim, holds, less
from gp_lab.papers.lipschitz._scene import (
    LEVELS,
    VANISHED,
    draw_directions,
    draw_surface,
    inside_square,
    targets,
    to_square,
)
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import empty, new_figure

TITLES = {"converged": "converged", "complex": "complex"}

GAP = 1.0
"""Between the border points of the fakes and the square of the reals."""

MARGIN = 0.05
"""A fake is inside if it lies farther than this from the border of the inner square."""

NARROW = 0.5
"""The interval of a cosine says something if it reaches no farther than this from its middle."""


def at_fakes(run: Run) -> Row:
    """How steep f is at inner fakes, and where the gradients at inner and border fakes lead.

    Norms are shares of (beta - alpha) / gap; cosines are with the way to the nearest real of the
    support; the run is one of `architecture=fixed_isolated` against one square.
    """
    config, data = run.folder.config, run.arrays("gradients")
    _, square = config["architecture"]["latent"]["distribution"]["components"]
    fake, gradient = data["fake"], data["fake_gradient"]
    alpha, beta = targets(run)
    norm = np.linalg.norm(gradient, axis=1) * GAP / (beta - alpha)
    cosine = cosines(gradient, to_square(fake, config["dataset"]["distribution"]))
    inner, border = inside_square(fake, square, MARGIN), ~inside_square(fake, square, -MARGIN)
    return {
        "f_real": float(data["real_logit"].mean()),
        "f_fake": float(data["fake_logit"].mean()),
        "norm_inner": float(np.median(norm[inner])),
        "norm_border": float(np.median(norm[border])),
        "share_vanish_inner": float((norm[inner] < VANISHED).mean()),
        "cosine_inner": _mean(cosine[inner]),
        "cosine_border": _mean(cosine[border]),
    }


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _measure(panels: Panels) -> list[Row]:
    return [
        {"panel": run.panel, "seed": run.seed, "state": run.state} | at_fakes(run)
        for runs in panels.values()
        for run in runs
    ]


def _claims(rows: list[Row]) -> list[Claim]:
    where = "lipschitz, Fig. 1 and sec. 2.1, case 1"
    claims = [
        Claim(
            f"converged: inside p_G the gradient vanishes (below {VANISHED:.0%} of a straight"
            " ramp's)",
            less(
                column(rows, "converged", "norm_inner"),
                VANISHED,
                quantity="median |grad f| at inner fakes over (beta - alpha) / gap",
            ),
            where,
        )
    ]
    claims += [
        Claim(
            f"{title}: at isolated fakes on the border the gradient has no direction",
            holds(
                column(rows, panel, "cosine_border"),
                0.0,
                NARROW,
                quantity="mean cosine of grad f at border fakes with the way to the nearest real",
            ),
            where,
        )
        for panel, title in TITLES.items()
    ]
    return claims


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure, grid = new_figure(1, 2, 2.9)
    filled, drawn = None, None
    for axes, (panel, title) in zip(grid.ravel(), TITLES.items(), strict=True):
        if not panels[panel]:
            empty(axes, title)
            continue
        run = panels[panel][0]
        norm = np.nanmean(column(rows, panel, "norm_inner"))
        filled = draw_surface(axes, run, f"{title}: slope inside {norm:.2g} of a ramp's")
        data = run.arrays("gradients")
        fake, which = np.unique(data["fake"], axis=0, return_index=True)
        border = np.abs(fake - [-1, 0]).max(1) > 0.4
        which = np.concatenate([which[border], which[~border][::60]])
        draw_directions(axes, data["fake"][which], data["fake_gradient"][which], steep=4.0)
        drawn = axes
    if filled is not None and drawn is not None:
        figure.colorbar(filled, ax=grid, shrink=0.8, ticks=LEVELS[1::5], label="f")
        handles, labels = drawn.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2)
    return figure


ENTRY = Entry(_measure, _claims, _draw)
