"""Mixtures of Gaussians: covariances and their factors, samples, densities."""

import math
from abc import abstractmethod
from functools import cached_property

import torch
from torch import Tensor

from gp_lab.data.distribution import (
    Distribution,
    Point,
    Weights,
    choose_weighted,
    float64,
    in_chunks,
    proportions,
    randn,
)
from gp_lab.instantiate import Checked

Matrix = tuple[Point, ...]


class EqualGaussians(Checked, Distribution):
    """Base of mixtures of as likely Gaussians with one deviation in all directions."""

    @property
    @abstractmethod
    def means(self) -> tuple[Point, ...]:
        """Of each Gaussian."""

    @property
    @abstractmethod
    def std(self) -> float:
        """Of every coordinate of every Gaussian."""

    @property
    def dim(self) -> int:
        return len(self.means[0])

    @cached_property
    def _factors(self) -> Tensor:
        return cholesky(isotropic(self.std, self.dim, len(self.means)), self.dim)

    def sample(self, rng: torch.Generator, n: int) -> Tensor:
        return sample_gaussians(rng, n, self.centers(), self._factors)

    def log_density(self, x: Tensor) -> Tensor:
        return log_density_of_gaussians(x, self.centers(), self._factors)

    def centers(self) -> Tensor:
        return float64(self.means)


def isotropic(std: float, dim: int, m: int) -> tuple[Matrix, ...]:
    """m times the covariance std^2 I."""
    return (tuple(tuple(std**2 * (i == j) for j in range(dim)) for i in range(dim)),) * m


def widened(covariances: tuple[Matrix, ...], std: float) -> tuple[Matrix, ...]:
    """std^2 I added to each covariance."""
    return tuple(
        tuple(
            tuple(c + std**2 * (i == j) for j, c in enumerate(row)) for i, row in enumerate(matrix)
        )
        for matrix in covariances
    )


def cholesky(covariances: tuple[Matrix, ...], dim: int) -> Tensor:
    """The lower factors [m, dim, dim] of m covariances, float64.

    Raises ValueError for what is no covariance in so many dimensions.
    """
    for i, matrix in enumerate(covariances):
        if len(matrix) != dim or any(len(row) != dim for row in matrix):
            raise ValueError(f"covariances[{i}]: not a {dim} x {dim} matrix")
    matrices = float64(covariances)
    factors, failed = torch.linalg.cholesky_ex(matrices)
    for i, matrix in enumerate(matrices):
        if failed[i] or not torch.equal(matrix, matrix.T):
            raise ValueError(f"covariances[{i}]: not symmetric and positive definite")
    return factors


def sample_gaussians(
    rng: torch.Generator, n: int, means: Tensor, factors: Tensor, weights: Weights = None
) -> Tensor:
    """n samples [n, dim], float32, of Gaussians with means [m, dim] and the factors of their
    covariances [m, dim, dim]."""
    which = choose_weighted(rng, n, weights, len(means))
    means, factors = (x.to(rng.device, torch.float32) for x in (means, factors))
    noise = randn(rng, n, means.shape[1])
    return means[which] + torch.einsum("nij,nj->ni", factors[which], noise)


def log_density_of_gaussians(
    x: Tensor, means: Tensor, factors: Tensor, weights: Weights = None
) -> Tensor:
    """log sum_i w_i N(x; mean_i, covariance_i) at x [k, dim], [k] float64; as above."""
    means, factors = means.to(x.device), factors.to(x.device)
    whiten = torch.linalg.inv(factors)
    log_volume = factors.diagonal(dim1=1, dim2=2).log().sum(1)
    log_factor = proportions(weights, len(means)).log().to(x.device) - log_volume

    def of_some(x: Tensor) -> Tensor:
        z = torch.einsum("mij,kmj->kmi", whiten, x[:, None] - means)
        return torch.logsumexp(log_factor - 0.5 * z.square().sum(2), 1)

    each = in_chunks(of_some, x, len(means))
    return each - 0.5 * means.shape[1] * math.log(2 * math.pi)
