"""`gp-lab evaluate` says what the probes of a run have said."""

import json
import shutil
from pathlib import Path

import pytest
from scored_runs import CLASSIFIER
from scored_runs import mnist as mnist
from scored_runs import run as run
from scored_runs import scored as scored

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.runs.folder import RunFolder, State


def evaluate(run: RunFolder, *arguments: str) -> int:
    return main(["evaluate", str(run.path), *arguments])


@pytest.mark.seconds
def test_evaluating_a_run_says_what_its_probes_have_said(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert evaluate(run, *CLASSIFIER) == Exit.OK
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{run.path} at step 4"
    found = {line["probe"]: line for line in run.evaluations()}
    assert set(found) == {"classifier", "neighbours"}
    of_run = run.metrics()[-1]
    for name, line in found.items():
        assert line["step"] == 4
        assert line["settings"]["_target_"].startswith("gp_lab.probes.scores.")
        assert line["versions"]["torch"]
        for quantity, value in line["scores"].items():
            assert value == pytest.approx(of_run[f"{name}/{quantity}"], rel=1e-5)
    assert len(said) == 1 + sum(len(line["scores"]) for line in found.values())
    assert {path: path.read_bytes() for path in before} == before


def test_evaluations_stay_when_a_run_goes_on(run: RunFolder) -> None:
    assert evaluate(run, "probe=neighbours", "probe.neighbours.count=4", "step=2") == Exit.OK
    (line,) = run.evaluations()
    assert line["step"] == 2
    assert line["settings"]["count"] == 4
    assert main(["resume", str(run.path), "steps=6"]) == Exit.OK
    assert run.status["step"] == 6
    assert run.evaluations() == [line]
    text = (run.path / "evaluations.jsonl").read_text()
    assert json.loads(text) == line


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("probe=clasifier",), "probe=clasifier: no such choice"),
        (("probe=classifier", "probe.classifier.cuont=3"), "did you mean count?"),
        (("probe=classifier", "probe.classifier.count=x"), "probe.classifier.count=x: not a whole"),
        (("probe=classifier", "step=3"), "no checkpoint at step 3, only at [2, 4]"),
        (("step=first",), "step=first: not a whole number, nor best or last"),
        (("loss=hinge",), "loss=hinge: cannot be changed when a run is evaluated"),
        (("probe=samples",), "probe.samples: gives arrays alone"),
        (("probe=surface",), "probe.surface: looks at the plane"),
        (("probe=",), "probe=[]: nothing to evaluate"),
        (("probe.inception.weights=no.pth",), "probe.inception.weights=no.pth: no such file"),
    ],
)
def test_what_cannot_be_evaluated_ends_in_a_sentence(
    run: RunFolder, arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert evaluate(run, *arguments) == Exit.BAD_INPUT
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1
    assert sentence in said.err
    assert not run.evaluations()


def test_evaluating_needs_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, sentence in (
        ([], "evaluate: which run? write gp-lab evaluate RUN"),
        (["probe=classifier"], "evaluate: which run?"),
        ([str(tmp_path)], f"{tmp_path}: no run there"),
    ):
        assert main(["evaluate", *arguments]) == Exit.BAD_INPUT
        assert sentence in capsys.readouterr().err


def test_several_runs_are_evaluated_and_one_that_fails_stops_no_other(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "many" / "runs"
    first, last = (RunFolder(shutil.copytree(run.path, runs / name)) for name in ("a", "c"))
    without = RunFolder(shutil.copytree(run.path, runs / "b"))
    shutil.rmtree(without.path / "checkpoints")
    words = ["probe=neighbours", "probe.neighbours.count=4"]
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "many"), *words]) == Exit.FAILED
    said = capsys.readouterr()
    assert [len(r.evaluations()) for r in (first, without, last)] == [1, 0, 1]
    assert said.out.splitlines()[-1] == "2 runs evaluated, 1 failed"
    progress = [line for line in said.err.splitlines() if " of 3" in line]
    assert [line[:6] for line in progress] == ["1 of 3", "2 of 3", "3 of 3"]
    assert f"{without.path}: the run has no checkpoint yet" in said.err
    assert main(["evaluate", str(first.path), str(last.path), *words]) == Exit.OK
    assert [len(r.evaluations()) for r in (first, without, last)] == [2, 0, 2]
    (without.path / "config.yaml").write_text("[")
    assert main(["evaluate", str(without.path), str(last.path), *words]) == Exit.FAILED
    assert [len(r.evaluations()) for r in (first, without, last)] == [2, 0, 3]
    assert f"{without.path / 'config.yaml'}: no readable run config" in capsys.readouterr().err


def test_filters_say_which_of_many_runs_are_evaluated_and_figures_are_asked_for(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "many" / "runs"
    found = [RunFolder(shutil.copytree(run.path, runs / name)) for name in ("a", "b", "c")]
    found[1].set_status(State.FAILED)
    figure = found[2].config["figure"] | {"id": "zero_gp/fig1"}
    found[2].write_config(found[2].config | {"figure": figure})
    words = ["evaluate", str(runs), "probe=neighbours", "probe.neighbours.count=4"]
    for filters, expected in (
        (["state=finished", "dataset=mnist"], [1, 0, 0]),
        (["figure=zero_gp/fig1", "loss~saturating"], [1, 0, 1]),
        (["step>=4", "name~b", "step=2"], [1, 1, 1]),
    ):
        assert main([*words, *filters]) == Exit.OK
        assert [len(r.evaluations()) for r in found] == expected
    assert found[1].evaluations()[0]["step"] == 2
    capsys.readouterr()
    for word, sentence in (
        ("loss=hinge", "loss=hinge: no run has it; there is loss=non_saturating"),
        ("losss=hinge", "losss: no such key"),
        ("state=done", "state=done: no such choice"),
    ):
        assert main([*words, word]) == Exit.BAD_INPUT
        assert sentence in capsys.readouterr().err
