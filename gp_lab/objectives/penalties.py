"""Gradient penalties as a product: where x shape x reduction, on the logit or the probability.

    penalty = weight * reduction over points of shape(|grad D|)   (half of it where a paper says so)

- *where* (the measure): between, real, fake, both, midpoint, anchor, latent_path;
- *shape*: squared |g|^2, two_sided (|g| - center)^2, one_sided max(0, |g| - center)^2;
- *reduction*: mean, or maximum with the hardest points carried over to the next step.

1-GP (wgan_gp, Eq. 3) is (between, two_sided about 1, mean), 0-GP (zero_gp, Eq. 6) is (between,
squared, mean) on the probability, 0-GP-sample (zero_gp, Table 1) is (both, squared, mean), the
measures of mu_wgan (Table 1) are all squared, and max-GP (lipschitz) is (between, squared, max).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from gp_lab.errors import BadInput
from gp_lab.fields import Finite, Fraction, NonNegative, Stackable
from gp_lab.instantiate import Checked, Run, network_key
from gp_lab.objectives.shard import Shard

Measure = Literal["between", "real", "fake", "both", "midpoint", "anchor", "latent_path"]
Shape = Literal["squared", "two_sided", "one_sided"]
Reduction = Literal["mean", "max"]
Output = Literal["logit", "probability"]

Critic = Callable[[Tensor], Tensor]
"""Points [batch, ...] to logits [batch], each sample by itself."""

Path = Callable[[Tensor], Tensor]
"""u [batch] in [0, 1] to points [batch, ...] on paths from fakes (0) to reals (1)."""

InputGradient = Callable[[Critic, Tensor], Tensor]
"""(critic, points [batch, ...]) to per-sample gradients [batch, ...], differentiable again."""


def interpolate(real: Tensor, fake: Tensor, u: Tensor) -> Tensor:
    """u x + (1 - u) y for pairs of reals x and fakes y [batch, ...] and u [batch] in [0, 1].

    wgan_gp, Algorithm 1, line 6; zero_gp, Eq. 6.
    """
    u = u.reshape(-1, *[1] * (real.dim() - 1))
    return u * real + (1 - u) * fake


def points_of(measure: Measure, real: Tensor, fake: Tensor, u: Tensor, anchor: Tensor) -> Tensor:
    """Where the gradient is penalised: [batch, ...], or [2 batch, ...] for `both`.

    mu_wgan, Table 1, names between mu_GP, midpoint mu_mid and anchor mu_g,anc; `both`
    is the union of reals and fakes, each with the same weight.
    """
    if measure == "between":
        return interpolate(real, fake, u)
    if measure == "real":
        return real
    if measure == "fake":
        return fake
    if measure == "both":
        return torch.cat([real, fake])
    if measure == "midpoint":
        return 0.5 * real + 0.5 * fake
    if measure == "anchor":
        return interpolate(anchor.expand_as(fake), fake, u)
    raise ValueError(f"measure={measure}: no points")


def scattered(shape: Sequence[int], like: Tensor) -> Tensor:
    """Numbers in [-1, 1) of this shape without a pattern, the same in every run: the fixed random
    pixels of mu_wgan, sec. 5.2. No generator draws them, which a stacked step could not ask."""
    places = torch.arange(1, math.prod(shape) + 1, dtype=torch.float64, device=like.device)
    return (2 * (43758.5453 * torch.sin(12.9898 * places).abs()).frac() - 1).to(like).reshape(shape)


def safe_sqrt(squares: Tensor) -> Tensor:
    """sqrt with derivative 0 at 0, where the square root itself has none."""
    positive = squares > 0
    return torch.where(positive, torch.sqrt(torch.where(positive, squares, 1.0)), 0.0)


def shaped(shape: Shape, squared_norm: Tensor, center: float | Tensor) -> Tensor:
    """The penalty at each point [n] from |g|^2 [n].

    `squared` |g|^2 has no square root in it, so its gradient is finite where g = 0; the others
    take the gradient of |g| there as 0.
    """
    if shape == "squared":
        return squared_norm
    excess = safe_sqrt(squared_norm) - center
    if shape == "one_sided":
        excess = torch.relu(excess)  # wgan_gp, App. C
    return excess**2


@dataclass(frozen=True)
class NoPenalty(Checked):
    """No gradient penalty; also the base of the others."""

    measure = "none"

    def carried(self, batch_size: int) -> int:
        """How many hardest points go from one step to the next."""
        return 0

    def check(self, key: str, run: Run) -> None:
        """Raises `BadInput` for networks and data that the penalty does not go with."""
        if self.measure != "none" and not run.game.joint:
            norm = network_key(run, "discriminator", "norm")
            raise BadInput(
                f"{norm}=batch: batch norm couples the samples of a batch, and"
                f" {key}.measure asks for each sample's own gradient (wgan_gp, sec. 4);"
                f" use {norm}=layer or none, or {key}=none"
            )

    def points(
        self, real: Tensor, fake: Tensor, u: Tensor, hardest: Tensor, path: Path | None = None
    ) -> Tensor:
        """The points of this step [n, ...]: none."""
        return fake[:0]

    def __call__(
        self,
        critic: Critic,
        points: Tensor,
        gradient: InputGradient,
        keep: int = 0,
        shard: Shard | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The penalty (a scalar, weighted), mean |grad D| (a scalar) and the hardest points."""
        return points.new_zeros(()), points.new_zeros(()), points


@dataclass(frozen=True)
class Penalty(NoPenalty):
    """A point of the product, with its weight (lambda of the papers; lambda/2 with `half`).

    Args:
        measure: where; `latent_path` needs an architecture with an encoder.
        shape: of |grad D| at each point.
        center: the norm that two_sided and one_sided ask for (1-GP: 1).
        reduction: over the points of the batch.
        output: of D that is differentiated, the logit f or the probability sigmoid(f).
        weight: lambda >= 0.
        half: multiply by 1/2, as mu_wgan's text writes rho/2 E|grad D|^2.
        anchor: the fixed point of the measure `anchor`, one number for every coordinate or one
            each.
        anchor_spread: how far each coordinate of the anchor is from that at most, see `scattered`.
        carry: for reduction `max`, the share of the batch that the hardest points of the last
            step replace (lipschitz, the authors' follow-up code: an eighth). An assumption there.
    """

    measure: Measure = "between"
    shape: Shape = "squared"
    center: Annotated[NonNegative, Stackable] = 0.0
    reduction: Reduction = "mean"
    output: Output = "logit"
    weight: Annotated[NonNegative, Stackable] = 10.0
    half: bool = False
    anchor: Annotated[tuple[Finite, ...], Stackable] = (0.0,)
    carry: Fraction = 0.125
    anchor_spread: NonNegative = 0.0

    def carried(self, batch_size: int) -> int:
        """How many hardest points go from one step to the next: carry * batch, 0 for a mean."""
        return 0 if self.reduction == "mean" else math.floor(self.carry * batch_size)

    def check(self, key: str, run: Run) -> None:
        """Raises `BadInput` for networks and data that the measure does not go with."""
        super().check(key, run)
        if self.measure == "anchor":
            size, dim = len(self.anchor), math.prod(run.dataset.shape)
            if size not in (1, dim):
                raise BadInput(
                    f"{key}.anchor={list(self.anchor)}: {size} numbers for samples of"
                    f" {dim}; give 1 or {dim}"
                )
        if self.measure == "latent_path" and run.game.encoder is None:
            raise BadInput(
                f"{key}.measure=latent_path: the path between latent codes needs an encoder;"
                " choose an architecture with one, such as architecture=mlp_zero_gp_encoder"
            )

    def points(
        self, real: Tensor, fake: Tensor, u: Tensor, hardest: Tensor, path: Path | None = None
    ) -> Tensor:
        """The points of this step [n, ...]; `hardest` [k, ...] of the last replace the first k.

        NaN in `hardest` (there was no last step) leaves the fresh points. `path` is what the
        measure `latent_path` follows (zero_gp, Algorithm 1).
        """
        if self.measure == "latent_path":
            if path is None:
                raise ValueError("measure=latent_path: no path was given")
            fresh = path(u)
        else:
            fresh = points_of(self.measure, real, fake, u, self._anchor_like(fake))
        k = hardest.shape[0]
        if k == 0:
            return fresh
        first = torch.where(torch.isnan(hardest), fresh[:k], hardest)
        return torch.cat([first, fresh[k:]])

    def shaped(self, squared_norm: Tensor) -> Tensor:
        """What is penalised at each point [n], of the squares [n] of the gradient norms there."""
        return shaped(self.shape, squared_norm, self.center)

    def _anchor_like(self, fake: Tensor) -> Tensor:
        if self.measure != "anchor":
            return fake[:1]  # not used: no copy to the device for it at each step
        if isinstance(self.anchor[0], Tensor):  # a replica's own
            anchor = torch.stack(list(self.anchor)).to(fake.dtype)
        else:
            anchor = torch.as_tensor(self.anchor, dtype=fake.dtype, device=fake.device)
        anchor = anchor.reshape(fake.shape[1:]) if anchor.numel() > 1 else anchor
        if not self.anchor_spread:
            return anchor
        return anchor + self.anchor_spread * scattered(fake.shape[1:], fake)

    def __call__(
        self,
        critic: Critic,
        points: Tensor,
        gradient: InputGradient,
        keep: int = 0,
        shard: Shard | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The penalty (a scalar, weighted), mean |grad D| (a scalar) and the hardest points.

        `points` [n, ...] are constants: no gradient flows through them. `hardest` [keep, ...] are
        those with the largest gradient norms. With a `shard` the points are one rank's: the
        scalars times its share, and `hardest` as it is, have to be summed over the ranks.
        """
        output = critic if self.output == "logit" else lambda x: torch.sigmoid(critic(x))
        points = points.detach()
        squared_norm = gradient(output, points).flatten(1).square().sum(1)
        if shard is not None and self.reduction == "max":
            squared_norm = shard.gather(squared_norm)
        at_points = self.shaped(squared_norm)
        value = at_points.mean() if self.reduction == "mean" else at_points.amax()
        hardest = points[:0]
        if keep:
            places = torch.topk(squared_norm.detach(), keep).indices
            hardest = points[places] if shard is None else shard.pick(points, places)
        weight = 0.5 * self.weight if self.half else self.weight
        return weight * value, safe_sqrt(squared_norm.detach()).mean(), hardest

    def __post_init__(self) -> None:
        # Replicas of a stack carry tensors here, checked before they were stacked.
        if self.shape == "squared" and not isinstance(self.center, Tensor) and self.center != 0:
            raise ValueError(
                f"center={self.center}: shape squared has no centre;"
                " use shape=two_sided or one_sided"
            )


@dataclass(frozen=True)
class CrossPairs(NoPenalty):
    """f(x) - f(y) <= center |x - y| for reals x and fakes y alone (lipschitz, Eq. 7).

    No gradient is penalised: weight times the mean (or the largest) of
    max(0, f(x) - f(y) - center |x - y|)^2 over all pairs of a batch.
    """

    center: Annotated[NonNegative, Stackable] = 1.0
    reduction: Reduction = "mean"
    output: Output = "logit"
    weight: Annotated[NonNegative, Stackable] = 100.0
    half: bool = False

    measure = "both"

    def points(
        self, real: Tensor, fake: Tensor, u: Tensor, hardest: Tensor, path: Path | None = None
    ) -> Tensor:
        """Reals, then as many fakes [2 batch, ...]."""
        return torch.cat([real, fake])

    def __call__(
        self,
        critic: Critic,
        points: Tensor,
        gradient: InputGradient,
        keep: int = 0,
        shard: Shard | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The penalty (a scalar, weighted), mean |grad f| at the points, and no hardest points."""
        points = points.detach()
        output = critic if self.output == "logit" else lambda x: torch.sigmoid(critic(x))
        f_and_points = torch.cat([output(points)[:, None], points.flatten(1)], dim=1)
        if shard is not None:  # a pair's points may be on two ranks
            f_and_points = shard.gather(f_and_points)
        (f_real, real), (f_fake, fake) = ((x[:, 0], x[:, 1:]) for x in f_and_points.chunk(2))
        distance = safe_sqrt((real[:, None] - fake[None, :]).square().sum(2))
        excess = torch.relu(f_real[:, None] - f_fake[None, :] - self.center * distance) ** 2
        value = excess.mean() if self.reduction == "mean" else excess.amax()
        weight = 0.5 * self.weight if self.half else self.weight
        squared_norm = gradient(output, points).detach().flatten(1).square().sum(1)
        return weight * value, safe_sqrt(squared_norm).mean(), points[:0]
