"""The types of parts, as their sources tell them, are those that the classes have."""

import re
from pathlib import Path
from typing import Literal, get_type_hints

import pytest

from gp_lab import fields, sources
from gp_lab.instantiate import resolve

CONFIGS = Path(sources.__file__).parents[1] / "configs"


def targets() -> list[str]:
    """The classes that the configs name."""
    texts = [file.read_text() for file in CONFIGS.rglob("*.yaml")]
    return sorted({x for text in texts for x in re.findall(r"_target_: (gp_lab(?:\.\w+)+)", text)})


@pytest.mark.parametrize("path", targets())
def test_what_the_source_tells_is_what_the_class_says(path: str) -> None:
    target = resolve(path)
    target, told = resolve(path), sources.hints(path)
    says = get_type_hints(target.__init__, include_extras=True)
    assert repr(told) == repr({name: says[name] for name in told})
    plain = (int, float, *vars(fields).values())
    assert {name for name, hint in says.items() if hint in plain} <= told.keys()


def test_short_names_of_the_module_are_understood() -> None:
    hints = sources.hints("gp_lab.objectives.penalties.Penalty")
    assert hints["reduction"] == Literal["mean", "max"]


@pytest.mark.parametrize(
    "path",
    ["gp_lab", "gp_lab.fields", "gp_lab.no.Such", "torch.nn.Linear", "gp_lab...x", "", "None"],
)
def test_of_what_is_no_such_class_nothing_is_told(path: str) -> None:
    assert sources.hints(path) == {}
