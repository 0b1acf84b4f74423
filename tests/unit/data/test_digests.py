"""Digests of files: of bytes in an order, wherever they lie; each file is read once."""

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gp_lab.data import digests
from gp_lab.data.digests import Digest, of_bytes, of_each, of_files, together
from gp_lab.errors import BadInput

HOUR = 3600 * 10**9


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder, empty, of a process that has looked at nothing."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    forget(monkeypatch)
    return folder


def forget(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(digests, "_of_this_process", {})


def write(path: Path, data: bytes) -> Path:
    """A file that was written an hour before those that are written after it are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - HOUR))
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / "data" / name, name.encode() * 9) for name in "abcd"]


class Counting:
    """`of_bytes`, and which files it was asked about."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.__name__ = "of_bytes"

    def __call__(self, path: Path, told: Callable[[int], object]) -> Digest:
        self.read.append(path.name)
        return of_bytes(path, told)


def test_a_digest_is_of_bytes_in_their_order_and_of_no_names_times_or_places(
    files: list[Path], tmp_path: Path
) -> None:
    expected = of_files(files)
    assert expected.number == 36
    copies = [
        write(tmp_path / "else" / f"{i}-{p.name}", p.read_bytes()) for i, p in enumerate(files)
    ]
    assert of_files(copies) == expected == together(of_each(files))
    others = [files[::-1], files[:3], [*files, files[0]]]
    assert len({of_files(some).value for some in others} | {expected.value}) == 4
    assert of_files(files[:1]) == of_files(copies[:1])


def test_what_is_packed_is_told_by_what_is_in_it(tmp_path: Path) -> None:
    plain = write(tmp_path / "a", b"the same\n" * 50)
    packed = write(tmp_path / "b.gz", gzip.compress(plain.read_bytes(), 1))
    assert of_files([plain]) == of_files([packed])


def test_a_file_is_read_once_and_again_when_its_size_or_time_has_changed(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    count = Counting()
    first = of_files(files, count)
    assert sorted(count.read) == list("abcd")
    for _ in range(2):
        forget(monkeypatch)  # as in a process of its own
        assert of_files(files, count) == first
    assert of_each(files, count)[1] == of_each(files[1:2])[0]
    assert len(count.read) == 4
    os.utime(files[1], (1, 1))
    assert of_files(files, count) == first
    assert count.read[4:] == ["b"]
    write(files[2], b"other bytes")
    assert of_files(files, count) != first
    assert count.read[5:] == ["c"]


def test_a_file_that_was_replaced_by_one_of_the_same_size_and_time_is_read_again(
    files: list[Path],
) -> None:
    first = of_files(files)
    other, status = files[0].with_name("other"), files[0].stat()
    other.write_bytes(b"b" * 9)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.rename(files[0])
    assert of_files(files) != first


def test_a_file_that_was_written_just_now_is_not_taken_for_known(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "FINE", 10 * HOUR)
    monkeypatch.setattr(digests, "COARSE", 10 * HOUR)
    count, first = Counting(), of_files(files)
    status = files[0].stat()
    files[0].write_bytes(b"A" * 9)
    os.utime(files[0], ns=(status.st_atime_ns, status.st_mtime_ns))  # within one tick of the clock
    assert of_files(files, count) != first
    assert sorted(count.read) == list("abcd")


@pytest.mark.parametrize("where", ["unwritable", "no home"])
def test_where_nothing_can_be_kept_it_is_kept_in_memory(
    files: list[Path], where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "unwritable":
        monkeypatch.setenv("XDG_CACHE_HOME", str(write(tmp_path / "file", b"")))
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")

        def homeless() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", homeless)
    count = Counting()
    assert of_files(files, count) == of_files(files, count)
    assert len(count.read) == 4
    forget(monkeypatch)
    of_files(files, count)
    assert len(count.read) == 8


def test_who_is_interrupted_goes_on_about_where_he_was(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "AT_ONCE", 1)
    count = Counting()

    def interrupted(path: Path, told: Callable[[int], object]) -> Digest:
        if path.name == "c":
            raise KeyboardInterrupt
        return count(path, told)

    interrupted.__name__ = "of_bytes"
    with pytest.raises(KeyboardInterrupt):
        of_files(files, interrupted)
    assert count.read == ["a", "b"]
    assert of_files(files, count) == together(of_each(files))
    assert count.read == ["a", "b", "c", "d"]


def test_who_is_interrupted_does_not_wait_for_the_end_of_a_large_file(files: list[Path]) -> None:
    def endless(path: Path, told: Callable[[int], object]) -> Digest:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # Ctrl-C
        while True:
            told(1)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job may ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            of_files(files[:1], endless)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.seconds
def test_processes_that_ask_at_once_read_each_file_once_between_them(
    files: list[Path], tmp_path: Path
) -> None:
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from gp_lab.data import digests\n"
        "def of_bytes(path, told):\n"
        "    with open(sys.argv[1], 'a') as log: log.write(path.name + '\\n')\n"
        "    time.sleep(0.2)\n"
        "    return digests.of_bytes(path, told)\n"
        "print(digests.of_files([Path(p) for p in sys.argv[2:]], of_bytes).value)\n"
    )
    log = tmp_path / "log"
    command = [sys.executable, "-c", code, str(log), *map(str, files)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    found = {process.communicate()[0].strip() for process in running}
    assert found == {of_files(files).value}
    assert sorted(log.read_text().split()) == list("abcd")


def test_what_is_kept_is_not_believed_where_it_is_damaged(
    files: list[Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = of_files(files)
    for path in (cache / "gp_lab").rglob("*"):
        if path.is_file():
            path.write_bytes(b"\xff{" + path.read_bytes()[:20])
    forget(monkeypatch)
    assert of_files(files) == expected


def test_a_file_that_somebody_writes_to_meanwhile_is_refused(files: list[Path]) -> None:
    def written_to(path: Path, told: Callable[[int], object]) -> Digest:
        found = of_bytes(path, told)
        path.write_bytes(b"more than before")
        return found

    with pytest.raises(BadInput, match=r"a: somebody wrote to it while it was read"):
        of_files(files[:1], written_to)


def test_what_is_no_file_or_is_gone_is_named(files: list[Path], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match=r"pipe: cannot be read \(not a regular file\)"):
        of_files([*files, tmp_path / "pipe"])
    with pytest.raises(BadInput, match=r"none: cannot be read \(No such file or directory\)"):
        of_files([tmp_path / "none"])
    write(tmp_path / "cut.gz", gzip.compress(b"x" * 99)[:-9])
    with pytest.raises(BadInput, match=r"cut.gz: cannot be read"):
        of_files([tmp_path / "cut.gz"])


def test_any_name_of_a_file_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [b"\xff\xfe", "ü \n'\"[]".encode(), b"-x", b"="]
    odd = [write(tmp_path / "odd" / os.fsdecode(name), name) for name in names]
    count = Counting()
    first = of_files(odd, count)
    forget(monkeypatch)
    assert of_files(odd, count) == first
    assert len(count.read) == 4


def test_what_is_kept_is_no_more_than_a_line_a_file(files: list[Path], cache: Path) -> None:
    of_files(files)
    (kept,) = (cache / "gp_lab").rglob("*.jsonl")
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert sorted(line[0] for line in lines) == sorted(map(str, files))
