"""The commands that the README prints are commands: they parse, compose and build their parts."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gp_lab.cli import COMMANDS, main
from gp_lab.errors import Exit
from gp_lab.launching.arguments import parse_arguments
from gp_lab.launching.compose import compose, hydra_session, sweep_of
from gp_lab.parts import build
from gp_lab.probes.base import Probe
from gp_lab.runs.identity import Config
from gp_lab.training.setup import KINDS

README = (Path(__file__).parents[1] / "README.md").read_text()

PLACEHOLDERS = ("RUN", "PATH", "OUTPUTS", "my_package", "mine", "...")
"""Words in a command of the README that stand for something of the reader's own."""

OTHERS = {"compare", "list", "status", "clean", "report"}
"""Commands that take no overrides."""


def commands() -> Iterator[tuple[str, list[str]]]:
    """(line, words after `gp-lab`) of each command that is indented, or alone between backticks."""
    indented = r"^ +(?:\.venv/bin/)?gp-lab (.+)$"
    inline = r"`gp-lab ([a-z]+ [^`]+)`"
    for text in re.findall(indented, README, re.M) + re.findall(inline, README):
        yield text, shlex.split(text, comments=True)


def is_placeholder(text: str) -> bool:
    return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) for word in PLACEHOLDERS)


def refuse_what_cannot_be_built(config: Config) -> None:
    for group, kind in KINDS.items():
        build(config[group], group, (), kind)
    for name, node in config["probe"].items():
        build(node, f"probe.{name}", (), Probe)


def train(words: list[str]) -> None:
    args = parse_arguments(words)
    with hydra_session() as hydra:
        configs = (
            [job.config for job in sweep_of(hydra, args.overrides).jobs]
            if args.multirun
            else [compose(hydra, args.overrides)]
        )
    for config in configs:
        refuse_what_cannot_be_built(config)


def figure(words: list[str]) -> None:
    assert main(["figure", *words, "--cfg", "job"]) == Exit.OK


COMPOSES: dict[str, Callable[[list[str]], None]] = {"train": train, "figure": figure}

COMPOSED = [
    text
    for text, (command, *words) in commands()
    if command in COMPOSES and not is_placeholder(" ".join(words))
]


@pytest.mark.parametrize("text", COMPOSED)
def test_a_command_of_the_readme_composes_and_its_parts_can_be_built(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command, *words = shlex.split(text, comments=True)
    COMPOSES[command](words)
    assert list(tmp_path.iterdir()) == []  # nothing was trained


def test_no_command_of_the_readme_is_passed_over_in_silence() -> None:
    assert len(COMPOSED) >= 20
    for text, (command, *words) in commands():
        assert command in COMMANDS or command == "-sc", text
        assert text in COMPOSED or command in OTHERS or is_placeholder(" ".join(words)), text


def test_a_test_that_the_readme_names_is_there() -> None:
    """`test_file.py::test_name`; `...` stands for a part of a name."""
    tests = Path(__file__).parent
    known = {
        name
        for path in tests.glob("test_*.py")
        for name in (path.name, *re.findall(r"^def (test_\w+)", path.read_text(), re.M))
    }
    named = re.findall(r"\btest_[\w.]+", README)
    assert len(named) >= 30
    for name in named:
        whole = name == (start := name.rstrip("."))
        assert any(k == name if whole else k.startswith(start) for k in known), name
