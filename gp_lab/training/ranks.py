"""The ranks of a run as the trainer sees them: one alone, or one of several (`distributed.py`).

With what they share in the loop: the vote to stop, and the run's folder, which one writes.
"""

from collections.abc import Callable
from typing import Any

from gp_lab.objectives.shard import Shard
from gp_lab.runs.folder import RunFolder, State
from gp_lab.training.stopping import Stop


class Ranks:
    """The ranks of a run as one of them sees them. This one is alone."""

    rank = 0
    world = 1

    @property
    def is_main(self) -> bool:
        """Whether this rank writes: the folder, the dashboard, the progress."""
        return self.rank == 0

    def shard(self, batch: int) -> Shard | None:
        """This rank's part of each batch; None where it has all. Raises `BadInput`."""
        return None

    def broadcast_from_main(self, make: Callable[[], Any]) -> Any:
        """What `make` returns on rank 0, which alone calls it: a small Python value."""
        return make()

    def broadcast_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """Rank 0's tensors in a tree that has the same shapes on each rank."""
        return state

    def gather(self, own: dict[str, Any]) -> dict[str, Any]:
        """On rank 0 the entries of all ranks; on the others nothing."""
        return own

    def all_reduce(self, x: Any) -> Any:
        """The sum over the ranks of a tensor."""
        return x

    def all_reduce_max(self, number: int) -> int:
        """The largest of the ranks' numbers."""
        return number

    def lost_another(self, error: BaseException) -> bool:
        """Whether an error says no more than that a sum with the other ranks broke off."""
        return False

    def explain(self, error: BaseException, sentence: str | None = None) -> str:
        """What ended the run, told to all: a sentence that says it, or one line of the error.

        With the rank's number where there are several.
        """
        return sentence or f"{type(error).__name__}: {error}".splitlines()[0]

    def when_lost(self, last_word: Callable[[str, State], None]) -> None:
        """What a rank that cannot go on does with the reason before it is ended."""

    @property
    def replaces_main(self) -> bool:
        """Whether rank 0 was lost, and this one has the last word in its place."""
        return False

    def stop_vote(self, stop: Stop, like: Any) -> "StopVote":
        """How the ranks decide to stop; `like` is a tensor of the run's device and precision."""
        return StopVote(stop)


ALONE = Ranks()


class StopVote:
    """Whether to stop, as a process alone decides it between two iterations: when it was asked."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop

    @property
    def reached(self) -> bool:
        return self.stop.asked

    def cast(self) -> tuple[Any, ...]:
        """What this rank adds to the all-reduce of D's step; nothing, or a tensor [1]."""
        return ()

    def count(self, metrics: Any) -> Any:
        """The metrics of D's step, without the votes in them, which are counted."""
        return metrics


class SharedStopVote(StopVote):
    """Several ranks stop when one was asked to: their votes ride in the step's own all-reduce.

    Of a GPU the total is read one iteration late, so that the host need not wait for the iteration
    under way; all ranks read the same and stop at one step. `like`: a tensor of the run's device
    and precision.
    """

    def __init__(self, stop: Stop, like: Any) -> None:
        super().__init__(stop)
        self._votes = (like.new_zeros(1), like.new_ones(1))
        self._late: tuple[Any, Any] | None = None
        self._reached = False

    @property
    def reached(self) -> bool:
        return self._reached

    def cast(self) -> tuple[Any, ...]:
        return (self._votes[self.stop.asked],)

    def count(self, metrics: Any) -> Any:
        total = metrics[-1:]
        if total.device.type == "cpu":
            self._reached = bool(total > 0)
            return metrics[:-1]
        import torch

        copy, copied = total.to("cpu", non_blocking=True), torch.cuda.Event()
        copied.record()
        if self._late is not None:
            before, event = self._late
            event.synchronize()
            self._reached = bool(before > 0)
        self._late = copy, copied
        return metrics[:-1]


class FolderOfAnotherRank(RunFolder):
    """A run's folder for the ranks that do not write: what they would write, rank 0 writes."""

    def create(self, *_: Any, **__: Any) -> None: ...
    def write_config(self, *_: Any, **__: Any) -> None: ...
    def set_status(self, *_: Any, **__: Any) -> None: ...
    def append_metrics(self, *_: Any, **__: Any) -> None: ...
    def cut_metrics(self, *_: Any, **__: Any) -> None: ...
    def flush_metrics(self) -> None: ...
    def write_arrays(self, *_: Any, **__: Any) -> None: ...
    def clear(self) -> None: ...
    def own(self, *_: Any) -> None: ...
    def make(self, *_: Any) -> None: ...
    def lock(self) -> None: ...
    def unlock(self) -> None: ...
    def size(self) -> int:
        return 0
