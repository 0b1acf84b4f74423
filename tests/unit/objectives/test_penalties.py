"""Gradient penalties: closed forms, the textbook's double backward, and what each paper means."""

import itertools
import math
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
import torch
from helpers import built, caller, names_in, normal, parameters, same, small_mlp, uniform
from torch import Tensor, nn

from gp_lab.errors import BadInput
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
    interpolate,
    safe_sqrt,
    shaped,
)
from gp_lab.training.optimizers import SGD
from gp_lab.training.step import AUTOGRAD, FUNC, Differentiation, Game, discriminator_step
from gp_lab.training.step import start_state as start

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


# What is refused, and the files


@pytest.mark.parametrize("center", [1.0, 1])
def test_a_centre_of_the_squared_shape_is_refused(center: float) -> None:
    with pytest.raises(ValueError, match="shape squared has no centre"):
        Penalty(shape="squared", center=center)
    with pytest.raises(BadInput, match=r"^penalty\.center=1.*use shape=two_sided or one_sided"):
        built("penalty", "zero_gp", center=center)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("weight", -1.0),
        ("center", -0.5),
        ("carry", 1.5),
        ("measure", "everywhere"),
        ("weight", "a"),
    ],
)
def test_an_impossible_value_of_a_penalty_is_refused_by_key_and_value(key: str, value: Any) -> None:
    with pytest.raises(BadInput, match=rf"^penalty\.{key}={value}"):
        built("penalty", "one_gp", **{key: value})


# For each file: the measure of the paper, its value where |grad D| is 3 or 1/2 everywhere, and on
# the probability or the logit.
FILES: dict[str, tuple[str, float, float, str]] = {
    "max_gp": ("between", 0.1 * 9, 0.1 / 4, "logit"),
    "mu_anchor": ("anchor", 10 * 9, 10 / 4, "logit"),
    "mu_between": ("between", 10 * 9, 10 / 4, "logit"),
    "mu_fake": ("fake", 10 * 9, 10 / 4, "logit"),
    "mu_midpoint": ("midpoint", 10 * 9, 10 / 4, "logit"),
    "mu_real": ("real", 10 * 9, 10 / 4, "logit"),
    "one_gp": ("between", 10 * (3 - 1) ** 2, 10 * (0.5 - 1) ** 2, "logit"),
    "one_gp_one_sided": ("between", 10 * (3 - 1) ** 2, 0.0, "logit"),
    "zero_gp": ("between", 10 * 9, 10 / 4, "probability"),
    "zero_gp_real": ("real", 10 * 9, 10 / 4, "probability"),
    "zero_gp_sample": ("both", 10 * 9, 10 / 4, "probability"),
}


@pytest.mark.parametrize("name", names_in("penalty"))
def test_a_penalty_file_builds_a_penalty(name: str) -> None:
    penalty = built("penalty", name)
    assert isinstance(penalty, NoPenalty)
    assert (penalty.measure == "none") == (name == "none")


@pytest.mark.parametrize("name", list(FILES))
def test_a_penalty_file_is_its_papers_function_of_the_gradient_norm(name: str) -> None:
    _, at_three, at_half, output = FILES[name]
    penalty = built("penalty", name)
    assert penalty.output == output
    for norm, wanted in ((3.0, at_three), (0.5, at_half)):
        # On the probability: 4 norm x_0 has |grad sigmoid| = norm where x_0 = 0.
        slope = 4 * norm if output == "probability" else norm
        zeros = torch.zeros(N, 2, dtype=torch.float64)
        found = value_of(penalty, lambda x, s=slope: s * x[:, 0], real=zeros, fake=zeros)
        assert found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("name", list(FILES))
def test_a_penalty_file_takes_the_gradient_where_its_paper_says(name: str) -> None:
    measure = FILES[name][0]
    penalty = built("penalty", name)
    torch.testing.assert_close(
        penalty.points(REAL, FAKE, U, NO_HARDEST), torch.tensor(where(measure, REAL, FAKE, U))
    )


def test_zero_gp_sample_of_the_paper_is_on_reals_and_fakes_alone() -> None:
    # Table 1 of zero_gp: v in the data set D of reals and fakes, here with D(x) = sigma(w.x + b).
    f = np.concatenate([REAL.numpy(), FAKE.numpy()]) @ W.numpy() + BIAS
    p = 1 / (1 + np.exp(-f))
    wanted = 10 * np.mean((p * (1 - p) * 2.5) ** 2)
    assert value_of(built("penalty", "zero_gp_sample"), linear) == pytest.approx(wanted, rel=1e-12)


@each_shape
def test_shaped_takes_a_centre_for_each_replica_as_a_tensor(shape: Shape) -> None:
    squares = normal(3, 5, seed=11).square()
    centers = torch.tensor([0.1, 0.5, 1.0], dtype=torch.float64)
    together = torch.vmap(lambda s, c: shaped(shape, s, c))(squares, centers)
    for i in range(3):
        alone = formula(shape, np.sqrt(squares[i].numpy()), float(centers[i]))
        np.testing.assert_allclose(together[i].numpy(), alone, rtol=1e-12, atol=1e-15)
