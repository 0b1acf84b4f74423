"""What can go wrong in a way that a user can mend, and the exit status of each."""

import errno
import json
from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses of the `gp-lab` command, as gp_lab/launching/README.md lists them."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    DIVERGED = 3
    PREEMPTED = 4
    INTERRUPTED = 130


class LabError(Exception):
    """A failure that one sentence explains; the command prints it without a traceback."""

    status = Exit.FAILED


class BadInput(LabError):
    """What the user asked for cannot be done: names the key, the value and the choices."""

    status = Exit.BAD_INPUT


class Diverged(LabError):
    """The numbers of a run became NaN or infinite."""

    status = Exit.DIVERGED


def bad_choice(key: str, value: object, choices: Iterable[str]) -> BadInput:
    """The sentence for a value outside a closed list, with the nearest choice if one is near."""
    return BadInput(f"{key}={show(value)}: no such choice{_from(show(value), choices)}")


def bad_key(key: str, known: Iterable[str]) -> BadInput:
    """The sentence for a key that nobody reads, with those that stand beside it."""
    return BadInput(f"{key}: no such key{_from(key.rpartition('.')[2], known)}")


def failure(error: BaseException) -> str | None:
    """What the machine could not do (its disk, its memory), in one line; None for other errors."""
    if out_of_memory(error):
        return f"out of memory ({one_line(error)})"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {one_line(error)}" if error.filename else one_line(error)
    return None


def out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, of Python's, of PyTorch's on the CPU or of a GPU's, or had more
    bytes than can be counted."""
    text = str(error).lower()
    said = any(words in text for words in _OF_MEMORY)
    kinds = RuntimeError | OverflowError | TypeError | ValueError
    return isinstance(error, MemoryError) or (isinstance(error, kinds) and said)


_OF_MEMORY = (
    "out of memory", "allocate memory", "not enough memory", "calculation overflowed",
    "multiplication overflow", "array is too big", "dimension exceeded", "too large to convert",
)  # fmt: skip


def one_line(error: BaseException) -> str:
    """Why, in one line: the first one of an error's text, or its kind if it has none."""
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{error.strerror} (ulimit -n raises how many there may be)"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def printable(text: str) -> str:
    """A text with its control characters spelt out, as names from strangers may hold them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def counted(count: int, thing: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {thing}{'s' * (count != 1)}"


def show(value: object) -> str:
    """A config value as a user would type it."""
    if isinstance(value, str | float):
        return str(value)
    try:
        return json.dumps(value)
    except TypeError:
        return type(value).__name__


def _from(value: str, choices: Iterable[str]) -> str:
    """The choices, and the one that may be meant; those in folders by their last part alone."""
    choices = sorted(choices)
    if inside := [choice for choice in choices if choice.endswith(f"/{value}")]:
        return f"; did you mean {' or '.join(inside)}?"
    near = get_close_matches(value, choices, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"; choose from {', '.join(choices)}{hint}" if choices else ""
