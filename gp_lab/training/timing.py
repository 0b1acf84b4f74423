"""How fast the runs of a stack go: `timing.jsonl`, beside the metrics and no part of them."""

import resource
import sys
import time
from collections.abc import Sequence

import torch

from gp_lab.training.ranks import Ranks
from gp_lab.training.replicas import Replica
from gp_lab.training.setup import Setup

MEBIBYTE = 2**20


class Timing:
    """Writes a line for each interval between two lines of metrics; rank 0 does.

    Wall-clock seconds go on from where an earlier process left them. The runs of a stack share
    their process: each is told the seconds and the memory of all, and its own iterations.
    """

    def __init__(self, replicas: Sequence[Replica], ranks: Ranks) -> None:
        self.replicas, self.ranks = replicas, ranks

    def start(self, step: int) -> None:
        """The first iteration begins after `step`."""
        self._began = self._last = time.monotonic()
        self._began_at = self._last_at = step
        self._before = [_last_seconds(r) if self.ranks.is_main else 0.0 for r in self.replicas]

    @property
    def rate(self) -> float | None:
        """Iterations a second of this process, up to the newest line; None before it."""
        seconds = self._last - self._began
        return (self._last_at - self._began_at) / seconds if seconds else None

    def write(self, step: int, shown: bool = True) -> None:
        """Write the lines of the interval that ends after `step`; `shown` on the dashboard, too.

        One that a stop cut short is not: nothing else is of that step.
        """
        now, iterations = time.monotonic(), step - self._last_at
        rate = iterations / max(now - self._last, 1e-9)
        self._last, self._last_at = now, step
        if not self.ranks.is_main or not iterations:
            return
        for replica, before in zip(self.replicas, self._before, strict=True):
            if replica.trains:
                run = replica.setup
                line = {"step": step, "seconds": before + now - self._began}
                line |= _speed(run, rate) | _rates(run, step) | _memory(run)
                replica.log_timing(line, shown)


def _last_seconds(replica: Replica) -> float:
    lines = replica.folder.timing()
    seconds = lines[-1].get("seconds") if lines else None
    return float(seconds) if isinstance(seconds, int | float) else 0.0


def _speed(run: Setup, rate: float) -> dict[str, float]:
    s = run.settings
    samples = s.batch_size * (s.d_steps + s.g_steps)
    return {"iterations_per_second": rate, "samples_per_second": rate * samples}


def _rates(run: Setup, step: int) -> dict[str, float]:
    """The learning rates of the last iteration."""
    lr = run.game.optimizer.lr * run.schedule(step - 1)
    of_g = {"lr_g": lr} if run.settings.g_steps else {}
    return {"lr_d": lr * run.schedule.d_ratio, **of_g}


def _memory(run: Setup) -> dict[str, float]:
    """The most that was taken so far: of the GPU by tensors, else by the process."""
    if run.device.type == "cuda":
        return {"peak_memory_mb": torch.cuda.max_memory_allocated(run.device) / MEBIBYTE}
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak_memory_mb": most / (MEBIBYTE if sys.platform == "darwin" else 1024)}
