"""The losses are the papers' formulas, and Eq. 10 of lipschitz holds where it is claimed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers import built, names_in
from torch import Tensor

from gp_lab.errors import BadInput
from gp_lab.objectives import losses
from gp_lab.objectives.losses import (
    Combined,
    Exponential,
    Hinge,
    LeastSquares,
    NonSaturating,
    Relativistic,
    SquareRoot,
    Vanilla,
    Wasserstein,
)

Formula = Callable[[Any], Any]
L = np.longdouble

MODERATE = torch.linspace(-30, 30, 1201, dtype=torch.float64)
FAR = torch.tensor(
    [-1e6, -1e4, -745.0, -100.0, -45.0, -39.0, -21.0, 0.0, 21.0, 39.0, 45.0, 100.0, 600.0],
    dtype=torch.float64,
)


def log_one_plus_exp(f: Any) -> Any:
    """-log(1 - sigmoid(f)), from the formula in extended precision; exact where exp overflows."""
    return np.logaddexp(L(0), f)


def vanilla_phi(f: Any) -> Any:
    return log_one_plus_exp(f)


def vanilla_varphi(f: Any) -> Any:
    return log_one_plus_exp(-f)


def sqrt_phi(f: Any) -> Any:
    # For f < 0, (sqrt(f^2 + 1) + f)(sqrt(f^2 + 1) - f) = 1.
    root = np.sqrt(f * f + 1)
    with np.errstate(divide="ignore"):
        return np.where(f < 0, 1 / (root - f), root + f)


def combined_phi(alpha: float, beta: float) -> Formula:
    return lambda f: L(alpha) / L(beta) * log_one_plus_exp(L(beta) * f) + f


def combined(alpha: float, beta: float) -> tuple[Any, Formula, Formula, Formula]:
    phi = combined_phi(alpha, beta)
    return Combined(alpha, beta), phi, lambda f: phi(-f), lambda f: phi(-f)


FORMULAS: dict[str, tuple[Any, Formula, Formula, Formula]] = {
    "vanilla": (Vanilla(), vanilla_phi, vanilla_varphi, lambda f: -vanilla_phi(f)),
    "non_saturating": (NonSaturating(), vanilla_phi, vanilla_varphi, vanilla_varphi),
    "wasserstein": (Wasserstein(), lambda f: f, lambda f: -f, lambda f: -f),
    "least_squares": (
        LeastSquares(-1.0, 1.0, 0.5),
        lambda f: (f + 1) ** 2,
        lambda f: (f - 1) ** 2,
        lambda f: (f - L(0.5)) ** 2,
    ),
    "hinge": (
        Hinge(),
        lambda f: np.maximum(0, 1 + f),
        lambda f: np.maximum(0, 1 - f),
        lambda f: -f,
    ),
    "sqrt": (SquareRoot(), sqrt_phi, lambda f: sqrt_phi(-f), lambda f: sqrt_phi(-f)),
    "exp": (Exponential(), np.exp, lambda f: np.exp(-f), lambda f: np.exp(-f)),
    "combined": combined(1.0, 1.0),
    "combined_other": combined(0.1, 0.5),
}
CLASSES = {
    "vanilla": Vanilla,
    "non_saturating": NonSaturating,
    "wasserstein": Wasserstein,
    "least_squares": LeastSquares,
    "hinge": Hinge,
    "sqrt": SquareRoot,
    "exp": Exponential,
    "combined": Combined,
    "combined_tenth": Combined,
    "relativistic": Relativistic,
}
each_loss = pytest.mark.parametrize("name", list(FORMULAS))
EPSILON = 2.0**-52


def slope(function: Callable[[Tensor], Tensor], f: Tensor) -> Tensor:
    f = f.clone().requires_grad_()
    return torch.autograd.grad(function(f).sum(), f)[0]


def curvature(function: Callable[[Tensor], Tensor], f: Tensor) -> Tensor:
    f = f.clone().requires_grad_()
    (first,) = torch.autograd.grad(function(f).sum(), f, create_graph=True)
    if not first.requires_grad:
        return torch.zeros_like(f)  # a constant slope
    (second,) = torch.autograd.grad(first.sum(), f, allow_unused=True, materialize_grads=True)
    return second


@each_loss
@pytest.mark.parametrize("part", [1, 2, 3])
def test_a_loss_is_its_formula_to_the_last_digits_of_float64(name: str, part: int) -> None:
    loss, formula = FORMULAS[name][0], FORMULAS[name][part]
    function = (loss.phi, loss.varphi, loss.psi)[part - 1]
    f = torch.cat([MODERATE, FAR[FAR.abs() <= 600]])
    exact = formula(f.numpy().astype(L)).astype(np.float64)
    np.testing.assert_allclose(function(f).numpy(), exact, rtol=16 * EPSILON, atol=0)


@pytest.mark.parametrize("name", [n for n in FORMULAS if n != "exp"])
def test_a_loss_stays_finite_and_exact_at_logits_where_sigmoid_saturates(name: str) -> None:
    loss, phi, varphi, psi = FORMULAS[name]
    f = FAR.numpy().astype(L)
    for function, formula in ((loss.phi, phi), (loss.varphi, varphi), (loss.psi, psi)):
        value = function(FAR).numpy()
        assert np.isfinite(value).all()
        # exp(-1e4) is beyond float64; everything that is not must be there to 16 digits.
        np.testing.assert_allclose(value, formula(f).astype(np.float64), rtol=16 * EPSILON)
        assert torch.isfinite(slope(function, FAR)).all()


@each_loss
def test_the_gradient_of_a_loss_is_the_derivative_of_its_formula(name: str) -> None:
    loss, phi, varphi, psi = FORMULAS[name]
    f = torch.linspace(-24.7, 24.9, 500, dtype=torch.float64)
    assert ((f.abs() - 1).abs() > 1e-3).all()  # not on the corners of hinge
    h = L(2.0) ** -20
    x = f.numpy().astype(L)
    for function, formula in ((loss.phi, phi), (loss.varphi, varphi), (loss.psi, psi)):
        # Five points and 64-bit digits: the error is below 1e-13 of the value.
        around = [formula(x + k * h) for k in (-2, -1, 1, 2)]
        exact = (around[0] - 8 * around[1] + 8 * around[2] - around[3]) / (12 * h)
        scale = 1 + np.abs(formula(x))
        error = (slope(function, f).numpy() - exact.astype(np.float64)) / scale.astype(np.float64)
        assert np.abs(error).max() < 2e-11


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@each_loss
def test_a_loss_keeps_the_shape_and_the_type_of_the_logits(name: str, dtype: torch.dtype) -> None:
    f = torch.zeros(3, 2, dtype=dtype)
    for function in (FORMULAS[name][0].phi, FORMULAS[name][0].varphi, FORMULAS[name][0].psi):
        assert function(f).shape == f.shape
        assert function(f).dtype == dtype


def eq10_failures(loss: Any) -> list[str]:
    """The conditions of Eq. 10 of lipschitz that fail on a grid of logits."""
    f = MODERATE
    phi, varphi = slope(loss.phi, f), slope(loss.varphi, f)
    total = phi + varphi
    conditions = {
        "phi' > 0": bool((phi > 0).all()),
        "phi'' >= 0": bool((curvature(loss.phi, f) >= 0).all()),
        "varphi' < 0": bool((varphi < 0).all()),
        "varphi'' >= 0": bool((curvature(loss.varphi, f) >= 0).all()),
        # Continuous on the grid: a change of sign, or a zero, is an a where the slopes cancel.
        "slopes cancel": bool(total.min() <= 0 <= total.max()),
    }
    return [condition for condition, holds in conditions.items() if not holds]


@pytest.mark.parametrize("name", [n for n in FORMULAS if FORMULAS[n][0].meets_eq10])
def test_eq10_of_lipschitz_holds_where_it_is_claimed(name: str) -> None:
    assert eq10_failures(FORMULAS[name][0]) == []


def test_eq10_of_lipschitz_fails_for_least_squares_and_hinge_by_the_signs_of_their_slopes() -> None:
    assert not LeastSquares.meets_eq10
    assert not Hinge.meets_eq10
    assert eq10_failures(LeastSquares()) == ["phi' > 0", "varphi' < 0"]
    assert eq10_failures(Hinge()) == ["phi' > 0", "varphi' < 0"]


@pytest.mark.parametrize("alpha", [1.0, 0.1, 7.0])
@pytest.mark.parametrize("beta", [1.0, 0.1])
def test_the_slope_of_the_combined_loss_is_inside_1_and_1_plus_alpha(
    alpha: float, beta: float
) -> None:
    f = torch.linspace(-30, 30, 2001, dtype=torch.float64) / beta
    phi = slope(Combined(alpha, beta).phi, f)
    assert (phi > 1).all()
    assert (phi < 1 + alpha).all()
    assert phi.min() < 1 + 1e-9
    assert phi.max() > 1 + alpha - 1e-9
    exact = 1 + alpha / (1 + torch.exp(-beta * f))
    torch.testing.assert_close(phi, exact, rtol=1e-14, atol=0)


def test_the_generator_of_the_original_gan_plays_against_the_same_value() -> None:
    # Eq. 1 of zero_gp is one value V(D, G): G's part of it is log(1 - D), D's is -log(1 - D).
    assert torch.equal(Vanilla().psi(MODERATE), -Vanilla().phi(MODERATE))


@pytest.mark.parametrize("name", names_in("loss"))
def test_a_loss_file_builds_the_class_that_its_name_says(name: str) -> None:
    assert type(built("loss", name)) is CLASSES[name]


def test_the_numbers_of_a_loss_file_reach_the_loss() -> None:
    assert built("loss", "combined", alpha=0.1, beta=2.0) == Combined(0.1, 2.0)
    wanted = LeastSquares(-2.0, 3.0, 0.5)
    assert built("loss", "least_squares", alpha=-2.0, beta=3.0, gamma=0.5) == wanted
    with pytest.raises(BadInput, match=r"loss\.alpha: no such key"):
        built("loss", "vanilla", alpha=0.1)
    with pytest.raises(BadInput, match=r"loss\.alpha=0"):
        built("loss", "combined", alpha=0.0)


def test_a_weighted_mean_is_that_of_values_repeated_as_often_as_they_weigh() -> None:
    values = torch.tensor([1.0, -2.0, 5.5], dtype=torch.float64)
    weights = torch.tensor([2.25, 0.75, 0.0], dtype=torch.float64)
    repeated = torch.tensor([1.0, 1.0, 1.0, -2.0], dtype=torch.float64)
    torch.testing.assert_close(losses.mean(values, weights), repeated.mean())
    torch.testing.assert_close(losses.mean(values), values.mean())
