"""Networks of images and texts train under penalties, alike by both engines and in stacks."""

import itertools
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import copied, replica, same, stacked
from image_files import write_mnist
from image_networks import ARCHITECTURES, noise, pair
from lab import config_of
from torch import Tensor, nn
from torch.func import vmap

from gp_lab.data.images import SCALES
from gp_lab.errors import BadInput
from gp_lab.networks.dcgan import DCGANGenerator
from gp_lab.objectives.constraints import NoConstraint, SpectralNorm
from gp_lab.objectives.losses import Wasserstein
from gp_lab.objectives.penalties import Penalty
from gp_lab.training.optimizers import Adam
from gp_lab.training.setup import setup
from gp_lab.training.step import (
    AUTOGRAD,
    FUNC,
    Game,
    discriminator_step,
    generator_step,
    has_batch_norm,
    start_state,
)

ONE_GP = Penalty("between", "two_sided", center=1.0, weight=10.0)
"""All the others, two steps of each: training/test_every_penalty.py."""


def game(name: str, penalty: Penalty, constraint: NoConstraint, *overrides: str) -> Game:
    generator, discriminator = pair(name, *overrides)
    adam = Adam(lr=1e-3, betas=(0.5, 0.9))
    return Game(discriminator, generator, Wasserstein(), penalty, constraint, adam)


def started(play: Game, seed: int = 0) -> tuple[dict[str, Any], Tensor, Tensor]:
    """(state, reals [2, 3, ...] and latents [2, 3, 3] of two steps with a batch of 3)."""
    d, g = (
        {k: p.detach().clone() for k, p in net.named_parameters()}
        for net in (play.discriminator, play.generator)
    )
    latent = noise(2, 3, 3, seed=seed + 1)
    shape = play.generator(latent[0]).shape[1:]
    state = start_state(play, d, g, 3, tuple(shape))
    return state, torch.rand(2, 3, *shape, dtype=torch.float64), latent


def two_steps(play: Game, way: Any, state: Any, real: Tensor, latent: Tensor) -> tuple[Any, Tensor]:
    u = torch.full((3,), 0.3, dtype=torch.float64)
    for x, z in zip(real, latent, strict=True):
        state, metrics = discriminator_step(play, way, state, {}, 1.0, x, z, u)
        state, _ = generator_step(play, way, state, {}, 1.0, z)
    return state, metrics


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_pair_trains_under_a_penalty_and_both_engines_agree(name: str) -> None:
    play = game(name, ONE_GP, SpectralNorm() if name == "sagan" else NoConstraint())
    state, real, latent = started(play)
    after, metrics = two_steps(play, AUTOGRAD, copied(state), real, latent)
    assert metrics.isfinite().all()
    for net in ("d", "g"):
        moved = [k for k in state[net] if not torch.equal(state[net][k], after[net][k])]
        assert set(moved) >= {k for k in state[net] if k.endswith("output.weight")}
        assert all(p.isfinite().all() for p in after[net].values())
    assert metrics[1] > 0
    same(two_steps(play, FUNC, state, real, latent)[0]["g"], after["g"], 1e-7)


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_a_stack_of_dcgans_is_each_of_them_alone(norm: str) -> None:
    play = game("dcgan_lsun", ONE_GP, NoConstraint(), f"discriminator.norm={norm}")
    alone = []
    for seed in range(3):
        pairs = pair("dcgan_lsun", f"discriminator.norm={norm}", seed=seed)
        alone.append(started(Game(pairs[1], pairs[0], *_rest(play)), seed))
    states = stacked([state for state, _, _ in alone])
    real, latent = (torch.stack([a[i] for a in alone]) for i in (1, 2))
    together, metrics = vmap(lambda s, x, z: two_steps(play, FUNC, s, x, z))(states, real, latent)
    for r, (state, x, z) in enumerate(alone):
        after, one = two_steps(play, AUTOGRAD, state, x, z)
        same(replica(together, r), after, 1e-8)
        same(metrics[r], one, 1e-8)


def _rest(play: Game) -> tuple[Any, ...]:
    return play.loss, play.penalty, play.constraint, play.optimizer


@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n not in ("mlp_mnist", "char_cnn")])
def test_batch_norm_is_recognised_in_every_critic_and_layer_norm_is_none(name: str) -> None:
    if name == "resnet2_imagenet":
        assert not any(has_batch_norm(net) for net in pair(name))
        return
    for norm, coupled in (("batch", True), ("layer", False), ("none", False)):
        critic = pair(name, f"discriminator.norm={norm}")[1]
        assert has_batch_norm(critic) is coupled
        x = pair(name)[0](noise(4, 3))
        alone = torch.cat([critic(x[i : i + 2]) for i in (0, 2)])
        assert torch.allclose(critic(x), alone, rtol=1e-9, atol=1e-12) is not coupled


def test_a_penalised_critic_with_batch_norm_is_refused_and_one_with_layer_norm_is_not() -> None:
    base = ("architecture=dcgan_mnist", "penalty=one_gp", "tracking=none", "probe=[]")
    with pytest.raises(BadInput, match="batch norm couples the samples"):
        setup(config_of("architecture.discriminator.norm=batch", base=base))
    # The next thing that is wrong here are the data, which are points.
    with pytest.raises(BadInput, match=r"generates samples of shape \[1, 28, 28\]"):
        setup(config_of("architecture.discriminator.norm=layer", base=base))


def on_pixels(tmp_path: Path, name: str, pixels: str, output: str) -> None:
    """Sets a run up on digits of that scale, with a generator of that output."""
    write_mnist(tmp_path / "mnist")
    key = "output_activation" if name == "mlp_mnist" else "output"
    digits = ("dataset=mnist", f"dataset.root={tmp_path}/mnist", "dataset.source.checksum=false")
    nets = (f"architecture={name}", f"architecture.generator.{key}={output}", "batch_size=2")
    little = "architecture.width=2" if name == "mlp_mnist" else "architecture.filters=1"
    base = (*digits, f"dataset.pixels={pixels}", *nets, little, "tracking=none", "device=cpu")
    setup(config_of(base=base))


@pytest.mark.seconds
@pytest.mark.parametrize("name", ["dcgan_mnist", "mlp_mnist"])
def test_a_generator_that_cannot_reach_the_pixels_is_refused_and_another_is_not(
    name: str, tmp_path: Path
) -> None:
    reached = {
        "tanh": ("minus_one_one", "zero_one", "lipschitz_authors"),
        "sigmoid": ("zero_one",),
        "identity": ("minus_one_one", "zero_one", "mnist_authors", "lipschitz_authors"),
    }
    for output, pixels in itertools.product(reached, SCALES):
        with (
            nullcontext()
            if pixels in reached[output]
            else pytest.raises(BadInput, match=rf"dataset\.pixels={pixels}: .*={output} reaches")
        ):
            on_pixels(tmp_path, name, pixels, output)


def test_the_refusal_of_a_generator_s_range_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refusal:
        on_pixels(tmp_path, "dcgan_mnist", "minus_one_one", "sigmoid")
    assert str(refusal.value) == (
        "dataset.pixels=minus_one_one: the pixels lie in [-1, 1], and"
        " architecture.generator.output=sigmoid reaches no further than [0, 1];"
        " write dataset.pixels=zero_one, or architecture.generator.output=tanh or identity"
    )


@pytest.mark.parametrize("name", ["dcgan_mnist", "dcgan_cifar"])
def test_batch_norm_of_the_first_layer_normalises_each_unit_by_itself_as_the_authors_do(
    name: str,
) -> None:
    generator, _ = pair(name, "generator.norm=batch")
    x = generator.start[0](generator.input(noise(50, 3)).unflatten(1, (-1, 4, 4)))
    torch.testing.assert_close(x.mean(0), torch.zeros_like(x[0]))
    torch.testing.assert_close(x.var(0, correction=0), torch.ones_like(x[0]), rtol=0, atol=1e-2)


def test_unit_batch_norm_is_recognised_too() -> None:
    net = DCGANGenerator(3, 16, 1, 2, norm="batch", input_norm="unit")
    assert sum(isinstance(m, nn.BatchNorm1d) for m in net.modules()) == 1
    assert has_batch_norm(net)
