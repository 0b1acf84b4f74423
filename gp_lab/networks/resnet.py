"""Residual generators and discriminators of images.

`ResNet*`: CIFAR-10 (wgan_gp, App. F). `WideningResNet*`: the authors' 64 x 64 nets.
`BottleneckResNet*`: 101 layers (`wgan_gp`, Fig. 2). `Resnet2*`: GAN_stability's `resnet2`
(zero_gp, App. E.2). With `classes` a net takes labels, int64 [batch], beside its
input; the 101 layers take none.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from gp_lab.fields import Count, CountOrZero, Few, FewOrZero
from gp_lab.instantiate import Checked
from gp_lab.networks import layers
from gp_lab.networks.conditional import Head, Logits
from gp_lab.networks.convolution import START, Convolution, linear, nearest_up
from gp_lab.networks.layers import Output, leaky_relu, relu
from gp_lab.networks.mlp import Norm
from gp_lab.networks.residual import (
    BottleneckBlock,
    FirstBlock,
    ResidualBlock,
    ResidualGenerator,
    Resnet2Block,
    doublings,
    widths_of,
)


class ResNetGenerator(ResidualGenerator):
    """z [batch, latent_dim] -> images [batch, channels, size, size], `filters` in every block.

    A block that doubles the pixels until `size` is reached. wgan_gp, App. F (128
    filters, batch norm); the norm before the last convolution is in the code, as are the norms of
    each class (Table 3, supervised). Raises ValueError for a `size` that is not 4 times a power of
    2, or `classes` without batch norm.
    """

    def __init__(
        self,
        latent_dim: Count,
        size: Count,
        channels: Count,
        filters: Count = 128,
        norm: Norm = "batch",
        output: Output = "tanh",
        classes: CountOrZero = 0,
    ) -> None:
        blocks = (
            ResidualBlock(filters, filters, "up", norm, classes=classes)
            for _ in range(doublings(size))
        )
        super().__init__(latent_dim, filters, blocks, filters, channels, norm, output, classes)


class ResNetDiscriminator(Checked, nn.Module):
    """Images [batch, channels, h, w] -> logits [batch], `filters` in every block.

    Two blocks that halve the pixels, `blocks` that do not, ReLU, mean over the pixels, linear.
    wgan_gp, App. F (128 filters, 2 blocks, no norm). `norm` is inside the blocks, not
    in the first one. `classes` and `head_classes`: see `conditional.Head`.
    """

    def __init__(
        self,
        channels: Count,
        filters: Count = 128,
        norm: Norm = "none",
        blocks: FewOrZero = 2,
        classes: CountOrZero = 0,
        head_classes: CountOrZero = 0,
    ) -> None:
        super().__init__()
        self.classes, self.head_classes = classes, head_classes
        self.blocks = nn.Sequential(
            FirstBlock(channels, filters),
            ResidualBlock(filters, filters, "down", norm),
            *(ResidualBlock(filters, filters, "none", norm) for _ in range(blocks)),
        )
        self.head = Head(filters, classes, head_classes)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Logits:
        return self.head(relu(self.blocks(x)).mean((2, 3)), labels)


class WideningResNetGenerator(ResidualGenerator):
    """z [batch, latent_dim] -> images [batch, channels, size, size], `filters` at full size.

    As `ResNetGenerator`, the filters halved from block to block: for 64 pixels 8, 8, 4, 2, 1 times
    `filters`. The authors' `GoodGenerator` for 64 x 64 images (wgan_gp, sec. 5); at
    128 pixels, Fig. 4, whose nets are not described, it is an assumption.
    """

    def __init__(
        self,
        latent_dim: Count,
        size: Count,
        channels: Count,
        filters: Count = 64,
        norm: Norm = "batch",
        output: Output = "tanh",
        classes: CountOrZero = 0,
    ) -> None:
        widths = widths_of(size, filters)[::-1]
        blocks = (
            ResidualBlock(before, after, "up", norm, bias=False, classes=classes)
            for before, after in zip([widths[0], *widths], widths, strict=False)
        )
        super().__init__(
            latent_dim, widths[0], blocks, filters, channels, norm, output, classes, init="he"
        )


class WideningResNetDiscriminator(Checked, nn.Module):
    """Images [batch, channels, size, size] -> logits [batch].

    A 3 x 3 convolution to `filters`, blocks that halve the pixels (for 64 pixels to 2, 4, 8 and 8
    times `filters`), linear. The authors' `GoodDiscriminator` (wgan_gp, sec. 5).
    With `classes` a projection discriminator, see `conditional.Head`.
    """

    def __init__(
        self,
        size: Count,
        channels: Count,
        filters: Count = 64,
        norm: Norm = "layer",
        classes: CountOrZero = 0,
    ) -> None:
        super().__init__()
        self.classes = classes
        widths = widths_of(size, filters)
        self.input = Convolution(channels, filters, 3, init="glorot")
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(before, after, "down", norm, hidden=before, bias=False)
                for before, after in zip(widths, [*widths[1:], widths[-1]], strict=True)
            )
        )
        self.head = Head(widths[-1] * START**2, classes)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.head(self.blocks(self.input(x)).flatten(1), labels)


class BottleneckResNetGenerator(Checked, nn.Module):
    """z [batch, latent_dim] -> images [batch, channels, size, size].

    A linear layer to 4 x 4; at each resolution `blocks` blocks (one fewer at the last) and one
    that doubles it; a 1 x 1 convolution; a fifth of that through `output`. From 8 `filters` at
    4 x 4 to filters/2 at 64 x 64, where 6 blocks make 101 layers. wgan_gp, Fig. 2.
    Raises ValueError unless `filters` is a multiple of 4 and `size` 4 times a power of 2. Weights
    come from the global generator.
    """

    def __init__(
        self,
        latent_dim: Count,
        size: Count,
        channels: Count,
        filters: Count = 64,
        blocks: Few = 6,
        norm: Norm = "batch",
        output: Output = "tanh",
    ) -> None:
        super().__init__()
        widths = _bottleneck_widths(size, filters)[::-1]
        parts: list[nn.Module] = []
        for before, after in pairwise(widths):
            parts += [BottleneckBlock(before, before, "none", norm) for _ in range(blocks)]
            parts += [BottleneckBlock(before, after, "up", norm)]
        last = widths[-1]
        parts += [BottleneckBlock(last, last, "none", norm) for _ in range(blocks - 1)]
        self.input = linear(latent_dim, widths[0] * START**2, "glorot")
        self.blocks = nn.Sequential(*parts)
        self.output = Convolution(last, channels, 1, init="glorot")
        self.output_activation = layers.output_activation(output)

    def forward(self, z: Tensor) -> Tensor:
        x = self.blocks(self.input(z).unflatten(1, (-1, START, START)))
        return self.output_activation(self.output(x) / 5)


class BottleneckResNetDiscriminator(Checked, nn.Module):
    """Images [batch, channels, size, size] -> logits [batch]: the generator's mirror image.

    The logit is a fifth of the linear layer's output. Errors as in `BottleneckResNetGenerator`.
    """

    def __init__(
        self,
        size: Count,
        channels: Count,
        filters: Count = 64,
        blocks: Few = 6,
        norm: Norm = "layer",
    ) -> None:
        super().__init__()
        widths = _bottleneck_widths(size, filters)
        first = widths[0]
        self.input = Convolution(channels, first, 1, init="glorot")
        parts: list[nn.Module] = [
            BottleneckBlock(first, first, "none", norm) for _ in range(blocks - 1)
        ]
        for before, after in pairwise(widths):
            parts += [BottleneckBlock(before, after, "down", norm)]
            parts += [BottleneckBlock(after, after, "none", norm) for _ in range(blocks)]
        self.blocks = nn.Sequential(*parts)
        self.output = linear(widths[-1] * START**2, 1, "glorot")

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.blocks(self.input(x)).flatten(1)).squeeze(1) / 5


class Resnet2Generator(Checked, nn.Module):
    """z [batch, latent_dim] -> images [batch, channels, size, size].

    A linear layer to size/32 pixels a side, then two blocks at each of six resolutions, with 16,
    16, 8, 4, 2, 1 times `filters`, nearest neighbours between them. No norm. GAN_stability's
    `resnet2` (zero_gp, App. E.2: 32 filters; the text counts 5 residual blocks, the
    code has 12). Raises ValueError for a `size` that is not a multiple of 32.

    Args:
        classes: labels [batch] come with z, and z is followed by a vector of `embed` numbers for
            its class, divided by its norm; 0 for none.
    """

    def __init__(
        self,
        latent_dim: Count,
        size: Count,
        channels: Count,
        filters: Count = 32,
        output: Output = "tanh",
        classes: CountOrZero = 0,
        embed: Count = 128,
    ) -> None:
        super().__init__()
        self.start, self.classes = _thirty_second(size), classes
        if classes:
            self.embedding = nn.Embedding(classes, embed)
            latent_dim += embed
        widths = [k * filters for k in (16, 16, 8, 4, 2, 1)]
        self.input = nn.Linear(latent_dim, widths[0] * self.start**2)
        self.stages = nn.ModuleList(
            nn.Sequential(Resnet2Block(before, after), Resnet2Block(after, after))
            for before, after in zip([widths[0], *widths], widths, strict=False)
        )
        self.output = Convolution(filters, channels, 3, init="default")
        self.output_activation = layers.output_activation(output)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.classes:
            z = torch.cat([z, functional.normalize(self.embedding(labels))], 1)
        x = self.input(z).unflatten(1, (-1, self.start, self.start))
        for i, stage in enumerate(self.stages):
            x = stage(x if i == 0 else nearest_up(x))
        return self.output_activation(self.output(leaky_relu(x)))


class Resnet2Discriminator(Checked, nn.Module):
    """Images [batch, channels, size, size] -> logits [batch].

    A 3 x 3 convolution, two blocks at each of six resolutions (1, 2, 4, 8, 16, 16 to 2, 4, 8, 16,
    16, 16 times `filters`), means of 3 x 3 pixels at stride 2 between them, leaky ReLU, linear.
    With `classes` the linear layer has one output for each, and labels [batch] say which is the
    logit. Source and errors as in `Resnet2Generator`.
    """

    def __init__(
        self, size: Count, channels: Count, filters: Count = 32, classes: CountOrZero = 0
    ) -> None:
        super().__init__()
        self.classes = classes
        widths = [k * filters for k in (1, 2, 4, 8, 16, 16, 16)]
        self.input = Convolution(channels, filters, 3, init="default")
        self.stages = nn.ModuleList(
            nn.Sequential(Resnet2Block(before, before), Resnet2Block(before, after))
            for before, after in pairwise(widths)
        )
        self.output = nn.Linear(widths[-1] * _thirty_second(size) ** 2, max(classes, 1))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.input(x)
        for i, stage in enumerate(self.stages):
            x = stage(x if i == 0 else functional.avg_pool2d(x, 3, stride=2, padding=1))
        f = self.output(leaky_relu(x.flatten(1)))
        if self.classes:
            assert labels is not None
            f = f.gather(1, labels[:, None])
        return f.squeeze(1)


def _bottleneck_widths(size: int, filters: int) -> list[int]:
    """At each resolution, from the largest."""
    if filters % 4:
        raise ValueError(f"filters={filters}: not a multiple of 4, and the narrowest has a quarter")
    return [filters // 2, *widths_of(size, filters)]


def _thirty_second(size: int) -> int:
    if size % 32:
        raise ValueError(f"size={size}: not a multiple of 32")
    return size // 32
