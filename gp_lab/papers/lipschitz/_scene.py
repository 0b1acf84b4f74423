"""What the pictures of lipschitz of fixed distributions share: where, how steep, whither."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes

from gp_lab.figures.entry import Run
from gp_lab.figures.style import points, surface
from gp_lab.instantiate import instantiate
from gp_lab.theory.lipschitz import OptimalDiscriminator
from gp_lab.theory.optimal import optimal_least_squares

VANISHED = 0.01
"""A gradient has vanished below this share of (beta - alpha) / gap, that of a straight ramp."""

LEVELS = np.linspace(-1.2, 1.2, 13)

BAR: dict[str, Any] = {"label": "f", "ticks": LEVELS[1::5]}
"""How their colour bar looks."""

DRAWN = 30
"""So many reals and fakes are drawn on a surface."""

LONGEST_ARROW = 0.25

AXES: dict[str, Any] = {"xlabel": "$x_1$", "ylabel": "$x_2$"}
"""What the plane's axes are called."""

ARROW: dict[str, Any] = {"color": "white", "edgecolor": "black", "linewidth": 0.3, "zorder": 1.5}
"""How arrows look that lie on dark and on light ground, below the samples."""


def targets(run: Run) -> tuple[float, float]:
    """alpha and beta: what LSGAN wants of fakes and of reals."""
    loss = run.folder.config["loss"]
    return float(loss["alpha"]), float(loss["beta"])


def optimum(run: Run, x: np.ndarray) -> np.ndarray:
    """f* of lipschitz, Eq. 3, at x [..., 2], from the run's own config; NaN off both supports."""
    config, z = run.folder.config, torch.from_numpy(np.asarray(x, dtype=np.float64)).reshape(-1, 2)
    real, fake = (
        instantiate(source["distribution"], "distribution").log_density(z).numpy()
        for source in (config["dataset"], config["architecture"]["latent"])
    )
    return optimal_least_squares(real, fake, *targets(run)).reshape(x.shape[:-1])


def known_mean(values: np.ndarray) -> float:
    """Of those that are not NaN; NaN where all are."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def to_square(x: np.ndarray, square: Mapping[str, Any]) -> np.ndarray:
    """From each point [n, 2] to the nearest of a square's."""
    center, half = np.array(square["center"]), square["half_width"]
    return np.clip(x, center - half, center + half) - x


def inside_square(x: np.ndarray, square: Mapping[str, Any], margin: float) -> np.ndarray:
    """Which points [n, 2] lie in a square, farther than `margin` from its border."""
    offset = np.abs(x - np.array(square["center"])).max(-1)
    return offset < square["half_width"] - margin


def draw_surface(
    axes: Axes, run: Run, values: np.ndarray | None = None, fakes: Any = slice(DRAWN)
) -> None:
    """f of a run over its window (or `values` in its place), reals, and these of the fakes."""
    at_grid, at_data = run.arrays("surface"), run.arrays("gradients")
    shown = at_grid["logit"] if values is None else values
    surface(axes, at_grid["axis"], at_grid["axis_y"], shown, LEVELS, extend="both")
    points(axes, at_data["real"][:DRAWN], at_data["fake"][fakes], s=14, linewidths=0.5)


def draw_directions(axes: Axes, run: Run, fakes: Any = slice(DRAWN)) -> None:
    """Arrows along grad f at these fakes, as long as it is steep up to `LONGEST_ARROW`."""
    data = run.arrays("gradients")
    x, gradient = data["fake"][fakes], data["fake_gradient"][fakes]
    norm = np.linalg.norm(gradient, axis=1, keepdims=True)
    # Longer ones would cross the picture: of them only the direction is shown.
    scaled = gradient / np.maximum(1, norm / LONGEST_ARROW)
    axes.quiver(*x.T, *scaled.T, angles="xy", scale_units="xy", scale=1, width=0.006, **ARROW)
    most = f"at most {LONGEST_ARROW:g}"
    label_arrows(axes, rf"$\nabla f$ at a fake, as long as $|\nabla f|$ but {most}")


def label_arrows(axes: Axes, label: str) -> None:
    """What the legend says of the arrows, beside a small one."""
    axes.plot([], [], color="black", marker=">", ms=5, mfc="white", mew=0.4, lw=0.8, label=label)


def draw_plane(
    axes: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, real: np.ndarray,
    fake: np.ndarray, size: float, **look: Any,
) -> None:  # fmt: skip
    """A surface without lines, and reals and fakes [k, 2] as markers of a `size`."""
    surface(axes, x, y, values, **({"lines": False} | look))
    points(axes, real, fake, most=None, s=size, linewidths=0.3)


def draw_units(axes: Axes, x: np.ndarray, gradient: np.ndarray, scale: float) -> None:
    """Arrows from fakes x [n, 2] along gradients [n, 2], all a `scale`th of the axes long."""
    size = np.linalg.norm(gradient, axis=1, keepdims=True)
    unit = np.divide(gradient, size, out=np.zeros_like(gradient), where=size > 0)
    axes.quiver(*x.T, *unit.T, width=0.08 / scale, scale=scale, **ARROW)
    label_arrows(axes, r"direction of $\nabla f$ at a fake")


def draw_coupling(axes: Axes, optimum: OptimalDiscriminator, most: int, label: str) -> None:
    """White lines from the first fakes to the reals that they are most strongly coupled with."""
    partner = optimum.partner()[:most]
    (coupled,) = np.nonzero(partner >= 0)
    ends = np.stack([optimum.fake[coupled], optimum.real[partner[coupled]]])
    axes.plot(ends[..., 0], ends[..., 1], color="white", lw=0.7, label=label, zorder=1)
