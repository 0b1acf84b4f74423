"""Small pictures of arrays for the dashboard, drawn without a display."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

REAL, FAKE = "#E69F00", "#56B4E9"
"""Okabe and Ito's orange and sky blue, as in the papers' figures."""

GAP = 2
"""Pixels between two images of a grid."""

LEAST, WIDEST = 64, 2048
"""Pixels: small images are enlarged to about `LEAST` while a grid is no wider than `WIDEST`."""


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
    """Reals [n, 2] on top of fakes [m, 2] in one plane, uint8 [h, w, 3]."""

    def draw(axes: Any) -> None:
        axes.scatter(*fake.T, s=6, c=FAKE, label="fake")
        axes.scatter(*real.T, s=3, c=REAL, label="real")
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


def paths_picture(real: np.ndarray, paths: np.ndarray) -> np.ndarray:
    """Reals [n, 2] and lines paths [m, points, 2] in one plane, uint8 [h, w, 3]."""

    def draw(axes: Any) -> None:
        axes.scatter(*real.T, s=4, c=REAL, label="real")
        for path in paths:
            axes.plot(*path.T, linewidth=0.8, marker=".", markersize=2)

    return _drawn(draw)


def grid_picture(
    images: np.ndarray, columns: int | None = None, frames: np.ndarray | None = None
) -> np.ndarray:
    """Images uint8 [n, C, H, W] row by row, uint8 [h, w, 3]; about a square without `columns`.

    Small ones are enlarged by a whole factor, pixel by pixel. One channel is grey, three are
    colours; of any other number the mean is shown. `frames`, uint8 [n, 3], are the colours of a
    frame round each image.
    """
    if images.shape[1] not in (1, 3):
        images = images.mean(axis=1, keepdims=True).round().astype(np.uint8)
    n, _, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    factor = max(1, min(LEAST // max(height, width), WIDEST // (columns * width)))
    height, width, frame = height * factor, width * factor, 0 if frames is None else GAP
    down, right = height + 2 * frame + GAP, width + 2 * frame + GAP
    picture = np.full((-(-n // columns) * down + GAP, columns * right + GAP, 3), 255, np.uint8)
    for k, image in enumerate(images.transpose(0, 2, 3, 1)):
        y, x = k // columns * down + GAP + frame, k % columns * right + GAP + frame
        if frames is not None:
            picture[y - frame : y + height + frame, x - frame : x + width + frame] = frames[k]
        enlarged = image.repeat(factor, axis=0).repeat(factor, axis=1)
        picture[y : y + height, x : x + width] = enlarged
    return picture


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
