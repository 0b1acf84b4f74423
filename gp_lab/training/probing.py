"""The probes of a stack of runs: when they are due, who measures them, what they leave."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gp_lab.probes.base import Share, View
from gp_lab.training.ranks import Ranks
from gp_lab.training.replicas import Replica, finite
from gp_lab.training.stacking import one_of
from gp_lab.training.views import view_of


class Probing:
    """Measures the probes that are due of each run, with all ranks, and writes what they found."""

    def __init__(self, replicas: Sequence[Replica], ranks: Ranks) -> None:
        self.replicas, self.ranks = replicas, ranks
        self.steps = replicas[0].setup.settings.steps
        self.share = Share(ranks.rank, ranks.world, ranks.all_reduce)

    def due(self, step: int) -> bool:
        """Whether any probe is due after this step; the runs of a stack have the same ones."""
        return any(p.due(step, self.steps) for p in self.replicas[0].setup.probes.values())

    def measure(self, step: int, state: dict[str, Any]) -> None:
        """Measure the due probes of the runs at a state whose parameters are numbers."""
        for r, replica in enumerate(self.replicas):
            own = one_of(state, r, len(self.replicas))
            if replica.trains and finite(own):
                self._measure_one(replica, view_of(replica.setup, own, step))
            # otherwise the next iteration's metrics, or the end, say that it diverged

    def _measure_one(self, replica: Replica, view: View) -> None:
        """All due probes of a run: some are made by all ranks together, the rest are dealt out."""
        probes, shared = replica.setup.probes, replace(view, share=self.share)
        due = [name for name, p in probes.items() if p.due(view.step, self.steps)]
        found = {name: probes[name].measure(shared) for name in due if probes[name].shared}
        own = [name for name in due if name not in found][self.ranks.rank :: self.ranks.world]
        found |= self.ranks.gather({name: probes[name].measure(view) for name in own})
        scalars: dict[str, float] = {}
        for name in due if self.ranks.is_main else ():
            replica.write_arrays(name, view.step, found[name])
            numbers = probes[name].scalars(found[name]).items()
            scalars |= {f"{name}/{k}": v for k, v in numbers if math.isfinite(v)}
        if scalars:
            replica.log([{"step": view.step} | scalars])
