"""A finished (or stopped) run in Python: its networks, metrics and arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gp_lab.errors import BadInput
from gp_lab.probes.base import Arrays
from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import Config
from gp_lab.training.setup import Setup, setup
from gp_lab.training.trainer import view_of


@dataclass(frozen=True)
class LoadedRun:
    """A run at one of its checkpoints.

    discriminator: points [n, ...] -> logits [n], under the run's constraint, differentiable in
    the points; generator: latents [n, ...] -> samples [n, ...], of the averaged weights if the
    run keeps an average; setup: the parts (game, dataset, latent, ...).
    """

    folder: RunFolder
    config: Config
    step: int
    discriminator: Callable[[Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    setup: Setup

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        return self.folder.metrics()

    def arrays(self, probe: str, step: int | None = None) -> Arrays:
        """What a probe wrote at a step, or at its last. Raises `BadInput` if it wrote nothing."""
        return self.folder.arrays(probe, step)

    @torch.no_grad()
    def sample(self, n: int, seed: int = 0) -> Tensor:
        """n samples of the generator [n, ...], on the CPU; the same seed gives the same samples."""
        rng = torch.Generator().manual_seed(seed)
        real = self.setup.dataset.draw(rng, n)
        latent = self.setup.latent.draw(rng, n, real)
        return self.generator(latent.to(self.setup.device, self.setup.dtype)).cpu()


def load(run: str | Path, step: int | None = None, trust: tuple[str, ...] = ()) -> LoadedRun:
    """The run in a folder, at its newest whole checkpoint or the one at `step`.

    Its config is data: it is built under the same rules as one from the command line, and
    packages of your own are admitted by `trust` alone. Raises `BadInput` if there is no run or
    no checkpoint.
    """
    folder = RunFolder(run)
    config = folder.config | {"trust": list(trust), "device": "auto", "threads": 0}
    parts = setup(config)
    saved = checkpoint.load(folder, step, str(parts.device))
    if saved is None:
        raise BadInput(f"{folder.path}: no whole checkpoint, only {checkpoint.steps(folder)}")
    at, state, _ = saved
    view = view_of(parts, state, at)
    return LoadedRun(folder, config, at, view.critic, view.generate, parts)
