"""The propositions of zero_gp, worked out: against closed forms, differences and autograd."""

import numpy as np
import pytest

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
