"""Scores of samples in the plane: modes, rings, curves, transport distances, directions (all 2-D
entries).

Samples that are not finite (a diverged generator's) are near nothing and count as samples all the
same. A score of no samples at all is NaN, which a claim leaves out.
"""

from importlib.util import find_spec
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from gp_lab.errors import LabError
from gp_lab.theory.transport import import_pot

Array = NDArray[np.float64]

# Distances held at once: 32 MiB of float64.
_CHUNK_ENTRIES = 1 << 22


def modes_hit(
    samples: ArrayLike, centers: ArrayLike, radius: float, share: float = 0.01
) -> NDArray[np.bool_]:
    """Which modes `[k]` have at least `share` of all samples `[n, d]` within `radius`.

    Centres are `[k, d]`; `radius` is in their units and its circle is closed. With no samples no
    mode is hit. Raises ValueError for shapes that do not match, no centres, a negative radius, or
    a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share}: must lie in (0, 1]")
    distance = _distances(samples, centers, radius)
    count = (distance <= radius).sum(0)
    # share * n is 1e-15 too much for some n where it should be whole.
    return np.asarray(count >= max(1.0, share * len(distance) * (1 - 1e-12)))


def share_near(samples: ArrayLike, centers: ArrayLike, radius: float) -> float:
    """Share of samples `[n, d]` within `radius` of some centre `[k, d]`; NaN for no samples.

    "High quality" samples in the words of the papers. Raises ValueError as `modes_hit` does.
    """
    near = np.any(_distances(samples, centers, radius) <= radius, axis=1)
    return float(near.mean()) if len(near) else np.nan


def mode_shares(samples: ArrayLike, centers: ArrayLike) -> Array:
    """Share of samples `[n, d]` nearest to each centre `[k, d]` -> `[k]`; NaN for no samples.

    Between equally near centres the first has the sample. The shares add to the share of finite
    samples. Raises ValueError for shapes that do not match or no centres.
    """
    distance = _distances(samples, centers)
    n, k = distance.shape
    nearest = distance[np.isfinite(distance).all(1)].argmin(1)
    return np.bincount(nearest, minlength=k) / n if n else np.full(k, np.nan)


def balance(samples: ArrayLike, centers: ArrayLike) -> float:
    """Entropy of `mode_shares` over its largest value log k, in [0, 1]: 1 if all modes are equal.

    1 for a single mode; NaN where no sample is finite. Raises ValueError as `mode_shares` does.
    """
    shares = mode_shares(samples, centers)
    total = float(shares.sum())
    if not total > 0:
        return np.nan
    if len(shares) == 1:
        return 1.0
    p = shares[shares > 0] / total
    return max(0.0, float(-(p * np.log(p)).sum() / np.log(len(shares))))


def share_on_ring(samples: ArrayLike, radius: float, tolerance: float) -> float:
    """Share of samples `[n, 2]` whose distance to the origin is `radius` to within `tolerance`.

    NaN for no samples. Raises ValueError for another shape or a negative tolerance.
    """
    if tolerance < 0:
        raise ValueError(f"tolerance={tolerance}: must not be negative")
    norm = np.linalg.norm(_points(samples, "samples"), axis=1)
    return float((np.abs(norm - radius) <= tolerance).mean()) if len(norm) else np.nan


def wasserstein(a: ArrayLike, b: ArrayLike, order: Literal[1, 2] = 1) -> float:
    """The exact Wasserstein distance W_order between samples `[n, d]` and `[m, d]` of equal
    weights, in their units (for order 2 the root of the mean squared distance).

    Network simplex (POT) in float64 with Euclidean costs; O(n m) memory. Without POT as many
    samples on both sides are assigned to each other by SciPy: the same optimum, a few rounding
    errors apart, and slower. NaN where a side has no samples or one that is not finite. Raises
    ValueError for shapes that do not match or another order, LabError if the solver stops before
    the optimum, `BadInput` where POT is missed.
    """
    a, b = _points(a, "a"), _points(b, "b")
    if order not in (1, 2):
        raise ValueError(f"order={order}: 1 or 2")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"samples of shapes {a.shape} and {b.shape} cannot be coupled")
    if not (len(a) and len(b) and np.isfinite(a).all() and np.isfinite(b).all()):
        return np.nan
    cost = cdist(a, b) ** order
    n, m = cost.shape
    if n == m and find_spec("ot") is None:
        from scipy.optimize import linear_sum_assignment  # takes a while

        return float(cost[linear_sum_assignment(cost)].mean()) ** (1 / order)
    plan, log = import_pot().emd(
        np.full(n, 1 / n), np.full(m, 1 / m), cost, numItermax=10**9, log=True
    )
    if log["warning"] is not None:
        raise LabError(f"W{order} of {n} and {m} samples: {log['warning']}")
    return float((plan * cost).sum()) ** (1 / order)


def distance_to_curve(samples: ArrayLike, curve: ArrayLike) -> Array:
    """Distance of each sample `[n, d]` to the polyline through `curve` `[m, d]` -> `[n]`.

    To the point itself if `curve` is one point; a closed curve repeats its first, and rows of NaN
    part pieces that are not joined. NaN for a sample that is not finite. Raises ValueError for
    shapes that do not match or an empty curve.
    """
    samples, curve = _matching(samples, curve, "curve")
    curve = np.repeat(curve, 2, axis=0) if len(curve) == 1 else curve
    start, along = curve[:-1], np.diff(curve, axis=0)
    joined = np.isfinite(along).all(1)
    start, along = start[joined], along[joined]
    squared_length = (along**2).sum(1)
    finite = np.isfinite(samples.sum(1))
    samples = np.where(finite[:, None], samples, 0.0)
    distance = np.empty(len(samples))
    rows = max(1, _CHUNK_ENTRIES // along.size)
    for first in range(0, len(samples), rows):
        chunk = slice(first, first + rows)
        offset = samples[chunk, None] - start
        t = np.divide(
            (offset * along).sum(2),
            squared_length,
            out=np.zeros(offset.shape[:2]),
            where=squared_length > 0,
        )
        foot = np.clip(t, 0, 1)[..., None] * along
        distance[chunk] = np.linalg.norm(offset - foot, axis=2).min(1)
    distance[~finite] = np.nan
    return distance


def coverage(samples: ArrayLike, curve: ArrayLike, radius: float) -> float:
    """Share of the points of `curve` `[m, d]` with a sample `[n, d]` within `radius`; rows of NaN,
    which part its pieces, are none.

    0 for no samples. Raises ValueError for shapes that do not match, an empty curve or a negative
    radius.
    """
    curve = np.asarray(curve, dtype=np.float64)
    curve = curve[~np.isnan(curve).any(-1)] if curve.ndim == 2 else curve
    near = _distances(samples, curve, radius, "curve") <= radius
    return float(np.any(near, axis=0).mean())


def cosines(vectors: ArrayLike, directions: ArrayLike) -> Array:
    """Cosine of the angle between each vector and its direction, `[n, d]` each -> `[n]`.

    NaN where either is zero or not finite. Raises ValueError for shapes that differ.
    """
    vectors, directions = _points(vectors, "vectors"), _points(directions, "directions")
    if vectors.shape != directions.shape:
        raise ValueError(f"vectors {vectors.shape} against directions {directions.shape}")
    with np.errstate(invalid="ignore"):
        u, v = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (vectors, directions))
        return np.asarray(np.clip((u * v).sum(1), -1, 1))


def local_greedy_share(
    gradients: ArrayLike, fakes: ArrayLike, targets: ArrayLike, min_cosine: float = 0.9
) -> float:
    """Share of fakes `[n, d]` whose gradient `[n, d]` points to the nearest target `[k, d]`.

    "Points to" is a cosine of at least `min_cosine`; a gradient that is zero or not finite points
    nowhere. A fake that stands on its target has no direction and is left out; NaN if none is left
    (`lipschitz`, sec. 2: the gradient that an unrestricted discriminator gives knows only the
    nearest reals). Raises ValueError for shapes that do not match or no targets.
    """
    fakes, targets = _matching(fakes, targets, "targets")
    to_nearest = targets[_distances(fakes, targets).argmin(1)] - fakes
    cosine = cosines(gradients, to_nearest)
    on_its_way = (to_nearest != 0).any(1)
    right = cosine[on_its_way] >= min_cosine
    return float(right.mean()) if len(right) else np.nan


def _distances(
    samples: ArrayLike, centers: ArrayLike, radius: float = 0.0, name: str = "centers"
) -> Array:
    """[n, k], infinite for samples that are not finite."""
    if not radius >= 0:
        raise ValueError(f"radius={radius}: must not be negative")
    samples, centers = _matching(samples, centers, name)
    distance = cdist(samples, centers) if len(samples) else np.empty((0, len(centers)))
    return np.where(np.isfinite(distance), distance, np.inf)


def _matching(samples: ArrayLike, others: ArrayLike, name: str) -> tuple[Array, Array]:
    samples, others = _points(samples, "samples"), _points(others, name)
    if not len(others):
        raise ValueError(f"{name}: give at least one point")
    if samples.shape[1] != others.shape[1]:
        raise ValueError(f"samples {samples.shape} against {name} {others.shape}")
    return samples, others


def _points(x: ArrayLike, name: str) -> Array:
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2:
        raise ValueError(f"{name}: points of shape [n, d] wanted, got shape {x.shape}")
    return x
