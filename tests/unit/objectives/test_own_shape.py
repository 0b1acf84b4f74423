"""A penalty with a shape of its own, as the room's page shows it."""

import re
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from helpers import CLONE

import gp_lab
from gp_lab.fields import Positive
from gp_lab.objectives.penalties import Penalty, safe_sqrt


def huber() -> type[Penalty]:
    """The class of the page."""
    page = (CLONE / "gp_lab" / "objectives" / "README.md").read_text()
    (code,) = re.findall(r"^```python\n([^`]*class Huber.*?)^```$", page, re.M | re.S)
    found: dict[str, Any] = {
        "dataclass": dataclass, "Penalty": Penalty, "Positive": Positive,
        "safe_sqrt": safe_sqrt, "torch": torch, "__name__": "my_package",
    }  # fmt: skip
    exec(code, found)
    made = found["Huber"]
    assert isinstance(made, type)
    assert issubclass(made, Penalty)
    return made


def test_a_shape_of_ones_own_takes_the_place_of_the_three() -> None:
    norms = torch.tensor([0.0, 0.5, 1.0, 3.0], dtype=torch.float64)
    penalty = huber()(measure="fake", weight=2.0, bend=1.0)  # type: ignore[call-arg]
    shaped = penalty.shaped(norms**2)
    assert shaped.tolist() == pytest.approx([0.0, 0.25, 1.0, 5.0])
    value, mean, _ = penalty(
        lambda x: x.square().sum(1) / 2,  # |grad| = |x|
        norms[:, None] * torch.tensor([[0.6, 0.8]], dtype=torch.float64),
        lambda f, x: torch.autograd.grad(f(x.requires_grad_()).sum(), x, create_graph=True)[0],
    )
    assert float(value) == pytest.approx(2 * 6.25 / 4)
    assert float(mean) == pytest.approx(4.5 / 4)


def test_its_gradient_at_a_flat_critic_is_zero_and_no_nan() -> None:
    net = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.zeros_(net.weight)
    x = torch.randn(5, 2)
    value = gp_lab.gradient_penalty(net, x, x + 1, "mu_fake")
    assert float(value) == 0
    own = huber()(measure="fake")
    value, _, _ = own(
        lambda x: net(x)[:, 0],
        x,
        lambda f, x: torch.autograd.grad(f(x.requires_grad_()).sum(), x, create_graph=True)[0],
    )
    value.backward()
    assert net.weight.grad is not None
    assert net.weight.grad.tolist() == [[0.0, 0.0]]
