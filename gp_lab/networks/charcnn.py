"""1-D convolutional networks of characters (wgan_gp, sec. 5.5 and Table 4).

A text of `length` characters is [batch, length, characters]: one-hot where it is real, a
distribution over the characters at each place where it is generated.
"""

from torch import Tensor, nn

from gp_lab.fields import Count, FewOrZero
from gp_lab.instantiate import Checked
from gp_lab.networks.convolution import ConvInit, check_kernel, draw, linear
from gp_lab.networks.layers import ReLU

RESIDUAL = 0.3


class CharacterGenerator(Checked, nn.Module):
    """z [batch, latent_dim] -> texts [batch, length, characters], a softmax over the characters.

    A linear layer to [filters, length], residual blocks, a convolution of kernel 1, softmax.
    Layout of the authors' code. Weights come from the global generator. Raises ValueError for an
    even `kernel`.
    """

    def __init__(
        self,
        latent_dim: Count,
        length: Count,
        characters: Count,
        filters: Count = 512,
        kernel: Count = 5,
        blocks: FewOrZero = 5,
        init: ConvInit = "he",
    ) -> None:
        super().__init__()
        self.length = length
        self.input = linear(latent_dim, filters * length, init)
        self.blocks = nn.Sequential(
            *(ResidualBlock1d(filters, kernel, init) for _ in range(blocks))
        )
        self.output = _convolution(filters, characters, 1, init)

    def forward(self, z: Tensor) -> Tensor:
        x = self.blocks(self.input(z).unflatten(1, (-1, self.length)))
        return self.output(x).transpose(1, 2).softmax(2)


class CharacterDiscriminator(Checked, nn.Module):
    """Texts [batch, length, characters] -> logits [batch]: the generator's mirror image."""

    def __init__(
        self,
        length: Count,
        characters: Count,
        filters: Count = 512,
        kernel: Count = 5,
        blocks: FewOrZero = 5,
        init: ConvInit = "he",
    ) -> None:
        super().__init__()
        self.input = _convolution(characters, filters, 1, init)
        self.blocks = nn.Sequential(
            *(ResidualBlock1d(filters, kernel, init) for _ in range(blocks))
        )
        self.output = linear(filters * length, 1, init)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.input(x.transpose(1, 2)))
        return self.output(x.flatten(1)).squeeze(1)


class ResidualBlock1d(nn.Module):
    """x [batch, filters, length] -> x + .3 f(x), f twice ReLU and convolution."""

    def __init__(self, filters: Count, kernel: Count = 5, init: ConvInit = "he") -> None:
        super().__init__()
        self.f = nn.Sequential(
            ReLU(),
            _convolution(filters, filters, kernel, init),
            ReLU(),
            _convolution(filters, filters, kernel, init),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + RESIDUAL * self.f(x)


def _convolution(inputs: int, outputs: int, kernel: int, init: ConvInit) -> nn.Conv1d:
    check_kernel(kernel)
    layer = nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2)
    draw(layer, inputs * kernel, outputs * kernel, init)
    return layer
