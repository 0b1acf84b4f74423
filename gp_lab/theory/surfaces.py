"""How far apart two value surfaces are, and how simple one is, sampled at points (all papers).

Everywhere `weights` are non-negative, of the shape of the values, and need not sum to one; without
them every point counts the same. All functions raise ValueError for shapes that do not match and
for values or weights that are not finite, negative weights, or weights that are all zero.
"""

from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def plane(axis: Array) -> Array:
    """The points `[n * n, 2]` of a square grid over an axis `[n]`, row by row (a row is a y)."""
    return np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)


def rmse(a: ArrayLike, b: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Root of the weighted mean of (a - b)^2, in the units of `a` and `b`, both `[...]`."""
    a, b, w = _samples(a, b, weights)
    return float(np.sqrt(w @ (a - b) ** 2))


def rmse_up_to_offset(
    a: ArrayLike, reference: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """The least `rmse(a + c, reference)` over all c: for critics, which are free up to a constant.

    `a` and `reference` are `[...]`; the result is in the units of `reference`.
    """
    a, reference, w = _samples(a, reference, weights)
    return rmse(a - w @ a, reference - w @ reference, w)


def rmse_up_to_affine(
    a: ArrayLike, reference: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """The least `rmse(s a + c, reference)` over all c and s >= 0: are the surfaces of one shape?

    `a` and `reference` are `[...]`; the result is in the units of `reference`, and never above its
    standard deviation, which is what a constant or reversed `a` gets.
    """
    a, reference, w = _samples(a, reference, weights)
    scale, offset = affine_fit(a, reference, w)
    return rmse(scale * a + offset, reference, w)


def affine_fit(
    a: ArrayLike, reference: ArrayLike, weights: ArrayLike | None = None
) -> tuple[float, float]:
    """The scale s >= 0 and offset c of the least `rmse(s a + c, reference)`, in closed form.

    s = max(0, cov(a, reference) / var(a)), and 0 if `a` (`[...]`) is constant.
    """
    a, reference, w = _samples(a, reference, weights)
    centred = a - w @ a
    constant = _constant(a[w > 0])
    scale = 0.0 if constant else max(0.0, float(w @ (centred * reference) / (w @ centred**2)))
    return scale, float(w @ reference - scale * (w @ a))


def polynomial_r2(
    points: ArrayLike, values: ArrayLike, degree: int, weights: ArrayLike | None = None
) -> float:
    """R^2 of the least-squares polynomial of total `degree` (1 affine, 2 quadratic) in `points`.

    `points` is `[k, d]`, `values` is `[k]`. The share of the weighted variance of the values that
    the polynomial explains, from 0 to 1. Constant values are a polynomial: R^2 is 1.
    Also raises ValueError for a degree below 1 and for fewer points than coefficients.
    """
    x = np.asarray(points, dtype=np.float64)
    values, _, w = _samples(values, values, weights)
    if x.ndim != 2 or len(x) != len(values) or not np.isfinite(x).all():
        raise ValueError(f"points {x.shape} do not match values {values.shape}, or are not finite")
    if degree < 1:
        raise ValueError(f"degree={degree}: 1 (affine) or more")
    x, values, w = x[w > 0], values[w > 0], w[w > 0]
    spread = np.ptp(x, axis=0)
    # Monomials of raw coordinates are badly conditioned far from the origin.
    x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    monomials = [
        np.prod(x[:, list(which)], axis=1)
        for order in range(degree + 1)
        for which in combinations_with_replacement(range(x.shape[1]), order)
    ]
    if len(x) < len(monomials):
        raise ValueError(f"{len(x)} points cannot fit {len(monomials)} coefficients")
    if _constant(values):
        return 1.0
    root = np.sqrt(w)
    centred = values - w @ values
    design = np.stack(monomials, axis=1) * root[:, None]
    coefficients = np.linalg.lstsq(design, root * centred, rcond=None)[0]
    residual = root * centred - design @ coefficients
    return float(max(0.0, 1.0 - residual @ residual / (w @ centred**2)))


def roughness(values: ArrayLike) -> float:
    """How complex a surface on a grid is: mean |second difference| along the axes over its range.

    `values` `[n, m]`. 0 for a plane however steep, 2 for a checkerboard. It shrinks as a grid gets
    finer, so only surfaces on the same one compare. Raises ValueError for another shape or values
    that are not finite.
    """
    z = np.asarray(values, dtype=np.float64)
    if z.ndim != 2 or min(z.shape) < 3 or not np.isfinite(z).all():
        raise ValueError(f"values {z.shape}: a finite grid of at least 3 x 3 wanted")
    bends = np.concatenate([np.abs(np.diff(z, n=2, axis=axis)).ravel() for axis in (0, 1)])
    return 0.0 if _constant(z) else float(bends.mean() / np.ptp(z))


def _constant(values: Array) -> bool:
    return bool(np.ptp(values) <= 1e-13 * np.abs(values).max())


def _samples(a: ArrayLike, b: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array, Array]:
    """Both flattened to `[k]`, and the weights `[k]` that sum to one."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    w = np.ones(a.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    if not a.shape == b.shape == w.shape or a.size == 0:
        raise ValueError(f"shapes differ or are empty: {a.shape}, {b.shape}, weights {w.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all() and np.isfinite(w).all()):
        raise ValueError("values and weights must be finite")
    if w.min() < 0 or w.max() == 0:
        raise ValueError("weights must be non-negative and not all zero")
    return a.ravel(), b.ravel(), w.ravel() / w.sum()
