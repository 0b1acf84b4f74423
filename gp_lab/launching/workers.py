"""Batches of runs, each a run or a stack, trained here or in worker processes.

A worker trains one batch after another. One that is killed costs the runs that it had in hand, and
another takes its place. One that gets a signal of its own saves, says so and ends; so does one
whose parent is gone.
"""

import gc
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from gp_lab.errors import BadInput, Exit, LabError
from gp_lab.launching.program import importing
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.identity import Config, folder_of
from gp_lab.terminal import guarded_streams, write
from gp_lab.training.process_group import several
from gp_lab.training.stopping import ORPHANED, SIGNALS, Stop, StoppedEarly, listen

Batch = Sequence[Config]

LEAVING = 60.0
"""Seconds in which a worker ends that has nothing more to do, or whose parent is gone."""

CONTEXT = multiprocessing.get_context("spawn")


class Attempt(NamedTuple):
    """How the training of a batch ended: how many of its runs were stopped, an error's line."""

    stopped: int = 0
    failure: str = ""


class Refusals:
    """What batches were refused for. The others go on: it may be about one run, as a damaged file
    is. What two are refused for in the same words would stop them all."""

    def __init__(self) -> None:
        self.first: BadInput | None = None
        self._said: set[str] = set()

    def add(self, error: BadInput) -> bool:
        """Note a refusal, and say it unless it is the first, which is raised in the end; whether
        all that wait would be refused, too."""
        if (said := str(error)) in self._said:
            return True
        self._said.add(said)
        if self.first is None:
            self.first = error
        else:
            write(said)
        return False


def attempt(batch: Batch, stop: Stop, progress: bool) -> Attempt:
    """Train one batch, unless the sweep was stopped. Its failures are in the run folders.

    Raises `BadInput`, and `StoppedEarly` where it was stopped while it waited.
    """
    # A rank does not stop by itself: the others would wait for it. In `train` all agree.
    if stop.asked and not several():
        return Attempt(stopped=len(batch))

    with importing():
        from gp_lab.training.trainer import train

    try:
        ends = train(batch, progress=progress, stop=stop)
        return Attempt(stopped=sum(end.stopped for end in ends))
    except (BadInput, StoppedEarly):
        raise
    except Exception as error:
        return Attempt(failure=f"a run failed: {type(error).__name__}: {error}")


class Workers:
    """Processes that train batches until none is left; `with` ends those that are still there.

    lost: the folders of runs whose worker was killed, and why.
    stopped: how many runs were stopped by a signal to their worker alone.
    """

    def __init__(self, batches: Iterable[Batch], count: int, threads: int) -> None:
        self.count, self.threads = count, threads
        self.waiting = deque(batches)
        self.lost: dict[Path, str] = {}
        self.stopped = 0
        self.refusals = Refusals()
        self._asked = False
        self._workers: list[_Worker] = []

    def look(self, stop: Stop) -> bool:
        """Start who is to train, take up what they have done, tell them of a stop; whether all
        have ended.

        Raises the first `BadInput` of a batch once all have ended.
        """
        if stop.asked and not self._asked:
            self._asked = True
            self.waiting.clear()
            for worker in self._workers:
                worker.ask(stop.flag.value)
        for worker in list(self._workers):
            self._take_up(worker)
        while self.waiting and len(self._workers) < self.count:
            self._workers.append(_Worker(self.waiting.popleft(), self.threads))
        if not self._workers and self.refusals.first is not None:
            raise self.refusals.first
        return not self._workers

    def _take_up(self, worker: "_Worker") -> None:
        try:
            if not worker.connection.poll():
                worker.expire()
                return
            found = worker.connection.recv()
        except (EOFError, OSError):  # it has ended
            self._workers.remove(worker)
            self._bury(worker)
            return
        if isinstance(found, BadInput):
            if self.refusals.add(found):
                self.waiting.clear()
        elif found.failure:
            write(found.failure)
        elif not self._asked:
            self.stopped += found.stopped
        worker.batch = ()
        if self.waiting and not worker.asked:
            worker.batch = self.waiting[0]
        if worker.hand_over():
            self.waiting.popleft()

    def _bury(self, worker: "_Worker") -> None:
        """What a worker that has ended had in hand is lost; it is said at once."""
        status = worker.end()
        if status == 0 and worker.asked:  # by a signal, before it began with this batch
            if worker.batch and not self._asked:
                self.waiting.appendleft(worker.batch)
            return
        how = f"killed by {_name(-status)} (out of memory?)" if status < 0 else f"gone ({status})"
        why = f"its worker was {how}"
        for folder in _unfinished(worker.batch):
            self.lost[folder.path] = why
            write(f"{folder.path.name}: {why}; the others go on")
            _last_word(folder, State.FAILED, why)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: object, __: TracebackType | None
    ) -> None:
        at_once = kind is not None and issubclass(kind, KeyboardInterrupt)
        for worker in self._workers:
            worker.process.kill() if at_once else worker.ask(signal.SIGTERM)
        for worker in self._workers:
            worker.end()
            for folder in _unfinished(worker.batch):
                _last_word(folder, State.INTERRUPTED, "stopped at once")


class _Worker:
    """A worker process as its parent sees it."""

    def __init__(self, batch: Batch, threads: int) -> None:
        self.batch = batch
        self.flag: Any = RawValue("i", 0)
        self.left: float | None = None
        self.connection, end = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=_work, args=(end, self.flag, threads, batch))
        # Blocked signals are inherited: what is still starting is not killed by Ctrl-C.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            end.close()

    @property
    def asked(self) -> bool:
        """Whether it was asked to stop, by its parent or by a signal of its own."""
        return bool(self.flag.value)

    def ask(self, number: int) -> None:
        """Ask it to stop as if it had got this signal; one that waits hears of it, too."""
        self.flag.value = self.flag.value or number
        self.process.terminate()

    def hand_over(self) -> bool:
        """Give it its next batch; an empty one ends it. False if it has ended by itself."""
        try:
            self.connection.send(self.batch)
        except OSError:
            self.batch = ()
        if not self.batch:
            self.left = time.monotonic()
        return bool(self.batch)

    def expire(self) -> None:
        """Kill it if it had nothing to do any more and has not ended for long."""
        if self.left is not None and time.monotonic() - self.left > LEAVING:
            self.process.kill()

    def end(self) -> int:
        """Wait until it has ended; its exit status, the signal's number below zero."""
        self.process.join(LEAVING)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        self.connection.close()
        return self.process.exitcode or 0


def _work(connection: Connection, flag: Any, threads: int, batch: Batch) -> None:
    """The life of a worker process."""
    os.environ["TQDM_DISABLE"] = "1"  # the line of progress belongs to the parent

    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # its own is of several processes: a kill would leave it
    stop, in_hand = Stop(flag), list(batch)
    listen(stop.ask)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    threading.Thread(target=_heed_parent, args=(stop, in_hand), daemon=True).start()
    with guarded_streams():
        while in_hand:
            try:
                found: Attempt | BadInput = attempt(
                    [c | {"threads": c["threads"] or threads} for c in in_hand], stop, False
                )
            except StoppedEarly:
                found = Attempt(stopped=len(in_hand))
            except BadInput as error:
                found = error
            try:
                connection.send(found)
                in_hand[:] = () if stop.asked else connection.recv()
            except (EOFError, OSError):  # the parent is gone
                break
    gc.freeze()  # Python ends the sooner for not looking through all that was imported


def _heed_parent(stop: Stop, in_hand: list[Config]) -> None:
    """Once the parent is gone, ask for a stop as SIGTERM would, and end in any case a while later.

    In its own thread: the main one trains, and may wait beneath Python for what never comes.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    stop.orphaned = True
    stop.ask(signal.SIGTERM)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    time.sleep(LEAVING)
    for folder in _unfinished(in_hand):
        with suppress(LabError, OSError):
            _end(folder, State.PREEMPTED, f"{ORPHANED}; it could not save any more")
    os._exit(Exit.FAILED)


def _unfinished(batch: Batch) -> list[RunFolder]:
    """The folders of those runs that have not ended well, as far as can be read."""
    return [RunFolder(folder_of(config)) for config in batch if not _ended_well(config)]


def _ended_well(config: Config) -> bool:
    try:
        return not config["force"] and RunFolder(folder_of(config)).finished(config["steps"])
    except LabError:
        return False


def _last_word(folder: RunFolder, state: State, why: str) -> None:
    """Write how a run ended for a worker that cannot say so any more."""
    with suppress(LabError, OSError):  # it has no folder yet
        folder.lock()
        try:
            _end(folder, state, why)
        finally:
            folder.unlock()


def _end(folder: RunFolder, state: State, why: str) -> None:
    if folder.state in (State.QUEUED, State.RUNNING):
        folder.set_status(state, why=why)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
