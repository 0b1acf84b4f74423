"""Discriminators whose slope is known, points of the plane, and where a penalty measures."""

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
import torch
from helpers import normal, uniform
from torch import Tensor

from gp_lab.objectives.penalties import (
    Measure,
    Output,
    Penalty,
    Reduction,
    Shape,
)
from gp_lab.training.step import AUTOGRAD, FUNC

# Paths through a generator are in test_encoder.py.
MEASURES = [m for m in get_args(Measure) if m != "latent_path"]
SHAPES, REDUCTIONS, OUTPUTS = get_args(Shape), get_args(Reduction), get_args(Output)
ENGINES = {"autograd": AUTOGRAD, "func": FUNC}
ANCHOR = (2.0, -1.0)
N = 12
W = torch.tensor([1.5, -2.0], dtype=torch.float64)  # |W| = 2.5
BIAS = 0.3

REAL, FAKE, U = normal(N, 2, seed=1), normal(N, 2, seed=2, scale=2.0) + 1, uniform(N, seed=3)
NO_HARDEST = REAL[:0]

each_engine = pytest.mark.parametrize("engine", list(ENGINES))
each_measure = pytest.mark.parametrize("measure", MEASURES)
each_shape = pytest.mark.parametrize("shape", SHAPES)
each_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def linear(x: Tensor) -> Tensor:
    return x @ W + BIAS


def half_square(x: Tensor) -> Tensor:
    """D(x) = |x|^2 / 2, whose gradient at x is x."""
    return 0.5 * x.square().sum(1)


def where(measure: str, real: Tensor, fake: Tensor, u: Tensor) -> np.ndarray:
    """The points of Table 1 of mu_wgan and of zero_gp, written out with numpy, row by row."""
    rows = []
    for x, y, t in zip(real.numpy(), fake.numpy(), u.numpy(), strict=True):
        if measure == "between":
            rows.append(t * x + (1 - t) * y)
        elif measure == "midpoint":
            rows.append((x + y) / 2)
        elif measure == "anchor":
            rows.append(t * np.array(ANCHOR) + (1 - t) * y)
        elif measure == "real":
            rows.append(x)
        elif measure == "fake":
            rows.append(y)
    if measure == "both":
        rows = [*real.numpy(), *fake.numpy()]
    return np.array(rows)


def formula(shape: str, norm: np.ndarray, center: float) -> np.ndarray:
    if shape == "squared":
        return norm**2
    if shape == "two_sided":
        return (norm - center) ** 2
    return np.maximum(0, norm - center) ** 2


def value_of(
    penalty: Penalty, critic: Callable[[Tensor], Tensor], engine: str = "autograd", **data: Any
) -> float:
    points = penalty.points(
        data.get("real", REAL), data.get("fake", FAKE), data.get("u", U), NO_HARDEST
    )
    return float(penalty(critic, points, ENGINES[engine].of_inputs)[0].detach())
