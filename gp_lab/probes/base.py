"""What a probe is: it looks at a run at chosen steps and returns arrays and numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gp_lab.data.base import Dataset, Latent
from gp_lab.errors import BadInput
from gp_lab.fields import CountOrZero
from gp_lab.instantiate import Checked, Run, chosen
from gp_lab.networks.checks import no_statistics
from gp_lab.objectives.losses import Loss
from gp_lab.objectives.penalties import interpolate
from gp_lab.objectives.shard import Total, part
from gp_lab.tracking.base import Best

Scores = Mapping[str, Best]
"""Of a probe's numbers: patterns of names, and which of its values is the best one."""

POINTS = 2**16
"""Points of one dimension that are generated at once: memory stays small however many there are."""


@dataclass(frozen=True)
class Share:
    """What one of several ranks does of a measurement that they make together: alone, all of it.

    total: a tensor to its sum over the ranks, the same on each.
    """

    rank: int = 0
    world: int = 1
    total: Total = lambda x: x

    def part(self, n: int) -> tuple[int, int]:
        """Where this rank's of n things begin and end."""
        return part(n, self.rank, self.world)

    def gather(self, own: Tensor, start: int, n: int) -> Tensor:
        """Rows [n, ...] of all ranks, of which this one has `own` [k, ...] from place `start`."""
        if self.world == 1:
            return own
        whole = own.new_zeros(n, *own.shape[1:])
        whole[start : start + len(own)] = own
        return self.total(whole)


@dataclass(frozen=True)
class View:
    """One run at one step, as a probe sees it.

    critic: points [n, ...] to logits [n], under this step's parameters (and constraint);
    generate: latents [n, ...] to fakes [n, ...] (of the average where there is one); both take
    classes [n] as a second argument where the networks take classes;
    dataset, latent: where reals and latents come from; loss: phi, varphi, psi, or of pairs;
    discriminator, generator: the modules, d: the former's parameters by name;
    rng: a stream -> a generator of this step's own;
    encode: reals [n, ...] to latent codes [n, ...], None without an encoder;
    classes: how many G takes, 0 if it takes none;
    couples: whether batch norm in G makes the fakes of a batch depend on one another;
    share: this rank's of a measurement; probes that are not `shared` are given the whole.
    """

    step: int
    critic: Callable[..., Tensor]
    generate: Callable[..., Tensor]
    dataset: Dataset
    latent: Latent
    loss: Loss
    discriminator: torch.nn.Module
    d: dict[str, Tensor]
    batch_size: int
    device: torch.device
    dtype: torch.dtype
    rng: Callable[[str], torch.Generator]
    generator: torch.nn.Module = field(default_factory=torch.nn.Identity)
    encode: Callable[[Tensor], Tensor] | None = None
    classes: int = 0
    couples: bool = False
    share: Share = Share()

    def fakes(
        self,
        rng: torch.Generator,
        n: int,
        labels: Tensor | None = None,
        real: Tensor | None = None,
    ) -> Tensor:
        """n fakes [n, ...] on the run's device, of latents (and, without `labels`, of classes) that
        are drawn from `rng`; `real` [n, ...] for latents that follow the reals.

        What batch norm makes of a latent depends on the batch, and G has learnt with batches of the
        run's size: such a G is given whole batches, drawn one after another, of which the first n
        fakes are kept. So a fake does not depend on how many are asked for.
        """
        if not self.couples:
            return self.fakes_of(*self.latents(rng, n, labels, self.partners(rng, n, real)))
        size, made = self.batch_size, []
        for start in range(0, max(n, 1), size):
            some = self.partners(rng, size, None if real is None else real[start : start + size])
            latent, classes = self.latents(rng, size, None, some)
            if labels is not None and classes is not None:
                given = labels[start : start + size]
                classes[: len(given)] = given
            made.append(self.fakes_of(latent, classes)[: n - start])
        return torch.cat(made)

    def latents(
        self,
        rng: torch.Generator,
        n: int,
        labels: Tensor | None = None,
        real: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """The latents [n, ...] and classes [n] of `fakes`; None where G takes no classes."""
        latent = self.latent.draw(rng, n, real)
        if self.classes and labels is None:
            labels = torch.randint(self.classes, (n,), generator=rng)
        return latent, labels

    @torch.no_grad()
    def fakes_of(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Fakes [n, ...] of latents [n, ...] and their classes [n], in batches of the run's size.

        Where batch norm couples the samples of a batch, others that are always the same fill the
        last one. Points of a G without batch norm are made `POINTS` at once.
        """
        n, size = len(latent), self.batch_size
        if self.couples and (missing := -n % size):
            latent, labels = self._in_whole_batches(latent, labels, missing)
        if self.couples:
            sizes = [size] * (len(latent) // size)
        else:
            sizes = even_batches(n, POINTS if len(self.dataset.shape) == 1 else size)
        given = [() for _ in sizes] if labels is None else [(y,) for y in labels.split(sizes)]
        made = [
            self.generate(self.place(z), *(y.to(self.device) for y in of))
            for z, of in zip(latent.split(sizes), given, strict=True)
        ]
        return torch.cat(made)[:n]

    def lines(
        self, start: Tensor, end: Tensor, points: int, labels: Tensor | None = None
    ) -> Tensor:
        """Fakes on straight lines between latents [n, ...], both ends included: [n, points, ...].

        `labels` [n]: the class of each line. The fakes of a batch are of several lines, which batch
        norm needs: along one line they hardly differ.
        """
        start, end = self.place(start), self.place(end)
        n, several = len(start), [points] + [1] * (start.dim() - 1)
        position = torch.linspace(0, 1, points, dtype=start.dtype, device=start.device)
        latents = interpolate(
            end.repeat(several), start.repeat(several), position.repeat_interleave(n)
        )
        fakes = self.fakes_of(latents, None if labels is None else labels.repeat(points))
        return fakes.reshape(points, n, *fakes.shape[1:]).transpose(0, 1)

    def whole(self, n: int) -> int:
        """n; as many as whole batches have, where batch norm in G couples the samples of one."""
        return n + -n % self.batch_size if self.couples else n

    def partners(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor | None:
        """n reals [n, ...] for latents that follow them, first those of `real`, then drawn ones.

        None for other latents: for them no reals need be read and decoded.
        """
        if not self.latent.follows_reals:
            return None
        missing = n if real is None else n - len(real)
        given = [] if real is None else [real]
        return torch.cat(given + ([self.dataset.draw(rng, missing)] if missing else []))

    def _in_whole_batches(
        self, latent: Tensor, labels: Tensor | None, missing: int
    ) -> tuple[Tensor, Tensor | None]:
        rng = self.rng("rest_of_batch")
        more, classes = self.latents(rng, missing, None, self.partners(rng, missing))
        latent = torch.cat([self.place(latent), self.place(more)])
        if labels is not None and classes is not None:
            labels = torch.cat([labels, classes.to(labels.device)])
        return latent, labels

    def place(self, x: Tensor) -> Tensor:
        """`x` on the run's device, in its precision."""
        return x.to(self.device, self.dtype)


def even_batches(n: int, size: int) -> list[int]:
    """Sizes that differ by one at most, about `size`, and of 2 at least if there are as many: batch
    norm has no statistics of one sample."""
    count = max(1, min(-(-n // size), n // 2))
    return [n * (i + 1) // count - n * i // count for i in range(count)]


Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Probe(Checked):
    """Base of the probes: what they measure every so many steps, and at the end.

    Args:
        every: iterations between two measurements; 0 measures at the end only.
        start: also before the first step.
    """

    every: CountOrZero = 0
    start: bool = False

    best: ClassVar[Scores] = {}
    """Which of its numbers are scores."""
    needs_encoder: ClassVar[bool] = False
    seen_at_once: ClassVar[str] = ""
    """The key that says how many samples D, or an encoder, is given at once, where one does."""
    knows_classes: ClassVar[bool] = False
    """Whether it says which classes it means, where the networks take classes."""
    shared: ClassVar[bool] = False
    """Whether several ranks measure it together, as `View.share` says: `measure` is then called on
    all of them and returns the same on each."""

    def due(self, step: int, last: int) -> bool:
        """Whether to measure after `step` iterations of a run of `last`."""
        if step == 0:
            return self.start
        return step == last or (self.every > 0 and step % self.every == 0)

    def check(self, key: str, run: Run) -> None:
        """Raises `BadInput` for a run that this probe cannot look at; `key` is its own."""
        if self.needs_encoder and run.game.encoder is None:
            raise BadInput(f"{key}: needs an architecture with an encoder, or leave it out")
        if run.game.classes and not self.knows_classes:
            raise BadInput(
                f"{key}: does not say which classes it asks the networks about, and those of"
                f" {chosen(run, 'architecture')} know of classes; leave it out"
            )
        if self.seen_at_once and getattr(self, self.seen_at_once) == 1:
            for name in run.game.normed:
                if name != "generator":
                    raise no_statistics(f"{key}.{self.seen_at_once}", name, run)

    def measure(self, view: View) -> Arrays:
        """Arrays for `arrays/<probe>-<step>.npz`."""
        raise NotImplementedError

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        """Numbers that belong in the metrics, from the arrays."""
        return {}

    def pictures(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """Images for the dashboard: uint8 [height, width, 3]."""
        return {}


@dataclass(frozen=True)
class PlaneProbe(Probe):
    """Base of the probes that look at a square of the plane through a grid of points."""

    def check(self, key: str, run: Run) -> None:
        if run.dataset.shape != (2,):
            raise BadInput(
                f"{key}: looks at the plane, but the samples have shape {list(run.dataset.shape)};"
                " choose a 2-D data set or leave the probe out"
            )
        super().check(key, run)


def check_held_out(key: str, run: Run) -> None:
    """Raises `BadInput` if the run's data hold nothing out, for the probe of this key."""
    try:
        run.dataset.fresh(torch.Generator(), 1)
    except BadInput as error:
        raise BadInput(f"{key}: compares with held-out data; {error}") from error


def check_square(low: float, high: float) -> None:
    """Raises `ValueError` unless [low, high]^2 is a square."""
    if not low < high:
        raise ValueError(f"low={low}: not below high={high}")


def grid(low: float, high: float, points: int, view: View) -> tuple[np.ndarray, Tensor]:
    """The axis [points] and the grid's points [points^2, 2]: x runs fastest, y slowest."""
    axis = np.linspace(low, high, points)
    return axis, rectangle(axis, axis, view)


def rectangle(x: np.ndarray, y: np.ndarray, view: View) -> Tensor:
    """The points of a grid over axes x [m] and y [n]: [n m, 2], x runs fastest."""
    columns, rows = np.meshgrid(x, y)
    return view.place(torch.from_numpy(np.stack([columns.ravel(), rows.ravel()], axis=1)))


def values_and_gradients(
    critic: Callable[[Tensor], Tensor], points: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """f [n] and its gradient [n, ...] at the points, in float64."""
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        f = critic(points)
        (gradient,) = torch.autograd.grad(f.sum(), points)
    return to_numpy(f), to_numpy(gradient)


def slope_of(function: Callable[[Tensor], Tensor], f: np.ndarray) -> np.ndarray:
    """The derivative of an elementwise function at f [n], in float64."""
    return values_and_gradients(function, torch.from_numpy(f))[1]


def to_numpy(x: Tensor) -> np.ndarray:
    """A tensor as a float64 array."""
    return x.detach().double().cpu().numpy()


def sigmoid(f: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-f)), without overflow."""
    return np.exp(-np.logaddexp(0.0, -f))
