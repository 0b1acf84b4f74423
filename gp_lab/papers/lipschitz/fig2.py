"""lipschitz, Fig. 2: supports that overlap, or cover the plane, and gradients that lead nowhere."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.evaluation.points import cosines
from gp_lab.figures.claims import COSINE, SHARE, Claim, greater, inside, less, only_if, stated
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import colour_bar, legend_above, panels
from gp_lab.figures.style import new_figure
from gp_lab.figures.table import Row, Table
from gp_lab.papers.lipschitz import _scene as scene
from gp_lab.papers.lipschitz.fig1 import UNDIRECTED
from gp_lab.theory.surfaces import rmse

MARGIN = 0.05
"""A fake is inside a square if it lies farther than this from its border."""

MOST = 0.9
"""The vast majority of the fakes: more than this share (the catalogue's)."""

FITTED = 0.2
"""f has come to f* if its RMSE is below this, the bound of the pilot."""

STEP = 1e-4
"""Of the central differences that take the gradient of f*, in the units of the plane."""


def measure(run: Run) -> Row:
    data = run.arrays("gradients")
    samples = np.concatenate([data["real"], data["fake"]])
    f = np.concatenate([data["real_logit"], data["fake_logit"]])
    row = {"rmse": rmse(f, scene.optimum(run, samples))}
    if run.cell["dataset"] == "squares":
        return row | _squares(run, data)
    shares = _shares(run, data["fake"], data["fake_gradient"])
    exact = _shares(run, data["fake"], _gradient_of_optimum(run, data["fake"]))
    return row | shares | {f"{name}_optimal": value for name, value in exact.items()}


def _squares(run: Run, data: Any) -> Row:
    """Most fakes are in the left square, and some of them ought to go to the right one."""
    left, right = run.folder.config["architecture"]["latent"]["distribution"]["components"]
    f, fake, gradient = data["fake_logit"], data["fake"], data["fake_gradient"]
    gap = right["center"][0] - right["half_width"] - left["center"][0] - left["half_width"]
    norm = np.linalg.norm(gradient, axis=1) / _ramp(run, gap)
    within = scene.inside_square(fake, left, MARGIN) | scene.inside_square(fake, right, MARGIN)
    over = scene.inside_square(fake, left, 0) & ~within
    cosine = cosines(gradient[over], scene.to_square(fake[over], right))
    return {
        "f_left": float(f[fake[:, 0] < 0].mean()),
        "f_right": float(f[fake[:, 0] > 0].mean()),
        "norm_inside": float(np.median(norm[within])),
        "share_vanish": float((norm[within] < scene.VANISHED).mean()),
        "cosine_border": scene.known_mean(cosine),
    }


def _shares(run: Run, fake: np.ndarray, gradient: np.ndarray) -> Row:
    """Of the fakes: how many gradients vanish, lead to the near mode, to the far one."""
    (center,) = run.folder.config["architecture"]["latent"]["distribution"]["means"]
    modes = np.array(run.folder.config["dataset"]["distribution"]["means"])
    distance = np.linalg.norm(modes - np.array(center), axis=1)
    norm = np.linalg.norm(gradient, axis=1) / _ramp(run, float(distance.max()))
    near, far = (cosines(gradient, m - fake) for m in modes[distance.argsort()])
    vanish = norm < scene.VANISHED
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
    rises = [scene.optimum(run, x + step) - scene.optimum(run, x - step) for step in steps]
    return np.stack(rises, axis=1) / (2 * STEP)


def _ramp(run: Run, gap: float) -> float:
    """The slope of a straight line from alpha to beta over a gap."""
    alpha, beta = scene.targets(run)
    return (beta - alpha) / gap


def claims(table: Table) -> list[Claim]:
    # All are about gradients that vanish, so none says `about`: D is exactly flat at f*.
    steep = f"fakes with |grad f| < {scene.VANISHED:.0%} of (beta - alpha)"
    left, right = f"share of inner {steep} / gap", f"share of {steep} / distance, or a gradient"
    cosine = "mean cosine of grad f at the border with the way to the other square"
    found = []
    for network, name in table.grid.titles("network").items():
        vanish = table.values("share_vanish", dataset="squares", network=network)
        border = table.values("cosine_border", dataset="squares", network=network)
        lost = table.values("share_lost", dataset="gaussians", network=network)
        nowhere = inside(border, -UNDIRECTED, UNDIRECTED, quantity=cosine, within=COSINE)
        fits = less(table.values("rmse", dataset="squares", network=network), FITTED)
        found += stated("lipschitz, Fig. 2 (left), sec. 2.1, case 2", {
            f"left, {name}: where the supports overlap totally, more than {MOST:.0%} of the fakes"
            " inside them get no gradient":
                greater(vanish, MOST, quantity=left, within=SHARE),
            f"left, {name}: fakes at the border of their square are not led to the other one (mean"
            f" cosine within {UNDIRECTED} of 0)":
                only_if(fits, nowhere, f"f is not within {FITTED:g} of its optimum"),
        })  # fmt: skip
        found += stated("lipschitz, Fig. 2 (right), sec. 2.1, case 3", {
            f"right, {name}: more than {MOST:.0%} of the fakes get no gradient or head to the near"
            " mode":
                greater(lost, MOST, quantity=f"{right} towards the near mode", within=SHARE),
        }, paper="the vast majority")  # fmt: skip
    return found


def draw(runs: Runs, table: Table) -> Figure:
    def trained(axes: Axes, run: Run) -> str:
        scene.draw_surface(axes, run)
        scene.draw_directions(axes, run)
        return f"{run.step:,} steps; mean RMSE to f* {table.mean('rmse', **run.cell):.2g}"

    def exact(axes: Axes, run: Run) -> str:
        at_grid = run.arrays("surface")
        plane = np.stack(np.meshgrid(at_grid["axis"], at_grid["axis_y"]), axis=-1)
        values = np.ma.masked_invalid(scene.optimum(run, plane))
        scene.draw_surface(axes, run, values)
        return "f*, Eq. 3" + ", undefined off the squares (white)" * bool(values.mask.any())

    networks = runs.grid.titles("network")
    figure, grid = new_figure(len(networks) + 1, 2, 7.8)
    for line, network in zip(grid, networks, strict=False):
        panels(line, runs, runs.grid.named("dataset", "network", network=network), trained)
    panels(grid[-1], runs, runs.grid.named("dataset", network=next(iter(networks))), exact)
    for axes in grid[:, 0]:
        axes.set(ylabel=scene.AXES["ylabel"])
    for axes in grid[-1]:
        axes.set(xlabel=scene.AXES["xlabel"])
    colour_bar(grid.flat, shrink=0.6, **scene.BAR)
    legend_above(figure, grid.ravel(), "upper center")
    figure.supxlabel("squares: shares of the samples in the left and in the right one", fontsize=7)
    return figure


ENTRY = Entry(measure, claims, draw)
