"""Sweeps in several processes: one that dies costs its runs, and none outlives its parent."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import SUPPORT
from interfering import OVERRIDES
from lab import (
    BARE,
    PATIENCE,
    Forked,
    assert_same_run,
    environment,
    heard_hangups,
    lab_command,
    last_step,
    trained,
    wait_for,
)

from gp_lab.errors import Exit
from gp_lab.launching.jobs import merged
from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder, State, find_runs

RUN = (*OVERRIDES, "steps=60", "log_every=10", "compile=never")


def sweep(out: Path, *more: str, interfere: str = "") -> subprocess.Popen[str]:
    """A sweep in two processes, of a process group of its own; its output in `stdout`."""
    words = merged([*BARE, *RUN, "hydra.launcher.processes=2", f"out={out}", *more])
    paths = os.pathsep.join([str(SUPPORT), *sys.path])
    return subprocess.Popen(
        lab_command("train", "-m", *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(out.parent, PYTHONPATH=paths, INTERFERE=interfere),
        start_new_session=True,
    )


def swept(out: Path, *more: str, interfere: str = "") -> tuple[int, str]:
    """The exit status and output of `sweep`, with the progress bars as lines."""
    process = sweep(out, *more, interfere=interfere)
    output, _ = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in output
    assert "leaked" not in output
    return process.returncode, output.replace("\r", "\n")


def gone_on(out: Path, *more: str) -> tuple[int, list[str]]:
    """The exit status and lines of the same sweep again, in a process that begins at once."""
    words = merged([*BARE, *RUN, "hydra.launcher.processes=1", f"out={out}", *more])
    process = Forked(out.parent / "again", "train", "-m", *words)
    return process.ended(), process.said


def by_state(out: Path) -> dict[str, list[RunFolder]]:
    found: dict[str, list[RunFolder]] = {}
    for run in find_runs(out):
        found.setdefault(str(run.state), []).append(run)
    return found


def plan(folder: Path, act: str, count: int = 1) -> str:
    folder.mkdir()
    return f"{folder}|{act}|{count}"


@pytest.mark.parametrize(
    ("act", "how", "more"),
    [
        ("kill", "killed by SIGKILL (out of memory?)", ()),
        ("crash", "killed by SIGSEGV (out of memory?)", ()),
        ("exit", "gone (3)", ()),
        ("kill", "killed by SIGKILL (out of memory?)", ("hydra.launcher.max_stack=2",)),
    ],
)
def test_a_worker_that_dies_costs_its_runs_and_the_others_go_on(
    act: str, how: str, more: tuple[str, ...], tmp_path: Path
) -> None:
    out, stack = tmp_path / "out", 2 if more else 1
    seeds = ("seed=range(6)", *more) if more else ("seed=range(4)",)
    status, output = swept(out, *seeds, interfere=plan(tmp_path / "plan", act))
    assert status == Exit.FAILED, output
    runs = by_state(out)
    assert {state: len(found) for state, found in runs.items()} == {
        "failed": stack,
        "finished": 4 if more else 3,
    }
    for run in runs["failed"]:
        assert run.status["why"] == f"its worker was {how}"
        said = f"{run.path.name}: its worker was {how}; the others go on"
        assert said in output
        assert output.index(said) < output.index(f"{stack} failed")  # at once, not at the end
        assert f"  {run.path.name} (its worker was {how})" in output
        assert not run.taken
    status, lines = gone_on(out, *seeds)
    assert status == Exit.OK, lines
    assert set(by_state(out)) == {"finished"}


def test_a_worker_that_gets_a_signal_of_its_own_saves_its_run_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    status, output = swept(out, "seed=0,1,2", interfere=plan(tmp_path / "plan", "terminate"))
    assert status == Exit.PREEMPTED, output
    runs = by_state(out)
    assert {state: len(found) for state, found in runs.items()} == {"preempted": 1, "finished": 2}
    (run,) = runs["preempted"]
    assert run.status["why"] == "stopped by SIGTERM"
    assert checkpoint.steps(run) == [run.status["step"]]
    assert "gp-lab: 1 of 3 runs stopped by a signal to the worker; the same command" in output
    assert swept(out, "seed=0,1,2")[0] == Exit.OK
    assert set(by_state(out)) == {"finished"}


@pytest.mark.parametrize("stacked", [False, True])
def test_workers_whose_parent_is_killed_save_say_so_and_go_on_bit_for_bit(
    stacked: bool, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    more = ["hydra.launcher.max_stack=2", "seed=range(4)"] if stacked else ["seed=0,1"]
    process = sweep(out, *more, interfere=plan(tmp_path / "plan", "end the parent", 2))
    process.communicate(timeout=PATIENCE)  # until the last of them has ended
    assert process.returncode == -signal.SIGKILL
    runs = list(find_runs(out))
    assert len(runs) == (4 if stacked else 2)
    for run in runs:
        assert (run.state, run.status["why"]) == (State.PREEMPTED, "its parent process is gone")
        assert checkpoint.steps(run) == [run.status["step"]]
        assert not run.taken
    status, lines = gone_on(out, *more)
    assert status == Exit.OK, lines
    if not stacked:
        for run in runs:
            seed = f"seed={run.config['seed']}"
            assert_same_run(run, trained(*RUN, seed, f"out={tmp_path / 'alone'}", base=BARE))


def test_a_worker_that_cannot_save_any_more_does_not_outlive_its_parent_either(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    hang = plan(tmp_path / "plan", "end the parent and hang", 2)
    process = sweep(out, "seed=0,1", interfere=hang)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL
    why = {run.status["why"] for run in find_runs(out)}
    assert {run.state for run in find_runs(out)} == {State.PREEMPTED}
    orphaned = "its parent process is gone"
    assert why == {orphaned, f"{orphaned}; it could not save any more"}
    assert not any(run.taken for run in find_runs(out))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("whole_group", [True, False])
def test_a_sweep_that_is_stopped_says_so_once_whoever_else_gets_the_signal(
    number: signal.Signals, whole_group: bool, tmp_path: Path
) -> None:
    """A terminal sends its signals to all processes, `kill` to one."""
    with heard_hangups():
        process = sweep(tmp_path, "seed=range(4)", "steps=1000000")
    wait_for(lambda: sum(last_step(run) > 0 for run in find_runs(tmp_path)) == 2, process)
    if whole_group:
        os.killpg(process.pid, number)
    else:
        os.kill(process.pid, number)
    output, _ = process.communicate(timeout=PATIENCE)
    by_hand = number == signal.SIGINT
    assert process.returncode == (Exit.INTERRUPTED if by_hand else Exit.PREEMPTED), output
    assert re.findall("gp-lab: .*", output) == [
        f"gp-lab: stopped by {number.name}; the same command goes on from there"
    ]
    assert "Traceback" not in output
    runs = list(find_runs(tmp_path))
    assert len(runs) == 2  # those that were under way; no other began
    for run in runs:
        assert run.state == (State.INTERRUPTED if by_hand else State.PREEMPTED)
        assert run.status["why"] == f"stopped by {number.name}"
        assert checkpoint.steps(run) == [run.status["step"]]
