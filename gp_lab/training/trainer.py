"""The trainer: every run of every paper goes through this loop.

It takes a list of configs that can be stacked (one is the usual case) and trains them together;
each leaves the folder that it would have left alone.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import replace
from functools import partial
from threading import Lock, Thread
from typing import Any

from gp_lab.errors import LabError
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.identity import Config
from gp_lab.runs.lock import Taken
from gp_lab.runs.result import RunResult, result_of
from gp_lab.runs.settings import Settings
from gp_lab.tracking.base import tracking_of
from gp_lab.tracking.ending import close_all
from gp_lab.training.batches import Blocks
from gp_lab.training.checkpoints import Checkpoints
from gp_lab.training.distributed import joined
from gp_lab.training.engine import Engine, sharded, threads_and_precision
from gp_lab.training.engine_selection import EngineSelector
from gp_lab.training.failures import advice
from gp_lab.training.heartbeat import BEAT, GRACE, LAST_WORDS, nothing
from gp_lab.training.iteration import Iteration
from gp_lab.training.metrics import MetricsLogger
from gp_lab.training.plan import PlannedRun, fail_before_training, folders_of, plan
from gp_lab.training.probing import Probing
from gp_lab.training.progress import Progress
from gp_lab.training.ranks import Ranks, StopVote
from gp_lab.training.replicas import Replica, name_of
from gp_lab.training.resuming import Apart
from gp_lab.training.size import refuse_too_large
from gp_lab.training.stacking import Slower, Unstackable, one_of, refuse_to_stack
from gp_lab.training.status import StatusWriter
from gp_lab.training.stopping import Stop, StoppedEarly, listening
from gp_lab.training.timing import Timing

SAVING = LAST_WORDS - GRACE - 2 * BEAT
"""Seconds that rank 0 has to save what has been trained once another rank has failed: the others
wait for `LAST_WORDS`, and it has learnt of it after the rest of them."""


def train(
    configs: Sequence[Config],
    folders: Sequence[RunFolder] | None = None,
    progress: bool = True,
    stop: Stop | None = None,
) -> list[RunResult]:
    """Train the runs that these configs describe, from where they stand, to `steps`.

    Configs of one call share the structure of a stack (`training/stacking.py`); runs that are
    finished are left as they are. `folders` says where they are; left out, they are found by what
    the configs say. `stop` is looked at between two iterations; left out, SIGINT and SIGTERM are.
    Where stacking does not pay or is not possible, they are trained one after another, and the
    reason is printed. Raises `BadInput` before anything is computed.
    """
    for config in configs:
        Settings.of(config)  # before its `out` is looked into
    with _joined(configs, folders, stop) as ranks:
        runs = plan(configs, folders, ranks)
        finished = ranks.broadcast_from_main(lambda: [run.finished for run in runs])
        todo = [run for run, ended in zip(runs, finished, strict=True) if not ended]
        if todo:
            for run in todo:
                tracking_of(run.setup.config)  # what it needs may be missing
            refuse_too_large(todo[0].setup, ranks.world)  # those of a stack are alike
            _train_stacks(todo, ranks, Progress(progress and ranks.is_main), stop)
        return ranks.broadcast_from_main(lambda: [run.result for run in runs])


def meet(configs: Sequence[Config], stop: Stop | None = None) -> None:
    """Several ranks compare all runs that each is about to train, before the first one begins."""
    with _joined(configs, None, stop):
        pass


def _joined(
    configs: Sequence[Config], folders: Sequence[RunFolder] | None, stop: Stop | None
) -> AbstractContextManager[Ranks]:
    where = folders or folders_of(configs)
    return joined(configs, stop, partial(fail_before_training, configs, where))


def _train_stacks(
    todo: Sequence[PlannedRun], ranks: Ranks, progress: Progress, stop: Stop | None
) -> None:
    """Train runs in one stack, or in as few as they can be trained in; those that come after one
    that was stopped are left. Raises `Taken` for a run that another process trains, once the others
    have been trained."""
    left, taken = [todo], None
    why_alone = next(filter(None, (run.why_alone for run in todo)), "")
    while left:
        stack = left.pop(0)
        try:
            if len(stack) > 1:
                if why_alone:
                    raise Slower(why_alone)
                refuse_to_stack([run.setup for run in stack])
            _Training(stack, ranks, progress, stop, len(todo) // len(stack), why_alone).run()
        except Taken as error:
            free = [run for run in stack if run.folder.path != error.folder]
            if ranks.world > 1 or not 0 < len(free) < len(stack):
                raise
            progress.write(f"{error}; the others go on")
            left, taken = [free, *left], taken or error
        except Apart as apart:
            progress.write(str(apart))
            left = [[stack[i] for i in group] for group in apart.groups] + left
        except Unstackable as refusal:
            half = len(stack) // 2 if refusal.too_large else 1
            why_alone = str(refusal) if isinstance(refusal, Slower) else why_alone
            progress.write(f"{refusal}: {_parts(len(stack), half)}")
            left = [stack[i : i + half] for i in range(0, len(stack), half)] + left
        else:
            if any(result_of(run.folder).stopped for run in stack):
                break
    if taken is not None:
        raise taken


def _parts(count: int, size: int) -> str:
    return "trained one after another" if size == 1 else f"{-(-count // size)} of {size} instead"


class _Once:
    """What is done once, by whichever thread comes first, while no other holds the lock."""

    def __init__(self, do: Callable[[], None], lock: Lock) -> None:
        self.do, self.lock, self.done = do, lock, False

    def __call__(self) -> None:
        with self.lock:
            if not self.done:
                self.done = True
                self.do()


class _Training:
    """The training of one stack of runs."""

    def __init__(
        self,
        runs: Sequence[PlannedRun],
        ranks: Ranks,
        progress: Progress,
        stop: Stop | None,
        sharing: int,
        why_alone: str = "",
    ) -> None:
        first, setups = runs[0].setup, [run.setup for run in runs]
        batch_norm = ranks.broadcast_from_main(lambda: runs[0].batch_norm)
        self.settings = replace(first.settings, batch_norm=batch_norm)
        game = sharded(first.game, ranks, self.settings)
        self.setups, self.ranks, self.progress, self.stop = setups, ranks, progress, stop
        self.replicas = replicas = [Replica(run.setup, run.folder) for run in runs]
        self.blocks = Blocks(setups, game.shard.rows if game.shard else slice(None))
        self.engines = EngineSelector(replicas, game, self.settings, ranks, progress, sharing)
        self.checkpoints = Checkpoints(replicas, ranks)
        self.metrics = MetricsLogger(replicas)
        self.probes = Probing(replicas, ranks)
        self.status = StatusWriter(replicas, ranks)
        self.timing = Timing(replicas, ranks)
        self.step, self.why_alone = 0, why_alone
        self.blocks_of_first: Blocks | None = None

    def run(self) -> None:
        """Train, with the folders locked; whatever happens is in their `status.json`."""
        with threads_and_precision(self.setups[0].game, self.settings), ExitStack() as last:
            for replica in self.replicas:  # all before any is begun: one may be somebody else's
                last.callback(replica.close)
                replica.lock()
            last.callback(self._close)
            for replica in self.replicas:
                replica.open()
            self.ranks.when_lost(self.status.fail)
            try:
                self._train_or_say_why_not()
            finally:
                self.ranks.when_lost(nothing)  # it has said how it ended

    def _close(self) -> None:
        self.blocks.close()
        if self.blocks_of_first is not None:
            self.blocks_of_first.close()
        close_all([replica.tracker for replica in self.replicas], self._hurried)

    def _train_or_say_why_not(self) -> None:
        try:
            with nullcontext(self.stop) if self.stop else listening() as stop:
                self._train(stop)
        except (Apart, Unstackable):
            raise
        except BaseException as error:
            if isinstance(error, StoppedEarly) and self.ranks.world == 1 and self.stop:
                self.status.fail(self.stop.why, self.stop.state)  # nothing new was to be saved
                return
            lost = self.ranks.lost_another(error)
            todo = None if lost else advice(error, self.settings, len(self.replicas), self.step)
            stopped = isinstance(error, KeyboardInterrupt)
            why = self.ranks.explain(error, todo)
            self.status.fail(why, State.INTERRUPTED if stopped else State.FAILED)
            if todo is None:
                raise
            raise LabError(f"{self.replicas[0].folder.path}: {todo}") from error

    def _train(self, stop: Stop) -> None:
        last = self.settings.steps
        self.step, state = self.checkpoints.resume()
        self.stop = stop
        if stop.asked and self.ranks.world == 1:  # before it compiles, which takes a minute
            raise StoppedEarly(stop.why)
        vote = self.ranks.stop_vote(stop, like=next(iter(state["d"].values())))
        iterate = Iteration(self.setups, self.blocks, vote)
        engine = self.engines.select(
            self.step,
            lambda tried: iterate(tried, state, self.step),
            lambda tried: self._iterate_first(tried, state, vote),
        )
        engine = replace(engine, stack_reason=self.why_alone or engine.stack_reason)
        self.status.start(self.step, engine, self.settings.batch_norm)
        for replica in self.replicas if self.ranks.is_main else ():
            replica.track()
        self.timing.start(self.step)
        with self.progress.bar(name_of(self.replicas), self.step, last) as line:
            if any(left := self.probes.left(self.step)):  # at the start; behind one that failed
                self._measure(state, left)
                if self.step and self.checkpoints.due(self.step):  # with its score, for keep_best
                    self.checkpoints.save(self.step, state)
            while self.step < last and not vote.reached and self._any_trains:
                state, metrics = iterate(engine, state, self.step)
                self.step += 1
                self.metrics.record(self.step, metrics)
                if self.metrics.due(self.step):
                    self.metrics.write()
                    line.set_postfix(self.metrics.headline, refresh=False)
                    self.timing.write(self.step)
                    self.status.update(self.step, self.timing.rate)
                if self.probes.due(self.step):
                    self.metrics.write()
                    self._measure(state)
                if self.checkpoints.due(self.step):
                    self.metrics.write()
                    self.checkpoints.save(self.step, state)
                line.update()
            line.refresh()
        self._end(stop, state)

    def _measure(self, state: dict[str, Any], left: Sequence[Sequence[str]] | None = None) -> None:
        """Measure the probes; if one fails, save what has been trained, so that whoever goes on has
        only what is left to measure before it.

        So does rank 0 where another rank fails meanwhile, unless it waits for a GPU's sum with it.
        """
        keep = _Once(partial(self._save_before_the_end, self.step, state), self.probes.writing)

        def when_lost(why: str, ending: State) -> None:  # from a thread: this one may wait for ever
            self.status.fail(why, ending)
            saving = Thread(target=keep, daemon=True)
            saving.start()
            saving.join(SAVING)

        self.ranks.when_lost(when_lost)
        try:
            self.probes.measure(self.step, state, left)
        except Exception:
            keep()
            raise
        finally:
            with self.probes.writing:  # what a thread saves is whole before anything else is
                self.ranks.when_lost(self.status.fail)

    def _save_before_the_end(self, step: int, state: dict[str, Any]) -> None:
        if step > 0:
            with suppress(Exception):  # what the probe raised is the reason
                self.checkpoints.save(step, state)

    def _iterate_first(self, engine: Engine, state: dict[str, Any], vote: StopVote) -> None:
        """One iteration of the first run of a stack by itself, whose result is dropped."""
        first = self.setups[:1]
        if self.blocks_of_first is None:
            self.blocks_of_first = Blocks(first)
        one = one_of(state, 0, len(self.setups))
        Iteration(first, self.blocks_of_first, vote)(engine, one, self.step)

    def _end(self, stop: Stop, state: dict[str, Any]) -> None:
        """Write what is left to write, and how it ended."""
        self.metrics.write()
        self.timing.write(self.step, shown=False)
        finished = self.step >= self.settings.steps
        if finished:
            self.metrics.check_last_update(self.step, state)
        else:
            stop.flag.value = self.ranks.all_reduce_max(stop.flag.value)
        self.checkpoints.save(self.step, state)
        if finished:
            self.checkpoints.say_what_is_missing()
        ending, why = (State.FINISHED, "") if finished else (stop.state, stop.why)
        self.status.end(self.step, ending, why)

    @property
    def _any_trains(self) -> bool:
        return any(replica.trains for replica in self.replicas)

    def _hurried(self) -> bool:
        """Whether this process has been asked to stop."""
        return self.stop is not None and self.stop.asked
