"""Networks of images and texts have as many parameters as the authors' layers add up to."""

import itertools
import runpy

import pytest
import torch
from helpers import CLONE
from image_networks import architecture
from torch import nn

from gp_lab.instantiate import instantiate

PARAMETERS = runpy.run_path(str(CLONE / "scripts" / "parameters.py"))


def conv(inputs: int, outputs: int, kernel: int, norm: int = 0) -> int:
    return inputs * outputs * kernel**2 + outputs + 2 * norm


def res(inputs: int, outputs: int, hidden: int, norm: bool, shortcut: bool, bias: bool) -> int:
    """Weights of a residual block of two 3 x 3 convolutions."""
    convolutions = 9 * hidden * (inputs + outputs) + outputs + bias * hidden
    return convolutions + shortcut * conv(inputs, outputs, 1) + norm * 2 * (inputs + hidden)


def neck(inputs: int, outputs: int, shortcut: int = 0) -> int:
    a, b = inputs // 2, outputs // 2
    return inputs * a + a + 9 * a * b + b + b * outputs + 2 * outputs + shortcut


G_UP = [(512, 256), (256, 128), (128, 64)]
"""Channels into and out of the upper layers of the generators of 64 x 64 pixels."""


def dcgans() -> dict[str, tuple[int, int]]:
    d_64 = [conv(3, 64, 5), conv(64, 128, 5, 128), conv(128, 256, 5, 256), conv(256, 512, 5, 512)]
    d_lsun = sum(d_64) + 8192 + 1
    g_lsun = 129 * 8192 + 2 * 512 + sum(conv(i, o, 5, o) for i, o in G_UP) + conv(64, 3, 5)
    return {
        # 4 x 4 x 256, then 5 x 5 to 128, 64 and 1 channels; and back
        "dcgan_mnist": (
            129 * 4096 + conv(256, 128, 5) + conv(128, 64, 5) + conv(64, 1, 5),
            conv(1, 64, 5) + conv(64, 128, 5) + conv(128, 256, 5) + 4096 + 1,
        ),
        "dcgan_cifar": (
            (129 + 2) * 8192 + conv(512, 256, 5, 256) + conv(256, 128, 5, 128) + conv(128, 3, 5),
            conv(3, 128, 5) + conv(128, 256, 5) + conv(256, 512, 5) + 8192 + 1,
        ),
        "dcgan_lsun": (g_lsun, d_lsun),
        "dcgan_lsun_tanh": (g_lsun, d_lsun),
        "dcgan_lsun_no_norm": (
            g_lsun - 2 * (512 + 256 + 128 + 64),
            d_lsun - 2 * (128 + 256 + 512),
        ),
        "dcgan_lsun_constant": (129 * 1024 + 3 * conv(64, 64, 5) + conv(64, 3, 5), d_lsun),
        "dcgan_lsun_gated": (
            129 * 16384 + 2048 + sum(conv(i, 2 * o, 5, 2 * o) for i, o in G_UP) + conv(64, 3, 5),
            sum((conv(3, 128, 5), conv(64, 256, 5, 256), conv(128, 512, 5, 512)))
            + conv(256, 1024, 5, 1024)
            + 8193,
        ),
        "dcgan_random": (
            129 * 4096 + 2 * 256 + conv(256, 128, 5, 128) + conv(128, 64, 5, 64) + conv(64, 3, 5),
            conv(3, 64, 5) + conv(64, 128, 5, 128) + conv(128, 256, 5, 256) + 4096 + 1,
        ),
        # pair 0: a tanh generator of 20 layers with norm, a discriminator of 8 without; 32 filters
        "dcgan_table1": (
            129 * 2048 + 2 * 128 + 6 * conv(128, 128, 5, 128)
            + conv(128, 64, 5, 64) + 5 * conv(64, 64, 5, 64)
            + conv(64, 32, 5, 32) + 5 * conv(32, 32, 5, 32) + conv(32, 3, 5),
            conv(3, 32, 5) + conv(32, 32, 5) + conv(32, 64, 5) + conv(64, 64, 5)
            + conv(64, 128, 5) + 2 * conv(128, 128, 5) + 2048 + 1,
        ),
    }  # fmt: skip


def resnets_of_cifar() -> dict[str, tuple[int, int]]:
    g_cifar = 129 * 2048 + 3 * res(128, 128, 128, True, True, True) + 256 + conv(128, 3, 3)
    d_cifar = (
        conv(3, 128, 3)
        + conv(128, 128, 3)
        + conv(3, 128, 1)
        + res(128, 128, 128, False, True, True)
        + 2 * res(128, 128, 128, False, False, True)
        + 129
    )
    g_classes = g_cifar + 9 * 3 * 2 * (128 + 128)  # a scale and a shift for each of 10 classes
    return {
        "resnet_cifar": (g_cifar, d_cifar),
        "resnet_cifar_ac_gan": (g_classes, d_cifar + 129 * 10),
        "resnet_cifar_projection": (g_classes, d_cifar + 128 * 10),
    }


def resnets_of_64_pixels() -> dict[str, tuple[int, int]]:
    return {
        # attention: 1 x 1 convolutions without bias to an eighth of the channels, and gamma
        "sagan": (
            129 * 8192 + res(512, 512, 512, True, True, True)
            + sum(res(i, o, o, True, True, True) for i, o in G_UP)
            + 4 * 128 * 16 + 1 + 128 + conv(64, 3, 3),
            conv(3, 64, 3) + conv(64, 64, 3) + conv(3, 64, 1) + 4 * 64 * 8 + 1
            + sum(res(i, o, o, False, True, True) for o, i in G_UP)
            + res(512, 512, 512, False, False, True) + 513,
        ),
        "resnet_lsun": (
            129 * 8192 + res(512, 512, 512, True, True, False)
            + sum(res(i, o, o, True, True, False) for i, o in G_UP) + 128 + conv(64, 3, 3),
            conv(3, 64, 3) + res(512, 512, 512, True, True, False)
            + sum(res(i, o, i, True, True, False) for o, i in G_UP) + 8193,
        ),
    }  # fmt: skip


def deep_resnets() -> dict[str, tuple[int, int]]:
    bottlenecks = (
        [neck(c, c) for c in (512, 256, 128, 64) for _ in range(6)]
        + [neck(32, 32) for _ in range(5)]
    )  # fmt: skip
    widths = (512, 256, 128, 64, 32)
    ups = [neck(i, o, conv(i, 4 * o, 1)) for i, o in itertools.pairwise(widths)]
    downs = [neck(i, o, conv(i, o, 1)) for o, i in itertools.pairwise(widths)]
    two = [(16, 16), (16, 16), (16, 16), (16, 16), (16, 8), (8, 8), (8, 4), (4, 4), (4, 2), (2, 2)]
    two = [(32 * i, 32 * o) for i, o in [*two, (2, 1), (1, 1)]]
    weights = sum(9 * min(i, o) * (i + o) + (i * o if i != o else 0) for i, o in two)
    g_resnet2 = weights + sum(min(i, o) + o for i, o in two)
    d_resnet2 = weights + sum(min(i, o) + i for i, o in two)
    return {
        "resnet_101": (
            129 * 8192 + sum(bottlenecks) + sum(ups) + conv(32, 3, 1),
            conv(3, 32, 1) + sum(bottlenecks) + sum(downs) + 8193,
        ),
        "resnet2_imagenet": (
            1000 * 128 + (128 + 128 + 1) * 2048 + g_resnet2 + conv(32, 3, 3),
            conv(3, 32, 3) + d_resnet2 + 2049 * 1000,
        ),
    }


def by_hand() -> dict[str, tuple[int, int]]:
    """Parameters of G and D, counted from the authors' code, layer by layer."""
    characters = 5 * 2 * (5 * 512 * 512 + 512)  # in one dimension
    return {
        **dcgans(),
        **resnets_of_cifar(),
        **resnets_of_64_pixels(),
        **deep_resnets(),
        "mlp_lsun": (129 * 512 + 3 * 513 * 512 + 513 * 12288, dcgans()["dcgan_lsun"][1]),
        "mlp_mnist": (51 * 512 + 2 * 513 * 512 + 513 * 784, 785 * 512 + 2 * 513 * 512 + 513),
        "char_cnn": (
            129 * 512 * 32 + characters + conv(512, 96, 1),
            conv(96, 512, 1) + characters + 512 * 32 + 1,
        ),
    }


@pytest.mark.seconds
def test_the_table_of_parameters_has_what_the_authors_layers_add_up_to() -> None:
    assert PARAMETERS["counts"]() == by_hand()
    rows = [row.split("|")[1:4] for row in PARAMETERS["table"]().splitlines()[2:]]
    assert {
        name.strip(" `"): tuple(int(n.replace(",", "")) for n in both) for name, *both in rows
    } == by_hand()


def test_resnet2_without_classes_has_no_embedding_and_one_output() -> None:
    node = architecture("resnet2_imagenet", "architecture.classes=0")
    g, d = by_hand()["resnet2_imagenet"]
    assert PARAMETERS["counted"](node) == (g - 1000 * 128 - 128 * 2048, d - 2049 * 999)


def test_the_101_layer_resnet_has_101_layers_with_weights() -> None:
    node = architecture("resnet_101")
    with torch.device("meta"):
        net = instantiate(node["generator"], "architecture.generator")
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    layers = [name for name, m in net.named_modules() if isinstance(m, kinds)]
    assert len([name for name in layers if "shortcut" not in name]) == 101
