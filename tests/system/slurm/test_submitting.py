"""Submitting to a real Slurm: once, whole or not at all, and what was frozen is what is trained."""

import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from lab import (
    PATIENCE,
    SMALL,
    config_of,
    lab,
    start,
    trained,
)
from on_slurm import (
    ON_SLURM,
    begun,
    cancel,
    jobs_of,
    runs_in,
    submissions,
    until,
)
from on_slurm import slurm as slurm

from gp_lab.errors import BadInput, Exit
from gp_lab.launching.local import Preempted, Stopped
from gp_lab.launching.sbatch import Jobs
from gp_lab.launching.slurm import freeze, submit, train_on_slurm
from gp_lab.launching.squeue import HELD, queue, waits_for_job
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.runs.identity import Config, folder_of
from gp_lab.runs.lock import LOCK
from gp_lab.runs.result import RunResult


def queued(out: Path) -> RunFolder:
    """A run that waits for job 12_0."""
    folder = RunFolder(folder_of(config := config_of(f"out={out}")))
    folder.create(config, "id")
    folder.set_status(State.QUEUED, job="12_0")
    return folder


def with_nothing_to_submit(config: Config, monkeypatch: pytest.MonkeyPatch) -> list[RunResult]:
    def submit(*_: object) -> str:
        raise AssertionError("submitted again")

    monkeypatch.setattr("gp_lab.launching.slurm._need_slurm", lambda: None)
    monkeypatch.setattr("gp_lab.launching.slurm.submit", submit)
    return train_on_slurm([config], Jobs(poll_s=1))


def test_two_commands_at_once_submit_a_sweep_once(slurm: None, tmp_path: Path) -> None:
    command = ["train", "-m", *SMALL, *ON_SLURM, "seed=range(4)", "steps=5", f"out={tmp_path}"]
    both = [start(*command) for _ in range(2)]
    outputs = [process.communicate(timeout=PATIENCE)[0] for process in both]
    assert [process.returncode for process in both] == [Exit.OK] * 2, outputs
    assert len(submissions(tmp_path)) == 1
    assert all("4 runs: 4 finished" in output for output in outputs)


def test_a_run_that_another_command_submits_during_the_checks_is_neither_refused_nor_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(f"out={tmp_path}")
    other: list[RunFolder] = []

    def submitted_meanwhile(configs: object) -> None:
        other.append(queued(tmp_path))
        other[0].lock()  # its job trains it already

    def queue(jobs: Iterable[str]) -> dict[str, str]:
        if (found := dict.fromkeys(jobs, "RUNNING")) and other[0].state == State.RUNNING:
            other[0].set_status(State.FINISHED, step=config["steps"])
        elif found:
            other[0].set_status(State.RUNNING)
        return found

    monkeypatch.setattr("gp_lab.launching.slurm.checked_setups", submitted_meanwhile)
    monkeypatch.setattr("gp_lab.launching.slurm.queue", queue)
    (result,) = with_nothing_to_submit(config, monkeypatch)
    other[0].unlock()
    assert result.state == State.FINISHED


def test_who_submits_waits_for_another_who_does(slurm: None, tmp_path: Path) -> None:
    other = RunFolder(tmp_path / "jobs")
    other.path.mkdir()
    other.lock()
    sweep = start("train", "-m", *SMALL, *ON_SLURM, "seed=0", "steps=5", f"out={tmp_path}")
    assert sweep.stdout is not None
    assert "waiting: another command submits runs below" in sweep.stdout.readline()
    assert submissions(tmp_path) == []
    other.unlock()
    output, _ = sweep.communicate(timeout=PATIENCE)
    assert sweep.returncode == Exit.OK, output
    assert len(submissions(tmp_path)) == 1


def test_a_sweep_over_folders_is_refused(tmp_path: Path) -> None:
    configs = [config_of(f"out={tmp_path / name}") for name in "ab"]
    with pytest.raises(BadInput, match="one sweep on Slurm has one folder for its runs"):
        train_on_slurm(configs, Jobs())


def test_a_figure_is_submitted_without_waiting_and_drawn_by_the_same_command(
    slurm: None, tmp_path: Path
) -> None:
    command = ["figure", "zero_gp/fig1", "scale=smoke", "steps=3", "tracking=none", *ON_SLURM,
               "hydra.launcher.stack=8", "threads=1", f"out={tmp_path}"]  # fmt: skip
    submitted = lab(*command, "hydra.launcher.wait=false")
    assert submitted.returncode == Exit.OK, submitted.stdout
    runs = list(find_runs(tmp_path / "runs"))
    assert len(runs) == 8
    assert all(waits_for_job(run.status) or run.state == State.FINISHED for run in runs)
    assert not (tmp_path / "figures").exists()
    drawn = lab(*command)
    assert drawn.returncode == Exit.OK, drawn.stdout
    assert {run.state for run in runs} == {State.FINISHED}
    (picture,) = (tmp_path / "figures/zero_gp/fig1").glob("smoke-steps=3-*/figure.png")
    assert picture.is_file()
    assert len(submissions(tmp_path)) == 1


def test_what_waits_for_a_job_that_vanishes_is_told_so(slurm: None, tmp_path: Path) -> None:
    later = "+hydra.launcher.additional_parameters.begin=now+1hour"
    sweep = start("train", "-m", *SMALL, *ON_SLURM, later, "seed=0,1", f"out={tmp_path}")
    until(lambda: begun(tmp_path, runs=2), sweep)
    runs = runs_in(tmp_path)
    jobs = jobs_of(runs)
    until(lambda: not (submissions(tmp_path)[0] / LOCK).exists(), sweep)  # it has been released
    cancel(jobs[0].partition("_")[0])
    output, _ = sweep.communicate(timeout=PATIENCE)
    assert sweep.returncode == Exit.FAILED, output
    for folder in runs.values():
        assert folder.state == State.FAILED
        assert "gone from the queue" in folder.status["why"]


def test_a_partition_that_is_not_there_is_one_sentence_and_leaves_nothing(
    slurm: None, tmp_path: Path
) -> None:
    done = lab("train", "-m", *SMALL, *ON_SLURM, "seed=0,1", "hydra.launcher.partition=nowhere",
               f"out={tmp_path}")  # fmt: skip
    assert done.returncode == Exit.BAD_INPUT
    (line,) = done.stdout.splitlines()
    assert line.startswith("gp-lab: sbatch: ")
    assert "nowhere" in line
    assert submissions(tmp_path) == []
    assert not list((tmp_path / "runs").glob("*"))


def test_a_queued_run_trains_what_was_frozen_and_keeps_it_when_it_is_requeued(
    slurm: None, tmp_path: Path
) -> None:
    """force=true starts over at submission, not in each life of the job."""
    before = trained("steps=5", f"out={tmp_path}")
    config = config_of("steps=5", f"out={tmp_path}", "force=true", "hydra/launcher=local")
    job = submit([[config]], Jobs(additional_parameters={"begin": "now+1hour"}))
    try:
        run = RunFolder(folder_of(config))
        assert run.path == before.path
        assert (run.state, run.status["step"], run.status["job"]) == (State.QUEUED, 0, f"{job}_0")
        assert run.config["force"] is False
        assert run.metrics() == []
        assert "job" in run.status
    finally:
        cancel(job)


DIES = """
import os, signal, sys
from gp_lab.cli import entry
from gp_lab.launching import slurm as of_slurm

ask = of_slurm.slurm

def slurm(*command):
    if command[:2] == ("scontrol", "release"):
        os.kill(os.getpid(), signal.SIGKILL)
    return ask(*command)

of_slurm.slurm = slurm
entry()
"""


def test_what_a_submission_that_died_left_in_the_queue_is_submitted_anew(
    slurm: None, tmp_path: Path
) -> None:
    command = ["train", "-m", *SMALL, *ON_SLURM, "seed=0,1", "steps=5", f"out={tmp_path}"]
    dead = subprocess.run(
        [sys.executable, "-c", DIES, *command], capture_output=True, timeout=PATIENCE
    )
    assert dead.returncode == -signal.SIGKILL
    before = jobs_of(runs_in(tmp_path))
    assert set(queue(before.values()).values()) == {HELD}
    again = lab(*command)
    assert again.returncode == Exit.OK, again.stdout
    assert {run.state for run in runs_in(tmp_path).values()} == {State.FINISHED}
    assert queue(before.values()) == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_submission_that_is_stopped_leaves_nothing_in_the_queue(
    number: signal.Signals, slurm: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # who starts the tests by nohup ignores SIGHUP
    configs = [config_of(f"seed={seed}", f"out={tmp_path}") for seed in (0, 1)]
    frozen = []

    def freeze_and_signal(config: Config, folder: RunFolder, job: str) -> None:
        freeze(config, folder, job)
        frozen.append(job)
        signal.raise_signal(number)

    monkeypatch.setattr("gp_lab.launching.slurm.freeze", freeze_and_signal)
    try:
        with pytest.raises(Preempted, match=f"stopped by {number.name}: array .* is cancelled"):
            submit([[config] for config in configs], Jobs())
    finally:
        signal.signal(number, before)
    assert len(frozen) == 1
    until(lambda: queue(frozen) == {})


def test_a_job_that_its_user_holds_stays_and_counts_as_under_way(
    slurm: None, tmp_path: Path
) -> None:
    settings = ("steps=5", f"out={tmp_path}")
    later = Jobs(additional_parameters={"begin": "now+1hour"})
    job = submit([[config_of(*settings, "seed=0")]], later)
    try:
        subprocess.run(["scontrol", "uhold", job], check=True, timeout=PATIENCE)
        assert queue([job]) == {f"{job}_0": HELD}
        command = ["train", "-m", *SMALL, *ON_SLURM, *settings, "hydra.launcher.wait=false"]
        assert lab(*command, "seed=0").returncode == Exit.OK
        assert queue([job]) == {f"{job}_0": HELD}
        assert len(submissions(tmp_path)) == 1
    finally:
        cancel(job)


def test_a_run_whose_job_slurm_killed_after_it_had_saved_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch script that is killed with its run has no time to say that it was cancelled."""
    run = queued(tmp_path)
    run.set_status(State.PREEMPTED, why="stopped by SIGTERM", step=7)
    looks = iter([{"12_0": "COMPLETING"}])
    monkeypatch.setattr("gp_lab.launching.slurm.queue", lambda jobs: next(looks, {}))
    config = config_of(f"out={tmp_path}")
    with pytest.raises(Stopped, match="cancelled: 1 of 1 run;"):
        with_nothing_to_submit(config, monkeypatch)
    assert run.state == State.INTERRUPTED
    assert run.status["why"] == "stopped by SIGTERM; job 12_0 is gone from the queue"


def test_a_run_that_ends_while_the_queue_is_looked_at_is_not_submitted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, config = queued(tmp_path), config_of(f"out={tmp_path}")

    def ends(jobs: object) -> dict[str, str]:
        run.set_status(State.FINISHED, step=config["steps"])
        return {}

    monkeypatch.setattr("gp_lab.launching.slurm.queue", ends)
    (result,) = with_nothing_to_submit(config, monkeypatch)
    assert result.state == State.FINISHED
