"""Distributions in the plane against closed forms, SciPy and tests of fit."""

import math
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from distributions import CORRELATED, LEVEL, chi_square_p, midpoints, present, stream
from scipy import integrate, stats
from torch import Tensor

from gp_lab.data.points import (
    Circles,
    Distribution,
    GaussianGrid,
    GaussianMixture,
    GaussianRing,
    Mixture,
    PointMasses,
    Points,
    SCurve,
    SwissRoll,
    UniformSquare,
)

SQUARES = Mixture((UniformSquare((-1.0, 0.0), 0.5), UniformSquare((1.0, 0.0), 0.5)), (0.2, 0.8))
# Each with half the width of a window that holds all but 1e-6 of it, and an edge length of cells
# that resolves it.
SMOOTH: dict[str, tuple[Distribution, float, float]] = {
    "gaussian_mixture": (CORRELATED, 7.0, 0.05),
    "ring": (GaussianRing(8, 2.0, 0.1), 3.0, 0.03),
    "grid": (GaussianGrid(5, 2.0, 0.2), 5.5, 0.06),
    "swiss_roll": (SwissRoll(0.25), 16.0, 0.125),
    "s_curve": (SCurve(0.1), 3.0, 0.04),
    "circles": (Circles((0.5, 1.0), 0.1), 2.0, 0.03),
    "mixture": (Mixture((CORRELATED, GaussianRing(3, 1.0, 0.3)), (1.0, 2.0)), 7.0, 0.05),
    "noisy_point_masses": (PointMasses(((0.5, 0.5), (-0.5, -0.5))).plus_noise(0.2), 2.0, 0.04),
}
smooth = pytest.mark.parametrize("name", SMOOTH)


@cache
def masses(name: str) -> tuple[Tensor, int, float]:
    """The probabilities of the k^2 cells of a window, k and the cells' edge."""
    distribution, half_width, cell = SMOOTH[name]
    x, k, edge = midpoints(half_width, cell)
    return distribution.log_density(x).exp() * edge**2, k, edge


@pytest.mark.seconds
@smooth
def test_densities_integrate_to_one(name: str) -> None:
    mass, _, _ = masses(name)
    assert mass.sum().item() == pytest.approx(1, abs=2e-6)


@pytest.mark.seconds
@smooth
def test_samples_have_the_density_that_is_claimed_for_them(name: str) -> None:
    distribution, half_width, _ = SMOOTH[name]
    mass, k, edge = masses(name)
    fine = mass.reshape(k, k)
    coarse = torch.nn.functional.avg_pool2d(fine[None], 4, divisor_override=1)[0].numpy()
    window = 4 * edge * coarse.shape[0]
    # Whole cells only: the window then begins where the fine one does and ends at `window`.
    samples = distribution.sample(stream(name), 100_000).double() + half_width - window / 2
    assert chi_square_p(samples, coarse, window / 2) > LEVEL


@pytest.mark.seconds
@smooth
def test_noise_added_to_samples_has_the_density_of_plus_noise(name: str) -> None:
    distribution, half_width, _ = SMOOTH[name]
    noisy = present(distribution.plus_noise(0.3))
    rng = stream(f"{name} noise")
    samples = distribution.sample(rng, 50_000).double()
    samples += 0.3 * torch.randn(samples.shape, generator=rng)
    by_itself = noisy.sample(rng, 50_000).double()
    for axis in (torch.tensor([1.0, 0.0]), torch.tensor([0.6, -0.8])):
        pair = (samples @ axis.double()).numpy(), (by_itself @ axis.double()).numpy()
        assert stats.ks_2samp(*pair).pvalue > LEVEL
    x, k, edge = midpoints(half_width + 1.5, 0.1)
    mass = (noisy.log_density(x).exp() * edge**2).reshape(k, k).numpy()
    assert mass.sum() == pytest.approx(1, abs=1e-5)
    marginal = np.cumsum(mass.sum(1))
    edges = -half_width - 1.5 + edge * np.arange(1, k + 1)
    below = np.searchsorted(np.sort(samples[:, 0].numpy()), edges) / len(samples)
    assert np.abs(marginal - below).max() < 1.63 / math.sqrt(len(samples))  # KS, 1 %


def test_gaussian_mixture_density_is_scipys() -> None:
    x = 3 * torch.randn(200, 2, generator=stream("x"), dtype=torch.float64)
    expected = sum(
        weight * stats.multivariate_normal(mean, covariance).pdf(x.numpy())
        for weight, mean, covariance in zip(
            (0.75, 0.25), CORRELATED.means, CORRELATED.covariances, strict=True
        )
    )
    got = CORRELATED.log_density(x)
    assert got.dtype == torch.float64
    np.testing.assert_allclose(got.exp().numpy(), expected, rtol=1e-12)


def test_log_density_of_a_mixture_does_not_underflow_far_away() -> None:
    x = torch.tensor([[1e3, 0.0]])
    one = GaussianMixture(((0.0, 0.0),), (((1.0, 0.0), (0.0, 1.0)),))
    assert one.log_density(x).item() == pytest.approx(-0.5e6 - math.log(2 * math.pi), rel=1e-14)


def test_gaussian_in_three_dimensions_is_scipys() -> None:
    covariance = ((2.0, 0.3, 0.0), (0.3, 1.0, -0.2), (0.0, -0.2, 0.5))
    gaussian = GaussianMixture(((1.0, 2.0, 3.0),), (covariance,))
    x = torch.randn(50, 3, generator=stream("x"), dtype=torch.float64)
    expected = stats.multivariate_normal((1, 2, 3), covariance).logpdf(x.numpy())
    np.testing.assert_allclose(gaussian.log_density(x).numpy(), expected, rtol=1e-12)
    samples = gaussian.sample(stream("samples"), 100_000).double()
    np.testing.assert_allclose(samples.mean(0), (1, 2, 3), atol=0.02)
    np.testing.assert_allclose(samples.T.cov(), covariance, atol=0.03)


def test_moments_of_a_mixture_are_those_of_its_parts() -> None:
    samples = CORRELATED.sample(stream("moments"), 400_000).double()
    mean = 0.75 * np.array([0.4, 0.9]) + 0.25 * np.array([-1.5, 0.0])
    second = sum(
        w * (np.array(c) + np.outer(m, m))
        for w, m, c in zip((0.75, 0.25), CORRELATED.means, CORRELATED.covariances, strict=True)
    )
    np.testing.assert_allclose(samples.mean(0), mean, atol=0.01)
    np.testing.assert_allclose(samples.T.cov(), second - np.outer(mean, mean), atol=0.02)


def test_ring_has_its_centres_on_the_circle_and_the_first_at_angle_zero() -> None:
    centers = GaussianRing(8, 2.0, 0.02).centers()
    np.testing.assert_allclose(centers.norm(dim=1), 2, rtol=1e-14)
    angles = torch.atan2(centers[:, 1], centers[:, 0]) % (2 * math.pi)
    np.testing.assert_allclose(angles, math.pi / 4 * np.arange(8), atol=1e-14)


def test_grid_has_its_centres_about_the_origin() -> None:
    centers = GaussianGrid(5, 2.0, 0.05).centers()
    expected = [(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]
    np.testing.assert_allclose(centers, expected)


@pytest.mark.parametrize("distribution", [GaussianRing(8, 2.0, 0.02), GaussianGrid(5, 2.0, 0.05)])
def test_modes_are_equally_likely_and_have_their_std(distribution: Distribution) -> None:
    centers = present(distribution.centers())
    samples = distribution.sample(stream("modes"), 50_000).double()
    distance, mode = torch.cdist(samples, centers).min(1)
    assert stats.chisquare(torch.bincount(mode, minlength=len(centers))).pvalue > LEVEL
    std = distribution.std  # type: ignore[attr-defined]
    # |x - centre| / std is chi with two degrees of freedom.
    assert stats.kstest((distance / std).numpy(), stats.chi(2).cdf).pvalue > LEVEL


def test_swiss_roll_without_noise_is_its_parametrisation() -> None:
    samples = SwissRoll(noise=0.0).sample(stream("roll"), 20_000).double()
    t = samples.norm(dim=1)
    on_curve = torch.stack([t * t.cos(), t * t.sin()], 1)
    assert (samples - on_curve).norm(dim=1).max() < 1e-4  # float32
    uniform = stats.uniform(1.5 * math.pi, 3 * math.pi)
    assert stats.kstest(t.numpy(), uniform.cdf).pvalue > LEVEL


def test_swiss_roll_has_the_second_moment_of_its_curve_and_noise() -> None:
    samples = SwissRoll(noise=0.25).sample(stream("moment"), 200_000).double()
    a, b = 1.5 * math.pi, 4.5 * math.pi
    expected = (b**3 - a**3) / (3 * (b - a)) + 2 * 0.25**2
    squares = samples.square().sum(1)
    error = squares.std() / math.sqrt(len(squares))
    assert abs(squares.mean() - expected) < 3 * error


def test_s_curve_without_noise_is_its_parametrisation() -> None:
    samples = SCurve(noise=0.0).sample(stream("s"), 20_000).double()
    # Two circles of radius 1: about (0, -1) for t > 0 and about (0, 1) for t < 0.
    center = torch.where(samples[:, 1] <= 0, -1.0, 1.0)
    radius = torch.stack([samples[:, 0], samples[:, 1] - center], 1).norm(dim=1)
    assert (radius - 1).abs().max() < 1e-5
    # On t > 0 the angle from the top of the circle is t itself.
    lower = samples[samples[:, 1] < 0]
    t = torch.atan2(lower[:, 0], lower[:, 1] + 1) % (2 * math.pi)
    assert stats.kstest(t.numpy(), stats.uniform(0, 1.5 * math.pi).cdf).pvalue > LEVEL


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("distribution", "start", "stop", "curve"),
    [
        (
            SwissRoll(0.25),
            1.5 * math.pi,
            4.5 * math.pi,
            lambda t: (t * math.cos(t), t * math.sin(t)),
        ),
        (
            SCurve(0.05),
            -1.5 * math.pi,
            1.5 * math.pi,
            lambda t: (math.sin(t), math.copysign(1, t) * (math.cos(t) - 1)),
        ),
    ],
)
def test_density_about_a_curve_is_the_integral_along_it(
    distribution: Any, start: float, stop: float, curve: Any
) -> None:
    std = distribution.noise
    x = distribution.sample(stream("along"), 3).double()
    x = torch.cat([x, x + 6 * std])  # on the curve and in the tails
    for point, log_density in zip(x, distribution.log_density(x), strict=True):

        def integrand(t: float, point: Tensor = point) -> float:
            cx, cy = curve(t)
            return float(stats.norm.pdf(point[0], cx, std) * stats.norm.pdf(point[1], cy, std))

        pieces = np.linspace(start, stop, 61)
        integral = sum(
            integrate.quad(integrand, a, b, epsabs=0, epsrel=1e-11)[0] for a, b in pairwise(pieces)
        )
        assert math.exp(log_density) == pytest.approx(integral / (stop - start), rel=1e-9)


def test_density_of_noisy_circles_is_that_of_many_gaussians_along_them() -> None:
    circles = Circles((0.5, 2.0), 0.2)
    many = [GaussianRing(400, radius, 0.2) for radius in circles.radii]  # converges exponentially
    x, _, _ = midpoints(3.0, 0.5)
    np.testing.assert_allclose(
        circles.log_density(x), Mixture(tuple(many)).log_density(x), rtol=1e-11
    )


def test_uniform_square_has_constant_density_inside_and_none_outside() -> None:
    square = UniformSquare((-1.0, 2.0), 0.25)
    samples = square.sample(stream("square"), 20_000)
    np.testing.assert_allclose(square.log_density(samples).exp(), 4.0)
    outside = torch.tensor([[-1.26, 2.0], [-1.0, 2.26], [5.0, 5.0]])
    assert (square.log_density(outside) == -math.inf).all()
    for axis, low in ((0, -1.25), (1, 1.75)):
        assert stats.kstest(samples[:, axis].numpy(), stats.uniform(low, 0.5).cdf).pvalue > LEVEL


def test_mixture_of_squares_weights_its_parts() -> None:
    samples = SQUARES.sample(stream("squares"), 20_000)
    right = int((samples[:, 0] > 0).sum())
    assert stats.binomtest(right, 20_000, 0.8).pvalue > LEVEL
    x = torch.tensor([[-1.0, 0.1], [1.0, 0.1], [0.0, 0.0]])
    np.testing.assert_allclose(SQUARES.log_density(x).exp(), [0.2, 0.8, 0.0], atol=1e-15)


def test_point_masses_are_drawn_in_proportion_to_their_weights() -> None:
    masses = PointMasses(((0.5, 0.5), (-0.5, -0.5), (1.0, 0.0)), (1.0, 2.0, 5.0))
    samples = masses.sample(stream("masses"), 8000)
    values, counts = torch.unique(samples, dim=0, return_counts=True)
    np.testing.assert_array_equal(values, [[-0.5, -0.5], [0.5, 0.5], [1.0, 0.0]])
    assert stats.chisquare(counts, [2000, 1000, 5000]).pvalue > LEVEL


def test_weights_are_proportions() -> None:
    x = torch.randn(20, 2, generator=stream("x"))
    tenfold = replace(CORRELATED, weights=(30.0, 10.0))
    np.testing.assert_allclose(CORRELATED.log_density(x), tenfold.log_density(x), rtol=1e-14)


@pytest.mark.parametrize(
    "distribution",
    [
        PointMasses(((0.0, 0.0),)),
        SwissRoll(0.0),
        SCurve(0.0),
        Circles((1.0,), 0.0),
        Mixture((UniformSquare(), PointMasses(((0.0, 0.0),)))),
    ],
)
def test_what_has_no_density_says_so(distribution: Distribution) -> None:
    with pytest.raises(ValueError, match="no density"):
        distribution.log_density(torch.zeros(1, 2))


def test_a_distribution_of_ones_own_needs_only_samples() -> None:
    class Corner(Distribution):
        dim = 2

        def sample(self, rng: torch.Generator, n: int) -> Tensor:
            return torch.rand(n, 2, generator=rng)

    points = Points(Corner(), scale=2.0)
    assert points.draw(stream("corner"), 5).shape == (5, 2)
    assert points.plus_noise(1.0) is None
    assert points.centers() is None
    with pytest.raises(ValueError, match="Corner has no density"):
        points.log_density(torch.zeros(1, 2))


def test_plus_noise_has_no_closed_form_for_squares() -> None:
    assert UniformSquare().plus_noise(1.0) is None
    assert SQUARES.plus_noise(1.0) is None
    assert Points(SQUARES).plus_noise(1.0) is None


def test_scale_multiplies_samples_noise_included() -> None:
    points = Points(SwissRoll(0.25), scale=0.1)
    expected = SwissRoll(0.25).sample(stream("roll"), 100) * 0.1
    torch.testing.assert_close(points.draw(stream("roll"), 100), expected, rtol=0, atol=0)


def test_density_of_scaled_gaussians_is_that_of_gaussians_scaled() -> None:
    x = torch.randn(50, 2, generator=stream("x"), dtype=torch.float64)
    scaled = Points(GaussianRing(8, 2.0, 0.4), scale=0.5)
    np.testing.assert_allclose(
        scaled.log_density(x), GaussianRing(8, 1.0, 0.2).log_density(x), rtol=1e-12
    )
    np.testing.assert_allclose(
        present(scaled.centers()), GaussianRing(8, 1.0, 0.2).centers(), rtol=1e-14
    )


def test_noise_of_scaled_gaussians_is_added_after_the_scale() -> None:
    x = torch.randn(50, 2, generator=stream("x"), dtype=torch.float64)
    ring = Points(GaussianRing(8, 2.0, 0.4), scale=0.5, size=10, order="shuffle")
    noisy = present(ring.plus_noise(1.0))
    assert noisy.size is None
    expected = GaussianRing(8, 1.0, math.hypot(0.2, 1.0)).log_density(x)
    np.testing.assert_allclose(noisy.log_density(x), expected, rtol=1e-12)


def test_scale_may_be_a_tensor() -> None:
    number = Points(CORRELATED, scale=0.3)
    tensor = replace(number, scale=torch.tensor(0.3, dtype=torch.float64))  # type: ignore[arg-type]
    x = torch.randn(20, 2, generator=stream("x"), dtype=torch.float64)
    np.testing.assert_allclose(tensor.log_density(x), number.log_density(x), rtol=1e-14)
    drawn = tensor.draw(stream("a"), 20)
    assert drawn.dtype == torch.float32
    torch.testing.assert_close(drawn, number.draw(stream("a"), 20))
    noisy, expected = present(tensor.plus_noise(1.0)), present(number.plus_noise(1.0))
    np.testing.assert_allclose(noisy.log_density(x), expected.log_density(x), rtol=1e-14)
