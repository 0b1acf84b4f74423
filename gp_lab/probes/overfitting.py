"""The probe of a critic that learns its training set by heart (wgan_gp, Fig. 5b)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gp_lab.fields import Count
from gp_lab.instantiate import Run
from gp_lab.objectives.losses import of_discriminator
from gp_lab.probes.base import Arrays, Probe, View, check_held_out, even_batches, to_numpy


@dataclass(frozen=True)
class CriticLosses(Probe):
    """The discriminator's loss, without penalty, on training data and on data held out.

    Both have the same fakes, so that they differ by the reals alone. D sees batches of the run's
    size, as it learns (batch norm, where it has it, takes its statistics from them). Lighter than
    `HeldOut`, which keeps the points and the gradients at them.

    Args:
        count: of fakes, of training data and of held-out data.

    Arrays: train, held_out, fake [count] what D says of each; train_loss, held_out_loss.
    """

    seen_at_once: ClassVar[str] = "count"

    count: Count = 1000

    def check(self, key: str, run: Run) -> None:
        check_held_out(key, run)
        super().check(key, run)

    def measure(self, view: View) -> Arrays:
        train = view.dataset.draw(view.rng("critic_losses_train"), self.count)
        held_out = view.dataset.fresh(view.rng("critic_losses_held_out"), self.count)
        fake = view.fakes(view.rng("critic_losses_latent"), self.count, real=train)
        f = {
            name: _in_batches(view, points)
            for name, points in (("train", train), ("held_out", held_out), ("fake", fake))
        }
        losses = {
            f"{name}_loss": np.array(float(of_discriminator(view.loss, f[name], f["fake"])))
            for name in ("train", "held_out")
        }
        return {name: to_numpy(values) for name, values in f.items()} | losses

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        return {name: float(arrays[name]) for name in ("train_loss", "held_out_loss")}


@torch.no_grad()
def _in_batches(view: View, points: Tensor) -> Tensor:
    """f [n] at points [n, ...], float64, in batches of about the run's size."""
    parts = points.split(even_batches(len(points), view.batch_size))
    return torch.cat([view.critic(view.place(part)) for part in parts]).double()
