"""What a generator is fed: latent noise, or the reals themselves for a fixed generator."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gp_lab.data.base import Latent
from gp_lab.data.supply import Supply
from gp_lab.fields import Count, Finite, Positive


@dataclass(frozen=True)
class Normal(Latent):
    """z ~ N(0, I).

    Args:
        dim: number of coordinates.
    """

    dim: Count

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.dim,)

    def draw(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor:
        """[n, dim], float32, on the device of `rng`; `real` is not used."""
        return torch.randn(n, self.dim, generator=rng, device=rng.device)


@dataclass(frozen=True)
class Uniform(Latent):
    """z uniform on [low, high) in every coordinate.

    Args:
        dim: number of coordinates.
        low, high: the ends. Raises ValueError unless low < high.
    """

    dim: Count
    low: Finite = -1.0
    high: Finite = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low={self.low}: not below high={self.high}")

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.dim,)

    def draw(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor:
        """[n, dim], float32, on the device of `rng`; `real` is not used."""
        u = torch.rand(n, self.dim, generator=rng, device=rng.device)
        return self.low + (self.high - self.low) * u


@dataclass(frozen=True)
class Codes(Supply):
    """A discrete uniform prior: `size` codes of N(0, I), drawn once for a run (anomalous, sec. 3.2,
    where there are as many as training images, and App. E).

    Args:
        dim: number of coordinates.
        size: how many codes; `+architecture.latent.size=16` for another number.
        order: `shuffle` (random permutations, one after another: a batch of `size` has each code
            once) or `replacement`.
    """

    dim: Count
    size: Count = 64
    order: Literal["shuffle", "replacement"] = "shuffle"
    points: Tensor | None = field(default=None, init=False, repr=False, compare=False)
    """The codes [size, dim]; None before `prepare`."""

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.dim,)

    def fresh(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor:
        """n new codes [n, dim] of N(0, I), float32, on the device of `rng`."""
        return torch.randn(n, self.dim, generator=rng, device=rng.device)


@dataclass(frozen=True)
class DataPlusNoise(Latent):
    """The reals plus N(0, std^2 I): the fixed generator of wgan_gp, Fig. 1a.

    The authors' toy code adds the noise to the very batch of reals that the critic sees beside it
    (`paired`). The text only says that P_g is "the real distribution plus unit-variance Gaussian
    noise": with `paired: false` the reals are shuffled first, so that a fake lies near another
    sample's real. The fakes have the same distribution either way; the pairs that a penalty
    interpolates between do not.

    Args:
        std: of the noise, after the data's scale.
        dim: number of coordinates of the data.
        paired: keep row i of the fakes near row i of the reals.
    """

    std: Positive = 1.0
    dim: Count = 2
    paired: bool = True

    follows_reals: ClassVar[bool] = True

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.dim,)

    def draw(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor:
        """real [n, dim] + std * N(0, I), [n, dim], on the device of `rng`.

        Raises ValueError without `real`, or if its shape is another than [n, dim].
        """
        if real is None:
            raise ValueError("DataPlusNoise adds noise to a batch of reals, and was given none")
        if real.shape != (n, self.dim):
            raise ValueError(
                f"DataPlusNoise draws [{n}, {self.dim}], and was given reals {list(real.shape)}"
            )
        # The noise is drawn in float32 at any precision, so that all precisions see the same.
        noise = torch.randn(n, self.dim, generator=rng, device=rng.device)
        if not self.paired:
            real = real[torch.randperm(n, generator=rng, device=rng.device)]
        return real + self.std * noise


@dataclass(frozen=True)
class UniformImages(Supply):
    """Images of noise, each pixel uniform on [low, high): lipschitz, Figs. 4 and 7.

    Args:
        channels, side: of an image.
        low, high: the ends, on the scale that the networks see. Raises ValueError unless
            low < high.
        size: of a finite set; null for new images in every batch (lipschitz, Fig. 7).
        order: of a finite set, `replacement` or `shuffle`. Raises ValueError for `shuffle` without
            `size`.
    """

    channels: Count = 3
    side: Count = 32
    low: Finite = -1.0
    high: Finite = 1.0
    size: Count | None = None
    order: Literal["replacement", "shuffle"] = "replacement"
    points: Tensor | None = field(default=None, init=False, repr=False, compare=False)
    """The finite set [size, channels, side, side]; None before `prepare`, and without an end."""

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low={self.low}: not below high={self.high}")
        super().__post_init__()

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.channels, self.side, self.side)

    def fresh(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor:
        """n new images [n, channels, side, side], float32, on the device of `rng`."""
        u = torch.rand(n, *self.shape, generator=rng, device=rng.device)
        return self.low + (self.high - self.low) * u
