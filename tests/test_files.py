"""Reading, writing and finding files: each in one way, without surprises."""

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gp_lab.files import append, files_below, read, walk


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
