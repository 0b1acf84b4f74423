"""Too few open files: stacks are smaller or refused, runs say so and go on when they can."""

import os
import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from lab import PATIENCE, STACK, Forked, act_at, config_of, overrides

from gp_lab import machine
from gp_lab.errors import Exit
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.identity import folder_of
from gp_lab.training.trainer import train


def few_files() -> None:
    """From now on this process may open as many files as three runs need."""
    most = len(os.listdir("/proc/self/fd")) + machine.OTHER_FILES + 3 * machine.FILES_PER_RUN
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@pytest.mark.seconds
def test_stacks_are_as_large_as_the_open_files_allow_or_refused_with_what_to_do(
    tmp_path: Path,
) -> None:
    sweep = ["train", "-m", "seed=0,1,2,3,4,5,6", "hydra/launcher=replicas", *overrides(*STACK),
             "hydra.launcher.processes=1", f"out={tmp_path / 'out'}"]  # fmt: skip
    process = Forked(tmp_path / "log", *sweep, "hydra.launcher.max_stack=7", first=few_files)
    assert process.ended() == Exit.BAD_INPUT
    (said,) = process.said
    assert "hydra.launcher.max_stack=7: 7 replicas need more open files than the" in said
    assert "raise that (ulimit -n), or train at most 3 at once" in said
    process = Forked(tmp_path / "log", *sweep, first=few_files)
    assert process.ended() == Exit.OK, process.said
    assert "7 runs in 3 stacks of 3 or 2" in process.said[0]


@pytest.mark.seconds
def test_a_stack_that_needs_more_open_files_is_trained_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "runs_at_once", lambda: 2)
    configs = [config_of(*STACK, f"seed={s}", f"out={tmp_path}") for s in range(4)]
    outcomes = train(configs)
    assert [outcome.state for outcome in outcomes] == [State.FINISHED] * 4
    assert [outcome.folder.status["stack"] for outcome in outcomes] == [2] * 4
    said = capsys.readouterr().err
    assert "a stack of 4 needs more open files than the" in said
    assert "(ulimit -n raises that): 2 of 2 instead" in said


@pytest.mark.seconds
def test_the_soft_limit_of_open_files_is_raised_to_the_hard_one() -> None:
    code = (
        "import resource; from gp_lab import machine; limit = resource.RLIMIT_NOFILE;"
        "resource.setrlimit(limit, (50, 400)); print(machine.runs_at_once());"
        "print(*resource.getrlimit(limit))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    count, limits = said.stdout.splitlines()
    assert limits == "400 400"
    assert (400 - machine.OTHER_FILES) // machine.FILES_PER_RUN >= int(count) > 150


def without_files() -> None:
    """From now on: at step 21 all that this process may open is open."""

    def open_all() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 5,) * 2)
        with suppress(OSError):
            while True:
                os.open(os.devnull, os.O_RDONLY)

    act_at(21, open_all, pytest.MonkeyPatch())


@pytest.mark.seconds
def test_a_run_that_cannot_open_files_says_so_and_goes_on_when_it_can(tmp_path: Path) -> None:
    run = ["train", *overrides("steps=60", "log_every=1", "checkpoint_every=20"),
           f"out={tmp_path / 'out'}"]  # fmt: skip
    process = Forked(tmp_path / "log", *run, first=without_files)
    assert process.ended() == Exit.FAILED, process.said
    said = process.said[-1]
    assert "Too many open files (ulimit -n raises how many there may be) at step 2" in said
    assert said.endswith("; the same command goes on from the last checkpoint")
    again = Forked(tmp_path / "log", *run)
    assert again.ended() == Exit.OK, again.said
    assert RunFolder(folder_of(config_of(*run[1:], base=()))).state == State.FINISHED


def test_a_run_that_cannot_even_be_locked_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(Exception, match=r"cannot be locked \(Too many open files \(ulimit -n"):
            folder.lock()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
