"""Files that are never half there or made twice; names from configs that become names of files."""

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from gp_lab.errors import BadInput, show

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,47}")
"""What may become a part of a file's name: it leads nowhere, and several fit the 255 bytes."""


def file_name(name: object, key: str) -> str:
    """A name from a config that is to become a part of a file's name. Raises `BadInput`."""
    if isinstance(name, str) and NAME.fullmatch(name):
        return name
    raise BadInput(
        f"{key}={show(name)}: becomes a part of a file's name; use up to 48 letters, digits and _"
    )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, which it replaces when all went well.

    It is flushed to the disk before, and its folder after: at any moment, whatever happens to the
    process or the machine, the file is the old one or the new one.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Other processes that want the same file wait meanwhile, and then find it there."""
    with ExitStack() as stack:
        with suppress(OSError):  # a folder without locks, or read-only: each works for itself
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(path.with_name(f".{path.name}.lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file's content, see `replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if not (path.is_dir() and error.errno == errno.EINVAL):  # some file systems cannot
            raise
    finally:
        os.close(opened)
