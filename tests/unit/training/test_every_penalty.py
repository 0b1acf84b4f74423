"""Every architecture trains under every penalty: two steps of D, G and the encoder, in float64."""

from typing import Any

import pytest
import torch
from helpers import built, copied, names_in, nodes_of, normal, parameters, uniform
from image_networks import CONDITIONAL, LITTLE, SMALL, architecture
from omegaconf import OmegaConf
from torch import Tensor, nn

from gp_lab.instantiate import instantiate
from gp_lab.networks.conditional import classes_of
from gp_lab.networks.mlp import MLP
from gp_lab.objectives.constraints import NoConstraint
from gp_lab.objectives.losses import Wasserstein
from gp_lab.training.optimizers import Adam
from gp_lab.training.step import (
    AUTOGRAD,
    Game,
    discriminator_step,
    generator_step,
    start_state,
)

BATCH = 3
CLASSES = 2
LABELS = torch.tensor([1, 0, 1])

PENALTIES = names_in("penalty")
TAKING_CLASSES = sorted({*CONDITIONAL, "resnet2_imagenet", "resnet_lsun", "sagan"})
CASES = [(name, 0) for name in names_in("architecture") if name not in CONDITIONAL] + [
    (name, CLASSES) for name in TAKING_CLASSES
]
"""(architecture, how many classes it takes)."""


def little(name: str, classes: int) -> Any:
    """The node of an architecture with few units, most of them of the 2-D kind."""
    flat = "connection" in OmegaConf.to_yaml(OmegaConf.create(architecture(name)))
    if flat and name not in SMALL:
        overrides = ["width=7", "depth=2"] if name != "linear" else []
    else:
        overrides = [o for o in SMALL.get(name, LITTLE) if not o.startswith("classes=")]
    if name in TAKING_CLASSES:
        overrides = [*overrides, f"classes={classes}"]
    return architecture(name, *(f"architecture.{o}" for o in overrides))


def nets_of(node: Any) -> tuple[nn.Module, nn.Module]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        g, d = (instantiate(node[n], f"architecture.{n}") for n in ("generator", "discriminator"))
    return g.double(), d.double()


def encoder_of(node: Any, shape: tuple[int, ...]) -> nn.Module:
    """The architecture's own encoder, or a little one from its samples to its latents."""
    if "encoder" in node:
        return instantiate(node["encoder"], "architecture.encoder").double()
    return MLP(shape, node.get("latent_dim", 2), depth=1, width=4).double()


def penalty_for(name: str, discriminator: nn.Module) -> Any:
    """A point that is carried over has no class: where D takes them, none is carried."""
    changes = {"anchor": [0.5], "carry": 0.0 if classes_of(discriminator) else 0.5}
    known = nodes_of("penalty")[name]
    return built("penalty", name, **{k: v for k, v in changes.items() if k in known})


@pytest.mark.seconds
@pytest.mark.parametrize(("name", "classes"), CASES)
def test_every_architecture_takes_two_steps_under_every_penalty(name: str, classes: int) -> None:
    node = little(name, classes)
    generator, discriminator = nets_of(node)
    given = "channels" in node and "latent_dim" not in node  # images that no generator makes
    of_one = instantiate(node["latent"], "latent").shape if given else (node.get("latent_dim", 2),)
    latent = normal(2, BATCH, *of_one, seed=1)
    labels: tuple[Tensor, ...] = (LABELS,) if classes else ()
    shape = tuple(generator(latent[0], *labels[: classes_of(generator)]).shape[1:])
    real, u = uniform(2, BATCH, *shape, seed=2), torch.full((BATCH,), 0.3).double()
    head = node.get("classification")
    for each in PENALTIES:
        penalty = penalty_for(each, discriminator)
        if penalty.measure == "latent_path" and (given or classes_of(generator)):
            continue  # no latents to walk among; with classes refused: networks/test_classes.py
        encodes = penalty.measure == "latent_path" or "encoder" in node
        game = Game(
            discriminator,
            generator,
            Wasserstein(),
            penalty,
            NoConstraint(),
            Adam(lr=1e-3, betas=(0.5, 0.9)),
            encoder=encoder_of(node, shape) if encodes else None,
            classification=instantiate(head, "architecture.classification") if head else None,
        )
        started = [
            parameters(net) for net in (discriminator, generator, game.encoder) if net is not None
        ]
        state = start_state(game, *started[:2], BATCH, shape, *started[2:])
        before = copied(state)
        for x, z in zip(real, latent, strict=True):
            state, metrics = discriminator_step(game, AUTOGRAD, state, {}, 1.0, x, z, u, labels)
            if started[1]:
                state, _ = generator_step(game, AUTOGRAD, state, {}, 1.0, z, labels)
        assert metrics.isfinite().all(), each
        may_be_0 = each in ("none", "cross_pairs", "one_gp_one_sided")
        assert metrics[1] > 0 or may_be_0, each
        for net in {"d", "g", "encoder"} & state.keys():
            assert all(p.isfinite().all() for p in state[net].values()), (each, net)
            assert not before[net] or any(
                not torch.equal(p, before[net][k]) for k, p in state[net].items()
            ), (each, net)
        assert state["hardest"].isfinite().all(), each
