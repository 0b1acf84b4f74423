"""Runs in jobs of a real Slurm: preempted, killed and too long (`scripts/local_slurm.sh up`)."""

import json
import os
import signal
from pathlib import Path

import pytest
from helpers import SUPPORT, same
from lab import (
    PATIENCE,
    SMALL,
    assert_same_run,
    config_of,
    final,
    lab,
    signal_at,
    start,
    trained,
    values,
)
from on_slurm import (
    HELD_UP,
    ON_SLURM,
    at_step,
    begun,
    beside,
    cancel,
    jobs_of,
    process_of,
    runs_in,
    submissions,
    tell,
    until,
)
from on_slurm import slurm as slurm
from on_slurm import waiting_part as waiting_part

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.launching.slurm_job import ended
from gp_lab.launching.squeue import queue
from gp_lab.runs.folder import State
from gp_lab.training.trainer import train


def test_six_jobs_of_two_tasks_finish_and_are_not_submitted_again(
    slurm: None, tmp_path: Path
) -> None:
    short = ("steps=40", "precision=fp64")
    sweep = ["train", "-m", *SMALL, *ON_SLURM, "seed=range(6)", *short, f"out={tmp_path}"]
    done = lab(*sweep, "hydra.launcher.tasks_per_node=2")
    assert done.returncode == Exit.OK, done.stdout
    runs = runs_in(tmp_path)
    assert [folder.state for folder in runs.values()] == [State.FINISHED] * 6
    array = runs[0].status["job"].partition("_")[0]
    assert sorted(jobs_of(runs).values()) == [f"{array}_{i}" for i in range(6)]
    assert runs[3].status["ranks"] == 2  # its tasks
    alone = trained("seed=3", *short, f"out={tmp_path / 'alone'}")
    same(final(runs[3])[1], final(alone)[1], 1e-9)
    again = lab(*sweep)
    assert again.returncode == Exit.OK
    assert len(submissions(tmp_path)) == 1


def test_a_run_and_a_stack_that_were_preempted_equal_undisturbed_ones(
    slurm: None, tmp_path: Path, waiting_part: Path
) -> None:
    settings = (*HELD_UP, "steps=300", f"out={tmp_path / 'there'}")
    sweep = start("train", "-m", *SMALL, *settings, *ON_SLURM, "seed=0,1,2",
                  "hydra.launcher.stack=2", env=beside(waiting_part, wait=20))  # fmt: skip
    until(lambda: begun(tmp_path / "there", runs=3), sweep)
    runs = runs_in(tmp_path / "there")
    names = dict(zip(jobs_of(runs).values(), ("USR2", "USR2", "TERM"), strict=True))
    at_step(20, runs, sweep, lambda job: tell(job, names[job]))
    output, _ = sweep.communicate(timeout=PATIENCE)
    assert sweep.returncode == Exit.OK, output
    assert [runs[seed].state for seed in range(3)] == [State.FINISHED] * 3
    assert all(0 < folder.status["began"] < 300 for folder in runs.values())
    assert {folder.status["stack"] for folder in runs.values()} == {1, 2}
    for stack in ([seed for seed in range(3) if runs[seed].status["stack"] == n] for n in (1, 2)):
        undisturbed = train(
            [config_of(*settings, f"seed={s}", f"out={tmp_path / 'here'}") for s in stack],
            progress=False,
        )
        for seed, result in zip(stack, undisturbed, strict=True):
            assert_same_run(runs[seed], result.folder)


def test_two_ranks_that_were_preempted_equal_undisturbed_ones(
    slurm: None, tmp_path: Path, waiting_part: Path
) -> None:
    settings = (*HELD_UP, "steps=300", "seed=0", "hydra.launcher.tasks_per_node=2")
    there, here = tmp_path / "there", tmp_path / "here"
    sweep = start("train", "-m", *SMALL, *settings, *ON_SLURM, f"out={there}",
                  env=beside(waiting_part, wait=20))  # fmt: skip
    until(lambda: begun(there, runs=1), sweep)
    at_step(20, runs_in(there), sweep, lambda job: tell(job, "USR2"))
    output, _ = sweep.communicate(timeout=PATIENCE)
    assert sweep.returncode == Exit.OK, output
    run = runs_in(there)[0]
    assert run.status["ranks"] == 2
    assert 0 < run.status["began"] < 300
    undisturbed = lab("train", "-m", *SMALL, *settings, *ON_SLURM, f"out={here}",
                      env=beside(waiting_part))  # fmt: skip
    assert undisturbed.returncode == Exit.OK, undisturbed.stdout
    assert_same_run(run, runs_in(here)[0])


def test_a_rank_of_a_job_that_fails_is_named_with_its_reason(slurm: None, tmp_path: Path) -> None:
    done = lab("train", "-m", *SMALL, *ON_SLURM, "seed=0", "steps=400", "compile=never",
               "trust=[faulty]", "loss._target_=faulty.FaultyLoss", "+loss.fault=error",
               "hydra.launcher.tasks_per_node=2", f"out={tmp_path}",
               env=beside(SUPPORT))  # fmt: skip
    assert done.returncode == Exit.FAILED
    run = runs_in(tmp_path)[0]
    assert run.state == State.FAILED
    assert run.status["why"] == "rank 1: ValueError: no such thing on this rank"
    assert run.status["why"] in done.stdout


@pytest.mark.parametrize(
    ("minutes", "delay"), [(2, 25), pytest.param(4, 30, marks=pytest.mark.slow)]
)
def test_a_run_that_is_longer_than_its_jobs_limit_equals_an_undisturbed_one(
    slurm: None, tmp_path: Path, waiting_part: Path, minutes: int, delay: int
) -> None:
    """Slurm looks at limits twice a minute: one of a minute could be over before the first step."""
    settings = (*HELD_UP, "steps=400")
    limits = (f"hydra.launcher.timeout_min={minutes}", f"hydra.launcher.signal_delay_s={delay}")
    done = lab("train", "-m", *SMALL, *settings, *ON_SLURM, *limits, "seed=0",
               f"out={tmp_path}", env=beside(waiting_part, wait=200))  # fmt: skip
    assert done.returncode == Exit.OK, done.stdout
    run = runs_in(tmp_path)[0]
    assert run.status["began"] == 200
    assert_same_run(run, trained(*settings, f"out={tmp_path / 'here'}"))
    assert values(run, "step") == [*range(10, 401, 10), 400]


def test_a_run_that_gets_nowhere_between_two_requeues_stops_with_a_reason(
    slurm: None, tmp_path: Path, waiting_part: Path
) -> None:
    """It is told to stop while it looks at its first step, in each of its lives."""
    command = ["train", "-m", *SMALL, *HELD_UP, *ON_SLURM, "+probe.waiting.start=true", "seed=0"]
    env = beside(waiting_part, wait=0, lives=2)
    sweep = start(*command, "steps=20", f"out={tmp_path}", env=env)
    until(lambda: 0 in runs_in(tmp_path), sweep)
    run = runs_in(tmp_path)[0]
    for _life in range(2):
        until(lambda: run.state == State.RUNNING, sweep)
        tell(run.status["job"], "USR1")
        until(lambda: run.state != State.RUNNING, sweep)
        assert run.status["step"] == 0
    output, _ = sweep.communicate(timeout=PATIENCE)
    assert sweep.returncode == Exit.FAILED
    assert run.state == State.FAILED
    assert run.status["why"].startswith("no progress between two requeues")
    assert "no progress between two requeues" in output


def test_a_killed_and_a_cancelled_run_say_so_and_the_same_command_goes_on_with_them(
    slurm: None, tmp_path: Path, waiting_part: Path
) -> None:
    settings = (*HELD_UP, "steps=100", "checkpoint_every=20", f"out={tmp_path / 'there'}")
    command = ["train", "-m", *SMALL, *settings, *ON_SLURM, "seed=0,1"]
    sweep = start(*command, env=beside(waiting_part, wait=30))
    until(lambda: begun(tmp_path / "there", runs=2), sweep)
    runs = runs_in(tmp_path / "there")
    jobs = jobs_of(runs)
    at_step(
        30,
        runs,
        sweep,
        lambda job: os.kill(process_of(job), signal.SIGKILL) if job == jobs[0] else cancel(job),
    )
    output, _ = sweep.communicate(timeout=PATIENCE)
    assert sweep.returncode == Exit.FAILED
    assert runs[0].state == State.FAILED
    assert f"its job {jobs[0]} ended with status 137 (SIGKILL)" in runs[0].status["why"]
    assert runs[0].status["why"] in output
    assert (runs[1].state, runs[1].status["why"]) == (
        State.INTERRUPTED,
        f"its job {jobs[1]} was cancelled",
    )
    until(lambda: queue(jobs.values()) == {})
    on = lab(*command, env=beside(waiting_part))
    assert on.returncode == Exit.OK, on.stdout
    for seed in (0, 1):
        here = trained(*settings, f"seed={seed}", f"out={tmp_path / 'here'}")
        assert_same_run(runs[seed], here)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_a_schedulers_signal_outside_slurm_saves_a_checkpoint_and_ends_the_command(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (*SMALL, "steps=40", "log_every=10", "seed=0")
    with monkeypatch.context() as patch:
        signal_at(20, patch, number)
        assert main(["train", *settings, f"out={tmp_path / 'there'}"]) == Exit.PREEMPTED
    run = runs_in(tmp_path / "there")[0]
    assert (run.state, run.status["why"]) == (State.PREEMPTED, f"stopped by {number.name}")
    assert main(["train", *settings, f"out={tmp_path / 'there'}"]) == Exit.OK
    assert_same_run(run, trained("steps=40", "log_every=10", f"out={tmp_path / 'here'}"))


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("status", [Exit.PREEMPTED, 137])
def test_a_preempted_run_goes_on_whatever_srun_says_and_though_the_controller_is_slow(
    status: int, answers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a job's ranks, srun kills those that leave last: 128 + 9 stands for all of them then."""
    run = trained("steps=5", f"out={tmp_path}")
    run.set_status(State.PREEMPTED, why="stopped by SIGUSR2", began=0)
    submission = tmp_path / "jobs" / "one"
    submission.mkdir(parents=True)
    (submission / "runs.json").write_text(json.dumps([[run.path.name]]))
    scontrol, calls = tmp_path / "bin" / "scontrol", tmp_path / "calls"
    scontrol.parent.mkdir()
    answer = "" if answers else '[ "$1" = show ] && exit 1;'
    scontrol.write_text(
        f'#!/bin/sh\necho "$1" >> {calls}\n[ $(wc -l < {calls}) = 1 ] && exit 1;{answer}'
        " echo JobState=RUNNING Reason=None PreemptTime=None\n"
    )
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{scontrol.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    monkeypatch.setattr("gp_lab.launching.squeue.PAUSES", (0.0, 0.0))
    assert ended(submission, status) == status
    assert (run.state, run.status["why"]) == (State.PREEMPTED, "stopped by SIGUSR2; requeued")
    assert calls.read_text().split() == ["show"] * (2 if answers else 3) + ["requeue"]
