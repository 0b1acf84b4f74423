"""How the lab reads, writes and finds files, each in one way.

A reader takes regular files of a bounded size: a pipe or a device would keep it for ever. A writer
leaves the old content or the new one, whatever happens to the process or the machine. A walk goes
through a folder once, however its links are laid.
"""

import errno
import fcntl
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from gp_lab.errors import BadInput, show
from gp_lab.signals import ended_by_signals

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,47}")
"""What may become a part of a file's name: it leads nowhere, and several fit the 255 bytes."""

PATIENCE = 10.0
"""Seconds after which it is said that another process is waited for."""

LARGEST = 64 * 2**20
"""Bytes of the largest file that is read at once, where nothing else is said."""


def file_name(name: object, key: str) -> str:
    """A name from a config that is to become a part of a file's name. Raises `BadInput`."""
    if isinstance(name, str) and NAME.fullmatch(name):
        return name
    raise BadInput(
        f"{key}={show(name)}: becomes a part of a file's name; use up to 48 letters, digits and _"
    )


def expanded(path: str) -> str:
    """A path as it was written, `~` at its start replaced by the home folder."""
    return os.path.expanduser(path)


def path_of(path: str | Path) -> Path:
    """The path that somebody wrote, see `expanded`; one that was found is as it is."""
    return Path(expanded(path)) if isinstance(path, str) else path


def is_folder(path: Path) -> bool:
    """Whether there is a folder: no path that somebody wrote is too long, or too odd, to ask."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def inside(run: Path, *names: str) -> Path:
    """A path in a run's folder. Raises `BadInput` for a link on the way: it leads elsewhere."""
    path = run
    for name in names:
        path = path / name
        if path.is_symlink():
            raise BadInput(f"{path}: a symbolic link; inside a run's folder none is followed")
    return path


def is_hidden(name: str) -> bool:
    """Whether a name is one that users do not see: `.git`, `.ipynb_checkpoints`, `._x.jpg`."""
    return name.startswith(".")


def _refuse(error: OSError) -> None:
    raise error


def walk(
    root: str | Path, onerror: Callable[[OSError], None] = _refuse
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """(folder, names of the folders in it, names of its files) of `root` and all below, in order.

    As `os.walk`, whose list of folders may be cut by the caller to keep out of them, with two
    rules: hidden names are left out, and a link to a folder is followed, but no folder is entered
    twice: what lies in the tree itself comes first, by its own name. `root` may be hidden or a
    link. Raises `OSError` for a folder that cannot be listed, unless `onerror` takes it.
    """
    entered: set[tuple[int, int]] = set()
    tops = [Path(root)]
    while tops:
        links: list[Path] = []
        for place, folders, files in os.walk(tops.pop(0), onerror=onerror):
            try:
                status = os.stat(place)
            except OSError as error:  # it has gone meanwhile
                onerror(error)
                continue
            if (status.st_dev, status.st_ino) in entered:
                folders.clear()
                continue
            entered.add((status.st_dev, status.st_ino))
            folders[:] = sorted(name for name in folders if not is_hidden(name))
            yield Path(place), folders, sorted(name for name in files if not is_hidden(name))
            links += [p for name in folders if (p := Path(place, name)).is_symlink()]
        tops += links


def files_below(root: str | Path) -> list[Path]:
    """All files below a folder, sorted by path, hidden ones left out, as `walk` finds them.

    Raises `OSError` for a folder that cannot be listed: what it holds would be missing silently.
    """
    return sorted(Path(place, name) for place, _, files in walk(root) for name in files)


def read(path: Path, most: int = LARGEST) -> bytes:
    """The content of a regular file.

    Raises `OSError` where it cannot be read, is something else than a file, or has more than `most`
    bytes.
    """
    with opened(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > most:
            raise OSError(errno.EFBIG, f"{size} bytes, more than such a file has", str(path))
        # Not `most` at once: so much would be allocated. Files of the kernel have no size.
        return file.read(size) if size else file.read()


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """A regular file, open for reading. Raises `OSError` where it is something else."""
    # Without blocking: the other end of a pipe may never come.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        yield file


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, which it replaces when all went well.

    It is flushed to the disk before, and its folder after: at any moment, whatever happens to the
    process or the machine, the file is the old one or the new one.
    """
    with _temporary(path) as temporary:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A path beside `path` that is gone afterwards."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # a link of that name would lead elsewhere
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file's content, see `replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace several files of a folder that belong together, the last one last.

    All are on the disk before the first one is replaced: what does not fit changes nothing.
    """
    with ExitStack() as stack:
        ready = [(stack.enter_context(_temporary(folder / n)), folder / n) for n in files]
        for (temporary, _), data in zip(ready, files.values(), strict=True):
            temporary.write_bytes(data)
            flush(temporary)
        for temporary, path in ready:
            temporary.replace(path)
        flush(folder)


def append(path: Path, data: bytes) -> None:
    """Add whole lines at the end of a file: all of them or, with an `OSError`, none.

    Half a line at its end, left by a kill or a full disk, is cut off first. Other processes that
    append wait meanwhile. A link in its place is refused.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        end = _end_of_lines(file)
        os.ftruncate(file, end)
        os.lseek(file, end, os.SEEK_SET)
        try:
            while data:
                data = data[os.write(file, data) :]
        except OSError:
            os.ftruncate(file, end)
            raise
    finally:
        os.close(file)


def _end_of_lines(file: int, chunk: int = 1 << 16) -> int:
    """Where the last whole line of an open file ends."""
    end = os.lseek(file, 0, os.SEEK_END)
    while end:
        start = max(0, end - chunk)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Other processes that want the same file wait meanwhile, and then find it there.

    Raises `StoppedEarly` for a signal while it waits.
    """
    from filelock import FileLock, Timeout

    # Not the lock that is a file's existence, for systems without others: it outlives its holder.
    lock = FileLock(path.with_name(f".{path.name}.lock"), fallback_to_soft=False)
    with ExitStack() as stack:
        with suppress(OSError):  # a folder without locks, or read-only: each works for itself
            with ended_by_signals(f"another process that makes {path}"):
                try:
                    lock.acquire(timeout=PATIENCE)
                except Timeout:
                    print(f"waiting for another process that makes {path}", file=sys.stderr)
                    lock.acquire()
            stack.callback(lock.release)
        yield


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    except OSError as error:
        if not (path.is_dir() and error.errno == errno.EINVAL):  # some file systems cannot
            raise
    finally:
        os.close(file)
