"""First and second moments of features, and the Fréchet distance between two of them (FID).

mu_wgan, Table 2; wgan_gp, zero_gp, anomalous.
The distance is that of Heusel et al. 2017 ("GANs trained by a two time-scale update rule").
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Sums over samples of features `[n, d]`, in float64: those of two parts are added.

    Ranks and batches are merged with `+`; over ranks, all-reduce `flat` and read it back with
    `from_flat`. Sums, not means, so that the order of batches matters by rounding alone.

    count: how many samples, a scalar; total: their sum `[d]`; outer: the sum of their outer
    products `[d, d]`.
    """

    count: Tensor
    total: Tensor
    outer: Tensor

    @classmethod
    def none(cls, dim: int, device: torch.device | str = "cpu") -> Self:
        """Of no samples at all: the start of a sum."""
        zeros = torch.zeros(1 + dim + dim**2, dtype=torch.float64, device=device)
        return cls.from_flat(zeros, dim)

    @classmethod
    def of(cls, features: Tensor) -> Self:
        """Of features `[n, d]`. Raises ValueError for another shape."""
        if features.ndim != 2:
            raise ValueError(f"features [n, d] wanted, got {list(features.shape)}")
        x = features.detach().double()
        return cls(torch.tensor(len(x), dtype=torch.float64, device=x.device), x.sum(0), x.T @ x)

    def __add__(self, other: Self) -> Self:
        """Of both parts together. Raises ValueError if their dimensions differ."""
        if self.dim != other.dim:
            raise ValueError(f"moments of {self.dim} and of {other.dim} dimensions do not add")
        return type(self)(
            self.count + other.count, self.total + other.total, self.outer + other.outer
        )

    @property
    def dim(self) -> int:
        return len(self.total)

    @property
    def mean(self) -> Tensor:
        """`[d]`; NaN for no samples."""
        return self.total / self.count

    @property
    def covariance(self) -> Tensor:
        """`[d, d]`, unbiased (over n - 1), as `numpy.cov`; NaN for fewer than two samples."""
        centred = self.outer - torch.outer(self.total, self.mean)
        degrees = torch.where(self.count > 1, self.count - 1, torch.nan)
        return (centred + centred.T) / (2 * degrees)

    def flat(self) -> Tensor:
        """Everything in one vector `[1 + d + d^2]`, for one all-reduce."""
        return torch.cat([self.count[None], self.total, self.outer.flatten()])

    @classmethod
    def from_flat(cls, flat: Tensor, dim: int) -> Self:
        """The inverse of `flat`."""
        return cls(flat[0], flat[1 : 1 + dim], flat[1 + dim :].view(dim, dim))


def frechet_distance(a: Moments, b: Moments) -> float:
    """FID of two sets of features: `gaussian_distance` of their means and covariances.

    NaN where one has fewer than two samples or a feature that is not finite (a diverged generator).
    Raises ValueError if their dimensions differ.
    """
    return gaussian_distance(a.mean, a.covariance, b.mean, b.covariance)


def gaussian_distance(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    """|m_a - m_b|^2 + tr(A + B - 2 (A B)^(1/2)): means `[d]`, covariances `[d, d]`, in float64.

    The square of the 2-Wasserstein distance of two Gaussians (Heusel et al. 2017, Eq. 6). With
    A = F F^T and B = G G^T the eigenvalues of F^T B F are the squares of the singular values of
    F^T G, so the trace of the root is the sum of those: no matrix square root is taken, and zero
    eigenvalues (fewer samples than dimensions) do not come back as square roots of rounding errors.

    NaN where something is not finite. Raises ValueError for shapes that do not match.
    """
    d = len(mean_a)
    if mean_b.shape != (d,) or cov_a.shape != (d, d) or cov_b.shape != (d, d):
        shapes = [list(x.shape) for x in (mean_a, cov_a, mean_b, cov_b)]
        raise ValueError(f"means [d] and covariances [d, d] of one d wanted, got {shapes}")
    mean_a, cov_a, mean_b, cov_b = (x.double() for x in (mean_a, cov_a, mean_b, cov_b))
    if not all(x.isfinite().all() for x in (mean_a, cov_a, mean_b, cov_b)):
        return float("nan")
    between = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace()
    root = torch.linalg.svdvals(_factor(cov_a).T @ _factor(cov_b)).sum()
    return max(0.0, (between - 2 * root).item())


def _factor(covariance: Tensor) -> Tensor:
    """F `[d, rank]` with F F^T = covariance `[d, d]`, without the directions of rounding errors."""
    values, vectors = torch.linalg.eigh(covariance)
    noise = torch.finfo(torch.float64).eps * len(values) * values.abs().max()
    kept = values > noise
    return vectors[:, kept] * values[kept].sqrt()
