"""What tests of distributions and draws compare with, and how sure they are."""

import math
from typing import TypeVar

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from gp_lab.data.points import GaussianMixture
from gp_lab.data.random import generator

T = TypeVar("T")
CORRELATED = GaussianMixture(
    means=((0.4, 0.9), (-1.5, 0.0)),
    covariances=(((1.0, 0.5), (0.5, 1.0)), ((0.3, -0.1), (-0.1, 0.2))),
    weights=(3.0, 1.0),
)

# Some forty tests of fit with fixed seeds: at this level a right sampler fails one in 250 suites.
LEVEL = 1e-4


def stream(name: str, block: int = 0) -> torch.Generator:
    return generator(0, name, block)


def present(value: T | None) -> T:
    assert value is not None
    return value


def midpoints(half_width: float, cell: float) -> tuple[Tensor, int, float]:
    """The midpoints [k^2, 2] of k x k cells of a window about the origin, k and the cells' edge."""
    k = math.ceil(2 * half_width / cell)
    edge = 2 * half_width / k
    ticks = -half_width + edge * (torch.arange(k, dtype=torch.float64) + 0.5)
    return torch.cartesian_prod(ticks, ticks), k, edge


def chi_square_p(samples: Tensor, probability: np.ndarray, half_width: float) -> float:
    """p-value of the counts of samples [n, 2] in a window's cells [k, k], rare ones pooled."""
    k = probability.shape[0]
    edges = np.linspace(-half_width, half_width, k + 1)
    counts, _, _ = np.histogram2d(samples[:, 0].numpy(), samples[:, 1].numpy(), [edges, edges])
    expected = probability * len(samples)
    common = expected >= 10
    observed = np.append(counts[common], len(samples) - counts[common].sum())
    expected = np.append(expected[common], len(samples) - expected[common].sum())
    return float(stats.chisquare(observed, expected).pvalue)
