"""Distributions in the plane and the dataset that draws from them: 2-D data of the papers.

A distribution is a frozen dataclass that a config can name. `Points` is the dataset: a
distribution, a scale applied after the noise, and either an endless supply of samples or a finite
set that is drawn once.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Literal, Protocol, runtime_checkable

import torch
from pydantic import Field
from torch import Tensor

from gp_lab.data.base import Dataset, check_batch_size
from gp_lab.fields import Count, Few, Finite, NonNegative, Positive
from gp_lab.instantiate import Run

Point = tuple[Finite, ...]
Matrix = tuple[Point, ...]


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


@dataclass(frozen=True)
class GaussianMixture(Distribution):
    """Gaussians with any means and covariances.

    Args:
        means: m points of dim coordinates.
        covariances: m matrices of dim rows, symmetric and positive definite.
        weights: m proportions (they need not add to 1); null for equal ones.

    Raises ValueError where the numbers of these differ or a covariance is none.
    """

    means: tuple[Point, ...]
    covariances: tuple[Matrix, ...]
    weights: tuple[Positive, ...] | None = None

    def __post_init__(self) -> None:
        _check_points("means", self.means)
        _check_weights(self.weights, "means", len(self.means))
        if len(self.covariances) != len(self.means):
            raise ValueError(
                f"covariances: {len(self.covariances)} of them for {len(self.means)} means"
            )
        for i, matrix in enumerate(self.covariances):
            if len(matrix) != self.dim or any(len(row) != self.dim for row in matrix):
                raise ValueError(f"covariances[{i}]: not a {self.dim} x {self.dim} matrix")
            covariance = _float64(matrix)
            definite = torch.linalg.cholesky_ex(covariance).info.item() == 0
            if not definite or not torch.equal(covariance, covariance.T):
                raise ValueError(f"covariances[{i}]: not symmetric and positive definite")

    @property
    def dim(self) -> int:
        return len(self.means[0])

    @cached_property
    def _cholesky(self) -> Tensor:
        return torch.linalg.cholesky(_float64(self.covariances))

    def sample(self, rng: torch.Generator, n: int) -> Tensor:
        which = _choose(rng, n, self.weights, len(self.means))
        means = _float64(self.means).to(rng.device, torch.float32)
        factors = self._cholesky.to(rng.device, torch.float32)
        noise = _randn(rng, n, self.dim)
        return means[which] + torch.einsum("nij,nj->ni", factors[which], noise)

    def log_density(self, x: Tensor) -> Tensor:
        """log sum_i w_i N(x; mean_i, covariance_i), [k] float64."""
        factors = self._cholesky.to(x.device)
        means = _float64(self.means).to(x.device)
        whiten = torch.linalg.inv(factors)
        log_volume = factors.diagonal(dim1=1, dim2=2).log().sum(1)
        log_factor = _proportions(self.weights, len(self.means)).log().to(x.device) - log_volume

        def of_some(x: Tensor) -> Tensor:
            z = torch.einsum("mij,kmj->kmi", whiten, x[:, None] - means)
            return torch.logsumexp(log_factor - 0.5 * z.square().sum(2), 1)

        return _in_chunks(of_some, x, len(self.means)) - 0.5 * self.dim * math.log(2 * math.pi)

    def plus_noise(self, std: float) -> "GaussianMixture":
        """The same mixture with std^2 I added to each covariance."""
        wider = tuple(
            tuple(
                tuple(c + std**2 * (i == j) for j, c in enumerate(row))
                for i, row in enumerate(matrix)
            )
            for matrix in self.covariances
        )
        return replace(self, covariances=wider)

    def centers(self) -> Tensor:
        return _float64(self.means)


@dataclass(frozen=True)
class GaussianRing(Distribution):
    """Equal Gaussians on a circle, the first at angle 0 (the 8 Gaussians of `papers/wgan_gp.txt`,
    Fig. 1a; `papers/zero_gp.txt`, Fig. 2; `papers/mu_wgan.txt`, Fig. 4).

    Args:
        modes: how many.
        radius: of the circle.
        std: of each Gaussian, the same in all directions.
    """

    modes: Few = 8
    radius: Positive = 2.0
    std: Positive = 0.02

    @property
    def dim(self) -> int:
        return 2

    @cached_property
    def _mixture(self) -> GaussianMixture:
        angles = [2 * math.pi * k / self.modes for k in range(self.modes)]
        means = tuple((self.radius * math.cos(a), self.radius * math.sin(a)) for a in angles)
        return _equal_gaussians(means, self.std)

    def sample(self, rng: torch.Generator, n: int) -> Tensor:
        return self._mixture.sample(rng, n)

    def log_density(self, x: Tensor) -> Tensor:
        return self._mixture.log_density(x)

    def plus_noise(self, std: float) -> "GaussianRing":
        return replace(self, std=math.hypot(self.std, std))

    def centers(self) -> Tensor:
        return self._mixture.centers()


@dataclass(frozen=True)
class GaussianGrid(Distribution):
    """Equal Gaussians on a square grid about the origin (the 25 Gaussians of `papers/wgan_gp.txt`,
    Fig. 1a; `papers/mu_wgan.txt`, Fig. 4).

    Args:
        side: side x side Gaussians.
        spacing: between neighbours.
        std: of each Gaussian, the same in all directions.
    """

    side: Annotated[int, Field(ge=1, le=100)] = 5
    spacing: Positive = 2.0
    std: Positive = 0.05

    @property
    def dim(self) -> int:
        return 2

    @cached_property
    def _mixture(self) -> GaussianMixture:
        ticks = [self.spacing * (i - (self.side - 1) / 2) for i in range(self.side)]
        return _equal_gaussians(tuple((x, y) for x in ticks for y in ticks), self.std)

    def sample(self, rng: torch.Generator, n: int) -> Tensor:
        return self._mixture.sample(rng, n)

    def log_density(self, x: Tensor) -> Tensor:
        return self._mixture.log_density(x)

    def plus_noise(self, std: float) -> "GaussianGrid":
        return replace(self, std=math.hypot(self.std, std))

    def centers(self) -> Tensor:
        return self._mixture.centers()


@dataclass(frozen=True)
class SwissRoll(Distribution):
    """(t cos t, t sin t) + N(0, noise^2 I) with t uniform on [1.5 pi, 4.5 pi].

    This is axes 0 and 2 of scikit-learn's `make_swiss_roll`, as `papers/wgan_gp.txt`, Fig. 1a,
    draws it (before its division by 7.5); `papers/zero_gp.txt`, Fig. 6; `papers/mu_wgan.txt`,
    Fig. 4.

    Args:
        noise: standard deviation about the curve.
    """

    noise: NonNegative = 0.25

    @property
    def dim(self) -> int:
        return 2

    def curve(self, u: Tensor) -> Tensor:
        """The points of the curve [k, 2] at u [k] in [0, 1], t = 1.5 pi (1 + 2 u)."""
        t = 1.5 * math.pi * (1 + 2 * u)
        return torch.stack([t * torch.cos(t), t * torch.sin(t)], 1)

    def sample(self, rng: torch.Generator, n: int) -> Tensor:
        return _sample_about(self.curve, self.noise, rng, n)

    def log_density(self, x: Tensor) -> Tensor:
        """By quadrature along the curve, [k] float64. Raises ValueError if `noise` is 0."""
        top_speed = 3 * math.pi * math.hypot(1, 4.5 * math.pi)
        return _log_density_about(self.curve, top_speed, self.noise, x)

    def plus_noise(self, std: float) -> "SwissRoll":
        return replace(self, noise=math.hypot(self.noise, std))


@dataclass(frozen=True)
class SCurve(Distribution):
    """(sin t, sign(t) (cos t - 1)) + N(0, noise^2 I) with t uniform on [-1.5 pi, 1.5 pi].

    This is axes 0 and 2 of scikit-learn's `make_s_curve`; in none of the five papers.

    Args:
        noise: standard deviation about the curve.
    """

    noise: NonNegative = 0.05

    @property
    def dim(self) -> int:
        return 2

    def curve(self, u: Tensor) -> Tensor:
        """The points of the curve [k, 2] at u [k] in [0, 1], t = 3 pi (u - 1/2)."""
        t = 3 * math.pi * (u - 0.5)
        return torch.stack([torch.sin(t), torch.sign(t) * (torch.cos(t) - 1)], 1)

    def sample(self, rng: torch.Generator, n: int) -> Tensor:
        return _sample_about(self.curve, self.noise, rng, n)

    def log_density(self, x: Tensor) -> Tensor:
        """By quadrature along the curve, [k] float64. Raises ValueError if `noise` is 0."""
        return _log_density_about(self.curve, 3 * math.pi, self.noise, x)

    def plus_noise(self, std: float) -> "SCurve":
        return replace(self, noise=math.hypot(self.noise, std))


@dataclass(frozen=True)
class Circles(Distribution):
    """A point of one of several concentric circles, each as likely, + N(0, noise^2 I).

    In none of the five papers; scikit-learn's `make_circles` is two of them.

    Args:
        radii: of the circles.
        noise: standard deviation about them.
    """

    radii: tuple[Positive, ...] = (0.5, 1.0)
    noise: NonNegative = 0.05

    def __post_init__(self) -> None:
        if not self.radii:
            raise ValueError("radii: give at least one")

    @property
    def dim(self) -> int:
        return 2

    def sample(self, rng: torch.Generator, n: int) -> Tensor:
        which = _choose(rng, n, None, len(self.radii))
        radius = torch.tensor(self.radii, device=rng.device)[which]
        angle = 2 * math.pi * torch.rand(n, generator=rng, device=rng.device)
        on_circle = radius[:, None] * torch.stack([torch.cos(angle), torch.sin(angle)], 1)
        return on_circle + self.noise * _randn(rng, n, 2)

    def log_density(self, x: Tensor) -> Tensor:
        """The mean over radii R of exp(-(r^2 + R^2) / 2 s^2) I_0(r R / s^2) / (2 pi s^2), where
        r = |x| and s is the noise; its logarithm, [k] float64. Raises ValueError if s is 0."""
        variance = _variance(self.noise)
        r = x.double().norm(dim=1, keepdim=True)
        R = _float64(self.radii).to(x.device)
        bessel = torch.special.i0e(r * R / variance)  # exp(-r R / s^2) I_0(r R / s^2)
        log_each = bessel.log() - (r - R) ** 2 / (2 * variance)
        return torch.logsumexp(log_each, 1) - math.log(2 * math.pi * variance * len(self.radii))

    def plus_noise(self, std: float) -> "Circles":
        return replace(self, noise=math.hypot(self.noise, std))


@dataclass(frozen=True)
class UniformSquare(Distribution):
    """Uniform on a square (cube, ...) with sides along the axes (`papers/lipschitz.txt`, Fig. 2).

    Args:
        center: of the square; its length is the number of dimensions.
        half_width: half the side.
    """

    center: Point = (0.0, 0.0)
    half_width: Positive = 1.0

    def __post_init__(self) -> None:
        if not self.center:
            raise ValueError("center: give at least one coordinate")

    @property
    def dim(self) -> int:
        return len(self.center)

    def sample(self, rng: torch.Generator, n: int) -> Tensor:
        u = 2 * torch.rand(n, self.dim, generator=rng, device=rng.device) - 1
        return torch.tensor(self.center, device=rng.device) + self.half_width * u

    def log_density(self, x: Tensor) -> Tensor:
        offset = (x.double() - _float64(self.center).to(x.device)).abs()
        inside = (offset <= self.half_width).all(1)
        log_volume = self.dim * math.log(2 * self.half_width)
        return torch.where(inside, -log_volume, -torch.inf).double()

    def centers(self) -> Tensor:
        return _float64((self.center,))


@dataclass(frozen=True)
class PointMasses(Distribution):
    """A few points, drawn again and again (`papers/lipschitz.txt`, App. A and C); no density.

    Args:
        points: m points of dim coordinates.
        weights: m proportions (they need not add to 1); null for equal ones.
    """

    points: tuple[Point, ...]
    weights: tuple[Positive, ...] | None = None

    def __post_init__(self) -> None:
        _check_points("points", self.points)
        _check_weights(self.weights, "points", len(self.points))

    @property
    def dim(self) -> int:
        return len(self.points[0])

    def sample(self, rng: torch.Generator, n: int) -> Tensor:
        which = _choose(rng, n, self.weights, len(self.points))
        return torch.tensor(self.points, device=rng.device)[which]

    def log_density(self, x: Tensor) -> Tensor:
        """Raises ValueError: point masses have no density."""
        raise ValueError("PointMasses has no density; plus_noise gives it one")

    def plus_noise(self, std: float) -> GaussianMixture:
        return replace(_equal_gaussians(self.points, std), weights=self.weights)

    def centers(self) -> Tensor:
        return _float64(self.points)


@dataclass(frozen=True)
class Mixture(Distribution):
    """Each sample comes from one of several distributions (`papers/lipschitz.txt`, Figs. 1, 2).

    Args:
        components: m distributions of the same dimension.
        weights: m proportions (they need not add to 1); null for equal ones.
    """

    components: tuple[Distribution, ...]
    weights: tuple[Positive, ...] | None = None

    def __post_init__(self) -> None:
        if not self.components:
            raise ValueError("components: give at least one")
        if len({component.dim for component in self.components}) > 1:
            raise ValueError("components: they differ in dimension")
        _check_weights(self.weights, "components", len(self.components))

    @property
    def dim(self) -> int:
        return self.components[0].dim

    def sample(self, rng: torch.Generator, n: int) -> Tensor:
        which = _choose(rng, n, self.weights, len(self.components))
        of_each = torch.stack([component.sample(rng, n) for component in self.components])
        return of_each[which, torch.arange(n, device=rng.device)]

    def log_density(self, x: Tensor) -> Tensor:
        """Raises ValueError if a component has no density."""
        of_each = torch.stack([component.log_density(x) for component in self.components], 1)
        weights = _proportions(self.weights, len(self.components)).to(x.device)
        return torch.logsumexp(of_each + weights.log(), 1)

    def plus_noise(self, std: float) -> "Mixture | None":
        """The mixture of the noisy components; None if one of them has no closed form."""
        noisy = tuple(component.plus_noise(std) for component in self.components)
        known = tuple(component for component in noisy if component is not None)
        return replace(self, components=known) if len(known) == len(noisy) else None

    def centers(self) -> Tensor | None:
        """Those of all components; None if one of them has no modes."""
        of_each = [component.centers() for component in self.components]
        known = [centers for centers in of_each if centers is not None]
        return torch.cat(known) if len(known) == len(of_each) else None


@dataclass(frozen=True)
class Points(Dataset):
    """A dataset of points: scale * X, endless or a finite set that is drawn once.

    As a latent it stands for a fixed generator.

    Args:
        distribution: of X, its noise included.
        scale: factor on every sample, applied after the noise.
        size: of the finite set; null for new samples in every batch.
        order: of a finite set, `replacement` (each sample of a batch is any of them) or `shuffle`
            (random permutations, one after another).

    Raises ValueError for `shuffle` without `size`.
    """

    distribution: Distribution
    scale: Positive = 1.0
    size: Count | None = None
    order: Literal["replacement", "shuffle"] = "replacement"
    points: Tensor | None = field(default=None, init=False, repr=False, compare=False)
    """The finite set [size, dim], scaled; None before `prepare` and for an endless supply."""

    def __post_init__(self) -> None:
        if self.size is None and self.order == "shuffle":
            raise ValueError("order=shuffle: an endless supply (size=null) has no order; give size")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample: (dim,)."""
        return (self.distribution.dim,)

    def prepare(self, rng: torch.Generator) -> "Points":
        """A copy that holds its finite set, drawn from `rng`; itself if the supply is endless."""
        if self.size is None:
            return self
        prepared = copy.copy(self)
        object.__setattr__(prepared, "points", self.fresh(rng, self.size))
        return prepared

    def draw(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor:
        """n samples [n, dim], float32, on the device of `rng`; `real` is not used.

        With `order: shuffle` each call begins a new permutation, goes on to the next where n is
        larger than the set, and breaks off after n. Raises ValueError for a finite set that was
        not prepared.
        """
        if self.size is None:
            return self.fresh(rng, n)
        if self.points is None:
            raise ValueError(
                f"a finite set (size={self.size}) must be prepared before it is drawn from"
            )
        if self.order == "replacement":
            which = torch.randint(self.size, (n,), generator=rng, device=rng.device)
        else:
            keys = torch.rand(
                -(-n // self.size), self.size, generator=rng, device=rng.device, dtype=torch.float64
            )
            which = keys.argsort(1).flatten()[:n]
        return self.points.to(rng.device)[which]

    def fresh(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor:
        """n new samples [n, dim] of the distribution behind a finite set, for held-out scores."""
        return self.scale * self.distribution.sample(rng, n)

    def log_density(self, x: Tensor) -> Tensor:
        """Of scale * X at x [k, dim]: log p(x / scale) - dim log(scale), [k] float64.

        Of the distribution, also where the set is finite. Raises ValueError where there is none.
        """
        scale = torch.as_tensor(self.scale, dtype=torch.float64, device=x.device)
        return self.distribution.log_density(x.double() / scale) - x.shape[1] * scale.log()

    def plus_noise(self, std: float) -> "Points | None":
        """The endless supply of scale * X + N(0, std^2 I); None without a closed form.

        With std=1 this is the fixed generator of `papers/wgan_gp.txt`, Fig. 1a.
        """
        noisy = self.distribution.plus_noise(std / self.scale)
        if noisy is None:
            return None
        return replace(self, distribution=noisy, size=None, order="replacement")

    def centers(self) -> Tensor | None:
        """The centres of the modes, scaled [m, dim], float64; None if there are none."""
        centers = self.distribution.centers()
        return None if centers is None else self.scale * centers

    def curve(self, n: int) -> Tensor | None:
        """n points [n, 2] along the curve that the data lie about, scaled, float64; None if they
        lie about none. Equal steps of the curve's parameter, both ends included."""
        curve = self.distribution.curve(torch.linspace(0, 1, n, dtype=torch.float64))
        return None if curve is None else self.scale * curve

    def check(self, key: str, run: Run) -> None:
        check_batch_size(key, self.size, run, f", or {key}.size=null for endless samples")
        super().check(key, run)


def _float64(values: tuple[object, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _randn(rng: torch.Generator, n: int, dim: int) -> Tensor:
    return torch.randn(n, dim, generator=rng, device=rng.device)


def _proportions(weights: tuple[float, ...] | None, m: int) -> Tensor:
    shares = torch.ones(m, dtype=torch.float64) if weights is None else _float64(weights)
    return shares / shares.sum()


def _choose(rng: torch.Generator, n: int, weights: tuple[float, ...] | None, m: int) -> Tensor:
    if weights is None:
        return torch.randint(m, (n,), generator=rng, device=rng.device)
    shares = _proportions(weights, m).to(rng.device)
    return torch.multinomial(shares, n, replacement=True, generator=rng)


def _equal_gaussians(means: tuple[Point, ...], std: float) -> GaussianMixture:
    dims = range(len(means[0]))
    covariance = tuple(tuple(std**2 * (i == j) for j in dims) for i in dims)
    return GaussianMixture(means, (covariance,) * len(means))


def _check_points(key: str, points: tuple[Point, ...]) -> None:
    if not points or not points[0]:
        raise ValueError(f"{key}: give at least one point")
    for i, point in enumerate(points):
        if len(point) != len(points[0]):
            raise ValueError(
                f"{key}[{i}]: {len(point)} coordinates where the first has {len(points[0])}"
            )


def _check_weights(weights: tuple[float, ...] | None, key: str, m: int) -> None:
    if weights is not None and len(weights) != m:
        raise ValueError(f"weights: {len(weights)} of them for {m} {key}")


def _variance(noise: float) -> float:
    if noise == 0:
        raise ValueError("noise=0: a curve has no density in the plane")
    return noise**2


def _sample_about(
    curve: Callable[[Tensor], Tensor], noise: float, rng: torch.Generator, n: int
) -> Tensor:
    u = torch.rand(n, generator=rng, device=rng.device)
    return curve(u) + noise * _randn(rng, n, 2)


def _log_density_about(
    curve: Callable[[Tensor], Tensor], top_speed: float, noise: float, x: Tensor
) -> Tensor:
    """log of the integral over u in [0, 1] of N(x; curve(u), noise^2 I), x [k, 2].

    Gauss-Legendre, 12 nodes on each stretch of the curve no longer than 2 `noise` (`top_speed`
    bounds |d curve / du|): on so short a stretch the integrand is smooth to double precision.
    """
    variance = _variance(noise)
    stretches = math.ceil(top_speed / (2 * noise))
    nodes, weights = _gauss_legendre(12)
    starts = torch.arange(stretches, dtype=torch.float64)
    u = ((starts[:, None] + nodes) / stretches).flatten().to(x.device)
    log_weights = (weights / stretches).log().repeat(stretches).to(x.device)
    on_curve = curve(u)

    def of_some(x: Tensor) -> Tensor:
        squared_distance = sum((x[:, i, None] - on_curve[:, i]).square() for i in range(x.shape[1]))
        return torch.logsumexp(log_weights - squared_distance / (2 * variance), 1)

    return _in_chunks(of_some, x, len(u)) - math.log(2 * math.pi * variance)


def _gauss_legendre(n: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights [n] on [0, 1], from the eigenvectors of the Jacobi matrix."""
    k = torch.arange(1, n, dtype=torch.float64)
    beta = k / torch.sqrt(4 * k**2 - 1)
    values, vectors = torch.linalg.eigh(torch.diag(beta, 1) + torch.diag(beta, -1))
    return (values + 1) / 2, vectors[0] ** 2


def _in_chunks(function: Callable[[Tensor], Tensor], x: Tensor, terms: int) -> Tensor:
    """`function` of x [k, dim] in float64, on so few rows at a time that memory stays small."""
    rows = max(1, 2**21 // terms)
    return torch.cat([function(some) for some in x.double().split(rows)])
