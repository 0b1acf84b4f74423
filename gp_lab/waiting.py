"""Waiting for a server: never for ever, and not past a signal that asks for a stop."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gp_lab.errors import Exit, LabError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Ctrl-C, and what schedulers send before they take the machine away."""

SILENCE = 30.0
"""Seconds after which a server that says nothing is given up."""


class StoppedEarly(LabError):
    """What waited was asked to stop before what it waited for had come."""

    status = Exit.PREEMPTED


@contextmanager
def served(what: str) -> Iterator[None]:
    """While inside, a server that is silent for `SILENCE` seconds raises `TimeoutError`.

    That holds for sockets without a time limit of their own. Where somebody listens to a signal of
    `SIGNALS`, he hears it, and then `StoppedEarly` is raised here, which names `what` was waited
    for: Python would take up the wait again. Threads other than the main one hear no signals.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        with _ended_by_signals(what):
            yield
    finally:
        socket.setdefaulttimeout(before)


@contextmanager
def _ended_by_signals(what: str) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    listeners = {int(number): signal.getsignal(number) for number in SIGNALS}

    def end(number: int, frame: FrameType | None) -> None:
        listener = listeners[number]
        assert callable(listener)
        listener(number, frame)
        raise StoppedEarly(f"stopped by {signal.Signals(number).name} while it waited for {what}")

    heard = [number for number, listener in listeners.items() if callable(listener)]
    try:
        for number in heard:
            signal.signal(number, end)
        yield
    finally:
        for number in heard:
            signal.signal(number, listeners[number])
