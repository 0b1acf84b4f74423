"""The trainer: every run of every paper goes through this loop.

It takes a list of configs that can be stacked (one is the usual case) and trains them together;
each leaves the folder that it would have left alone.
"""

import errno
import math
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gp_lab.data.contents import looking
from gp_lab.errors import BadInput, LabError, failure, one_line, out_of_memory
from gp_lab.machine import cores
from gp_lab.probes.base import Share, View
from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.identity import Config, folder_of, run_hash
from gp_lab.runs.outcome import Outcome, outcome_of
from gp_lab.runs.provenance import provenance
from gp_lab.runs.settings import Settings
from gp_lab.terminal import bar, say, watched
from gp_lab.tracking.ending import close_all
from gp_lab.training.blocks import Blocks, block_length
from gp_lab.training.compilers import compiling
from gp_lab.training.data import run_data
from gp_lab.training.distributed import joined
from gp_lab.training.engine import (
    Engine,
    choose,
    fits_a_core,
    kept_engine,
    make_engine,
    sharded,
)
from gp_lab.training.ranks import Agreement, Onlooker, Ranks
from gp_lab.training.replicas import Replica, say_from_outside
from gp_lab.training.resuming import Apart, newest_common
from gp_lab.training.setup import Setup, setup
from gp_lab.training.size import refuse_too_large
from gp_lab.training.stacking import (
    TooLarge,
    Unstackable,
    one_of,
    refuse_to_stack,
    refuse_unlike,
    stacked,
    stacked_numbers,
    structure_key,
)
from gp_lab.training.step import has_batch_norm, start_state
from gp_lab.training.stopping import Stop, StoppedEarly, listening, slurm_job
from gp_lab.training.views import view_of

SAME_NUMBERS = "the same numbers up to rounding, not bit for bit"

STATUS_SECONDS = 2.0
"""How often a running run says in status.json how far it is."""


def train(
    configs: Sequence[Config],
    folders: Sequence[RunFolder] | None = None,
    progress: bool = True,
    stop: Stop | None = None,
) -> list[Outcome]:
    """Train the runs that these configs describe, from where they stand, to `steps`.

    Configs of one call share the structure of a stack (`training/stacking.py`); runs that are
    finished are left as they are. `folders` says where they are; left out, they are found by what
    the configs say. `stop` is looked at between two iterations; left out, SIGINT and SIGTERM are.
    Where stacking does not pay or is not possible, they are trained one after another, and the
    reason is printed. Raises `BadInput` before anything is computed.
    """
    for config in configs:
        Settings.of(config)  # before its `out` is looked into
    where = folders or [RunFolder(folder_of(config)) for config in configs]
    with joined(configs, stop, partial(_failed_before_it_began, configs, where)) as ranks:
        return _train(configs, folders, progress and ranks.writer, stop, ranks)


def meet(configs: Sequence[Config], stop: Stop | None = None) -> None:
    """Several ranks compare all runs that each is about to train, before the first one begins."""
    folders = [RunFolder(folder_of(config)) for config in configs]
    with joined(configs, stop, partial(_failed_before_it_began, configs, folders)):
        pass


def _train(
    configs: Sequence[Config],
    folders: Sequence[RunFolder] | None,
    progress: bool,
    stop: Stop | None,
    ranks: Ranks,
) -> list[Outcome]:
    refuse_unlike(configs)
    if ranks.world > 1 and len(configs) > 1:
        raise BadInput(
            f"{len(configs)} runs in a stack: {ranks.world} ranks train one run at a time; use"
            " hydra/launcher=local"
        )
    with looking():
        data = run_data(configs, folders)
        configs = [each.config for each in data]
        folders = folders or [RunFolder(folder_of(config)) for config in configs]
        runs = [setup(each.config, each.contents) for each in data]
    if not ranks.writer:
        folders = [Onlooker(folder.path) for folder in folders]
    fresh = ranks.of_writer(
        lambda: [
            run.settings.force or not folder.finished(run.settings.steps)
            for run, folder in zip(runs, folders, strict=True)
        ]
    )
    todo = [(run, f) for run, f, wanted in zip(runs, folders, fresh, strict=True) if wanted]
    if todo:
        refuse_too_large(todo[0][0], ranks.world)  # those of a stack are alike
    waiting = [todo] if todo else []
    while waiting:
        stack = waiting.pop(0)
        try:
            if len(stack) > 1:
                refuse_to_stack([run for run, _ in stack])
            _Training(stack, progress, stop, len(todo), ranks).go()
        except Apart as apart:
            if progress:
                say(str(apart))
            waiting = [[stack[i] for i in group] for group in apart.groups] + waiting
        except Unstackable as refusal:
            half = len(stack) // 2 if refusal.too_large else 1
            if progress:
                say(f"{refusal}: {_parts(len(stack), half)}")
            waiting = [stack[i : i + half] for i in range(0, len(stack), half)] + waiting
        else:
            if any(outcome_of(folder).stopped for _, folder in stack):
                break
    return ranks.of_writer(
        lambda: [
            outcome_of(folder, run.settings.steps)
            for run, folder in zip(runs, folders, strict=True)
        ]
    )


class _Training:
    """The state of one call to `train`."""

    def __init__(
        self,
        todo: list[tuple[Setup, RunFolder]],
        progress: bool,
        stop: Stop | None,
        of: int,
        ranks: Ranks,
    ) -> None:
        self.sharing = of // len(todo)  # stacks of this size that share a compiled step, about
        self.first = todo[0][0]
        shared = ranks.of_writer(partial(_batch_norm, *todo[0]))
        self.settings = replace(self.first.settings, batch_norm=shared)
        self.ranks = ranks
        self.game = sharded(self.first.game, ranks, self.settings)
        self.share = Share(ranks.rank, ranks.world, ranks.total)
        self.replicas = [Replica(run, folder) for run, folder in todo]
        rows = self.game.shard.rows if self.game.shard else slice(None)
        self.blocks = Blocks([run for run, _ in todo], rows)
        self.stack = len(todo)
        self.threads_before = torch.get_num_threads()
        alone = 1 if fits_a_core(self.first.game) else min(self.threads_before, cores())
        torch.set_num_threads(self.settings.threads or alone)
        torch.set_float32_matmul_precision(
            "high" if self.settings.precision == "tf32" else "highest"
        )
        self.progress = progress
        self.stop = stop
        self.window: list[tuple[int, Tensor]] = []
        self.step = 0

    def go(self) -> None:
        try:
            if self.ranks.writer:
                for replica in self.replicas:
                    replica.open()
            self.ranks.when_lost(self._failed)
            try:
                self._train()
            finally:  # it has said how it ended
                self.ranks.when_lost(lambda why, state: None)
        finally:
            self.blocks.close()
            close_all([replica.tracker for replica in self.replicas], self._hurried)
            for replica in self.replicas:
                replica.close()
            torch.set_num_threads(self.threads_before)

    def _train(self) -> None:
        try:
            with nullcontext(self.stop) if self.stop else listening() as stop:
                self._go(stop)
        except (Apart, Unstackable):
            raise
        except BaseException as error:
            if isinstance(error, StoppedEarly) and self.ranks.world == 1 and self.stop:
                self._failed(self.stop.why, self.stop.state)  # before it had anything new to save
                return
            sentence = None if self.ranks.lost_another(error) else self._failure(error)
            stopped = isinstance(error, KeyboardInterrupt)
            why = self.ranks.explain(error, sentence)
            self._failed(why, State.INTERRUPTED if stopped else State.FAILED)
            if sentence is None:
                raise
            raise LabError(f"{self.replicas[0].folder.path}: {sentence}") from error

    def _failure(self, error: BaseException) -> str | None:
        """What the machine could not do and what to change; None for an error of another kind."""
        what, s = failure(error), self.settings
        if what is None:
            return None
        if out_of_memory(error):
            stack = f"hydra.launcher.max_stack={self.stack}, " if self.stack > 1 else ""
            numbers = f"batch_size={s.batch_size}, {stack}precision={s.precision}"
            advice = f"lower {numbers} or the probes' counts"
        elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "the same command goes on once there is room"
        else:
            advice = "the same command goes on from the last checkpoint"
        return f"{what} at step {self.step}; {advice}"

    def _failed(self, why: str, state: State = State.FAILED) -> None:
        for replica in self.replicas:
            if replica.trains and self.ranks.heir:
                say_from_outside(RunFolder(replica.folder.path), state, why)
            else:
                with suppress(OSError, LabError):  # the disk may be what failed
                    replica.say(state, why=why)

    def _go(self, stop: Stop) -> None:
        self.step, self.state = self._start()
        self.hyper = stacked_numbers([r.run for r in self.replicas]) if self.stack > 1 else {}
        for replica in self.replicas if self.ranks.writer else ():
            replica.track()
        self.agreement = Agreement(_some(self.state)) if self.ranks.world > 1 else None
        self.stop = stop
        s, self.engine = self.settings, self._engine()
        if (
            self.progress
            and self.engine.name == "eager"
            and (self.stack > 1 or s.compile == "always")
        ):
            say(f"not compiled: {self.engine.reason}")
        began, self.began_at = time.monotonic(), self.step
        self.told = 0.0
        for replica in self.replicas:
            replica.say(
                State.RUNNING,
                why="",
                step=self.step,
                engine=self.engine.name,
                engine_reason=self.engine.reason,
                stack=self.stack,
                stack_id=self.replicas[0].folder.status["id"] if self.stack > 1 else None,
                threads=torch.get_num_threads(),
                ranks=self.ranks.world,
                batch_norm=s.batch_norm,
                device=str(self.first.device),
                disk_bytes=replica.folder.size(),
                job=slurm_job(),
                rate=None,
                **provenance(),
            )
        with bar(
            total=s.steps,
            initial=self.step,
            disable=not self.progress,
            unit="it",
            desc=self._name,
        ) as line:
            if self.step == 0:
                self._probe()
            while self.step < s.steps and not self._asked and self._alive():
                self._iterate()
                if self.step % s.log_every == 0 or self.step == s.steps:
                    self._flush()
                    line.set_postfix(self._headline(), refresh=False)
                    self._tell(began)
                if any(p.due(self.step, s.steps) for p in self.first.probes.values()):
                    self._flush()
                    self._probe()
                if self.step % s.checkpoint_every == 0:
                    self._flush()
                    self._save()
                line.update()
            line.refresh()
        self._flush()
        finished = self.step >= s.steps
        if not finished:
            stop.flag.value = self.ranks.largest(stop.flag.value)
        if finished:
            self._last_update_diverged()
        if self._alive():
            self._save()
        ending, why = (State.FINISHED, "") if finished else (stop.state, stop.why)
        for replica in self.replicas:
            size = replica.folder.size()
            replica.say(ending, step=self.step, why=why, disk_bytes=size)

    @property
    def _name(self) -> str:
        return self.replicas[0].folder.path.name + (f" x{self.stack}" if self.stack > 1 else "")

    @property
    def _asked(self) -> bool:
        """Whether to stop; of several ranks, whether all have heard that one was asked to."""
        assert self.stop is not None
        return self.stop.asked if self.agreement is None else self.agreement.reached

    def _hurried(self) -> bool:
        """Whether this process has been asked to stop."""
        return self.stop is not None and self.stop.asked

    # -- where it starts -------------------------------------------------------------------

    def _start(self) -> tuple[int, dict[str, Any]]:
        """The step and state to go on from, the same on all ranks."""
        states = []
        for replica in self.replicas:
            run = replica.run
            size, shape = run.settings.batch_size, run.dataset.shape
            states.append(start_state(run.game, *run.initial, size, shape, run.initial_encoder))
        step, state = self._newest(states) if self.ranks.writer else (0, stacked(states))
        return self.ranks.of_writer(lambda: step), self.ranks.state_of_writer(state)

    def _newest(self, states: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        """The newest checkpoint that all replicas have, or step 0 and the states there.

        Raises `Apart` where some of them cannot go on from where others can.
        """
        step, saved, groups = newest_common(self.replicas, states)
        if len(groups) > 1:
            raise Apart(groups)
        for replica in self.replicas:
            replica.go_on_from(step)
        return step or 0, stacked(saved)

    def _engine(self) -> Engine:
        """The engine that this run has used so far, or the one that suits it."""
        game = self.game
        name, reason, threads = self.ranks.of_writer(self._choice)
        torch.set_num_threads(threads)
        config = self.first.config | {"seed": 0, "steps": 0, "out": "", "force": False}
        key = structure_key(config) if self.stack > 1 else f"{config['device']} {run_hash(config)}"
        engine = kept_engine(key, game, name, reason, self.stack)
        if name == "compiled":
            alone = self.ranks.world == 1  # of several, the others may be in the compiled step
            try:
                with _shown("compiling", self.progress), compiling() if alone else nullcontext():
                    self._try(engine)
            except StoppedEarly:
                raise
            except Exception as error:
                if not alone:
                    raise
                cause = getattr(error, "inner_exception", error)  # of PyTorch's compilers
                why = f"it did not compile ({one_line(cause)})"
                engine = make_engine(game, "eager", why, self.stack)
        if engine.name == "eager" and self.stack > 1:
            self._try_stacked(engine)
        if engine.name == "eager" and self._before == "compiled":
            engine = replace(engine, reason=f"{engine.reason}; compiled until step {self.step}")
            if self.ranks.writer:
                warnings.warn(f"{self._name}: {engine.reason}; {SAME_NUMBERS}", stacklevel=2)
        return engine

    @property
    def _before(self) -> str | None:
        """The engine of the steps up to this one; None where there are none, or nobody knows."""
        return self.replicas[0].folder.status.get("engine") if self.step else None

    def _choice(self) -> tuple[str, str, int]:
        """The engine's name, the reason, and the threads of the CPU."""
        s, status, threads = self.settings, self.replicas[0].folder.status, torch.get_num_threads()
        if self._before in ("eager", "compiled"):
            if (before := status.get("ranks", 1)) != self.ranks.world and self.progress:
                say(self._on_other_ranks(before))
            threads = status.get("threads", threads)
            name, reason = self._before, "as before the run was resumed"
            if name == "compiled":  # it may have been elsewhere, or on fewer ranks
                name, why = choose("always", self.game, 0, self.first.device)
                reason = reason if name == "compiled" else why
            return name, reason, threads
        updates = s.steps * (s.d_steps + s.g_steps) * self.sharing
        return *choose(s.compile, self.game, updates, self.first.device, self.stack), threads

    def _on_other_ranks(self, before: int) -> str:
        game, now = self.first.game, f"on {before} ranks so far, now on {self.ranks.world}: "
        nets = (game.discriminator, game.generator, game.encoder)
        if self.settings.batch_norm == "local" and any(n and has_batch_norm(n) for n in nets):
            return now + (
                "with batch_norm=local each rank normalises its part of a batch, so that it goes on"
                " as another algorithm; use as many ranks as before"
            )
        return now + SAME_NUMBERS

    def _try(self, engine: Engine) -> None:
        """One iteration whose result is dropped: the step is pure, so it changes nothing."""
        self._one_iteration(engine, self.state, self.step)

    def _try_stacked(self, engine: Engine) -> None:
        """Raises `Unstackable` if the networks cannot be stacked (they draw random numbers, say),
        `TooLarge` if there is no memory for so many."""
        try:
            self._try(engine)
        except (RuntimeError, MemoryError) as error:
            why = one_line(error)
            if out_of_memory(error):
                raise TooLarge(f"a stack of {self.stack} does not fit the memory") from error
            name = self.first.config["architecture"].get("name")
            raise Unstackable(f"architecture={name} cannot be stacked ({why})") from error

    # -- one iteration ---------------------------------------------------------------------

    def _iterate(self) -> None:
        self.state, metrics = self._one_iteration(self.engine, self.state, self.step)
        self.step += 1
        self.window.append((self.step, metrics))

    def _one_iteration(
        self, engine: Engine, state: dict[str, Any], step: int
    ) -> tuple[dict[str, Any], Tensor]:
        """d_steps updates of D, then g_steps of G: the new state and the last updates' metrics."""
        k, i = divmod(step, block_length(self.first))
        b, agreement = self.blocks[k], self.agreement
        word = () if agreement is None or self.stop is None else (agreement.word(self.stop.asked),)
        for j in range(self.settings.d_steps):
            state, metrics = engine.discriminator_step(
                state,
                self.hyper,
                b.rate_d[i],
                b.real[i, j],
                b.latent[i, j],
                b.u[i, j],
                tuple(y[i, j] for y in b.labels),
                *word,
            )
        if agreement is not None:
            agreement.hear(metrics[-1:])
            metrics = metrics[:-1]
        for j in range(self.settings.g_steps):
            labels = tuple(y[i, j] for y in b.labels_g)
            state, of_g = engine.generator_step(
                state, self.hyper, b.rate_g[i], b.latent_g[i, j], labels
            )
            if j == self.settings.g_steps - 1:
                metrics = torch.cat([metrics, of_g], dim=-1)
        return state, metrics

    # -- what it leaves --------------------------------------------------------------------

    def _flush(self) -> None:
        """Bring the window's metrics to the host, in one go; find divergence; write due lines."""
        if not self.window:
            return
        steps = [step for step, _ in self.window]
        values = torch.stack([metrics for _, metrics in self.window]).double().cpu()
        values = values.reshape(len(steps), self.stack, -1)  # [steps, replicas, metrics]
        self.window.clear()
        names = self._names
        for r, replica in enumerate(self.replicas):
            if not replica.trains:
                continue
            bad = (~torch.isfinite(values[:, r])).any(dim=1).nonzero()
            end = int(bad[0]) if len(bad) else len(steps)
            lines = [
                {"step": step} | dict(zip(names, row.tolist(), strict=True))
                for step, row in zip(steps[:end], values[:end, r], strict=True)
                if step % self.settings.log_every == 0 or step == self.settings.steps
            ]
            replica.log(lines)
            replica.newest = values[-1, r].tolist()
            if len(bad):
                row = dict(zip(names, values[end, r].tolist(), strict=True))
                first = next(name for name, value in row.items() if not math.isfinite(value))
                replica.diverge(steps[end], f"{first} is {row[first]:.0f} at step {steps[end]}")

    def _last_update_diverged(self) -> None:
        """Metrics are from before an update: of the last one, only the parameters tell."""
        for r, replica in enumerate(self.replicas):
            if replica.trains and not _finite(one_of(self.state, r, self.stack)):
                why = f"the parameters are not finite after step {self.step}"
                replica.diverge(self.step, why)

    def _probe(self) -> None:
        for r, replica in enumerate(self.replicas):
            state = one_of(self.state, r, self.stack)
            if replica.trains and _finite(state):
                self._probe_one(replica, view_of(replica.run, state, self.step))
            # otherwise the next iteration's metrics, or the end, say that it diverged

    def _probe_one(self, replica: Replica, view: View) -> None:
        """All due probes of a run: some are made by all ranks together, the rest are dealt out."""
        probes, shared = replica.run.probes, replace(view, share=self.share)
        due = [name for name, p in probes.items() if p.due(self.step, self.settings.steps)]
        found = {name: probes[name].measure(shared) for name in due if probes[name].shared}
        own = [name for name in due if name not in found][self.ranks.rank :: self.ranks.world]
        found |= self.ranks.collected({name: probes[name].measure(view) for name in own})
        scalars: dict[str, float] = {}
        for name in due if self.ranks.writer else ():
            replica.keep(name, self.step, found[name])
            numbers = probes[name].scalars(found[name]).items()
            scalars |= {f"{name}/{k}": v for k, v in numbers if math.isfinite(v)}
        if scalars:
            replica.log([{"step": self.step} | scalars])

    def _save(self) -> None:
        for r, replica in enumerate(self.replicas if self.ranks.writer else ()):
            if replica.trains:
                state = one_of(self.state, r, self.stack)
                checkpoint.save(replica.folder, self.step, state, {})

    def _tell(self, began: float) -> None:
        now = time.monotonic()
        if now - self.told > STATUS_SECONDS:
            self.told = now
            rate = (self.step - self.began_at) / (now - began)
            for replica in self.replicas:
                replica.say(State.RUNNING, step=self.step, rate=rate)

    def _alive(self) -> bool:
        return any(replica.trains for replica in self.replicas)

    def _headline(self) -> dict[str, str]:
        alive = [replica.newest for replica in self.replicas if replica.trains]
        if not alive:
            return {}
        mean = [sum(values) / len(values) for values in zip(*alive, strict=True)]
        named = dict(zip(self._names, mean, strict=True))
        return {k: f"{named[k]:.4g}" for k in ("loss_d", "penalty", "loss_g") if k in named}

    @property
    def _names(self) -> tuple[str, ...]:
        game = self.first.game
        return game.metrics_of_d + (game.metrics_of_g if self.settings.g_steps else ())


def _batch_norm(run: Setup, folder: RunFolder) -> str:
    """How ranks share batch norm: as before the run was resumed."""
    status = folder.status if folder.exists and not run.settings.force else {}
    before = status.get("batch_norm") if status.get("step") else None
    return before if before in ("local", "synchronised") else run.settings.batch_norm


def _parts(count: int, size: int) -> str:
    return "trained one after another" if size == 1 else f"{-(-count // size)} of {size} instead"


@contextmanager
def _shown(what: str, progress: bool) -> Iterator[None]:
    """A line with a clock that runs while something long is done."""
    if not progress or not watched():
        yield
        return
    with bar(desc=what, leave=False, bar_format="{desc} {elapsed}") as line:
        over = threading.Event()

        def tick() -> None:
            while not over.wait(1.0):
                line.refresh()

        clock = threading.Thread(target=tick, daemon=True)
        clock.start()
        try:
            yield
        finally:
            over.set()
            clock.join()


def _failed_before_it_began(
    configs: Sequence[Config], folders: Sequence[RunFolder], why: str, state: State
) -> None:
    """The last word of several ranks on runs that they were to train, and that have a folder."""
    for config, folder in zip(configs, folders, strict=True):
        with suppress(LabError, OSError):  # what cannot be read is left alone
            if folder.exists and not folder.finished(config["steps"]):
                say_from_outside(RunFolder(folder.path), state, why)


def _finite(state: dict[str, Any]) -> bool:
    """Whether all parameters of the networks are numbers."""
    nets = (state["d"], state["g"], state.get("encoder", {}))
    tensors = [tensor for net in nets for tensor in net.values()]
    return all(bool(torch.isfinite(t).all()) for t in tensors)


def _some(state: dict[str, Any]) -> Tensor:
    """A parameter, for its device and precision."""
    return next(iter(state["d"].values()))
