"""How a run ended, as its folder says."""

from collections.abc import Sequence
from dataclasses import dataclass

from gp_lab.errors import Exit, counted
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.metrics import last_values
from gp_lab.runs.status import State


@dataclass(frozen=True)
class RunResult:
    """How a run ended, and where it is."""

    folder: RunFolder
    state: State
    step: int
    why: str = ""
    before: bool = False
    """Whether it had ended so already, and nothing was trained."""

    def __str__(self) -> str:
        return f"{self.state} at step {self.step}{self.because}: {self.folder.path}"

    @property
    def because(self) -> str:
        """Why it ended, in brackets, if there is more to say than its state."""
        return f" ({self.why})" if self.why else ""

    @property
    def scores(self) -> str:
        """What the probes of a finished run measured last, a line each, if they count anything."""
        if self.state != State.FINISHED:
            return ""
        probes = [name for name in self.folder.config["probe"] or () if name != "units"]
        found: dict[str, list[str]] = {}
        for key, last in last_values(self.folder.inside("metrics.jsonl"), probes).items():
            probe, _, name = key.partition("/")
            if probe in probes and name:
                found.setdefault(probe, []).append(f"{name} {last.value:.4g}")
        return "\n".join(f"{probe}: {', '.join(values)}" for probe, values in found.items())

    @property
    def stopped(self) -> bool:
        """Whether a signal ended it, so that it can go on."""
        return self.state in (State.INTERRUPTED, State.PREEMPTED)

    @property
    def exit(self) -> Exit:
        """The exit status that this ending stands for."""
        return {
            State.FINISHED: Exit.OK,
            State.DIVERGED: Exit.DIVERGED,
            State.INTERRUPTED: Exit.INTERRUPTED,
            State.PREEMPTED: Exit.PREEMPTED,
        }.get(self.state, Exit.FAILED)


def summary(results: Sequence[RunResult]) -> str:
    """How many runs of a sweep ended in which state, and where they are."""
    states = [str(result.state) for result in results]
    counts = ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states)))
    before = " before" if all(result.before for result in results) else ""
    where = results[0].folder.path.parent
    return f"{counted(len(results), 'run')}: {counts}{before}; in {where}"


def result_of(folder: RunFolder, steps: int | None = None) -> RunResult:
    """What `status.json` says of the end; `queued` for a run that has not begun.

    Of a run that was finished at `steps`, and was to be extended since, that it is finished.
    """
    status = folder.status
    before = status.get("finished_at", -1)
    state = State(status.get("state", State.QUEUED))
    if steps is not None and before >= steps and state != State.FINISHED:
        return RunResult(folder, State.FINISHED, before)
    return RunResult(folder, state, status.get("step", 0), status.get("why", ""))
