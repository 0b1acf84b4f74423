"""Runs of a loss of pairs: a step is R3GAN's, on reals that G's step draws for itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from games import game
from helpers import built, copied, parameters, replica, same, small_mlp, stacked
from iterations import BATCH, STEPS, data, started
from lab import BARE, assert_same_run, config_of, signal_at, trained
from labelled import Conditional
from torch import Tensor, nn
from torch.nn.functional import softplus

import gp_lab
from gp_lab.errors import BadInput
from gp_lab.objectives.constraints import SpectralNorm
from gp_lab.objectives.losses import Relativistic
from gp_lab.runs.folder import State
from gp_lab.training.batches import batches_at_once, draw_batches
from gp_lab.training.engine import Engine, make_engine
from gp_lab.training.optimizers import SGD, Adam
from gp_lab.training.setup import setup
from gp_lab.training.step import AUTOGRAD, Game, generator_step
from gp_lab.training.trainer import train

GAMMA = 0.7
PAIRS = game(Relativistic(), built("penalty", "r1_r2", weight=GAMMA), Adam(0.005), average=0.9)
RUN = ("loss=relativistic", "penalty=r1_r2", "optimizer.lr=1e-2", "precision=fp64")


def batches(step: int, seed: int = 0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """D's batch of a step and G's, with reals of its own."""
    return data(2 * step, seed), data(2 * step + 1, seed)


def iterate(engine: Engine, state: Any, step: int, seeds: list[int]) -> tuple[Any, Tensor]:
    """An update of D and one of G, of a stack where there are several seeds."""
    each = [batches(step, seed) for seed in seeds]
    of_d, of_g = (stacked(list(b)) if len(seeds) > 1 else b[0] for b in zip(*each, strict=True))
    lr = torch.ones((len(seeds),) if len(seeds) > 1 else (), dtype=torch.float64)
    state, d = engine.discriminator_step(state, {}, lr, of_d["real"], of_d["latent"], of_d["u"])
    state, g = engine.generator_step(state, {}, lr, of_g["latent_g"], (), of_g["real"])
    return state, torch.cat([d, g], dim=-1)


def textbook(steps: int) -> tuple[nn.Module, nn.Module, list[list[float]]]:
    """The loop as R3GAN's authors write it: modules, torch.optim, backward()."""
    D, G = small_mlp(seed=1), small_mlp(outputs=2, seed=2)
    of_d, of_g = (torch.optim.Adam(net.parameters(), 0.005, betas=(0.9, 0.999)) for net in (D, G))
    log = []
    for step in range(steps):
        b, mine = batches(step)
        real = b["real"].clone().requires_grad_()
        fake = G(b["latent"]).detach().requires_grad_()
        f_real, f_fake = D(real), D(fake)
        penalty = torch.zeros(BATCH)
        for x, f in ((real, f_real), (fake, f_fake)):
            (gradient,) = torch.autograd.grad(f.sum(), x, create_graph=True)
            penalty = penalty + GAMMA / 2 * gradient.square().sum(1)
        loss = (softplus(-(f_real - f_fake)) + penalty).mean()
        of_d.zero_grad()
        loss.backward()
        of_d.step()
        loss_g = softplus(-(D(G(mine["latent_g"])) - D(mine["real"]))).mean()
        of_g.zero_grad()
        loss_g.backward()
        of_g.step()
        log.append([loss.item(), penalty.mean().item(), loss_g.item()])
    return D, G, log


# -- the step ------------------------------------------------------------------------------


@pytest.mark.seconds
@pytest.mark.parametrize("stack", [1, 2], ids=["autograd", "func"])
def test_fifty_iterations_are_those_of_r3gans_loop(stack: int) -> None:
    engine, seeds = make_engine(PAIRS, "eager", stack=stack), [0] * stack
    state: Any = started(PAIRS)
    state = stacked([copied(state) for _ in seeds]) if stack > 1 else state
    log = []
    for step in range(STEPS):
        state, metrics = iterate(engine, state, step, seeds)
        log.append(metrics[0] if stack > 1 else metrics)
    D, G, expected = textbook(STEPS)
    state = replica(state, 0) if stack > 1 else state
    same(state["d"], parameters(D))
    same(state["g"], parameters(G))
    same(torch.stack(log)[:, [0, 1, 5]], torch.tensor(expected, dtype=torch.float64))
    moved = [(p - state["g"][k]).abs().max() for k, p in parameters(PAIRS.generator).items()]
    assert max(moved) > 0.05


@pytest.mark.seconds
def test_stacked_replicas_are_each_what_they_are_alone() -> None:
    seeds = [0, 1, 2]
    engine, alone = make_engine(PAIRS, "eager", stack=3), make_engine(PAIRS, "eager")
    state: Any = stacked([started(PAIRS, seed) for seed in seeds])
    own = [started(PAIRS, seed) for seed in seeds]
    for step in range(STEPS):
        state, metrics = iterate(engine, state, step, seeds)
        for r, seed in enumerate(seeds):
            own[r], of_own = iterate(alone, own[r], step, [seed])
            same(metrics[r], of_own)
    for r in range(3):
        same(replica(state, r), own[r])


@pytest.mark.seconds
@pytest.mark.usefixtures("needs_compiler")
@pytest.mark.parametrize("stack", [1, 2])
def test_compiled_steps_are_the_eager_ones(stack: int) -> None:
    seeds, ends = list(range(stack)), []
    for kind in ("eager", "compiled"):
        engine = make_engine(PAIRS, kind, stack=stack)
        own: list[Any] = [started(PAIRS, seed) for seed in seeds]
        state = stacked(own) if stack > 1 else own[0]
        for step in range(STEPS):
            state, metrics = iterate(engine, state, step, seeds)
        ends.append((state, metrics))
    same(ends[1][0], ends[0][0])
    same(ends[1][1], ends[0][1])


def test_g_without_reals_is_refused_in_one_sentence() -> None:
    with pytest.raises(BadInput, match="as many reals as fakes, not 12 of one and 0 of the other"):
        generator_step(PAIRS, AUTOGRAD, started(PAIRS), {}, 1.0, data(0)["latent_g"])


def test_reals_of_g_s_step_have_the_classes_of_their_rows_and_the_weights_of_the_constraint() -> (
    None
):
    classes = torch.arange(BATCH) % 3
    g = Game(
        discriminator=Conditional(None, 1, 3, 0),
        generator=Conditional(2, 2),
        loss=Relativistic(),
        penalty=built("penalty", "none"),
        constraint=SpectralNorm(),
        optimizer=SGD(0.1),
    )
    state: Any = started(g)
    b = data(3)
    arguments = (state, {}, 1.0, b["latent_g"], (classes,), b["real"])
    _, metrics = generator_step(g, AUTOGRAD, *arguments)
    weights = g.constraint.apply(state["d"], state["constraint"])
    d = torch.func.functional_call
    f_real = d(g.discriminator, weights, (b["real"], classes))
    f_fake = d(g.discriminator, weights, (g.generator(b["latent_g"], classes), classes))
    same(metrics[0], softplus(f_real - f_fake).mean().detach(), 1e-12)
    turned = (*arguments[:4], (classes.roll(1),), b["real"])
    assert (generator_step(g, AUTOGRAD, *turned)[1] - metrics).abs() > 1e-4


# -- the reals that G draws ----------------------------------------------------------------


def test_a_loss_of_pairs_draws_one_stream_more_and_leaves_the_others_as_they_are() -> None:
    words = ("d_steps=2", "g_steps=3", "seed=4")
    pairs, other = (setup(config_of(*words, f"loss={n}")) for n in ("relativistic", "wasserstein"))
    assert batches_at_once(pairs) == batches_at_once(other)
    of_pairs, of_other = draw_batches(pairs, 1), draw_batches(other, 1)
    for mine, theirs in zip(of_pairs[:6], of_other[:6], strict=True):
        assert torch.equal(mine, theirs)
    assert of_other.real_g == of_other.labels_g == of_other.labels == ()
    (real,) = of_pairs.real_g
    assert real.shape == (batches_at_once(pairs), 3, 16, 2)
    assert len(real.unique()) > 0.99 * real.numel()
    for seen in (of_pairs.real, draw_batches(pairs, 0).real_g[0]):
        assert torch.isin(real, seen).double().mean() < 0.01


def test_against_a_fixed_generator_no_reals_are_drawn_for_g() -> None:
    run = setup(config_of("loss=relativistic", "architecture=fixed_gaussian", "g_steps=0"))
    assert draw_batches(run, 0).real_g == ()


def test_the_trainer_gives_g_the_reals_of_its_own_stream(tmp_path: Path) -> None:
    folder = trained(*RUN, "steps=1", "log_every=1", "g_steps=2", f"out={tmp_path}", base=BARE)
    run = gp_lab.load(folder.path)
    block = draw_batches(run.setup, 0)
    g = run.setup.game
    (d, generator), (real,) = (run.view.d, run.setup.initial[1]), block.real_g
    state = {"d": d, "constraint": {}, "g": generator, "average": {}}
    state |= {"g_optimizer": g.optimizer.start(generator)}
    arguments = (block.latent_g[0, 0], (), real[0, 0])
    state, _ = generator_step(g, AUTOGRAD, state, {}, 1.0, *arguments)
    fake = g.generate(state["g"], block.latent_g[0, 1])
    f_real, f_fake = (g.critic(d)(x) for x in (real[0, 1], fake))
    wanted = softplus(f_real - f_fake).mean().item()
    assert folder.metrics()[-1]["loss_g"] == pytest.approx(wanted, rel=1e-9)


@pytest.mark.seconds
def test_a_run_that_was_stopped_goes_on_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (*RUN[:3], "steps=300", "log_every=20", "checkpoint_every=100", "architecture.width=4")
    configs = [config_of(*words, f"out={tmp_path / name}", base=BARE) for name in ("a", "b")]
    with monkeypatch.context() as patch:
        signal_at(120, patch)
        (stopped,) = train(configs[:1], progress=False)
    assert stopped.state == State.PREEMPTED
    assert batches_at_once(setup(configs[0])) < 300  # it goes on into another block
    (again,), (whole,) = (train([config], progress=False) for config in configs)
    assert_same_run(again.folder, whole.folder)


# -- the probes ----------------------------------------------------------------------------

PROBED = ("probe=[gradients,layers,held_out,critic_losses]", "probe.gradients.count=30",
          "probe.held_out.count=40", "probe.critic_losses.count=30")  # fmt: skip


@pytest.mark.seconds
def test_probes_say_what_a_loss_of_pairs_is_on_what_they_store(tmp_path: Path) -> None:
    words = (*RUN, *PROBED, "steps=5", f"out={tmp_path}", "dataset=two_gaussians")
    folder = trained(*words, base=BARE[:-1])
    looked, line = folder.arrays("critic_losses"), folder.metrics()[-1]
    for part in ("train", "held_out"):
        loss = np.logaddexp(0, looked["fake"] - looked[part]).mean()
        assert looked[f"{part}_loss"] == pytest.approx(loss, rel=1e-12)
    held_out = folder.arrays("held_out")
    for part in ("train", "held_out"):
        rise = held_out[f"{part}_real_logit"] - held_out[f"{part}_fake_logit"]
        assert held_out[f"{part}_loss"] == pytest.approx(np.logaddexp(0, -rise).mean(), rel=1e-12)
        assert line[f"held_out/accuracy_{part}"] == pytest.approx((rise > 0).mean())
    told = folder.arrays("gradients")
    slope = -1 / (1 + np.exp(told["fake_logit"] - told["real_logit"]))
    np.testing.assert_allclose(told["fake_psi_slope"], slope, rtol=1e-9)
    # An offset of all logits is free: D's last bias has no gradient.
    assert folder.arrays("layers")["activations"].min() > 1e-6


def test_probes_that_cannot_say_anything_of_pairs_refuse_and_name_the_loss() -> None:
    words = ("loss=relativistic", "penalty=r1_r2")
    with pytest.raises(BadInput) as refusal:
        setup(config_of(*words, "probe=[loss]", base=BARE[:-1]))
    assert str(refusal.value).startswith("probe.loss: draws phi, varphi and psi, and loss=relat")
    finite = ("architecture=fixed_gaussian", "g_steps=0", "dataset=two_gaussians",
              "dataset.size=64", "architecture.latent.size=32", "probe=[held_out]")  # fmt: skip
    with pytest.raises(BadInput, match="there are 64 and 32 of them to train on; use"):
        setup(config_of(*words, *finite, base=BARE[:-1]))
    setup(config_of(*words, *finite, "probe.held_out.count=32", base=BARE[:-1]))
    setup(config_of("loss=vanilla", *finite, base=BARE[:-1]))
