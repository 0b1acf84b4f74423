"""Sweeps on a real Slurm: `scripts/local_slurm.sh up` makes one of this machine."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from helpers import SUPPORT, same
from hydra.types import RunMode
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
from omegaconf import OmegaConf
from on_slurm import (
    HELD_UP,
    ON_SLURM,
    at_step,
    begun,
    beside,
    cancel,
    jobs_of,
    runs_in,
    submissions,
    tell,
    until,
)
from on_slurm import slurm as slurm
from on_slurm import waiting_part as waiting_part

from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.launching.compose import CONFIG_NAME, hydra_session
from gp_lab.launching.local import Preempted, Stopped
from gp_lab.launching.sbatch import Jobs, batch_script, log_of
from gp_lab.launching.slurm import freeze, submit, train_on_slurm
from gp_lab.launching.slurm_job import ended, progress, runs_of
from gp_lab.launching.squeue import HELD, queue, waits_for_job
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.runs.identity import Config, folder_of
from gp_lab.runs.result import RunResult
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


def process_of(job: str) -> int:
    """The process on this machine that trains the run of a job."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        array, _, task = job.partition("_")
        ours = {f"SLURM_ARRAY_JOB_ID={array}".encode(), f"SLURM_ARRAY_TASK_ID={task}".encode()}
        if b"gp_lab.launching.slurm_job" in words and b"run" in words and ours <= set(variables):
            found.append((b"srun" not in words[0], int(folder.name)))
    return max(found)[1]


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
    assert (tmp_path / "figures/zero_gp/fig1/smoke/figure.png").is_file()
    assert len(submissions(tmp_path)) == 1


def test_what_waits_for_a_job_that_vanishes_is_told_so(slurm: None, tmp_path: Path) -> None:
    later = "+hydra.launcher.additional_parameters.begin=now+1hour"
    sweep = start("train", "-m", *SMALL, *ON_SLURM, later, "seed=0,1", f"out={tmp_path}")
    until(lambda: begun(tmp_path, runs=2), sweep)
    runs = runs_in(tmp_path)
    jobs = jobs_of(runs)
    until(lambda: set(queue(jobs.values())) == set(jobs.values()), sweep)
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


def test_where_there_is_no_slurm_one_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    command = ["train", "-m", *SMALL, "hydra/launcher=slurm", f"out={tmp_path}"]
    assert main(command) == Exit.BAD_INPUT
    assert "hydra.launcher=slurm" not in (error := capsys.readouterr().err)
    assert error.count("\n") == 1
    assert "there is no sbatch here" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("hydra.launcher.wiat=true", "hydra.launcher.wiat: no such key"),
        ("hydra.launcher.timeout_min=soon", "hydra.launcher.timeout_min=soon: not a whole number"),
        ("hydra.launcher.stack=0", "hydra.launcher.stack=0"),
        ("hydra.launcher.setup=module", "hydra.launcher.setup=module: not a list"),
    ],
)
def test_a_wrong_key_of_the_launcher_is_named(
    override: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "-m", *SMALL, "hydra/launcher=slurm", override, f"out={tmp_path}"]
    assert main(command) == Exit.BAD_INPUT
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (("stack=2", "tasks_per_node=2"), "hydra.launcher.stack=2: the 2 ranks of a job"),
        (("nodes=2", "tasks_per_node=9"), "batch_size=16: fewer samples than the 18 ranks"),
        (("tasks_per_node=2", "gpus_per_node=1"), "more ranks than hydra.launcher.gpus_per_node=1"),
        (("timeout_min=2", "signal_delay_s=120"), "hydra.launcher.signal_delay_s=120: as long as"),
    ],
)
def test_what_no_job_of_its_size_can_train_is_refused_before_anything_is_written(
    overrides: tuple[str, ...],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    launcher = [f"hydra.launcher.{o}" for o in overrides]
    assert main(["train", "-m", *SMALL, *ON_SLURM[:3], *launcher, f"out={tmp_path}"]) == (
        Exit.BAD_INPUT
    )
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_log_of_one_task_is_named_and_of_several_their_pattern(tmp_path: Path) -> None:
    (tmp_path / "12_3_0_log.out").touch()
    assert log_of(tmp_path, "12_3").name == "12_3_0_log.out"
    (tmp_path / "12_3_1_log.out").touch()
    assert log_of(tmp_path, "12_3").name == "12_3_*_log.out"


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


def test_the_batch_script_asks_for_the_nodes_tells_the_run_in_time_and_requeues(
    needs_tool: Callable[[str], None], tmp_path: Path
) -> None:
    needs_tool("srun")
    jobs = Jobs(nodes=2, tasks_per_node=8, gpus_per_node=8, partition="big", timeout_min=90,
                cpus_per_task=4, signal_delay_s=77, array_parallelism=3,
                setup=("module load cuda",), additional_parameters={"mail-user": "me"})  # fmt: skip
    script = batch_script(tmp_path, 5, ["mine"], jobs).splitlines()
    asked = ("nodes=2", "ntasks-per-node=8", "gpus-per-node=8", "partition=big", "time=90",
             "signal=USR2@77", "array=0-4%3", "mail-user=me", "requeue",
             "cpus-per-task=4")  # fmt: skip
    assert {f"#SBATCH --{flag}" for flag in asked} <= set(script)
    (place,) = (i for i, line in enumerate(script) if line.startswith("srun "))
    assert script.index("module load cuda") < place
    assert "--cpus-per-task=4" in script[place].split()
    assert any(line.endswith("trust=mine") for line in script)


def test_the_presets_of_whole_nodes_are_those_of_one_gpu_but_for_a_jobs_size() -> None:
    one, node, nodes = map(_preset, ("slurm", "slurm_node", "slurm_nodes"))
    of_node = {"tasks_per_node": 8, "gpus_per_node": 8, "cpus_per_task": 8}
    assert node == one | of_node
    assert nodes == one | of_node | {"nodes": 2}
    keys = {field.name for field in fields(Jobs)}
    assert set(one) == {"_target_", *keys}


def _preset(name: str) -> dict[str, Any]:
    with hydra_session() as hydra:
        given = [f"hydra/launcher={name}"]
        config = hydra.compose_config(
            CONFIG_NAME, given, RunMode.MULTIRUN, with_log_configuration=False
        )
    return OmegaConf.to_container(config.hydra.launcher)


def test_a_job_that_finished_one_run_and_began_another_has_made_progress(tmp_path: Path) -> None:
    done, next_one = trained("seed=0", "steps=5", f"out={tmp_path}"), RunFolder(tmp_path / "next")
    done.set_status(State.FINISHED, began=0)
    next_one.create(config_of("seed=1", "steps=5", f"out={tmp_path}"), "next")
    next_one.set_status(State.PREEMPTED, began=0)
    assert progress([done, next_one])
    done.set_status(State.FINISHED, began=5)  # as it was in the job's next life
    assert not progress([done, next_one])


@pytest.mark.parametrize("name", ["../../etc", "/etc", "..", "", 3])
def test_a_list_of_runs_that_leads_outside_is_refused(name: object, tmp_path: Path) -> None:
    submission = tmp_path / "jobs" / "one"
    submission.mkdir(parents=True)
    (submission / "runs.json").write_text(json.dumps([[name]]))
    with pytest.raises(BadInput, match="not the name of a run"):
        runs_of(submission)
