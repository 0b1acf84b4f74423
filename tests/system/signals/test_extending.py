"""A run that is made longer is the run that was as long from its beginning."""

from pathlib import Path

import pytest
from lab import assert_same_run, assert_same_tensors, environment, lab, signal_at, trained

from gp_lab.runs.folder import RunFolder, State
from gp_lab.training.trainer import train

CADENCE = ("log_every=4", "checkpoint_every=7", "probe.surface.every=20", "probe.samples.every=20")


@pytest.fixture(scope="module")
def eighty(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(*CADENCE, "steps=80", f"out={tmp_path_factory.mktemp('eighty')}")


def test_forty_steps_and_forty_more_are_eighty(tmp_path: Path, eighty: RunFolder) -> None:
    folder = trained(*CADENCE, "steps=40", f"out={tmp_path}")
    before = folder.status["id"]
    done = lab("resume", str(folder.path), "steps=80", env=environment(tmp_path))
    assert done.returncode == 0, done.stdout
    assert (folder.status["id"], folder.status["step"]) == (before, 80)
    assert folder.config["steps"] == 80
    assert_same_run(folder, eighty)


def test_an_extended_run_keeps_what_was_written_because_it_was_the_end(tmp_path: Path) -> None:
    odd = ("log_every=3", "checkpoint_every=7")
    folder = trained(*odd, "steps=40", f"out={tmp_path / 'a'}")
    config = folder.config | {"steps": 80}
    train([config], [folder], progress=False)
    whole = trained(*odd, "steps=80", f"out={tmp_path / 'b'}")
    assert_same_tensors(folder, whole)
    assert folder.array_steps("surface") == [40, 80]
    kept = [line for line in folder.metrics() if line["step"] != 40]
    assert kept == whole.metrics()
    assert len(folder.metrics()) > len(kept)


def test_an_extension_that_was_stopped_goes_on_to_its_own_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eighty: RunFolder
) -> None:
    folder = trained(*CADENCE, "steps=40", f"out={tmp_path}")
    with monkeypatch.context() as patch:
        signal_at(60, patch)
        (outcome,) = train([folder.config | {"steps": 80}], [folder], progress=False)
    assert (outcome.state, outcome.step) == (State.PREEMPTED, 60)
    train([folder.config], [folder], progress=False)
    assert_same_run(folder, eighty)
