"""How the ranks of a run find each other: what a rank waits for, how long, and what it says."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

from gp_lab.errors import LabError
from gp_lab.training.process_group import ProcessGroup, ended_beside
from gp_lab.training.stopping import Stop, StoppedEarly

JOINING = 600.0
"""Seconds that the first rank waits for the last: the nodes of a job do not start at once."""

SAYING = 30.0
"""Seconds after which a rank that waits for others says for whom."""

OUT_OF_C = 2.0
"""Seconds that a rank which is to end waits for its thread that connects."""

LOOKING = 5.0
"""Seconds between two looks whether their processes have ended."""


class Missing(LabError):
    """A rank that others wait for has ended, or has not come."""


class Patience:
    """How a rank waits for the others: heeding signals, saying for whom, not for ever."""

    def __init__(self, place: ProcessGroup, stop: Stop | None) -> None:
        self.place, self.stop, self.told = place, stop, False
        self.began = self.looked = time.monotonic()
        self.ended: set[int] = set()

    def look(self, missing: Callable[[], Sequence[int]]) -> None:
        """Wait a moment for ranks. The first of those that are here says which are missing.

        Raises `StoppedEarly` for a signal; `LabError` for a rank that has ended, or after
        `JOINING`.
        """
        if self.stop is not None and self.stop.asked:
            raise StoppedEarly(f"{self.stop.why} while it waited for the other ranks")
        now = time.monotonic()
        if now - self.looked > LOOKING:
            self.looked = now
            ended, self.ended = self.ended, ended_beside(self.place)
            gone = ended & self.ended & set(missing())  # seen twice: it may have come just then
            if gone:
                self._give_up(sorted(gone), "ended before coming")
        if now - self.began > JOINING:
            self._give_up(missing(), f"did not come within {JOINING / 60:.0f} minutes")
        if not self.told and now - self.began > SAYING:
            self.told = True
            if self._first(absent := missing()):
                p, whom = self.place, named(absent) or "its own store"
                where = f"rank {p.rank} of {p.world} waits at {p.address}:{p.port} for {whom}"
                announce(f"{where}; it gives up after {JOINING / 60:.0f} minutes")
        time.sleep(0.05)

    def _give_up(self, missing: Sequence[int], how: str) -> None:
        p = self.place
        why = f"{named(missing) or 'the store'} of {p.world} {how} to {p.address}:{p.port}"
        if p.rank > 0 and self._first(missing):
            announce(why)  # in the place of rank 0
        raise Missing(why)

    def _first(self, missing: Sequence[int]) -> bool:
        """Whether all ranks before this one are missing."""
        return set(range(self.place.rank)) <= set(missing)

    def wait_for_store(self) -> tuple[Any, Any]:
        """Where the ranks meet, twice: for the sums, and for the watch.

        Raises `LabError` if it cannot be reached.
        """
        import torch.distributed as dist

        address, port = self.place.address, self.place.port
        serves = self.place.rank == 0 and not self.place.agent
        found: Future[tuple[Any, Any]] = Future()

        def connect() -> None:
            try:
                at, most = (address, port, None), timedelta(seconds=JOINING)
                server = dist.TCPStore(*at, serves, most, wait_for_workers=False, multi_tenant=True)
                own = dist.TCPStore(*at, False, most, wait_for_workers=False)
                found.set_result((server, own))
            except Exception as error:
                found.set_exception(error)

        # It waits beneath Python, and for ever if something else listens there.
        connecting = threading.Thread(target=connect, daemon=True)
        connecting.start()
        try:
            while not found.done():
                self.look(lambda: [0] if self.place.rank > 0 else [])
        finally:
            connecting.join(OUT_OF_C)  # one that comes out of C++ as Python ends would abort it
        self.told = False  # the others are another matter
        try:
            return found.result()
        except (RuntimeError, ValueError) as error:
            why = f"rank {self.place.rank} cannot reach {address}:{port} ({error})"
            raise LabError(why) from error


def named(ranks: Sequence[int]) -> str:
    """`rank 3`, `ranks 1, 2`; of many, the first ones; of none, nothing."""
    more = f" and {len(ranks) - 8} more" if len(ranks) > 9 else ""
    names = ", ".join(map(str, ranks[:8] if more else ranks))
    return f"rank{'s' * (len(ranks) > 1)} {names}{more}" if ranks else ""


def announce(why: str) -> None:
    print(f"\ngp-lab: {why}", file=sys.stderr, flush=True)  # below a progress bar
