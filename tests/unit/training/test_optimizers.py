"""Update rules are torch.optim's, to the last digits, alone or one for each replica."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers import built, copied, names_in, normal, replica, same, stacked
from torch import Tensor

from gp_lab.errors import BadInput
from gp_lab.launching.compose import compose, hydra_session
from gp_lab.training.batches import draw_batches
from gp_lab.training.optimizers import SGD, Adam, AsOneVector, Optimizer, RMSProp
from gp_lab.training.schedules import Schedule
from gp_lab.training.setup import setup

Tensors = dict[str, Tensor]
UPDATES = 200


def torch_adam(p: list[Tensor], o: Adam) -> torch.optim.Optimizer:
    return torch.optim.Adam(p, o.lr, o.betas, o.eps, o.weight_decay)


def torch_rmsprop(p: list[Tensor], o: RMSProp) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(p, o.lr, o.alpha, o.eps, o.weight_decay, o.momentum)


def torch_sgd(p: list[Tensor], o: SGD) -> torch.optim.Optimizer:
    return torch.optim.SGD(p, o.lr, o.momentum, weight_decay=o.weight_decay)


PAIRS: dict[type, Callable[..., torch.optim.Optimizer]] = {
    Adam: torch_adam,
    RMSProp: torch_rmsprop,
    SGD: torch_sgd,
}
RULES: dict[str, Any] = {
    "adam": Adam(0.01),
    "adam of wgan_gp": Adam(0.01, (0.0, 0.9)),
    "adam of zero_gp": Adam(0.01, (0.5, 0.9)),
    "adam, decay": Adam(0.01, (0.9, 0.99), weight_decay=0.1),
    "adam, large eps": Adam(0.05, (0.9, 0.99), eps=1e-2),
    "rmsprop": RMSProp(0.01),
    "rmsprop of tensorflow": RMSProp(0.01, 0.9, 1e-10),
    "rmsprop, momentum": RMSProp(0.003, 0.9, 1e-6, momentum=0.7),
    # A large eps: near the optimum a small one makes the map expand, and rounding with it.
    "rmsprop, momentum, decay": RMSProp(0.003, 0.9, 1e-1, momentum=0.7, weight_decay=0.1),
    "sgd": SGD(0.05),
    "sgd, decay": SGD(0.05, weight_decay=0.1),
    "sgd, momentum": SGD(0.05, momentum=0.9),
    "sgd, momentum, decay": SGD(0.05, momentum=0.9, weight_decay=0.1),
}
each_rule = pytest.mark.parametrize("name", list(RULES))


def start(seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensors:
    return {
        "weight": normal(4, 3, seed=seed).to(dtype),
        "bias": normal(4, seed=seed + 1).to(dtype),
        "scale": normal(seed=seed + 2).to(dtype),
    }


def slopes(params: Tensors, seed: int = 0) -> Tensors:
    """Gradients of sum log cosh(a (p - b)) with curvatures a of many sizes."""
    found = {}
    for i, (k, p) in enumerate(params.items()):
        a = torch.exp(normal(*p.shape, seed=seed + 10 + i) * 0.7).to(p.dtype)
        b = normal(*p.shape, seed=seed + 20 + i).to(p.dtype)
        found[k] = a * torch.tanh(a * (p - b))
    return found


def rate(t: int) -> float:
    """A learning rate that changes, as a multiple of the rule's own."""
    return 1.0 if t < 50 else 0.5 if t < 100 else 0.7


def trained(rule: Optimizer, params: Tensors, updates: int = UPDATES, seed: int = 0) -> Tensors:
    state = rule.start(params)
    for t in range(updates):
        lr = torch.tensor(rule.lr * rate(t), dtype=torch.float64)
        params, state = rule.update(params, slopes(params, seed), state, lr)
    return params


def trained_by_torch(rule: Any, params: Tensors, updates: int = UPDATES) -> Tensors:
    params = copied(params)
    optimizer = PAIRS[type(rule)](list(params.values()), rule)
    for t in range(updates):
        optimizer.param_groups[0]["lr"] = rule.lr * rate(t)
        for p, g in zip(params.values(), slopes(params).values(), strict=True):
            p.grad = g
        optimizer.step()
    return {k: p.detach() for k, p in params.items()}


@each_rule
def test_a_rule_is_torchs_over_200_updates_with_a_changing_rate(name: str) -> None:
    rule, params = RULES[name], start()
    ours = trained(rule, params)
    same(ours, trained_by_torch(rule, params))
    assert max((ours[k] - params[k]).abs().max() for k in params) > 0.1


@pytest.mark.seconds
@pytest.mark.usefixtures("needs_compiler")
def test_compiled_too_adam_is_torchs_over_200_updates() -> None:
    rule, params = RULES["adam, decay"], start()
    update = torch.compile(rule.update, fullgraph=True, dynamic=False)
    state, p = rule.start(params), params
    for t in range(UPDATES):
        p, state = update(p, slopes(p), state, torch.tensor(rule.lr * rate(t), dtype=torch.float64))
    same(p, trained_by_torch(rule, params))


@each_rule
def test_a_rule_that_sees_one_vector_is_the_rule(name: str) -> None:
    rule, params = RULES[name], start()
    same(trained(AsOneVector(rule), params, 20), trained(rule, params, 20), tolerance=1e-14)
    new, state = AsOneVector(rule).update(params, slopes(params), rule.start(params), rule.lr)
    expected, of_rule = rule.update(params, slopes(params), rule.start(params), rule.lr)
    assert list(new) == list(expected)
    assert {k: list(v) for k, v in state.items()} == {k: list(v) for k, v in of_rule.items()}


def test_parameters_of_two_types_are_not_joined() -> None:
    rule, params = RULES["adam"], start() | {"half": torch.ones(2)}
    new, _ = AsOneVector(rule).update(params, slopes(params), rule.start(params), rule.lr)
    assert new["half"].dtype == torch.float32
    assert new["bias"].dtype == torch.float64


@each_rule
def test_an_update_leaves_its_arguments_as_they_are(name: str) -> None:
    rule, params = RULES[name], start()
    _, state = rule.update(params, slopes(params), rule.start(params), rule.lr)
    grads = slopes(params)
    kept = copied({"params": params, "grads": grads, "state": state})
    new, _ = rule.update(params, grads, state, rule.lr)
    same({"params": params, "grads": grads, "state": state}, kept, tolerance=0)
    assert not torch.equal(new["weight"], params["weight"])


@pytest.mark.parametrize("stacked_too", [False, True])
@each_rule
def test_parameters_and_state_stay_in_their_type_under_a_rate_in_float64(
    name: str, stacked_too: bool
) -> None:
    rule, params = RULES[name], start(dtype=torch.float32)
    state, lr = rule.start(params), torch.tensor(rule.lr, dtype=torch.float64)
    update: Callable[..., Any] = rule.update
    if stacked_too:
        update = torch.vmap(update)
        params, state, lr = stacked([params] * 3), stacked([state] * 3), lr.expand(3)
    new, after = update(params, slopes(params), state, lr)
    assert {p.dtype for p in new.values()} == {torch.float32}
    for part, tensors in after.items():
        wanted = torch.float64 if part == "count" else torch.float32
        assert {t.dtype for t in tensors.values()} == {wanted}


# (rule, fields that differ between replicas)
OWN_NUMBERS: dict[str, tuple[Any, list[dict[str, Any]]]] = {
    "adam": (
        Adam(),
        [
            {"lr": 0.01, "betas": (0.0, 0.9), "eps": 1e-8, "weight_decay": 0.0},
            {"lr": 0.1, "betas": (0.5, 0.99), "eps": 1e-3, "weight_decay": 0.1},
            {"lr": 0.003, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01},
        ],
    ),
    "rmsprop": (
        RMSProp(momentum=0.5),
        [
            {"lr": 0.01, "alpha": 0.9, "momentum": 0.0, "weight_decay": 0.0},
            {"lr": 0.003, "alpha": 0.99, "momentum": 0.9, "weight_decay": 0.1},
            {"lr": 0.02, "alpha": 0.0, "momentum": 0.5, "weight_decay": 0.0},
        ],
    ),
    "sgd": (
        SGD(momentum=0.5),
        [
            {"lr": 0.01, "momentum": 0.0, "weight_decay": 0.0},
            {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1},
            {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.01},
        ],
    ),
}


def tensors_of(values: list[Any]) -> Any:
    """The values of one field over the replicas: a tensor, or a tuple of them."""
    if isinstance(values[0], tuple):
        return tuple(tensors_of(list(v)) for v in zip(*values, strict=True))
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("name", list(OWN_NUMBERS))
def test_replicas_with_rates_and_betas_of_their_own_are_each_what_they_are_alone(name: str) -> None:
    rule, numbers = OWN_NUMBERS[name]
    fields = {k: tensors_of([n[k] for n in numbers]) for k in numbers[0]}
    params = stacked([start(seed=7 * r) for r in range(3)])
    state = stacked([rule.start(replica(params, r)) for r in range(3)])

    def update(fields: Any, params: Tensors, grads: Tensors, state: Any, factor: Tensor) -> Any:
        own = replace(rule, **fields)
        return own.update(params, grads, state, own.lr * factor)

    for t in range(UPDATES):
        grads = stacked([slopes(replica(params, r), seed=r) for r in range(3)])
        factor = torch.full((3,), rate(t), dtype=torch.float64)
        params, state = torch.vmap(update)(fields, params, grads, state, factor)
    for r, own in enumerate(numbers):
        alone = trained(replace(rule, **own), start(seed=7 * r), seed=r)
        same(replica(params, r), alone)


def test_the_first_step_of_adam_is_the_rate_in_the_direction_of_the_sign() -> None:
    rule, params = Adam(lr=0.02, eps=1e-30), start()
    grads = {k: 1e-4 * normal(*p.shape, seed=3) for k, p in params.items()}
    new, _ = rule.update(params, grads, rule.start(params), rule.lr)
    for k, p in params.items():
        torch.testing.assert_close(new[k], p - 0.02 * grads[k].sign(), rtol=1e-12, atol=1e-12)


def test_tensorflows_rmsprop_starts_its_accumulator_at_1_and_its_first_steps_are_small() -> None:
    """By hand, with alpha 3/4: v is 3/4 + 1, then 3/4 7/4 + 4, then 3/4 85/16 + 1/4."""
    rule = RMSProp(lr=0.5, alpha=0.75, eps=1e-10, accumulator=1.0)
    params: Tensors = {"p": torch.zeros((), dtype=torch.float64)}
    state, passed = rule.start(params), 0.0
    for gradient, v in ((2.0, 7 / 4), (-4.0, 85 / 16), (1.0, 271 / 64)):
        grads = {"p": torch.tensor(gradient, dtype=torch.float64)}
        params, state = rule.update(params, grads, state, rule.lr)
        passed -= 0.5 * gradient / v**0.5
        assert state["v"]["p"].item() == pytest.approx(v, rel=1e-14)
        assert params["p"].item() == pytest.approx(passed, rel=1e-9)
    assert RMSProp().start(params)["v"]["p"].item() == 0  # torch.optim's


def test_without_momentum_no_buffer_is_kept() -> None:
    assert SGD().start(start()) == {}
    assert set(RMSProp().start(start())) == {"v"}
    assert set(SGD(momentum=0.5).start(start())) == {"momentum"}


@pytest.mark.parametrize("name", names_in("optimizer"))
def test_an_optimizer_file_builds_the_rule_that_its_name_says(name: str) -> None:
    rule = built("optimizer", name)
    assert type(rule) is {"adam": Adam, "adam_fast": Adam, "rmsprop": RMSProp, "sgd": SGD}[name]


def test_the_adam_of_wgan_gp_has_no_first_moment() -> None:
    assert built("optimizer", "adam") == Adam(lr=1e-4, betas=(0.0, 0.9))


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("adam", "betas", [0.5, 1.0]),
        ("adam", "lr", 0.0),
        ("sgd", "momentum", -0.1),
        ("rmsprop", "alpha", 1.0),
        ("rmsprop", "accumulator", -1.0),
        ("sgd", "weight_decay", -1.0),
    ],
)
def test_an_impossible_value_of_an_optimizer_is_refused(name: str, key: str, value: Any) -> None:
    with pytest.raises(BadInput, match=rf"^optimizer\.{key}"):
        built("optimizer", name, **{key: value})


# Schedules


def test_schedules_are_their_closed_forms() -> None:
    linear, step = Schedule("linear", over=200), Schedule("step", over=30, factor=0.1)
    inverse, constant = Schedule("inverse"), Schedule()
    for t in [0, 1, 29, 30, 59, 60, 199, 200, 1000]:
        assert linear(t) == pytest.approx((200 - t) / 200 if t < 200 else 0, abs=1e-15)
        assert step(t) == pytest.approx(10.0 ** -(t // 30), rel=1e-12)
        assert inverse(t) * (t + 1) == pytest.approx(1, rel=1e-12)
        assert constant(t) == 1


def test_inverse_rates_of_theorem_2_of_anomalous_have_a_divergent_sum_and_finite_squares() -> None:
    rates = [Schedule("inverse")(t) for t in range(100_000)]
    # Harmonic numbers: ln n + 0.5772...; squares: pi^2 / 6.
    assert sum(rates) == pytest.approx(12.0901461298634, rel=1e-12)
    assert sum(r * r for r in rates) == pytest.approx(torch.pi**2 / 6, abs=2e-5)


SHAPES = {
    "constant": ("constant", 1.0),
    "inverse": ("inverse", 1.0),
    "linear": ("linear", 1.0),
    "step": ("step", 1.0),
    "ttur": ("constant", 3.0),
}


@pytest.mark.parametrize("name", names_in("schedule"))
def test_a_schedule_file_builds_the_schedule_that_its_name_says(name: str) -> None:
    schedule = built("schedule", name)
    assert type(schedule) is Schedule
    assert (schedule.shape, schedule.d_ratio) == SHAPES[name]


def test_under_ttur_the_rate_of_d_is_three_times_that_of_g_at_every_iteration() -> None:
    with hydra_session() as hydra:
        config = compose(
            hydra, ["schedule=ttur", "schedule.shape=linear", "schedule.over=40", "tracking=none"]
        )
    block = draw_batches(setup(config), 0)
    wanted = [max(0, 1 - t / 40) for t in range(len(block.rate_g))]
    torch.testing.assert_close(block.rate_g, torch.tensor(wanted, dtype=torch.float64))
    torch.testing.assert_close(block.rate_d, 3 * block.rate_g)
