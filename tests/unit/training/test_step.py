"""A step is the textbook's, compiled or stacked it is the same step, and it is pure."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from games import GAMES, NONE, game
from helpers import (
    built,
    copied,
    normal,
    parameters,
    replica,
    same,
    small_mlp,
    stacked,
    uniform,
)
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from gp_lab.objectives.constraints import SpectralNorm
from gp_lab.objectives.losses import (
    Hinge,
    LeastSquares,
    Vanilla,
    Wasserstein,
)
from gp_lab.training.engine import Engine, choose, make_engine
from gp_lab.training.optimizers import SGD
from gp_lab.training.step import (
    AUTOGRAD,
    FUNC,
    Game,
    discriminator_step,
    generator_step,
    start_state,
)

BATCH, STEPS, D_STEPS = 12, 50, 2
each_engine = pytest.mark.parametrize("differentiate", [AUTOGRAD, FUNC], ids=["autograd", "func"])


def started(g: Game, seed: int | None = None, dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    """The state before the first step; with a seed, from networks of their own."""
    if seed is None:
        d, generator = g.discriminator, g.generator
    else:
        depth = len(g.discriminator.hidden)  # type: ignore[arg-type]
        d = small_mlp(seed=100 + seed, depth=depth)
        generator = small_mlp(outputs=2, seed=200 + seed)
    encoder = g.encoder
    if encoder is not None and seed is not None:
        encoder = small_mlp(outputs=2, seed=300 + seed)
    of_d, of_g, of_e = (
        None if net is None else {k: p.to(dtype) for k, p in parameters(net).items()}
        for net in (d, generator, encoder)
    )
    assert of_d is not None
    assert of_g is not None
    return start_state(g, of_d, of_g, BATCH, (2,), of_e)


def data(step: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Two Gaussians to the right as reals, latents, and u; each step's own."""
    at = 1000 * seed + 10 * step
    real = normal(BATCH, 2, seed=at, scale=0.3) + torch.tensor([1.5, 0.0], dtype=torch.float64)
    real[::2, 1] += 1
    fields = {
        "real": real,
        "latent": normal(BATCH, 2, seed=at + 1),
        "u": uniform(BATCH, seed=at + 2),
        "latent_g": normal(BATCH, 2, seed=at + 3),
    }
    return {k: v.to(dtype) for k, v in fields.items()}


def rates(step: int) -> tuple[float, float]:
    return 1.0 / (1 + step / 100), 0.5


def iterate(
    engine: Engine, state: dict[str, Any], hyper: dict[str, Any], step: int, seeds: list[int]
) -> tuple[dict[str, Any], Tensor]:
    """D_STEPS updates of D and one of G: the state, and the metrics of the last updates."""
    for j in range(D_STEPS + 1):
        each = [data(3 * step + j, seed) for seed in seeds]
        d = stacked(each) if len(seeds) > 1 else each[0]
        lr_d, lr_g = (torch.tensor(r, dtype=torch.float64) for r in rates(step))
        if len(seeds) > 1:
            lr_d, lr_g = lr_d.expand(len(seeds)), lr_g.expand(len(seeds))
        if j < D_STEPS:
            state, of_d = engine.discriminator_step(
                state, hyper, lr_d, d["real"], d["latent"], d["u"]
            )
        else:
            state, of_g = engine.generator_step(state, hyper, lr_g, d["latent_g"])
    return state, torch.cat([of_d, of_g], dim=-1)


def lab(g: Game, differentiate: Any, state: dict[str, Any], steps: int = STEPS) -> Any:
    engine = Engine(
        "", "", 1, *(partial_of(f, g, differentiate) for f in (discriminator_step, generator_step))
    )
    metrics = []
    for step in range(steps):
        state, of_step = iterate(engine, state, {}, step, [0])
        metrics.append(of_step)
    return state, torch.stack(metrics)


def partial_of(function: Callable[..., Any], g: Game, differentiate: Any) -> Callable[..., Any]:
    return lambda state, hyper, *rest: function(g, differentiate, state, hyper, *rest)


# The textbook


def textbook(name: str, steps: int = STEPS) -> tuple[nn.Module, nn.Module, Tensor]:
    """The same runs as every tutorial writes them: modules, torch.optim, backward()."""
    g = GAMES[name]
    D, G = small_mlp(seed=1), small_mlp(outputs=2, seed=2)
    optimizers: list[torch.optim.Optimizer] = []
    for net in (D, G):
        if name == "wgan_gp":
            optimizers.append(torch.optim.Adam(net.parameters(), 0.005, betas=(0.0, 0.9)))
        elif name == "wgan":
            optimizers.append(torch.optim.RMSprop(net.parameters(), 0.002, alpha=0.9, eps=1e-6))
        else:
            optimizers.append(torch.optim.SGD(net.parameters(), 0.1, momentum=0.5))
    of_d, of_g = optimizers
    log = []
    for step in range(steps):
        for optimizer, factor in zip(optimizers, rates(step), strict=True):
            optimizer.param_groups[0]["lr"] = factor * g.optimizer.lr
        for j in range(D_STEPS):
            batch = data(3 * step + j)
            real, fake = batch["real"], G(batch["latent"]).detach()
            f_real, f_fake = D(real), D(fake)
            if name == "zero_gp":
                loss = binary_cross_entropy_with_logits(f_real, torch.ones_like(f_real))
                loss = loss + binary_cross_entropy_with_logits(f_fake, torch.zeros_like(f_fake))
            else:
                loss = f_fake.mean() - f_real.mean()
            penalty, slope = torch.zeros(()), torch.zeros(())
            if name != "wgan":
                u = batch["u"][:, None]
                x = (u * real + (1 - u) * fake).requires_grad_()
                out = torch.sigmoid(D(x)) if name == "zero_gp" else D(x)
                (gradient,) = torch.autograd.grad(out, x, torch.ones_like(out), create_graph=True)
                norm = gradient.norm(dim=1)
                slope = norm.mean()
                center = 0 if name == "zero_gp" else 1
                penalty = 10 * ((norm - center) ** 2).mean()
            of_d.zero_grad()
            (loss + penalty).backward()
            of_d.step()
            if name == "wgan":
                for p in D.parameters():
                    p.data.clamp_(-0.1, 0.1)
        f_of_fake = D(G(data(3 * step + D_STEPS)["latent_g"]))
        if name == "zero_gp":
            loss_g = -binary_cross_entropy_with_logits(f_of_fake, torch.zeros_like(f_of_fake))
        else:
            loss_g = -f_of_fake.mean()
        of_g.zero_grad()
        loss_g.backward()
        of_g.step()
        log.append([loss + penalty, penalty, slope, f_real.mean(), f_fake.mean(), loss_g])
    return D, G, torch.tensor([[float(v.detach()) for v in row] for row in log]).double()


@each_engine
@pytest.mark.parametrize("name", ["wgan_gp", "wgan", "zero_gp"])
def test_fifty_iterations_are_those_of_a_textbook_loop(name: str, differentiate: Any) -> None:
    state, metrics = lab(GAMES[name], differentiate, started(GAMES[name]))
    D, G, log = textbook(name)
    same(state["d"], parameters(D))
    same(state["g"], parameters(G))
    same(metrics, log, tolerance=1e-6)  # the textbook's log is in float32
    for net, key in ((small_mlp(seed=1), "d"), (small_mlp(outputs=2, seed=2), "g")):
        moved = [(p - state[key][k]).abs().max() for k, p in parameters(net).items()]
        assert max(moved) > 0.05


@each_engine
def test_the_generator_takes_no_part_in_the_step_of_d_and_d_none_in_that_of_g(
    differentiate: Any,
) -> None:
    g = replace(GAMES["max_gp"], average=0.9, constraint=SpectralNorm())
    state, _ = lab(g, differentiate, started(g), steps=2)
    batch = data(99)
    after_d, _ = discriminator_step(
        g, differentiate, state, {}, 1.0, batch["real"], batch["latent"], batch["u"]
    )
    after_g, _ = generator_step(g, differentiate, state, {}, 1.0, batch["latent_g"])
    of_d = {"d", "d_optimizer", "constraint", "hardest"}
    of_g = {"g", "g_optimizer", "average"}
    assert set(state) == of_d | of_g
    for key in of_g:
        same(after_d[key], state[key], tolerance=0)
    for key in of_d:
        same(after_g[key], state[key], tolerance=0)
    for after, keys in ((after_d, of_d), (after_g, of_g)):
        for key in keys:
            with pytest.raises(AssertionError):
                same(after[key], state[key], tolerance=0)


@each_engine
@pytest.mark.parametrize("name", list(GAMES))
def test_a_step_leaves_its_arguments_and_the_networks_as_they_are(
    name: str, differentiate: Any
) -> None:
    g = GAMES[name]
    state, _ = lab(g, differentiate, started(g), steps=2)
    batch = data(99)
    nets = {"d": parameters(g.discriminator), "g": parameters(g.generator)}
    kept = copied({"state": state, "batch": batch, "nets": nets})
    first = discriminator_step(
        g, differentiate, state, {}, 1.0, batch["real"], batch["latent"], batch["u"]
    )
    first_of_g = generator_step(g, differentiate, state, {}, 1.0, batch["latent_g"])
    nets = {"d": parameters(g.discriminator), "g": parameters(g.generator)}
    same({"state": state, "batch": batch, "nets": nets}, kept, tolerance=0)
    assert not any(p.requires_grad for p in {**first[0]["d"], **first_of_g[0]["g"]}.values())
    # A function of its arguments: the same again.
    second = discriminator_step(
        g, differentiate, state, {}, 1.0, batch["real"], batch["latent"], batch["u"]
    )
    same(first[0], second[0], tolerance=0)
    same(first[1], second[1], tolerance=0)


def test_the_average_of_g_is_exponential_in_its_past_from_the_initial_weights() -> None:
    decay, g = 0.8, replace(GAMES["wgan_gp"], average=0.8)
    state = started(g)
    expected = parameters(g.generator)
    same(state["average"], expected, tolerance=0)
    history = [expected]
    for step in range(10):
        state, _ = generator_step(g, AUTOGRAD, state, {}, 1.0, data(step)["latent_g"])
        history.append(copied(state["g"]))
    n = len(history) - 1
    for k in expected:
        closed = decay**n * history[0][k]
        for i in range(1, n + 1):
            closed = closed + (1 - decay) * decay ** (n - i) * history[i][k]
        same(state["average"][k], closed, tolerance=1e-12)
        assert not torch.allclose(closed, state["g"][k], rtol=1e-3)


def test_without_an_average_none_is_kept() -> None:
    assert started(GAMES["wgan_gp"])["average"] == {}


def test_a_fixed_generator_of_no_parameters_trains_the_critic_alone() -> None:
    fixed = replace(GAMES["wgan_gp"], generator=nn.Identity())
    state = started(fixed)
    assert state["g_optimizer"] == {}
    batch = data(0)
    state, metrics = discriminator_step(
        fixed, AUTOGRAD, state, {}, 1.0, batch["real"], batch["latent"], batch["u"]
    )
    f = small_mlp(seed=1)
    assert float(metrics[4]) == pytest.approx(float(f(batch["latent"]).mean().detach()), rel=1e-12)


def test_with_batch_norm_reals_and_fakes_go_through_d_in_batches_of_their_own() -> None:
    g = game(Wasserstein(), NONE, SGD(0.1), norm="batch")
    assert not g.joint
    assert GAMES["wgan_gp"].joint
    batch, state = data(0), started(g)
    D, G = small_mlp(seed=1, norm="batch"), small_mlp(outputs=2, seed=2)
    loss = D(G(batch["latent"])).mean() - D(batch["real"]).mean()
    loss.backward()
    state, metrics = discriminator_step(
        g, AUTOGRAD, state, {}, 1.0, batch["real"], batch["latent"], batch["u"]
    )
    same(metrics[0], loss.detach())
    for name, p in D.named_parameters():
        same(state["d"][name], (p - 0.1 * p.grad).detach())


# Compiled, and stacked


@pytest.mark.seconds
@pytest.mark.usefixtures("needs_compiler")
@pytest.mark.parametrize("name", ["max_gp", "latent_path"])  # they use every part of the state
def test_compiled_steps_are_the_eager_ones(name: str) -> None:
    g = replace(GAMES[name], average=0.9)
    assert choose("always", g, 1, torch.device("cpu"))[0] == "compiled"
    ends = []
    for kind in ("eager", "compiled"):
        engine, state = make_engine(g, kind), started(g)
        for step in range(STEPS):
            state, metrics = iterate(engine, state, {}, step, [0])
        ends.append((state, metrics))
    same(ends[1][0], ends[0][0])
    same(ends[1][1], ends[0][1])


@pytest.mark.seconds
@pytest.mark.usefixtures("needs_compiler")
def test_a_process_may_compile_more_runs_than_pytorch_would_compile_one_function() -> None:
    linear = game(Wasserstein(), NONE, SGD(0.1), depth=0)
    batch = data(0)
    arguments = (1.0, batch["real"], batch["latent"], batch["u"])
    with torch._dynamo.config.patch(recompile_limit=1):
        for loss in (Wasserstein(), LeastSquares(), Hinge()):
            g = replace(linear, loss=loss)
            state = started(g)
            ends = [
                make_engine(g, name).discriminator_step(state, {}, *arguments)
                for name in ("eager", "compiled")
            ]
            same(ends[1][0], ends[0][0])


@pytest.mark.seconds
@pytest.mark.parametrize("name", list(GAMES))
def test_four_stacked_replicas_are_each_what_they_are_alone(name: str) -> None:
    g, seeds = GAMES[name], [0, 1, 2, 3]
    engine = make_engine(g, "eager", stack=4)
    state = stacked([started(g, seed) for seed in seeds])
    log = []
    for step in range(STEPS):
        state, metrics = iterate(engine, state, {}, step, seeds)
        log.append(metrics)
    alone = make_engine(g, "eager")
    for r, seed in enumerate(seeds):
        own = started(g, seed)
        for step in range(STEPS):
            own, metrics = iterate(alone, own, {}, step, [seed])
            same(log[step][r], metrics)
        same(replica(state, r), own)


def test_in_fp32_a_stacked_step_is_the_one_alone_to_1e_5() -> None:
    g, seeds = GAMES["wgan_gp"], [0, 1, 2, 3]
    state = stacked([started(g, seed, torch.float32) for seed in seeds])
    batch = stacked([data(0, seed, torch.float32) for seed in seeds])
    arguments = (batch["real"], batch["latent"], batch["u"])
    lr = torch.ones(4, dtype=torch.float64)
    new, metrics = make_engine(g, "eager", stack=4).discriminator_step(state, {}, lr, *arguments)
    assert {p.dtype for p in new["d"].values()} == {torch.float32}
    alone = make_engine(g, "eager")
    for r in range(4):
        own, of_own = alone.discriminator_step(
            replica(state, r), {}, lr[r], *(a[r] for a in arguments)
        )
        same(replica(new, r)["d"], own["d"], tolerance=1e-5)
        same(metrics[r], of_own, tolerance=1e-5)


# part -> field -> the number of each of three replicas
OWN_NUMBERS: list[tuple[str, dict[str, dict[str, list[Any]]]]] = [
    (
        "wgan_gp",
        {
            "optimizer": {
                "lr": [0.001, 0.005, 0.01],
                "betas": [(0.0, 0.9), (0.5, 0.99), (0.9, 0.9)],
            },
            "penalty": {"weight": [10.0, 0.0, 1.0], "center": [1.0, 0.5, 0.0]},
        },
    ),
    ("wgan", {"constraint": {"value": [0.1, 0.3, 0.05]}, "optimizer": {"alpha": [0.9, 0.5, 0.99]}}),
    (
        "combined",
        {
            "loss": {"alpha": [0.1, 1.0, 3.0], "beta": [1.0, 2.0, 0.5]},
            "penalty": {"anchor": [(2.0, -1.0), (0.0, 0.0), (-3.0, 1.0)]},
        },
    ),
]


@pytest.mark.seconds
@pytest.mark.parametrize(("name", "numbers"), OWN_NUMBERS, ids=[name for name, _ in OWN_NUMBERS])
def test_replicas_with_numbers_of_their_own_are_each_what_they_are_alone(
    name: str, numbers: dict[str, dict[str, list[Any]]]
) -> None:
    g, seeds = GAMES[name], [0, 1, 2]
    engine = make_engine(g, "eager", stack=3)
    hyper: dict[str, dict[str, Any]] = {
        part: {
            field: tuple(torch.tensor(v, dtype=torch.float64) for v in zip(*of, strict=True))
            if isinstance(of[0], tuple)
            else torch.tensor(of, dtype=torch.float64)
            for field, of in fields.items()
        }
        for part, fields in numbers.items()
    }
    state = stacked([started(g, seed) for seed in seeds])
    for step in range(STEPS):
        state, _ = iterate(engine, state, hyper, step, seeds)
    for r, seed in enumerate(seeds):
        own_game = g
        for part, fields in numbers.items():
            values = {field: of[r] for field, of in fields.items()}
            own_game = replace(own_game, **{part: replace(getattr(g, part), **values)})
        alone, own = make_engine(own_game, "eager"), started(own_game, seed)
        for step in range(STEPS):
            own, _ = iterate(alone, own, {}, step, [seed])
        same(replica(state, r), own)


# Precision


@each_engine
def test_in_bf16_layers_compute_in_bf16_and_the_step_stays_near_the_one_in_fp32(
    differentiate: Any,
) -> None:
    plain = game(
        Vanilla(),
        built("penalty", "one_gp"),
        SGD(0.01),
        average=0.9,
        width=32,
        activation="leaky_relu",
    )
    plain.discriminator.float()
    plain.generator.float()
    state, batch = started(plain, dtype=torch.float32), data(0, dtype=torch.float32)
    ends = []
    for g in (plain, replace(plain, autocast=True)):
        after, of_d = discriminator_step(
            g, differentiate, state, {}, 1.0, batch["real"], batch["latent"], batch["u"]
        )
        after, of_g = generator_step(g, differentiate, after, {}, 1.0, batch["latent_g"])
        ends.append((after, torch.cat([of_d, of_g])))
        # The losses are computed from numbers in fp32.
        assert g.critic(state["d"])(batch["real"]).dtype == torch.float32
        assert g.generate(state["g"], batch["latent"]).dtype == torch.float32
    (exact, of_exact), (near, of_near) = ends
    assert torch.isfinite(of_near).all()
    # bf16 keeps 8 bits: a unit in the last place is 0.4 %, a few of them add up in a layer.
    torch.testing.assert_close(of_near, of_exact, rtol=0.03, atol=0.03)
    assert not torch.equal(of_near, of_exact)
    for key in ("d", "g", "average"):
        assert {p.dtype for p in near[key].values()} == {torch.float32}
        for name, p in near[key].items():
            moved = (exact[key][name] - state[key][name]).norm()
            assert (p - exact[key][name]).norm() < 0.1 * moved + 1e-6
