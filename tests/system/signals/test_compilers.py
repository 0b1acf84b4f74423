"""Compiling: what is said where it cannot be done, and that a signal ends it with all it began."""

import fcntl
import os
import shutil
import signal
import subprocess
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lab import (
    BARE,
    PATIENCE,
    Forked,
    assert_same_run,
    config_of,
    environment,
    lab_command,
    trained,
    wait_for,
)

from gp_lab.errors import Exit
from gp_lab.launching.jobs import merged
from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.runs.identity import folder_of
from gp_lab.training import compilers, engine
from gp_lab.training.compilers import compiling
from gp_lab.training.trainer import train

RUN = (*BARE, "steps=20", "log_every=5")


def extended(run: RunFolder, *more: str) -> None:
    """Go on with a run, to step 30."""
    train([config_of(*RUN, "steps=30", *more, base=())], [run], progress=False)


# -- where it cannot be done ---------------------------------------------------------------


def without_a_compiler(patch: pytest.MonkeyPatch) -> str:
    patch.setattr(compilers, "_missing_tool", lambda: "a C++ compiler")
    return "compiling needs a C++ compiler, which is not here"


def forbidden(patch: pytest.MonkeyPatch) -> str:
    patch.setenv("TORCH_COMPILE_DISABLE", "1")
    patch.setattr(compilers, "_missing_tool", lambda: None)
    return "TORCH_COMPILE_DISABLE=1"


class OfTheCompiler(RuntimeError):
    """As PyTorch's, whose first line does not say what happened."""

    inner_exception = OSError("/cache/ab/cd.so: file too short")


def broken(patch: pytest.MonkeyPatch) -> str:
    def fails(*_: object) -> None:
        raise OfTheCompiler("backend='inductor' raised:\nOSError: ...")

    patch.setattr(torch, "compile", lambda *_, **__: fails)
    patch.setattr(compilers, "_missing_tool", lambda: None)
    patch.setattr(engine, "_kept", OrderedDict())
    return "it did not compile (/cache/ab/cd.so: file too short)"


@pytest.mark.parametrize("obstacle", [without_a_compiler, forbidden, broken])
def test_a_compiled_run_that_goes_on_where_nothing_can_be_compiled_says_that_its_bits_differ(
    obstacle: Callable[[pytest.MonkeyPatch], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = trained(*RUN, "compile=never", f"out={tmp_path}", base=())
    run.set_status(State.FINISHED, engine="compiled")
    why = obstacle(monkeypatch)
    with pytest.warns(
        UserWarning, match="the same numbers up to rounding, not bit for bit"
    ) as said:
        extended(run)
    assert f"{run.path.name}: {why}; compiled until step 20" in {
        str(warning.message).rpartition("; ")[0] for warning in said
    }
    assert (run.status["engine"], run.status["step"]) == ("eager", 30)
    assert run.status["engine_reason"] == f"{why}; compiled until step 20"


@pytest.mark.parametrize("obstacle", [without_a_compiler, forbidden, broken])
def test_status_has_the_engine_that_ran_and_why(
    obstacle: Callable[[pytest.MonkeyPatch], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    why = obstacle(monkeypatch)
    run = trained(*RUN, "compile=always", f"out={tmp_path}", base=())
    assert (run.status["engine"], run.status["engine_reason"]) == ("eager", why)


def test_an_eager_run_stays_eager_where_it_could_be_compiled(tmp_path: Path) -> None:
    run = trained(*RUN, "compile=never", f"out={tmp_path}", base=())
    extended(run, "compile=always")
    assert (run.status["engine"], run.status["step"]) == ("eager", 30)
    assert run.status["engine_reason"] == "as before the run was resumed"


def test_a_library_that_a_killed_linker_left_empty_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    for name in ("ab", "locks"):
        (tmp_path / name).mkdir()
    empty, whole, in_hand = (tmp_path / "ab" / f"{name}.main.so" for name in ("a", "b", "c"))
    empty.touch()
    whole.write_bytes(b"ELF")
    in_hand.touch()
    with (tmp_path / "locks/c.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as PyTorch does while it links
        with compiling():
            pass
    assert sorted((tmp_path / "ab").iterdir()) == [whole, in_hand]


# -- signals -------------------------------------------------------------------------------


def compiles_for_ever(*numbers: int, stubborn: bool = False) -> None:
    """From now on to compile is to wait for a program, and signals come meanwhile.

    stubborn: it does not heed the first one.
    """

    def compiled(*_: object) -> None:
        with subprocess.Popen(["sleep", "100000"]) as program:
            try:
                signal.raise_signal(numbers[0])
            except BaseException:
                if not stubborn:
                    raise
            for number in numbers[1:]:
                signal.raise_signal(number)
            program.wait()

    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # though the tests be run by nohup
    torch.compile = lambda *_, **__: compiled  # type: ignore[assignment]
    compilers._missing_tool = lambda: None


@pytest.mark.parametrize(
    ("number", "status", "state"),
    [
        (signal.SIGINT, Exit.INTERRUPTED, State.INTERRUPTED),
        (signal.SIGTERM, Exit.PREEMPTED, State.PREEMPTED),
        (signal.SIGHUP, Exit.PREEMPTED, State.PREEMPTED),
    ],
)
@pytest.mark.parametrize("sweep", [(), ("-m", "seed=0,1", "hydra.launcher.max_stack=2")])
def test_a_signal_while_compiling_ends_the_run_and_the_compiler(
    number: signal.Signals, status: Exit, state: State, sweep: tuple[str, ...], tmp_path: Path
) -> None:
    """Were the compiler not ended, this would wait for it."""
    command = ["train", *sweep, *merged([*RUN, "compile=always", f"out={tmp_path}"])]
    first = partial(compiles_for_ever, number)
    process = Forked(tmp_path / "log", *command, first=first)
    assert process.ended() == status, process.said
    for run in find_runs(tmp_path):
        assert (run.state, run.status["step"]) == (state, 0)
        assert run.status["why"] == f"stopped by {number.name}"
        assert checkpoint.steps(run) == []
        assert "engine" not in run.status
    assert not any("Traceback" in line for line in process.said)
    again = ["train", *sweep, *merged([*RUN, "compile=never", f"out={tmp_path}"])]
    assert Forked(tmp_path / "log", *again).ended() == Exit.OK
    assert {run.state for run in find_runs(tmp_path)} == {State.FINISHED}


def test_ctrl_c_pressed_twice_while_compiling_ends_at_once(tmp_path: Path) -> None:
    command = ["train", *merged([*RUN, "compile=always", f"out={tmp_path}"])]
    first = partial(compiles_for_ever, signal.SIGINT, signal.SIGINT, stubborn=True)
    process = Forked(tmp_path / "log", *command, first=first)
    assert process.ended() == Exit.INTERRUPTED, process.said
    assert process.said[-1] == "gp-lab: interrupted; the same command goes on"
    (run,) = find_runs(tmp_path)
    assert run.state == State.INTERRUPTED


def test_a_run_that_was_stopped_while_it_was_compiled_again_keeps_what_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(*RUN, "compile=never", f"out={tmp_path}", base=())
    run.set_status(State.FINISHED, engine="compiled")
    command = ["resume", str(run.path), "steps=30"]
    process = Forked(tmp_path / "log", *command, first=partial(compiles_for_ever, signal.SIGTERM))
    assert process.ended() == Exit.PREEMPTED, process.said
    assert (run.state, run.status["step"]) == (State.PREEMPTED, 20)
    assert checkpoint.steps(run)[-1] == 20
    run.set_status(State.PREEMPTED, engine="eager")
    extended(run)
    whole = trained(*RUN, "compile=never", "steps=30", f"out={tmp_path / 'whole'}", base=())
    assert_same_run(run, whole)


COMPILER = """#!/bin/sh
# g++, but for what is to be linked: that takes for ever, and the lab is asked to stop meanwhile.
case " $* " in
    *" -shared "*) echo $$ >{here}/compiler; kill -TERM $PPID; exec sleep 100000;;
    *) exec {real} "$@";;
esac
"""


def test_a_signal_while_pytorch_compiles_leaves_no_compiler_behind(
    tmp_path: Path, needs_compiler: None
) -> None:
    real = shutil.which("g++")
    if real is None:
        pytest.skip("the compiler here is not g++")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/g++"
    program.write_text(COMPILER.format(here=tmp_path, real=real))
    program.chmod(0o755)
    env = environment(
        tmp_path,
        PATH=f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "cache"),
    )
    out = tmp_path / "out"
    done: Any = subprocess.run(
        lab_command("train", *merged([*RUN, "compile=always", f"out={out}"])),
        capture_output=True,
        text=True,
        env=env,
        timeout=PATIENCE,
    )
    assert done.returncode == Exit.PREEMPTED, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    run = RunFolder(folder_of(config_of(*RUN, f"out={out}", base=())))
    assert (run.state, run.status["why"]) == (State.PREEMPTED, "stopped by SIGTERM")
    compiler = Path(f"/proc/{(tmp_path / 'compiler').read_text().strip()}")
    wait_for(lambda: not compiler.exists() or "\nState:\tZ" in (compiler / "status").read_text())
