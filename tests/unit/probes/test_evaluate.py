"""`gp-lab evaluate` says what the probes of a run have said."""

import json
from pathlib import Path

import pytest
from scored_runs import CLASSIFIER
from scored_runs import mnist as mnist
from scored_runs import run as run
from scored_runs import scored as scored

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.runs.folder import RunFolder


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
        (("step=last",), "step=last: not a whole number"),
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
