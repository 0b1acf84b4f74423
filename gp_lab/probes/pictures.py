"""Small pictures of arrays for the dashboard, drawn without a display."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def surface_picture(x: np.ndarray, y: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Filled contours of values [n, m] over axes x [m] and y [n], uint8 [h, w, 3]."""

    def draw(axes: Any) -> None:
        axes.contourf(x, y, values, levels=20, cmap="viridis")

    return _drawn(draw)


def field_picture(axis: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Arrows of gradient [points, points, 2] over axis [points], uint8 [h, w, 3]."""

    def draw(axes: Any) -> None:
        axes.quiver(axis, axis, gradient[..., 0], gradient[..., 1])

    return _drawn(draw)


def scatter_picture(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Reals and fakes [n, 2] in one plane, uint8 [h, w, 3]."""

    def draw(axes: Any) -> None:
        axes.scatter(*real.T, s=4, c="#E69F00", label="real")
        axes.scatter(*fake.T, s=4, c="#0072B2", label="fake")
        axes.legend(loc="upper right")

    return _drawn(draw)


def text_picture(lines: Sequence[str]) -> np.ndarray:
    """Lines of text, one below the other, uint8 [h, w, 3]."""

    def draw(axes: Any) -> None:
        axes.set_axis_off()
        axes.text(
            0, 1, "\n".join(lines), va="top", family="monospace", size=8, parse_math=False,
            transform=axes.transAxes,
        )  # fmt: skip

    return _drawn(draw)


def _drawn(draw: Callable[[Any], None]) -> np.ndarray:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_aspect("equal")
    draw(axes)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
