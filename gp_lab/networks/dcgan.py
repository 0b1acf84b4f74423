"""DCGAN generators and discriminators of images, with the variants of `wgan_gp`, Figs. 2 and 3.

Layouts of the authors' code: 5 x 5 kernels, stride 2, features from 4 x 4 pixels up. `mu_wgan`
takes over its MNIST and CIFAR-10 nets.
"""

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from gp_lab.fields import Count, Few
from gp_lab.instantiate import Checked
from gp_lab.networks import layers
from gp_lab.networks.convolution import (
    START,
    ConvInit,
    Convolution,
    Gate,
    UnitBatchNorm,
    UpConvolution,
    linear,
    norm_layer,
    resolutions,
)
from gp_lab.networks.layers import Activation, Output
from gp_lab.networks.mlp import Norm

ImageActivation = Activation | Literal["gated"]


class DCGANGenerator(Checked, nn.Module):
    """z [batch, latent_dim] -> images [batch, channels, size, size].

    A linear layer to 4 x 4, then a transposed convolution for each doubling, the number of filters
    halved each time, to `filters` in the last hidden layer (`constant_filters`: that many in all).
    Norm and activation follow every layer but the last, which has `output`. With `gated` a layer
    has twice the filters, see `convolution.Gate`.

    Args:
        size: of the image; 28 is made as 4, 8 cut to 7, 14, 28 (the authors' MNIST code).
        norm: `layer` and `batch` have a scale and a shift a channel. `input_norm=unit` gives each
            unit of the first layer a batch norm of its own (the authors' MNIST and CIFAR-10 code).
        depth: layers with weights; null for 1 + the number of doublings. Layers beyond those are
            convolutions of stride 1, spread evenly over the hidden resolutions; of what cannot be
            spread evenly, one more at each of the smallest (the depths of `wgan_gp`, Table 1, do
            not come with a layout: an assumption).

    Weights come from the global generator. Raises ValueError for a `size` that does not halve to 4,
    a `depth` too small for it or an even `kernel`.
    """

    def __init__(
        self,
        latent_dim: Count,
        size: Count,
        channels: Count,
        filters: Count = 64,
        kernel: Count = 5,
        norm: Norm = "batch",
        input_norm: Literal["channel", "unit"] = "channel",
        activation: ImageActivation = "relu",
        output: Output = "tanh",
        init: ConvInit = "he",
        constant_filters: bool = False,
        depth: Few | None = None,
    ) -> None:
        super().__init__()
        self.sizes = resolutions(size)
        extra = _extra_layers(depth, len(self.sizes))
        doublings = len(self.sizes) - 1
        widths = [filters * (1 if constant_filters else 2**i) for i in reversed(range(doublings))]
        factor = 2 if activation == "gated" else 1
        self.input = linear(latent_dim, factor * widths[0] * START**2, init)
        per_unit = input_norm == "unit" and norm == "batch"
        self.start = nn.Sequential(
            UnitBatchNorm(factor * widths[0], START, START)
            if per_unit
            else norm_layer(norm, factor * widths[0]),
            _activation(activation),
            *_same_size(widths[0], extra[0], kernel, norm, activation, init),
        )
        self.stages = nn.ModuleList(
            nn.Sequential(
                UpConvolution(before, factor * after, kernel, init),
                norm_layer(norm, factor * after),
                _activation(activation),
                *_same_size(after, more, kernel, norm, activation, init),
            )
            for (before, after), more in zip(pairwise(widths), extra[1:], strict=True)
        )
        self.output = UpConvolution(widths[-1], channels, kernel, init)
        self.output_activation = layers.output_activation(output)

    def forward(self, z: Tensor) -> Tensor:
        x = self.start(self.input(z).unflatten(1, (-1, START, START)))
        for stage, size in zip(self.stages, self.sizes[1:-1], strict=True):
            x = stage(x)[..., :size, :size]
        x = self.output(x)[..., : self.sizes[-1], : self.sizes[-1]]
        return self.output_activation(x)


class DCGANDiscriminator(Checked, nn.Module):
    """Images [batch, channels, size, size] -> logits [batch].

    A convolution of stride 2 for each halving down to 4 x 4, the number of filters doubled each
    time from `filters`, then a linear layer. Norm and activation follow every convolution, no norm
    the first one. `depth`, `gated` and errors as in `DCGANGenerator`.
    """

    def __init__(
        self,
        size: Count,
        channels: Count,
        filters: Count = 64,
        kernel: Count = 5,
        norm: Norm = "none",
        activation: ImageActivation = "leaky_relu",
        init: ConvInit = "he",
        depth: Few | None = None,
    ) -> None:
        super().__init__()
        sizes = resolutions(size)
        extra = reversed(_extra_layers(depth, len(sizes)))
        widths = [filters * 2**i for i in range(len(sizes) - 1)]
        factor = 2 if activation == "gated" else 1
        self.stages = nn.Sequential(
            *(
                nn.Sequential(
                    Convolution(before, factor * after, kernel, stride=2, init=init),
                    norm_layer("none" if i == 0 else norm, factor * after),
                    _activation(activation),
                    *_same_size(after, more, kernel, norm, activation, init),
                )
                for i, ((before, after), more) in enumerate(
                    zip(pairwise([channels, *widths]), extra, strict=True)
                )
            )
        )
        self.output = linear(widths[-1] * START**2, 1, init)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.stages(x).flatten(1)).squeeze(1)


def _activation(name: ImageActivation) -> nn.Module:
    return Gate() if name == "gated" else layers.activation(name)


def _same_size(
    width: int,
    number: int,
    kernel: int,
    norm: Norm,
    activation: ImageActivation,
    init: ConvInit,
) -> list[nn.Module]:
    factor = 2 if activation == "gated" else 1
    return [
        nn.Sequential(
            Convolution(width, factor * width, kernel, init=init),
            norm_layer(norm, factor * width),
            _activation(activation),
        )
        for _ in range(number)
    ]


def _extra_layers(depth: int | None, least: int) -> list[int]:
    """How many more layers at each hidden resolution, from the smallest."""
    if depth is None:
        depth = least
    if depth < least:
        raise ValueError(f"depth={depth}: too few layers for this size; it takes {least}")
    even, rest = divmod(depth - least, least - 1)
    return [even + (i < rest) for i in range(least - 1)]
