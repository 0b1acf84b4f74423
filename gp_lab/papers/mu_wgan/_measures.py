"""How the penalty measures of mu_wgan, Table 1, are named and drawn in all its figures."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gp_lab.figures.style import FAKE, REAL
from gp_lab.theory.dynamics import Measure

MEASURES: dict[Measure, str] = {
    "fake": r"$p_g$",
    "real": r"$p_d$",
    "between": r"$\mu_{GP}$",
    "midpoint": r"$\mu_{mid}$",
    "anchor": r"$\mu_{g,anc}$",
}

COLOURS = {
    "fake": FAKE,
    "real": REAL,
    "between": "#009E73",
    "midpoint": "#CC79A7",
    "anchor": "#0072B2",
    "origin": "#000000",
}
"""Okabe and Ito's."""

MARKERS = {
    "fake": "^", "real": "o", "between": "s", "midpoint": "D", "anchor": "v", "origin": "X",
}  # fmt: skip


def streams(
    axes: Axes, psi: tuple[float, float], theta: tuple[float, float],
    field: Callable[[np.ndarray], np.ndarray], **look: Any,
) -> None:  # fmt: skip
    """Streamlines of a field over a window, psi across and theta up."""
    x, y = np.linspace(*psi, 41), np.linspace(*theta, 41)
    u, v = np.moveaxis(field(np.stack(np.meshgrid(x, y), axis=-1)), -1, 0)
    axes.streamplot(x, y, u, v, color=FAKE, linewidth=0.5, **look)
    axes.set(xlim=psi, ylim=theta, xlabel=r"$\psi$")
