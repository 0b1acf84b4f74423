"""Stopping between two iterations: what a signal has asked for, of this process or its parent."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from gp_lab.runs.folder import State

SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
        """How a run ends that was asked to stop: by hand, or by a scheduler (SIGTERM)."""
        return State.PREEMPTED if self.flag.value == signal.SIGTERM else State.INTERRUPTED

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
    """While inside, SIGINT and SIGTERM ask for a stop (of the main thread; others hear nothing)."""
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
