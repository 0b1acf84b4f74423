"""lipschitz, Fig. 2: supports that overlap, or cover the plane, and gradients that lead nowhere."""

import numpy as np
from matplotlib.figure import Figure

from gp_lab.evaluation.points import cosines
from gp_lab.figures.claims import Claim, greater
from gp_lab.papers.lipschitz._scene import (
    LEVELS,
    VANISHED,
    draw_directions,
    draw_surface,
    inside_square,
    optimum,
    targets,
    to_square,
)
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import empty, new_figure
from gp_lab.theory.surfaces import rmse

TITLES = {"squares": "two squares, .8/.2 against .2/.8", "gaussians": "Gaussians"}

MARGIN = 0.05
"""A fake is inside a square if it lies farther than this from its border."""

MOST = 0.9
"""The vast majority of the fakes: more than this share (the catalogue's)."""

STEP = 1e-4
"""Of the central differences that take the gradient of f*, in the units of the plane."""


def _row(run: Run) -> Row:
    data = run.arrays("gradients")
    samples = np.concatenate([data["real"], data["fake"]])
    f = np.concatenate([data["real_logit"], data["fake_logit"]])
    row: Row = {"panel": run.panel, "seed": run.seed, "state": run.state}
    row["rmse"] = rmse(f, optimum(run, samples))
    measure = _squares if run.panel == "squares" else _gaussians
    return row | measure(run, data["fake"], data["fake_gradient"])


def _squares(run: Run, fake: np.ndarray, gradient: np.ndarray) -> Row:
    """Most fakes are in the left square, and some of them ought to go to the right one."""
    left, right = run.folder.config["architecture"]["latent"]["distribution"]["components"]
    norm = np.linalg.norm(gradient, axis=1) / _ramp(run, gap=_gap(left, right))
    inside = inside_square(fake, left, MARGIN) | inside_square(fake, right, MARGIN)
    over = inside_square(fake, left, 0) & ~inside
    f = run.arrays("gradients")["fake_logit"]
    return {
        "f_left": float(f[fake[:, 0] < 0].mean()),
        "f_right": float(f[fake[:, 0] > 0].mean()),
        "norm_inside": float(np.median(norm[inside])),
        "share_vanish": float((norm[inside] < VANISHED).mean()),
        "cosine_border": _mean(cosines(gradient[over], to_square(fake[over], right))),
    }


def _gaussians(run: Run, fake: np.ndarray, gradient: np.ndarray) -> Row:
    shares = _shares(run, fake, gradient)
    exact = _shares(run, fake, _gradient_of_optimum(run, fake))
    return shares | {f"{name}_optimal": value for name, value in exact.items()}


def _shares(run: Run, fake: np.ndarray, gradient: np.ndarray) -> Row:
    """Of the fakes: how many gradients vanish, lead to the near mode, to the far one."""
    (center,) = run.folder.config["architecture"]["latent"]["distribution"]["means"]
    modes = np.array(run.folder.config["dataset"]["distribution"]["means"])
    distance = np.linalg.norm(modes - np.array(center), axis=1)
    norm = np.linalg.norm(gradient, axis=1) / _ramp(run, gap=float(distance.max()))
    near, far = (cosines(gradient, m - fake) for m in modes[distance.argsort()])
    vanish = norm < VANISHED
    to_near = ~vanish & (near > 0) & (near > far)
    to_far = ~vanish & (far > 0) & (far > near)
    return {
        "share_vanish": float(vanish.mean()),
        "share_near": float(to_near.mean()),
        "share_far": float(to_far.mean()),
        "share_lost": float((vanish | to_near).mean()),
    }


def _gradient_of_optimum(run: Run, x: np.ndarray) -> np.ndarray:
    steps = STEP * np.eye(2)
    return np.stack([(optimum(run, x + h) - optimum(run, x - h)) / (2 * STEP) for h in steps], 1)


def _ramp(run: Run, gap: float) -> float:
    """The slope of a straight line from alpha to beta over a gap."""
    alpha, beta = targets(run)
    return (beta - alpha) / gap


def _gap(left: dict, right: dict) -> float:
    return right["center"][0] - right["half_width"] - left["center"][0] - left["half_width"]


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def _claims(rows: list[Row]) -> list[Claim]:
    return [
        Claim(
            f"left: where the supports overlap totally, more than {MOST:.0%} of the fakes inside"
            " them get no gradient",
            greater(
                column(rows, "squares", "share_vanish"),
                MOST,
                quantity=f"share of inner fakes with |grad f| < {VANISHED:.0%} of (beta - alpha)"
                " / gap",
            ),
            "lipschitz, Fig. 2 (left), sec. 2.1, case 2",
        ),
        Claim(
            f"right: more than {MOST:.0%} of the fakes get no gradient or head to the near mode",
            greater(
                column(rows, "gaussians", "share_lost"),
                MOST,
                quantity=f"share of fakes with |grad f| < {VANISHED:.0%} of (beta - alpha) /"
                " distance, or a gradient towards the near mode",
            ),
            "lipschitz, Fig. 2 (right), sec. 2.1, case 3",
            paper="the vast majority",
        ),
    ]


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure, grid = new_figure(2, 2, 5.4)
    filled, drawn = None, None
    for x, (panel, title) in enumerate(TITLES.items()):
        if not panels[panel]:
            for axes in grid[:, x]:
                empty(axes, title)
            continue
        run = panels[panel][0]
        error = np.nanmean(column(rows, panel, "rmse"))
        drawn = grid[0, x]
        filled = draw_surface(drawn, run, f"{title}: RMSE to f* {error:.2g}")
        data = run.arrays("gradients")
        fake, gradient = data["fake"][:40], data["fake_gradient"][:40]
        draw_directions(drawn, fake, gradient, steep=_drawn_ramp(run))
        at_grid = run.arrays("surface")
        plane = np.stack(np.meshgrid(at_grid["axis"], at_grid["axis_y"]), axis=-1)
        exact = np.ma.masked_invalid(optimum(run, plane))
        draw_surface(grid[1, x], run, f"{title}: f*, Eq. 3", exact)
    if filled is not None and drawn is not None:
        figure.colorbar(filled, ax=grid, shrink=0.6, ticks=LEVELS[1::5], label="f")
        handles, labels = drawn.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2)
    return figure


def _drawn_ramp(run: Run) -> float:
    return _ramp(run, gap=0.5)


ENTRY = Entry(_measure, _claims, _draw)
