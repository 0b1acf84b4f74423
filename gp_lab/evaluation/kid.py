"""The kernel Inception distance (KID), which unlike FID is unbiased for few samples.

Binkowski et al. 2018 ("Demystifying MMD GANs"), sec. 4; beside FID in all image entries.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Distance(NamedTuple):
    """Mean over the subsets, and the standard deviation of one subset's value (over n); NaN where
    a subset is the whole of one set: nothing is drawn there, and the spread is not known."""

    mean: float
    std: float


def polynomial_kernel(x: Tensor, y: Tensor) -> Tensor:
    """(x . y / d + 1)^3 of features `[n, d]` and `[m, d]` -> `[n, m]`."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def squared_discrepancy(x: Tensor, y: Tensor) -> Tensor:
    """The unbiased estimate of MMD^2 under the polynomial kernel, of `[n, d]` and `[m, d]`.

    Pairs of a sample with itself are left out, so the estimate can be negative. A scalar in
    float64. Raises ValueError for fewer than two samples or shapes that do not match.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(
            f"features [n, d] and [m, d], n, m > 1, wanted, got {list(x.shape)}, {list(y.shape)}"
        )
    x, y = x.double(), y.double()
    return _mean_of_pairs(x) + _mean_of_pairs(y) - 2 * polynomial_kernel(x, y).mean()


def kernel_distance(
    x: Tensor, y: Tensor, rng: torch.Generator, subsets: int = 100, size: int = 1000
) -> Distance:
    """KID of features `[n, d]` and `[m, d]`: over random subsets of both, each without replacement.

    100 subsets of 1000 are the authors'; with fewer samples the subsets are as large as they can
    be, and their spread is not known (with no more samples than that in both sets there is one
    value). Raises ValueError as `squared_discrepancy` does, or for less than one subset.
    """
    if subsets < 1:
        raise ValueError(f"subsets={subsets}: must be 1 or more")
    size = min(size, len(x), len(y))
    if len(x) == len(y) == size:
        subsets = 1
    values = torch.stack(
        [
            squared_discrepancy(x[_some(x, size, rng)], y[_some(y, size, rng)])
            for _ in range(subsets)
        ]
    )
    drawn = size < min(len(x), len(y))
    return Distance(values.mean().item(), values.std(correction=0).item() if drawn else math.nan)


def _some(x: Tensor, size: int, rng: torch.Generator) -> Tensor:
    return torch.randperm(len(x), generator=rng, device=rng.device)[:size].to(x.device)


def _mean_of_pairs(x: Tensor) -> Tensor:
    kernel = polynomial_kernel(x, x)
    return (kernel.sum() - kernel.trace()) / (len(x) * (len(x) - 1))
