"""Random numbers of a run in blocks of iterations.

Block k of stream s comes from a generator seeded by (seed, s, k): a run that is resumed, stacked
with others or split over ranks sees the numbers that it would have seen alone. Drawing a block at
a time makes many small steps cost few calls; where data come from a disk, or the batch is shared
by several ranks, the next block is drawn while this one is trained on.
"""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gp_lab.data.random import generator
from gp_lab.objectives.losses import PairLoss
from gp_lab.training.setup import Setup
from gp_lab.training.step import Labels

LONGEST = 256
"""Iterations in a block, at most."""

FLOATS = 2**21
"""Numbers in a block, about, at most: 8 MB in float32."""


class Block(NamedTuple):
    """The data and noise of `length` iterations; a replica dimension comes third when stacked.

    real [length, d_steps, batch, ...], latent likewise, u [length, d_steps, batch] in [0, 1],
    latent_g [length, g_steps, batch, ...]; rate_d, rate_g [length]: multipliers of the learning
    rate, float64; labels, labels_g: the classes of each batch, for networks that know of classes;
    drawn: what a correction of D's negatives asks for, [length, d_steps, batch, ...] each.
    """

    real: Tensor
    latent: Tensor
    u: Tensor
    latent_g: Tensor
    rate_d: Tensor
    rate_g: Tensor
    labels: Labels = ()
    labels_g: Labels = ()
    real_g: tuple[Tensor, ...] = ()
    drawn: Mapping[str, Tensor] = MappingProxyType({})

    def of_g(self, i: int, j: int) -> tuple[Any, ...]:
        """What `generator_step` takes for update j of iteration i: latents, classes, any reals."""
        labels, real = (tuple(x[i, j] for x in each) for each in (self.labels_g, self.real_g))
        return self.latent_g[i, j], labels, *real


def batches_at_once(run: Setup) -> int:
    """Iterations in one block: a function of the config alone, so that resuming finds its place."""
    return max(1, min(LONGEST, FLOATS // numbers_per_iteration(run)))


def numbers_per_iteration(run: Setup) -> int:
    """What is drawn for an iteration, at most."""
    s = run.settings
    per_sample = math.prod(run.dataset.shape) + math.prod(run.latent.shape) + 1
    of_correction = s.d_steps * run.game.correction.numbers(run)
    return s.batch_size * ((s.d_steps + s.g_steps) * per_sample + of_correction)


def draw_batches(run: Setup, k: int, rows: slice = slice(None)) -> Block:
    """Block k of every stream of a run, on its device and in its precision.

    Of each batch only `rows` are kept. The random numbers are those of all rows, so that they do
    not depend on them; images and texts are read and converted for these alone.
    """
    s, length = run.settings, batches_at_once(run)
    own = len(range(s.batch_size)[rows])

    def rng(stream: str) -> torch.Generator:
        return generator(s.seed, stream, k)

    def shaped(x: Tensor, steps: int, dtype: torch.dtype = run.dtype) -> Tensor:
        x = x.unflatten(0, (length, steps, -1))
        x = x if x.shape[2] == own else x[:, :, rows]
        return x.to(run.device, dtype, non_blocking=True)

    n_d, n_g = length * s.d_steps * s.batch_size, length * s.g_steps * s.batch_size
    real, of_real = _reals(run, rng("real"), n_d, rows)
    latent = run.latent.draw(rng("latent"), n_d, real if run.latent.follows_reals else None)
    u = torch.rand(n_d, generator=rng("penalty"))
    drawn = run.game.correction.draw(run, rng("correction"), n_d)
    real_g: Labels = ()
    of_g: Labels = ()
    if n_g and isinstance(run.game.loss, PairLoss):
        # A fake is made as the class of the real that it is paired with, as in R3GAN's code.
        some, of_g = _reals(run, rng("real_g"), n_g, rows)
        real_g = (shaped(some, s.g_steps),)
    elif n_g and run.game.classes:
        # The classes of G's own batches are uniform, as in wgan_gp's code.
        of_g = (torch.randint(run.game.classes, (n_g,), generator=rng("labels_g")),)
    latent_g = run.latent.draw(rng("latent_g"), n_g, None) if n_g else latent[:0]
    rates = [run.schedule(k * length + i) for i in range(length)]
    rate = torch.tensor(rates, dtype=torch.float64, device=run.device)
    return Block(
        shaped(real, s.d_steps),
        shaped(latent, s.d_steps),
        shaped(u, s.d_steps),
        shaped(latent_g, s.g_steps) if n_g else latent_g,
        rate * run.schedule.d_ratio,
        rate,
        tuple(shaped(y, s.d_steps, torch.long) for y in of_real),
        tuple(shaped(y, s.g_steps, torch.long) for y in of_g),
        real_g,
        {name: shaped(x, s.d_steps) for name, x in drawn.items()},
    )


def _reals(
    run: Setup, rng: torch.Generator, n: int, rows: slice
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """n reals, and (their classes,) for networks that know of them.

    Of each batch the `rows` alone, if the data set can leave the others out.
    """
    some: dict[str, Tensor] = {}
    places = torch.arange(n).reshape(-1, run.settings.batch_size)[:, rows].flatten()
    # Latents that follow the reals are made of all of them.
    if len(places) < n and run.dataset.draws_parts and not run.latent.follows_reals:
        some["wanted"] = places
    if not run.game.classes:
        return run.dataset.draw(rng, n, **some), ()
    real, labels = run.dataset.draw_labelled(rng, n, **some)
    return real, (labels,)


class Blocks:
    """The blocks of a stack of runs, by their numbers.

    Where a data set streams (from a disk, or to a device that it does not fit), or `rows` are not
    all (the random numbers of all are drawn), block k + 1 is drawn by a thread of its own while
    block k is in use. No more than these two are held.
    """

    def __init__(self, runs: Sequence[Setup], rows: slice = slice(None)) -> None:
        self.runs, self.rows = runs, rows
        self.last = (runs[0].settings.steps - 1) // batches_at_once(runs[0])
        streams = any(run.dataset.streams for run in runs)
        ahead = streams or rows != slice(None)
        self.thread = _thread(runs[0].device) if ahead else None
        self.current: tuple[int, Block] | None = None
        self.coming: tuple[int, Future[Block]] | None = None

    def __getitem__(self, k: int) -> Block:
        """Block k. Raises `BadInput` for data that turn out to be damaged."""
        if self.current is None or self.current[0] != k:
            self.current = None  # before the next is taken, or three would be held
            self.current = (k, self._take(k))
        return self.current[1]

    def close(self) -> None:
        """Let the thread end."""
        self.coming = None
        if self.thread is not None:
            self.thread.shutdown(cancel_futures=True)

    def _take(self, k: int) -> Block:
        coming, self.coming = self.coming, None
        block = coming[1].result() if coming and coming[0] == k else self._draw(k)
        if self.thread is not None and k < self.last:
            self.coming = (k + 1, self.thread.submit(self._draw, k + 1))
        return block

    def _draw(self, k: int) -> Block:
        return stack_batches([draw_batches(run, k, self.rows) for run in self.runs])


def _thread(device: torch.device) -> ThreadPoolExecutor:
    if device.type != "cuda":
        return ThreadPoolExecutor(1, "next block")
    # A thread begins on GPU 0, and a rank's may be another.
    own = torch.cuda.current_device() if device.index is None else device.index
    return ThreadPoolExecutor(1, "next block", torch.cuda.set_device, (own,))


def stack_batches(blocks: list[Block]) -> Block:
    """Blocks of several replicas as one: the replica is the dimension after [length, steps]."""
    if len(blocks) == 1:
        return blocks[0]

    def stacked(parts: Sequence[Any]) -> Any:
        first = parts[0]
        if isinstance(first, tuple):
            return tuple(stacked(column) for column in zip(*parts, strict=True))
        if isinstance(first, Mapping):
            return {name: stacked([part[name] for part in parts]) for name in first}
        return torch.stack(list(parts), dim=min(first.dim(), 2)) if first.numel() else first

    return Block(*(stacked(column) for column in zip(*blocks, strict=True)))
