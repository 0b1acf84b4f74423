"""Gradients of penalties: the textbook's, finite where they vanish, and at the hardest points."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers import caller, normal, parameters, same, small_mlp
from slopes import (
    ANCHOR,
    ENGINES,
    FAKE,
    OUTPUTS,
    REAL,
    N,
    U,
    each_engine,
    each_measure,
    each_reduction,
    each_shape,
    half_square,
    where,
)
from torch import Tensor, nn

from gp_lab.objectives.constraints import NoConstraint
from gp_lab.objectives.losses import Wasserstein
from gp_lab.objectives.penalties import (
    CrossPairs,
    Measure,
    NoPenalty,
    Output,
    Penalty,
    Reduction,
    Shape,
    safe_sqrt,
)
from gp_lab.training.optimizers import SGD
from gp_lab.training.step import AUTOGRAD, FUNC, Differentiation, Game, discriminator_step
from gp_lab.training.step import start_state as start

# The textbook: double backward


def textbook_penalty(
    discriminator: nn.Module,
    measure: str,
    shape: str,
    center: float,
    reduction: str,
    output: str,
    weight: float,
) -> Tensor:
    """The penalty the way that every tutorial writes it."""
    x_hat = torch.tensor(where(measure, REAL, FAKE, U), requires_grad=True)
    d = discriminator(x_hat)
    if output == "probability":
        d = 1 / (1 + torch.exp(-d))
    (gradients,) = torch.autograd.grad(
        outputs=d, inputs=x_hat, grad_outputs=torch.ones_like(d), create_graph=True
    )
    norm = gradients.norm(2, dim=1)
    if shape == "squared":
        loss = norm**2
    elif shape == "two_sided":
        loss = (norm - center) ** 2
    else:
        loss = torch.clamp(norm - center, min=0) ** 2
    return weight * (loss.mean() if reduction == "mean" else loss.max())


def norms_of(discriminator: nn.Module, measure: str, output: str) -> Tensor:
    x = torch.tensor(where(measure, REAL, FAKE, U), requires_grad=True)
    d = discriminator(x)
    d = torch.sigmoid(d) if output == "probability" else d
    return torch.autograd.grad(d.sum(), x)[0].norm(dim=1)


def lab_penalty(
    penalty: Penalty, discriminator: nn.Module, differentiate: Differentiation
) -> tuple[Callable[..., tuple[dict[str, Tensor], Tensor]], tuple[Any, ...]]:
    """A function that gives parameter gradients and the value, and its arguments."""
    call = caller(discriminator)

    def of(params: dict[str, Tensor], real: Tensor, fake: Tensor, u: Tensor) -> Any:
        def objective(params: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
            points = penalty.points(real, fake, u, real[:0])
            value, _, _ = penalty(lambda x: call(params, x), points, differentiate.of_inputs)
            return value, value.detach()

        return differentiate.of_parameters(objective, params)

    return of, (parameters(discriminator), REAL, FAKE, U)


def penalty_and_textbook(
    measure: Measure, shape: Shape, reduction: Reduction, output: Output, activation: str = "tanh"
) -> tuple[Penalty, nn.Module, Tensor, dict[str, Tensor]]:
    """A penalty, a discriminator, and the textbook's value and parameter gradients."""
    discriminator = small_mlp(seed=4, activation=activation)
    norms = norms_of(discriminator, measure, output)
    # Half of the norms on each side of the centre.
    center = 0.0 if shape == "squared" else norms.median().item() * 1.01
    assert norms.min() < norms.median() * 1.01 < norms.max()
    penalty = Penalty(measure, shape, center, reduction, output, weight=3.0, anchor=ANCHOR)
    value = textbook_penalty(discriminator, measure, shape, center, reduction, output, 3.0)
    grads = torch.autograd.grad(value, list(discriminator.parameters()), materialize_grads=True)
    names = [name for name, _ in discriminator.named_parameters()]
    by_name = dict(zip(names, grads, strict=True))
    assert by_name["hidden.0.linear.weight"].abs().max() > 1e-6
    return penalty, discriminator, value.detach(), by_name


@each_engine
@pytest.mark.parametrize("output", OUTPUTS)
@each_reduction
@each_shape
@each_measure
def test_value_and_parameter_gradients_are_the_textbooks(
    measure: Measure, shape: Shape, reduction: Reduction, output: Output, engine: str
) -> None:
    penalty, net, value, grads = penalty_and_textbook(measure, shape, reduction, output)
    function, arguments = lab_penalty(penalty, net, ENGINES[engine])
    found, found_value = function(*arguments)
    same(found_value, value)
    same(found, grads)


@each_engine
def test_with_relu_too_value_and_parameter_gradients_are_the_textbooks(engine: str) -> None:
    penalty, net, value, grads = penalty_and_textbook(
        "between", "two_sided", "mean", "logit", activation="relu"
    )
    function, arguments = lab_penalty(penalty, net, ENGINES[engine])
    found, found_value = function(*arguments)
    same(found_value, value)
    same(found, grads)


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("measure", "shape", "reduction", "output"),
    [
        ("between", "two_sided", "mean", "logit"),
        ("both", "squared", "max", "logit"),
        ("anchor", "one_sided", "mean", "probability"),
    ],
)
@pytest.mark.usefixtures("needs_compiler")
def test_compiled_too_value_and_parameter_gradients_are_the_textbooks(
    measure: Measure, shape: Shape, reduction: Reduction, output: Output
) -> None:
    penalty, net, value, grads = penalty_and_textbook(measure, shape, reduction, output)
    function, arguments = lab_penalty(penalty, net, FUNC)
    found, found_value = torch.compile(function, fullgraph=True, dynamic=False)(*arguments)
    same(found_value, value)
    same(found, grads)


@each_engine
def test_no_gradient_flows_through_the_points(engine: str) -> None:
    # D(x) = a |x|^2 / 2 at x = b * real, made inside of what is differentiated.
    def objective(params: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        points = params["b"] * REAL
        critic = lambda x: params["a"] * half_square(x)  # noqa: E731
        penalty = Penalty("real", "squared", weight=1.0)
        return penalty(critic, points, ENGINES[engine].of_inputs)[0], points.detach()

    one = torch.ones((), dtype=torch.float64)
    grads, _ = ENGINES[engine].of_parameters(objective, {"a": 2 * one, "b": 3 * one})
    # d/da mean |a x|^2 = 2 a mean |x|^2
    same(grads["a"], 2 * 2 * (3 * REAL).square().sum(1).mean())
    same(grads["b"], 0 * one)


# Where the gradient is exactly zero


def dead(kind: str) -> nn.Module:
    """A discriminator whose input gradient is exactly zero everywhere (or near the data)."""
    net = small_mlp(seed=5, activation="relu")
    with torch.no_grad():
        for name, p in net.named_parameters():
            if kind == "zero weights" and name.endswith("weight"):
                p.zero_()
            if kind == "dead units" and name == "hidden.1.linear.bias":
                p.fill_(-1000.0)
            if kind == "constant" and name == "output.weight":
                p.zero_()
    return net


@each_engine
@pytest.mark.parametrize("output", OUTPUTS)
@each_reduction
@each_shape
@pytest.mark.parametrize("kind", ["zero weights", "dead units", "constant"])
def test_parameter_gradients_are_finite_where_the_input_gradient_is_zero(
    kind: str, shape: Shape, reduction: Reduction, output: Output, engine: str
) -> None:
    penalty = Penalty("between", shape, 0.0 if shape == "squared" else 1.0, reduction, output)
    net = dead(kind)
    assert float(norms_of(net, "between", output).max()) == 0
    function, arguments = lab_penalty(penalty, net, ENGINES[engine])
    grads, value = function(*arguments)
    assert float(value) == (10.0 if shape == "two_sided" else 0.0)
    for grad in grads.values():
        assert torch.equal(grad, torch.zeros_like(grad))


def test_a_plain_square_root_has_no_such_gradient() -> None:
    # What the test above is about: without safe_sqrt the same penalty gives NaN.
    net = dead("constant")
    x = REAL.clone().requires_grad_()
    (g,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    value = ((g.square().sum(1).sqrt() - 1) ** 2).mean()
    grads = torch.autograd.grad(value, list(net.parameters()), materialize_grads=True)
    assert any(torch.isnan(grad).any() for grad in grads)


@each_engine
def test_dead_points_leave_the_gradient_to_the_living(engine: str) -> None:
    # D(x) = w relu(x_0): dead for x_0 < 0, |grad D| = w elsewhere.
    x = torch.tensor([[-1.0, 3.0], [2.0, 0.0], [-0.5, 1.0], [-4.0, 1.0]], dtype=torch.float64)
    penalty = Penalty("real", "two_sided", 1.0, weight=1.0)

    def objective(params: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        critic = lambda x: params["w"] * torch.relu(x[:, 0])  # noqa: E731
        value = penalty(critic, x, ENGINES[engine].of_inputs)[0]
        return value, value.detach()

    w = torch.tensor(3.0, dtype=torch.float64)
    grads, value = ENGINES[engine].of_parameters(objective, {"w": w})
    same(value, torch.tensor((3 * 1 + (3 - 1) ** 2) / 4, dtype=torch.float64))
    same(grads["w"], torch.tensor(2 * (3 - 1) / 4, dtype=torch.float64))


def test_safe_sqrt_is_the_square_root_with_slope_0_at_0() -> None:
    s = torch.tensor([0.0, 1e-300, 0.25, 9.0], dtype=torch.float64, requires_grad=True)
    root = safe_sqrt(s)
    (slope,) = torch.autograd.grad(root.sum(), s)
    torch.testing.assert_close(root.detach().numpy(), np.sqrt(s.detach().numpy()))
    wanted = torch.tensor([0.0, 5e149, 1.0, 1 / 6], dtype=torch.float64)
    torch.testing.assert_close(slope, wanted, rtol=1e-12, atol=0)


# The maximum, and the hardest points carried over


def test_the_share_carried_over_is_of_the_batch_rounded_down_and_none_for_a_mean() -> None:
    assert Penalty(reduction="max", carry=0.125).carried(64) == 8
    assert Penalty(reduction="max", carry=0.125).carried(63) == 7
    assert Penalty(reduction="max", carry=0.0).carried(64) == 0
    assert Penalty(reduction="mean", carry=0.125).carried(64) == 0
    assert NoPenalty().carried(64) == CrossPairs(reduction="max").carried(64) == 0


@each_engine
def test_the_hardest_points_are_those_of_largest_gradient_norm(engine: str) -> None:
    _, _, hardest = Penalty("real")(half_square, REAL, ENGINES[engine].of_inputs, keep=3)
    order = np.argsort(-np.linalg.norm(REAL.numpy(), axis=1))
    torch.testing.assert_close(hardest, REAL[torch.tensor(order[:3].copy())])


@each_measure
def test_hardest_points_replace_the_first_and_nan_leaves_the_fresh_ones(measure: Measure) -> None:
    penalty = Penalty(measure, reduction="max", anchor=ANCHOR)
    fresh = torch.tensor(where(measure, REAL, FAKE, U))
    hardest = normal(3, 2, seed=9)
    torch.testing.assert_close(
        penalty.points(REAL, FAKE, U, hardest), torch.cat([hardest, fresh[3:]])
    )
    torch.testing.assert_close(
        penalty.points(REAL, FAKE, U, torch.full_like(hardest, torch.nan)), fresh
    )


def test_max_gp_carries_the_hardest_points_of_a_step_into_the_next() -> None:
    game = Game(
        discriminator=small_mlp(seed=1),
        generator=small_mlp(outputs=2, seed=2),
        loss=Wasserstein(),
        penalty=Penalty("real", reduction="max", carry=0.25, weight=1.0),
        constraint=NoConstraint(),
        optimizer=SGD(lr=0.1),
    )
    d, g = parameters(game.discriminator), parameters(game.generator)
    state = start(game, d, g, N, (2,))
    assert state["hardest"].shape == (3, 2)
    assert torch.isnan(state["hardest"]).all()
    before: list[Tensor] = []
    for step in range(3):
        real = normal(N, 2, seed=20 + step)
        net = small_mlp(seed=1)
        net.load_state_dict(state["d"])
        points = torch.cat([before[-1], real[3:]]) if before else real
        x = points.clone().requires_grad_()
        norms = torch.autograd.grad(net(x).sum(), x)[0].norm(dim=1)
        state, metrics = discriminator_step(
            game, AUTOGRAD, state, {}, 1.0, real, normal(N, 2, seed=30 + step), U
        )
        wanted = points[norms.argsort(descending=True)[:3]]
        torch.testing.assert_close(state["hardest"], wanted)
        assert float(metrics[1]) == pytest.approx(float(norms.max() ** 2), rel=1e-12)
        before.append(wanted)
