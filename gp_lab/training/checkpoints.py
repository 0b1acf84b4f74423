"""The checkpoints of a stack of runs: when they are saved, and where the runs go on from."""

import warnings
from collections.abc import Sequence
from typing import Any

from gp_lab.runs import checkpoint
from gp_lab.runs.kept import kept, note, value_at
from gp_lab.training.ranks import Ranks
from gp_lab.training.replicas import Replica
from gp_lab.training.resuming import Apart, newest_common
from gp_lab.training.stacking import one_of, stacked
from gp_lab.training.step import start_state


class Checkpoints:
    """Saves the state of each run of a stack in its own folder; rank 0 writes and reads."""

    def __init__(self, replicas: Sequence[Replica], ranks: Ranks) -> None:
        self.replicas, self.ranks = replicas, ranks
        self.setup = replicas[0].setup

    def due(self, step: int) -> bool:
        """Whether to save after this step; the last one always is saved.

        The same for all runs of a stack, so that they can go on together: where the score of
        `keep_best` is measured, not only where it is the best.
        """
        settings = self.setup.settings
        every = {settings.checkpoint_every, settings.keep_every or settings.checkpoint_every}
        probe = self.setup.probes.get((settings.keep_best or "").partition("/")[0])
        measured = probe is not None and probe.due(step, settings.steps)
        return measured or any(step % each == 0 for each in every)

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Save what the runs that have not diverged are at `step`; drop what need not stay.

        All have theirs before any drops one: a stack that is killed meanwhile goes on from where
        each has what it has kept.
        """
        main = enumerate(self.replicas if self.ranks.is_main else ())
        training = [(r, replica) for r, replica in main if replica.trains]
        for r, replica in training:
            checkpoint.save(replica.folder, step, one_of(state, r, len(self.replicas)), {})
        for _, replica in training:
            settings, folder = replica.setup.settings, replica.folder
            note(folder, settings, {step: value_at(folder, step, settings.keep_best)})
            checkpoint.drop_older(folder)

    def say_what_is_missing(self) -> None:
        """A warning for each run that has measured nothing by which a best one could be kept."""
        for replica in self.replicas if self.ranks.is_main else ():
            name = replica.setup.settings.keep_best
            if replica.trains and name and name not in kept(replica.folder)["best"]:
                said = f"keep_best={name}: was never measured, so that no best checkpoint is kept"
                warnings.warn(f"{replica.folder.path}: {said}", stacklevel=2)

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
