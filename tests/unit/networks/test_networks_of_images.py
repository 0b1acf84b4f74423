"""The networks of images and texts are the papers', fit their data, and train under penalties."""

import itertools
import runpy
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import CLONE, copied, nodes_of, replica, same, stacked
from image_files import write_mnist
from image_networks import CONDITIONAL, architecture, pair
from lab import config_of
from scipy import stats
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional

from gp_lab.data.images import SCALES
from gp_lab.errors import BadInput
from gp_lab.instantiate import instantiate
from gp_lab.networks import random_architectures
from gp_lab.networks.convolution import (
    Convolution,
    Gate,
    UpConvolution,
    norm_layer,
    resolutions,
)
from gp_lab.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gp_lab.networks.mlp import MLP
from gp_lab.networks.resnet import BottleneckBlock, ResidualBlock
from gp_lab.networks.sagan import SelfAttention
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

PARAMETERS = runpy.run_path(str(CLONE / "scripts" / "parameters.py"))
ARCHITECTURES = [
    name
    for name, node in nodes_of("architecture").items()
    if "connection" not in node and name not in CONDITIONAL
]


def noise(*shape: int, seed: int = 1) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=rng)


# Layers


@pytest.mark.parametrize(
    ("pixels", "kernel", "before", "after"),
    [(28, 5, 1, 2), (14, 5, 1, 2), (7, 5, 2, 2), (8, 3, 0, 1), (8, 1, 0, 0)],
)
def test_strided_convolutions_pad_as_tensorflows_same(
    pixels: int, kernel: int, before: int, after: int
) -> None:
    layer, x = Convolution(2, 3, kernel, stride=2).double(), noise(4, 2, pixels, pixels)
    padded = torch.zeros(4, 2, pixels + before + after, pixels + before + after).double()
    padded[..., before : before + pixels, before : before + pixels] = x
    by_hand = functional.conv2d(padded, layer.weight, layer.bias, stride=2)
    assert layer(x).shape == (4, 3, -(-pixels // 2), -(-pixels // 2))
    torch.testing.assert_close(layer(x), by_hand)


@pytest.mark.parametrize("kernel", [3, 5])
def test_up_convolution_is_the_transpose_of_a_strided_convolution(kernel: int) -> None:
    up, down = UpConvolution(3, 2, kernel).double(), Convolution(2, 3, kernel, stride=2).double()
    with torch.no_grad():
        down.weight.copy_(up.weight)  # both [3, 2, kernel, kernel]; biases are 0
    x, y = noise(1, 2, 8, 8), noise(1, 3, 4, 4, seed=2)
    torch.testing.assert_close((down(x) * y).sum(), (x * up(y)).sum())


@pytest.mark.parametrize(
    ("init", "layer", "std"),
    [
        ("he", lambda i: Convolution(20, 30, 5, 2, i), (4 / (20 * 25 + 30 * 25 / 4)) ** 0.5),
        ("glorot", lambda i: Convolution(20, 30, 3, 1, i), (2 / (20 * 9 + 30 * 9)) ** 0.5),
        ("small", lambda i: Convolution(20, 30, 3, 1, i), 0.02),
        ("he", lambda i: UpConvolution(20, 30, 5, i), (4 / (20 * 25 / 4 + 30 * 25)) ** 0.5),
    ],
)
def test_convolutions_begin_uniform_with_the_authors_standard_deviation(
    init: str, layer: Any, std: float
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = layer(init)
    weights = made.weight.detach().double().flatten()
    bound = std * 3**0.5
    assert stats.kstest(weights.numpy(), stats.uniform(-bound, 2 * bound).cdf).pvalue > 0.01
    assert not made.bias.any()


def test_layer_norm_is_over_channels_and_pixels_with_a_scale_and_a_shift_a_channel() -> None:
    norm, x = norm_layer("layer", 3).double(), 2 + 3 * noise(5, 3, 4, 4)
    scale, shift = noise(3, seed=2), noise(3, seed=3)
    y = functional_call(norm, {"weight": scale, "bias": shift}, (x,))
    by_hand = functional.layer_norm(x, (3, 4, 4))
    by_hand = by_hand * scale[:, None, None] + shift[:, None, None]
    torch.testing.assert_close(y, by_hand)


def test_batch_norm_keeps_nothing_and_uses_the_batch_in_evaluation_too() -> None:
    norm, x = norm_layer("batch", 3).double(), 2 + 3 * noise(5, 3, 4, 4)
    assert not list(norm.buffers())
    assert torch.equal(norm.eval()(x), norm.train()(x))
    assert norm(x).mean((0, 2, 3)).abs().max() < 1e-12


def test_a_gate_multiplies_the_sigmoid_of_even_and_the_tanh_of_odd_channels() -> None:
    x = noise(2, 4, 1, 1)
    by_hand = [torch.sigmoid(x[:, i]) * torch.tanh(x[:, i + 1]) for i in (0, 2)]
    torch.testing.assert_close(Gate()(x), torch.stack(by_hand, 1))


def test_resolutions_halve_to_four_and_refuse_what_does_not() -> None:
    assert resolutions(28) == (4, 7, 14, 28)
    assert resolutions(64) == (4, 8, 16, 32, 64)
    for size in (4, 3, 24, 40):
        with pytest.raises(ValueError, match=f"size={size}: "):
            resolutions(size)


@pytest.mark.parametrize("resample", ["none", "up", "down"])
def test_residual_blocks_resample_in_the_order_of_the_authors_code(resample: Any) -> None:
    block, x = ResidualBlock(2, 3, resample).double(), noise(2, 2, 4, 4)

    def up(y: Tensor) -> Tensor:
        return y.repeat_interleave(2, 2).repeat_interleave(2, 3) if resample == "up" else y

    def down(y: Tensor) -> Tensor:
        return y.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).mean((3, 5)) if down_too else y

    down_too = resample == "down"
    by_hand = down(block.shortcut(up(x))) + down(block.conv2(block.conv1(up(x.relu())).relu()))
    torch.testing.assert_close(block(x), by_hand)


def test_bottleneck_blocks_add_three_tenths_of_their_convolutions() -> None:
    block, x = BottleneckBlock(4, 4).double(), noise(2, 4, 3, 3)
    torch.testing.assert_close((block(x) - x) / 0.3, block.f(x))


def test_self_attention_is_equation_1_to_3_and_begins_as_the_identity() -> None:
    layer, x = SelfAttention(8).double(), noise(2, 8, 3, 3)
    torch.testing.assert_close(layer(x), x, rtol=0, atol=0)
    with torch.no_grad():
        layer.gamma.fill_(0.7)
    f, g, h, v = (m.weight.detach()[:, :, 0, 0] for m in (layer.f, layer.g, layer.h, layer.v))
    for image, out in zip(x.flatten(2), layer(x).flatten(2), strict=True):
        for j in range(9):
            s = torch.stack([(f @ image[:, i]) @ (g @ image[:, j]) for i in range(9)])
            o = v @ (h @ image * s.softmax(0)).sum(1)
            torch.testing.assert_close(out[:, j], image[:, j] + 0.7 * o)


# Networks


def conv(inputs: int, outputs: int, kernel: int, norm: int = 0) -> int:
    return inputs * outputs * kernel**2 + outputs + 2 * norm


def res(inputs: int, outputs: int, hidden: int, norm: bool, shortcut: bool, bias: bool) -> int:
    """Weights of a residual block of two 3 x 3 convolutions."""
    convolutions = 9 * hidden * (inputs + outputs) + outputs + bias * hidden
    return convolutions + shortcut * conv(inputs, outputs, 1) + norm * 2 * (inputs + hidden)


def neck(inputs: int, outputs: int, shortcut: int = 0) -> int:
    a, b = inputs // 2, outputs // 2
    return inputs * a + a + 9 * a * b + b + b * outputs + 2 * outputs + shortcut


def by_hand() -> dict[str, tuple[int, int]]:
    """Parameters of G and D, counted from the authors' code, layer by layer."""
    d_64 = [conv(3, 64, 5), conv(64, 128, 5, 128), conv(128, 256, 5, 256), conv(256, 512, 5, 512)]
    d_lsun = sum(d_64) + 8192 + 1
    g_up = [(512, 256), (256, 128), (128, 64)]
    g_lsun = 129 * 8192 + 2 * 512 + sum(conv(i, o, 5, o) for i, o in g_up) + conv(64, 3, 5)
    characters = 5 * 2 * (5 * 512 * 512 + 512)  # in one dimension
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
            129 * 16384 + 2048 + sum(conv(i, 2 * o, 5, 2 * o) for i, o in g_up) + conv(64, 3, 5),
            sum((conv(3, 128, 5), conv(64, 256, 5, 256), conv(128, 512, 5, 512)))
            + conv(256, 1024, 5, 1024)
            + 8193,
        ),
        "mlp_lsun": (129 * 512 + 3 * 513 * 512 + 513 * 12288, d_lsun),
        "mlp_mnist": (51 * 512 + 2 * 513 * 512 + 513 * 784, 785 * 512 + 2 * 513 * 512 + 513),
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
        "resnet_cifar": (g_cifar, d_cifar),
        "resnet_cifar_ac_gan": (g_classes, d_cifar + 129 * 10),
        "resnet_cifar_projection": (g_classes, d_cifar + 128 * 10),
        # attention: 1 x 1 convolutions without bias to an eighth of the channels, and gamma
        "sagan": (
            129 * 8192 + res(512, 512, 512, True, True, True)
            + sum(res(i, o, o, True, True, True) for i, o in g_up)
            + 4 * 128 * 16 + 1 + 128 + conv(64, 3, 3),
            conv(3, 64, 3) + conv(64, 64, 3) + conv(3, 64, 1) + 4 * 64 * 8 + 1
            + sum(res(i, o, o, False, True, True) for o, i in g_up)
            + res(512, 512, 512, False, False, True) + 513,
        ),
        "resnet_lsun": (
            129 * 8192 + res(512, 512, 512, True, True, False)
            + sum(res(i, o, o, True, True, False) for i, o in g_up) + 128 + conv(64, 3, 3),
            conv(3, 64, 3) + res(512, 512, 512, True, True, False)
            + sum(res(i, o, i, True, True, False) for o, i in g_up) + 8193,
        ),
        "resnet_101": (
            129 * 8192 + sum(bottlenecks) + sum(ups) + conv(32, 3, 1),
            conv(3, 32, 1) + sum(bottlenecks) + sum(downs) + 8193,
        ),
        "resnet2_imagenet": (
            1000 * 128 + (128 + 128 + 1) * 2048 + g_resnet2 + conv(32, 3, 3),
            conv(3, 32, 3) + d_resnet2 + 2049 * 1000,
        ),
        "char_cnn": (
            129 * 512 * 32 + characters + conv(512, 96, 1),
            conv(96, 512, 1) + characters + 512 * 32 + 1,
        ),
    }  # fmt: skip


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


# Training


ONE_GP = Penalty("between", "two_sided", center=1.0, weight=10.0)
"""All the others, two steps of each: tests/test_every_penalty.py."""


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
