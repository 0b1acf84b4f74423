"""Random numbers of a run in blocks of iterations.

Block k of stream s comes from a generator seeded by (seed, s, k): a run that is resumed, stacked
with others or split over ranks sees the numbers that it would have seen alone. Drawing a block at
a time makes many small steps cost few calls.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gp_lab.data.random import generator
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
    rate, float64; labels, labels_g: the classes of each batch, for networks that know of classes.
    """

    real: Tensor
    latent: Tensor
    u: Tensor
    latent_g: Tensor
    rate_d: Tensor
    rate_g: Tensor
    labels: Labels = ()
    labels_g: Labels = ()


def block_length(run: Setup) -> int:
    """Iterations in one block: a function of the config alone, so that resuming finds its place."""
    s = run.settings
    per_sample = math.prod(run.dataset.shape) + math.prod(run.latent.shape) + 1
    per_iteration = s.batch_size * (s.d_steps + s.g_steps) * per_sample
    return max(1, min(LONGEST, FLOATS // per_iteration))


def draw_block(run: Setup, k: int) -> Block:
    """Block k of every stream of a run, on its device and in its precision."""
    s, length = run.settings, block_length(run)

    def rng(stream: str) -> torch.Generator:
        return generator(s.seed, stream, k)

    def shaped(x: Tensor, steps: int, dtype: torch.dtype = run.dtype) -> Tensor:
        x = x.reshape(length, steps, s.batch_size, *x.shape[1:])
        return x.to(run.device, dtype, non_blocking=True)

    classes = run.game.classes
    n_d, n_g = length * s.d_steps * s.batch_size, length * s.g_steps * s.batch_size
    labels: Labels = ()
    labels_g: Labels = ()
    if classes:
        real, of_real = run.dataset.draw_labelled(rng("real"), n_d)
        # The generator is asked for each class as often as any other (wgan_gp's code).
        of_g = torch.randint(classes, (n_g,), generator=rng("labels_g"))
        labels = (shaped(of_real, s.d_steps, torch.long),)
        labels_g = (shaped(of_g, s.g_steps, torch.long),) if n_g else ()
    else:
        real = run.dataset.draw(rng("real"), n_d)
    latent = run.latent.draw(rng("latent"), n_d, real)
    u = torch.rand(n_d, generator=rng("penalty"))
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
        labels,
        labels_g,
    )


def stack_blocks(blocks: list[Block]) -> Block:
    """Blocks of several replicas as one: the replica is the dimension after [length, steps]."""
    if len(blocks) == 1:
        return blocks[0]

    def stacked(parts: Sequence[Any]) -> Any:
        first = parts[0]
        if isinstance(first, tuple):
            return tuple(stacked(column) for column in zip(*parts, strict=True))
        return torch.stack(list(parts), dim=min(first.dim(), 2)) if first.numel() else first

    return Block(*(stacked(column) for column in zip(*blocks, strict=True)))
