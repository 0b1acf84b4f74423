"""What a distribution of points is, and what distributions are made with.

A distribution of one's own derives from `Distribution` and defines `dim` and `sample`.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from gp_lab.fields import Finite

Point = tuple[Finite, ...]
Weights = tuple[float, ...] | None
"""Proportions, which need not add to 1; None for equal ones."""


@runtime_checkable
class Distribution(Protocol):
    """What `Points` and `Mixture` ask of a distribution; the last four have defaults."""

    @property
    def dim(self) -> int:
        """Number of coordinates of a sample."""

    def sample(self, rng: torch.Generator, n: int) -> Tensor:
        """n independent samples [n, dim], float32, on the device of `rng`."""

    def log_density(self, x: Tensor) -> Tensor:
        """Natural logarithm of the density at x [k, dim]: [k], float64, -inf off the support.

        Raises ValueError where there is no density.
        """
        raise ValueError(f"{type(self).__name__} has no density")

    def plus_noise(self, std: float) -> "Distribution | None":
        """The exact distribution of X + N(0, std^2 I); None if there is no closed form here."""
        return None

    def centers(self) -> Tensor | None:
        """The centre of each mode [m, dim], float64; None if the distribution has no modes."""
        return None

    def curve(self, u: Tensor) -> Tensor | None:
        """The points [k, dim] at u [k] in [0, 1] of the curve that the samples lie about; None if
        they lie about none."""
        return None

    def polyline(self, n: int) -> Tensor | None:
        """n points [n, dim] on the way along that curve, both ends included, in equal steps of its
        parameter; a row of NaN lies between pieces that are not joined."""
        return self.curve(torch.linspace(0, 1, n, dtype=torch.float64))


def float64(values: tuple[object, ...]) -> Tensor:
    """Numbers, points or matrices as a tensor."""
    return torch.tensor(values, dtype=torch.float64)


def randn(rng: torch.Generator, n: int, dim: int) -> Tensor:
    """Standard normal [n, dim], on the device of `rng`."""
    return torch.randn(n, dim, generator=rng, device=rng.device)


def proportions(weights: Weights, m: int) -> Tensor:
    """Each weight's share of their sum, [m] float64."""
    shares = torch.ones(m, dtype=torch.float64) if weights is None else float64(weights)
    return shares / shares.sum()


def choose_weighted(rng: torch.Generator, n: int, weights: Weights, m: int) -> Tensor:
    """n places [n] among m, each with its share of the weights, on the device of `rng`."""
    if weights is None:
        return torch.randint(m, (n,), generator=rng, device=rng.device)
    shares = proportions(weights, m).to(rng.device)
    return torch.multinomial(shares, n, replacement=True, generator=rng)


def check_points(key: str, points: tuple[Point, ...]) -> None:
    """Raises ValueError for no points, and for points of several dimensions."""
    if not points or not points[0]:
        raise ValueError(f"{key}: give at least one point")
    for i, point in enumerate(points):
        if len(point) != len(points[0]):
            raise ValueError(
                f"{key}[{i}]: {len(point)} coordinates where the first has {len(points[0])}"
            )


def check_weights(weights: Weights, key: str, m: int) -> None:
    """Raises ValueError for other than m weights; `key` is what they belong to."""
    if weights is not None and len(weights) != m:
        raise ValueError(f"weights: {len(weights)} of them for {m} {key}")


def in_chunks(function: Callable[[Tensor], Tensor], x: Tensor, terms: int) -> Tensor:
    """`function` of x [k, dim] in float64, on so few rows at a time that memory stays small."""
    rows = max(1, 2**21 // terms)
    return torch.cat([function(some) for some in x.double().split(rows)])
