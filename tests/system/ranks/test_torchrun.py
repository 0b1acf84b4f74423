"""Runs on ranks that torchrun or a cluster starts: one folder, ended together, gone on with."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from helpers import SUPPORT, same
from lab import (
    PATIENCE,
    SMALL,
    SignalAt,
    assert_same_run,
    config_of,
    environment,
    final,
    free_port,
    lab_command,
    once,
    start,
    trained,
    wait_for,
)

from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.runs.identity import folder_of
from gp_lab.training.trainer import train

# The command, started as torchrun does it and as Slurm does it

RUN = (*SMALL, "precision=fp64", "batch_size=15", "log_every=5", "checkpoint_every=50")


def torchrun(
    out: Path, *overrides: str, signal_at: SignalAt | None = None
) -> subprocess.Popen[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    command = lab_command("train", *RUN, *overrides, f"out={out}", signal_at=signal_at)[1:]
    return subprocess.Popen(
        [*launcher, f"--master-port={free_port()}", *command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env=environment(out, OMP_NUM_THREADS="1"),
    )  # fmt: skip


def tasks(
    out: Path, *overrides: str, signals: Mapping[int, SignalAt] | None = None
) -> list[subprocess.Popen[str]]:
    """Two ranks that nobody watches over, as under srun; `signals`: rank -> what it gets."""
    port = str(free_port())
    return [
        start(
            *("train", *RUN, *overrides, f"out={out}"),
            env=environment(
                out,
                PYTHONPATH=os.pathsep.join([str(SUPPORT), *sys.path]),
                OMP_NUM_THREADS="1",
                RANK=str(rank),
                WORLD_SIZE="2",
                MASTER_ADDR="127.0.0.1",
                MASTER_PORT=port,
            ),
            signal_at=(signals or {}).get(rank),
        )
        for rank in range(2)
    ]


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """(exit status, output) of each."""
    outputs = [process.communicate(timeout=PATIENCE)[0] for process in processes]
    return [(p.returncode, output) for p, output in zip(processes, outputs, strict=True)]


def folder_in(out: Path, *overrides: str) -> RunFolder:
    return RunFolder(folder_of(config_of(*overrides, f"out={out}", base=RUN)))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of 400 steps on two ranks."""

    def make(out: Path) -> None:
        ((status, output),) = ended([torchrun(out, "steps=400")])
        assert status == 0, output
        assert output.count("finished at step 400") == 1

    return folder_in(once(tmp_path_factory, "two_ranks", make), "steps=400")


def test_torchruns_ranks_leave_one_folder(undisturbed: RunFolder) -> None:
    steps = [line["step"] for line in undisturbed.metrics() if "loss_d" in line]
    assert steps == list(range(5, 401, 5))
    assert undisturbed.status["ranks"] == 2
    assert undisturbed.array_steps("samples") == [400]
    assert [p.name for p in undisturbed.path.parent.iterdir()] == [undisturbed.path.name]


def test_a_run_on_two_ranks_is_that_on_one_and_can_go_on_there(
    undisturbed: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = trained("steps=400", f"out={tmp_path}", base=RUN)
    same(final(undisturbed)[1], final(alone)[1], 1e-9)
    moved = RunFolder(shutil.copytree(undisturbed.path, tmp_path / "moved"))
    for folder in (moved, alone):
        train([config_of("steps=420", base=RUN)], [folder])
    assert "on 2 ranks so far, now on 1: the same numbers up to rounding" in capsys.readouterr().err
    assert moved.status["ranks"] == 1
    same(final(moved)[1], final(alone)[1], 1e-9)


def test_a_preempted_torchrun_stops_at_one_step_and_goes_on_bit_for_bit(
    undisturbed: RunFolder, tmp_path: Path
) -> None:
    folder = folder_in(tmp_path, "steps=400")
    ended([torchrun(tmp_path, "steps=400", signal_at=SignalAt(40, signal.SIGTERM, "parent"))])
    assert folder.state == State.PREEMPTED
    assert folder.status["why"] == "stopped by SIGTERM"
    assert folder.status["step"] < 400
    ((status, output),) = ended([torchrun(tmp_path, "steps=400")])
    assert status == 0, output
    assert_same_run(folder, undisturbed)


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_rank_ends_the_other_and_the_run_can_go_on(
    undisturbed: RunFolder, tmp_path: Path, killed: int
) -> None:
    folder, signals = folder_in(tmp_path, "steps=400"), {killed: SignalAt(60, signal.SIGKILL)}
    status, output = ended(tasks(tmp_path, "steps=400", signals=signals))[1 - killed]
    assert status == 1, output
    assert folder.state == State.FAILED
    assert f"rank {killed}" in folder.status["why"]
    assert "Traceback" not in output
    assert output.count("gp-lab: rank 1 stopped without a word") == killed  # rank 1 says nothing
    ((status, output), (other, nothing)) = ended(tasks(tmp_path, "steps=400"))
    assert (status, other) == (0, 0), output
    assert nothing == ""
    assert_same_run(folder, undisturbed)


@pytest.mark.parametrize("override", ["penalty=nope", "batch_size=1"])
def test_what_is_wrong_is_said_under_torchrun_though_the_other_rank_may_end_first(
    override: str, tmp_path: Path
) -> None:
    ((status, output),) = ended([torchrun(tmp_path, override)])
    assert status != 0
    assert output.count(f"gp-lab: {override}") == 1


def test_an_error_on_one_rank_ends_all_with_its_message(tmp_path: Path) -> None:
    overrides = ("steps=400", "trust=[faulty]", "loss._target_=faulty.FaultyLoss",
                 "+loss.fault=error")  # fmt: skip
    (zero, output), (one, trace) = ended(tasks(tmp_path, *overrides))
    (status,) = (RunFolder(path.parent).status for path in tmp_path.glob("runs/*/status.json"))
    assert (zero, one) == (1, 1)
    assert status["why"] == "rank 1: ValueError: no such thing on this rank"
    assert status["state"] == State.FAILED
    assert "gp-lab: rank 1: ValueError: no such thing on this rank" in output
    assert "in phi" in trace  # where it happened is told by the rank itself


@pytest.mark.parametrize(("rank", "probes"), [(0, "[surface,samples]"), (1, "[samples,surface]")])
def test_what_was_trained_outlives_a_probe_that_fails_on_a_rank(
    rank: int, probes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Probes are dealt out to the ranks, in their order; rank 0 saves for the one that fails."""
    words = ("steps=20", "checkpoint_every=1000", f"probe={probes}", "trust=[faulty]",
             "probe.surface._target_=faulty.FaultySurface")  # fmt: skip
    assert [status for status, _ in ended(tasks(tmp_path / "whole", *words))] == [0, 0]
    monkeypatch.setenv("FAULTY_RANK", str(rank))
    assert [status for status, _ in ended(tasks(tmp_path / "failed", *words))] == [1, 1]
    (failed,) = find_runs(tmp_path / "failed")
    assert failed.status["why"] == f"rank {rank}: ValueError: nothing to be seen on this rank"
    assert (checkpoint.steps(failed), failed.array_steps("surface")) == ([20], [])
    monkeypatch.delenv("FAULTY_RANK")
    assert [status for status, _ in ended(tasks(tmp_path / "failed", *words))] == [0, 0]
    (whole,) = find_runs(tmp_path / "whole")
    assert_same_run(whole, failed)


def test_a_sweep_goes_on_after_a_run_that_failed_on_all_ranks(tmp_path: Path) -> None:
    overrides = ("steps=40", "trust=[faulty]", "loss._target_=faulty.FaultyLoss",
                 "+loss.fault=errors,none")  # fmt: skip
    (zero, output), (one, _) = ended(tasks(tmp_path, "-m", *overrides))
    found = [RunFolder(path.parent).status for path in tmp_path.glob("runs/*/status.json")]
    assert {(s["state"], s["why"]) for s in found} == {
        (State.FAILED, "rank 0: ValueError: no such thing on this rank"),
        (State.FINISHED, ""),
    }, output
    assert (zero, one) == (1, 1)


def test_nan_on_one_rank_is_divergence_on_all(tmp_path: Path) -> None:
    overrides = ("steps=400", "trust=[faulty]", "loss._target_=faulty.FaultyLoss",
                 "+loss.after=21")  # fmt: skip
    (zero, output), (one, nothing) = ended(tasks(tmp_path, *overrides))
    (status,) = (RunFolder(path.parent).status for path in tmp_path.glob("runs/*/status.json"))
    assert (zero, one) == (3, 3), output
    assert (status["state"], status["step"]) == (State.DIVERGED, 22)
    assert nothing == ""


def test_a_rank_that_waits_for_the_others_can_be_stopped(tmp_path: Path) -> None:
    port = free_port()
    alone = start(
        *("train", "-m", *RUN, "seed=0,1", f"out={tmp_path}"),
        env=environment(
            tmp_path, RANK="0", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
        ),
    )

    def listens() -> bool:
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    wait_for(lambda: listens() or alone.poll() is not None)
    alone.send_signal(signal.SIGTERM)
    ((status, output),) = ended([alone])
    assert status == 4, output
    assert "gp-lab: stopped by SIGTERM while it waited for the other ranks" in output


def test_a_run_with_local_batch_norm_stays_so_and_says_what_other_ranks_make_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = (*RUN, "architecture.norm=batch", "penalty=none", f"out={tmp_path}")
    folder = trained("steps=20", "batch_norm=local", base=run)
    folder.set_status(State.FINISHED, ranks=2)
    train([config_of("steps=30", base=run)], [folder])
    assert folder.status["batch_norm"] == "local"
    assert "each rank normalises its part of a batch" in capsys.readouterr().err


def test_what_several_ranks_cannot_do_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (zero, output), (one, nothing) = ended(tasks(tmp_path, "batch_size=1"))
    assert (zero, one) == (2, 2)
    assert output.splitlines() == [
        "gp-lab: batch_size=1: fewer samples than the 2 ranks; use at least 2, or fewer ranks"
    ]
    assert nothing == ""
