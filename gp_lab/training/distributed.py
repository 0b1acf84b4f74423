"""Several processes that train one run: what they share, and how they end together.

NCCL carries the sums between GPUs, gloo between CPUs. Beside them a thread of each rank keeps a
heartbeat in the common store and looks for what another has to say: whatever ends one rank ends
all, soon, with the first one's reason.
"""

import atexit
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

from gp_lab.errors import BadInput, Exit, LabError
from gp_lab.objectives.shard import Shard, part
from gp_lab.runs.folder import RunFolder
from gp_lab.training.meeting import JOINING, Missing, Patience, named, say
from gp_lab.training.place import Place, place
from gp_lab.training.stopping import Stop

WAITING = timedelta(hours=12)
"""How long a rank waits for another that is alive: rank 0 writes, a probe takes its time."""

BEAT = 0.5
"""Seconds between two heartbeats."""

PATIENCE = 60.0
"""Seconds without a heartbeat after which a rank is taken for dead: a stalled file system, or a
process that was held for a while, is no death."""

GRACE = 3.0
"""Seconds that a rank has to notice by itself that another has failed, and ..."""

LEAVING = 20.0
"""... then to tidy up; torchrun kills after 30."""


class Ranks:
    """The ranks of a run as one of them sees them. This one is alone."""

    rank = 0
    world = 1

    @property
    def writer(self) -> bool:
        """Whether this rank writes: the folder, the dashboard, the progress."""
        return self.rank == 0

    def shard(self, batch: int) -> Shard | None:
        """This rank's part of each batch; None where it has all. Raises `BadInput`."""
        return None

    def of_writer(self, make: Callable[[], Any]) -> Any:
        """What `make` returns on rank 0, which alone calls it: a small Python value."""
        return make()

    def state_of_writer(self, state: dict[str, Any]) -> dict[str, Any]:
        """Rank 0's tensors in a tree that has the same shapes on each rank."""
        return state

    def collected(self, own: dict[str, Any]) -> dict[str, Any]:
        """On rank 0 the entries of all ranks; on the others nothing."""
        return own

    def total(self, x: Any) -> Any:
        """The sum over the ranks of a tensor."""
        return x

    def largest(self, number: int) -> int:
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

    def when_lost(self, last_word: Callable[[str], None]) -> None:
        """What a rank that cannot go on does with the reason before it is ended."""

    @property
    def heir(self) -> bool:
        """Whether rank 0 was lost, and this one has the last word in its place."""
        return False


ALONE = Ranks()


class Agreement:
    """Whether a rank was asked to stop: its `word` rides in the step's own all-reduce.

    Of a GPU the total is read one iteration late, so that the host need not wait for the iteration
    under way; all ranks read the same and stop at one step.
    """

    def __init__(self, like: Any) -> None:
        self._words = (like.new_zeros(1), like.new_ones(1))
        self._late: tuple[Any, Any] | None = None
        self.reached = False

    def word(self, asked: bool) -> Any:
        """This rank's [1]: 1 if it was asked."""
        return self._words[asked]

    def hear(self, total: Any) -> None:
        """The sum [1] of the ranks' words."""
        if total.device.type == "cpu":
            self.reached = bool(total > 0)
            return
        import torch

        copy, copied = total.to("cpu", non_blocking=True), torch.cuda.Event()
        copied.record()
        if self._late is not None:
            before, event = self._late
            event.synchronize()
            self.reached = bool(before > 0)
        self._late = copy, copied


class Onlooker(RunFolder):
    """A run's folder for the ranks that do not write: what they would write, rank 0 writes."""

    def create(self, *_: Any, **__: Any) -> None: ...
    def write_config(self, *_: Any, **__: Any) -> None: ...
    def set_status(self, *_: Any, **__: Any) -> None: ...
    def append_metrics(self, *_: Any, **__: Any) -> None: ...
    def cut_metrics(self, *_: Any, **__: Any) -> None: ...
    def flush_metrics(self) -> None: ...
    def write_arrays(self, *_: Any, **__: Any) -> None: ...
    def clear(self) -> None: ...
    def own(self) -> None: ...
    def lock(self) -> None: ...
    def unlock(self) -> None: ...
    def size(self) -> int:
        return 0


class Group(Ranks):
    """One of several ranks, in touch with the others.

    Raises `LabError` if they do not all come or differ in what carries their sums, `BadInput` if
    there are not GPUs for all.
    """

    def __init__(self, place: Place, device: str, stop: Stop | None = None) -> None:
        import torch
        import torch.distributed as dist

        self.rank, self.world = place.rank, place.world
        self._dist, self._cuda = dist, device != "cpu" and torch.cuda.is_available()
        if self._cuda:
            torch.cuda.set_device(_gpu(place, device, torch.cuda.device_count()))
        patience = Patience(place, stop)
        self._server, own = patience.wait_for_store()
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self.watch = _Watch(dist.PrefixStore(f"watch/{attempt}", own), self.rank, self.world)
        self._lost: str | None = None
        self.watch.start()
        atexit.register(self.watch.close)
        # What a rank has on the CPU, such as a number to agree on, need not go through its GPU.
        backend = "cpu:gloo,cuda:nccl" if self._cuda else "gloo"
        with self._telling():
            self.watch.meet(backend, patience)
            # NCCL's own watchdog would end the process before this one has said why.
            os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0")
            dist.init_process_group(
                backend,
                store=dist.PrefixStore(f"group/{attempt}", self._server),
                rank=self.rank,
                world_size=self.world,
                timeout=timedelta(seconds=JOINING),
                device_id=torch.device("cuda", torch.cuda.current_device()) if self._cuda else None,
            )
            dist.distributed_c10d._set_pg_timeout(WAITING)
            atexit.register(dist.destroy_process_group)
        atexit.register(self.watch.close)  # again: the last to be registered is the first called

    def shard(self, batch: int) -> Shard:
        if batch < self.world:
            raise BadInput(
                f"batch_size={batch}: fewer samples than the {self.world} ranks; use at least"
                f" {self.world}, or fewer ranks"
            )
        # These, unlike torch.distributed.all_reduce, are pure and can be traced.
        import torch.distributed._functional_collectives as collectives

        group = self._dist.group.WORLD
        assert group is not None

        def total(x: Any) -> Any:
            return collectives.wait_tensor(collectives.all_reduce(x.contiguous(), "sum", group))

        return Shard(*part(batch, self.rank, self.world), batch, total)

    def of_writer(self, make: Callable[[], Any]) -> Any:
        values = [make() if self.writer else None]
        self._dist.broadcast_object_list(values, 0)
        return values[0]

    def state_of_writer(self, state: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in sorted(state.items()):
            found[key] = self.state_of_writer(value) if isinstance(value, dict) else value.clone()
            if not isinstance(value, dict):
                self._dist.broadcast(found[key], 0)
        return found

    def collected(self, own: dict[str, Any]) -> dict[str, Any]:
        parts: list[Any] | None = [None] * self.world if self.writer else None
        self._dist.gather_object(own, parts)
        return {k: v for entries in parts or [] for k, v in entries.items()}

    def total(self, x: Any) -> Any:
        total = x.clone()
        self._dist.all_reduce(total)
        return total

    def largest(self, number: int) -> int:
        numbers: list[Any] = [None] * self.world
        self._dist.all_gather_object(numbers, number)
        return max(numbers)

    def explain(self, error: BaseException, sentence: str | None = None) -> str:
        self.watch.call.noticed.set()  # what follows may take a while: a dashboard has to finish
        if self.lost_another(error):
            return self.watch.cause(_line(error)).why
        why = f"rank {self.rank}: {sentence or _line(error)}"
        self.watch.tell(Failure(why))
        return why

    @property
    def heir(self) -> bool:
        return self.watch.heir

    def when_lost(self, last_word: Callable[[str], None]) -> None:
        self.watch.call.last_word = last_word

    def lost_another(self, error: BaseException) -> bool:
        text = str(error)
        of_transport = any(word in text for word in ("gloo", "Gloo", "NCCL", "ncclComm"))
        return isinstance(error, self._dist.DistError) or (
            isinstance(error, RuntimeError) and of_transport
        )

    @contextmanager
    def together(self) -> Iterator[None]:
        """While inside, what ends one rank ends all. Raises `LabError` for another rank's error.

        Ranks that all failed by themselves, alike, can go on with another run.
        """
        if self._lost is not None:
            raise LabError(f"the ranks cannot go on together ({self._lost})")
        if not self.watch.is_alive():
            raise LabError("the ranks cannot go on together (rank 0, or torchrun, has ended)")
        with self._telling():
            yield
            self._dist.barrier()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """While inside, the watch looks at the others, and they are told of an error here."""
        call = self.watch.begin()
        try:
            yield
            call.over.set()
        except BaseException as error:
            lost = self.lost_another(error)
            why = self.explain(error)
            if lost and self.heir:
                say(why)
            if self.watch.all_raised("lost" if lost else self._summed()):
                call.over.set()
            else:
                self._lost = why
                # The others are gone or going: taking leave of them could take for ever.
                atexit.unregister(self._dist.destroy_process_group)
            if lost:
                raise LabError(why) from error
            raise

    def _summed(self) -> str:
        """How many sums this rank has begun: ranks that agree in that can still follow others."""
        if not self._dist.is_initialized():
            return "none"
        import torch

        group = self._dist.group.WORLD
        assert group is not None
        backends = [group._get_backend(torch.device(d)) for d in ("cpu", "cuda")[: 1 + self._cuda]]
        counts = (b._get_sequence_number_for_group() for b in backends)  # type: ignore[attr-defined]
        return " ".join(map(str, counts))


class Failure(NamedTuple):
    """Why the ranks end, and which of them are gone without having said so."""

    why: str
    lost: Sequence[int] = ()


class _Call:
    """One run that the ranks train together, as a rank's watch sees it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.over, self.noticed = threading.Event(), threading.Event()
        self.failure: Failure | None = None
        self.last_word: Callable[[str], None] = lambda why: None


class _Watch(threading.Thread):
    """One rank's heartbeat, and its eye on the rank before it and on what any rank tells.

    The heart beats as long as the process lives; the eye is open while a call is not over.
    """

    def __init__(self, store: Any, rank: int, world: int) -> None:
        super().__init__(daemon=True, name="watch")
        self._store, self._rank, self._world = store, rank, world
        self._closed = threading.Event()
        self.call = _Call(0)
        self.call.over.set()

    def begin(self) -> _Call:
        """The next call: ranks that train the same runs count them alike."""
        self.call = _Call(self.call.number + 1)
        return self.call

    def close(self) -> None:
        """Let the thread end: one that is in the store's C++ as Python ends would abort it."""
        for event in (self._closed, self.call.noticed, self.call.over):
            event.set()
        self.join(LEAVING)

    def meet(self, backend: str, patience: Patience) -> None:
        """Wait for all ranks. Raises `LabError` if they do not come, or have another backend."""
        names = [f"backend/{rank}" for rank in range(self._world)]
        self._store.set(_beat(self._rank), "0")
        self._store.set(names[self._rank], backend)
        while not self._store.check(names):
            patience.look(lambda: [i for i, n in enumerate(names) if not self._store.check([n])])
        first, *others = (found.decode() for found in self._store.multi_get(names))
        for rank, other in enumerate(others, 1):
            if other != first:
                raise LabError(
                    f"rank {rank} would sum by {other} and rank 0 by {first}: one of them sees no"
                    " GPU; use device=cpu, or give each rank a GPU"
                )

    @property
    def heir(self) -> bool:
        """Whether the ranks before this one, rank 0 among them, are lost."""
        lost = self.call.failure.lost if self.call.failure else ()
        return self._rank > 0 and set(range(self._rank)) <= set(lost)

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
                why = "rank 0, or torchrun, was killed, or its machine is gone"
                call.failure = call.failure or Failure(why, [0])
            if call.failure is not None and not call.over.is_set():
                self._end(call, call.failure)

    def _end(self, call: _Call, failure: Failure) -> None:
        """End the process, unless it does so by itself, or all ranks failed alike and go on."""
        # It may wait beneath Python for one that will never come.
        if call.noticed.wait(GRACE):
            if not call.over.wait(LEAVING):
                os._exit(Exit.FAILED)
            return
        try:
            if self._rank == 0 or self.heir:
                say(failure.why)
            call.last_word(failure.why)
            self._store.set(f"{call.number}/ended/{self._rank}", "lost")
        finally:
            os._exit(Exit.FAILED)

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

        Slurm may kill rank 0, before it has written why, once another has ended in an error.
        """
        call = self.call
        lost = call.failure.lost if call.failure else ()
        left = [r for r, beat in enumerate(self._beats()) if beat and r not in lost]
        names = [f"{call.number}/ended/{rank}" for rank in left]
        end = time.monotonic() + LEAVING / 2
        try:
            self._store.set(f"{call.number}/ended/{self._rank}", how)
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


def _beat(rank: int) -> str:
    return f"beat/{rank}"


def _silent(ranks: list[int]) -> Failure:
    how = "killed, or out of memory, or its machine is gone"
    return Failure(f"{named(ranks)} stopped without a word: {how}", ranks)


def _line(error: BaseException) -> str:
    """An error in one line, as `status.json` has it."""
    text = str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
    return text.splitlines()[0] if text else type(error).__name__


def _gpu(place: Place, device: str, count: int) -> int:
    """The GPU of a rank. Slurm may show each task its own alone, as number 0."""
    if ":" in device:
        raise BadInput(
            f"device={device}: {place.world} ranks have a GPU each; use device=cuda or auto"
        )
    own = place.local_world == 1 or (count == 1 and not place.agent)
    if not own and place.local_world > count:
        raise BadInput(
            f"device={device}: {place.local_world} ranks and {count} GPUs here; start as many"
            " ranks as GPUs, or use device=cpu"
        )
    return 0 if own else place.local_rank


_group: Group | None = None
_given_up = False


def have_met() -> bool:
    """Whether this process is in a group of ranks, or knows that there will be none."""
    return _group is not None or _given_up


@contextmanager
def joined(device: str, stop: Stop | None = None) -> Iterator[Ranks]:
    """The ranks of this process's run, `ALONE` where nobody has started several.

    `device` is the config's. The first call of a process joins the others; they stay together.
    `stop` is looked at while it waits for them. Raises `BadInput`, `StoppedEarly`, and `LabError`
    for what ended another rank.
    """
    global _group, _given_up
    where = None if _group else place()
    if where is not None:
        try:
            _group = Group(where, device, stop)
        except Missing:
            _given_up = True
            raise
    if _group is None:
        yield ALONE
        return
    with _group.together():
        yield _group
