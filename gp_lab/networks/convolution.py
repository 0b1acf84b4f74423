"""Convolutions as the authors of `wgan_gp` have them, and the norms between them, for images.

Images are [batch, channels, height, width]. The layout is TensorFlow's `SAME`: a layer of stride 2
takes n pixels to ceil(n/2), and where the padding is odd the larger part lies below and right.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from gp_lab.networks.mlp import Norm

ConvInit = Literal["default", "he", "glorot", "small"]
"""How convolutions begin, see `draw`; linear layers are Glorot's with `he`."""

START = 4
"""Pixels a side of the smallest feature maps of all networks here."""

SMALL = 0.02


def draw(layer: nn.Module, fan_in: float, fan_out: float, init: ConvInit) -> None:
    """Draws a layer's weights in place, uniform with mean 0, from the global generator; bias 0.

    Standard deviations: `he` sqrt(4/(fan_in + fan_out)), `glorot` sqrt(2/(fan_in + fan_out)),
    `small` .02 (DCGAN's number). `default` leaves PyTorch's weights and biases as they are.
    The authors' code of wgan_gp.
    """
    if init == "default":
        return
    std = {"he": math.sqrt(4 / (fan_in + fan_out)), "small": SMALL}.get(
        init, math.sqrt(2 / (fan_in + fan_out))
    )
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    nn.init.uniform_(weight, -std * math.sqrt(3), std * math.sqrt(3))
    if isinstance(bias, Tensor):
        nn.init.zeros_(bias)


def linear(inputs: int, outputs: int, init: ConvInit) -> nn.Linear:
    """x [batch, inputs] -> [batch, outputs]: the linear layer at either end of such a network."""
    layer = nn.Linear(inputs, outputs)
    draw(layer, inputs, outputs, "glorot" if init == "he" else init)
    return layer


class Convolution(nn.Conv2d):
    """[batch, inputs, h, w] -> [batch, outputs, ceil(h/stride), ceil(w/stride)], odd kernel."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        init: ConvInit = "he",
        bias: bool = True,
    ) -> None:
        check_kernel(kernel)
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, bias=bias)
        draw(self, inputs * kernel**2, outputs * kernel**2 / stride**2, init)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride[0] == 1:
            return super().forward(x)
        (above, below), (left, right) = (
            _same_padding(n, k, s)
            for n, k, s in zip(x.shape[-2:], self.kernel_size, self.stride, strict=True)
        )
        # What the convolution pads by itself costs nothing; it pads both sides alike.
        more = (0, right - left, 0, below - above)
        x = functional.pad(x, more) if any(more) else x
        return functional.conv2d(x, self.weight, self.bias, self.stride, (above, left))


class UpConvolution(nn.ConvTranspose2d):
    """[batch, inputs, h, w] -> [batch, outputs, 2h, 2w]: the transpose of a `Convolution` of
    stride 2 on 2h x 2w pixels; odd kernel of at least 3."""

    def __init__(self, inputs: int, outputs: int, kernel: int, init: ConvInit = "he") -> None:
        check_kernel(kernel, least=3)
        super().__init__(inputs, outputs, kernel, stride=2, padding=(kernel - 2) // 2)
        draw(self, inputs * kernel**2 / 4, outputs * kernel**2, init)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        height, width = x.shape[-2:]
        if self.bias is not None and in_bf16(x):
            # On a CPU a transposed convolution with a bias takes 2 to 5 times as long in bf16.
            padding = (self.kernel_size[0] - 2) // 2
            y = functional.conv_transpose2d(x, self.weight, None, self.stride, padding)
            return y[..., : 2 * height, : 2 * width] + self.bias.to(y.dtype)[:, None, None]
        return super().forward(x, output_size)[..., : 2 * height, : 2 * width]


def in_bf16(x: Tensor) -> bool:
    """Whether a convolution of x computes in bfloat16."""
    kind = x.device.type
    if torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind) == torch.bfloat16
    return x.dtype == torch.bfloat16


def check_kernel(kernel: int, least: int = 1) -> None:
    """Raises ValueError unless `kernel` is odd and at least `least`."""
    if kernel < least or kernel % 2 == 0:
        raise ValueError(f"kernel={kernel}: must be odd and at least {least}")


def _same_padding(n: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((math.ceil(n / stride) - 1) * stride + kernel - n, 0)
    return total // 2, total - total // 2


def norm_layer(name: Norm, channels: int, classes: int = 0) -> nn.Module:
    """Of feature maps [batch, channels, h, w], with a scale and a shift for each channel.

    `batch`: over the batch and the pixels, of the batch at hand at all times, no statistics kept
    (the network stays a pure function); with `classes` see `ConditionalBatchNorm`. `layer`: of each
    sample by itself, over channels and pixels (wgan_gp, sec. 4: for critics whose
    gradient is penalised). Raises ValueError for `classes` with another norm than `batch`.
    """
    if classes and name != "batch":
        raise ValueError(f"norm={name}: classes reach these layers by norm=batch; or classes=0")
    match name:
        case "none":
            return nn.Identity()
        case "batch" if classes:
            return ConditionalBatchNorm(channels, classes)
        case "batch":
            return nn.BatchNorm2d(channels, track_running_stats=False)
        case "layer":
            return nn.GroupNorm(1, channels)
    raise ValueError(f"norm={name}: choose from none, layer, batch")


class ConditionalBatchNorm(nn.Module):
    """Batch norm of [batch, channels, h, w], a scale and a shift of a channel for each class.

    The batch's moments are those of all classes together; scales begin at 1, shifts at 0 (Dumoulin
    et al., 2017; the authors' code of wgan_gp, Table 3). labels int64 [batch].
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.norm = nn.BatchNorm2d(channels, affine=False, track_running_stats=False)
        self.scale, self.shift = (nn.Embedding(classes, channels) for _ in range(2))
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        scale, shift = (each(labels)[:, :, None, None] for each in (self.scale, self.shift))
        return scale * self.norm(x) + shift


class UnitBatchNorm(nn.Module):
    """Batch norm of each unit of [batch, channels, h, w] by itself, over the batch alone.

    It follows the first linear layer in the authors' CIFAR-10 code of wgan_gp.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels * height * width, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.flatten(1)).unflatten(1, x.shape[1:])


class Gate(nn.Module):
    """[batch, 2c, h, w] -> sigmoid(a) tanh(b) [batch, c, h, w], a the even and b the odd channels.

    The gated multiplicative nonlinearity of wgan_gp, sec. 5.2 (van den Oord et al.,
    2016).
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x[:, ::2]) * torch.tanh(x[:, 1::2])


def resolutions(size: int) -> tuple[int, ...]:
    """Pixels a side of the feature maps, from 4 to `size`; each is half the next, rounded up.

    28 -> 4, 7, 14, 28. Raises ValueError for a size at which halving does not end at 4.
    """
    sizes = [size]
    while sizes[-1] > START:
        sizes.append(math.ceil(sizes[-1] / 2))
    if sizes[-1] != START or size == START:
        raise ValueError(f"size={size}: halved again and again it has to end at 4; 28, 32, 64 do")
    return tuple(reversed(sizes))


def mean_pool(x: Tensor) -> Tensor:
    """[batch, channels, h, w] -> the means of 2 x 2 pixels [batch, channels, h/2, w/2]."""
    return functional.avg_pool2d(x, 2)


def nearest_up(x: Tensor) -> Tensor:
    """[batch, channels, h, w] -> each pixel four times [batch, channels, 2h, 2w]."""
    return functional.interpolate(x, scale_factor=2, mode="nearest")
