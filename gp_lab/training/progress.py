"""What a command that trains shows on the terminal meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gp_lab import terminal

if TYPE_CHECKING:
    from tqdm import tqdm


class Progress:
    """Lines and bars on standard error; of one that is not `shown`, nothing."""

    def __init__(self, shown: bool) -> None:
        self.shown = shown

    def write(self, line: str) -> None:
        """A line above the bar."""
        if self.shown:
            terminal.write(line)

    def bar(self, name: str, step: int, steps: int) -> "tqdm[Any]":
        """The bar of a run, or a stack of runs, that goes on from `step`; a context manager."""
        return terminal.bar(total=steps, initial=step, disable=not self.shown, unit="it", desc=name)

    @contextmanager
    def clock(self, what: str) -> Iterator[None]:
        """A line with a clock that runs while something long is done, if anybody may look."""
        if not self.shown or not terminal.watched():
            yield
            return
        with terminal.bar(desc=what, leave=False, bar_format="{desc} {elapsed}") as line:
            over = threading.Event()

            def tick() -> None:
                while not over.wait(1.0):
                    line.refresh()

            clock = threading.Thread(target=tick, daemon=True)
            clock.start()
            try:
                yield
            finally:
                over.set()
                clock.join()
