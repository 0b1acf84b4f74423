"""The metrics of a stack of runs: kept on the device, and written when lines are due."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gp_lab.training.replicas import Replica, finite
from gp_lab.training.stacking import one_of


class MetricsLogger:
    """Writes lines to `metrics.jsonl` and the dashboard, and finds out which runs have diverged.

    Reading a number of a GPU makes the host wait: what was recorded is brought over in one go.
    """

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self.replicas = replicas
        self.settings, game = replicas[0].setup.settings, replicas[0].setup.game
        self.names = game.metrics_of_d + (game.metrics_of_g if self.settings.g_steps else ())
        self._recorded: list[tuple[int, Tensor]] = []

    def due(self, step: int) -> bool:
        """Whether a line is due after this step."""
        return step % self.settings.log_every == 0 or step == self.settings.steps

    def record(self, step: int, metrics: Tensor) -> None:
        """Keep the metrics of a step, [metrics] or [replicas, metrics], on their device."""
        self._recorded.append((step, metrics))

    def write(self) -> None:
        """Write the due lines among what was recorded; a run ends at its first number that is none,
        with the lines before it."""
        if not self._recorded:
            return
        steps = [step for step, _ in self._recorded]
        values = torch.stack([metrics for _, metrics in self._recorded]).double().cpu()
        values = values.reshape(len(steps), len(self.replicas), -1)
        self._recorded.clear()
        for r, replica in enumerate(self.replicas):
            if replica.trains:
                self._write_one(replica, steps, values[:, r])

    def _write_one(self, replica: Replica, steps: Sequence[int], values: Tensor) -> None:
        """`values`: [steps, metrics]."""
        bad = (~torch.isfinite(values)).any(dim=1).nonzero()
        end = int(bad[0]) if len(bad) else len(steps)
        lines = [
            {"step": step} | dict(zip(self.names, row.tolist(), strict=True))
            for step, row in zip(steps[:end], values[:end], strict=True)
            if self.due(step)
        ]
        replica.log(lines)
        replica.newest = values[-1].tolist()
        if len(bad):
            row = dict(zip(self.names, values[end].tolist(), strict=True))
            first = next(name for name, value in row.items() if not math.isfinite(value))
            replica.diverge(steps[end], f"{first} is {row[first]:.0f} at step {steps[end]}")

    def check_last_update(self, step: int, state: dict[str, Any]) -> None:
        """Metrics are from before an update: of the last one, only the parameters tell."""
        for r, replica in enumerate(self.replicas):
            if replica.trains and not finite(one_of(state, r, len(self.replicas))):
                why = f"the parameters are not finite after step {step}"
                replica.diverge(step, why)

    @property
    def headline(self) -> dict[str, str]:
        """The losses and the penalty of the newest line, a mean over the runs that train."""
        alive = [replica.newest for replica in self.replicas if replica.trains]
        if not alive:
            return {}
        mean = [sum(values) / len(values) for values in zip(*alive, strict=True)]
        named = dict(zip(self.names, mean, strict=True))
        return {k: f"{named[k]:.4g}" for k in ("loss_d", "penalty", "loss_g") if k in named}
