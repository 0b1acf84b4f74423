"""The tracker of one's own that the page shows is told what a run writes."""

import re
import shlex
import sys
from pathlib import Path

import pytest
from helpers import CLONE
from lab import values

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.runs.folder import find_runs


def test_the_tracker_that_the_page_shows_is_told_what_a_run_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (CLONE / "gp_lab" / "tracking" / "README.md").read_text()
    for _, text in re.findall(r"^```(python|yaml)\n(.*?)^```$", page, re.M | re.S):
        path = tmp_path / text.partition("\n")[0].removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (command,) = re.findall(r"^gp-lab (train .*tracking=mine)$", page, re.M)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    small = ["architecture.width=8", "steps=6", "log_every=2", "probe=[]", "compile=never"]
    assert main([*shlex.split(command), *small]) == Exit.OK
    (folder,) = find_runs(tmp_path / "outputs")
    lines = (folder.path / "loss_d.csv").read_text().splitlines()
    assert lines == [
        f"{step},{loss}" for step, loss in zip((2, 4, 6), values(folder, "loss_d"), strict=True)
    ]
    for name in [name for name in sys.modules if name.startswith("my_package")]:
        del sys.modules[name]
