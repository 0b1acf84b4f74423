"""Points in many dimensions: the ring with its coordinates repeated."""

import math

import numpy as np
import pytest
import torch
from helpers import rng
from scipy import stats
from scipy.special import logsumexp

from gp_lab.data.high_dimension import RepeatedRing
from gp_lab.data.points import GaussianRing


def test_the_ring_repeated_once_is_the_ring() -> None:
    x = torch.randn(50, 2, generator=rng())
    once, ring = RepeatedRing(8, 2.0, 0.3, repeats=1), GaussianRing(8, 2.0, 0.3)
    np.testing.assert_allclose(once.log_density(x), ring.log_density(x), rtol=1e-9)
    np.testing.assert_array_equal(once.centers(), ring.centers())


@pytest.mark.parametrize("repeats", [2, 16])
def test_distances_grow_with_the_root_of_the_dimension_and_nothing_else_changes(
    repeats: int,
) -> None:
    high, ring = RepeatedRing(repeats=repeats), GaussianRing()
    factor = math.sqrt(repeats)
    of_high, of_ring = (torch.cdist(d.centers(), d.centers()) for d in (high, ring))
    # torch.cdist may take a matrix product: 1e-7 between a point and itself.
    np.testing.assert_allclose(of_high, factor * of_ring, rtol=1e-9, atol=1e-6)
    samples = high.sample(rng(1), 40_000).double()
    assert samples.shape == (40_000, 2 * repeats)
    nearest = torch.cdist(samples, high.centers()).argmin(1)
    assert stats.chisquare(torch.bincount(nearest, minlength=8)).pvalue > 1e-4
    noise = (samples - high.centers()[nearest]) / high.std
    assert stats.kstest(noise.flatten().numpy()[:50_000], "norm").pvalue > 1e-4


def test_the_density_is_that_of_the_mixture_of_gaussians() -> None:
    high = RepeatedRing(modes=3, radius=1.0, std=0.4, repeats=2)
    x = high.sample(rng(2), 20)
    each = [
        stats.multivariate_normal(center, 0.16 * np.eye(4)).logpdf(x.double().numpy())
        for center in high.centers().numpy()
    ]
    expected = logsumexp(each, axis=0) - math.log(3)
    np.testing.assert_allclose(high.log_density(x), expected, rtol=1e-6)


def test_noise_on_the_ring_is_a_wider_ring() -> None:
    assert RepeatedRing(std=3.0, repeats=4).plus_noise(4.0) == RepeatedRing(std=5.0, repeats=4)
