"""Several processes that train one run: how they meet, what they share, how they end together.

NCCL carries the sums between GPUs, gloo between CPUs. What each is about to do is compared first
(`consistency.py`); beside the sums, a thread of each rank watches over the others (`heartbeat.py`).
"""

import atexit
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any

from gp_lab.errors import BadInput, Exit, LabError
from gp_lab.objectives.shard import Shard, part
from gp_lab.runs.identity import Config
from gp_lab.training.consistency import SharedEnd, about
from gp_lab.training.heartbeat import (
    Failure,
    LastWord,
    Watch,
    gone,
    here,
    line_of,
    nothing,
    read,
    until_it_has_spoken,
)
from gp_lab.training.process_group import ProcessGroup, process_group, several
from gp_lab.training.ranks import ALONE, Ranks, SharedStopVote, StopVote
from gp_lab.training.rendezvous import JOINING, Patience, announce
from gp_lab.training.stopping import Stop

WAITING = timedelta(hours=12)
"""How long a rank waits for another that is alive: rank 0 writes, a probe takes its time."""

FAREWELL = 60.0
"""Seconds that a rank which ends before it has met the others waits for them to come."""


class Group(Ranks):
    """One of several ranks, in touch with the others. Raises `LabError` if they cannot meet."""

    def __init__(self, place: ProcessGroup, stop: Stop | None = None) -> None:
        import torch.distributed as dist

        self.rank, self.world = place.rank, place.world
        self._place, self._dist = place, dist
        self._transport, self._cuda = "", False
        self._patience: Patience | None = Patience(place, stop)
        # The watch has a connection of its own, and thus never waits for a sum.
        self._server, own = self._patience.wait_for_store()
        self.watch = Watch(_prefixed(own, "watch"), self.rank, self.world)
        self._lost: str | None = None
        self.watch.start()
        atexit.register(self.watch.close)

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

    def broadcast_from_main(self, make: Callable[[], Any]) -> Any:
        values = [make() if self.is_main else None]
        self._dist.broadcast_object_list(values, 0)
        return values[0]

    def broadcast_state(self, state: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in sorted(state.items()):
            found[key] = self.broadcast_state(value) if isinstance(value, dict) else value.clone()
            if not isinstance(value, dict):
                self._dist.broadcast(found[key], 0)
        return found

    def gather(self, own: dict[str, Any]) -> dict[str, Any]:
        parts: list[Any] | None = [None] * self.world if self.is_main else None
        self._dist.gather_object(own, parts)
        return {k: v for entries in parts or [] for k, v in entries.items()}

    def all_reduce(self, x: Any) -> Any:
        total = x.clone()
        self._dist.all_reduce(total)
        return total

    def all_reduce_max(self, number: int) -> int:
        numbers: list[Any] = [None] * self.world
        self._dist.all_gather_object(numbers, number)
        return max(numbers)

    def explain(self, error: BaseException, sentence: str | None = None) -> str:
        self.watch.call.noticed.set()  # what follows may take a while: a dashboard has to finish
        if self.lost_another(error):
            return self.watch.cause(line_of(error)).why
        failure = _of_rank(self.rank, error, sentence)
        self.watch.tell(failure)
        return failure.why

    @property
    def replaces_main(self) -> bool:
        return self.watch.replaces_main

    def stop_vote(self, stop: Stop, like: Any) -> StopVote:
        return SharedStopVote(stop, like)

    def when_lost(self, last_word: LastWord) -> None:
        self.watch.call.last_word = last_word

    def lost_another(self, error: BaseException) -> bool:
        text = str(error)
        of_transport = any(word in text for word in ("gloo", "Gloo", "NCCL", "ncclComm"))
        return isinstance(error, self._dist.DistError) or (
            isinstance(error, RuntimeError) and of_transport
        )

    @contextmanager
    def together(self, configs: Sequence[Config], last_word: LastWord = nothing) -> Iterator[None]:
        """While inside, what ends one rank ends all.

        They begin once all have come and have been found alike. Raises `LabError` for another
        rank's error. Ranks that all failed by themselves, alike, can go on with another run.
        """
        if self._lost is not None:
            raise LabError(f"the ranks cannot go on together ({self._lost})")
        if not self.watch.is_alive():
            raise LabError("the ranks cannot go on together (rank 0, or torchrun, has ended)")
        with self._telling(last_word):
            if configs and not self._transport:
                self._transport = self._backend(configs)
            self.watch.agree(about(configs, self._transport), self._patience)
            self._patience = None
            if configs and not self._dist.is_initialized():
                self._initialise(self._transport)
            yield
            if configs:
                self._dist.barrier()

    def _backend(self, configs: Sequence[Config]) -> str:
        """What carries the sums. Raises `BadInput` where there are not GPUs for all."""
        import torch

        of_gpu = [config["device"] for config in configs if config["device"] != "cpu"]
        self._cuda = bool(of_gpu) and torch.cuda.is_available()
        if self._cuda:
            torch.cuda.set_device(_gpu(self._place, of_gpu[0], torch.cuda.device_count()))
        # What a rank has on the CPU, such as a number to agree on, need not go through its GPU.
        return "cpu:gloo,cuda:nccl" if self._cuda else "gloo"

    def _initialise(self, backend: str) -> None:
        import torch

        # NCCL's own watchdog would end the process before this one has said why.
        os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0")
        self._dist.init_process_group(
            backend,
            store=_prefixed(self._server, "group"),
            rank=self.rank,
            world_size=self.world,
            timeout=timedelta(seconds=JOINING),
            device_id=torch.device("cuda", torch.cuda.current_device()) if self._cuda else None,
        )
        self._dist.distributed_c10d._set_pg_timeout(WAITING)
        atexit.register(self._dist.destroy_process_group)
        atexit.register(self.watch.close)  # again: the last to be registered is the first called

    @contextmanager
    def _telling(self, last_word: LastWord) -> Iterator[None]:
        """While inside, the watch looks at the others, and they are told of an error here."""
        call = self.watch.begin(last_word)
        try:
            yield
            call.over.set()
        except BaseException as error:
            lost = self.lost_another(error)
            why = self.explain(error)
            if lost and self.replaces_main:
                announce(why)
            if self.watch.speaks:
                call.last_word(why, _of_rank(self.rank, error).state)
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


_group: Group | None = None
_met = False
"""Whether this process has tried to meet other ranks."""


@contextmanager
def joined(
    configs: Sequence[Config],
    stop: Stop | None = None,
    last_word: LastWord = nothing,
) -> Iterator[Ranks]:
    """The ranks of this process for some runs, `ALONE` where nobody has started several.

    The first call of a process joins the others, and they stay together; each call begins once all
    have come with the same runs. `stop` is looked at while the first one waits. `last_word` is
    what the rank that writes does with the reason if they end before the runs have begun. Raises
    `BadInput`, `StoppedEarly`, and `LabError` for what ended another rank.
    """
    global _group, _met
    where = None if _group else process_group()
    if where is not None:
        _met = True
        try:
            _group = Group(where, stop)
        except LabError as error:
            if where.rank == 0:
                failure = _of_rank(0, error)
                last_word(failure.why, failure.state)
            raise
    if _group is None:
        yield ALONE
        return
    with _group.together(configs, last_word):
        yield _group


@contextmanager
def others_told() -> Iterator[None]:
    """Inside, an error that ends a rank before it has met the others is told to them."""
    try:
        yield
    except Exception as error:
        take_leave(error)
        raise


def take_leave(error: Exception) -> None:
    """Of ranks that have not met: say why this one does not come, and let rank 0 speak first."""
    where = process_group() if several() and not _met else None
    if where is not None:
        with suppress(LabError, RuntimeError):
            _tell_others(where, Failure(line_of(error), status=_status(error)))


def _tell_others(where: ProcessGroup, failure: Failure) -> None:
    end = time.monotonic() + FAREWELL
    store = _prefixed(_store_at_last(where), "watch")
    store.set(gone(where.rank), json.dumps(failure))
    others = range(1, where.world) if where.rank == 0 else [0]
    answer = read if where.rank == 0 else partial(here, 1)
    while not all(store.check([gone(r)]) or store.check([answer(r)]) for r in others):
        if time.monotonic() > end:
            return
        time.sleep(0.05)
    if where.rank > 0:
        until_it_has_spoken(store)


def _store_at_last(place: ProcessGroup) -> Any:
    """The ranks' store, for a rank that does not stay. Raises `LabError` if there is none."""
    import torch.distributed as dist

    serves, end = place.rank == 0 and not place.agent, time.monotonic() + FAREWELL
    while not serves:  # not TCPStore's own waiting: it hears no signals
        with suppress(OSError):
            socket.create_connection((place.address, place.port), timeout=1.0).close()
            break
        if time.monotonic() > end:
            raise LabError(f"rank 0 has not come to {place.address}:{place.port}")
        time.sleep(0.1)
    most = timedelta(seconds=FAREWELL)
    return dist.TCPStore(
        place.address, place.port, None, serves, most, wait_for_workers=False, multi_tenant=True
    )


def _prefixed(store: Any, what: str) -> Any:
    """The part of the store for something; of a job that torchrun starts anew, a new one."""
    import torch.distributed as dist

    return dist.PrefixStore(f"{what}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def _of_rank(rank: int, error: BaseException, sentence: str | None = None) -> Failure:
    """What an error of a rank is for the others: with its number, unless it names one already."""
    why = sentence or line_of(error)
    of_all = isinstance(error, SharedEnd) or (isinstance(error, LabError) and why[:4] == "rank")
    return Failure(why if of_all else f"rank {rank}: {why}", status=_status(error))


def _status(error: BaseException) -> Exit:
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    return Exit(error.status) if isinstance(error, LabError) else Exit.FAILED


def _gpu(place: ProcessGroup, device: str, count: int) -> int:
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
