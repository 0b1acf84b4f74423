"""Generators that begin as the identity: a few latent points that training moves (`lipschitz`)."""

import torch
from torch import Tensor, nn

from gp_lab.fields import Count, Few
from gp_lab.instantiate import Checked
from gp_lab.networks.layers import Activation
from gp_lab.networks.mlp import MLP


class Moved(Checked, nn.Module):
    """z + MLP(z), latents [batch, dim] to fakes [batch, dim]; the MLP is zero at the start.

    With a latent of a few points each of them moves by itself (lipschitz, App. C).
    """

    def __init__(
        self, dim: Count = 2, depth: Few = 2, width: Count = 64, activation: Activation = "relu"
    ) -> None:
        super().__init__()
        self.by = MLP(dim, dim, depth, width, activation)
        for parameter in self.by.output.parameters():
            nn.init.zeros_(parameter)

    def forward(self, z: Tensor) -> Tensor:
        return torch.add(z, self.by(z))
