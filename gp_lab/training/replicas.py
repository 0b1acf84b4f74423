"""One run of a stack, and what it leaves in its folder and on its dashboard."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from gp_lab.errors import LabError, counted
from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.identity import run_id
from gp_lab.runs.kept import cut, note
from gp_lab.runs.metrics import number
from gp_lab.tracking.base import Tracker
from gp_lab.training.dashboard import replay, timing_line
from gp_lab.training.data import keep
from gp_lab.training.setup import Setup


@dataclass
class Replica:
    """One run of a stack: its parts, its folder, its tracker, and whether it still trains."""

    setup: Setup
    folder: RunFolder
    tracker: Tracker = field(default_factory=Tracker)
    diverged_at: int | None = None
    newest: Sequence[float] = ()
    """The metrics of the newest step."""

    @property
    def trains(self) -> bool:
        return self.diverged_at is None

    def lock(self) -> None:
        """Lock the run's folder; make it if it is new. What it holds is left as it is."""
        if self.setup.settings.force or not self.folder.exists:
            self.folder.make(self.setup.settings.out)
        else:
            self.folder.lock()

    def open(self) -> None:
        """Make the run in its locked folder if it is new or forced, else take it up."""
        setup, folder = self.setup, self.folder
        # Asked again: who had the lock may have made it.
        if setup.settings.force or not folder.exists:
            folder.clear()
            folder.create(setup.config, run_id(setup.config))
        else:
            folder.own(run_id(setup.config))

    def resume_from(self, step: int | None) -> None:
        """Cut what the run wrote later than at this step, and note its data; None begins it anew.

        What could be whole is set aside, with a warning: checkpoints that were passed over, and all
        there was of a run that begins anew although it had come as far as to a checkpoint.
        """
        folder = self.folder
        folder.set_back(step or 0)  # first: a kill must not leave it finished with its metrics cut
        later = checkpoint.files_after(folder, -1 if step is None else step)
        lines = folder.metrics()
        if step is None and (later or (lines and lines[-1]["step"] >= self.first_checkpoint)):
            names = ("metrics.jsonl", "timing.jsonl", "arrays")
            written = [folder.path / name for name in names]
            aside = folder.set_aside([*later, *(path for path in written if path.exists())])
            folder.own(run_id(self.setup.config))
            said = "no whole checkpoint is left: the run starts over"
            warnings.warn(f"{folder.path}: {said}; what it wrote is in {aside}", stacklevel=2)
        elif later:
            aside = folder.set_aside(later)
            passed = counted(sum(path.suffix == ".pt" for path in later), "checkpoint")
            said = f"goes on from step {step}; {passed} passed over, now in {aside}"
            warnings.warn(f"{folder.path}: {said}", stacklevel=2)
        keep(folder, self.setup, step or 0)
        folder.cut_metrics(-1 if step is None else step)
        self._keep_from(-1 if step is None else step)
        settings, old = self.setup.settings, folder.config
        now = {"steps": max(settings.steps, old.get("steps", 0))}
        now |= {"keep_every": settings.keep_every, "keep_best": settings.keep_best}
        if any(old.get(key) != value for key, value in now.items()):
            folder.write_config(old | now)

    def _keep_from(self, step: int) -> None:
        """Keep of the checkpoints up to a step what is asked for now, and was before."""
        cut(self.folder, step)
        settings, values = self.setup.settings, dict[int, float]()
        for line in self.folder.metrics() if settings.keep_best else ():
            if (value := number(line.get(settings.keep_best or ""))) is not None:
                values[line["step"]] = value
        note(self.folder, settings, {s: values.get(s) for s in checkpoint.steps(self.folder)})

    @property
    def first_checkpoint(self) -> int:
        """The step at which the run saves its first one, by `checkpoint_every` and `keep_every`."""
        settings = self.setup.settings
        every = settings.keep_every or settings.steps
        return min(settings.checkpoint_every, every, settings.steps)

    def track(self) -> None:
        """Begin to tell the dashboard, with what the run has written so far, in order."""
        self.tracker = Tracker.of(self.setup.config, self.folder)
        replay(self.tracker, self.folder, self.setup.probes)

    def log(self, lines: list[dict[str, Any]]) -> None:
        self.folder.append_metrics(lines)
        self.tracker.log(lines)

    def log_timing(self, line: dict[str, Any], shown: bool) -> None:
        """A line of `timing.jsonl`; on the dashboard as `timing/...`, if it is `shown`."""
        self.folder.append_timing(line)
        if shown:
            self.tracker.log([timing_line(line)])

    def write_arrays(self, name: str, step: int, arrays: dict[str, np.ndarray]) -> None:
        """What a probe found, in the folder and as pictures."""
        self.folder.write_arrays(name, step, arrays)
        draw = partial(self.setup.probes[name].pictures, arrays)
        self.tracker.pictures(step, name, draw)

    def set_status(self, state: State, **more: Any) -> None:
        """Write how the run stands into `status.json`, unless it has diverged."""
        if self.trains:
            self.folder.set_status(state, **more)

    def diverge(self, step: int, why: str) -> None:
        """Write that the run has diverged; it trains no more."""
        self.set_status(State.DIVERGED, step=step, why=why)
        self.diverged_at = step

    def close(self) -> None:
        self.folder.unlock()


def name_of(replicas: Sequence[Replica]) -> str:
    """What a stack is called on the terminal: as the folder of its first run."""
    count = len(replicas)
    return replicas[0].folder.path.name + (f" x{count}" if count > 1 else "")


def set_status_from_outside(folder: RunFolder, state: State, why: str) -> None:
    """Write how a run ended for a process that cannot say so any more."""
    with suppress(LabError):  # it is locked if that process lives after all, or the run goes on
        folder.lock()
        folder.set_status(state, why=why)
        folder.unlock()


def finite(state: dict[str, Any]) -> bool:
    """Whether all parameters of the networks are numbers."""
    nets = (state["d"], state["g"], state.get("encoder", {}))
    tensors = [tensor for net in nets for tensor in net.values()]
    return all(bool(torch.isfinite(t).all()) for t in tensors)
