"""The Dirac-GAN under gradient descent: does the discrete map converge (`zero_gp`, sec. 5.4)?

One real at 0, one fake at theta, D(x) = sigmoid(psi x), the objective of `zero_gp`, Eq. 1, with a
non-saturating generator (Mescheder et al., 2018). The equilibrium is (theta, psi) = (0, 0).
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from gp_lab.theory.one_pair import PairPenalty

Array = NDArray[np.float64]
Output = Literal["probability", "logit"]
Order = Literal["alternating", "simultaneous"]

SMOOTHING = 1e-3
"""|g| of 1-GP, which has a kink at 0, becomes sqrt(g^2 + SMOOTHING^2) where it is linearised."""


def penalty_curvature(penalty: PairPenalty, weight: float, output: Output = "probability") -> float:
    """The second derivative of the penalty in psi at the equilibrium.

    There |grad D| is |psi| on the logit and |psi|/4 on the probability at all points, so the
    penalties of segments and of samples agree: 2 weight and weight/8. 1-GP has its maximum at 0,
    with a kink: smoothed it is -2 weight (1 - s)/s (a sixteenth on the probability), which goes to
    minus infinity as the smoothing s goes to 0.
    """
    slope = 1.0 if output == "logit" else 0.25
    if penalty == "none":
        return 0.0
    if penalty == "one_gp":
        return -2 * weight * slope**2 * (1 - SMOOTHING) / SMOOTHING
    return 2 * weight * slope**2


def jacobian(curvature: float, lr: float, order: Order = "alternating") -> Array:
    """The derivative `[2, 2]` of one iteration (D, then G) in (theta, psi), at the equilibrium.

    D: psi - lr (theta/2 + curvature psi); G: theta + lr psi/2, with the new psi if `alternating`,
    as in the lab's training loop.
    """
    of_d = np.array([[1.0, 0.0], [-lr / 2, 1 - lr * curvature]])
    of_g = np.array([[1.0, lr / 2], [0.0, 1.0]])
    if order == "alternating":
        return of_g @ of_d
    return of_d + of_g - np.eye(2)


def spectral_radius(curvature: float, lr: float, order: Order = "alternating") -> float:
    """The largest |eigenvalue| of `jacobian`, in closed form; below 1 the map converges.

    With g = 1 - lr curvature: trace 1 + g - lr^2/4 and determinant g (alternating), or trace 1 + g
    and determinant g + lr^2/4 (simultaneous). Complex eigenvalues have |.|^2 = determinant: without
    a penalty they lie on the unit circle or outside, and the generator does not settle.
    """
    g = 1 - lr * curvature
    alternating = order == "alternating"
    trace = 1 + g - (lr**2 / 4 if alternating else 0.0)
    determinant = g if alternating else g + lr**2 / 4
    discriminant = trace**2 - 4 * determinant
    if discriminant < 0:
        return float(np.sqrt(determinant))
    return float((abs(trace) + np.sqrt(discriminant)) / 2)


def trajectory(
    penalty: PairPenalty,
    start: tuple[float, float],
    lr: float,
    weight: float,
    steps: int,
    output: Output = "probability",
) -> Array:
    """(theta, psi) `[steps + 1, 2]` of the whole map, alternating, not only its linear part.

    Expectations over the segment are by Gauss-Legendre quadrature with 8 nodes.
    """
    nodes, share = np.polynomial.legendre.leggauss(8)
    where, share = (nodes + 1) / 2, share / 2
    if penalty == "zero_gp_sample":
        where, share = np.array([0.0, 1.0]), np.array([0.5, 0.5])
    theta, psi = start
    found = np.empty((steps + 1, 2))
    found[0] = theta, psi
    for i in range(steps):
        slope, of_slope = _slope(where * theta, psi, output)
        if penalty == "none":
            excess = np.zeros_like(slope)
        elif penalty == "one_gp":
            excess = (np.abs(slope) - 1) * np.sign(slope)
        else:
            excess = slope
        of_penalty = 2 * weight * float(share @ (excess * of_slope))
        psi = psi - lr * (expit(psi * theta) * theta + of_penalty)
        theta = theta + lr * float(expit(-psi * theta)) * psi
        found[i + 1] = theta, psi
    return found


def _slope(v: Array, psi: float, output: Output) -> tuple[Array, Array]:
    """The slope of D at points v `[n]`, and its derivative in psi."""
    if output == "logit":
        return np.full_like(v, psi), np.ones_like(v)
    p = expit(psi * v)
    first = p * (1 - p)
    return first * psi, first + first * (1 - 2 * p) * v * psi
