"""How a run ended, as its folder says."""

from dataclasses import dataclass

from gp_lab.errors import Exit
from gp_lab.runs.folder import RunFolder, State


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and where it is."""

    folder: RunFolder
    state: State
    step: int
    why: str = ""
    before: bool = False
    """Whether it had ended so already, and nothing was trained."""

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


def outcome_of(folder: RunFolder) -> Outcome:
    """What `status.json` says of the end; `queued` for a run that has not begun."""
    status = folder.status
    state = State(status.get("state", State.QUEUED))
    return Outcome(folder, state, status.get("step", 0), status.get("why", ""))
