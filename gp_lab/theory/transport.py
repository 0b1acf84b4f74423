"""The exact optimal Wasserstein critic between two samples, by linear programming (`wgan_gp`)."""

import os
import sys
import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from gp_lab.errors import LabError
from gp_lab.extras import of_extra

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

# Distances held at once while the critic is evaluated: 32 MiB of float64.
_CHUNK_ENTRIES = 1 << 22


class Coupling(NamedTuple):
    """The non-zero entries of an optimal plan: real `i[p]` and fake `j[p]` exchange `mass[p]`."""

    i: Indices
    j: Indices
    mass: Array


@dataclass(frozen=True, eq=False)
class ExactCritic:
    """An optimal 1-Lipschitz critic f of `wgan_gp`, Eq. 2 and Prop. 1: high on reals, low on fakes.

    f(x) = min_j (|x - fake_j| + value_j) is 1-Lipschitz on the whole space, and
    E_r f - E_g f = `w1`, the exact Wasserstein-1 distance between the samples, in the units of the
    points. It is shifted so that E_r f = -E_g f. Optimal critics differ away from the coupled
    segments; this one is the largest that has its values on the fakes.
    """

    fake: Array
    """Fake points `[m, d]`."""
    value: Array
    """f at the fake points `[m]`."""
    w1: float
    coupling: Coupling

    def __call__(self, x: ArrayLike) -> Array:
        """f at points `[k, d]` -> `[k]`. Raises ValueError for another number of dimensions."""
        return self._nearest(x)[0]

    def gradient(self, x: ArrayLike) -> Array:
        """The gradient of f at points `[k, d]` -> `[k, d]`: unit vectors from the minimising fake.

        It exists almost everywhere. Where fakes tie, as at reals, the farthest of them is taken; it
        is zero at a fake that is a local minimum, where f has the tip of a cone. Raises ValueError
        as `__call__` does.
        """
        x = _points(x, "x")
        difference = x - self.fake[self._nearest(x)[1]]
        length = np.linalg.norm(difference, axis=1, keepdims=True)
        return np.divide(difference, length, out=np.zeros_like(difference), where=length > 0)

    def _nearest(self, x: ArrayLike) -> tuple[Array, Indices]:
        x = _points(x, "x")
        if x.shape[1] != self.fake.shape[1]:
            raise ValueError(f"x has {x.shape[1]} dimensions, the critic {self.fake.shape[1]}")
        f, which = np.empty(len(x)), np.empty(len(x), dtype=np.intp)
        rows = max(1, _CHUNK_ENTRIES // len(self.fake))
        rounding = 1e-10 * np.abs(self.value).max()
        for start in range(0, len(x), rows):
            chunk = slice(start, start + rows)
            distance = cdist(x[chunk], self.fake)
            candidates = distance + self.value
            f[chunk] = candidates.min(axis=1)
            # Where a fake lies on the way from a farther one, f is smooth with that one's slope.
            tied = candidates <= f[chunk, None] + rounding
            which[chunk] = np.where(tied, distance, -1.0).argmax(axis=1)
        return f, which


def exact_critic(real: ArrayLike, fake: ArrayLike, max_iterations: int = 10**9) -> ExactCritic:
    """Solve `wgan_gp`, Eq. 2, between real `[n, d]` and fake `[m, d]` samples of equal weights.

    Network simplex in float64 with Euclidean costs; memory is O(n m). The answer is certified: the
    critic's E_r f - E_g f must reach the cost of the plan, which only an optimal pair does.
    Raises ValueError for shapes that do not match, empty or non-finite samples, LabError if the
    solver stops before the optimum.
    """
    real, fake = _points(real, "real"), _points(fake, "fake")
    if real.shape[1] != fake.shape[1] or not len(real) or not len(fake):
        raise ValueError(f"samples of shapes {real.shape} and {fake.shape} cannot be coupled")
    n, m = len(real), len(fake)
    cost = cdist(real, fake)
    ot = import_pot()
    with warnings.catch_warnings():
        # What POT warns about is raised below, from its log.
        warnings.simplefilter("ignore")
        plan, log = ot.emd(
            np.full(n, 1 / n), np.full(m, 1 / m), cost, numItermax=max_iterations, log=True
        )
    problem = f"exact critic of {n} reals and {m} fakes: no optimum in {max_iterations} iterations"
    if log["warning"] is not None:
        raise LabError(f"{problem} ({log['warning']})")

    w1 = float((plan * cost).sum())
    critic = ExactCritic(fake, -np.asarray(log["v"], float), w1, _coupling(plan))
    # Transforming twice makes the values on the fakes those of f itself. Both steps can only raise
    # E_r f - E_g f, so they also mend dual variables that are infeasible by rounding.
    at_real, at_fake = critic(real), critic(fake)
    gap = w1 - (at_real.mean() - at_fake.mean())
    if not abs(gap) <= 1e-9 * max(float(cost.max()), 1e-300):
        raise LabError(f"{problem} (duality gap {gap:.1e})")
    centred = at_fake - (at_real.mean() + at_fake.mean()) / 2
    return ExactCritic(fake, centred, w1, critic.coupling)


def transport_plan(a: ArrayLike, b: ArrayLike, cost: ArrayLike) -> Array:
    """A plan `[n, m]` of least cost with marginals `a` `[n]` and `b` `[m]`, which sum to one.

    `cost` is `[n, m]`. Network simplex (POT). Raises LabError if it stops before the optimum.
    """
    ot = import_pot()
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # raised below
        plan, log = ot.emd(a, b, np.asarray(cost, float), numItermax=10**9, log=True)
    if log["warning"] is not None:
        raise LabError(f"transport plan of {len(a)} by {len(b)} points: {log['warning']}")
    return np.asarray(plan)


def _coupling(plan: Array) -> Coupling:
    # The smallest true mass is 1 / (n m); what lies far below it is rounding in the simplex.
    i, j = np.nonzero(plan > 1e-9 / max(plan.shape))
    return Coupling(i, j, plan[i, j])


def _points(x: ArrayLike, name: str) -> Array:
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or not np.isfinite(x).all():
        raise ValueError(f"{name}: finite points of shape [n, d] wanted, got shape {x.shape}")
    return x


def import_pot() -> ModuleType:
    """POT. Raises `BadInput` where it is not installed."""
    # POT imports every library that it finds, which takes seconds; numpy is enough here.
    for library, name in [
        ("torch", "PYTORCH"),
        ("jax", "JAX"),
        ("cupy", "CUPY"),
        ("tensorflow", "TENSORFLOW"),
    ]:
        if library not in sys.modules:
            os.environ.setdefault(f"POT_BACKEND_DISABLE_{name}", "1")
    hidden = [library for library in ("sklearn", "networkx") if library not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        return of_extra("ot", "exact", "exact transport between samples")
    finally:
        for library in hidden:
            del sys.modules[library]
