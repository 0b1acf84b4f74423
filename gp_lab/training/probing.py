"""The probes of a stack of runs: when they are due, who measures them, what they leave."""

import math
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np

from gp_lab.probes.base import Share, View
from gp_lab.training.ranks import Ranks
from gp_lab.training.replicas import Replica, finite
from gp_lab.training.stacking import one_of
from gp_lab.training.views import view_of


class Probing:
    """Measures the probes that are due of each run, with all ranks, and writes what they found.

    writing: held while that is under way.
    """

    def __init__(self, replicas: Sequence[Replica], ranks: Ranks) -> None:
        self.replicas, self.ranks = replicas, ranks
        self.steps = replicas[0].setup.settings.steps
        self.share = Share(ranks.rank, ranks.world, ranks.all_reduce)
        self.writing = Lock()

    def due(self, step: int) -> bool:
        """Whether any probe is due after this step; the runs of a stack have the same ones."""
        return any(p.due(step, self.steps) for p in self.replicas[0].setup.probes.values())

    def left(self, step: int) -> list[list[str]]:
        """By run, the probes that are due at a step and have written nothing there."""
        return self.ranks.broadcast_from_main(
            lambda: [
                [name for name in due if step not in replica.folder.array_steps(name)]
                for replica, due in zip(self.replicas, self._due(step), strict=True)
            ]
        )

    def measure(
        self, step: int, state: dict[str, Any], due: Sequence[Sequence[str]] | None = None
    ) -> None:
        """Measure those due, or by run these probes, at a state whose parameters are numbers."""
        due = self._due(step) if due is None else due
        for r, (replica, names) in enumerate(zip(self.replicas, due, strict=True)):
            own = one_of(state, r, len(self.replicas))
            if names and replica.trains and finite(own):
                self._measure_one(replica, view_of(replica.setup, own, step), names)
            # otherwise the next iteration's metrics, or the end, say that it diverged

    def _due(self, step: int) -> list[list[str]]:
        return [
            [name for name, p in replica.setup.probes.items() if p.due(step, self.steps)]
            for replica in self.replicas
        ]

    def _measure_one(self, replica: Replica, view: View, due: Sequence[str]) -> None:
        """Probes of a run: some are made by all ranks together, the rest are dealt out."""
        probes, shared = replica.setup.probes, replace(view, share=self.share)
        found = {name: probes[name].measure(shared) for name in due if probes[name].shared}
        own = [name for name in due if name not in found][self.ranks.rank :: self.ranks.world]
        found |= self.ranks.gather({name: probes[name].measure(view) for name in own})
        if self.ranks.is_main:
            with self.writing:
                self._write(replica, view.step, {name: found[name] for name in due})

    def _write(self, replica: Replica, step: int, found: dict[str, dict[str, np.ndarray]]) -> None:
        """All that a run's probes found, or nothing: what has arrays has been measured."""
        scalars: dict[str, float] = {}
        for name, arrays in found.items():
            numbers = replica.setup.probes[name].scalars(arrays).items()
            scalars |= {f"{name}/{k}": v for k, v in numbers if math.isfinite(v)}
        try:
            for name, arrays in found.items():
                replica.write_arrays(name, step, arrays)
            if scalars:
                replica.log([{"step": step} | scalars])
        except Exception:
            replica.folder.drop_arrays(found, step)
            raise
