"""Fixtures that several files of commands share."""

import shutil
from pathlib import Path

import pytest
from refusals import Refused

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.runs.folder import RunFolder


@pytest.fixture
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(original: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of the file's own fixture `original` that a test may change."""
    return RunFolder(shutil.copytree(original.path, tmp_path / "out" / "runs" / original.path.name))


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refused:
    """Runs a command that has to be refused; the sentence. What was there before stays alone."""
    monkeypatch.chdir(tmp_path)

    def check(*arguments: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        capsys.readouterr()
        status = main(list(arguments))
        said = capsys.readouterr()
        lines = said.err.splitlines()
        assert (status, len(lines)) == (Exit.BAD_INPUT, 1), said.err
        assert lines[0].startswith("gp-lab: ")
        assert said.out == ""
        assert sorted(tmp_path.rglob("*")) == before
        return lines[0].removeprefix("gp-lab: ")

    return check
