"""Probes of the plane: value surfaces and gradient fields of the discriminator."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from gp_lab.fields import Count, Finite
from gp_lab.probes.base import (
    Arrays,
    PlaneProbe,
    View,
    check_square,
    grid,
    rectangle,
    sigmoid,
    values_and_gradients,
)
from gp_lab.probes.pictures import field_picture, surface_picture


@dataclass(frozen=True)
class ValueSurface(PlaneProbe):
    """D over a grid (zero_gp, Fig. 1; wgan_gp, Fig. 1a; lipschitz, Figs. 1-3).

    Arrays: axis [points], axis_y [points_y]; logit, probability, logit_slope, probability_slope
    [points_y, points], row = y, column = x; the slopes are gradient norms.

    Args:
        low, high, points: of x, and of y where it has none of its own.
        low_y, high_y, points_y: of y, where the window is not a square (lipschitz).
    """

    seen_at_once: ClassVar[str] = "points"

    low: Finite = -3.0
    high: Finite = 3.0
    points: Count = 128
    low_y: Finite | None = None
    high_y: Finite | None = None
    points_y: Count | None = None

    def __post_init__(self) -> None:
        check_square(self.low, self.high)
        low, high, _ = self._y
        if not low < high:
            raise ValueError(f"low_y={low}: not below high_y={high}")

    @property
    def _y(self) -> tuple[float, float, int]:
        return (
            self.low if self.low_y is None else self.low_y,
            self.high if self.high_y is None else self.high_y,
            self.points if self.points_y is None else self.points_y,
        )

    def measure(self, view: View) -> Arrays:
        axis, axis_y = np.linspace(self.low, self.high, self.points), np.linspace(*self._y)
        f, gradient = values_and_gradients(view.critic, rectangle(axis, axis_y, view))
        shape = (len(axis_y), len(axis))
        logit, slope = f.reshape(shape), np.linalg.norm(gradient, axis=1).reshape(shape)
        p = sigmoid(logit)
        return {
            "axis": axis,
            "axis_y": axis_y,
            "logit": logit,
            "probability": p,
            "logit_slope": slope,
            "probability_slope": p * (1 - p) * slope,
        }

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        slope = arrays["logit_slope"]
        return {"slope_mean": float(slope.mean()), "slope_max": float(slope.max())}

    def pictures(self, arrays: Arrays) -> dict[str, np.ndarray]:
        return {"surface": surface_picture(arrays["axis"], arrays["axis_y"], arrays["logit"])}


@dataclass(frozen=True)
class GradientField(PlaneProbe):
    """Arrows of grad f, or of grad log D as zero_gp draws it (Fig. 2), over a square grid.

    Arrays: axis [points], gradient [points, points, 2] (row = y, column = x).
    """

    seen_at_once: ClassVar[str] = "points"

    low: Finite = -10.0
    high: Finite = 10.0
    points: Count = 20
    of: Literal["log_probability", "logit"] = "log_probability"

    def __post_init__(self) -> None:
        check_square(self.low, self.high)

    def measure(self, view: View) -> Arrays:
        axis, flat = grid(self.low, self.high, self.points, view)
        f, gradient = values_and_gradients(view.critic, flat)
        if self.of == "log_probability":
            gradient = gradient * sigmoid(-f)[:, None]  # grad log sigmoid(f) = (1 - D) grad f
        return {"axis": axis, "gradient": gradient.reshape(self.points, self.points, 2)}

    def pictures(self, arrays: Arrays) -> dict[str, np.ndarray]:
        return {"field": field_picture(arrays["axis"], arrays["gradient"])}
