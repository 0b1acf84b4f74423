"""What there is can be listed and completed, before anything heavy is imported."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lab import PATIENCE

from gp_lab.cli import COMMANDS, main
from gp_lab.errors import Exit
from gp_lab.launching.config_groups import choices, groups, plural

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")


def test_every_group_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == Exit.OK
    listed = sorted([*groups(), "experiment"])
    assert capsys.readouterr().out.split() == [plural(group) for group in listed]
    for group in listed:
        assert main(["list", plural(group)]) == Exit.OK
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == choices(group)
        assert all(len(line.split()) > 1 for line in lines), "each with a comment"


def test_a_list_into_a_pipe_is_not_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["list", "penalties"]) == Exit.OK
    whole = capsys.readouterr().out
    assert max(map(len, whole.splitlines())) > 100
    assert " ..." not in whole
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["list", "penalties"]) == Exit.OK
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60


@pytest.mark.parametrize(
    "arguments",
    [["train", "--cfg", "job"], ["list", "penalties"], ["train", "--help"], ["--version"]],
    ids=" ".join,
)
def test_what_only_looks_does_not_import_torch(arguments: list[str]) -> None:
    code = f"import sys; from gp_lab.cli import main; assert main({arguments}) == 0"
    heavy = "; print(sorted({'torch', 'scipy', 'wandb', 'matplotlib'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code + heavy], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["steps=five"], "steps=five: not a whole number"),
        (["batch_size=0"], "must be at least 1"),
        (["penalty.weight=three"], "penalty.weight=three: not a number"),
        (["-m", "optimizer.lr=1,-1"], "optimizer.lr=-1: must be greater than 0"),
        (["-m", "dataset=mnist_5k", "dataset.size=2,x"], "dataset.size=x: not a whole number"),
        (["probe.samples.every=-1"], "probe.samples.every=-1: must be at least 0"),
        (["penalty.reduction=sum"], "no such choice; choose from max, mean"),
        (["architecture.depth=x"], "architecture.discriminator.depth=x: not a whole number"),
        (["optimizer.betas=[0,1]"], "optimizer.betas[1]=1: must be less than 1"),
    ],
    ids=str,
)
def test_a_wrong_value_is_told_before_torch_is_imported(words: list[str], said: str) -> None:
    code = f"import sys; from gp_lab.cli import main; assert main({['train', *words]}) == 2"
    heavy = "; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code + heavy], capture_output=True, text=True)
    assert said in found.stderr
    assert found.stdout.splitlines()[-1] == "False"


def test_a_finished_run_is_told_again_without_torch(tmp_path: Path) -> None:
    words = ["train", "steps=1", "probe=[]", "tracking=none", f"out={tmp_path}"]
    assert main(words) == 0
    code = f"import sys; from gp_lab.cli import main; assert main({words}) == 0"
    heavy = "; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code + heavy], capture_output=True, text=True)
    assert found.stdout.splitlines()[0].startswith("finished at step 1: ")
    assert found.stdout.splitlines()[-1] == "False"


# -- completion --------------------------------------------------------------------------------


@pytest.fixture
def complete(tmp_path: Path) -> Callable[[str], list[str]]:
    """What bash offers for a line, through the script that `-sc install=bash` prints."""
    program = tmp_path / "bin" / "gp-lab"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gp_lab "$@"\n')
    program.chmod(0o755)
    script = """
        eval "$(gp-lab -sc install=bash)"
        declare -F hydra_bash_completion >/dev/null || exit 9
        complete -p gp-lab | grep -q hydra_bash_completion || exit 8
        export COMP_LINE="$1" COMP_POINT=${#1}
        typed=($COMP_LINE); COMP_CWORD=$((${#typed[@]} - 1))
        [[ "$COMP_LINE" == *" " ]] && COMP_CWORD=$((COMP_CWORD + 1))
        hydra_bash_completion
        printf '%s\\n' "${COMPREPLY[@]}"
    """

    def ask(line: str) -> list[str]:
        path = f"{program.parent}:{os.environ['PATH']}"
        said = subprocess.run(
            ["bash", "--norc", "-c", script, "bash", line],
            env=os.environ | {"PATH": path}, capture_output=True, text=True, check=True,
            timeout=PATIENCE,
        )  # fmt: skip
        assert said.stderr == ""  # it would land in the line that is being typed
        return said.stdout.split()

    return ask


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("gp-lab ", sorted(COMMANDS)),
        ("gp-lab tr", ["train"]),
        ("gp-lab train penalty=zero", [f"penalty={c}" for c in choices("penalty") if "zero_" in c]),
        ("gp-lab train -m penalty=none,zero_gp penalty.we", ["penalty.weight="]),
        ("gp-lab train penalty=nope see", []),
        ("gp-lab train seed=[ see", []),
        ("gp-lab train hydra/launcher=l", ["hydra/launcher=local"]),
        ("gp-lab train --cf", ["--cfg"]),
        ("gp-lab figure zero_gp/", [c for c in choices("figure") if c.startswith("zero_gp/")]),
        ("gp-lab figure lipschitz/fig1", [f"lipschitz/fig1{x}" for x in ("", "0", "1", "2")]),
        ("gp-lab figure zero_gp/fig1 scale=s", ["scale=smoke"]),
        ("gp-lab list pe", ["penalties"]),
        ("gp-lab resume there st", ["steps="]),
        ("gp-lab clean out --", ["--yes"]),
    ],
)  # fmt: skip
def test_bash_completes_commands_parts_and_figures(
    line: str, offers: list[str], complete: Callable[[str], list[str]]
) -> None:
    assert complete(line) == offers


def test_completion_answers_before_anything_heavy_is_imported() -> None:
    line = {"COMP_LINE": "gp-lab train penalty=zero", "COMP_POINT": "25"}
    heavy = "{'torch', 'matplotlib', 'scipy', 'wandb'}"
    code = (
        "import sys, gp_lab.cli as c; c.main(['-sc', 'query=bash']);"
        f" print(*({heavy} & sys.modules.keys()), sep='')"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | line, capture_output=True, text=True
    )
    assert said.stdout.split()[0] == "penalty=zero_gp"
    assert said.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_and_uninstalled_by_evaluating_what_is_printed(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-sc", f"install={shell}"]) == Exit.OK
    assert "gp-lab" in capsys.readouterr().out
    assert main(["-sc", f"uninstall={shell}"]) == Exit.OK
    assert capsys.readouterr().out
