"""Stopping between two iterations: what a signal has asked for, of this process or its parent."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from gp_lab.runs.folder import State
from gp_lab.signals import SIGNALS, StoppedEarly

__all__ = ["SIGNALS", "Stop", "StoppedEarly", "listen", "listening", "slurm_job"]

ORPHANED = "its parent process is gone"


class Stop:
    """What was asked for; the loop looks between two iterations.

    `flag.value` is the number of the signal, 0 if there was none. It may lie in memory that a
    worker process shares with its parent, which then can ask too. `orphaned`: the parent is gone.
    """

    def __init__(self, flag: Any = None) -> None:
        self.flag = SimpleNamespace(value=0) if flag is None else flag
        self.orphaned = False

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
        if self.orphaned:
            return ORPHANED
        return f"stopped by {signal.Signals(self.flag.value).name}" if self.asked else ""

    def ask(self, number: int, _frame: object = None) -> None:
        """Ask for a stop, unless somebody has before; fit for a signal's handler."""
        self.flag.value = self.flag.value or number

    def press(self, number: int, _frame: object = None) -> None:
        """`ask`; raises `KeyboardInterrupt` for Ctrl-C pressed twice: now."""
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.ask(number)


def listen(handler: Callable[[int, Any], object]) -> dict[int, Any]:
    """Let a handler hear `SIGNALS`; who heard them before. What nohup ignores stays ignored."""
    wanted = [n for n in SIGNALS if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in wanted}


@contextmanager
def listening() -> Iterator[Stop]:
    """While inside, `SIGNALS` ask for a stop (of the main thread; others hear nothing)."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = listen(stop.press)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def slurm_job() -> str | None:
    """The job of a Slurm array that this process belongs to, as `12_3`."""
    ids = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return "_".join(map(str, ids)) if all(ids) else None
