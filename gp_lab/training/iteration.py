"""One iteration of a stack of runs: the discriminator's updates, then the generator's."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gp_lab.training.batches import Blocks, batches_at_once
from gp_lab.training.engine import Engine
from gp_lab.training.ranks import StopVote
from gp_lab.training.setup import Setup
from gp_lab.training.stacking import stacked_numbers


class Iteration:
    """d_steps updates of D, then g_steps of G, on the batches of a step.

    It changes nothing but the ranks' vote to stop: the same state and step give the same again.
    """

    def __init__(self, runs: Sequence[Setup], blocks: Blocks, vote: StopVote) -> None:
        self.settings, self.length = runs[0].settings, batches_at_once(runs[0])
        self.hyper = stacked_numbers(runs) if len(runs) > 1 else {}
        self.blocks, self.vote = blocks, vote

    def __call__(
        self, engine: Engine, state: dict[str, Any], step: int
    ) -> tuple[dict[str, Any], Tensor]:
        """The state after the iteration that follows `step`, and the metrics of its last updates,
        [metrics] or [replicas, metrics]."""
        k, i = divmod(step, self.length)
        b, votes = self.blocks[k], self.vote.cast()
        for at in [(i,)] if engine.whole else [(i, j) for j in range(self.settings.d_steps)]:
            state, metrics = engine.discriminator_step(
                state,
                self.hyper,
                b.rate_d[i],
                b.real[at],
                b.latent[at],
                b.u[at],
                tuple(y[at] for y in b.labels),
                {name: x[at] for name, x in b.drawn.items()},
                *votes,
            )
        metrics = self.vote.count(metrics)
        for j in range(self.settings.g_steps):
            state, of_g = engine.generator_step(state, self.hyper, b.rate_g[i], *b.of_g(i, j))
            if j == self.settings.g_steps - 1:
                metrics = torch.cat([metrics, of_g], dim=-1)
        return state, metrics
