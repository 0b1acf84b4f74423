"""The propositions of zero_gp, worked out: against closed forms, differences and autograd."""

import numpy as np
import pytest
import torch

from gp_lab.theory.alternating import (
    LinearPair,
    Objective,
    border_pair,
    fixed_alternation,
    least_distance,
    steps_to_return,
    steps_to_return_exact,
)
from gp_lab.theory.epsilon_optimal import (
    eps_reached,
    k_of_a_pair,
    least_k,
    softmax_discriminator,
    steepest_of_a_pair,
    steepest_on_segment,
    sufficient_k,
)

EPS, ALPHA = 0.4, 0.07


def on_sphere(n: int, dim: int, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


# Proposition 2


@pytest.mark.parametrize("dim", [2, 3, 20])
def test_the_construction_is_the_papers_softmax_of_w1_v(dim: int) -> None:
    real, fake, v = on_sphere(4, dim, 0), on_sphere(3, dim, 1), on_sphere(5, dim, 2) * 1.7
    d = softmax_discriminator(real, fake, 6.0, EPS, ALPHA)
    exponential = np.exp(v @ (6.0 * np.concatenate([real, fake])).T)
    expected = (exponential / exponential.sum(axis=1, keepdims=True)) @ d.w2
    np.testing.assert_allclose(d(v), expected, rtol=1e-12)
    assert d.parameters == dim * 7 + 7


def test_its_gradient_is_that_of_central_differences() -> None:
    d = softmax_discriminator(on_sphere(4, 3, 0), on_sphere(3, 3, 1), 9.0, EPS, ALPHA)
    v, h = on_sphere(6, 3, 2), 1e-5
    differences = [(d(v + h * e) - d(v - h * e)) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(d.gradient(v), np.stack(differences, axis=1), atol=1e-8)


def test_eps_reached_is_the_largest_eps_of_definition_1() -> None:
    at_real, at_fake = np.array([0.9, 0.7]), np.array([0.2, 0.45])
    eps = eps_reached(at_real, at_fake)

    def definition(e: float) -> bool:
        return bool((at_real >= 0.5 + e / 2).all() and (at_fake <= 0.5 - e / 2).all())

    assert definition(eps - 1e-12)
    assert not definition(eps + 1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_the_sufficient_k_suffices_and_the_least_is_below_it(seed: int) -> None:
    real, fake = on_sphere(5, 2, seed), on_sphere(7, 2, 100 + seed)
    enough, least = sufficient_k(real, fake, EPS, ALPHA), least_k(real, fake, EPS, ALPHA)
    for k, holds in ((enough, True), (7 * enough, True), (least, True), (0.999 * least, False)):
        d = softmax_discriminator(real, fake, k, EPS, ALPHA)
        assert (eps_reached(d(real), d(fake)) >= EPS) == holds
    assert least < enough


@pytest.mark.parametrize("distance", [0.5, 1e-3, 1e-6])
def test_for_one_real_and_one_fake_k_and_the_steepest_derivative_have_closed_forms(
    distance: float,
) -> None:
    angle = np.arcsin(distance / 2)  # half of the angle that a chord spans
    real = np.array([[np.cos(angle), np.sin(angle)]])
    fake = np.array([[np.cos(angle), -np.sin(angle)]])
    k = least_k(real, fake, EPS, ALPHA)
    assert k == pytest.approx(float(k_of_a_pair(distance, EPS, ALPHA)), rel=1e-6)
    d = softmax_discriminator(real, fake, k, EPS, ALPHA)
    steepest = steepest_on_segment(d, real[0], fake[0], points=101)
    expected = float(steepest_of_a_pair(distance, EPS, ALPHA))
    assert steepest == pytest.approx(expected, rel=1e-6)
    assert steepest > EPS / distance


def test_what_the_construction_cannot_separate_is_refused() -> None:
    same = on_sphere(2, 2, 0)
    with pytest.raises(ValueError, match="same"):
        sufficient_k(same, same, EPS, ALPHA)
    with pytest.raises(ValueError, match="norm 1"):
        softmax_discriminator(2 * same, same, 1.0, EPS, ALPHA)
    with pytest.raises(ValueError, match="at most 1/2"):
        softmax_discriminator(same, same, 1.0, 0.9, 0.1)


# Proposition 3


@pytest.mark.parametrize("objective", ["wasserstein", "vanilla"])
def test_gradients_of_the_linear_pair_are_autograds(objective: Objective) -> None:
    rng = np.random.default_rng(0)
    x, theta, z = rng.normal(size=3), rng.normal(size=3), rng.normal(size=2)
    weights = torch.tensor(rng.normal(size=(3, 2)), requires_grad=True)
    theta_d = torch.tensor(theta, requires_grad=True)
    f_real, f_fake = theta_d @ torch.tensor(x), theta_d @ (weights @ torch.tensor(z))
    if objective == "wasserstein":
        value = f_real - f_fake
    else:
        value = f_real.sigmoid().log() + (1 - f_fake.sigmoid()).log()
    of_d, of_g = torch.autograd.grad(value, [theta_d, weights])
    y = (weights @ torch.tensor(z)).detach().numpy()
    pair = LinearPair(x, y, theta, float(np.linalg.norm(z)), objective)
    np.testing.assert_allclose(pair.gradient_d, of_d.numpy(), rtol=1e-12)
    np.testing.assert_allclose(np.outer(pair.gradient_y, z), of_g.numpy(), rtol=1e-12)
    assert pair.ratio == pytest.approx(float(of_d.norm() / of_g.norm()))
    moved = (weights - 0.1 * of_g) @ torch.tensor(z)  # G descends
    np.testing.assert_allclose(pair.generator_step(0.1).y, moved.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("objective", ["wasserstein", "vanilla"])
@pytest.mark.parametrize("distance", [1.0, 0.1])
def test_the_border_pair_is_eps_optimal_and_no_more(distance: float, objective: Objective) -> None:
    pair = border_pair(distance, 0.5, objective=objective)
    assert pair.distance == pytest.approx(distance)
    assert pair.optimal(0.5)
    assert not pair.optimal(0.5 + 1e-9)
    np.testing.assert_allclose(np.linalg.norm([pair.x, pair.y], axis=1), 1.0)


@pytest.mark.parametrize(("distance", "lr", "z"), [(1.0, 0.01, 1.0), (0.2, 1e-4, 2.0)])
def test_d_takes_the_number_of_steps_that_the_closed_form_gives(
    distance: float, lr: float, z: float
) -> None:
    pair = border_pair(distance, 0.5, z).generator_step(lr)
    taken = steps_to_return(pair, 0.5, lr, 10_000)
    assert taken == np.ceil(steps_to_return_exact(distance, 0.5, lr, z))
    assert steps_to_return(pair, 0.5, lr, taken - 1) is None


def test_at_small_learning_rates_the_steps_are_eps_squared_over_distance_to_the_fourth() -> None:
    d = np.array([1.0, 0.1, 0.01])
    np.testing.assert_allclose(
        steps_to_return_exact(d, 0.5, 1e-10, 3.0), 0.25 * 9 / d**4, rtol=1e-4
    )


def test_below_the_least_distance_a_g_step_leads_away() -> None:
    floor = least_distance(0.5, 1e-3, 2.0)
    for share, nearer in ((1.01, True), (0.99, False)):
        pair = border_pair(share * floor, 0.5, 2.0)
        assert (pair.generator_step(1e-3).distance < pair.distance) == nearer


def test_fixed_alternation_is_a_rotation_that_loses_the_optimality_of_d() -> None:
    # d'' = -n d: D(x) - D(y) has the period pi / sqrt(n) in units of the learning rate.
    lr, n = 1e-3, 4
    gap = fixed_alternation(
        border_pair(1.0, 0.5), lr, n, 4000, lambda p: float(p.theta @ (p.x - p.y))
    )
    period = round(np.pi / np.sqrt(n) / lr)
    np.testing.assert_allclose(gap[period : 2 * period], gap[:period], atol=0.02)
    assert gap.min() < 0 < 0.5 < gap.max()
