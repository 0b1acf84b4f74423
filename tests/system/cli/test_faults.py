"""What breaks around a run: signals, disks, memory, the dashboard. Nothing is lost but the steps
since the last checkpoint. Kills and damaged files are in signals/test_resume.py."""

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from lab import (
    Forked,
    assert_same_run,
    config_of,
    final,
    last_step,
    once,
    overrides,
    trained,
)

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.probes.samples import Samples
from gp_lab.runs import checkpoint, checksum
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.runs.identity import folder_of

RUN = ("steps=150", "log_every=1", "checkpoint_every=20")
Disk = Callable[[int], Path]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    def make(out: Path) -> None:
        trained(*RUN, f"out={out}")

    (run,) = find_runs(once(tmp_path_factory, "undisturbed", make))
    return run


def command(out: Path, *more: str) -> list[str]:
    return ["train", *overrides(*RUN, *more, f"out={out}")]


def folder_in(out: Path, *more: str) -> RunFolder:
    return RunFolder(folder_of(config_of(*RUN, *more, f"out={out}")))


def sentence(process: Forked) -> str:
    """The only line that a command printed besides what its log said before."""
    assert not any("Traceback" in line for line in process.said), process.said
    return process.said[-1]


# -- signals while files are written -------------------------------------------------------


def signal_in_checkpoint(count: int, number: signal.Signals) -> None:
    """From now on: this process gets a signal while it writes that many-th checkpoint."""
    flush, written = checksum.flush, []

    def signalled(path: Path) -> None:
        if path.name.startswith(".step-"):
            written.append(path)
            if len(written) == count:
                os.kill(os.getpid(), number)
        flush(path)

    checksum.flush = signalled


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 4), (signal.SIGKILL, -9)])
def test_a_signal_during_a_checkpoint_leaves_whole_checkpoints(
    tmp_path: Path, undisturbed: RunFolder, number: signal.Signals, status: int
) -> None:
    folder, first = folder_in(tmp_path), partial(signal_in_checkpoint, 3, number)
    process = Forked(tmp_path / "log", *command(tmp_path), first=first)
    assert process.ended() == status, process.said
    step, _ = final(folder)  # without a word of one that was passed over
    if number == signal.SIGTERM:
        assert (folder.state, folder.status["step"]) == (State.PREEMPTED, step)
        assert last_step(folder) == step
    else:
        assert len(folder.half_written()) == 1
    trained(*RUN, f"out={tmp_path}")
    assert folder.half_written() == []
    assert_same_run(folder, undisturbed)


def killed_in(owner: object, function: str) -> None:
    """From now on this process kills itself where it would call this function."""
    setattr(owner, function, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))


def killed_while_clearing() -> None:
    killed_in(shutil, "rmtree")


@pytest.mark.parametrize("method", ["set_status", "write_config", "lock"])
def test_a_run_that_was_killed_while_its_folder_was_made_begins_as_any_other(
    tmp_path: Path, method: str
) -> None:
    process = Forked(
        tmp_path / "log", *command(tmp_path), first=partial(killed_in, RunFolder, method)
    )
    assert process.ended() == -signal.SIGKILL
    folder = trained(*RUN, f"out={tmp_path}")
    assert folder.state == State.FINISHED
    assert folder.status["id"] == folder.path.name


def test_a_run_that_was_killed_while_it_was_cleared_is_not_taken_for_a_finished_one(
    tmp_path: Path,
) -> None:
    small = ("steps=5",)
    folder = trained(*small, f"out={tmp_path}")
    process = Forked(
        tmp_path / "log",
        *command(tmp_path, *small, "force=true"),
        first=killed_while_clearing,
    )
    assert process.ended() == -signal.SIGKILL
    assert trained(*small, f"out={tmp_path}").state == State.FINISHED
    assert last_step(folder) == 5
    assert checkpoint.steps(folder) == [5]


# -- disks ---------------------------------------------------------------------------------


def filled(disk: Path, kilobytes: int) -> Path:
    """A file that leaves so much room on a disk."""
    room = shutil.disk_usage(disk).free
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(room - 1024 * kilobytes))
    return ballast


@pytest.mark.parametrize(
    ("kilobytes", "more", "fails"),
    [
        (24, ("checkpoint_every=100000",), "metrics"),
        (56, ("log_every=100", "checkpoint_every=5"), "checkpoints"),
    ],
    ids=["metrics", "checkpoint"],
)
def test_a_full_disk_ends_a_run_with_a_sentence_and_it_goes_on_once_there_is_room(
    tmp_path: Path, small_disk: Disk, kilobytes: int, more: tuple[str, ...], fails: str
) -> None:
    disk = small_disk(4000)
    ballast, folder = filled(disk, kilobytes), folder_in(disk, *more)
    process = Forked(tmp_path / "log", *command(disk, *more))
    assert process.ended() == Exit.FAILED
    said = sentence(process)
    assert said.startswith(f"gp-lab: {folder.path}: ")
    assert "No space left on device at step " in said
    assert said.endswith("; the same command goes on once there is room")
    assert len(process.said) == 1
    if fails == "checkpoints":  # the one that did not fit made room for the reason
        assert folder.state == State.FAILED
        assert "No space left" in folder.status["why"]
        assert len(checkpoint.steps(folder)) in (1, 2)
    reached = last_step(folder)
    ballast.unlink()
    assert Forked(tmp_path / "log", *command(disk, *more)).ended() == Exit.OK
    assert reached < 150
    assert_same_run(folder, trained(*RUN, *more, f"out={tmp_path / 'whole'}"))


def test_a_run_that_cannot_begin_on_a_full_disk_says_so(tmp_path: Path, small_disk: Disk) -> None:
    disk = small_disk(100)
    filled(disk, 0)
    process = Forked(tmp_path / "log", *command(disk))
    assert process.ended() == Exit.BAD_INPUT
    assert sentence(process) == f"gp-lab: out={disk}: cannot write there (No space left on device)"


def test_outputs_that_can_only_be_read_are_read_and_not_written(
    tmp_path: Path, small_disk: Disk
) -> None:
    disk = small_disk(4000)
    trained("steps=5", f"out={disk}")
    folder = trained("steps=6", f"out={disk}")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

    def says(*arguments: str) -> tuple[int, list[str]]:
        process = Forked(tmp_path / "log", *arguments)
        return process.ended(), process.said

    status, said = says(*command(disk, "steps=6"))
    assert (status, said[-1]) == (Exit.OK, f"finished at step 6: {folder.path}")
    new = f"gp-lab: out={disk}: cannot write there (Read-only file system)"
    assert says(*command(disk, "steps=7")) == (Exit.BAD_INPUT, [new])
    locked = f"gp-lab: {folder.path}: cannot be locked (Read-only file system)"
    assert says("resume", str(folder.path), "steps=9") == (Exit.FAILED, [locked])
    status, (page,) = says("report", str(disk))
    assert status == Exit.FAILED
    assert page.endswith("Read-only file system")
    assert says("clean", str(disk), "--yes") == (Exit.OK, ["deleted 0 items, 0.0 MB"])


# -- memory --------------------------------------------------------------------------------


def little_memory() -> None:
    """From now on this process gets 200 MB more, and no more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 200_000_000
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def test_a_run_that_needs_more_memory_than_there_is_says_what_to_lower(tmp_path: Path) -> None:
    large = ("batch_size=1000000",)
    process = Forked(tmp_path / "log", *command(tmp_path, *large), first=little_memory)
    assert process.ended() == Exit.FAILED
    said = sentence(process)
    assert "out of memory" in said
    assert "at step 0; lower batch_size=1000000, precision=fp32 or the probes' counts" in said
    folder = folder_in(tmp_path, *large)
    assert folder.state == State.FAILED
    assert folder.status["why"].startswith("out of memory")


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), MemoryError()],
    ids=["GPU", "CPU"],
)
def test_memory_that_ends_in_a_probe_loses_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    undisturbed: RunFolder,
    error: Exception,
) -> None:
    """The error is the one that PyTorch raises on a GPU; there need not be one here."""

    def hungry(*_: object) -> dict:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Samples, "measure", hungry)
        assert main(command(tmp_path)) == Exit.FAILED
    said = capsys.readouterr().err.splitlines()[-1]
    folder = folder_in(tmp_path)
    assert said.startswith(f"gp-lab: {folder.path}: out of memory ")
    assert "at step 150; lower batch_size=16" in said
    assert folder.state == State.FAILED
    step, _ = final(folder)
    assert step == 150  # the one before was due at 140
    trained(*RUN, f"out={tmp_path}")
    assert_same_run(folder, undisturbed)


def test_an_illegal_memory_access_is_not_taken_for_too_little_memory() -> None:
    from gp_lab.errors import failure

    assert failure(RuntimeError("CUDA error: an illegal memory access was encountered")) is None
