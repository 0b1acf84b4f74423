"""Gradient penalties against closed forms: of what, where, and how they are reduced."""

import itertools
import math

import numpy as np
import pytest
import torch
from helpers import normal, uniform
from slopes import (
    ANCHOR,
    BIAS,
    FAKE,
    NO_HARDEST,
    REAL,
    REDUCTIONS,
    SHAPES,
    N,
    U,
    W,
    each_engine,
    each_measure,
    each_reduction,
    each_shape,
    formula,
    linear,
    value_of,
    where,
)
from torch import Tensor

from gp_lab.objectives.penalties import (
    Measure,
    Penalty,
    Reduction,
    Shape,
    interpolate,
)
from gp_lab.training.step import AUTOGRAD

# Where D is linear, the penalty is a function of |w|


@each_engine
@each_reduction
@each_shape
@each_measure
def test_the_penalty_of_a_linear_discriminator_is_the_shape_at_its_weight_norm(
    measure: Measure, shape: Shape, reduction: Reduction, engine: str
) -> None:
    for center in (0.0,) if shape == "squared" else (0.0, 1.0, 2.5, 4.0):
        penalty = Penalty(measure, shape, center, reduction, "logit", weight=3.0, anchor=ANCHOR)
        wanted = 3 * formula(shape, np.array(2.5), center)
        assert value_of(penalty, linear, engine) == pytest.approx(float(wanted), abs=1e-12)


@each_engine
@each_reduction
@each_shape
@each_measure
def test_on_the_probability_the_gradient_norm_is_the_sigmoids_slope_times_the_weight_norm(
    measure: Measure, shape: Shape, reduction: Reduction, engine: str
) -> None:
    f = where(measure, REAL, FAKE, U) @ W.numpy() + BIAS
    probability = 1 / (1 + np.exp(-f))
    norm = probability * (1 - probability) * 2.5
    center = 0.0 if shape == "squared" else float(np.median(norm))
    at_points = formula(shape, norm, center)
    wanted = at_points.mean() if reduction == "mean" else at_points.max()
    penalty = Penalty(measure, shape, center, reduction, "probability", 3.0, anchor=ANCHOR)
    assert value_of(penalty, linear, engine) == pytest.approx(3 * wanted, rel=1e-12)


def test_zero_gp_of_a_linear_discriminator_is_its_squared_weight_norm() -> None:
    assert value_of(Penalty("real", "squared", weight=1.0), linear) == pytest.approx(2.5**2)


# Where D is quadratic, its gradient is A x


A = torch.tensor([[2.0, -0.5], [1.5, 1.0]], dtype=torch.float64)
SYMMETRIC = 0.5 * (A + A.T)


def quadratic(x: Tensor) -> Tensor:
    return 0.5 * torch.einsum("ni,ij,nj->n", x, A, x)


@each_engine
@each_shape
def test_the_penalty_of_a_quadratic_is_exact_at_each_point(shape: Shape, engine: str) -> None:
    penalty = Penalty("real", shape, 0.0 if shape == "squared" else 1.5, weight=1.0)
    for x in REAL:
        norm = np.linalg.norm(SYMMETRIC.numpy() @ x.numpy())
        wanted = formula(shape, norm, penalty.center)
        assert value_of(penalty, quadratic, engine, real=x[None]) == pytest.approx(
            float(wanted), rel=1e-12, abs=1e-14
        )


def expectation_between(x: np.ndarray, y: np.ndarray) -> float:
    """E_u |S(u x + (1 - u) y)|^2 = (|Sx|^2 + Sx.Sy + |Sy|^2) / 3 for u uniform in [0, 1]."""
    a, b = SYMMETRIC.numpy() @ x, SYMMETRIC.numpy() @ y
    return float((a @ a + a @ b + b @ b) / 3)


@pytest.mark.parametrize(("measure", "first"), [("between", (0.7, 1.1)), ("anchor", ANCHOR)])
def test_the_mean_over_interpolates_is_the_integral_over_the_segment(
    measure: Measure, first: tuple[float, float]
) -> None:
    y = np.array([-1.3, 0.4])
    exact = expectation_between(np.array(first), y)
    penalty = Penalty(measure, "squared", weight=1.0, anchor=ANCHOR)
    n = 200_000
    real = torch.tensor([0.7, 1.1], dtype=torch.float64).expand(n, 2)
    fake = torch.tensor(y).expand(n, 2)

    middles = (torch.arange(n, dtype=torch.float64) + 0.5) / n  # midpoint rule, error O(1/n^2)
    by_rule = value_of(penalty, quadratic, real=real, fake=fake, u=middles)
    assert by_rule == pytest.approx(exact, rel=1e-9)

    u = uniform(n, seed=5)
    points = interpolate(torch.tensor(first, dtype=torch.float64).expand(n, 2), fake, u)
    spread = (points @ SYMMETRIC).square().sum(1).std().item() / math.sqrt(n)
    by_chance = value_of(penalty, quadratic, real=real, fake=fake, u=u)
    assert spread < 0.01 * exact
    assert abs(by_chance - exact) < 4 * spread


def test_both_is_the_mean_over_the_union_of_reals_and_fakes() -> None:
    real, fake, both = (
        value_of(Penalty(measure), quadratic) for measure in ("real", "fake", "both")
    )
    assert both == pytest.approx((real + fake) / 2, rel=1e-12)
    assert abs(real - fake) > 0.1
    largest = [value_of(Penalty(m, reduction="max"), quadratic) for m in ("real", "fake", "both")]
    assert largest[2] == max(largest[:2])


def test_the_midpoint_is_half_way_and_needs_no_random_number() -> None:
    penalty = Penalty("midpoint")
    points = penalty.points(REAL, FAKE, torch.full_like(U, torch.nan), NO_HARDEST)
    assert torch.equal(points, interpolate(REAL, FAKE, torch.full_like(U, 0.5)))


def test_interpolates_run_from_the_fake_at_0_to_the_real_at_1() -> None:
    images, others = normal(4, 3, 5, 5, seed=6), normal(4, 3, 5, 5, seed=7)
    u = torch.tensor([0.0, 1.0, 0.25, 0.5], dtype=torch.float64)
    points = interpolate(images, others, u)
    torch.testing.assert_close(points[0], others[0])
    torch.testing.assert_close(points[1], images[1])
    torch.testing.assert_close(points[2], 0.25 * images[2] + 0.75 * others[2])


def test_an_anchor_of_one_number_is_that_number_in_every_coordinate() -> None:
    one, all_of_it = Penalty("anchor", anchor=(0.7,)), Penalty("anchor", anchor=(0.7, 0.7))
    arguments = (REAL, FAKE, U, NO_HARDEST)
    torch.testing.assert_close(one.points(*arguments), all_of_it.points(*arguments))
    images = normal(3, 1, 4, 4, seed=8)
    grey = Penalty("anchor", anchor=(0.1,) * 16)
    arguments = (images, images, U[:3], images[:0])
    one = Penalty("anchor", anchor=(0.1,))
    torch.testing.assert_close(one.points(*arguments), grey.points(*arguments))


def test_an_anchor_vector_is_where_the_interpolates_end() -> None:
    points = Penalty("anchor", anchor=ANCHOR).points(REAL, FAKE, torch.ones_like(U), NO_HARDEST)
    torch.testing.assert_close(points, torch.tensor(ANCHOR, dtype=torch.float64).expand(N, 2))


def test_half_is_half_of_the_weight() -> None:
    whole = value_of(Penalty("fake", weight=3.0), quadratic)
    assert value_of(Penalty("fake", weight=3.0, half=True), quadratic) == pytest.approx(whole / 2)


def test_the_reported_gradient_norm_is_the_mean_of_the_norms_whatever_the_shape() -> None:
    norms = np.linalg.norm(REAL.numpy() @ SYMMETRIC.numpy(), axis=1)
    for shape, reduction in itertools.product(SHAPES, REDUCTIONS):
        penalty = Penalty("real", shape, reduction=reduction)
        _, norm, _ = penalty(quadratic, REAL, AUTOGRAD.of_inputs)
        assert float(norm) == pytest.approx(norms.mean(), rel=1e-12)
