"""zero_gp, App. F: 0-GP along the latent paths of Algorithm 1, beside that on straight lines."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from gp_lab.evaluation.points import balance, modes_hit, share_near
from gp_lab.figures.claims import Claim
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import colour_bar, panel, panels
from gp_lab.figures.style import FAKE, REAL, new_panels, window
from gp_lab.figures.table import Row, Table
from gp_lab.papers.zero_gp._drawing import LABEL, draw_values
from gp_lab.papers.zero_gp._reading import NEAR, centers
from gp_lab.theory.optimal import optimal_discriminator
from gp_lab.theory.surfaces import rmse

PATHS = "zero_gp_latent_path"


def log_mixture(x: np.ndarray, means: np.ndarray, std: float) -> np.ndarray:
    """log density [n] at points [n, 2] of equal round Gaussians about means [k, 2]."""
    exponents = -0.5 * cdist(x, means, "sqeuclidean") / std**2
    return np.asarray(logsumexp(exponents, axis=1) - np.log(2 * np.pi * std**2 * len(means)))


def _error(run: Run) -> float:
    """RMSE of D to D* over new reals and fakes alike, both densities smoothed by the mode's std."""
    at, data = run.arrays("held_out"), run.folder.config["dataset"]
    std = data["scale"] * data["distribution"]["std"]
    x = np.concatenate([at["held_out_real"], at["held_out_fake"]])
    logit = np.concatenate([at["held_out_real_logit"], at["held_out_fake_logit"]])
    log_real = log_mixture(x, centers(run), np.hypot(std, std))
    log_fake = log_mixture(x, at["train_fake"], std)
    return rmse(np.exp(-np.logaddexp(0, -logit)), optimal_discriminator(log_real, log_fake))


def measure(run: Run) -> Row:
    fake, modes = run.arrays("held_out")["held_out_fake"], centers(run)
    near = NEAR * float(np.linalg.norm(modes, axis=1).mean())
    row: Row = {
        "modes": int(modes_hit(fake, modes, near).sum()),
        "share_near": share_near(fake, modes, near),
        "balance": balance(fake, modes),
        "rmse_optimal": _error(run),
    }
    if run.cell["method"] == PATHS:
        paths = run.arrays("latent_paths")
        missed = np.linalg.norm(paths["path"][:, -1] - paths["real"], axis=1)
        row["missed"] = float(np.median(missed))
        row["codes_mean_norm"] = float(np.linalg.norm(paths["codes"].mean(0)))
        row["codes_std"] = float(paths["codes"].std(0).mean())
    return row


def claims(table: Table) -> list[Claim]:
    return []  # the paper reports no experiment


def draw(runs: Runs, table: Table) -> Figure:
    def values(axes: Axes, run: Run) -> str:
        draw_values(axes, run, "held_out", most=500)
        modes, error = (table.mean(q, **run.cell) for q in ("modes", "rmse_optimal"))
        return f"mean {modes:.1f} modes, RMSE to D* {error:.2f}"

    methods = runs.grid.named("method")
    figure, ((*surfaces, paths),) = new_panels(1, len(methods) + 1, 2.5)
    colour_bar(panels(surfaces, runs, methods, values), LABEL, shrink=0.8, ticks=[0, 0.5, 1])
    panel(paths, runs.first(method=PATHS), "paths of Alg. 1", _paths)
    return figure


def _paths(axes: Axes, run: Run, most: int = 12) -> str:
    dot: Any = {"ms": 4, "mec": "black", "mew": 0.3, "zorder": 3}
    arrays = run.arrays("latent_paths")
    real, path = arrays["real"][:most], arrays["path"][:most]
    axes.plot(*real.T, "o", color=REAL, label="real x", **dot)
    axes.plot(*path[:, 0].T, "^", color=FAKE, label="fake y = G(z)", **dot)
    way, *_ = axes.plot(*path.T, color="0.3", lw=0.8)
    way.set_label("path")
    missed, *_ = axes.plot(*np.stack([path[:, -1], real], 1).T, "k:", lw=1, zorder=4)
    missed.set_label("G(E(x)) to x")
    window(axes, run.arrays("surface")["axis"])
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False)
    return "(dotted: what the encoder misses)"


ENTRY = Entry(measure, claims, draw)
