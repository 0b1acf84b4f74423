"""How steep the best discriminator of one real and one fake is under each penalty of `zero_gp`.

On the segment between a fake y and a real x at distance r, D minimises -log D(x) - log(1 - D(y))
plus the penalty. A penalty on the whole segment is least for equal slopes (Jensen), so the gap
D(x) - D(y), symmetric about 1/2, is all that is left to find: one equation in one unknown.
"""

from typing import Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

PairPenalty = Literal["none", "zero_gp_sample", "one_gp", "zero_gp"]
"""The rows of `zero_gp`, Table 1, and no penalty."""

PAIR_PENALTIES: tuple[PairPenalty, ...] = ("zero_gp", "one_gp", "zero_gp_sample", "none")


def largest_slope(
    penalty: PairPenalty,
    distance: float,
    weight: float,
    output: Literal["probability", "logit"] = "probability",
) -> float:
    """The largest |dD/ds| of the probability D on the segment at the optimum, in 1/length.

    Without a penalty, and with one at the two ends alone (0-GP-sample: D may be flat there), the
    loss falls to its infimum as D(x) - D(y) goes to 1: D is somewhere at least as steep as
    1/distance, which is returned. `output` is what 1-GP and 0-GP differentiate. Raises ValueError
    unless distance and weight are positive.
    """
    if not (distance > 0 and weight > 0):
        raise ValueError(f"distance={distance}, weight={weight}: must be positive")
    if penalty in ("none", "zero_gp_sample"):
        return 1 / distance
    center = 1.0 if penalty == "one_gp" else 0.0
    if output == "probability":
        return max(_probability_gap(distance, weight, center) / distance, _zigzag(distance, center))
    return 0.25 * _logit_gap(distance, weight, center) / distance


def _probability_gap(r: float, weight: float, center: float) -> float:
    """The gap in [0, 1] that minimises -2 log((1 + gap)/2) + weight (gap/r - center)^2."""
    # (gap - center r)(1 + gap) = r^2 / weight, a quadratic with one positive root.
    b, c = 1 - center * r, center * r + r * r / weight
    root = 2 * c / (b + np.sqrt(b * b + 4 * c))
    return float(min(root, 1.0))


def _zigzag(r: float, center: float) -> float:
    """1-GP on a segment longer than a probability can climb with slope 1: |slope| 1, both ways."""
    return center if center * r >= 1 else 0.0


def _logit_gap(r: float, weight: float, center: float) -> float:
    """The gap F > 0 that minimises 2 log(1 + exp(-F/2)) + weight (F/r - center)^2."""

    def derivative(gap: float) -> float:
        return float(2 * weight * (gap / r - center) / r - expit(-gap / 2))

    return float(
        brentq(derivative, 0.0, center * r + r * r / (2 * weight), xtol=1e-300, rtol=1e-14)
    )
