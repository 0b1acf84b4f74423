"""Small runs on data in files, and what is said of them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from image_files import encoded, picture

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.runs.folder import RunFolder

QUICK = (
    "batch_size=4", "steps=3", "log_every=1", "tracking=none", "threads=1", "device=cpu",
    "compile=never", "probe=[]",
)  # fmt: skip
IMAGES = (*QUICK, "architecture=mlp_mnist", "architecture.width=8")
GREY = ("dataset.source.image_size=28", "dataset.source.channels=1")
FOLDER = (*IMAGES, "dataset=image_folder", *GREY)
TEXT = (
    *QUICK, "dataset=text", "dataset.length=8", "architecture=char_cnn", "architecture.length=8",
    "architecture.characters=null", "architecture.filters=4", "architecture.blocks=1",
)  # fmt: skip
LINES = ["a sentence", "and another", "words, words", "the last one"]

Runs = Callable[..., RunFolder]
Touched = dict[str, bytes]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Runs:
    """`run(*overrides)` trains; the folder that it says it has trained, or found finished."""

    def trained_now(*overrides: str, expected: Exit = Exit.OK) -> RunFolder:
        capsys.readouterr()
        assert main(["train", *overrides]) == expected
        said = capsys.readouterr()
        print(said.err, end="", file=sys.stderr)
        return RunFolder(said.out.splitlines()[-1].rpartition(": ")[2])

    return trained_now


def refused(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """The one sentence of a command that is refused."""
    capsys.readouterr()
    assert main(list(command)) == Exit.BAD_INPUT
    (said,) = capsys.readouterr().err.splitlines()
    return said


def files(folder: RunFolder) -> Touched:
    return {str(p.relative_to(folder.path)): p.read_bytes()
            for p in folder.path.rglob("*") if p.is_file()}  # fmt: skip


def data_of(folder: RunFolder) -> dict[str, Any]:
    return json.loads((folder.path / "data.json").read_text())


def write_text(lines: list[str], path: str = "text.txt") -> str:
    Path(path).write_text("".join(f"{line}\n" for line in lines))
    return f"dataset.root={Path(path).absolute()}"


def write_pictures(root: Path, count: int = 8, seed: int = 0) -> str:
    root.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        (root / f"{i:02}.png").write_bytes(encoded(picture(28, 28, "L", seed=seed + i)))
    return f"dataset.root={root}"
