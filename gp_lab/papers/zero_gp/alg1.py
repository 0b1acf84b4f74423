"""`zero_gp`, App. F: 0-GP along the latent paths of Algorithm 1, beside that on straight lines."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from gp_lab.evaluation.points import balance, modes_hit, share_near
from gp_lab.figures.claims import Claim
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import FAKE, REAL, empty, points, surface, window
from gp_lab.runs.identity import Config
from gp_lab.theory.optimal import optimal_discriminator
from gp_lab.theory.surfaces import rmse

TITLES = {"line": "straight line, Eq. 6", "latent_path": "latent path, Alg. 1"}

NEAR = 0.1
"""A sample is near a mode within this share of the circle's radius."""


def _ring(config: Config) -> tuple[np.ndarray, float, float]:
    """Centres [modes, 2], radius and std of the data, in its scale."""
    ring, scale = config["dataset"]["distribution"], config["dataset"]["scale"]
    angle = 2 * np.pi * np.arange(ring["modes"]) / ring["modes"]
    radius, std = scale * ring["radius"], scale * ring["std"]
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), radius, std


def log_mixture(x: np.ndarray, means: np.ndarray, std: float) -> np.ndarray:
    """log density [n] at points [n, 2] of equal round Gaussians about means [k, 2]."""
    exponents = -0.5 * cdist(x, means, "sqeuclidean") / std**2
    return np.asarray(logsumexp(exponents, axis=1) - np.log(2 * np.pi * std**2 * len(means)))


def _error(run: Run) -> float:
    """RMSE of D to D* over new reals and fakes alike, both densities smoothed by the mode's std."""
    at = run.arrays("held_out")
    centers, _, std = _ring(run.folder.config)
    x = np.concatenate([at["held_out_real"], at["held_out_fake"]])
    logit = np.concatenate([at["held_out_real_logit"], at["held_out_fake_logit"]])
    log_real = log_mixture(x, centers, np.hypot(std, std))
    log_fake = log_mixture(x, at["train_fake"], std)
    return rmse(np.exp(-np.logaddexp(0, -logit)), optimal_discriminator(log_real, log_fake))


def _row(run: Run) -> Row:
    fake = run.arrays("held_out")["held_out_fake"]
    centers, radius, _ = _ring(run.folder.config)
    row: Row = {"panel": run.panel, "seed": run.seed, "state": run.state}
    row["modes"] = int(modes_hit(fake, centers, NEAR * radius).sum())
    row["share_near"] = share_near(fake, centers, NEAR * radius)
    row["balance"] = balance(fake, centers)
    row["rmse_optimal"] = _error(run)
    if run.panel == "latent_path":
        paths = run.arrays("latent_paths")
        missed = np.linalg.norm(paths["path"][:, -1] - paths["real"], axis=1)
        row["missed"] = float(np.median(missed))
        row["codes_mean_norm"] = float(np.linalg.norm(paths["codes"].mean(0)))
        row["codes_std"] = float(paths["codes"].std(0).mean())
    return row


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def _claims(rows: list[Row]) -> list[Claim]:
    return []  # the paper reports no experiment


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7.0, 2.5), layout="constrained")
    *surfaces, paths = figure.subplots(1, 3)
    filled = None
    for axes, (panel, title) in zip(surfaces, TITLES.items(), strict=True):
        if not panels[panel]:
            empty(axes, title)
            continue
        run = panels[panel][0]
        at_grid, at_data = run.arrays("surface"), run.arrays("held_out")
        modes, error = (np.nanmean(column(rows, panel, q)) for q in ("modes", "rmse_optimal"))
        title += f"\n{modes:.1f} modes, RMSE to D* {error:.2f}"
        levels = np.linspace(0, 1, 11)
        filled = surface(axes, at_grid["axis"], at_grid["probability"], levels, title)
        points(axes, at_data["held_out_real"], at_data["held_out_fake"], most=500)
        window(axes, at_grid["axis"])
    if filled is not None:
        figure.colorbar(
            filled, ax=surfaces, shrink=0.8, ticks=[0, 0.5, 1], label="D, the probability of real"
        )
    _draw_paths(paths, panels)
    return figure


def _draw_paths(axes: Axes, panels: Panels, most: int = 12) -> None:
    title = "paths of Alg. 1"
    if not panels["latent_path"]:
        empty(axes, title)
        return
    run = panels["latent_path"][0]
    arrays = run.arrays("latent_paths")
    for real, path in zip(arrays["real"][:most], arrays["path"], strict=False):
        axes.plot(path[:, 0], path[:, 1], color="0.3", lw=0.8)
        axes.plot(*np.stack([path[-1], real]).T, color="0.6", lw=0.6, ls=":")
        axes.plot(*path[0], "^", color=FAKE, ms=4, mec="black", mew=0.3)
        axes.plot(*real, "o", color=REAL, ms=4, mec="black", mew=0.3)
    axes.plot([], [], "o", color=REAL, ms=4, mec="black", mew=0.3, label="real x")
    axes.plot([], [], "^", color=FAKE, ms=4, mec="black", mew=0.3, label="fake y = G(z)")
    axes.plot([], [], color="0.6", lw=0.6, ls=":", label="G(E(x)) to x")
    axes.set(title=f"{title}\n(dotted: what the encoder misses)", aspect="equal")
    window(axes, run.arrays("surface")["axis"])
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False)


ENTRY = Entry(_measure, _claims, _draw)
