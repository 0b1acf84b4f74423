"""A step is the textbook's, in fp32 and near it in bf16, and it is pure."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from games import GAMES, NONE, game
from helpers import (
    built,
    copied,
    parameters,
    same,
    small_mlp,
)
from iterations import D_STEPS, STEPS, data, iterate, rates, started
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from gp_lab.objectives.constraints import SpectralNorm
from gp_lab.objectives.losses import (
    Vanilla,
    Wasserstein,
)
from gp_lab.training.engine import Engine
from gp_lab.training.optimizers import SGD
from gp_lab.training.step import (
    AUTOGRAD,
    FUNC,
    Game,
    discriminator_step,
    generator_step,
)

each_engine = pytest.mark.parametrize("differentiate", [AUTOGRAD, FUNC], ids=["autograd", "func"])


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
    own = (batch["real"], batch["latent"], batch["u"], (), batch["drawn"])
    given = (g, differentiate, state, {}, 1.0, *own)
    nets = {"d": parameters(g.discriminator), "g": parameters(g.generator)}
    kept = copied({"state": state, "batch": batch, "nets": nets})
    first = discriminator_step(*given)
    first_of_g = generator_step(g, differentiate, state, {}, 1.0, batch["latent_g"])
    nets = {"d": parameters(g.discriminator), "g": parameters(g.generator)}
    same({"state": state, "batch": batch, "nets": nets}, kept, tolerance=0)
    assert not any(p.requires_grad for p in {**first[0]["d"], **first_of_g[0]["g"]}.values())
    # A function of its arguments: the same again.
    second = discriminator_step(*given)
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
