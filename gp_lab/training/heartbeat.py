"""A rank's heartbeat, and its eye on the others: whatever ends one ends all, soon, and says why.

The ranks leave words for each other in a common store. A thread of each keeps a heartbeat there and
looks for what another has to say, for its main thread may wait in a sum that never comes.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from gp_lab.errors import Exit, LabError, one_line, printable
from gp_lab.runs.folder import State
from gp_lab.training.consistency import About, SharedEnd, difference, digest
from gp_lab.training.process_group import LAST_WORD
from gp_lab.training.rendezvous import Patience, announce, named
from gp_lab.training.stopping import StoppedEarly

BEAT = 0.5
"""Seconds between two heartbeats."""

PATIENCE = 60.0
"""Seconds without a heartbeat after which a rank is taken for dead: a stalled file system, or a
process that was held for a while, is no death."""

GRACE = 3.0
"""Seconds that a rank has to notice by itself that another has failed, and ..."""

LEAVING = 20.0
"""... then to tidy up; torchrun kills after 30."""

LAST_WORDS = LEAVING / 2
"""Seconds for which ranks that are lost stay until the one that speaks for all has done so: Slurm
may kill it once another has ended in an error."""

WITHOUT_SERVER = "rank 0, or torchrun, was killed, or its machine is gone"
"""Why the words of the others cannot be read any more."""

NO_MORE = "it has ended, with no more runs to train"
"""Why a rank does not come that has ended well."""

LastWord = Callable[[str, State], None]
"""What is done with the reason of an end, where a rank writes for all."""

STOPPED = {Exit.PREEMPTED: State.PREEMPTED, Exit.INTERRUPTED: State.INTERRUPTED}
"""Exit statuses of ends that somebody asked for."""


class Failure(NamedTuple):
    """Why the ranks end, which of them are gone without having said so, and with what status."""

    why: str
    lost: Sequence[int] = ()
    status: int = Exit.FAILED

    @property
    def state(self) -> State:
        """Of a run that ends so before it has begun."""
        return STOPPED.get(Exit(self.status), State.FAILED)

    @property
    def error(self) -> LabError:
        """What ends a rank that is told of it."""
        stopped = self.status in STOPPED
        return StoppedEarly(self.why) if stopped else SharedEnd(self.why, Exit(self.status))


class Call:
    """One time that the ranks come together, for a run, as a rank's watch sees it."""

    def __init__(self, number: int, last_word: LastWord) -> None:
        self.number, self.last_word = number, last_word
        self.over, self.noticed = threading.Event(), threading.Event()
        self.failure: Failure | None = None


class Watch(threading.Thread):
    """One rank's heartbeat, and its eye on the rank before it and on what any rank tells.

    The heart beats as long as the process lives; the eye is open while a call is not over.
    """

    def __init__(self, store: Any, rank: int, world: int) -> None:
        super().__init__(daemon=True, name="watch")
        self._store, self._rank, self._world = store, rank, world
        self._closed = threading.Event()
        self.call = Call(0, nothing)
        self.call.over.set()

    def begin(self, last_word: LastWord) -> Call:
        """The next call: ranks that train the same runs count them alike."""
        self.call = Call(self.call.number + 1, last_word)
        return self.call

    def close(self) -> None:
        """Let the thread end: one that is in the store's C++ as Python ends would abort it."""
        for event in (self._closed, self.call.noticed, self.call.over):
            event.set()
        self.join(LEAVING)
        if not self.is_alive():
            with suppress(RuntimeError):  # the store's server has ended
                self._store.set(gone(self._rank), json.dumps(Failure(NO_MORE)))

    # -- coming together -----------------------------------------------------------------------

    def agree(self, said: About, patience: Patience | None = None) -> None:
        """Wait for all ranks, and compare what each is about to do.

        With `patience` they meet for the first time; later those that do not beat are lost. Raises
        `SharedEnd` on all of them if two differ, or if one has ended, and what `patience` raises.
        """
        number, everyone = self.call.number, range(self._world)
        self._store.set(_beat(self._rank), "0")  # those who are here count as alive
        self._store.set(here(number, self._rank), digest(said))
        found = self._words({rank: here(number, rank) for rank in everyone}, patience)
        others = [rank for rank in everyone if found[rank] != found[0]]
        if not others:
            return
        two = {rank: f"{number}/said/{rank}" for rank in (0, others[0])}
        if self._rank in two:
            self._store.set(two[self._rank], json.dumps(said))
        zero, other = map(json.loads, self._words(two, None).values())
        raise difference(others[0], other, zero)

    def _words(self, names: Mapping[int, str], patience: Patience | None) -> dict[int, bytes]:
        """rank -> the word that it has left under a name; waits until all have."""

        def missing() -> list[int]:
            return [rank for rank, name in names.items() if not self._store.check([name])]

        try:
            while missing():
                self._refuse_to_wait()
                if patience is None:
                    time.sleep(0.05)
                else:
                    patience.look(missing)
            return dict(zip(names, self._store.multi_get(list(names.values())), strict=True))
        except RuntimeError as error:  # the store's server has ended
            raise SharedEnd(WITHOUT_SERVER, Exit.FAILED) from error

    def _refuse_to_wait(self) -> None:
        """Raises `SharedEnd`, or `StoppedEarly`, where a rank that is waited for has ended, or says
        that all do."""
        told = f"{self.call.number}/failure"
        if self._store.check([told]):
            raise Failure(*json.loads(self._store.get(told))).error
        for rank in range(self._world):
            if rank != self._rank and self._store.check([gone(rank)]):
                failure = Failure(*json.loads(self._store.get(gone(rank))))
                self._store.set(read(self._rank), "")
                if rank == 0:
                    until_it_has_spoken(self._store)
                raise failure._replace(why=f"rank {rank}: {failure.why}").error

    # -- looking -------------------------------------------------------------------------------

    @property
    def replaces_main(self) -> bool:
        """Whether the ranks before this one, rank 0 among them, are lost."""
        lost = self.call.failure.lost if self.call.failure else ()
        return self._rank > 0 and set(range(self._rank)) <= set(lost)

    @property
    def speaks(self) -> bool:
        """Whether this rank writes and speaks for all: rank 0, or the one that replaces it."""
        return self._rank == 0 or self.replaces_main

    def run(self) -> None:
        before = _beat((self._rank - 1) % self._world)
        heard, missed = b"", 0
        while not self._closed.wait(BEAT):
            call = self.call
            try:
                self._store.set(_beat(self._rank), f"{time.time()}")
                beat = self._store.get(before) if self._store.check([before]) else b""
                # Not the time that passed: this process, too, may have been held.
                heard, missed = beat, missed + 1 if beat and beat == heard else 0
                if not call.over.is_set():
                    if missed * BEAT > PATIENCE:
                        self.tell(_silent([(self._rank - 1) % self._world]))
                    if self._store.check([told := f"{call.number}/failure"]):
                        call.failure = Failure(*json.loads(self._store.get(told)))
            except RuntimeError:  # the store's server has ended
                if call.over.is_set():
                    return
                call.failure = call.failure or Failure(WITHOUT_SERVER, [0])
            if call.failure is not None and not call.over.is_set():
                self._end(call, call.failure)

    def _end(self, call: Call, failure: Failure) -> None:
        """End the process, unless it does so by itself, or all ranks failed alike and go on."""
        # It may wait beneath Python for one that will never come.
        if call.noticed.wait(GRACE):
            if not call.over.wait(LEAVING):
                os._exit(failure.status)
            return
        try:
            if self.speaks:
                announce(printable(failure.why))
                call.last_word(failure.why, failure.state)
            self._store.set(_ended(call, self._rank), "lost")
            left = (r for r in range(self._world) if r not in failure.lost)
            speaker = next(left, self._rank)
            end = time.monotonic() + LAST_WORDS
            while not self._store.check([_ended(call, speaker)]) and time.monotonic() < end:
                time.sleep(0.05)
        finally:
            os._exit(failure.status)

    # -- telling -------------------------------------------------------------------------------

    def tell(self, failure: Failure) -> Failure:
        """Tell all ranks why this one ends; what the first of them said."""
        call = self.call
        try:
            first = self._store.compare_set(f"{call.number}/failure", "", json.dumps(failure))
            call.failure = Failure(*json.loads(first))
        except RuntimeError:
            call.failure = failure
        return call.failure

    def all_raised(self, how: str) -> bool:
        """Whether all ranks end in errors of their own, alike in `how`; waits until they have.

        So that the one that speaks for all is not ended before it has.
        """
        call = self.call
        lost = call.failure.lost if call.failure else ()
        left = [r for r, beat in enumerate(self._beats()) if beat and r not in lost]
        names = [_ended(call, rank) for rank in left]
        end = time.monotonic() + LAST_WORDS
        try:
            self._store.set(_ended(call, self._rank), how)
            while not self._store.check(names):
                if time.monotonic() > end:
                    return False
                time.sleep(0.05)
            found = set(self._store.multi_get(names))
        except RuntimeError:
            return False
        return how != "lost" and len(left) == self._world and len(found) == 1

    def cause(self, symptom: str) -> Failure:
        """What broke a sum off: what a rank has told, or which of them do not beat any more."""
        call, began, first = self.call, time.monotonic(), self._beats()
        while not call.failure and time.monotonic() - began < 5 * BEAT:
            time.sleep(BEAT / 5)
        if call.failure:
            return call.failure
        last = self._beats()
        silent = [rank for rank, beat in enumerate(last) if first[rank] == beat]
        apart = Failure(f"the ranks lost each other ({symptom})")
        return self.tell(_silent(silent) if silent else apart)

    def _beats(self) -> Sequence[bytes]:
        names = [_beat(rank) for rank in range(self._world)]
        try:
            return [self._store.get(n) if self._store.check([n]) else b"" for n in names]
        except RuntimeError:
            return [b""] * self._world


def read(rank: int) -> str:
    """The word that a rank leaves when it has read that another is gone."""
    return f"read/{rank}"


def nothing(why: str, state: State) -> None:
    """The last word where there is none to be said."""


def until_it_has_spoken(store: Any) -> None:
    """Wait for rank 0 to say why all end: torchrun and srun end it as soon as another has ended."""
    end = time.monotonic() + LAST_WORD
    with suppress(RuntimeError):  # rank 0 takes its store along
        while time.monotonic() < end:
            store.check([gone(0)])
            time.sleep(0.05)


def line_of(error: BaseException) -> str:
    """An error in one line, as `status.json` has it."""
    return one_line(error) if isinstance(error, LabError) else _with_its_kind(error)


def here(number: int, rank: int) -> str:
    """The word that a rank leaves when it has come for a call."""
    return f"{number}/here/{rank}"


def gone(rank: int) -> str:
    """The word that a rank leaves when it ends."""
    return f"gone/{rank}"


def _with_its_kind(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _ended(call: Call, rank: int) -> str:
    return f"{call.number}/ended/{rank}"


def _beat(rank: int) -> str:
    return f"beat/{rank}"


def _silent(ranks: list[int]) -> Failure:
    how = "killed, or out of memory, or its machine is gone"
    return Failure(f"{named(ranks)} stopped without a word: {how}", ranks)
