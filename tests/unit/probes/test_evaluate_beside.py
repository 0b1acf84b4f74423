"""`gp-lab evaluate RUN --follow` scores each checkpoint of a run that trains meanwhile."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from lab import lab
from scored_runs import mnist as mnist
from scored_runs import run as run
from scored_runs import run_on
from scored_runs import scored as scored

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.launching import following
from gp_lab.runs import checkpoint, cleaning
from gp_lab.runs.folder import RunFolder
from gp_lab.training import checkpoints

NEIGHBOURS = ("probe=[neighbours]", "probe.neighbours.count=4")


def steps_of(folder: RunFolder) -> list[int]:
    return [line["step"] for line in folder.evaluations()]


def follow(folder: RunFolder, *words: str) -> int:
    return main(["evaluate", str(folder.path), "--follow", *NEIGHBOURS, *words])


def test_a_run_that_has_ended_is_evaluated_at_all_its_checkpoints_once(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert follow(run) == Exit.OK
        assert steps_of(run) == [2, 4]
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if " at step " in line] == [
        f"{run.path} at step {step}" for step in (2, 4)
    ]
    assert said[-1] == f"{run.path}: finished, and all its checkpoints are evaluated"
    assert follow(run, "probe.neighbours.count=5") == Exit.OK  # another question
    assert steps_of(run) == [2, 4, 2, 4]
    assert not (run.path / "checkpoints" / "held").exists()


def test_a_probe_says_which_checkpoints_it_sees_and_the_last_is_always_seen(
    run: RunFolder,
) -> None:
    assert follow(run, "probe.neighbours.every=3") == Exit.OK
    assert steps_of(run) == [4]


def test_what_the_run_drops_meanwhile_is_held_and_an_interrupted_evaluation_goes_on(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (2, 4):
        checkpoint.hold(run, step)
        checkpoint.hold(run, step)  # it is held already
    for path in (run.path / "checkpoints").glob("step-*"):
        path.unlink()
    assert (checkpoint.steps(run), checkpoint.held(run)) == ([], [2, 4])
    evaluate = following.evaluate
    asked: list[int] = []

    def interrupted(path: Path, probes: Any, step: int, *more: Any) -> Any:
        asked.append(step)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return evaluate(path, probes, step, *more)

    monkeypatch.setattr(following, "evaluate", interrupted)
    assert main(["evaluate", str(run.path), "--follow", *NEIGHBOURS]) == Exit.INTERRUPTED
    assert (steps_of(run), checkpoint.held(run)) == ([2], [4])
    assert follow(run) == Exit.OK
    assert steps_of(run) == [2, 4]
    assert asked == [2, 4, 4]


def test_what_a_broken_off_evaluation_has_held_is_offered_once_it_is_a_week_old(
    run: RunFolder,
) -> None:
    checkpoint.hold(run, 2)
    held = run.path / "checkpoints" / "held"
    assert held not in [item.path for item in cleaning.sweepings(run.out)]
    os.utime(held, (0, time.time() - cleaning.PATIENCE - 1))
    found = [item for item in cleaning.sweepings(run.out) if item.path == held]
    assert cleaning.delete(found) == found
    assert not held.exists()
    assert checkpoint.steps(run) == [2, 4]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(("step=2",), "not step=2; leave it out"), ((".",), "not several runs; leave it out")],
)
def test_one_run_is_followed_by_its_checkpoints(
    run: RunFolder, words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(run.path.parent)
    assert follow(run, *words) == Exit.BAD_INPUT
    assert sentence in capsys.readouterr().err


@pytest.mark.seconds
def test_every_checkpoint_of_a_run_that_trains_is_scored_as_its_own_probe_scores_it(
    mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run waits at each checkpoint until it is held; the evaluation is slower than the run."""
    words = (*NEIGHBOURS, "probe.neighbours.every=2", "steps=8")
    out = tmp_path / "beside"
    save = checkpoints.Checkpoints.save

    def save_and_wait(self: Any, step: int, state: Any) -> None:
        save(self, step, state)
        folder = self.replicas[0].folder
        while follower.is_alive() and step < 8 and step not in checkpoint.held(folder):
            if step in steps_of(folder):
                break

    def beside() -> None:
        while not list(out.glob("runs/*/config.yaml")):
            pass
        (path,) = (out / "runs").iterdir()
        command = ["evaluate", str(path), "--follow", *NEIGHBOURS, "probe.neighbours.every=2"]
        said.append(lab(*command))

    said: list[Any] = []
    follower = threading.Thread(target=beside)
    monkeypatch.setattr(checkpoints.Checkpoints, "save", save_and_wait)
    follower.start()
    folder = run_on(mnist, out, *words)
    follower.join()
    assert said[0].returncode == 0, said[0].stdout
    assert steps_of(folder) == [2, 4, 6, 8]
    own = {line["step"]: line for line in folder.metrics() if "neighbours/distance" in line}
    for line in folder.evaluations():
        for name, value in line["scores"].items():
            expected = own[line["step"]][f"neighbours/{name}"]
            assert value == pytest.approx(expected, rel=1e-5), name
