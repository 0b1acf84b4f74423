"""What the pictures of lipschitz of fixed distributions share: where, how steep, whither."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy.stats import multivariate_normal

from gp_lab.figures.registry import Run
from gp_lab.figures.style import points, surface_over
from gp_lab.theory.optimal import optimal_least_squares

VANISHED = 0.01
"""A gradient has vanished below this share of (beta - alpha) / gap, that of a straight ramp."""

LEVELS = np.linspace(-1.2, 1.2, 13)

DRAWN_FAKES = 60

LONGEST_ARROW = 0.2


def targets(run: Run) -> tuple[float, float]:
    """alpha and beta: what LSGAN wants of fakes and of reals."""
    loss = run.folder.config["loss"]
    return float(loss["alpha"]), float(loss["beta"])


def log_density(distribution: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    """Of a config's Gaussian mixture, or mixture of squares, at x [..., 2]; -inf off the squares.

    Raises ValueError for another distribution.
    """
    kind = distribution["_target_"].rpartition(".")[2]
    if kind == "UniformSquare":
        offset = np.abs(x - np.array(distribution["center"]))
        inside = (offset <= distribution["half_width"]).all(-1)
        return np.where(inside, -2 * np.log(2 * distribution["half_width"]), -np.inf)
    if kind == "GaussianMixture":
        pairs = zip(distribution["means"], distribution["covariances"], strict=True)
        each = [multivariate_normal(mean, covariance).logpdf(x) for mean, covariance in pairs]
    elif kind == "Mixture":
        each = [log_density(component, x) for component in distribution["components"]]
    else:
        raise ValueError(f"{kind}: no density of it is known here")
    weights = np.array(distribution["weights"] or [1.0] * len(each))
    return np.logaddexp.reduce(
        [a + np.log(w) for a, w in zip(each, weights / weights.sum(), strict=True)]
    )


def optimum(run: Run, x: np.ndarray) -> np.ndarray:
    """f* of lipschitz, Eq. 3, at x [..., 2], from the run's own config; NaN off both supports."""
    config = run.folder.config
    real, fake = (
        log_density(source["distribution"], x)
        for source in (config["dataset"], config["architecture"]["latent"])
    )
    return optimal_least_squares(real, fake, *targets(run))


def to_square(x: np.ndarray, square: Mapping[str, Any]) -> np.ndarray:
    """From each point [n, 2] to the nearest of a square's."""
    center, half = np.array(square["center"]), square["half_width"]
    return np.clip(x, center - half, center + half) - x


def inside_square(x: np.ndarray, square: Mapping[str, Any], margin: float) -> np.ndarray:
    """Which points [n, 2] lie in a square, farther than `margin` from its border."""
    offset = np.abs(x - np.array(square["center"])).max(-1)
    return offset < square["half_width"] - margin


def draw_surface(axes: Axes, run: Run, title: str, values: np.ndarray | None = None) -> Any:
    """f of a run over its window (or `values` in its place), reals, fakes."""
    at_grid, at_data = run.arrays("surface"), run.arrays("gradients")
    shown = at_grid["logit"] if values is None else values
    filled = surface_over(axes, at_grid["axis"], at_grid["axis_y"], shown, LEVELS, title)
    points(axes, at_data["real"], at_data["fake"], most=DRAWN_FAKES)
    return filled


def draw_directions(axes: Axes, x: np.ndarray, gradient: np.ndarray, steep: float) -> None:
    """Arrows from x [n, 2] along the gradient [n, 2]; their length is 1 where it is `steep`."""
    norm = np.linalg.norm(gradient, axis=1, keepdims=True)
    # Longer ones would cross the picture: of them only the direction is shown.
    scaled = gradient / steep / np.maximum(1, norm / steep / LONGEST_ARROW)
    axes.quiver(
        *x.T, *scaled.T, angles="xy", scale_units="xy", scale=1, width=0.003, color="#D55E00",
        zorder=3,
    )  # fmt: skip
