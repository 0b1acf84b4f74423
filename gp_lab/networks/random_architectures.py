"""The set of random architectures of `wgan_gp`, Table 1, as a seeded sampler."""

import random
from dataclasses import dataclass
from typing import Literal

from torch import nn

from gp_lab.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gp_lab.networks.layers import Activation
from gp_lab.networks.mlp import Norm

NONLINEARITIES: tuple[Activation, ...] = ("relu", "leaky_relu", "softplus_elu", "tanh")
DEPTHS = (4, 8, 12, 20)
FILTERS = (32, 64, 128)
CriticNorm = Literal["batch", "layer"]


@dataclass(frozen=True)
class NetChoice:
    """One row of choices for one network (`papers/wgan_gp.txt`, Table 1).

    Args:
        activation: one of NONLINEARITIES.
        depth: one of DEPTHS.
        normalised: batch norm, or layer norm in the discriminator of a WGAN-GP.
        filters: base filter count, one of FILTERS.
    """

    activation: Activation
    depth: int
    normalised: bool
    filters: int

    def overrides(self, net: str, norm: Norm) -> list[str]:
        """The choice as `gp-lab` takes it, for `net` generator or discriminator."""
        values = {
            "activation": self.activation,
            "depth": self.depth,
            "norm": norm if self.normalised else "none",
            "filters": self.filters,
        }
        return [f"architecture.{net}.{key}={value}" for key, value in values.items()]


@dataclass(frozen=True)
class PairChoice:
    """A generator and a discriminator, chosen independently of each other."""

    generator: NetChoice
    discriminator: NetChoice

    def overrides(self, critic_norm: CriticNorm) -> list[str]:
        """What to add to `architecture=dcgan_random`; `critic_norm` is the discriminator's norm
        where it has one: batch for the standard GAN, layer for WGAN-GP."""
        return self.generator.overrides("generator", "batch") + self.discriminator.overrides(
            "discriminator", critic_norm
        )

    def build(
        self, critic_norm: CriticNorm, latent_dim: int = 128, size: int = 32, channels: int = 3
    ) -> tuple[nn.Module, nn.Module]:
        """(generator, discriminator) for images [channels, size, size], weights from the global
        generator. The nets are DCGAN's with more layers, see `DCGANGenerator`."""
        g, d = self.generator, self.discriminator
        generator = DCGANGenerator(
            latent_dim,
            size,
            channels,
            g.filters,
            norm="batch" if g.normalised else "none",
            activation=g.activation,
            depth=g.depth,
        )
        discriminator = DCGANDiscriminator(
            size,
            channels,
            d.filters,
            norm=critic_norm if d.normalised else "none",
            activation=d.activation,
            depth=d.depth,
        )
        return generator, discriminator


def sample(seed: int, n: int = 200) -> list[PairChoice]:
    """n pairs, every choice uniform and independent (`papers/wgan_gp.txt`, sec. 5.1 and Table 1).

    The same seed gives the same pairs on every machine, and the first of them for a smaller n.
    """
    rng = random.Random(seed)

    def choose() -> NetChoice:
        return NetChoice(
            activation=NONLINEARITIES[_index(rng, len(NONLINEARITIES))],
            depth=DEPTHS[_index(rng, len(DEPTHS))],
            normalised=_index(rng, 2) == 0,
            filters=FILTERS[_index(rng, len(FILTERS))],
        )

    return [PairChoice(generator=choose(), discriminator=choose()) for _ in range(n)]


def _index(rng: random.Random, n: int) -> int:
    # random() is the only method whose numbers Python promises to keep between versions.
    return int(rng.random() * n)
