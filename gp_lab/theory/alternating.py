"""Alternating gradient descent of linear networks on one real and one fake (`zero_gp`, App. C).

D(v) = theta_D . v and G(z) = theta_G z with the same learning rate. Everything depends on the
latent only through |z|: a step of G moves the fake y by lr |z|^2 dL/dy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

Array = NDArray[np.float64]
Objective = Literal["wasserstein", "vanilla"]


@dataclass(frozen=True, eq=False)
class LinearPair:
    """One real x, one fake y = theta_G z and D's weights, all `[d]`, at one time.

    `wasserstein`: L = D(x) - D(y), and eps-optimal is D(x) - D(y) >= eps (`zero_gp`, Eq. 9).
    `vanilla`: `zero_gp`, Eq. 1 with D = sigmoid(theta_D . v), and eps-optimal as in Def. 1.
    """

    x: Array
    y: Array
    theta: Array
    z_norm: float = 1.0
    objective: Objective = "wasserstein"

    @property
    def distance(self) -> float:
        """|x - y|."""
        return float(np.linalg.norm(self.x - self.y))

    @property
    def gradient_d(self) -> Array:
        """dL/dtheta_D `[d]`: x - y (`zero_gp`, Eq. 11), or (1 - D(x)) x - D(y) y."""
        if self.objective == "wasserstein":
            return self.x - self.y
        return np.asarray(
            expit(-self.theta @ self.x) * self.x - expit(self.theta @ self.y) * self.y
        )

    @property
    def gradient_y(self) -> Array:
        """dL/dy `[d]`; dL/dtheta_G is its outer product with z (`zero_gp`, Eq. 12, has no sign)."""
        if self.objective == "wasserstein":
            return -self.theta
        return np.asarray(-expit(self.theta @ self.y) * self.theta)

    @property
    def ratio(self) -> float:
        """|dL/dtheta_D| / |dL/dtheta_G| (`zero_gp`, Eq. 13)."""
        of_g = np.linalg.norm(self.gradient_y) * self.z_norm
        return float(np.linalg.norm(self.gradient_d) / of_g)

    def optimal(self, eps: float) -> bool:
        """Whether D is eps-optimal."""
        at_x, at_y = float(self.theta @ self.x), float(self.theta @ self.y)
        if self.objective == "wasserstein":
            return at_x - at_y >= eps
        border = float(logit(0.5 + eps / 2))
        return at_x >= border and at_y <= -border

    def discriminator_step(self, lr: float) -> "LinearPair":
        """D climbs L."""
        return self._with(theta=self.theta + lr * self.gradient_d)

    def generator_step(self, lr: float) -> "LinearPair":
        """G descends L: theta_G by lr dL/dtheta_G, which moves y by lr |z|^2 dL/dy."""
        return self._with(y=self.y - lr * self.z_norm**2 * self.gradient_y)

    def _with(self, **changes: Array) -> "LinearPair":
        fields = {"x": self.x, "y": self.y, "theta": self.theta} | changes
        return LinearPair(**fields, z_norm=self.z_norm, objective=self.objective)


def border_pair(
    distance: float, eps: float, z_norm: float = 1.0, objective: Objective = "wasserstein"
) -> LinearPair:
    """A pair at a distance whose D, along x - y, is eps-optimal and no more.

    x and y lie symmetrically at (sqrt(1 - d^2/4), +-d/2), of norm 1. D's weights are the smallest:
    |theta_D| = eps/d for `wasserstein` (`zero_gp`, Eq. 10 with equality).
    """
    half = distance / 2
    x, y = np.array([[1, 1], [1, -1]]) * np.array([np.sqrt(1 - half**2), half])
    gap = eps if objective == "wasserstein" else 2 * float(logit(0.5 + eps / 2))
    theta = gap * (x - y) / distance**2
    # Rounding must not leave it a hair below the border.
    return LinearPair(x, y, theta * (1 + 1e-12), z_norm, objective)


def steps_to_return(pair: LinearPair, eps: float, lr: float, most: int) -> int | None:
    """How many steps D takes until it is eps-optimal, by taking them; None if more than `most`."""
    for n in range(most + 1):
        if pair.optimal(eps):
            return n
        pair = pair.discriminator_step(lr)
    return None


def steps_to_return_exact(distance: ArrayLike, eps: float, lr: float, z_norm: float = 1.0) -> Array:
    """The same after one step of G from the border, in closed form, before rounding up.

    From d to d' = d - lr |z|^2 eps/d; the weights have to grow by eps/d' - eps/d, by lr d' a
    step: eps (1/d' - 1/d) / (lr d') (`zero_gp`, App. C). NaN where G would jump past x, d' <= 0.
    For small lr it is eps^2 |z|^2 / d^4, whatever the learning rate.
    """
    d = np.asarray(distance, dtype=np.float64)
    after = d - lr * z_norm**2 * eps / d
    after = np.where(after > 0, after, np.nan)
    return np.asarray(eps * (1 / after - 1 / d) / (lr * after))


def least_distance(eps: float, lr: float, z_norm: float = 1.0) -> float:
    """Below sqrt(lr eps / 2) |z| a step of G against a D at the border takes y farther away.

    |d - lr |z|^2 eps/d| > d there: with a fixed learning rate the distance cannot go to 0 while D
    is kept eps-optimal, the premise "if the learning rate is small enough" fails in the end.
    """
    return float(np.sqrt(lr * eps / 2) * z_norm)


def fixed_alternation(
    pair: LinearPair,
    lr: float,
    d_steps: int,
    iterations: int,
    record: Callable[[LinearPair], float],
) -> Array:
    """`record` of the pair after each of so many rounds of one G step and `d_steps` D steps."""
    found = np.empty(iterations)
    for i in range(iterations):
        pair = pair.generator_step(lr)
        for _ in range(d_steps):
            pair = pair.discriminator_step(lr)
        found[i] = record(pair)
    return found
