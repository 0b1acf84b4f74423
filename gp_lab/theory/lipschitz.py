"""The exact optimal discriminator under lambda k(f)^2, between finite sets of points (`lipschitz`).

D minimises E_fake phi(f) + E_real varphi(f) + lambda (k - k0)^2 with |f(x) - f(y)| <= k |x - y|: a
convex programme in the values f at the points and in k. Its multipliers are the coupling.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist
from scipy.special import expit

from gp_lab.errors import BadInput, LabError
from gp_lab.extras import of_extra
from gp_lab.theory.transport import Coupling, transport_plan

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Metric = Literal["euclidean", "cityblock", "chebyshev"]

TIGHT = 1e-4
"""A pair whose slope is within this share of k is called bound (the solver errs by 1e-5)."""


@dataclass(frozen=True)
class Family:
    """A loss of the lab as mathematics: phi on fakes; varphi(f) = phi(-f) on reals.

    value and slope take arrays `[...]`; convex takes a CVXPY expression `[n]` and returns one.
    """

    value: Callable[[Any], Any]
    slope: Callable[[Any], Any]
    convex: Callable[[Any], Any]


def _cp() -> Any:
    # It takes a second: not for those who only read this module.
    return of_extra("cvxpy", "exact", "the exact optimal discriminator")


def _root(f: Any) -> Any:
    cp = _cp()
    return cp.norm(cp.vstack([f, np.ones(f.shape)]), 2, axis=0) + f


FAMILIES: dict[str, Family] = {
    "wasserstein": Family(lambda f: f, np.ones_like, lambda f: f),
    "vanilla": Family(lambda f: np.logaddexp(0, f), expit, lambda f: _cp().logistic(f)),
    "sqrt": Family(
        lambda f: np.sqrt(f**2 + 1) + f, lambda f: f / np.sqrt(f**2 + 1) + 1, _root
    ),
    "exp": Family(np.exp, np.exp, lambda f: _cp().exp(f)),
    "combined": Family(
        lambda f: np.logaddexp(0, f) + f, lambda f: expit(f) + 1, lambda f: _cp().logistic(f) + f
    ),
    "combined_tenth": Family(
        lambda f: np.logaddexp(0, 0.1 * f) + f,
        lambda f: 0.1 * expit(0.1 * f) + 1,
        lambda f: _cp().logistic(0.1 * f) + f,
    ),
    "least_squares": Family(
        lambda f: (f + 1) ** 2, lambda f: 2 * (f + 1), lambda f: _cp().square(f + 1)
    ),
    "hinge": Family(
        lambda f: np.maximum(0, 1 + f), lambda f: (f > -1) * 1.0, lambda f: _cp().pos(1 + f)
    ),
}  # fmt: skip
"""By the names of configs/loss: phi of `lipschitz`, App. D (combined: alpha = beta = 1;
combined_tenth: .1), and the least squares of its sec. 2.1 with alpha = -1 and beta = 1."""


@dataclass(frozen=True, eq=False)
class OptimalDiscriminator:
    """The optimum f* of `lipschitz`, Theorem 3.3.1, on finite sets, and its extension.

    As a function f*(z) = min over fakes x of f*(x) + k |z - x|: the largest k-Lipschitz function
    with these values on the fakes. Every other one agrees with it on the coupled segments, where
    f* is fixed (`lipschitz`, App. B, Eq. 11); elsewhere f* is free.
    """

    real: Array
    """Reals `[n, d]`, with their weights `[n]` (they sum to one) and values `[n]`; so fakes."""
    fake: Array
    real_weight: Array
    fake_weight: Array
    at_real: Array
    at_fake: Array
    k: float
    value: float
    """E_fake phi(f) + E_real varphi(f), without lambda (k - k0)^2."""
    coupling: Coupling
    """Real `i[p]` and fake `j[p]` are bound with multiplier `mass[p]`: how strongly f(real) is kept
    from rising above f(fake). On a fake they add to weight * phi'(f); for phi = x that is the
    weight, and they are the transport plan."""
    metric: Metric = "euclidean"

    @cached_property
    def distance(self) -> Array:
        """|real - fake|, `[n, m]`."""
        return cdist(self.real, self.fake, self.metric)

    @cached_property
    def tightness(self) -> Array:
        """(f(real) - f(fake)) / (k |real - fake|), `[n, m]`: 1 where a pair is bound.

        NaN where the two are one point, and everywhere if k is 0.
        """
        rise = self.at_real[:, None] - self.at_fake[None, :]
        bound = self.k * self.distance
        return np.divide(rise, bound, out=np.full_like(rise, np.nan), where=bound > 0)

    @property
    def tight(self) -> NDArray[np.bool_]:
        """Which pairs are bound, `[n, m]`."""
        return self.tightness > 1 - TIGHT

    def __call__(self, z: ArrayLike) -> Array:
        """f* at points `[q, d]` -> `[q]`."""
        distance = cdist(np.asarray(z, dtype=np.float64), self.fake, self.metric)
        return np.asarray((self.at_fake + self.k * distance).min(axis=1))

    def lowest(self, z: ArrayLike) -> Array:
        """The smallest k-Lipschitz function with these values on the reals: `[q, d]` -> `[q]`."""
        distance = cdist(np.asarray(z, dtype=np.float64), self.real, self.metric)
        return np.asarray((self.at_real - self.k * distance).max(axis=1))

    def partner(self) -> Indices:
        """The real that each fake is coupled with most strongly, `[m]`; -1 where there is none."""
        i, j, mass = self.coupling
        strongest = np.full(len(self.fake), -1, dtype=np.intp)
        order = np.argsort(mass, kind="stable")
        strongest[j[order]] = i[order]
        return strongest


def optimal_lipschitz(
    real: ArrayLike,
    fake: ArrayLike,
    loss: str = "wasserstein",
    weight: float = 1.0,
    k0: float = 0.0,
    real_weight: ArrayLike | None = None,
    fake_weight: ArrayLike | None = None,
    pairs: Literal["cross", "all"] = "cross",
    metric: Metric = "euclidean",
) -> OptimalDiscriminator:
    """Solve `lipschitz`, Theorem 3.3.1, for reals `[n, d]` and fakes `[m, d]`.

    `weight` is lambda; the weights of the points `[n]`, `[m]` need not sum to one (None: equal). A
    point may be a real and a fake at once: its two values are then one. With `all` every pair of
    points is constrained, both ways; `cross` keeps f(real) - f(fake) <= k |real - fake| alone and
    adds those pairs as they are violated. Both have the same optimum: where phi rises and varphi
    falls, min over fakes of f + k d raises f on reals, max over reals of that - k d lowers it on
    fakes, neither costs anything, and the result is k-Lipschitz. (Least squares and the hinge do
    not rise everywhere, but an optimum cut to the range between their targets is one.)

    With phi = x, which leaves f free to shift, E_real f = -E_fake f. Raises ValueError for shapes
    that do not match and impossible weights, BadInput for a loss that `FAMILIES` has not, LabError
    if the solver fails.
    """
    real, fake = _points(real, "real"), _points(fake, "fake")
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"reals {real.shape} and fakes {fake.shape} differ in dimension")
    if loss not in FAMILIES:
        raise BadInput(
            f"loss={loss}: the optimal discriminator is known for {', '.join(FAMILIES)} alone"
        )
    if not weight > 0 or k0 < 0:
        raise ValueError(f"weight={weight}, k0={k0}: lambda must be positive, k0 not negative")
    p, q = _weights(real_weight, len(real)), _weights(fake_weight, len(fake))
    programme = _Programme(real, fake, p, q, FAMILIES[loss], weight, k0, metric)
    shift = loss == "wasserstein"
    at_real, at_fake, k, coupling = (
        programme.solve_all(shift) if pairs == "all" else programme.solve_cross(shift)
    )
    phi = FAMILIES[loss].value
    value = float(q @ phi(at_fake) + p @ phi(-at_real))
    return OptimalDiscriminator(real, fake, p, q, at_real, at_fake, k, value, coupling, metric)


def imbalance(optimum: OptimalDiscriminator, loss: str) -> tuple[Array, Array]:
    """d[d_x J_D]/d f*(x) of `lipschitz`, Theorem 3.3.1, at reals `[n]` and at fakes `[m]`.

    p_G(x) phi'(f(x)) + p_data(x) varphi'(f(x)) as a share of p_G phi' + p_data |varphi'|: +1 where
    only fakes are, -1 where only reals are, 0 where nothing pulls on f.
    """
    slope = FAMILIES[loss].slope
    up = optimum.real_weight * slope(-optimum.at_real)
    down = optimum.fake_weight * slope(optimum.at_fake)
    same = optimum.distance == 0

    def of(down: Array, up: Array) -> Array:
        total = np.abs(down) + np.abs(up)
        return np.divide(down - up, total, out=np.zeros_like(total), where=total > 0)

    # Points that stand in a list twice count with the weight of all their copies.
    real, fake = optimum.real, optimum.fake
    up = (cdist(real, real) == 0) @ up
    down = (cdist(fake, fake) == 0) @ down
    share = same / np.maximum(1, same.sum(axis=1, keepdims=True))
    share_t = same.T / np.maximum(1, same.sum(axis=0)[:, None])
    return of(share @ down, up), of(down, share_t @ up)


def largest_slope(points: ArrayLike, values: ArrayLike, metric: Metric = "euclidean") -> float:
    """k(f) on finite points `[n, d]` with values `[n]`: the largest |f_i - f_j| / |x_i - x_j|.

    0 for a single point; infinite if one point has two values. Memory is O(n^2).
    """
    x, f = _points(points, "points"), np.asarray(values, dtype=np.float64)
    if f.shape != (len(x),):
        raise ValueError(f"{len(x)} points with values of shape {f.shape}")
    i, j = np.triu_indices(len(x), 1)
    rise, run = np.abs(f[i] - f[j]), cdist(x, x, metric)[i, j]
    rise, run = rise[(rise > 0) | (run > 0)], run[(rise > 0) | (run > 0)]
    with np.errstate(divide="ignore"):
        return float((rise / run).max(initial=0.0))


def gradient(f: Callable[[Array], Array], z: ArrayLike, step: float = 1e-5) -> Array:
    """grad f at points `[q, d]` -> `[q, d]` by central differences; f maps `[n, d]` to `[n]`.

    Meant for piecewise smooth optima such as `OptimalDiscriminator`, away from their kinks.
    """
    z = _points(z, "z")
    shifts = step * np.eye(z.shape[1])
    return np.stack([(f(z + e) - f(z - e)) / (2 * step) for e in shifts], axis=1)


def wasserstein_slope(w1: float, weight: float, k0: float = 0.0) -> float:
    """k = alpha / (2 lambda) + k0 with alpha = W1 (`lipschitz`, App. A, after Lemma A.0.1)."""
    return w1 / (2 * weight) + k0


@dataclass(frozen=True, eq=False)
class _Programme:
    real: Array
    fake: Array
    p: Array
    q: Array
    family: Family
    weight: float
    k0: float
    metric: Metric

    def solve_all(self, shift: bool) -> tuple[Array, Array, float, Coupling]:
        """Every pair of different points, both ways; a common point is one variable."""
        n = len(self.real)
        points, which = np.unique(
            np.concatenate([self.real, self.fake]), axis=0, return_inverse=True
        )
        which = which.ravel()
        high, low = np.nonzero(~np.eye(len(points), dtype=bool))
        distance = cdist(points, points, self.metric)[high, low]
        values, k, dual = self._solve(len(points), which[:n], which[n:], high, low, distance, shift)
        at_pair = np.zeros((len(points), len(points)))
        at_pair[high, low] = dual
        # A multiplier on a pair of points goes to the first real and the first fake there.
        first_real = np.full(len(points), -1)
        first_real[which[:n][::-1]] = np.arange(n)[::-1]
        first_fake = np.full(len(points), -1)
        first_fake[which[n:][::-1]] = np.arange(len(self.fake))[::-1]
        a, b = np.nonzero(at_pair > _NOTHING * max(at_pair.max(initial=0.0), 1e-300))
        crossing = (first_real[a] >= 0) & (first_fake[b] >= 0)
        a, b = a[crossing], b[crossing]
        coupling = Coupling(first_real[a], first_fake[b], at_pair[a, b])
        return values[which[:n]], values[which[n:]], k, coupling

    def solve_cross(self, shift: bool) -> tuple[Array, Array, float, Coupling]:
        """Real-fake pairs alone, the nearest first and then those that are violated."""
        n, m = len(self.real), len(self.fake)
        distance = cdist(self.real, self.fake, self.metric)
        chosen = np.zeros((n, m), dtype=bool)
        if n * m <= _SMALL:
            chosen[:] = True
        else:
            near = min(_NEAREST, m, n)
            np.put_along_axis(chosen, np.argsort(distance, axis=1)[:, :near], True, axis=1)
            np.put_along_axis(chosen, np.argsort(distance, axis=0)[:near], True, axis=0)
            # With phi = x a subset of the pairs is bounded only if a plan can use it.
            chosen |= transport_plan(self.p, self.q, distance) > 0
        while True:
            high, low = np.nonzero(chosen)
            values, k, dual = self._solve(
                n + m, np.arange(n), n + np.arange(m), high, n + low, distance[high, low], shift
            )
            at_real, at_fake = values[:n], values[n:]
            excess = at_real[:, None] - at_fake[None, :] - k * distance
            violated = (excess > 1e-7 * (1 + np.abs(values).max())) & ~chosen
            if not violated.any():
                break
            # The worst of each real and of each fake: all of them would be thousands.
            for axis in (0, 1):
                worst = np.argsort(np.where(violated, -excess, np.inf), axis=axis)
                first = np.take(worst, range(min(_NEAREST, worst.shape[axis])), axis=axis)
                new = np.zeros_like(chosen)
                np.put_along_axis(new, first, True, axis=axis)
                chosen |= new & violated
        kept = dual > _NOTHING * max(dual.max(initial=0.0), 1e-300)
        return at_real, at_fake, k, Coupling(high[kept], low[kept], dual[kept])

    def _solve(
        self,
        size: int,
        reals: Indices,
        fakes: Indices,
        high: Indices,
        low: Indices,
        distance: Array,
        shift: bool,
    ) -> tuple[Array, float, Array]:
        """f `[size]`, k and the multipliers of f[high] - f[low] <= k distance."""
        cp = _cp()
        f, k = cp.Variable(size), cp.Variable(nonneg=True)
        rows = np.arange(len(high))
        ones = np.ones(len(high))
        rise = csr_array((ones, (rows, high)), (len(high), size)) - csr_array(
            (ones, (rows, low)), (len(high), size)
        )
        bound = rise @ f - k * distance <= 0
        p, q = np.zeros(size), np.zeros(size)
        np.add.at(p, reals, self.p)
        np.add.at(q, fakes, self.q)
        (at_q,), (at_p,) = np.nonzero(q), np.nonzero(p)
        objective = (
            q[at_q] @ self.family.convex(f[at_q])
            + p[at_p] @ self.family.convex(-f[at_p])
            + self.weight * cp.square(k - self.k0)
        )
        constraints = [bound]
        if shift:
            constraints.append((p + q) @ f == 0)
        problem = cp.Problem(cp.Minimize(objective), constraints)
        for accuracy in _ACCURACIES:
            tolerances = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), accuracy)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # it stopped before: the next accuracy
                    problem.solve(solver=cp.CLARABEL, **tolerances)
            except cp.SolverError:
                continue
            if problem.status == cp.OPTIMAL:
                break
        else:
            raise LabError(f"optimal discriminator of {size} points: {problem.status or 'failed'}")
        return np.asarray(f.value), float(k.value), np.asarray(bound.dual_value)


# k enters as its square, so near k = 0 the gap must be far below k. The later ones, down to
# Clarabel's own (1e-8) and beyond, are for programmes where rounding stops the solver before.
_ACCURACIES = (1e-12, 1e-10, 1e-8, 1e-7, 1e-6)
_NEAREST = 6
_SMALL = 3000
_NOTHING = 1e-4  # of the largest multiplier: what an interior point method leaves on free pairs


def _points(x: ArrayLike, name: str) -> Array:
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or not len(x) or not np.isfinite(x).all():
        raise ValueError(f"{name}: finite points of shape [n, d] wanted, got shape {x.shape}")
    return x


def _weights(weights: ArrayLike | None, n: int) -> Array:
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != (n,) or not np.isfinite(w).all() or w.min() < 0 or w.sum() == 0:
        raise ValueError(f"weights of shape {w.shape} for {n} points: non-negative, not all zero")
    return w / w.sum()
