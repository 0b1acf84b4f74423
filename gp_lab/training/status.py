"""How the runs of a stack stand, in their `status.json`."""

import time
from collections.abc import Sequence
from contextlib import suppress

import torch

from gp_lab.errors import LabError
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.provenance import provenance
from gp_lab.training.engine import Engine
from gp_lab.training.ranks import Ranks
from gp_lab.training.replicas import Replica, set_status_from_outside
from gp_lab.training.stopping import slurm_job

STATUS_SECONDS = 2.0
"""How often a running run says in status.json how far it is."""


class StatusWriter:
    """Writes how far a stack of runs is, how fast it goes, and how it ends."""

    def __init__(self, replicas: Sequence[Replica], ranks: Ranks) -> None:
        self.replicas, self.ranks = replicas, ranks

    def start(self, step: int, engine: Engine, batch_norm: str) -> None:
        """Training begins at `step`, with an engine and a way to share batch norm."""
        self._written = 0.0
        first, stack = self.replicas[0], len(self.replicas)
        reasons = {"threads_reason": engine.threads_reason, "stack_reason": engine.stack_reason}
        for replica in self.replicas:
            replica.set_status(
                State.RUNNING,
                why="",
                step=step,
                engine=engine.name,
                engine_reason=engine.reason,
                stack=stack,
                stack_id=first.folder.status["id"] if stack > 1 else None,
                threads=torch.get_num_threads(),
                ranks=self.ranks.world,
                batch_norm=batch_norm,
                device=str(first.setup.device),
                disk_bytes=replica.folder.size(),
                job=slurm_job(),
                rate=None,
                **({} if step else reasons),  # of a run that is resumed as they were
                **provenance(),
            )

    def update(self, step: int, rate: float | None) -> None:
        """Write the step and the iterations a second, every `STATUS_SECONDS` at most."""
        now = time.monotonic()
        if now - self._written > STATUS_SECONDS:
            self._written = now
            for replica in self.replicas:
                replica.set_status(State.RUNNING, step=step, rate=rate)

    def end(self, step: int, state: State, why: str) -> None:
        """Training has ended at `step`."""
        for replica in self.replicas:
            size = replica.folder.size()
            replica.set_status(state, step=step, why=why, disk_bytes=size)

    def fail(self, why: str, state: State = State.FAILED) -> None:
        """Training was broken off; the disk may be the reason, so that nothing is raised."""
        for replica in self.replicas:
            if replica.trains and self.ranks.replaces_main:
                set_status_from_outside(RunFolder(replica.folder.path), state, why)
            else:
                with suppress(OSError, LabError):
                    replica.set_status(state, why=why)
