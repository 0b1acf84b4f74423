"""The linear WGAN under batches, and convex combinations of data under a Lipschitz bound
(`anomalous`, Theorems 1 to 3).

The game is F(w, theta) = w . (E x - E y - theta) with x and y from N(0, I_d) (Eqs. 3 and 23): w
ascends, theta descends. The formulas are worked out anew; where the paper has a misprint (signs in
Eqs. 30, 45, 46 and 48) the docstring says what stands here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

Array = NDArray[np.float64]

Steps = Literal["constant", "vanishing"]
"""Step sizes of both players: 1 (Theorem 1, from t = 0) or 1/t (Theorem 2, from t = 1)."""


def full_batch_orbit(
    t: ArrayLike, w: ArrayLike, theta: ArrayLike, steps: Steps
) -> tuple[Array, Array]:
    """w(t) and theta(t) `[k, d]` of the full-batch flow at times `[k]`, from `w`, `theta` `[d]`.

    w' = -theta, theta' = w: w cos s - theta sin s and theta cos s + w sin s, with s = t (Eq. 31) or
    ln t (Eq. 46, in which the paper has theta's signs turned). A circle about the equilibrium
    (0, 0) in each component's plane.
    """
    w0, theta0 = _floats(w), _floats(theta)
    angle = _turned(t, steps)[:, None]
    cos, sin = np.cos(angle), np.sin(angle)
    return w0 * cos - theta0 * sin, theta0 * cos + w0 * sin


def full_batch_flow(
    t: ArrayLike, w: ArrayLike, theta: ArrayLike, steps: Steps
) -> tuple[Array, Array]:
    """What `full_batch_orbit` has in closed form, from the equations themselves (Eqs. 29 and 44):
    w' = eta dF/dw and theta' = -eta dF/dtheta with F = -w . theta, integrated to a relative 1e-10.
    """
    times, w0, theta0 = _floats(t), _floats(w), _floats(theta)
    d = len(w0)

    def velocity(time: float, x: Array) -> Array:
        of_w, of_theta = -x[d:], -x[:d]
        return _rate(np.array(time), steps) * np.concatenate([of_w, -of_theta])

    start = np.concatenate([w0, theta0])
    ends = times[0], times[-1]
    path = solve_ivp(velocity, ends, start, "DOP853", times, rtol=1e-10, atol=1e-12).y.T
    return path[:, :d], path[:, d:]


def variances(t: ArrayLike, m: float, steps: Steps) -> tuple[Array, Array]:
    """Var of a component of w and of theta at times `[k]`, with batches of `m`: `[k]` each.

    Of the flow dw = eta (-theta dt + sqrt(2/m) dW), dtheta = eta w dt from a fixed start:
    eta = 1 (Eq. 32, the integral of Eq. 8): (t + sin(2t)/2)/m and (t - sin(2t)/2)/m;
    eta = 1/t (Eq. 47): [1 - 6/(5t) + c]/m and [1 - 4/(5t) - c]/m, where
    c = (cos(2 ln t) + 2 sin(2 ln t))/5.
    """
    time = _floats(t)
    if steps == "constant":
        wave = np.sin(2 * time) / 2
        return (time + wave) / m, (time - wave) / m
    angle = 2 * _turned(time, steps)
    c = (np.cos(angle) + 2 * np.sin(angle)) / 5
    return (1 - 6 / (5 * time) + c) / m, (1 - 4 / (5 * time) - c) / m


def scheme_variances(times: ArrayLike, m: float, steps: Steps) -> tuple[Array, Array]:
    """Exact Var of a component of w and of theta along `simulate`'s scheme: `[k]` each.

    Covariances follow from one time of the grid `[k]` to the next by a 2 x 2 matrix. With unit
    steps this is the discrete loop of Eqs. 25 and 28; as the grid is refined it tends to
    `variances`.
    """
    grid = _floats(times)
    covariance, found = np.zeros((2, 2)), [np.zeros(2)]
    for dt, eta in zip(np.diff(grid), _rate(grid[:-1], steps), strict=True):
        h = eta * dt
        w_row = np.array([1.0, -h])
        matrix = np.stack([w_row, np.array([0.0, 1.0]) + h * w_row])
        noise = eta * np.sqrt(2 / m * dt) * np.array([1.0, h])
        covariance = matrix @ covariance @ matrix.T + np.outer(noise, noise)
        found.append(covariance.diagonal())
    w, theta = np.array(found).T
    return w, theta


@dataclass(frozen=True, eq=False)
class Paths:
    """Sample paths of the game: w and theta `[k, paths, d]` at the recorded times, and when |w|
    first exceeded 1, `[paths]`, infinite if it did not."""

    w: Array
    theta: Array
    left: Array


def simulate(
    times: ArrayLike,
    record: Sequence[int],
    m: float,
    w: ArrayLike,
    theta: ArrayLike,
    steps: Steps,
    paths: int,
    rng: np.random.Generator,
) -> Paths:
    """Paths of the stochastic gradient flow with batches of `m` (Eqs. 32 and 47) from `w`, `theta`
    `[d]`: the Euler-Maruyama scheme on the grid `times`, w first, then theta with the new w.

    So a grid of unit steps is the alternating loop that the paper starts from (Eqs. 25 and 28),
    and a fine one the flow. `record` are the indices of `times` that are kept; an infinite `m` is
    the full batch. |w| is watched and not held at 1, as in the paper's equations.
    """
    grid = _floats(times)
    w_now, theta_now = (np.repeat(_floats(x)[None], paths, axis=0) for x in (w, theta))
    kept: dict[int, tuple[Array, Array]] = {}
    left = np.full(paths, np.inf)
    rates = _rate(grid, steps)
    for k, t in enumerate(grid):
        if k:
            dt, eta = t - grid[k - 1], rates[k - 1]
            w_now = w_now - eta * dt * theta_now
            if np.isfinite(m):
                w_now += eta * np.sqrt(2 / m * dt) * rng.standard_normal(w_now.shape)
            theta_now = theta_now + eta * dt * w_now
        outside = ((w_now**2).sum(1) > 1) & np.isinf(left)
        left[outside] = t
        if k in record:
            kept[k] = w_now, theta_now
    recorded = [kept[k] for k in record]
    return Paths(np.stack([x for x, _ in recorded]), np.stack([x for _, x in recorded]), left)


def certified_lipschitz(weights: Sequence[ArrayLike]) -> float:
    """A Lipschitz constant that an MLP cannot exceed: the product of its layers' spectral norms.

    `weights` are the matrices `[out, in]`; the activations have slopes of at most 1 (ReLU, leaky
    ReLU, tanh). Rounded up, so that float64's errors do not undo the certificate.
    """
    norms = [np.linalg.norm(_floats(w), 2) for w in weights]
    return float(np.prod(norms)) * (1 + 1e-10)


def convex_bound(
    f1: ArrayLike, f2: ArrayLike, share: ArrayLike, distance: ArrayLike, lipschitz: float
) -> Array:
    """What f is at least at share x_1 + (1 - share) x_2, `[n]` each (Eq. 11, Theorem 3).

    max{f(x_1) - L (1 - share) |x_1 - x_2|, f(x_2) - L share |x_1 - x_2|} for an L-Lipschitz f. It
    is vacuous where it is not positive: it then does not say that the combination scores as real.
    """
    first, reach = _floats(share), lipschitz * _floats(distance)
    return np.maximum(_floats(f1) - (1 - first) * reach, _floats(f2) - first * reach)


def _turned(t: ArrayLike, steps: Steps) -> Array:
    """The angle by which the flow has turned at times t."""
    time = np.atleast_1d(_floats(t))
    return time if steps == "constant" else np.log(time)


def _floats(x: ArrayLike) -> Array:
    return np.asarray(x, dtype=np.float64)


def _rate(t: Array, steps: Steps) -> Array:
    return np.ones_like(t) if steps == "constant" else 1 / t
