"""SAGAN: residual nets of images with one self-attention layer each (Zhang et al., 2018).

anomalous, Table 1. The paper normalises both nets' weights by their spectral norm:
here that is `constraint=spectral_norm`, of the discriminator alone.
"""

import torch
from torch import Tensor, nn

from gp_lab.fields import Count, CountOrZero
from gp_lab.instantiate import Checked
from gp_lab.networks.conditional import Head
from gp_lab.networks.convolution import START, Convolution
from gp_lab.networks.layers import Output, relu
from gp_lab.networks.mlp import Norm
from gp_lab.networks.residual import (
    FirstBlock,
    ResidualBlock,
    ResidualGenerator,
    doublings,
    widths_of,
)


class SelfAttention(nn.Module):
    """x [batch, channels, h, w] -> x + gamma o, gamma 0 at the start.

    o_j = v(sum_i b_ji h(x_i)) over all pixels i, b_ji the softmax over i of f(x_i) . g(x_j); f, g
    and h are 1 x 1 convolutions to channels/8 (at least 1), v one back. Zhang et al., Eqs. 1 to 3.
    """

    def __init__(self, channels: Count) -> None:
        super().__init__()
        inner = max(channels // 8, 1)
        self.f, self.g, self.h = (
            Convolution(channels, inner, 1, init="glorot", bias=False) for _ in range(3)
        )
        self.v = Convolution(inner, channels, 1, init="glorot", bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        f, g, h = (layer(x).flatten(2) for layer in (self.f, self.g, self.h))
        b = (g.transpose(1, 2) @ f).softmax(2)  # [batch, pixel j, pixel i]
        o = (h @ b.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.gamma * self.v(o)


class SAGANGenerator(ResidualGenerator):
    """z [batch, latent_dim] -> images [batch, channels, size, size], `filters` at full size.

    Blocks that double the pixels and halve the filters, self-attention where there are `attention`
    pixels a side. The authors' layout for 128 pixels, cut to size (assumption). Raises ValueError
    for a `size` that is not 4 times a power of 2, no block of both nets that gives `attention`, or
    `classes` without batch norm.
    """

    def __init__(
        self,
        latent_dim: Count,
        size: Count,
        channels: Count,
        filters: Count = 64,
        attention: Count = 32,
        norm: Norm = "batch",
        output: Output = "tanh",
        classes: CountOrZero = 0,
    ) -> None:
        _check(size, attention)
        widths = widths_of(size, filters)[::-1]
        parts: list[nn.Module] = []
        pixels = START
        for before, after in zip([widths[0], *widths], widths, strict=False):
            parts.append(ResidualBlock(before, after, "up", norm, init="glorot", classes=classes))
            pixels *= 2
            if pixels == attention:
                parts.append(SelfAttention(after))
        super().__init__(latent_dim, widths[0], parts, filters, channels, norm, output, classes)


class SAGANDiscriminator(Checked, nn.Module):
    """Images [batch, channels, size, size] -> logits [batch].

    Blocks that halve the pixels down to 4 x 4 and double the filters, self-attention where there
    are `attention` pixels a side, one more block, ReLU, sum over the pixels, linear. With `classes`
    a projection discriminator, see `conditional.Head`. Source and errors as in `SAGANGenerator`.
    """

    def __init__(
        self,
        size: Count,
        channels: Count,
        filters: Count = 64,
        attention: Count = 32,
        norm: Norm = "none",
        classes: CountOrZero = 0,
    ) -> None:
        super().__init__()
        _check(size, attention)
        self.classes = classes
        widths = widths_of(size, filters)
        parts: list[nn.Module] = []
        pixels = size
        for before, after in zip([channels, *widths], widths, strict=False):
            parts.append(
                ResidualBlock(before, after, "down", norm, init="glorot")
                if parts
                else FirstBlock(before, after, "glorot")
            )
            pixels //= 2
            if pixels == attention:
                parts.append(SelfAttention(after))
        parts.append(ResidualBlock(widths[-1], widths[-1], "none", norm, init="glorot"))
        self.blocks = nn.Sequential(*parts)
        self.head = Head(widths[-1], classes)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.head(relu(self.blocks(x)).sum((2, 3)), labels)


def _check(size: int, attention: int) -> None:
    choices = [START * 2**i for i in range(1, doublings(size))]
    if attention not in choices:
        raise ValueError(f"attention={attention}: choose from {', '.join(map(str, choices))}")
