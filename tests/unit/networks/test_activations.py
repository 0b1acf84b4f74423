"""Activations are their formulas, with the gains that keep a normal's second moment."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from scipy import integrate, stats
from torch import nn
from torch.func import grad
from torch.nn import functional

from gp_lab.networks import layers

ACTIVATIONS = ["relu", "leaky_relu", "tanh", "selu", "elu", "softplus_elu", "identity"]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_activation_is_its_textbook_formula(name: str) -> None:
    x = torch.linspace(-4, 4, 81, dtype=torch.float64)
    exp = torch.where(x > 0, x, torch.exp(x) - 1)
    selu = 1.0507009873554805 * torch.where(x > 0, x, 1.6732632423543772 * (torch.exp(x) - 1))
    formula = {
        "relu": x.clamp(min=0),
        "leaky_relu": torch.maximum(x, 0.2 * x),
        "tanh": (torch.exp(2 * x) - 1) / (torch.exp(2 * x) + 1),
        "selu": selu,
        "elu": exp,
        "softplus_elu": torch.log(1 + torch.exp(2 * x + 2)) / 2 - 1,
        "identity": x,
    }[name]
    torch.testing.assert_close(layers.activation(name)(x), formula, rtol=0, atol=1e-13)  # type: ignore[arg-type]


def test_softplus_elu_stays_near_elu_and_meets_it_at_both_ends() -> None:
    x = torch.linspace(-30, 30, 60001, dtype=torch.float64)
    difference = layers.activation("softplus_elu")(x) - layers.activation("elu")(x)
    # It is extreme where the slopes agree: sigmoid(2x + 2) = y = e^x, so e^2 y^2 - e^2 y + 1 = 0,
    # and there softplus(2x + 2) = -log(1 - y).
    root = math.sqrt(1 - 4 / math.e**2)
    low, high = (-math.log(1 - y) / 2 - y for y in ((1 - root) / 2, (1 + root) / 2))
    assert difference.min().item() == pytest.approx(low, abs=1e-6)
    assert difference.max().item() == pytest.approx(high, abs=1e-6)
    assert difference[[0, -1]].abs().max() < 1e-12


def test_softplus_elu_has_the_second_derivative_that_elu_lacks_at_zero() -> None:
    def second_derivative(name: str, x: float) -> float:
        f = layers.activation(name)  # type: ignore[arg-type]
        return grad(grad(lambda t: f(t)))(torch.tensor(x, dtype=torch.float64)).item()

    for x in (-20.0, -1.0, -1e-9, 1e-9, 5.0, 18.99, 19.01, 30.0):
        s = 1 / (1 + math.exp(-2 * x - 2))
        # d2/dx2 softplus(2x + 2)/2 = 2 s (1 - s), with s the logistic function of 2x + 2.
        assert second_derivative("softplus_elu", x) == pytest.approx(2 * s * (1 - s), abs=1e-14)
    assert second_derivative("elu", -1e-9) == pytest.approx(1, abs=1e-8)
    assert second_derivative("elu", 1e-9) == 0


@pytest.mark.parametrize(
    ("ours", "pytorchs"),
    [
        (layers.relu, functional.relu),
        (layers.leaky_relu, partial(functional.leaky_relu, negative_slope=0.2)),
    ],
)
def test_piecewise_linear_ones_have_pytorchs_values_and_derivatives_bit_for_bit(
    ours: Any, pytorchs: Any
) -> None:
    torch.manual_seed(0)
    special = torch.tensor([0.0, math.inf, -math.inf, math.nan, 1e-45])
    x, weight = torch.cat([torch.randn(100), special]), torch.randn(105)
    for f in (lambda t, g: g(t), lambda t, g: grad(lambda s: (g(s) * weight).sum())(t)):
        one, other = f(x, ours), f(x, pytorchs)
        assert torch.equal(one.nan_to_num(7), other.nan_to_num(7))
        assert torch.equal(one.isnan(), other.isnan())


@pytest.mark.parametrize("f", [layers.relu, layers.leaky_relu])
def test_nothing_goes_back_through_the_second_derivative_of_a_piecewise_linear_one(f: Any) -> None:
    """A penalty of the gradient reaches the weights by the gradient alone, not by the points."""
    hidden = torch.randn(5, requires_grad=True)
    weight = torch.randn(5, requires_grad=True)
    (slope,) = torch.autograd.grad((f(hidden) * weight).sum(), hidden, create_graph=True)
    of_hidden, of_weight = torch.autograd.grad(
        slope.square().sum(), [hidden, weight], allow_unused=True
    )
    assert of_hidden is None
    torch.testing.assert_close(
        of_weight, 2 * slope * torch.where(hidden > 0, 1, f(-1 + 0 * hidden).neg())
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gain_keeps_the_second_moment_of_a_standard_normal(name: str) -> None:
    f = layers.activation(name)  # type: ignore[arg-type]

    def moment(z: float) -> float:
        return f(torch.tensor(z, dtype=torch.float64)).item() ** 2 * stats.norm.pdf(z)

    second = integrate.quad(moment, -12, 0)[0] + integrate.quad(moment, 0, 12)[0]
    assert layers.gain(name) ** 2 * second == pytest.approx(1, abs=1e-7)  # type: ignore[arg-type]


def test_unknown_names_are_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"activation=swish: .*softplus_elu"):
        layers.activation("swish")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"activation=swish: .*softplus_elu"):
        layers.gain("swish")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"init=xavier: .*glorot_uniform"):
        layers.initialize(nn.Linear(2, 2), "xavier")  # type: ignore[arg-type]
