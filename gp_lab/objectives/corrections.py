"""Corrections of what D is told is not real (anomalous, sec. 5): fewer fakes, or more than fakes.

D minimises E_real[varphi(f)] + the mean over the negatives of w phi(f), where the negatives are the
fakes with w = 1 unless a correction says otherwise. G's step knows of none.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from gp_lab.errors import BadInput
from gp_lab.fields import Few, Fraction, Stackable
from gp_lab.instantiate import Checked, Run, chosen
from gp_lab.objectives.losses import PairLoss
from gp_lab.objectives.reality import Reality, Tensors
from gp_lab.objectives.shard import Shard

Operation = Literal["average", "and", "or", "and_or"]


class Given(NamedTuple):
    """What a step hands a correction beside reals and fakes.

    drawn: what `draw` drew, [batch, ...] each; state: what `start` made; make: latents
    [batch, ...] to fakes [batch, ...], as the classes of their rows; shard: where the batch is one
    rank's part of a whole.
    """

    drawn: Mapping[str, Tensor]
    state: Tensors
    make: Callable[[Tensor], Tensor]
    shard: Shard | None = None


class Negatives(NamedTuple):
    """What D is told is not real, [k batch, ...]: fakes [batch, ...] first, then further batches.

    Each row has the class of its row of the batch. weights [k batch] average 1 over the whole
    batch, of which a rank has a part (None: all are 1). realistic [batch]: which fakes were judged
    so before anything was replaced, for the metric of that name.
    """

    points: Tensor
    weights: Tensor | None = None
    realistic: Tensor | None = None


@dataclass(frozen=True)
class NoCorrection(Checked):
    """The negatives are the fakes; also the base of the others."""

    metrics: ClassVar[tuple[str, ...]] = ()
    """What of it is logged: `realistic`, a share of the fakes; `f_combined`, the mean logit of what
    are no fakes."""

    @property
    def changes(self) -> bool:
        """Whether there is anything to correct."""
        return type(self) is not NoCorrection

    def check(self, key: str, run: Run) -> None:
        """Raises `BadInput` for a run whose negatives cannot be corrected so."""
        if self.changes and isinstance(run.game.loss, PairLoss):
            raise BadInput(
                f"{chosen(run, key)}: negatives of their own weights have no partners, and"
                f" {chosen(run, 'loss')} is a loss of pairs; use {key}=none or another loss"
            )

    def numbers(self, run: Run) -> int:
        """How many are drawn for a sample, by which the size of a block goes."""
        return 0

    def draw(self, run: Run, rng: torch.Generator, n: int) -> Tensors:
        """What n samples of D's batches need by chance, [n, ...] each, of a stream of its own."""
        return {}

    def start(self, run: Run) -> Tensors:
        """What it has to know of the run, which stays as it is: part of the state."""
        return {}

    def negatives(self, real: Tensor, fake: Tensor, given: Given) -> Negatives:
        """The negatives of a step, constants; real and fake [batch, ...]."""
        return Negatives(fake)


Correction = NoCorrection


def combined(operation: Operation, one: Tensor, other: Tensor) -> Tensor:
    """Pixel-wise combinations of pairs of samples [n, ...] (anomalous, Eq. 12).

    On binary images the minimum is a logical AND and the maximum OR, whatever their two numbers
    are; `and_or` is AND and OR by turns.
    """
    if operation == "average":
        return 0.5 * one + 0.5 * other
    if operation == "and":
        return torch.minimum(one, other)
    if operation == "or":
        return torch.maximum(one, other)
    odd = torch.arange(len(one), device=one.device).reshape(-1, *[1] * (one.dim() - 1)) % 2 > 0
    return torch.where(odd, torch.maximum(one, other), torch.minimum(one, other))


@dataclass(frozen=True, kw_only=True)
class PixelCombination(NoCorrection):
    """PCR: combinations of reals are negatives, as many as fakes (anomalous, Eqs. 12 and 13).

    Args:
        pairs: `batch`, each real of D's batch with the next, the last with the first (a batch is in
            random order); `precomputed`, combinations that the data set draws (App. F).
        operation: on pairs of the batch; a data set's own are AND and OR, `and_or`.
        weight: of the combinations among the negatives; Eq. 13 has 1/2.
    """

    pairs: Literal["batch", "precomputed"] = "batch"
    operation: Operation = "average"
    weight: Annotated[Fraction, Stackable] = 0.5

    metrics: ClassVar[tuple[str, ...]] = ("f_combined",)

    def check(self, key: str, run: Run) -> None:
        super().check(key, run)
        if self.pairs == "batch":
            if run.settings.batch_size == 1:
                raise BadInput(
                    f"batch_size=1: {key}.pairs=batch combines the reals of a batch; use at least 2"
                )
            return
        if self.operation != "and_or":
            raise BadInput(
                f"{key}.operation={self.operation}: the combinations that a data set draws are AND"
                f" and OR; use {key}.operation=and_or, or {key}.pairs=batch"
            )
        try:
            found = run.dataset.combinations(torch.Generator().manual_seed(0), 2)
        except (AttributeError, BadInput) as error:
            raise BadInput(
                f"{key}.pairs=precomputed: {chosen(run, 'dataset')} draws no combinations of its"
                f" samples; use {key}.pairs=batch"
            ) from error
        if found.shape != (2, *run.dataset.shape):
            raise BadInput(
                f"{key}.pairs=precomputed: {chosen(run, 'dataset')} has samples of shape"
                f" {list(run.dataset.shape)} and combinations of shape {list(found.shape[1:])}"
            )

    def numbers(self, run: Run) -> int:
        own = math.prod(run.dataset.shape) if self.pairs == "precomputed" else 0
        return super().numbers(run) + own

    def draw(self, run: Run, rng: torch.Generator, n: int) -> Tensors:
        drawn = super().draw(run, rng, n)
        if self.pairs == "precomputed":
            drawn["combined"] = run.dataset.combinations(rng, n)
        return drawn

    def negatives(self, real: Tensor, fake: Tensor, given: Given) -> Negatives:
        found = super().negatives(real, fake, given)
        others = given.drawn["combined"] if self.pairs == "precomputed" else self._of(real, given)
        a, b = len(found.points), len(others)
        of_fakes = real.new_ones(a) if found.weights is None else found.weights
        weights = [
            (a + b) / a * (1 - self.weight) * of_fakes,
            (a + b) / b * self.weight * real.new_ones(b),
        ]
        points = torch.cat([found.points, others])
        return found._replace(points=points, weights=torch.cat(weights))

    def _of(self, real: Tensor, given: Given) -> Tensor:
        """A combination for each of these reals, whose partners may be another rank's."""
        whole = real if given.shard is None else given.shard.gather(real)
        every = combined(self.operation, whole, whole.roll(-1, 0))
        return every if given.shard is None else every[given.shard.rows]


@dataclass(frozen=True, kw_only=True)
class SampleCorrection(NoCorrection):
    """SC: realistic fakes are no negatives (anomalous, sec. 5).

    Args:
        measure: which fakes are realistic.
        mode: `discard` them, so that the others share their weight (sec. 5.2, App. F); where all of
            a batch are realistic all stay, as a batch without negatives is no step. Or `replace`
            each (secs. 5.1 and 5.3) by the first of `candidates` further fakes that is not
            realistic; where none is, it stays.
        candidates: for `replace`.
    """

    measure: Reality
    mode: Literal["discard", "replace"] = "discard"
    candidates: Few = 3

    metrics: ClassVar[tuple[str, ...]] = ("realistic",)

    def check(self, key: str, run: Run) -> None:
        super().check(key, run)
        self.measure.check(f"{key}.measure", run)
        if self.mode == "replace" and run.latent.follows_reals:
            raise BadInput(
                f"{key}.mode=replace: makes further fakes of a row, and the latents of"
                f" {chosen(run, 'architecture')} follow the reals; use {key}.mode=discard"
            )

    def numbers(self, run: Run) -> int:
        own = self.candidates * math.prod(run.latent.shape) if self.mode == "replace" else 0
        return super().numbers(run) + own

    def draw(self, run: Run, rng: torch.Generator, n: int) -> Tensors:
        drawn = super().draw(run, rng, n)
        if self.mode == "replace":
            latents = run.latent.draw(rng, n * self.candidates)
            drawn["candidates"] = latents.unflatten(0, (n, self.candidates))
        return drawn

    def start(self, run: Run) -> Tensors:
        return super().start(run) | self.measure.start(run)

    def negatives(self, real: Tensor, fake: Tensor, given: Given) -> Negatives:
        realistic = self.measure.realistic(fake, given.state)
        if self.mode == "discard":
            found = super().negatives(real, fake, given)
            weights = of_others(realistic.to(fake.dtype), given.shard)
            return found._replace(weights=weights, realistic=realistic)
        wanted = realistic
        for latent in given.drawn["candidates"].unbind(1):
            other = given.make(latent)
            takes = wanted & ~self.measure.realistic(other, given.state)
            fake = torch.where(takes.reshape(-1, *[1] * (fake.dim() - 1)), other, fake)
            wanted = wanted & ~takes
        return super().negatives(real, fake, given)._replace(realistic=realistic)


def of_others(realistic: Tensor, shard: Shard | None = None) -> Tensor:
    """Weights [n] that average 1 over the whole batch: 0 for the realistic, alike for the others.

    `realistic` [n] has a 1 for what is and a 0 for what is not; if all of the batch are, each has
    1.
    """
    kept = 1 - realistic
    share = kept.mean() if shard is None else shard.mean(kept)
    return torch.where(share > 0, kept / torch.where(share > 0, share, 1.0), 1.0)


@dataclass(frozen=True, kw_only=True)
class SampleCorrectionAndCombination(PixelCombination, SampleCorrection):
    """SC + PCR (anomalous, sec. 5.2): fakes as SC weighs or replaces them, then combinations."""

    metrics: ClassVar[tuple[str, ...]] = ("realistic", "f_combined")
