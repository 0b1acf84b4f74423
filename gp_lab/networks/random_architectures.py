"""The set of random architectures of `wgan_gp`, Table 1, as a seeded sampler.

    gp-lab train architecture=dcgan_table1 architecture.pair=17 ...

trains the pair `sample(0)[17]`. The nets are DCGAN's with more layers, see `dcgan.DCGANGenerator`.
"""

import random
from dataclasses import dataclass
from typing import Literal

from gp_lab.fields import Count, FewOrZero, Seed
from gp_lab.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gp_lab.networks.layers import Activation, Output
from gp_lab.networks.mlp import Norm

NONLINEARITIES: tuple[Activation, ...] = ("relu", "leaky_relu", "softplus_elu", "tanh")
DEPTHS = (4, 8, 12, 20)
FILTERS = (32, 64, 128)
CriticNorm = Literal["batch", "layer"]


@dataclass(frozen=True)
class NetChoice:
    """One row of choices for one network (wgan_gp, Table 1).

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


def sample(seed: int, n: int = 200) -> list[PairChoice]:
    """n pairs, every choice uniform and independent (wgan_gp, sec. 5.1 and Table 1).

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


class RandomGenerator(DCGANGenerator):
    """The generator of pair number `pair` of the list `sample(list_seed)`: z -> images.

    Shapes and errors as in `DCGANGenerator`.

    Args:
        narrower: what the filters of the list are divided by, 1 for the paper's.
    """

    def __init__(
        self,
        latent_dim: Count,
        size: Count,
        channels: Count,
        pair: FewOrZero = 0,
        list_seed: Seed = 0,
        output: Output = "tanh",
        narrower: Count = 1,
    ) -> None:
        choice = sample(list_seed, pair + 1)[pair].generator
        super().__init__(
            latent_dim,
            size,
            channels,
            max(1, choice.filters // narrower),
            norm="batch" if choice.normalised else "none",
            activation=choice.activation,
            output=output,
            depth=choice.depth,
        )


class RandomDiscriminator(DCGANDiscriminator):
    """The discriminator of pair number `pair` of the list `sample(list_seed)`: images -> logits.

    `norm` is its norm where it has one: batch for the standard GAN, layer for WGAN-GP.
    `narrower` as of the generator.
    """

    def __init__(
        self,
        size: Count,
        channels: Count,
        pair: FewOrZero = 0,
        list_seed: Seed = 0,
        norm: Norm = "layer",
        narrower: Count = 1,
    ) -> None:
        choice = sample(list_seed, pair + 1)[pair].discriminator
        super().__init__(
            size,
            channels,
            max(1, choice.filters // narrower),
            norm=norm if choice.normalised else "none",
            activation=choice.activation,
            depth=choice.depth,
        )
