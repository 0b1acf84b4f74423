"""The multi-layer perceptron: the papers' 2-D figures, and images where a paper has them flat."""

import math
from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn

from gp_lab.fields import Count, FewOrZero
from gp_lab.instantiate import Checked
from gp_lab.networks import layers
from gp_lab.networks.layers import Activation, Equalized, EqualizedLinear, Init, Output

Norm = Literal["none", "layer", "batch"]
Connection = Literal["plain", "concatenate"]
Shape = tuple[Count, ...]


class MLP(Checked, nn.Module):
    """`depth` hidden layers of `width` units (linear, norm, activation), then a linear layer.

    Points [batch, inputs], or anything that flattens to that, to [batch, outputs]; a discriminator
    has `outputs` None and gives logits [batch]. Samples that are no vectors have a shape: images
    of C x H x W go in with `inputs` [C, H, W] and come out with `outputs` [C, H, W], which
    `output_activation` then brings to their range (wgan_gp, Fig. 2: the MLP generator
    of images; zero_gp, Fig. 3: both nets). Depth 0 is a linear map (the linear nets of
    zero_gp, App. C). `init` is a scheme of `layers.initialize`, or one of
    `layers.Equalized` for layers scaled at run time. With `concatenate` each layer, the last one
    too, sees the input and the outputs of all hidden layers before it (the dense net of
    lipschitz, Fig. 4; its growth is `width`).
    `bias` is that of the linear layers; norms keep theirs. Batch norm uses the statistics of the
    batch at hand at all times and keeps none, so that the network stays a pure function; it makes
    an output depend on the whole batch.

    Hidden layer i is `hidden[i]`, with parts `linear`, `norm` and `activation`; the last layer is
    `output`. Weights come from the global generator. Raises `ValueError` for a norm at depth 0.
    """

    def __init__(
        self,
        inputs: Count | Shape,
        outputs: Count | Shape | None,
        depth: FewOrZero = 3,
        width: Count = 512,
        activation: Activation = "relu",
        norm: Norm = "none",
        connection: Connection = "plain",
        init: Init | Equalized = "default",
        bias: bool = True,
        output_activation: Output = "identity",
    ) -> None:
        super().__init__()
        if depth == 0 and norm != "none":
            raise ValueError(f"norm={norm}: a network of depth 0 has no hidden layer to normalise")
        self.is_discriminator = outputs is None
        self.shape: tuple[int, ...] = () if outputs is None else _shape(outputs)
        self.concatenate = connection == "concatenate"
        gain = layers.gain(activation)
        seen = math.prod(_shape(inputs))
        hidden: list[nn.Module] = []
        for _ in range(depth):
            parts: OrderedDict[str, nn.Module] = OrderedDict()
            parts["linear"] = _linear(seen, width, init, bias, gain, last=False)
            if norm == "layer":
                parts["norm"] = nn.LayerNorm(width)
            elif norm == "batch":
                parts["norm"] = nn.BatchNorm1d(width, track_running_stats=False)
            parts["activation"] = layers.activation(activation)
            hidden.append(nn.Sequential(parts))
            seen = seen + width if self.concatenate else width
        self.hidden = nn.ModuleList(hidden)
        self.output = _linear(seen, math.prod(self.shape), init, bias, gain=1.0, last=True)
        self.output_activation = (
            None if output_activation == "identity" else layers.output_activation(output_activation)
        )

    def forward(self, x: Tensor) -> Tensor:
        seen = x.flatten(1)
        for layer in self.hidden:
            y = layer(seen)
            seen = torch.cat([seen, y], dim=1) if self.concatenate else y
        y = self.output(seen)
        if self.output_activation is not None:
            y = self.output_activation(y)
        return y.squeeze(1) if self.is_discriminator else y.unflatten(1, self.shape)


def _shape(size: int | tuple[int, ...]) -> tuple[int, ...]:
    return (size,) if isinstance(size, int) else size


def _linear(
    inputs: int,
    outputs: int,
    init: Init | Equalized,
    bias: bool,
    gain: float,
    last: bool,
) -> nn.Module:
    if init == "equalized" or init == "equalized_lecun":
        return EqualizedLinear(inputs, outputs, bias, gain if init == "equalized" else 1.0)
    layer = nn.Linear(inputs, outputs, bias)
    layers.initialize(layer, init, gain, last)
    return layer
