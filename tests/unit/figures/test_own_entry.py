"""An entry of one's own, in a package and a folder outside the clone: three factors, few lines."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_entry import CODE, FILE
from PIL import Image

from gp_lab.cli import main
from gp_lab.errors import Exit

pytestmark = pytest.mark.seconds


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a package `my_lab` and configs of one's own."""
    for name, text in (("my_lab/__init__.py", ""), ("my_lab/widths.py", CODE),
                       ("configs/figure/mine/widths.yaml", FILE)):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("my_lab")]:
        del sys.modules[name]


def command(mine: Path, *words: str) -> list[str]:
    own = (f"--config-dir={mine / 'configs'}", f"out={mine / 'out'}", "scale=smoke")
    return ["figure", "mine/widths", *own, "tracking=none", "hydra.launcher.processes=1", *words]


def test_an_entry_of_ones_own_is_trained_drawn_and_judged(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(mine, "trust=[my_lab]")) == Exit.OK
    folder = mine / "out" / "figures" / "mine" / "widths" / "smoke"
    with (folder / "data.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:5] == ["dataset", "method", "width", "seed", "state"]
    assert len(rows) == 2 * (2 * 2 + 1 * 2)
    assert not [row for row in rows if row["dataset"] == "roll" and row["width"] == "16"]
    assert all(float(row["w1"]) > 0 for row in rows)
    summary = json.loads((folder / "claims.json").read_text())
    assert [claim["text"] for claim in summary["claims"]] == [
        "8 Gaussians: 0-GP comes nearer to the data",
        "swiss roll: 0-GP comes nearer to the data",
    ]
    assert [claim["n"] for claim in summary["claims"]] == [2, 2]
    with Image.open(folder / "figure.png") as picture:
        assert picture.width > 600
    assert "mine/widths at scale smoke, 2 seeds" in capsys.readouterr().out


def test_it_takes_fewer_than_sixty_lines() -> None:
    assert len(FILE.splitlines()) + len(CODE.splitlines()) < 60


def test_a_package_that_nobody_trusts_is_not_imported(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(mine)) == Exit.BAD_INPUT
    assert "add trust=[my_lab] to admit" in capsys.readouterr().err
    assert "my_lab" not in sys.modules
    assert not (mine / "out").exists()


def test_an_entry_without_a_drawing_says_what_to_write(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mine / "my_lab" / "widths.py").write_text("")
    assert main(command(mine, "trust=[my_lab]")) == Exit.BAD_INPUT
    assert "write ENTRY = Entry(...) in my_lab/widths.py" in capsys.readouterr().err


def test_an_entry_that_cannot_be_imported_says_why_before_anything_is_trained(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mine / "my_lab" / "widths.py").write_text("from gp_lab.figures.claims import nonsense")
    assert main(command(mine, "trust=[my_lab]")) == Exit.BAD_INPUT
    assert "module my_lab.widths cannot be imported (cannot" in capsys.readouterr().err
    assert not (mine / "out").exists()


def test_a_name_that_neither_folder_has_lists_both(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["figure", "mine/width", *command(mine)[2:]]) == Exit.BAD_INPUT
    assert "did you mean mine/widths?" in capsys.readouterr().err
