"""How the lab's pictures look: colours all can tell apart, sizes that a column can hold."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

REAL, FAKE = "#E69F00", "#56B4E9"
"""Okabe and Ito's orange and sky blue."""

SURFACE = "cividis"


@contextmanager
def paper_style() -> Iterator[None]:
    """Settings of matplotlib while a figure is drawn and saved."""
    settings: Any = {
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.labelsize": 8,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "legend.fontsize": 7,
        "axes.linewidth": 0.6,
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
    }
    with rc_context(settings):
        yield


def new_figure(rows: int, columns: int, height: float) -> tuple[Figure, Any]:
    """A figure as wide as a text column (7 inches), its axes [rows, columns]; height in inches."""
    figure = Figure(figsize=(7.0, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)


def surface(
    axes: Axes, axis: np.ndarray, values: np.ndarray, levels: np.ndarray, title: str
) -> Any:
    """Filled contours of values [points, points], row = y, over a square; lines at the levels."""
    filled = axes.contourf(axis, axis, values, levels=levels, cmap=SURFACE, extend="neither")
    axes.contour(axis, axis, values, levels=levels, colors="white", linewidths=0.3)
    axes.set_title(title)
    axes.set_aspect("equal")
    return filled


def surface_over(
    axes: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, levels: np.ndarray, title: str
) -> Any:
    """Filled contours of values [n, m] over axes x [m] and y [n], which become the window.

    Values beyond the levels take the end colours.
    """
    filled = axes.contourf(x, y, values, levels=levels, cmap=SURFACE, extend="both")
    axes.contour(x, y, values, levels=levels, colors="white", linewidths=0.3)
    axes.set_title(title)
    axes.set_aspect("equal")
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    return filled


def points(axes: Axes, real: np.ndarray, fake: np.ndarray, most: int = 200) -> None:
    """Reals and fakes [n, 2], at most so many of each, inside the axes as they are."""
    for samples, colour, marker, label in ((real, REAL, "o", "real"), (fake, FAKE, "^", "fake")):
        axes.scatter(
            samples[:most, 0], samples[:most, 1], s=5, c=colour, marker=marker, edgecolors="black",
            linewidths=0.2, label=label,
        )  # fmt: skip


def window(axes: Axes, axis: np.ndarray) -> None:
    """Limit the axes to the grid."""
    axes.set_xlim(axis[0], axis[-1])
    axes.set_ylim(axis[0], axis[-1])


def empty(axes: Axes, title: str) -> None:
    """A panel without a finished run says so."""
    axes.set_title(title)
    axes.text(0.5, 0.5, "no finished run", ha="center", va="center", transform=axes.transAxes)


def footer(figure: Figure, text: str) -> None:
    """What the picture was made from, below it."""
    figure.text(0.5, -0.01, text, ha="center", va="top", fontsize=7, color="0.35")
