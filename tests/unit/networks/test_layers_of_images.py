"""Layers of the networks of images: the authors' padding, norms, blocks and attention."""

from typing import Any

import pytest
import torch
from image_networks import noise
from scipy import stats
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from gp_lab.networks.convolution import (
    Convolution,
    Gate,
    UpConvolution,
    norm_layer,
    resolutions,
)
from gp_lab.networks.residual import BottleneckBlock, ResidualBlock
from gp_lab.networks.sagan import SelfAttention


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
