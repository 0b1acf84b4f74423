"""Checkpoints that stay: of `keep_every` and `keep_best`, whatever happens to the run."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lab import BARE, Forked, assert_same_run, config_of, final, flat, signal_at, trained
from scripted import SCORED, script, scripted_process

import gp_lab
from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.launching.local import groups
from gp_lab.runs import checkpoint, kept
from gp_lab.runs.cleaning import delete, sweepings
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.identity import folder_of, run_id
from gp_lab.training import checkpoints
from gp_lab.training.trainer import train

RUN = (*SCORED, "steps=40", "checkpoint_every=20", "seed=3")
KEEPING = (*RUN, "keep_every=15", "keep_best=modes/w1")


@pytest.fixture(autouse=True, scope="module")
def _scripted() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        script(patch)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that kept what it was to keep, and was never stopped."""
    return run_of(*KEEPING, f"out={tmp_path_factory.mktemp('whole')}")


@pytest.fixture
def run(whole: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of it, below `tmp_path`."""
    path = tmp_path / "runs" / whole.path.name
    return RunFolder(shutil.copytree(whole.path, path))


def run_of(*overrides: str) -> RunFolder:
    return trained(*overrides, base=BARE)


def scores(run: RunFolder) -> dict[int, float]:
    found = ((line["step"], line.get("modes/w1")) for line in run.metrics())
    return {step: value for step, value in found if value is not None}


def best(run: RunFolder) -> dict[str, Any]:
    """What should be noted as the best, by the metrics."""
    measured = scores(run)
    step = min(measured, key=lambda step: measured[step])
    return {"modes/w1": {"step": step, "value": measured[step]}}


def noted(run: RunFolder) -> dict[str, Any]:
    return json.loads((run.path / "checkpoints" / "kept.json").read_text())


def assert_whole(run: RunFolder, step: int) -> None:
    saved = checkpoint.load(run, step)
    assert saved is not None
    assert saved.step == step


# -- which stay ----------------------------------------------------------------------------


def test_each_multiple_and_the_best_stay_beside_the_last_two_and_no_number_changes(
    whole: RunFolder, tmp_path: Path
) -> None:
    assert noted(whole) == {"every": [15, 30], "best": best(whole)}
    step = best(whole)["modes/w1"]["step"]
    assert checkpoint.steps(whole) == sorted({15, 30, step, 35, 40})
    for each in checkpoint.steps(whole):
        assert_whole(whole, each)
    plain = run_of(*RUN, f"out={tmp_path}")
    assert checkpoint.steps(plain) == [20, 40]
    assert not (plain.path / "checkpoints" / "kept.json").exists()
    assert plain.path.name == whole.path.name
    assert_same_run(whole, plain)


def test_what_is_loaded_as_the_best_is_what_the_run_was_then(
    whole: RunFolder, tmp_path: Path
) -> None:
    step = best(whole)["modes/w1"]["step"]
    assert gp_lab.load(whole.path, step="best").step == step
    of_best = checkpoint.load(whole, step)
    assert of_best is not None
    _, tensors = final(run_of(*RUN, f"steps={step}", f"out={tmp_path}"))
    assert all(torch.equal(value, tensors[name]) for name, value in flat(of_best.state).items())
    assert gp_lab.load(whole.path, step="last").step == gp_lab.load(whole.path).step == 40


def test_of_equal_values_the_first_stays_and_of_a_score_that_should_be_high_the_highest(
    tmp_path: Path,
) -> None:
    run = RunFolder(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    high = gp_lab.training.setup.Settings(keep_best="modes/hit")
    kept.note(run, high, {5: 1.0, 10: 3.0, 15: 3.0, 20: None, 25: 2.0})
    assert noted(run) == {"every": [], "best": {"modes/hit": {"step": 10, "value": 3.0}}}
    low = gp_lab.training.setup.Settings(keep_best="modes/w1", keep_every=10)
    kept.note(run, low, {25: 2.0, 30: 1.0})
    assert kept.best_step(run) == 30  # by the score that was asked for last
    assert kept.kept_steps(run) == {10, 30}
    kept.cut(run, 29)
    assert noted(run)["best"] == {"modes/hit": {"step": 10, "value": 3.0}}
    assert kept.kept_steps(run) == {10}


@pytest.mark.seconds
def test_each_run_of_a_stack_has_its_own_best_as_it_would_alone(tmp_path: Path) -> None:
    def configs(name: str) -> list[Any]:
        out = f"out={tmp_path / name}"
        return [config_of(*KEEPING, f"seed={seed}", out, base=BARE) for seed in (3, 5)]

    stacked = train(configs("stack"), progress=False)
    assert [result.folder.status["stack"] for result in stacked] == [2] * 2
    for result, config in zip(stacked, configs("alone"), strict=True):
        (alone,) = train([config], progress=False)
        assert noted(result.folder) == noted(alone.folder)
        assert noted(result.folder)["best"] == best(result.folder)
        assert checkpoint.steps(result.folder) == checkpoint.steps(alone.folder)
    assert len({str(noted(result.folder)["best"]) for result in stacked}) == 2


def test_what_is_kept_is_no_part_of_a_runs_identity() -> None:
    assert run_id(config_of(*KEEPING, base=BARE)) == run_id(config_of(*RUN, base=BARE))


# -- stopped, killed, resumed --------------------------------------------------------------


@pytest.mark.seconds
def test_a_run_that_was_stopped_keeps_what_it_would_have_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def configs(name: str) -> list[Any]:
        out = f"out={tmp_path / name}"
        return [config_of(*KEEPING, f"seed={seed}", out, base=BARE) for seed in (3, 5)]

    with monkeypatch.context() as patch:
        signal_at(25, patch)
        stopped = train(configs("stopped"), progress=False)
    assert [result.state for result in stopped] == [State.PREEMPTED] * 2
    (batch,) = groups(configs("stopped"), 64)
    again = train(batch, progress=False)
    for a, b in zip(again, train(configs("whole"), progress=False), strict=True):
        assert_same_run(a.folder, b.folder)
        assert noted(a.folder) == noted(b.folder)


MOMENTS: dict[str, tuple[Any, str]] = {
    "before it is noted": (checkpoints, "note"),
    "before the note is replaced": (kept, "write_atomically"),
    "before the old one is dropped": (checkpoint, "drop_older"),
}


def killed_at(step: int, moment: str) -> None:
    """SIGKILL in the saving of a step's checkpoint, at one of `MOMENTS`."""
    scripted_process()
    module, name = MOMENTS[moment]
    does, save, saving = getattr(module, name), checkpoint.save, []

    def saved(folder: RunFolder, at: int, *state: Any) -> None:
        saving[:] = [at]
        save(folder, at, *state)

    def killed(*arguments: Any) -> None:
        if saving == [step]:
            os.kill(os.getpid(), signal.SIGKILL)
        does(*arguments)

    checkpoint.save = saved
    setattr(module, name, killed)


@pytest.mark.seconds
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_while_the_best_is_replaced_leaves_the_old_or_the_new_one(
    moment: str, whole: RunFolder, tmp_path: Path
) -> None:
    new = best(whole)["modes/w1"]["step"]
    before = {step: value for step, value in scores(whole).items() if step < new}
    old = min(before, key=lambda step: before[step])
    words = [*BARE, *KEEPING, f"out={tmp_path / 'killed'}"]
    run = RunFolder(folder_of(config_of(*words, base=BARE)))
    process = Forked(tmp_path / "log", "train", *words, first=partial(killed_at, new, moment))
    assert process.ended() == -signal.SIGKILL, process.said
    named = kept.best_step(run)
    assert named == (new if moment == "before the old one is dropped" else old)
    assert_whole(run, named)
    assert gp_lab.load(run.path, step="best").step == named
    assert run_of(*KEEPING, f"out={tmp_path / 'killed'}").path == run.path
    assert_same_run(run, whole)
    assert noted(run) == noted(whole)
    assert checkpoint.steps(run) == checkpoint.steps(whole)


def test_a_run_that_goes_on_can_be_told_to_keep_and_remembers_it(tmp_path: Path) -> None:
    run = run_of(*RUN, f"out={tmp_path}")
    words = ("keep_every=20", "keep_best=modes/w1")
    assert main(["resume", str(run.path), "steps=60", *words]) == Exit.OK
    own = {step: value for step, value in scores(run).items() if step in (20, 40) or step > 40}
    step = min(own, key=lambda step: own[step])  # of those whose checkpoints were there
    found = {"every": [20, 40, 60], "best": {"modes/w1": {"step": step, "value": own[step]}}}
    assert noted(run) == found
    assert {20, 40, 60, step} <= {*checkpoint.steps(run)}
    assert run.config["keep_best"] == "modes/w1"
    assert main(["resume", str(run.path), "steps=70", "keep_every=35"]) == Exit.OK
    assert noted(run)["every"] == [20, 40, 60, 70]  # what was kept stays
    assert {20, 40, 60, 70} <= {*checkpoint.steps(run)}


def test_where_a_run_begins_anew_nothing_is_kept_of_what_was(
    run: RunFolder, tmp_path: Path
) -> None:
    before = noted(run)
    for path in (run.path / "checkpoints").glob("*.pt"):
        path.write_bytes(b"damaged")
    (run.path / "status.json").write_text('{"state": "failed"}')
    with pytest.warns(UserWarning, match="starts over|passed over"):
        run_of(*KEEPING, f"out={tmp_path}")
    assert noted(run) == before
    assert_whole(run, before["best"]["modes/w1"]["step"])


# -- what the commands say -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        (
            "keep_best=fid/fid",
            "fid/fid: no such choice; choose from modes/balance, modes",
        ),
        ("keep_best=loss_d", "loss_d: no such choice; choose from modes/balance, modes"),
        ("keep_best=inception/fid", "this run has no probe inception; add it, probe=[modes,incept"),
        ("keep_every=0", "keep_every=0: must be at least 1"),
        ("keep_every=often", "keep_every=often: not a whole number"),
    ],
)
def test_a_score_that_nobody_measures_is_refused_before_the_run_begins(
    word: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train", *BARE, *RUN, f"out={tmp_path}", word)
    assert main(list(dict.fromkeys(words))) == Exit.BAD_INPUT
    said = capsys.readouterr().err
    assert sentence in said
    assert len(said.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_score_that_was_never_measured_is_said_at_the_end(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="keep_best=modes/hit: was never measured"):
        run = run_of(*RUN, "keep_best=modes/hit", f"out={tmp_path}")
    with pytest.raises(BadInput, match="no best checkpoint; keep_best=SCORE keeps one"):
        gp_lab.load(run.path, step="best")


def test_the_best_is_evaluated_and_sampled_and_does_not_count_as_the_newest(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step, newest = best(run)["modes/w1"]["step"], scores(run)[40]
    assert step < 40
    assert main(["evaluate", str(run.path), "step=best", "probe=modes"]) == Exit.OK
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{run.path} at step {step}"
    assert float(said[1].split()[-1]) == pytest.approx(best(run)["modes/w1"]["value"], rel=1e-5)
    (group,) = gp_lab.compare(tmp_path)
    assert group.scores["modes/w1"].interval.estimate == newest
    assert group.scores["modes/w1"].steps == (40, 40)
    assert main(["sample", str(run.path), "--step", "best"]) == Exit.OK
    assert f"samples-step{step}-seed0.png" in capsys.readouterr().out
    assert main(["sample", str(run.path), "--step", "beste"]) == Exit.BAD_INPUT
    assert "--step beste: not a whole number, nor best or last" in capsys.readouterr().err


def test_clean_offers_no_checkpoint_that_was_kept_nor_a_run_that_has_one(
    run: RunFolder, tmp_path: Path
) -> None:
    assert [item.path.stem for item in sweepings(tmp_path)] == ["step-00000035"] * 2
    assert len(delete(sweepings(tmp_path))) == 2
    assert set(checkpoint.steps(run)) == kept.kept_steps(run) | {40}
    run.set_status(State.DIVERGED)
    status = json.loads((run.path / "status.json").read_text())
    del status["finished_at"]
    (run.path / "status.json").write_text(json.dumps(status))
    assert sweepings(tmp_path) == []
    (run.path / "checkpoints" / "kept.json").write_text("{")
    assert sweepings(tmp_path) == []  # nobody can say what is kept
    (run.path / "checkpoints" / "kept.json").unlink()
    assert [item.path for item in sweepings(tmp_path)] == [run.path]


@pytest.mark.parametrize("damage", ["{", '{"every": 3, "best": {}}', '{"every": []}', "link"])
def test_a_note_that_is_damaged_is_named_and_nothing_is_dropped(
    damage: str, run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, steps = run.path / "checkpoints" / "kept.json", checkpoint.steps(run)
    if damage == "link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_text(damage)
    for command in (
        ["resume", str(run.path), "steps=80"],
        ["sample", str(run.path), "--step=best"],
    ):
        capsys.readouterr()
        assert main(command) == Exit.BAD_INPUT
        assert "kept.json" in capsys.readouterr().err
    assert checkpoint.steps(run) == steps


def test_a_score_that_nobody_measures_is_refused_for_a_finished_run_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained("steps=2", f"out={tmp_path}")
    assert main(["resume", str(run.path), "keep_best=foo"]) == Exit.BAD_INPUT
    assert "keep_best=foo: no such choice" in capsys.readouterr().err
