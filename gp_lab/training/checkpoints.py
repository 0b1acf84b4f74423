"""The checkpoints of a stack of runs: when they are saved, and where the runs go on from."""

from collections.abc import Sequence
from typing import Any

from gp_lab.runs import checkpoint
from gp_lab.training.ranks import Ranks
from gp_lab.training.replicas import Replica
from gp_lab.training.resuming import Apart, newest_common
from gp_lab.training.stacking import one_of, stacked
from gp_lab.training.step import start_state


class Checkpoints:
    """Saves the state of each run of a stack in its own folder; rank 0 writes and reads."""

    def __init__(self, replicas: Sequence[Replica], ranks: Ranks) -> None:
        self.replicas, self.ranks = replicas, ranks
        self.every = replicas[0].setup.settings.checkpoint_every

    def due(self, step: int) -> bool:
        """Whether to save after this step; the last one always is saved."""
        return step % self.every == 0

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Save what the runs that have not diverged are at `step`."""
        for r, replica in enumerate(self.replicas if self.ranks.is_main else ()):
            if replica.trains:
                own = one_of(state, r, len(self.replicas))
                checkpoint.save(replica.folder, step, own, {})

    def resume(self) -> tuple[int, dict[str, Any]]:
        """The step and state to go on from, the same on all ranks; step 0 for runs that begin.

        What runs wrote later is cut. Raises `Apart` where some cannot go on from where others can.
        """
        fresh = [_start_state(replica) for replica in self.replicas]
        step, state = self._newest(fresh) if self.ranks.is_main else (0, stacked(fresh))
        return self.ranks.broadcast_from_main(lambda: step), self.ranks.broadcast_state(state)

    def _newest(self, fresh: Sequence[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        step, saved, groups = newest_common(self.replicas, fresh)
        if len(groups) > 1:
            raise Apart(groups)
        for replica in self.replicas:
            replica.resume_from(step)
        return step or 0, stacked(saved)


def _start_state(replica: Replica) -> dict[str, Any]:
    run = replica.setup
    size, shape = run.settings.batch_size, run.dataset.shape
    correction = run.game.correction.start(run)
    return start_state(run.game, *run.initial, size, shape, run.initial_encoder, correction)
