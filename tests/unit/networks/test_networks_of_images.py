"""The networks of images and texts are the papers' and fit each other; random ones are seeded."""

import pytest
import torch
from image_networks import ARCHITECTURES, architecture, noise, pair
from scipy import stats
from torch import nn

from gp_lab.errors import BadInput
from gp_lab.instantiate import instantiate
from gp_lab.networks import random_architectures
from gp_lab.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gp_lab.networks.mlp import MLP
from gp_lab.training.step import (
    has_batch_norm,
)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_files_of_images_build_pairs_that_fit_each_other(name: str) -> None:
    node = architecture(name)
    assert node["name"] == name
    assert node["latent"]["dim"] == node["latent_dim"]
    generator, discriminator = pair(name)
    fakes = generator(noise(5, 3))
    size = 28 if name == "dcgan_mnist" else 32 if name == "resnet2_imagenet" else 16
    shape = (node.get("channels"), size, size)
    shape = {"char_cnn": (5, 6), "mlp_mnist": (1, 6, 6)}.get(name, shape)  # type: ignore[assignment]
    assert fakes.shape == (5, *shape)
    assert discriminator(fakes).shape == (5,)
    assert discriminator(fakes).isfinite().all()
    low, high = {"dcgan_mnist": (0, 1), "char_cnn": (0, 1), "mlp_mnist": (-9, 9)}.get(name, (-1, 1))
    assert low <= fakes.min() < fakes.max() <= high


def test_generated_texts_are_distributions_over_the_characters() -> None:
    texts = pair("char_cnn")[0](noise(4, 3))
    torch.testing.assert_close(texts.sum(2), torch.ones(4, 5, dtype=torch.float64))


def test_an_mlp_of_images_is_the_flat_one_in_another_shape() -> None:
    image = MLP(3, (2, 4, 5), 1, 6, output_activation="tanh").double()
    flat = MLP(3, 40, 1, 6).double()
    flat.load_state_dict(image.state_dict())
    z = noise(7, 3)
    torch.testing.assert_close(image(z).flatten(1), torch.tanh(flat(z)))


@pytest.mark.parametrize("depth", [4, 8, 12, 20])
@pytest.mark.parametrize("size", [28, 32])
def test_depth_counts_the_layers_with_weights(depth: int, size: int) -> None:
    nets = (
        DCGANGenerator(3, size, 1, 2, depth=depth),
        DCGANDiscriminator(size, 1, 2, depth=depth),
    )
    for net in nets:
        kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
        assert sum(isinstance(m, kinds) for m in net.modules()) == depth
    assert nets[1](nets[0](noise(2, 3).float())).shape == (2,)


def test_impossible_networks_are_refused_with_the_key() -> None:
    refusals = {
        ("dcgan_cifar", "size=24"): r"architecture\.generator\.size=24: halved",
        ("dcgan_cifar", "generator.kernel=4"): r"generator\.kernel=4: must be odd",
        ("dcgan_random", "generator.depth=2"): r"generator\.depth=2: too few layers",
        ("dcgan_cifar", "generator.norm=group"): r"generator\.norm=group: no such choice.*layer",
        ("resnet_cifar", "size=28"): r"generator\.size=28: not 4 times a power of 2",
        ("resnet_101", "filters=6"): r"generator\.filters=6: not a multiple of 4",
        ("resnet2_imagenet", "size=48"): r"generator\.size=48: not a multiple of 32",
        ("sagan", "attention=16"): r"generator\.attention=16: choose from 8",
        ("mlp_mnist", "width=0"): r"generator\.width=0: must be at least 1",
    }
    for (name, override), message in refusals.items():
        with pytest.raises(BadInput, match=message):
            pair(name, override)


# Random architectures


def test_random_architectures_are_seeded_and_a_longer_list_begins_with_a_shorter() -> None:
    sample = random_architectures.sample
    assert sample(1, 5) == sample(1, 200)[:5]
    assert sample(1, 5) != sample(2, 5)


def test_every_choice_of_table_1_is_uniform_and_independent_between_the_nets() -> None:
    pairs = random_architectures.sample(0, 3000)
    choices = {"activation": 4, "depth": 4, "normalised": 2, "filters": 3}
    for field, number in choices.items():
        g, d = (
            [getattr(getattr(p, net), field) for p in pairs]
            for net in ("generator", "discriminator")
        )
        table = [[0] * number for _ in range(number)]
        names = sorted({*g})
        assert len(names) == len({*d}) == number
        for a, b in zip(g, d, strict=True):
            table[names.index(a)][names.index(b)] += 1
        assert stats.chisquare([n for row in table for n in row]).pvalue > 0.001


@pytest.mark.parametrize("number", [0, 35, 146])
def test_a_pair_of_table_1_is_chosen_by_its_number(number: int) -> None:
    choice = random_architectures.sample(2)[number]
    by_number = architecture(
        "dcgan_table1", "architecture.list_seed=2", f"architecture.pair={number}"
    )
    by_hand = architecture("dcgan_random", *choice.overrides("layer"))
    with torch.device("meta"):
        nets = [
            [instantiate(node[n], f"architecture.{n}") for n in ("generator", "discriminator")]
            for node in (by_number, by_hand)
        ]
    for a, b in zip(*nets, strict=True):
        assert str(a).partition("\n")[2] == str(b).partition("\n")[2]
    generator, discriminator = nets[0]
    assert has_batch_norm(generator) is choice.generator.normalised
    assert not has_batch_norm(discriminator)


def test_a_pair_of_table_1_that_has_a_norm_takes_the_standard_gan_s_on_request() -> None:
    critic = pair("dcgan_table1", "discriminator.norm=batch")[1]
    assert random_architectures.sample(0)[35].discriminator.normalised
    assert has_batch_norm(critic)
