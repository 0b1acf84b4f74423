"""What residual nets of images are made of: blocks, their widths, and the generators' frame.

The nets are in `resnet.py` and `sagan.py`.
"""

from collections.abc import Iterable
from typing import Literal

from torch import Tensor, nn

from gp_lab.fields import Count, CountOrZero
from gp_lab.instantiate import Checked
from gp_lab.networks import layers
from gp_lab.networks.conditional import Chain, through
from gp_lab.networks.convolution import (
    START,
    ConvInit,
    Convolution,
    UpConvolution,
    linear,
    mean_pool,
    nearest_up,
    norm_layer,
    resolutions,
)
from gp_lab.networks.layers import Output, ReLU, leaky_relu, relu
from gp_lab.networks.mlp import Norm

Resample = Literal["none", "up", "down"]


class ResidualBlock(nn.Module):
    """Pre-activation block: x [batch, inputs, h, w] -> shortcut(x) + f(x), `outputs` channels.

    f is norm, ReLU, 3 x 3 convolution, norm, ReLU, 3 x 3 convolution. `up` doubles the pixels
    (nearest neighbour) before the first convolution, as in the authors' code of
    wgan_gp (App. F says: before the second); `down` takes means of 2 x 2 pixels after
    the second. The shortcut is the identity, or a 1 x 1 convolution where the shape changes.

    Args:
        hidden: channels between the convolutions; null for `outputs`.
        bias: of the first convolution.
        init: of both; the shortcut's is Glorot's.
        classes: whose norms have scales and shifts of their own; 0 for none.
    """

    def __init__(
        self,
        inputs: Count,
        outputs: Count,
        resample: Resample = "none",
        norm: Norm = "none",
        hidden: Count | None = None,
        bias: bool = True,
        init: ConvInit = "he",
        classes: CountOrZero = 0,
    ) -> None:
        super().__init__()
        hidden = hidden or outputs
        self.resample, self.classes = resample, classes
        self.norm1 = norm_layer(norm, inputs, classes)
        self.conv1 = Convolution(inputs, hidden, 3, init=init, bias=bias)
        self.norm2 = norm_layer(norm, hidden, classes)
        self.conv2 = Convolution(hidden, outputs, 3, init=init)
        same = inputs == outputs and resample == "none"
        self.shortcut = nn.Identity() if same else Convolution(inputs, outputs, 1, init="glorot")

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        y = relu(through(self.norm1, x, labels))
        # A 1 x 1 convolution commutes with both ways of resampling: it is done on fewer pixels.
        if self.resample == "up":
            y, shortcut = nearest_up(y), nearest_up(self.shortcut(x))
        elif self.resample == "down":
            shortcut = self.shortcut(mean_pool(x))
        else:
            shortcut = self.shortcut(x)
        y = self.conv2(relu(through(self.norm2, self.conv1(y), labels)))
        return shortcut + (mean_pool(y) if self.resample == "down" else y)


class FirstBlock(nn.Module):
    """The critic's first block, images [batch, channels, h, w] -> [batch, filters, h/2, w/2].

    Like a `ResidualBlock` that halves, without the norm and the ReLU on the pixels themselves.
    """

    def __init__(self, channels: Count, filters: Count, init: ConvInit = "he") -> None:
        super().__init__()
        self.conv1 = Convolution(channels, filters, 3, init=init)
        self.conv2 = Convolution(filters, filters, 3, init=init)
        self.shortcut = Convolution(channels, filters, 1, init="glorot")

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(relu(self.conv1(x)))
        return self.shortcut(mean_pool(x)) + mean_pool(y)


class BottleneckBlock(nn.Module):
    """x [batch, inputs, h, w] -> shortcut(x) + .3 f(x), `outputs` channels.

    f is three times ReLU and convolution (1 x 1 to inputs/2, 3 x 3 to outputs/2, 1 x 1 to outputs
    without bias), then a norm. `down` halves the pixels in the middle convolution by stride 2 and
    in the shortcut, `up` doubles them by a transposed convolution and, in the shortcut, by a 1 x 1
    convolution to four times the channels that are laid out as 2 x 2 pixels. The authors' code of
    wgan_gp, Fig. 2.
    """

    def __init__(
        self, inputs: Count, outputs: Count, resample: Resample = "none", norm: Norm = "none"
    ) -> None:
        super().__init__()
        half_in, half_out = inputs // 2, outputs // 2
        middle: nn.Module
        shortcut: nn.Module = nn.Identity()
        match resample:
            case "up":
                middle = UpConvolution(half_in, half_out, 3)
                shortcut = nn.Sequential(
                    Convolution(inputs, 4 * outputs, 1, init="glorot"), nn.PixelShuffle(2)
                )
            case "down":
                middle = Convolution(half_in, half_out, 3, stride=2)
                shortcut = Convolution(inputs, outputs, 1, stride=2, init="glorot")
            case "none":
                middle = Convolution(half_in, half_out, 3)
                if inputs != outputs:
                    shortcut = Convolution(inputs, outputs, 1, init="glorot")
        self.f = nn.Sequential(
            ReLU(),
            Convolution(inputs, half_in, 1),
            ReLU(),
            middle,
            ReLU(),
            Convolution(half_out, outputs, 1, bias=False),
            norm_layer(norm, outputs),
        )
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + 0.3 * self.f(x)


class Resnet2Block(nn.Module):
    """x [batch, inputs, h, w] -> shortcut(x) + .1 f(x), `outputs` channels.

    f is twice leaky ReLU (.2) and a 3 x 3 convolution, with min(inputs, outputs) channels between;
    the shortcut a 1 x 1 convolution without bias where the channels change. PyTorch's
    initialisation. GAN_stability's code, for zero_gp, App. E.2.
    """

    def __init__(self, inputs: Count, outputs: Count) -> None:
        super().__init__()
        hidden = min(inputs, outputs)
        self.conv1 = Convolution(inputs, hidden, 3, init="default")
        self.conv2 = Convolution(hidden, outputs, 3, init="default")
        self.shortcut = (
            nn.Identity()
            if inputs == outputs
            else Convolution(inputs, outputs, 1, init="default", bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(leaky_relu(x))
        return self.shortcut(x) + 0.1 * self.conv2(leaky_relu(y))


class ResidualGenerator(Checked, nn.Module):
    """z [batch, latent_dim] -> images [batch, channels, size, size]: what such generators share.

    A linear layer to 4 x 4 pixels of `first` channels, the `blocks`, which end with `filters`
    channels at full size, norm, ReLU, a 3 x 3 convolution, `output`. With `classes` it takes
    labels [batch] beside z, for the blocks; the norm after them is for all classes. Weights come
    from the global generator.
    """

    def __init__(
        self,
        latent_dim: Count,
        first: Count,
        blocks: Iterable[nn.Module],
        filters: Count,
        channels: Count,
        norm: Norm,
        output: Output,
        classes: CountOrZero = 0,
        init: ConvInit = "glorot",
    ) -> None:
        super().__init__()
        self.classes = classes
        self.input = linear(latent_dim, first * START**2, "glorot")
        self.blocks = Chain(*blocks)
        self.norm = norm_layer(norm, filters)
        self.output = Convolution(filters, channels, 3, init=init)
        self.output_activation = layers.output_activation(output)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.blocks(self.input(z).unflatten(1, (-1, START, START)), labels)
        return self.output_activation(self.output(relu(self.norm(x))))


def doublings(size: int) -> int:
    """How often 4 pixels are doubled to `size`; raises ValueError where they do not get there."""
    sizes = resolutions(size)
    if size != START * 2 ** (len(sizes) - 1):
        raise ValueError(f"size={size}: not 4 times a power of 2; 32, 64, 128 are")
    return len(sizes) - 1


def widths_of(size: int, filters: int) -> list[int]:
    """Of the last layer at each resolution but the smallest, from the largest."""
    return [filters * 2**i for i in range(doublings(size))]
