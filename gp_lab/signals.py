"""Waiting for others, a server or a compiler: not past a signal that asks for a stop."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from gp_lab.errors import Exit, LabError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Ctrl-C, the end of a terminal, and what schedulers send before they take the machine away."""

SILENCE = 30.0
"""Seconds after which a server that says nothing is given up."""


class StoppedEarly(LabError):
    """What waited was asked to stop before what it waited for had come."""

    status = Exit.PREEMPTED


class _Asked(BaseException):
    """Raised where a signal was heard; the code that is waited for has no handler for it."""


@contextmanager
def served(what: str) -> Iterator[None]:
    """While inside, a server that is silent for `SILENCE` seconds raises `TimeoutError`.

    That holds for sockets without a time limit of their own. Signals raise `StoppedEarly`, see
    `ended_by_signals`.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        with ended_by_signals(what):
            yield
    finally:
        socket.setdefaulttimeout(before)


@contextmanager
def ended_by_signals(what: str, first: Callable[[], object] = lambda: None) -> Iterator[None]:
    """While inside, a signal of `SIGNALS` raises `StoppedEarly`, which names `what` was waited for.

    Before that `first` is called, and whoever listens to the signal hears it. (Python by itself
    would take up the wait again.) Threads other than the main one hear no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    listeners = {int(number): signal.getsignal(number) for number in SIGNALS}
    heard = [number for number, listener in listeners.items() if callable(listener)]
    told = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal told
        listeners[number](number, frame)  # type: ignore[operator,misc]
        if not told:  # once: a second one could come while the first is on its way out
            told = True
            first()
            raise _Asked(f"stopped by {signal.Signals(number).name} while it waited for {what}")

    try:
        try:
            for number in heard:
                signal.signal(number, end)
            yield
        finally:
            for number in heard:
                signal.signal(number, listeners[number])
    except _Asked as asked:
        raise StoppedEarly(str(asked)) from None
