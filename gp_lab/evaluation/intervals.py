"""The mean over seeds and Student's interval of it, and differences of the same seeds."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

Range = tuple[float, float]
"""The least and the largest that a quantity can be."""

ROUNDING = 1e-6
"""By so much a value can lie beyond: those of networks are computed in float32."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its two-sided confidence interval at `level`, from `n` values."""

    estimate: float
    low: float
    high: float
    n: int
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.estimate:.3g} [{self.low:.3g}, {self.high:.3g}] (n={self.n})"

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """The mean of `values` `[n]` and its Student t interval, NaNs left out.

    Infinite for fewer than two values or an infinite one; a point if all values are equal. Raises
    ValueError for another shape, or a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level}: must lie between 0 and 1")
    x = seed_values(values)
    x = x[~np.isnan(x)]
    n = len(x)
    if n == 0:
        return Interval(math.nan, -math.inf, math.inf, 0, level)
    if not np.isfinite(x).all():
        return Interval(math.nan, -math.inf, math.inf, n, level)
    if n == 1:
        return Interval(float(x[0]), -math.inf, math.inf, 1, level)
    if np.ptp(x) == 0:
        return Interval(float(x[0]), float(x[0]), float(x[0]), n, level)
    mean = float(x.mean())
    half = float(stdtrit(n - 1, (1 + level) / 2) * x.std(ddof=1) / math.sqrt(n))
    return Interval(mean, mean - half, mean + half, n, level)


def median_of_equals(point: Interval) -> Interval:
    """The exact interval of the median of `n` values that are all equal, from `mean_interval`'s.

    All lie on one side of another median with a probability of `2 ** (1 - n)`: a point if that is
    at most 1 - level, else infinite.
    """
    if 2.0 ** (1 - point.n) <= 1 - point.level:
        return point
    return replace(point, low=-math.inf, high=math.inf)


def cut(interval: Interval, values: ArrayLike, within: Range) -> Interval:
    """An interval of values `[n]` that lie in a range, cut to it, and so its mean.

    Raises ValueError for a value beyond.
    """
    low, high = within
    x = seed_values(values)
    if (x < low - ROUNDING).any() or (x > high + ROUNDING).any():
        raise ValueError(f"a value lies beyond {low:g} to {high:g}: {x.tolist()}")
    mean, least, most = (
        min(max(at, low), high) for at in (interval.estimate, interval.low, interval.high)
    )
    return replace(interval, estimate=mean, low=least, high=most)


def paired_difference(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """a - b of the same seeds, `[n]` each: NaN where either is, infinite if either is.

    Raises ValueError if the lengths differ.
    """
    a, b = seed_values(a), seed_values(b)
    if len(a) != len(b):
        raise ValueError(f"not paired: {len(a)} values against {len(b)}")
    both_infinite = np.isinf(a) & np.isinf(b)
    return np.where(both_infinite, np.inf, a - np.where(both_infinite, 0.0, b))


def seed_values(values: ArrayLike) -> NDArray[np.float64]:
    """One value per seed, `[n]`. Raises ValueError for another shape."""
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1:
        raise ValueError(f"one value per seed wanted, got shape {x.shape}")
    return x
