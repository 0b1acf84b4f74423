"""`gp-lab doctor` says what there is, and of what is missing what to do."""

import re
import sys
from pathlib import Path

import pytest
from image_files import needs_mlxtend

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.launching import doctor
from gp_lab.launching.doctor import HERE, LACKING, NOTE


@needs_mlxtend
def test_what_is_here_is_counted_and_what_is_not_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    (tmp_path / "outputs" / "data" / "cifar10").mkdir(parents=True)
    assert main(["doctor", "runs/of/mine"]) == Exit.OK
    lines = capsys.readouterr().out.splitlines()
    found = {(words := re.split(" {2,}", line))[1]: (words[0], words[-1]) for line in lines}
    assert found["Python"][0] == found["PyTorch"][0] == found["machine"][0] == HERE
    assert found["out=runs/of/mine"][0] in (HERE, NOTE)
    assert {"compiler", "Slurm", "cvxpy", "POT", "tensorboard"} <= set(found)
    assert found["W&B"] == (HERE, "WANDB_MODE=offline")
    assert found["Inception weights"][0] == NOTE
    assert f"{tmp_path}/hub" in found["Inception weights"][1]
    assert found["dataset=mnist_5k"] == (HERE, "5,000 images")
    state, said = found["dataset=cifar10"]
    assert state == NOTE
    assert "no data_batch_1 there" in said
    assert "dataset.download=true fetches it" in said
    assert "dataset=mnist_5k_16" not in found  # the same images
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_nobody_may_write_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    (found,) = doctor._folder(tmp_path / "deep" / "in")
    assert (found.state, found.said) == (LACKING, "cannot be written to; write out=DIR")


def test_an_extra_that_is_missing_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    found = {one.what: one for one in doctor._packages()}
    assert found["POT"].state == NOTE
    assert found["POT"].said.endswith(": pip install 'gp-lab[exact]'")


def test_a_broken_pytorch_is_said_and_the_rest_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = {one.what: one for one in doctor.findings(tmp_path)}
    assert found["PyTorch"].state == LACKING
    assert "torch" in found["PyTorch"].said
    assert {"Slurm", "W&B", "pandas"} <= set(found)
    assert not any(what.startswith("dataset=") for what in found)
