"""What can never fit the memory: refused before anything is computed, in one sentence.

Only what is needed at the very least counts (`stacking.bytes_per_replica` says what is likely): a
run that is refused here would have ended in an allocation that fails, or in the kernel's hands.
"""

import math
from typing import Any

import torch

from gp_lab.errors import BadInput
from gp_lab.probes.base import PlaneProbe, Probe
from gp_lab.training.batches import batches_at_once, numbers_per_iteration
from gp_lab.training.memory import activations, free_bytes
from gp_lab.training.setup import Setup

FLOAT = 4
"""Bytes of a number as it is drawn, whatever the precision."""

BF16 = 2
"""Bytes of a number that a layer hands on, at least."""


def refuse_too_large(run: Setup, ranks: int = 1) -> None:
    """Raises `BadInput` for a batch, or a probe, that one of so many ranks has no memory for."""
    s, shape, device = run.settings, run.dataset.shape, run.device
    block = FLOAT * batches_at_once(run) * numbers_per_iteration(run)
    held = BF16 * activations(run.game.discriminator, shape, run)
    words = f"batch_size={s.batch_size}, d_steps={s.d_steps}, g_steps={s.g_steps}"
    _refuse(words, (block + held * s.batch_size) // ranks, device)
    for name, probe in run.probes.items():
        words = f"probe.{name}: {_looked_at(probe)} samples"
        _refuse(words, FLOAT * _looked_at(probe) * math.prod(shape), device)


def refuse_too_many(word: str, samples: int, run: Setup) -> None:
    """Raises `BadInput` for more samples of a run's generator than fit; `word` asked for them."""
    numbers = math.prod(run.dataset.shape) + math.prod(run.latent.shape)
    _refuse(word, FLOAT * samples * numbers, torch.device("cpu"))


def _refuse(words: str, needed: int, device: torch.device) -> None:
    if needed > (free := free_bytes(device)):
        raise BadInput(
            f"{words}: too large for the memory here; {needed / 1e9:.3g} GB at least, and"
            f" {free / 1e9:.3g} GB are free"
        )


def _looked_at(probe: Probe) -> int:
    """How many samples a probe holds at once; those of scores come a batch at a time."""
    own: dict[str, Any] = vars(probe)
    points = own.get("points") or 1
    if isinstance(probe, PlaneProbe):
        return int(points * (own.get("points_y") or points))
    return 0 if probe.shared else int(points * (own.get("count") or own.get("pairs") or 1))
