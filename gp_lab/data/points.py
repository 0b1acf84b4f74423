"""Distributions in the plane and the dataset that draws from them: 2-D data of the papers.

A distribution is a frozen dataclass that a config can name. `Points` is the dataset: one of them,
a scale applied after the noise, and an endless supply of samples or a finite set, drawn once.
"""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from gp_lab.data.curves import AboutCurve, log_density_about_circles, polar, round_circles
from gp_lab.data.distribution import (
    Distribution,
    Point,
    check_points,
    check_weights,
    choose_weighted,
    float64,
    proportions,
    randn,
)
from gp_lab.data.gaussians import (
    EqualGaussians,
    Matrix,
    cholesky,
    isotropic,
    log_density_of_gaussians,
    sample_gaussians,
    widened,
)
from gp_lab.data.supply import Supply
from gp_lab.fields import Count, Few, NonNegative, Positive
from gp_lab.instantiate import Checked


@dataclass(frozen=True)
class GaussianMixture(Checked, Distribution):
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
        check_points("means", self.means)
        check_weights(self.weights, "means", len(self.means))
        if len(self.covariances) != len(self.means):
            raise ValueError(
                f"covariances: {len(self.covariances)} of them for {len(self.means)} means"
            )
        _ = self._factors

    @property
    def dim(self) -> int:
        return len(self.means[0])

    @cached_property
    def _factors(self) -> Tensor:
        return cholesky(self.covariances, self.dim)

    def sample(self, rng: torch.Generator, n: int) -> Tensor:
        return sample_gaussians(rng, n, self.centers(), self._factors, self.weights)

    def log_density(self, x: Tensor) -> Tensor:
        """log sum_i w_i N(x; mean_i, covariance_i), [k] float64."""
        return log_density_of_gaussians(x, self.centers(), self._factors, self.weights)

    def plus_noise(self, std: float) -> "GaussianMixture":
        """The same mixture with std^2 I added to each covariance."""
        return replace(self, covariances=widened(self.covariances, std))

    def centers(self) -> Tensor:
        return float64(self.means)


@dataclass(frozen=True)
class GaussianRing(EqualGaussians):
    """Equal Gaussians on a circle, the first at angle 0 (the 8 Gaussians of wgan_gp,
    Fig. 1a; zero_gp, Fig. 2; mu_wgan, Fig. 4).

    Args:
        modes: how many.
        radius: of the circle.
        std: of each Gaussian, the same in all directions.
    """

    modes: Few = 8
    radius: Positive = 2.0
    std: Positive = 0.02

    @cached_property
    def means(self) -> tuple[Point, ...]:
        angles = [2 * math.pi * k / self.modes for k in range(self.modes)]
        return tuple((self.radius * math.cos(a), self.radius * math.sin(a)) for a in angles)

    def plus_noise(self, std: float) -> "GaussianRing":
        return replace(self, std=math.hypot(self.std, std))


@dataclass(frozen=True)
class GaussianGrid(EqualGaussians):
    """Equal Gaussians on a square grid about the origin (the 25 Gaussians of wgan_gp,
    Fig. 1a; mu_wgan, Fig. 4).

    Args:
        side: side x side Gaussians.
        spacing: between neighbours.
        std: of each Gaussian, the same in all directions.
    """

    side: Annotated[int, Field(ge=1, le=100)] = 5
    spacing: Positive = 2.0
    std: Positive = 0.05

    @cached_property
    def means(self) -> tuple[Point, ...]:
        ticks = [self.spacing * (i - (self.side - 1) / 2) for i in range(self.side)]
        return tuple((x, y) for x in ticks for y in ticks)

    def plus_noise(self, std: float) -> "GaussianGrid":
        return replace(self, std=math.hypot(self.std, std))


@dataclass(frozen=True)
class SwissRoll(AboutCurve):
    """(t cos t, t sin t) + N(0, noise^2 I) with t uniform on [1.5 pi, 4.5 pi].

    This is axes 0 and 2 of scikit-learn's `make_swiss_roll`, as wgan_gp, Fig. 1a,
    draws it (before its division by 7.5); zero_gp, Fig. 6; mu_wgan, Fig. 4.

    Args:
        noise: standard deviation about the curve.
    """

    noise: NonNegative = 0.25

    top_speed = 3 * math.pi * math.hypot(1, 4.5 * math.pi)

    def curve(self, u: Tensor) -> Tensor:
        """The points of the curve [k, 2] at u [k] in [0, 1], t = 1.5 pi (1 + 2 u)."""
        t = 1.5 * math.pi * (1 + 2 * u)
        return torch.stack([t * torch.cos(t), t * torch.sin(t)], 1)

    def plus_noise(self, std: float) -> "SwissRoll":
        return replace(self, noise=math.hypot(self.noise, std))


@dataclass(frozen=True)
class SCurve(AboutCurve):
    """(sin t, sign(t) (cos t - 1)) + N(0, noise^2 I) with t uniform on [-1.5 pi, 1.5 pi].

    This is axes 0 and 2 of scikit-learn's `make_s_curve`; in none of the five papers.

    Args:
        noise: standard deviation about the curve.
    """

    noise: NonNegative = 0.05

    top_speed = 3 * math.pi

    def curve(self, u: Tensor) -> Tensor:
        """The points of the curve [k, 2] at u [k] in [0, 1], t = 3 pi (u - 1/2)."""
        t = 3 * math.pi * (u - 0.5)
        return torch.stack([torch.sin(t), torch.sign(t) * (torch.cos(t) - 1)], 1)

    def plus_noise(self, std: float) -> "SCurve":
        return replace(self, noise=math.hypot(self.noise, std))


@dataclass(frozen=True)
class Circles(Checked, Distribution):
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
        which = choose_weighted(rng, n, None, len(self.radii))
        radius = torch.tensor(self.radii, device=rng.device)[which]
        angle = 2 * math.pi * torch.rand(n, generator=rng, device=rng.device)
        return polar(radius, angle) + self.noise * randn(rng, n, 2)

    def log_density(self, x: Tensor) -> Tensor:
        """[k] float64. Raises ValueError if `noise` is 0."""
        return log_density_about_circles(self.radii, self.noise, x)

    def curve(self, u: Tensor) -> Tensor:
        """Points of the circles [k, 2] at u [k] in [0, 1]: round one after the other."""
        return round_circles(self.radii, u)

    def polyline(self, n: int) -> Tensor:
        """About n points, as many on each circle, whose first one is its last, too."""
        each = max(3, n // len(self.radii))
        angle = torch.linspace(0, 2 * math.pi, each, dtype=torch.float64)
        circles = [polar(torch.full_like(angle, r), angle) for r in self.radii]
        gap = torch.full((1, 2), math.nan, dtype=torch.float64)
        return torch.cat([part for circle in circles for part in (gap, circle)][1:])

    def plus_noise(self, std: float) -> "Circles":
        return replace(self, noise=math.hypot(self.noise, std))


@dataclass(frozen=True)
class UniformSquare(Checked, Distribution):
    """Uniform on a square (cube, ...) with sides along the axes (lipschitz, Fig. 2).

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
        offset = (x.double() - float64(self.center).to(x.device)).abs()
        inside = (offset <= self.half_width).all(1)
        log_volume = self.dim * math.log(2 * self.half_width)
        return torch.where(inside, -log_volume, -torch.inf).double()

    def centers(self) -> Tensor:
        return float64((self.center,))


@dataclass(frozen=True)
class PointMasses(Checked, Distribution):
    """A few points, drawn again and again (lipschitz, App. A and C); no density.

    Args:
        points: m points of dim coordinates.
        weights: m proportions (they need not add to 1); null for equal ones.
    """

    points: tuple[Point, ...]
    weights: tuple[Positive, ...] | None = None

    def __post_init__(self) -> None:
        check_points("points", self.points)
        check_weights(self.weights, "points", len(self.points))

    @property
    def dim(self) -> int:
        return len(self.points[0])

    def sample(self, rng: torch.Generator, n: int) -> Tensor:
        which = choose_weighted(rng, n, self.weights, len(self.points))
        return torch.tensor(self.points, device=rng.device)[which]

    def log_density(self, x: Tensor) -> Tensor:
        """Raises ValueError: point masses have no density."""
        raise ValueError("PointMasses has no density; plus_noise gives it one")

    def plus_noise(self, std: float) -> GaussianMixture:
        covariances = isotropic(std, self.dim, len(self.points))
        return GaussianMixture(self.points, covariances, self.weights)

    def centers(self) -> Tensor:
        return float64(self.points)


@dataclass(frozen=True)
class Mixture(Checked, Distribution):
    """Each sample comes from one of several distributions (lipschitz, Figs. 1, 2).

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
        check_weights(self.weights, "components", len(self.components))

    @property
    def dim(self) -> int:
        return self.components[0].dim

    def sample(self, rng: torch.Generator, n: int) -> Tensor:
        which = choose_weighted(rng, n, self.weights, len(self.components))
        of_each = torch.stack([component.sample(rng, n) for component in self.components])
        return of_each[which, torch.arange(n, device=rng.device)]

    def log_density(self, x: Tensor) -> Tensor:
        """Raises ValueError if a component has no density."""
        of_each = torch.stack([component.log_density(x) for component in self.components], 1)
        weights = proportions(self.weights, len(self.components)).to(x.device)
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
class Points(Supply):
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

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample: (dim,)."""
        return (self.distribution.dim,)

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

        With std=1 this is the fixed generator of wgan_gp, Fig. 1a.
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
        """The distribution's `polyline` of n points, scaled, float64 [n, 2]; None if the data lie
        about no curve."""
        curve = self.distribution.polyline(n)
        return None if curve is None else self.scale * curve
