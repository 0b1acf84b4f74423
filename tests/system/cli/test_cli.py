"""The commands: sweeps, sharing, resuming, stopping, cleaning."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import PATIENCE, last_step, wait_for

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.runs import checkpoint
from gp_lab.runs.cleaning import delete, sweepings
from gp_lab.runs.folder import RunFolder, State, find_runs

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

SMALL = [
    "architecture.width=8",
    "batch_size=16",
    "compile=never",
    "threads=1",
    "tracking=none",
    "probe=[]",
    "out=out",
]
GP_LAB = [sys.executable, "-m", "gp_lab"]


def train(*overrides: str) -> int:
    return main(["train", *SMALL, *overrides])


def runs() -> list[RunFolder]:
    return list(find_runs("out"))


def states() -> list[str]:
    return [str(run.state) for run in runs()]


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process group of its own, as a terminal starts it."""
    process = subprocess.Popen(
        [*GP_LAB, *arguments], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def press_ctrl_c(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The signal that a terminal sends to the whole group; the exit status and stderr."""
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, said


def steps_done() -> list[int]:
    return [run.status.get("step", 0) for run in runs()]


# -- one run and many --------------------------------------------------------------------------


def test_a_run_says_at_its_end_what_its_probes_measured(capsys: pytest.CaptureFixture[str]) -> None:
    scored = ("probe=[samples,modes,units]", "probe.modes.count=200", "steps=3")
    assert train(*scored) == Exit.OK
    modes, last = capsys.readouterr().out.splitlines()[-2:]
    (folder,) = find_runs(Path("out"))
    assert last == f"finished at step 3: {folder.path}"
    lines = [json.loads(line) for line in folder.inside("metrics.jsonl").read_text().splitlines()]
    (measured,) = [line for line in lines if "modes/w1" in line]
    names = ("hit", "near", "balance", "w1")
    said = ", ".join(f"{name} {measured[f'modes/{name}']:.4g}" for name in names)
    assert modes == f"modes: {said}"


def test_a_sweep_makes_a_run_folder_for_every_combination(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert train("-m", "penalty=none,one_gp,zero_gp", "seed=0,1", "steps=20") == Exit.OK
    assert capsys.readouterr().out == "6 runs: 6 finished; in out/runs\n"
    found = {(run.config["penalty"]["name"], run.config["seed"]) for run in runs()}
    assert found == {(p, s) for p in ("none", "one_gp", "zero_gp") for s in (0, 1)}
    assert len(runs()) == 6
    assert {run.metrics()[-1]["step"] for run in runs()} == {20}


def test_flags_stand_where_one_likes() -> None:
    assert train("seed=0,1", "-m", "steps=2") == Exit.OK
    assert states() == ["finished"] * 2


def test_equal_commands_share_one_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("steps=5") == Exit.OK
    (run,) = runs()
    before = run.status
    assert train("steps=5", "log_every=7", "penalty.weight=10.0") == Exit.OK
    assert [r.path for r in runs()] == [run.path]
    assert run.status == before
    assert str(run.path) in capsys.readouterr().out


def test_a_sweep_says_what_it_skips_and_names_each_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert train("-m", "seed=0", "steps=2") == Exit.OK
    assert capsys.readouterr().out.startswith("1 run: 1 finished; in ")
    assert train("-m", "seed=0,1,2", "steps=2") == Exit.OK
    said = capsys.readouterr()
    assert "3 runs: 1 finished before, 2 to train\n" in said.err
    assert said.out.startswith("3 runs: 3 finished; in ")
    trained = [run.path.name for run in runs() if "-s0-" not in run.path.name]
    for number, name in enumerate(trained, 1):
        assert f"[{number}/2] {name}\n" in said.err
    assert train("-m", "seed=0,1,2", "steps=2") == Exit.OK
    said = capsys.readouterr()
    assert said.out.startswith("3 runs: 3 finished before; in ")
    assert said.err == ""


def test_a_stack_of_several_is_named_by_its_first_run(capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["-m", "seed=0,1", "penalty.reduction=mean,max", "steps=2"]
    alone = ["hydra/launcher=replicas", "hydra.launcher.processes=1", "compile=never"]
    assert train(*sweep, *alone) == Exit.OK
    said = capsys.readouterr().err
    assert re.search(r"\[1/2\] \S+-s0-\w+ and 1 more in a stack\n", said)


def test_a_run_of_ones_own_code_that_is_skipped_says_that_the_code_may_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_losses.py").write_text(
        "from gp_lab.objectives.losses import Hinge\nclass Mine(Hinge): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = ["loss._target_=my_losses.Mine", "trust=[my_losses]", "steps=2"]
    words = "their code in my_losses is not part of a run's identity: force=true trains them anew"
    assert train("-m", "seed=0,1", *own) == Exit.OK
    assert "identity" not in capsys.readouterr().err
    assert train("-m", "seed=0,1,2", *own) == Exit.OK
    assert f"2 runs finished before; {words}\n" in capsys.readouterr().err
    assert train("seed=0", *own) == Exit.OK
    assert "1 run finished before; its code in my_losses is" in capsys.readouterr().err
    assert train("seed=0", *own, "force=true") == Exit.OK
    assert "identity" not in capsys.readouterr().err
    assert all("-Mine-" in run.path.name for run in runs())


def test_force_starts_over() -> None:
    assert train("steps=5") == Exit.OK
    (run,) = runs()
    (run.path / "left").touch()
    made = run.path / "checkpoints" / "step-00000005.pt"
    first = made.stat().st_mtime_ns
    assert train("steps=5", "force=true") == Exit.OK
    assert made.stat().st_mtime_ns > first
    assert not (run.path / "left").exists()
    assert len(runs()) == 1


def test_resume_extends_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("steps=10", "log_every=1") == Exit.OK
    (run,) = runs()
    first = run.metrics()
    assert main(["resume", str(run.path), "steps=15"]) == Exit.OK
    assert run.status["step"] == 15
    assert run.state == State.FINISHED
    assert run.metrics()[:10] == first
    assert [line["step"] for line in run.metrics()] == list(range(1, 16))


def test_divergence_has_an_exit_status_of_its_own_and_does_not_fail_a_sweep(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wild = ["steps=50", "optimizer=sgd", "optimizer.lr=1e30", "log_every=1"]
    assert train(*wild) == Exit.DIVERGED
    assert train("-m", *wild, "seed=0,1") == Exit.OK
    assert "2 runs: 2 diverged" in capsys.readouterr().out


def test_a_failed_run_fails_the_sweep_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save = checkpoint.save

    def fails_for_seed_0(folder: RunFolder, *rest: Any) -> None:
        if folder.config["seed"] == 0:
            raise OSError("no space left on device")
        save(folder, *rest)

    monkeypatch.setattr(checkpoint, "save", fails_for_seed_0)
    assert train("-m", "seed=0,1", "steps=5") == Exit.FAILED
    said = capsys.readouterr()
    assert "1 failed, 1 finished" in said.out
    assert "no space left on device" in said.err


# -- stopping ----------------------------------------------------------------------------------


def test_ctrl_c_saves_and_the_same_command_finishes() -> None:
    command = ["train", *SMALL, "steps=3000", "checkpoint_every=100000"]
    with started(*command) as process:
        wait_for(lambda: runs() and last_step(runs()[0]) > 0, process)
        status, said = press_ctrl_c(process)
    assert status == Exit.INTERRUPTED
    assert "Traceback" not in said
    (run,) = runs()
    reached = run.status["step"]
    assert run.state == State.INTERRUPTED
    assert 0 < reached < 3000
    assert checkpoint.steps(run) == [reached]
    assert main(command) == Exit.OK
    assert run.state == State.FINISHED
    assert run.status["step"] == 3000
    assert len(runs()) == 1


@pytest.mark.parametrize("processes", [1, 2])
def test_a_sweep_ends_whole_on_ctrl_c(processes: int) -> None:
    sweep = ["-m", *SMALL, "steps=100000", "seed=range(4)", f"hydra.launcher.processes={processes}"]
    with started("train", *sweep) as process:
        wait_for(lambda: sum(last_step(run) > 0 for run in runs()) == processes, process)
        status, said = press_ctrl_c(process)
    assert status == Exit.INTERRUPTED
    assert "Traceback" not in said
    assert states() == ["interrupted"] * processes  # those that were under way; no other began
    assert all(checkpoint.steps(run) == [run.status["step"]] for run in runs())


def test_sigterm_is_preemption() -> None:
    with started("train", *SMALL, "steps=100000") as process:
        wait_for(lambda: states() == ["running"], process)
        process.terminate()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == Exit.PREEMPTED
    assert states() == ["preempted"]


# -- cleaning ----------------------------------------------------------------------------------


def a_run(name: str, state: State, step: int = 0) -> RunFolder:
    """A run folder as a run leaves it, without having trained."""
    folder = RunFolder(Path("out/runs") / name)
    folder.create({"seed": 0, "out": "out"}, name)
    folder.set_status(state, step=step)
    return folder


def age(folder: RunFolder, days: float) -> None:
    then = time.time() - days * 86400
    os.utime(folder.path / "status.json", (then, then))


def swept() -> dict[str, str]:
    items = sweepings(Path("out"))
    return {str(item.path.relative_to("out/runs")): item.why for item in items}


def test_clean_says_before_it_deletes(capsys: pytest.CaptureFixture[str]) -> None:
    kept, gone = a_run("good", State.FINISHED), a_run("bad", State.FAILED)
    assert main(["clean", "out"]) == Exit.OK
    said = capsys.readouterr().out
    assert str(gone.path) in said
    assert "failed" in said
    assert "nothing is deleted without --yes" in said
    assert gone.exists
    assert main(["clean", "out", "--yes"]) == Exit.OK
    assert "deleted 1 item," in capsys.readouterr().out
    assert not gone.path.exists()
    assert kept.exists


def test_what_is_unfinished_and_diverged_can_go() -> None:
    for state in State:
        a_run(f"{state}-now", state)
        age(a_run(f"{state}-long-ago", state), days=8)
    assert swept() == {
        "running-now": "interrupted (killed)",
        "running-long-ago": "interrupted (killed)",
        "queued-long-ago": "queued, 8 days ago",
        "preempted-long-ago": "preempted, 8 days ago",
        **{f"{s}-now": s for s in ("interrupted", "diverged", "failed")},
        **{f"{s}-long-ago": s for s in ("interrupted", "diverged", "failed")},
    }  # fmt: skip


def test_a_job_of_slurm_that_was_killed_may_be_put_back_in_line() -> None:
    for name, days in (("killed-now", 0), ("killed-long-ago", 8)):
        run = a_run(name, State.RUNNING)
        run.set_status(State.RUNNING, job="12_0")
        age(run, days)
    assert swept() == {"killed-long-ago": "running, 8 days ago"}


def test_a_run_that_is_being_trained_is_never_touched() -> None:
    run = a_run("busy", State.RUNNING)
    items = sweepings(Path("out"))
    assert [item.path for item in items] == [run.path]
    run.lock()
    try:
        assert sweepings(Path("out")) == []
        assert delete(items) == []
        assert run.exists
    finally:
        run.unlock()
    assert delete(items) == items


def test_a_run_that_finished_meanwhile_stays() -> None:
    run = a_run("late", State.INTERRUPTED)
    items = sweepings(Path("out"))
    run.set_status(State.FINISHED)
    assert delete(items) == []
    assert run.exists


def test_of_a_finished_run_only_what_nothing_reads_can_go() -> None:
    assert train("steps=30", "checkpoint_every=10") == Exit.OK
    (run,) = runs()
    assert checkpoint.steps(run) == [20, 30]
    (run.path / "arrays" / "surface-00000030.tmp").touch()
    (run.path / ".status.json.123.tmp").touch()
    assert set(swept().values()) == {"older checkpoint", "half written"}
    delete(sweepings(Path("out")))
    assert checkpoint.steps(run) == [30]
    assert not list(run.path.rglob("*.tmp"))
    assert swept() == {}
    assert main(["resume", str(run.path), "steps=40"]) == Exit.OK
    assert run.status["step"] == 40


def test_an_older_checkpoint_stays_when_the_newest_is_damaged() -> None:
    assert train("steps=30", "checkpoint_every=10") == Exit.OK
    (run,) = runs()
    (run.path / "checkpoints" / "step-00000030.pt").write_bytes(b"half")
    assert swept() == {}


def test_clean_touches_nothing_but_run_folders_below_the_root() -> None:
    outside = a_run("outside", State.FAILED).path.rename("outside")
    a_run("inside", State.FAILED)
    Path("out/runs/link").symlink_to(outside.resolve())
    Path("out/runs/notes").mkdir()
    Path("out/runs/notes/config.yaml").write_text("mine: true\n")
    damaged = a_run("damaged", State.FAILED)
    (damaged.path / "status.json").write_text("{")
    assert swept() == {"inside": "failed"}
    assert len(delete(sweepings(Path("out")))) == 1
    assert (outside / "config.yaml").is_file()
    assert Path("out/runs/notes/config.yaml").is_file()
    assert damaged.exists


def test_deleting_a_run_does_not_follow_its_links() -> None:
    Path("precious").mkdir()
    Path("precious/file").touch()
    run = a_run("bad", State.FAILED)
    (run.path / "arrays" / "link").symlink_to(Path("precious").resolve())
    assert len(delete(sweepings(Path("out")))) == 1
    assert not run.path.exists()
    assert Path("precious/file").is_file()
