"""Generators without parameters: the fixed generators against which a critic alone is trained."""

from torch import Tensor, nn

from gp_lab.instantiate import Checked


class Identity(Checked, nn.Module):
    """Latent [batch, ...] -> the same tensor: the latent is already a sample.

    The fake is a distribution as it is (zero_gp, Fig. 1) or real data plus noise
    (wgan_gp, Fig. 1a).
    """

    def __init__(self) -> None:  # a config is checked against this signature: no keys
        super().__init__()

    def forward(self, z: Tensor) -> Tensor:
        return z
