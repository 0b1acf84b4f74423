"""Standard output and error, and the progress bars on them: the one way to the terminal.

Text on it may come from strangers: the names of folders, what configs and other programs say. Its
control characters are shown, not obeyed. A stream that is closed, full or broken ends no command,
and neither does a terminal that is narrow, dumb or knows ASCII alone.
"""

import errno
import io
import os
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

from gp_lab.errors import LabError, one_line, printable

if TYPE_CHECKING:
    from tqdm import tqdm

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What moves a terminal's cursor, changes its state, or reverses what is read on it."""

OF_BARS = re.compile("(?:\n|\x1b\\[A)+\\Z|\r?")
"""How tqdm begins what it writes: back to the start of the line, or some lines up or down."""

GONE = (errno.EPIPE, errno.EIO, errno.EBADF)
"""Errors of a stream that nobody reads any more: a pipe, a terminal that was closed."""

NARROWEST = 40
"""Columns that tables are made for at least: a terminal breaks longer lines."""


def visible(text: str) -> str:
    """A text with its control characters spelt out, except for ends of lines and tabs."""
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


class Stream(io.TextIOBase):
    """Standard output or error, made safe: see the module. `to` is None where it was closed.

    essential: what is written is all that the command is for. Then an error is raised: `LabError`,
    or `BrokenPipeError` if nobody reads any more. Otherwise the first one is kept, in `error`.
    """

    def __init__(self, to: TextIO | None, essential: bool = False) -> None:
        self.to, self.essential = to, essential
        self.error: OSError | ValueError | None = None

    def __eq__(self, other: object) -> bool:
        """Whether both lead to the same: tqdm asks, to know which bars a text would run into."""
        return self.to is (other.to if isinstance(other, Stream) else other)

    def __hash__(self) -> int:
        return hash(self.to)

    def write(self, text: str) -> int:
        own = OF_BARS.match(text)
        end = own.end() if own else 0
        safe = visible(text[end:]).encode(self.encoding, "backslashreplace")
        self.control(text[:end] + safe.decode(self.encoding))
        return len(text)

    def control(self, text: str) -> None:
        """Write what the terminal is to obey; a dumb one is spared what it could not."""
        if os.environ.get("TERM") == "dumb":
            text = re.sub("\x1b\\[[A-Z0-9]*", "", text)
        self._attempt(lambda to: to.write(text))

    def flush(self) -> None:
        self._attempt(lambda to: to.flush())

    def settle(self) -> None:
        """Leave nothing that Python, which flushes its streams as it ends, would stumble over."""
        with suppress(OSError, ValueError):
            try:
                if self.to is not None:
                    self.to.flush()
            except (OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
                raise

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self.to, "encoding", None) or "utf-8"

    @property
    def buffer(self) -> Any:
        return getattr(self.to, "buffer", None)

    def isatty(self) -> bool:
        try:
            return self.to is not None and self.to.isatty()
        except ValueError:  # it was closed
            return False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self.to is None:
            raise io.UnsupportedOperation("fileno")
        return self.to.fileno()

    def _attempt(self, act: Callable[[TextIO], object]) -> None:
        try:
            if self.to is not None:
                act(self.to)
        except (OSError, ValueError) as error:
            self.error = self.error or error
            if not self.essential:
                return
            if self.gone:
                raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error
            raise LabError(f"standard output cannot be written ({one_line(error)})") from error

    @property
    def gone(self) -> bool:
        """Whether nobody reads it any more."""
        return not isinstance(self.error, OSError) or self.error.errno in GONE


@contextmanager
def guarded_streams(essential: bool = False) -> Iterator[None]:
    """While inside, standard output and error are `Stream`s, and a warning is a line there.

    `essential` is said of the output.
    """
    before, formatted = (sys.stdout, sys.stderr), warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"gp-lab: {printable(str(message))}\n"
    out, err = Stream(before[0], essential), Stream(before[1])
    sys.stdout, sys.stderr = out, err
    try:
        yield
    finally:
        out.essential = False
        out.flush()
        if out.error and not essential and not out.gone:
            said = f"standard output could not be written ({one_line(out.error)})"
            print(f"gp-lab: {said}", file=err)
        for stream in (out, err):
            stream.settle()
        (sys.stdout, sys.stderr), warnings.formatwarning = before, formatted


def open_standard_streams() -> None:
    """Lead what of the descriptors 0, 1 and 2 is closed to nowhere, before a file is opened.

    It would get their numbers, and what libraries print there beneath Python would be written into
    it: into the metrics of a run, say.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest number


def columns(otherwise: int | None = None) -> int | None:
    """The width of the terminal that standard output is, but not below `NARROWEST`."""
    if sys.stdout is None or not sys.stdout.isatty():
        return otherwise
    return max(NARROWEST, shutil.get_terminal_size().columns)


def aligned(rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """The lines of a table: columns as wide as their widest cells, lines of `width` at most."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    if width is None:
        return lines
    return [x if len(x) <= width else f"{x[: width - 4].rstrip()} ..." for x in lines]


def clear() -> None:
    """Empty the terminal, where standard output is one."""
    if isinstance(sys.stdout, Stream) and sys.stdout.isatty():
        sys.stdout.control("\x1b[H\x1b[2J")


def duration(minutes: float) -> str:
    """About how long: 40 s, 12 min, 3.5 h, 6 days."""
    for unit, length in (("days", 1440), ("h", 60), ("min", 1)):
        if minutes >= 2 * length:
            return f"{minutes / length:.2g} {unit}"
    return f"{60 * minutes:.0f} s"


def write(text: str) -> None:
    """A line on standard error, above the progress bars."""
    from tqdm import tqdm

    tqdm.write(text, file=_standard_error())


def watched() -> bool:
    """Whether standard error is a terminal: somebody may be looking."""
    return _standard_error().isatty()


def bar(**options: Any) -> "tqdm[Any]":
    """A progress bar on standard error, by tqdm's options; in a log it is written seldom."""
    from tqdm import tqdm

    seldom = 0.2 if watched() else 15.0
    return tqdm(file=_standard_error(), dynamic_ncols=True, mininterval=seldom, **options)


def _standard_error() -> Stream:
    """Safe also where no command has made it so."""
    return sys.stderr if isinstance(sys.stderr, Stream) else Stream(sys.stderr)
