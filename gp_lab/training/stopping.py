"""Stopping between two iterations: what a signal has asked for, of this process or its parent."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from gp_lab.runs.folder import State
from gp_lab.waiting import SIGNALS, StoppedEarly

__all__ = ["SIGNALS", "Stop", "StoppedEarly", "listening", "slurm_job"]


class Stop:
    """What was asked for; the loop looks between two iterations.

    `flag.value` is the number of the signal, 0 if there was none. It may lie in memory that
    processes share, so that one of them listens for all.
    """

    def __init__(self, flag: Any = None) -> None:
        self.flag = SimpleNamespace(value=0) if flag is None else flag

    @property
    def asked(self) -> bool:
        return bool(self.flag.value)

    @property
    def state(self) -> State:
        """How a run ends that was asked to stop: by hand (SIGINT), or by a scheduler."""
        by_hand = self.flag.value in (0, signal.SIGINT)
        return State.INTERRUPTED if by_hand else State.PREEMPTED

    @property
    def why(self) -> str:
        return f"stopped by {signal.Signals(self.flag.value).name}" if self.asked else ""

    def ask(self, number: int, _frame: object = None) -> None:
        """The signals' handler. Raises `KeyboardInterrupt` for Ctrl-C pressed twice: now."""
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.flag.value = self.flag.value or number


@contextmanager
def listening(flag: Any = None) -> Iterator[Stop]:
    """While inside, `SIGNALS` ask for a stop (of the main thread; others hear nothing)."""
    stop = Stop(flag)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.ask) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def slurm_job() -> str | None:
    """The job of a Slurm array that this process belongs to, as `12_3`."""
    ids = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return "_".join(map(str, ids)) if all(ids) else None
