"""Activations, linear layers and their initialisation, for the networks of all five papers."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal["relu", "leaky_relu", "tanh", "selu", "elu", "softplus_elu", "identity"]
Init = Literal["default", "he_uniform", "he_normal", "glorot_uniform", "orthogonal"]
"""How an `nn.Linear` begins; equalised layers are another class, see `EqualizedLinear`."""

Equalized = Literal["equalized", "equalized_lecun"]
"""Weights stored N(0, 1) and scaled at run time, by gain/sqrt(fan_in).

- equalized: the gain is the activation's (sqrt(2) for ReLU: He's constant, as in the equalised
  learning rate of Karras et al. 2018);
- equalized_lecun: the gain is 1 whatever the activation, as in the authors' code of
  lipschitz (2-D figures): a ReLU network of L hidden layers begins with values 2^(L/2)
  times as small. With SELU, whose gain is 1, the two are one.
"""

Output = Literal["identity", "tanh", "sigmoid"]
"""What a generator's last layer goes through: images in [-1, 1] or [0, 1], or any numbers."""

LEAKY_SLOPE = 0.2

_GAINS = {
    "relu": math.sqrt(2),
    "leaky_relu": math.sqrt(2 / (1 + LEAKY_SLOPE**2)),
    "tanh": 1.5925374197228304,
    "selu": 1.0,
    "elu": 1.2451983007007064,
    "softplus_elu": 1.2296326251681617,
    "identity": 1.0,
}


def relu(x: Tensor) -> Tensor:
    """max(0, x), any shape. Its second derivative, 0 wherever there is one, is not computed.

    PyTorch's own hands a tensor of zeros back through all layers before it whenever a penalty of
    the gradient is differentiated: a sixth of the products of a step of WGAN-GP. What it calls
    its derivative is the function itself, of a mask that nothing is differentiated by.
    """
    return torch.ops.aten.threshold_backward(x, x.detach(), 0)


def leaky_relu(x: Tensor) -> Tensor:
    """x, or .2 x below 0, any shape; as `relu`, without its second derivative."""
    return torch.ops.aten.leaky_relu_backward(x, x.detach(), LEAKY_SLOPE, False)


class ReLU(nn.Module):
    """`relu` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        return relu(x)


class LeakyReLU(nn.Module):
    """`leaky_relu` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        return leaky_relu(x)


class SoftplusELU(nn.Module):
    """softplus(2x + 2)/2 - 1, a smooth ELU: its second derivative exists everywhere.

    Any shape, kept. wgan_gp, App. D.
    """

    def forward(self, x: Tensor) -> Tensor:
        # The default threshold of 20 leaves a step of 1e-9 in the derivative, seen in float64.
        return functional.softplus(x + 1, beta=2, threshold=40) - 1


def activation(name: Activation) -> nn.Module:
    """The nonlinearity of that name, applied element by element; leaky_relu has slope 0.2.

    wgan_gp, Table 2 and App. D; lipschitz, Figs. 8 to 12 (SELU). Raises
    `ValueError` for an unknown name.
    """
    match name:
        case "relu":
            return ReLU()
        case "leaky_relu":
            return LeakyReLU()
        case "tanh":
            return nn.Tanh()
        case "selu":
            return nn.SELU()
        case "elu":
            return nn.ELU()
        case "softplus_elu":
            return SoftplusELU()
        case "identity":
            return nn.Identity()
    raise ValueError(f"activation={name}: choose from {', '.join(get_args(Activation))}")


RANGES: dict[Output, tuple[float, float]] = {
    "tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "identity": (-math.inf, math.inf),
}
"""Between which numbers each output lies."""


def output_activation(name: Output) -> nn.Module:
    """The function of that name, applied element by element to what a generator gives."""
    return {"identity": nn.Identity, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[name]()


def gain(name: Activation) -> float:
    """(E act(Z)^2)^(-1/2) for Z ~ N(0, 1): the weight scale that keeps the second moment at 1.

    sqrt(2) for ReLU (He et al. 2015), 1 for SELU (Klambauer et al. 2017); the same definition for
    the others. Raises `ValueError` for an unknown name.
    """
    if name not in _GAINS:
        raise ValueError(f"activation={name}: choose from {', '.join(_GAINS)}")
    return _GAINS[name]


class EqualizedLinear(nn.Module):
    """x [batch, inputs] -> x (scale W)^T + b [batch, outputs], W ~ N(0, 1), b = 0.

    `scale` = gain/sqrt(inputs) is applied at run time, so an optimiser whose steps do not depend on
    the gradient's size (Adam) moves all layers by the same share of their scale: a learning rate
    means something else here than with `nn.Linear`. `Equalized` says which gains there are. Draws
    from the global generator.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True, gain: float = 1.0) -> None:
        super().__init__()
        self.scale = gain / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.scale * self.weight, self.bias)

    def extra_repr(self) -> str:
        outputs, inputs = self.weight.shape
        return f"{inputs}, {outputs}, scale={self.scale:.4g}, bias={self.bias is not None}"


def initialize(layer: nn.Linear, init: Init, gain: float = 1.0, last: bool = False) -> None:
    """Draws the weights of a linear layer in place, from the global generator.

    - default: PyTorch's, weights and biases U(+-1/sqrt(fan_in)); nothing is drawn again;
    - he_uniform, he_normal: standard deviation sqrt(2/fan_in), and Glorot's of the same family,
      sqrt(2/(fan_in + fan_out)), in the `last` layer (he_uniform: the toy code of
      wgan_gp, Fig. 1a);
    - glorot_uniform: U(+-sqrt(6/(fan_in + fan_out))) in all layers;
    - orthogonal: orthonormal rows or columns times `gain`.

    Biases are zero except with `default`. Raises `ValueError` for an unknown name.
    """
    match init:
        case "default":
            return
        case "he_uniform" if not last:
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        case "he_normal" if not last:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        case "he_normal":
            nn.init.xavier_normal_(layer.weight)
        case "he_uniform" | "glorot_uniform":
            nn.init.xavier_uniform_(layer.weight)
        case "orthogonal":
            nn.init.orthogonal_(layer.weight, gain)
        case _:
            raise ValueError(f"init={init}: choose from {', '.join(get_args(Init))}")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
