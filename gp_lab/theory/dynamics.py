"""Gradient dynamics of the toy GANs of mu_wgan: vector fields, Jacobians, basins, exact limits.

A state is (psi, theta), the discriminator's and the generator's parameter, in the last axis
`[..., 2]`. A field gives its time derivative under simultaneous gradient steps (`mu_wgan`,
sec. 2.2), with the penalty rho/2 E_mu |grad D|^2 of the text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp
from scipy.special import lambertw

Array = NDArray[np.float64]
Field = Callable[[Array], Array]
Measure = Literal["real", "fake", "between", "midpoint", "anchor", "origin"]


# -- Lemma 1: D = psi x, real data at 0, fakes at theta ------------------------------------


@dataclass(frozen=True)
class Mass:
    """The mass M(psi, theta) of a finite penalty measure and its derivative by psi."""

    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]


def constant_mass(mass: float) -> Mass:
    """M = mass everywhere: 1 for probability measures, 0 for no penalty."""
    return Mass(lambda psi, theta: np.full_like(psi, mass), lambda psi, theta: np.zeros_like(psi))


def gaussian_mass() -> Mass:
    """M = exp(-psi^2), which vanishes far from the equilibrium: Lemma 1's R is 1."""
    return Mass(
        lambda psi, theta: np.exp(-(psi**2)), lambda psi, theta: -2 * psi * np.exp(-(psi**2))
    )


def dirac_field(state: Array, rho: float | Array, mass: Mass) -> Array:
    """psi' = -theta - rho psi M - rho/2 psi^2 dM/dpsi and theta' = psi (`mu_wgan`, App. A).

    The Dirac-GAN with D = psi x: |grad D|^2 = psi^2 wherever the penalty measure lies. `rho` is a
    number or one for each state, `[...]`.
    """
    psi, theta = state[..., 0], state[..., 1]
    penalty = rho * psi * mass.value(psi, theta) + rho / 2 * psi**2 * mass.slope(psi, theta)
    return np.stack([-theta - penalty, psi], axis=-1)


def lyapunov_condition(psi: Array, theta: Array, mass: Mass) -> Array:
    """2 M + psi dM/dpsi: psi^2 + theta^2 falls where it is positive (`mu_wgan`, App. A).

    d/dt (psi^2 + theta^2) = -rho psi^2 (2 M + psi dM/dpsi). All arrays `[...]`.
    """
    return 2 * mass.value(psi, theta) + psi * mass.slope(psi, theta)


def guaranteed_radius(mass: Mass, largest: float = 10.0, points: int = 2001) -> float:
    """Lemma 1's R: the largest ball about the origin on which `lyapunov_condition` is >= 0.

    Looked for on the rays of a grid of angles up to `largest`, which is what comes back if the
    condition holds throughout; between two of the `points` of a ray the border is bisected.
    """
    angles = np.linspace(0, 2 * np.pi, 361)
    direction = np.stack([np.cos(angles), np.sin(angles)])

    def holds(radius: Array) -> NDArray[np.bool_]:
        psi, theta = radius * direction
        return lyapunov_condition(psi, theta, mass) >= 0

    radii = np.linspace(0, largest, points)
    held = np.array([holds(np.full(angles.shape, r)) for r in radii])
    broken = ~held.all(axis=1)
    if not broken.any():
        return largest
    first = int(broken.argmax())
    rays = ~held[first]
    high = np.full(angles.shape, radii[first])
    low = np.full(angles.shape, radii[max(first - 1, 0)])
    for _ in range(60):
        middle = (low + high) / 2
        ok = holds(middle)
        low, high = np.where(ok, middle, low), np.where(ok, high, middle)
    return float(low[rays].min())


# -- Lemma 2: D = psi x^2, real data U(-1, 1), fakes U(-|theta|, |theta|) --------------------


def second_moment(measure: Measure, theta: ArrayLike, anchor: float = 0.0) -> NDArray:
    """E_mu x^2 for the measures of `mu_wgan`, Table 1, on U(-1, 1) and U(-|theta|, |theta|).

    `theta` is `[...]`, real or complex (a complex one differentiates). At theta = +-1: 1/3 on reals
    and fakes, 2/9 between them, 1/6 at midpoints, A^2/3 + 1/9 between an anchor A and a fake, and 0
    for a point mass at the origin. Raises ValueError for another measure.
    """
    real, fake = 1 / 3, np.asarray(theta) ** 2 / 3
    if measure == "real":
        return real + 0 * fake
    if measure == "fake":
        return fake
    if measure == "between":
        return (real + fake) / 3  # E u^2 = E (1 - u)^2 = 1/3, and the means are 0
    if measure == "midpoint":
        return (real + fake) / 4
    if measure == "anchor":
        return (anchor**2 + fake) / 3
    if measure == "origin":
        return 0 * fake
    raise ValueError(f"measure={measure}: no second moment known")


def uniform_field(state: NDArray, rho: float, moment: Callable[[NDArray], NDArray]) -> NDArray:
    """psi' = (1 - theta^2)/3 - 4 rho psi E_mu x^2 and theta' = 2 psi theta / 3 (Lemma 2's proof).

    `moment` is E_mu x^2 as a function of theta `[...]`.
    """
    psi, theta = state[..., 0], state[..., 1]
    return np.stack(
        [(1 - theta**2) / 3 - 4 * rho * psi * moment(theta), 2 * psi * theta / 3], axis=-1
    )


def uniform_eigenvalues(rho: float, moment: float) -> NDArray[np.complex128]:
    """-2 rho E +- sqrt(4 rho^2 E^2 - 4/9), E = E_mu* x^2: the spectrum of Lemma 2, `[2]`.

    +-2i/3 if E = 0 (mu* = C delta_0), the only case that is not stable.
    """
    root = np.sqrt(complex(4 * rho**2 * moment**2 - 4 / 9))
    return np.array([-2 * rho * moment + root, -2 * rho * moment - root])


def jacobian(field: Callable[[NDArray], NDArray], at: ArrayLike) -> Array:
    """d field_i / d state_j `[n, n]` at a point `[n]`, by complex steps: exact to rounding.

    The field must be analytic and take complex states.
    """
    point, step = np.asarray(at, dtype=np.complex128), 1e-100
    columns = [field(point + 1j * step * e).imag / step for e in np.eye(len(point))]
    return np.stack(columns, axis=-1)


# -- Lemma 3: D = psi x^2 on the Dirac-GAN, mu_GP ------------------------------------------


def squared_dirac_field(state: Array, rho: float) -> Array:
    """psi' = -theta^2 (1 + 4 rho psi / 3) and theta' = 2 psi theta (`mu_wgan`, App. B).

    Nullclines: theta = 0 (equilibria), psi = 0 and psi = -3 / (4 rho).
    """
    psi, theta = state[..., 0], state[..., 1]
    return np.stack([-(theta**2) * (1 + 4 * rho * psi / 3), 2 * psi * theta], axis=-1)


def conserved(state: Array, rho: float) -> Array:
    """psi/c - log|1 + c psi|/c^2 + theta^2/4, c = 4 rho / 3: constant along Lemma 3's curves.

    States `[..., 2]` -> `[...]`. Infinite on the nullcline psi = -1/c.
    """
    psi, theta, c = state[..., 0], state[..., 1], 4 * rho / 3
    with np.errstate(divide="ignore"):
        return psi / c - np.log(np.abs(1 + c * psi)) / c**2 + theta**2 / 4


def squared_dirac_limit(state: Array, rho: float) -> Array:
    """Where Lemma 3's curve through a state ends: (a, 0), exactly; returns a, `[...]`.

    `conserved` at (a, 0) equals its value at the start. With y = 1 + c a that is
    y - 1 - log|y| = c^2 H, solved by Lambert's W on the start's side of psi = -1/c; there psi stays
    what it is. At theta = 0 each state is an equilibrium: a = psi.
    """
    psi, theta, c = state[..., 0], state[..., 1], 4 * rho / 3
    side = 1 + c * psi
    small = np.exp(-1 - c**2 * conserved(state, rho))
    above = -_lambert(-small)  # y in (0, 1]: a in (-1/c, 0]
    below = -_lambert(small)  # y < 0
    y = np.where(side > 0, above, np.where(side < 0, below, 0.0))
    return np.where(theta == 0, psi, (y - 1) / c)


def _lambert(x: Any) -> Array:
    return np.asarray(lambertw(x).real)


# -- integration -----------------------------------------------------------------------------


def trajectory(field: Field, start: ArrayLike, times: Array, tolerance: float = 1e-11) -> Array:
    """The solution from `start` `[n]` at `times` `[k]` (increasing, from the first): `[k, n]`.

    Dormand and Prince's method of order 8 with relative and absolute tolerance `tolerance`.
    """
    found = solve_ivp(
        lambda _, y: field(y),
        (times[0], times[-1]),
        np.asarray(start, float),
        method="DOP853",
        t_eval=times,
        rtol=tolerance,
        atol=tolerance,
    )
    return np.asarray(found.y.T)


def runge_kutta(field: Field, state: Array, step: float) -> Array:
    """One step of the classical method of order 4, for any number of states `[..., n]` at once."""
    a = field(state)
    b = field(state + step / 2 * a)
    c = field(state + step / 2 * b)
    d = field(state + step * c)
    return state + step / 6 * (a + 2 * b + 2 * c + d)


def settles(
    field: Callable[[Array, NDArray[np.intp]], Array],
    starts: Array,
    horizon: float,
    step: float = 0.1,
    near: float = 0.01,
    far: float = 20.0,
) -> NDArray[np.bool_]:
    """Which of `starts` `[n, 2]` have come much nearer to the origin by the time `horizon`: `[n]`.

    Much nearer is within the share `near` of the distance at the start. `field` takes states and
    which of the n they are. A curve that leaves the ball of radius `far` is given up, and one that
    is still on its way at the end does not count as settled.
    """
    settled = np.zeros(len(starts), dtype=bool)
    goal = near * np.hypot(starts[:, 0], starts[:, 1])
    which, state = np.arange(len(starts)), starts.copy()
    for _ in range(round(horizon / step)):
        if not len(which):
            break
        state = runge_kutta(lambda y, w=which: field(y, w), state, step)  # type: ignore[misc]
        radius = np.hypot(state[:, 0], state[:, 1])
        settled[which[radius < goal[which]]] = True
        moving = (radius >= goal[which]) & (radius < far)
        if not moving.all():
            which, state = which[moving], state[moving]
    return settled


def dirac_basin(
    rhos: Array,
    mass: Mass,
    angles: Array,
    horizon: float,
    step: float = 0.1,
    largest: float = 4.0,
    tolerance: float = 1e-3,
) -> Array:
    """How far the basin of Lemma 1's equilibrium reaches along each ray: `[rhos, angles]`.

    The radius is bisected between 0 and `largest` to `tolerance` with `settles`, so it is a
    lower bound up to the tolerance if the basin meets each ray in one piece; the smallest over the
    angles is the radius of the ball inscribed in the basin.
    """
    rho = np.repeat(rhos, len(angles))
    direction = np.tile(np.stack([np.cos(angles), np.sin(angles)], axis=1), (len(rhos), 1))
    low, high = np.zeros(len(rho)), np.full(len(rho), float(largest))

    def field(state: Array, which: NDArray[np.intp]) -> Array:
        return dirac_field(state, rho[which], mass)

    while (high - low).max() > tolerance:
        middle = (low + high) / 2
        inside = settles(field, middle[:, None] * direction, horizon, step)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return low.reshape(len(rhos), len(angles))


# -- Theorem 1: spectra off the manifold of equilibria ---------------------------------------


def projected(jacobian: Array, p: int, tolerance: float = 1e-9) -> Array:
    """A Jacobian `[p + q, p + q]` seen orthogonally to its equilibria, as in Theorem 1's proof.

    D's block -Q and the mixed block R, of G's rows, keep only the eigenvectors of Q and of R R^T
    whose eigenvalues are not zero (`mu_wgan`, App. C); the result has their number of rows.
    """
    of_d = _range(-(jacobian[:p, :p] + jacobian[:p, :p].T) / 2, tolerance)
    mixed = jacobian[p:, :p]
    of_g = _range(mixed @ mixed.T, tolerance)
    basis = np.zeros((len(jacobian), of_d.shape[1] + of_g.shape[1]))
    basis[:p, : of_d.shape[1]] = of_d
    basis[p:, of_d.shape[1] :] = of_g
    return np.asarray(basis.T @ jacobian @ basis)


def _range(symmetric: Array, tolerance: float) -> Array:
    """Orthonormal eigenvectors `[n, r]` of a symmetric matrix `[n, n]` off its null space."""
    values, vectors = np.linalg.eigh(symmetric)
    return vectors[:, np.abs(values) > tolerance]
