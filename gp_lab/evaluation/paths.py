"""Scores of paths and of gradients along them (zero_gp, secs. 5.5 and 6.2)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def equality_of_norms(norms: ArrayLike) -> float:
    """(E |g|)^2 / E |g|^2 of gradient norms of any shape, in [0, 1]: 1 where all are equal.

    zero_gp, sec. 5.5: for a given penalty E |g|^2 the mean norm is the largest where
    all norms are equal, by the Cauchy-Schwarz inequality; this is how near it comes. NaN where
    there are none, all are zero, or one is not finite.
    """
    g = np.asarray(norms, dtype=np.float64).ravel()
    largest = g.max(initial=0.0)
    if not np.isfinite(g).all() or largest == 0:
        return np.nan
    g = g / largest  # squares of tiny norms would be lost
    return float(min(1.0, g.mean() ** 2 / (g**2).mean()))


def step_lengths(paths: ArrayLike) -> Array:
    """Distances between neighbours of each path `[n, points, ...]` -> `[n, points - 1]`.

    Raises ValueError for paths of fewer than two points.
    """
    x = np.asarray(paths, dtype=np.float64)
    if x.ndim < 3 or x.shape[1] < 2:
        raise ValueError(f"paths [n, points, ...] of two points or more wanted, got {x.shape}")
    return np.linalg.norm(np.diff(x.reshape(*x.shape[:2], -1), axis=1), axis=2)


def largest_over_mean_step(paths: ArrayLike) -> Array:
    """How much each path `[n, points, ...]` jumps -> `[n]`: its largest step over its mean step.

    1 for a path at constant speed, points - 1 for one that stands still but for one jump
    (zero_gp, sec. 6.2 and Fig. 9: "mode jumping"). NaN for a path that does not move.
    """
    steps = step_lengths(paths)
    mean = steps.mean(1)
    return np.divide(steps.max(1), mean, out=np.full(len(steps), np.nan), where=mean > 0)
