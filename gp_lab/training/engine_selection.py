"""The engine that a stack of runs has used so far, or the one that suits it, tried once."""

import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace

import torch

from gp_lab.errors import one_line, out_of_memory
from gp_lab.machine import cores
from gp_lab.runs.identity import Config, run_hash
from gp_lab.runs.settings import Settings
from gp_lab.training.compilers import compiling
from gp_lab.training.engine import (
    Compiled,
    Engine,
    choose,
    convolves,
    fits_a_core,
    kept_engine,
    make_engine,
    not_so,
    parameters_of_d,
)
from gp_lab.training.progress import Progress
from gp_lab.training.ranks import Ranks
from gp_lab.training.replicas import Replica, name_of
from gp_lab.training.stacking import Slower, TooLarge, Unstackable, structure_key
from gp_lab.training.step import Game, has_batch_norm
from gp_lab.training.stopping import StoppedEarly
from gp_lab.training.trials import WORTH, quickest_threads, seconds_each

SAME_NUMBERS = "the same numbers up to rounding, not bit for bit"

Trial = Callable[[Engine], object]
"""One iteration whose result is dropped: the step is pure, so it changes nothing."""

SURELY_STACKED = 10_000
"""Networks of up to so many parameters of D are quicker in a stack on every machine; beyond it the
two are timed. (Compiled, width 64 gains a factor of two, width 128 a tenth.)"""

COMPILATIONS = 20
"""Compiling a run alone, to compare, has to cost less than the training divided by this."""


NOT_OF_A_STEP = {"seed": 0, "steps": 0, "out": "", "force": False}


_threads: dict[str, tuple[int, str]] = {}
"""What was measured in this process: the runs of one structure have the same threads."""


class EngineSelector:
    """Selects the engine of a stack.

    `game` and `settings` are those of this rank; `sharing` is about how many stacks of this size
    share a compiled step.
    """

    def __init__(
        self,
        replicas: Sequence[Replica],
        game: Game,
        settings: Settings,
        ranks: Ranks,
        progress: Progress,
        sharing: int,
    ) -> None:
        self.replicas, self.stack, self.setup = replicas, len(replicas), replicas[0].setup
        self.game, self.settings, self.ranks = game, settings, ranks
        self.progress, self.sharing = progress, sharing

    def select(self, step: int, trial: Trial, alone: Trial) -> Engine:
        """The engine to go on with from `step`, after `trial` of it; sets PyTorch's threads.

        `alone` is a trial of the first of the runs by itself. Raises `Unstackable` where the
        networks, the memory, or the time it takes forbid to stack these runs.
        """
        before = self.replicas[0].folder.status.get("engine") if step else None
        name, reason, threads = self.ranks.broadcast_from_main(lambda: self._choice(before))
        why, left = "", self.settings.steps - step
        measured = before is None and left >= WORTH and self.setup.device.type == "cpu"
        torch.set_num_threads(threads)
        if measured and (most := self._most_threads) > 1:
            eager = make_engine(self.game, "eager", "", self.stack)
            if self.stack > 1:
                self._try_stacked(eager, trial)
            if self._structure not in _threads:
                _threads[self._structure] = quickest_threads(lambda: trial(eager), most)
            threads, why = _threads[self._structure]
            self.progress.write(f"threads: {threads} ({why})")
        torch.set_num_threads(threads)
        engine = kept_engine(self._structure, self.game, name, reason, self.stack, self._how)
        engine = replace(engine, threads_reason=why)
        began = time.perf_counter()
        if name == "compiled":
            engine = self._compiled(engine, trial)
            if engine.name == "eager" and self._how:
                reason = f"not as compile={self._how}: {engine.reason}"
                engine = kept_engine(self._structure, self.game, name, reason, self.stack)
                engine = self._compiled(engine, trial)
        if engine.name == "eager" and self.stack > 1:
            self._try_stacked(engine, trial)
        if measured and self.stack > 1 and parameters_of_d(self.game) > SURELY_STACKED:
            took = time.perf_counter() - began
            engine = replace(engine, stack_reason=self._compared(engine, trial, alone, left, took))
        if engine.name == "eager" and before == "compiled":
            engine = replace(engine, reason=f"{engine.reason}; compiled until step {step}")
            if self.ranks.is_main:
                said = f"{name_of(self.replicas)}: {engine.reason}; {SAME_NUMBERS}"
                warnings.warn(said, stacklevel=2)
        if engine.name == "eager" and (
            self.stack > 1 or self.settings.compile not in ("auto", "never")
        ):
            self.progress.write(f"not compiled: {engine.reason}")
        return engine

    @property
    def _most_threads(self) -> int:
        """The most threads that are worth a trial: 1 where the settings, the ranks or the networks
        say how many there are."""
        small = self.stack == 1 and fits_a_core(self.game) and not convolves(self.game)
        if self.settings.threads or self.ranks.world > 1 or small:
            return 1
        return cores()

    def _compared(
        self, engine: Engine, trial: Trial, alone: Trial, left: int, compiling: float
    ) -> str:
        """What an iteration of a run takes in this stack and alone; "" where it is not known.

        Raises `Slower` for a stack that would take longer than its runs one after another.
        """
        one, count, others = make_engine(self.game, "eager"), self.stack, 0
        if engine.name == "compiled":
            (stacked,) = seconds_each([lambda: trial(engine)])
            if left * self.sharing * stacked < COMPILATIONS * compiling:
                return ""
            keys = [_alone(replica.setup.config) for replica in self.replicas]
            one, others = kept_engine(keys[0], self.game, "compiled", "", 1), len({*keys}) - 1
            if self._compiled(one, alone).name != "compiled":
                return ""
        stacked, single = seconds_each([lambda: trial(engine), lambda: alone(one)])
        said = (
            f"an iteration of a run takes {stacked / count:.2g} s in a stack of {count} and"
            f" {single:.2g} s alone"
        )
        if left * stacked > left * count * single + others * compiling:
            raise Slower(said)
        self.progress.write(f"stack of {count}: {said}")
        return said

    def _choice(self, before: str | None) -> tuple[str, str, int]:
        """The engine's name, the reason, and the threads of the CPU; `before` it had this one."""
        s, status, threads = self.settings, self.replicas[0].folder.status, torch.get_num_threads()
        if before in ("eager", "compiled"):
            if (ranks := status.get("ranks", 1)) != self.ranks.world:
                self.progress.write(self._on_other_ranks(ranks))
            threads = status.get("threads", threads)
            name, reason = before, "as before the run was resumed"
            if name == "compiled":  # it may have been elsewhere, or on fewer ranks
                name, why = choose(self._how or "always", self.game, 0, self.setup.device)
                reason = reason if name == "compiled" else why
            return name, reason, threads
        updates = s.steps * (s.d_steps + s.g_steps) * self.sharing
        return *choose(s.compile, self.game, updates, self.setup.device, self.stack), threads

    @property
    def _how(self) -> Compiled:
        """How to compile what is compiled."""
        how = self.settings.compile
        if how not in ("block", "graphs") or not_so(how, self.game, self.setup.device):
            return ""
        return how

    def _on_other_ranks(self, before: int) -> str:
        game, now = self.setup.game, f"on {before} ranks so far, now on {self.ranks.world}: "
        nets = (game.discriminator, game.generator, game.encoder)
        if self.settings.batch_norm == "local" and any(n and has_batch_norm(n) for n in nets):
            return now + (
                "with batch_norm=local each rank normalises its part of a batch, so that it goes on"
                " as another algorithm; use as many ranks as before"
            )
        return now + SAME_NUMBERS

    @property
    def _structure(self) -> str:
        """Equal for what can share a compiled step."""
        config = self.setup.config
        return structure_key(config | NOT_OF_A_STEP) if self.stack > 1 else _alone(config)

    def _compiled(self, engine: Engine, trial: Trial) -> Engine:
        """This engine once it is compiled, or an eager one where it does not compile."""
        alone = self.ranks.world == 1  # of several, the others may be in the compiled step
        try:
            with self.progress.clock("compiling"), compiling() if alone else nullcontext():
                trial(engine)
            return engine
        except StoppedEarly:
            raise
        except Exception as error:
            if not alone:
                raise
            cause = getattr(error, "inner_exception", error)  # of PyTorch's compilers
            why = f"it did not compile ({one_line(cause)})"
            return make_engine(self.game, "eager", why, self.stack)

    def _try_stacked(self, engine: Engine, trial: Trial) -> None:
        """Raises `Unstackable` if the networks cannot be stacked (they draw random numbers, say),
        `TooLarge` if there is no memory for so many."""
        try:
            trial(engine)
        except (RuntimeError, MemoryError) as error:
            why = one_line(error)
            if out_of_memory(error):
                raise TooLarge(f"a stack of {self.stack} does not fit the memory") from error
            name = self.setup.config["architecture"].get("name")
            raise Unstackable(f"architecture={name} cannot be stacked ({why})") from error


def _alone(config: Config) -> str:
    """Equal for runs that can share a compiled step of one."""
    return f"{config['device']} {run_hash(config | NOT_OF_A_STEP)}"
