"""Curves made small enough for a page: of each stretch of steps the lowest and highest stay."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

Curve = tuple[np.ndarray, np.ndarray]
"""Steps and values, [n] each; the steps ascend."""

LEVEL = 0.95


def extremes(values: np.ndarray, most: int) -> np.ndarray:
    """The places of at most `most` (4 or more) of values [n], which are finite, in their order.

    The first and the last, and of every stretch of equal length the lowest and the highest: so a
    spike of one step is still to be seen. All places where there are no more than `most`.
    """
    n = len(values)
    if n <= most:
        return np.arange(n)
    stretches = (most - 2) // 2
    width = -(-n // stretches)
    padded = np.pad(values, (0, stretches * width - n), mode="edge").reshape(stretches, width)
    start = np.arange(stretches) * width
    found = [[0, n - 1], start + padded.argmin(axis=1), start + padded.argmax(axis=1)]
    return np.unique(np.minimum(np.concatenate(found), n - 1))


def thinned(rows: Sequence[np.ndarray], most: int) -> Any:
    """At most `most` points of a curve, or of a band: steps, values, and what belongs to these."""
    kept = extremes(rows[1], most)
    return tuple(row[kept] for row in rows)


def ascending(steps: np.ndarray, values: np.ndarray) -> Curve:
    """A curve by its steps; of those that stand twice in a file the last one counts."""
    steps, values = steps.astype(float), values.astype(float)
    if (np.diff(steps) > 0).all():
        return steps, values
    steps, places = np.unique(steps[::-1], return_index=True)
    return steps, values[::-1][places]


def band(curves: Sequence[Curve], most: int) -> tuple[np.ndarray, ...]:
    """Steps, mean over seeds, and the ends of its Student 95 % interval, at most `most` points.

    A step counts that any seed has; there the mean is over the seeds that have it. The ends are
    NaN where there is one.
    """
    steps = np.unique(np.concatenate([curve[0] for curve in curves]))
    values = np.full((len(curves), len(steps)), np.nan)
    for row, (at, of) in zip(values, curves, strict=True):
        row[np.searchsorted(steps, at)] = of
    n = np.isfinite(values).sum(axis=0)
    mean = np.nansum(values, axis=0) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = np.nansum((values - mean) ** 2, axis=0)
        half = stdtrit(n - 1, (1 + LEVEL) / 2) * np.sqrt(squares / (n - 1) / n)
    return tuple(thinned((steps, mean, mean - half, mean + half), most))


def t_quantiles(most: int) -> list[float]:
    """Student's quantiles for 95 % intervals, of 1, 2, ..., `most` degrees of freedom."""
    return [float(t) for t in stdtrit(np.arange(1, most + 1), (1 + LEVEL) / 2)]


def packed(values: np.ndarray) -> str:
    """Numbers as base64 of little-endian float32: enough for a screen, and quickly read."""
    with np.errstate(over="ignore"):
        return base64.b64encode(values.astype("<f4").tobytes()).decode()
