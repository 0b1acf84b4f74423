"""Reading, writing and finding files: each in one way, without surprises."""

import errno
import fcntl
import os
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from lab import PATIENCE

from gp_lab.files import alone, append, files_below, read, walk
from gp_lab.signals import StoppedEarly
from gp_lab.training.stopping import listening


def names(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in files_below(root)]


def put(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def test_a_walk_finds_the_files_in_the_order_of_their_paths(tmp_path: Path) -> None:
    put(tmp_path, "b/z", "b/a", "a", "b.txt", "c/d/e")
    assert names(tmp_path) == sorted(names(tmp_path), key=lambda name: Path(name).parts)
    assert names(tmp_path) == ["a", "b/a", "b/z", "b.txt", "c/d/e"]


def test_hidden_names_are_left_out_but_a_hidden_root_is_walked(tmp_path: Path) -> None:
    root = tmp_path / ".data"
    put(root, "1.png", "._1.png", ".git/2.png", "a/.ipynb_checkpoints/3.png", "a/4.png")
    assert names(root) == ["1.png", "a/4.png"]


def test_a_link_to_its_own_folder_or_above_multiplies_nothing(tmp_path: Path) -> None:
    put(tmp_path, "data/a/1.png", "data/2.png")
    (tmp_path / "data/a/self").symlink_to(".")
    (tmp_path / "data/up").symlink_to("..")
    assert names(tmp_path / "data") == ["2.png", "a/1.png"]


def test_a_folder_behind_a_link_is_walked_once_by_its_own_name_if_it_is_in_the_tree(
    tmp_path: Path,
) -> None:
    put(tmp_path, "scratch/x", "tree/own/y")
    for link, to in (("a", "own"), ("b", "../scratch"), ("c", "../scratch")):
        (tmp_path / "tree" / link).symlink_to(to)
    assert names(tmp_path / "tree") == ["b/x", "own/y"]
    (tmp_path / "root").symlink_to("tree")
    assert names(tmp_path / "root") == ["b/x", "own/y"]


def test_a_walk_keeps_out_of_folders_that_its_caller_takes_away(tmp_path: Path) -> None:
    put(tmp_path, "keep/1", "skip/2", "3")
    (tmp_path / "link").symlink_to("skip")
    found = []
    for place, folders, files in walk(tmp_path):
        folders[:] = [name for name in folders if name == "keep"]
        found += [(place.name, file) for file in files]
    assert found == [(tmp_path.name, "3"), ("keep", "1")]


def test_a_folder_that_cannot_be_listed_is_an_error_unless_somebody_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a/1", "b/2")
    real = os.scandir

    def scandir(path: str) -> object:
        if Path(path).name == "a":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError):
        files_below(tmp_path)
    errors: list[OSError] = []
    found = [file for _, _, files in walk(tmp_path, errors.append) for file in files]
    assert found == ["2"]
    assert [error.errno for error in errors] == [errno.EACCES]


def made_pipe(path: Path) -> None:
    os.mkfifo(path)


def made_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def made_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("made", [made_pipe, made_device, made_folder])
def test_only_regular_files_are_read(made: Callable[[Path], None], tmp_path: Path) -> None:
    made(tmp_path / "status.json")
    with pytest.raises(OSError, match=r"not a regular file|Is a directory"):
        read(tmp_path / "status.json")


def test_a_file_larger_than_its_kind_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(OSError, match=re.escape(f"{2**40} bytes")):
        read(tmp_path / "sparse")
    (tmp_path / "small").write_bytes(b"12345")
    assert read(tmp_path / "small", most=5) == b"12345"
    with pytest.raises(OSError, match="5 bytes"):
        read(tmp_path / "small", most=4)


def test_lines_are_appended_after_the_last_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    append(path, b"one\n")
    with path.open("ab") as file:
        file.write(b"ha" * 100_000)
    append(path, b"two\nthree\n")
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    path.write_bytes(b"half")
    append(path, b"whole\n")
    assert path.read_bytes() == b"whole\n"


def test_a_link_is_not_appended_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"mine\n")
    (tmp_path / "lines").symlink_to("elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        append(tmp_path / "lines", b"yours\n")
    assert (tmp_path / "elsewhere").read_bytes() == b"mine\n"


@pytest.mark.seconds
def test_what_does_not_fit_is_not_appended_in_part(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk."""
    code = (
        "import sys, signal, resource; from pathlib import Path; from gp_lab.files import append\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "path = Path(sys.argv[1]); append(path, b'x' * 700 + b'\\n')\n"
        "try:\n    append(path, b'y' * 700 + b'\\n')\n"
        "except OSError as error:\n    print(error.strerror)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "lines")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said == "File too large\n"
    assert (tmp_path / "lines").read_bytes() == b"x" * 700 + b"\n"


# -- one at a time -------------------------------------------------------------------------


def holder(path: Path) -> subprocess.Popen[str]:
    """Another process that has a file alone, until it is killed or hears a line."""
    program = (
        "import sys; from pathlib import Path; from gp_lab.files import alone\n"
        "with alone(Path(sys.argv[1])):\n    print('has it', flush=True); sys.stdin.readline()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "has it\n"
    return process


@pytest.mark.seconds
def test_who_wants_a_file_waits_until_its_holder_is_done(tmp_path: Path) -> None:
    path, entered = tmp_path / "cache.npz", threading.Event()

    def enter() -> None:
        with alone(path):
            entered.set()

    with holder(path) as first:
        second = threading.Thread(target=enter)
        second.start()
        assert not entered.wait(0.5)
        first.communicate("go on\n", timeout=PATIENCE)
    second.join(PATIENCE)
    assert entered.is_set()


@pytest.mark.seconds
def test_a_holder_that_was_killed_keeps_nobody_out_and_what_it_leaves_is_no_data(
    tmp_path: Path,
) -> None:
    path = tmp_path / "new" / "cache.npz"
    with holder(path) as first:
        first.kill()
    assert [file.name for file in path.parent.iterdir()] == [".cache.npz.lock"]
    with alone(path):
        path.touch()
    assert files_below(tmp_path) == [path]


def test_a_link_in_a_locks_place_is_not_followed_and_each_works_for_itself(tmp_path: Path) -> None:
    path = tmp_path / "cache.npz"
    (tmp_path / ".cache.npz.lock").symlink_to(tmp_path / "elsewhere")
    with alone(path), alone(path):
        path.touch()
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_system_without_locks_is_no_hindrance_and_nothing_is_left_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    path = tmp_path / "cache.npz"
    with warnings.catch_warnings(action="error"), alone(path), alone(path):
        path.touch()
    assert path.exists()


@pytest.mark.seconds
def test_who_waits_for_another_process_says_so_and_hears_signals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gp_lab.files.PATIENCE", 0.2)
    path, asking = tmp_path / "moments.npz", threading.Timer(1, os.kill, (os.getpid(), 15))
    said = r"stopped by SIGTERM while it waited for another process that makes .*moments\.npz"
    with holder(path) as first, listening() as stop:
        asking.start()
        with pytest.raises(StoppedEarly, match=said), alone(path):
            pytest.fail("two make it")
        assert stop.asked
        first.communicate("go on\n", timeout=PATIENCE)
    assert f"waiting for another process that makes {path}" in capsys.readouterr().err
    with alone(path):  # the lock is not held by who gave up
        pass
