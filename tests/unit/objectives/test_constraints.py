"""Constraints on D's weights: clipping, norms, decay; spectral norm against torch and the SVD."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers import built, caller, copied, names_in, normal, parameters, same, small_mlp, uniform
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from gp_lab.errors import BadInput
from gp_lab.objectives.constraints import (
    DecayBesideNorm,
    L1Decay,
    L2Decay,
    L2NormClipping,
    NoConstraint,
    SpectralNorm,
    WeightClipping,
    WeightNorm,
)
from gp_lab.objectives.losses import Wasserstein
from gp_lab.objectives.penalties import Penalty
from gp_lab.training.optimizers import SGD, Adam
from gp_lab.training.step import (
    AUTOGRAD,
    FUNC,
    Game,
    discriminator_step,
    generator_step,
    start_state,
)

BATCH = 16
CLASSES = {
    "none": NoConstraint,
    "clipping": WeightClipping,
    "decay_beside_norm": DecayBesideNorm,
    "l1_decay": L1Decay,
    "l2_clipping": L2NormClipping,
    "l2_decay": L2Decay,
    "spectral_norm": SpectralNorm,
    "weight_norm": WeightNorm,
}


def game(constraint: NoConstraint, penalty: str = "none", activation: str = "relu") -> Game:
    return Game(
        discriminator=small_mlp(seed=1, activation=activation),
        generator=small_mlp(outputs=2, seed=2),
        loss=Wasserstein(),
        penalty=built("penalty", penalty),
        constraint=constraint,
        optimizer=Adam(lr=0.05, betas=(0.0, 0.9)),
    )


def started(g: Game, scale: float = 1.0) -> dict[str, Any]:
    d = {name: scale * p for name, p in parameters(g.discriminator).items()}
    return start_state(g, d, parameters(g.generator), BATCH, (2,))


def step_of_d(g: Game, state: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    real, latent = normal(BATCH, 2, seed=50 + seed) + 1, normal(BATCH, 2, seed=90 + seed)
    new, _ = discriminator_step(g, AUTOGRAD, state, {}, 1.0, real, latent, uniform(BATCH))
    return new


def converged(params: dict[str, Tensor], updates: int = 500) -> dict[str, Tensor]:
    norm = SpectralNorm(iterations=updates)
    return norm.prepare(params, norm.start(params))


# Clipping


def test_clipping_puts_every_weight_and_bias_between_its_bounds_and_leaves_those_inside() -> None:
    params = {"weight": normal(5, 4, scale=0.02), "bias": normal(5, seed=1, scale=0.02)}
    before = copied(params)
    clipped = WeightClipping(0.01).project(params)
    for name, p in before.items():
        inside = p.abs() <= 0.01
        assert 0 < inside.sum() < inside.numel()
        assert torch.equal(clipped[name][inside], p[inside])
        assert torch.equal(clipped[name][~inside], 0.01 * p[~inside].sign())
    same(params, before, tolerance=0)


def test_after_each_step_of_a_clipped_critic_all_its_parameters_are_within_the_bound() -> None:
    g = game(WeightClipping(0.03))
    state = started(g)
    for seed in range(3):
        state = step_of_d(g, state, seed)
        for p in state["d"].values():
            assert p.abs().max() <= 0.03
        # Adam's first steps are 0.05 long: without the clip they would be far outside.
        assert state["d"]["hidden.0.linear.bias"].abs().max() == 0.03


def test_the_generator_is_never_clipped() -> None:
    g = game(WeightClipping(0.03))
    state = started(g)
    new, _ = generator_step(g, AUTOGRAD, state, {}, 1.0, normal(BATCH, 2))
    assert max(p.abs().max() for p in new["g"].values()) > 0.03


# Spectral norm


@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (1, 6), (6, 3, 2, 2)])
def test_after_enough_iterations_sigma_is_the_largest_singular_value(
    shape: tuple[int, ...],
) -> None:
    params = {"weight": normal(*shape, seed=3), "bias": normal(shape[0], seed=4)}
    scaled = SpectralNorm().apply(params, converged(params))
    matrix = params["weight"].flatten(1)
    sigma = torch.linalg.svdvals(matrix)[0]
    same(scaled["weight"], params["weight"] / sigma)
    assert scaled["weight"].shape == shape
    assert torch.equal(scaled["bias"], params["bias"])


def test_the_start_is_close_and_one_iteration_a_step_keeps_up_with_moving_weights() -> None:
    params = {"weight": normal(20, 20, seed=5)}
    drift = normal(20, 20, seed=6, scale=1e-3)
    norm = SpectralNorm()
    state = norm.start(params)
    for _ in range(100):
        params = {"weight": params["weight"] + drift}
        state = norm.prepare(params, state)
    (weight,) = norm.apply(params, state).values()
    assert torch.linalg.svdvals(weight)[0] == pytest.approx(1, abs=1e-3)


def torch_layer(weight: Tensor, state: dict[str, Tensor]) -> nn.Module:
    """nn.Linear under torch's own spectral_norm, with our u and v in its buffers."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(weight)
    parametrizations.spectral_norm(layer, n_power_iterations=1, eps=1e-12)
    buffers: Any = layer.parametrizations.weight[0]  # type: ignore[index, union-attr]
    buffers._u.copy_(state["weight.u"])
    buffers._v.copy_(state["weight.v"])
    return layer


@pytest.mark.parametrize("engine", [AUTOGRAD, FUNC], ids=["autograd", "func"])
def test_value_and_gradient_are_those_of_torch_at_the_same_u_and_v(engine: Any) -> None:
    params = {"weight": normal(7, 4, seed=7)}
    norm = SpectralNorm()
    state = {k: v + 0.1 for k, v in norm.start(params).items()}  # far from the singular vectors
    x, y = normal(9, 4, seed=8), normal(9, 7, seed=9)

    def objective(params: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        out = x @ norm.apply(params, state)["weight"].T
        return (out * y).square().sum(), out.detach()

    grads, out = engine.of_parameters(objective, params)
    layer = torch_layer(params["weight"], state).eval()
    theirs = layer(x)
    (theirs * y).square().sum().backward()
    original: Any = layer.parametrizations.weight.original  # type: ignore[union-attr]
    same(out, theirs.detach())
    same(grads["weight"], original.grad)


def test_one_power_iteration_is_that_of_torch() -> None:
    params = {"weight": normal(7, 4, seed=7)}
    norm = SpectralNorm(iterations=1)
    state = norm.start({"weight": normal(7, 4, seed=10)})  # of other weights: far away
    layer = torch_layer(params["weight"], state).train()
    layer(normal(1, 4))  # the forward pass iterates
    theirs: Any = layer.parametrizations.weight[0]  # type: ignore[index, union-attr]
    ours = norm.prepare(params, state)
    same(ours["weight.u"], theirs._u)
    same(ours["weight.v"], theirs._v)
    assert (ours["weight.u"] - state["weight.u"]).abs().max() > 1e-3


def test_no_gradient_flows_through_u_and_v() -> None:
    weight = normal(6, 4, seed=11).requires_grad_()
    norm = SpectralNorm()
    state = norm.prepare({"weight": weight}, norm.start({"weight": weight.detach()}))
    assert not any(vector.requires_grad for vector in state.values())


def largest_slope(params: dict[str, Tensor], net: nn.Module) -> float:
    x, y = normal(4000, 2, seed=12, scale=3), normal(4000, 2, seed=13, scale=3)
    f = caller(net)
    rise = (f(params, x) - f(params, y)).abs()
    return float((rise / (x - y).norm(dim=1)).max())


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh"])
def test_a_network_under_spectral_norm_is_1_lipschitz(activation: str) -> None:
    net = small_mlp(seed=14, depth=3, width=16, activation=activation)
    params = {name: 6 * p for name, p in parameters(net).items()}
    assert largest_slope(params, net) > 1.5
    scaled = SpectralNorm().apply(params, converged(params))
    assert 0 < largest_slope(scaled, net) <= 1 + 1e-9


def test_power_iteration_runs_once_a_step_whatever_the_loss_asks_of_the_network() -> None:
    constraint = SpectralNorm(iterations=2)
    for penalty in ("none", "one_gp"):
        g = game(constraint, penalty, activation="tanh")
        state = started(g, scale=3)
        kept = copied(state["constraint"])
        new = step_of_d(g, state)
        same(new["constraint"], constraint.prepare(state["d"], kept), tolerance=0)
        same(state["constraint"], kept, tolerance=0)


def test_the_generators_step_leaves_the_constraints_state_as_it_is() -> None:
    g = game(SpectralNorm())
    state = step_of_d(g, started(g))
    kept = copied(state["constraint"])
    new, _ = generator_step(g, AUTOGRAD, state, {}, 1.0, normal(BATCH, 2))
    same(new["constraint"], kept, tolerance=0)
    assert kept


def test_the_penalty_and_the_generators_loss_see_the_normalised_network() -> None:
    # A linear critic: under spectral norm |grad D| is 1 exactly, whatever the weights are.
    g = replace(
        game(SpectralNorm(), "one_gp"),
        discriminator=small_mlp(seed=1, depth=0),
        penalty=Penalty("between", "squared", weight=10.0),
        optimizer=SGD(lr=0.1),
    )
    state = started(g, scale=5)
    unit = state["d"]["output.weight"][0] / state["d"]["output.weight"].norm()
    real, latent = normal(BATCH, 2) + 1, normal(BATCH, 2, seed=1)
    _, metrics = discriminator_step(g, AUTOGRAD, state, {}, 1.0, real, latent, uniform(BATCH))
    _, penalty, norm, f_real, _ = metrics.tolist()
    assert penalty == pytest.approx(10, rel=1e-9)
    assert norm == pytest.approx(1, rel=1e-9)
    bias = state["d"]["output.bias"]
    assert f_real == pytest.approx(float((real @ unit + bias).mean()), rel=1e-9)
    _, loss_g = generator_step(g, AUTOGRAD, state, {}, 1.0, latent)
    fake = caller(g.generator)(state["g"], latent)
    assert float(loss_g) == pytest.approx(-float((fake @ unit + bias).mean()), rel=1e-9)


# Norm clipping, weight norm, decay


def test_norm_clipping_shortens_tensors_that_are_too_long_and_leaves_the_others() -> None:
    params = {"long": normal(5, 4), "short": normal(5, seed=1, scale=0.01), "zero": normal(3) * 0}
    clipped = L2NormClipping(0.5).project(params)
    assert float(clipped["long"].norm()) == pytest.approx(0.5, rel=1e-9)
    same(clipped["long"] * params["long"].norm() / 0.5, params["long"])
    for name in ("short", "zero"):
        assert torch.equal(clipped[name], params[name])


def test_weight_norm_equals_torchs_with_its_gain_held_at_the_value() -> None:
    layer = nn.Linear(4, 6).double()
    params = parameters(layer)
    theirs = parametrizations.weight_norm(layer, dim=0)
    with torch.no_grad():
        theirs.parametrizations.weight.original0.fill_(0.7)
    x = normal(BATCH, 4)
    ours = WeightNorm(0.7).apply(params, {})
    same(x @ ours["weight"].T + ours["bias"], theirs(x).detach())


def test_with_weight_norm_the_scale_of_the_weights_plays_no_part_and_gets_no_gradient() -> None:
    params = parameters(small_mlp())
    norm, f, x = WeightNorm(1.0), caller(small_mlp()), normal(BATCH, 2)
    doubled = {k: 2 * p if p.dim() > 1 else p for k, p in params.items()}
    same(f(norm.apply(params, {}), x), f(norm.apply(doubled, {}), x))
    grads = torch.func.grad(lambda p: f(norm.apply(p, {}), x).sum())(params)
    for name, grad in grads.items():
        if grad.dim() > 1:
            same((grad * params[name]).sum(dim=1), torch.zeros(len(grad)).double())
            assert grad.norm() > 0


def test_l2_decay_shrinks_all_by_its_share_and_l1_decay_by_its_value_but_not_past_zero() -> None:
    params = {"weight": torch.tensor([0.5, -0.25, 0.01, -0.01, 0.0], dtype=torch.float64)}
    same(L2Decay(0.1).project(params)["weight"], 0.9 * params["weight"])
    expected = torch.tensor([0.45, -0.2, 0.0, 0.0, 0.0], dtype=torch.float64)
    same(L1Decay(0.05).project(params)["weight"], expected)


def test_decay_beside_a_norm_is_the_gradient_of_half_the_squares_and_nothing_without_one() -> None:
    normed, plain = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)), nn.Linear(3, 4)
    for network, value in ((normed, 0.1), (plain, 0.0)):
        params = parameters(network)
        zero = {k: torch.zeros_like(p) for k, p in params.items()}
        half = torch.func.grad(lambda p, v=value: v / 2 * sum(x.square().sum() for x in p.values()))
        same(DecayBesideNorm(0.1).pull(params, zero), half(params))


def test_a_step_gives_the_optimiser_what_the_constraint_makes_of_the_gradient() -> None:
    class Doubled(NoConstraint):
        def pull(self, params: dict[str, Tensor], grads: dict[str, Tensor]) -> dict[str, Tensor]:
            return {k: 2 * g for k, g in grads.items()}

    rates = {}
    for name, constraint, lr in (("pulled", Doubled(), 0.05), ("faster", NoConstraint(), 0.1)):
        g = replace(game(constraint), optimizer=SGD(lr=lr))
        rates[name] = step_of_d(g, started(g))["d"]
    same(rates["pulled"], rates["faster"])


@pytest.mark.parametrize("constraint", [L2NormClipping(0.3), L1Decay(0.01), L2Decay(0.05)])
def test_a_step_projects_after_the_update(constraint: NoConstraint) -> None:
    bound, free = game(constraint), game(NoConstraint())
    after = step_of_d(bound, started(bound))["d"]
    same(after, constraint.project(step_of_d(free, started(free))["d"]))


@pytest.mark.parametrize("name", names_in("constraint"))
def test_a_constraint_file_builds_the_class_that_its_name_says(name: str) -> None:
    assert type(built("constraint", name)) is CLASSES[name]


def test_without_a_constraint_nothing_is_changed() -> None:
    params = parameters(small_mlp())
    none = NoConstraint()
    state = none.start(params)
    assert state == {}
    assert none.apply(params, state) is params
    assert none.project(params) is params


@pytest.mark.parametrize(
    ("name", "key", "value"), [("clipping", "value", 0.0), ("spectral_norm", "iterations", 0)]
)
def test_an_impossible_value_of_a_constraint_is_refused(name: str, key: str, value: Any) -> None:
    with pytest.raises(BadInput, match=rf"^constraint\.{key}={value}"):
        built("constraint", name, **{key: value})
