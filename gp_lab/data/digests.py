"""Digests of files: each is read once, and again only when its size, time or inode has changed.

What was found is kept in the user's cache folder (`$XDG_CACHE_HOME/gp_lab`), or where that
cannot be written for as long as the process lives. Sizes, times and inodes decide whether a file is
read again; they are no part of a digest.
"""

import gzip
import hashlib
import json
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from gp_lab.errors import BadInput, one_line
from gp_lab.files import LARGEST, alone, append, opened, read, write_atomically
from gp_lab.machine import cores
from gp_lab.terminal import bar

FORMAT = 1
"""Of what is kept; other formats lie in folders of their own."""

AT_ONCE = 64 * 2**20
"""Bytes, about, that are read before what was found in them is kept."""

SHOWN = 2**29
"""Bytes whose reading is shown as a bar."""

THREADS = min(16, cores())
"""That read files."""

COARSE, FINE = 2_000_000_000, 50_000_000
"""Nanoseconds within which two changes of a file may have one time: where times are whole seconds,
and elsewhere."""


class Digest(NamedTuple):
    """What was found in a file or in several: 32 hexadecimal digits, and the number of bytes or of
    lines."""

    value: str
    number: int


Measure = Callable[[Path, Callable[[int], object]], Digest]
"""(file, what is told how many bytes were read) -> its digest."""


class Seen(NamedTuple):
    """A file as it stood when it was looked at."""

    path: str
    size: int
    time: int
    inode: int

    @property
    def settled(self) -> bool:
        """Whether the file would get another time if it were changed now."""
        tick = FINE if self.time % 1_000_000_000 else COARSE
        return abs(time.time_ns() - self.time) > tick


def of_bytes(path: Path, told: Callable[[int], object]) -> Digest:
    """Of a file's bytes; of what is packed in it where its name ends in .gz."""
    digest, count = _new(), 0
    with opened(path) as file, gzip.open(file) if path.suffix == ".gz" else file as unpacked:
        while chunk := unpacked.read(2**20):
            digest.update(chunk)
            count += len(chunk)
            told(len(chunk))
    return Digest(digest.hexdigest(), count)


def of_lines(lines: Iterable[str]) -> Digest:
    """Of lines of text in this order, and their number."""
    digest, count = _new(), 0
    for line in lines:
        digest.update(line.encode() + b"\n")
        count += 1
    return Digest(digest.hexdigest(), count)


def combined(*values: object) -> str:
    """32 hexadecimal digits of some values in this order."""
    return _of_texts(map(str, values))


def of_files(paths: Sequence[Path], measure: Measure = of_bytes) -> Digest:
    """One digest of all files in this order, and the sum of their counts.

    Other processes that ask for the same files wait meanwhile, and then find it known; one that was
    interrupted goes on about where it was. Raises `BadInput` naming a file that cannot be read.
    """
    asked = _name(measure, _look_at(paths))
    if found := _known(asked):
        return found
    with _shared(paths, measure) as kept:
        seen = list(_look_at(paths))
        asked = _name(measure, seen)
        if found := _known(asked):  # by another process, meanwhile
            return found
        settled = all(file.settled for file in seen)
        found = together(list(_each(seen, measure, kept)))
    if settled:
        _keep(asked, found)
    return found


def together(each: Sequence[Digest]) -> Digest:
    """The digest of several files from those of each, as `of_files` finds it."""
    return Digest(combined(*(found.value for found in each)), sum(found.number for found in each))


def of_each(paths: Sequence[Path], measure: Measure = of_bytes) -> list[Digest]:
    """The digest of every file, otherwise as `of_files`."""
    with _shared(paths, measure) as kept:
        return list(_each(list(_look_at(paths)), measure, kept))


def state_of(paths: Sequence[Path], root: Path) -> str:
    """What stays as it is while nobody adds, removes or changes one of these files below `root`.

    It is made of names, sizes and times alone; empty for files that were written so lately that
    another change could go unseen. Raises `BadInput` for a file that is gone.
    """
    top = os.path.abspath(root)
    seen = [file._replace(path=file.path.removeprefix(top)) for file in _look_at(paths)]
    if not all(file.settled for file in seen):
        return ""
    return _of_texts(f"{file.path} {file.size} {file.time}" for file in seen)


def _name(measure: Measure, seen: Iterable[Seen]) -> str:
    """What is asked of files that stand as they were seen."""
    state = _of_texts(f"{file.path} {file.size} {file.time} {file.inode}" for file in seen)
    return f"{measure.__name__}-{state}"


def _look_at(paths: Iterable[Path]) -> Iterator[Seen]:
    for path in paths:
        try:
            status = os.stat(path)
        except OSError as error:
            raise BadInput(f"{path}: cannot be read ({one_line(error)})") from error
        where = os.path.abspath(path)
        yield Seen(where, status.st_size, status.st_mtime_ns, status.st_ino)


def _of_texts(texts: Iterable[str]) -> str:
    digest = _new()
    for text in texts:
        data = text.encode("utf-8", "surrogateescape")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def _new() -> Any:
    return hashlib.blake2b(digest_size=16)


# -- reading -------------------------------------------------------------------------------


def _each(seen: Sequence[Seen], measure: Measure, kept: Path | None) -> Iterator[Digest]:
    """The digest of every file, read where it is not among what is `kept`; what is new is added."""
    before = _entries(kept)
    unknown = sum(file.size for file in seen if file not in before)
    silent = None if unknown > SHOWN else True  # None: unless somebody looks
    line = bar(total=unknown, unit="B", unit_scale=True, desc="reading the data", disable=silent)
    over = threading.Event()

    def told(count: int) -> None:
        if over.is_set():  # what is found in this file goes nowhere
            raise InterruptedError
        line.update(count)

    with line, ThreadPoolExecutor(THREADS, "digests") as threads:
        try:
            for some in _portions(seen, before):
                new = [file for file in some if file not in before]
                settled = {file for file in new if file.settled}
                each = threads.map(partial(_one, measure, told), new)
                found = dict(zip(new, each, strict=True))
                _append(kept, {file: d for file, d in found.items() if file in settled})
                yield from (before.get(file) or found[file] for file in some)
        finally:
            over.set()  # or leaving waits for the end of a large file


def _one(measure: Measure, told: Callable[[int], object], file: Seen) -> Digest:
    path = Path(file.path)
    try:
        found = measure(path, told)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{path}: cannot be read ({one_line(error)})") from error
    if [file] != list(_look_at([path])):
        raise BadInput(f"{path}: somebody wrote to it while it was read")
    return found


def _portions(seen: Sequence[Seen], before: dict[Seen, Digest]) -> Iterator[list[Seen]]:
    """The files in pieces of some bytes that have to be read."""
    portion: list[Seen] = []
    size = 0
    for file in seen:
        portion.append(file)
        size += 0 if file in before else file.size + 2**10
        if size > AT_ONCE:
            yield portion
            portion, size = [], 0
    yield portion


# -- what is kept --------------------------------------------------------------------------

_of_this_process: dict[str, Digest] = {}
"""What was asked -> what was found: all that is kept where no file can be written."""


def _folder() -> Path | None:
    """Where users keep what can be made again."""
    said = os.environ.get("XDG_CACHE_HOME", "")
    try:
        root = Path(said) if os.path.isabs(said) else Path.home() / ".cache"
    except RuntimeError:  # a user without a home
        return None
    return root / "gp_lab" / f"digests-{FORMAT}"


@contextmanager
def _shared(paths: Sequence[Path], measure: Measure) -> Iterator[Path | None]:
    """The file that keeps the digests of all below the folder that these files share; ours alone
    meanwhile."""
    folder = _folder()
    common = os.path.commonpath([os.path.dirname(os.path.abspath(p)) for p in paths] or ["/"])
    path = folder and folder / f"{measure.__name__}-{combined(common)}.jsonl"
    with alone(path) if path else nullcontext():
        yield path


def _entries(path: Path | None) -> dict[Seen, Digest]:
    """What a file keeps; nothing where there is none, or a damaged one."""
    found: dict[Seen, Digest] = {}
    with suppress(OSError, ValueError, TypeError):
        for line in read(path, 2**40).splitlines() if path else ():
            *file, value, count = json.loads(line)
            found[Seen(*file)] = Digest(value, count)
    return found


def _append(path: Path | None, found: dict[Seen, Digest]) -> None:
    if path and found:
        lines = "".join(json.dumps([*file, *digest]) + "\n" for file, digest in found.items())
        with suppress(OSError):
            append(path, lines.encode())


def _known(asked: str) -> Digest | None:
    folder = _folder()
    if asked not in _of_this_process and folder:
        with suppress(OSError, ValueError):
            value, count = read(folder / asked, LARGEST).decode().split()
            _of_this_process[asked] = Digest(value, int(count))
    return _of_this_process.get(asked)


def _keep(asked: str, found: Digest) -> None:
    _of_this_process[asked] = found
    if folder := _folder():
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / asked, f"{found.value} {found.number}\n".encode())
