"""What keeps a run from going on loses nothing: only damage is passed over, and it is set aside."""

import hashlib
import io
import os
import re
import resource
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from damaged import RUN, contents, newest
from lab import Forked, assert_same_run, final, overrides, signal_at, trained

from gp_lab.cli import main
from gp_lab.errors import Exit, LabError
from gp_lab.runs.cleaning import delete, sweepings
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.identity import folder_of
from gp_lab.training.load import load


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(*RUN, f"out={tmp_path_factory.mktemp('whole')}")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The same run, stopped at step 18: its checkpoints are 15 and 18."""
    with pytest.MonkeyPatch.context() as patch:
        signal_at(18, patch)
        return trained(*RUN, f"out={tmp_path_factory.mktemp('stopped')}")


def rewritten(run: RunFolder, change: Callable[[dict], object]) -> None:
    """The newest checkpoint, changed, with a checksum that is right."""
    path = newest(run)
    saved = torch.load(path, weights_only=True)
    change(saved)
    buffer = io.BytesIO()
    torch.save(saved, buffer)
    path.write_bytes(buffer.getvalue())
    path.with_suffix(".sha256").write_text(hashlib.sha256(buffer.getvalue()).hexdigest())


def said_by_resume(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence with which resuming fails; all files are as they were."""
    before = contents(run.path)
    assert main(["resume", str(run.path), "steps=40"]) == Exit.FAILED
    assert contents(run.path) == before
    return capsys.readouterr().err.splitlines()[-1].removeprefix("gp-lab: ")


# -- what is no damage ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        PermissionError(13, "Permission denied"),
        OSError(5, "Input/output error"),
        OSError(116, "Stale file handle"),
    ],
    ids=lambda error: type(error).__name__ + str(error)[:12],
)
def test_a_checkpoint_that_cannot_be_read_now_is_left_alone(
    run: RunFolder,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    whole: RunFolder,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    for function in ("gp_lab.runs.checksum.read", "torch.load"):
        with monkeypatch.context() as patch:
            patch.setattr(function, fails)
            said = said_by_resume(run, capsys)
        assert said.startswith(str(newest(run)))
        assert "nothing is changed" in said
        assert run.state == State.FAILED
    assert main(["resume", str(run.path)]) == Exit.OK
    assert_same_run(run, whole)


def test_memory_that_is_short_for_a_moment_costs_nothing(tmp_path: Path) -> None:
    """A real limit on the address space, in a process of its own."""
    run = (*RUN, "steps=5", "architecture.width=2000", "architecture.depth=3", "compile=never")
    folder = trained(*run, f"out={tmp_path}")
    size = newest(folder).stat().st_size
    before = contents(folder.path)
    limited = partial(address_space_for, size // 2)
    process = Forked(tmp_path / "log", "resume", str(folder.path), "steps=6", first=limited)
    assert process.ended() != Exit.OK
    assert "memory" in process.said[-1]
    assert contents(folder.path) == before
    assert folder.finished(5)


def address_space_for(bytes_: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + bytes_
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


@pytest.mark.parametrize("made", [os.mkfifo, os.mkdir])
def test_something_else_in_the_place_of_a_checkpoint_stops_with_a_sentence(
    run: RunFolder, capsys: pytest.CaptureFixture[str], made: Callable[[Path], None]
) -> None:
    path = newest(run)
    path.unlink()
    made(path)
    assert str(path) in said_by_resume(run, capsys)
    with pytest.raises(LabError, match="cannot be read"):
        load(run.path)


def test_a_state_of_another_shape_or_with_other_entries_is_not_this_codes(
    run: RunFolder, capsys: pytest.CaptureFixture[str], whole: RunFolder
) -> None:
    kept = contents(run.path)

    def another_shape(saved: dict) -> None:
        name = next(iter(saved["state"]["d"]))
        saved["state"]["d"][name] = torch.zeros(3)

    def another_key(saved: dict) -> None:
        saved["state"]["momentum_of_tomorrow"] = torch.zeros(())

    def none_of_a_net(saved: dict) -> None:
        del saved["state"]["g"]

    for change in (another_shape, another_key, none_of_a_net):
        rewritten(run, change)
        said = said_by_resume(run, capsys)
        assert "than this run's: other code, or another version of PyTorch, wrote it" in said
        for path, data in kept.items():
            Path(path).write_bytes(data)
    assert main(["resume", str(run.path)]) == Exit.OK
    assert_same_run(run, whole)


def test_a_format_of_tomorrow_is_refused_with_what_to_do(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    rewritten(run, lambda saved: saved.clear() or saved.update(format=2, everything="else"))
    said = said_by_resume(run, capsys)
    assert "of format 2, and this gp_lab reads 1; go on with the version that wrote it" in said
    run.set_status(State.INTERRUPTED, format=7)
    before = contents(run.path)
    assert main(["resume", str(run.path)]) == Exit.BAD_INPUT
    assert "a folder of format 7" in capsys.readouterr().err
    assert contents(run.path) == before


# -- what is damage ------------------------------------------------------------------------


def test_a_damaged_checkpoint_is_set_aside_and_named(run: RunFolder, whole: RunFolder) -> None:
    damaged = newest(run)
    damaged.write_bytes(data := damaged.read_bytes()[:-7])
    with pytest.warns(UserWarning, match="passed over") as said:
        assert main(["resume", str(run.path)]) == Exit.OK
    aside = run.path / "set-aside" / "1"
    last = str(said[-1].message)
    assert last == f"{run.path}: goes on from step 15; 1 checkpoint passed over, now in {aside}"
    assert (aside / "checkpoints" / damaged.name).read_bytes() == data
    assert (aside / "checkpoints" / f"{damaged.stem}.sha256").exists()
    assert_same_run(run, whole)


def test_all_that_a_run_wrote_is_set_aside_where_it_has_to_begin_anew(
    run: RunFolder, whole: RunFolder
) -> None:
    for path in (run.path / "checkpoints").glob("*.pt"):
        path.write_bytes(b"damaged")
    before = (run.path / "metrics.jsonl").read_bytes()
    with pytest.warns(UserWarning, match="the run starts over; what it wrote is in"):
        assert main(["resume", str(run.path)]) == Exit.OK
    aside = run.path / "set-aside" / "1"
    assert (aside / "metrics.jsonl").read_bytes() == before
    assert len(list((aside / "checkpoints").glob("*.pt"))) == 2
    assert_same_run(run, whole)
    # What is set aside later is not mixed with it.
    newest(run).write_bytes(b"damaged again")
    with pytest.warns(UserWarning, match=re.escape(str(run.path / "set-aside" / "2"))):
        assert main(["resume", str(run.path), "steps=35"]) == Exit.OK
    deleted = delete(sweepings(run.path.parents[1]))
    assert run.path / "set-aside" in [item.path for item in deleted]
    assert not (run.path / "set-aside").exists()
    assert final(run)[0] == 35


def test_checkpoints_that_somebody_took_away_are_missed(run: RunFolder, whole: RunFolder) -> None:
    shutil.rmtree(run.path / "checkpoints")
    with pytest.warns(UserWarning, match="the run starts over"):
        assert main(["resume", str(run.path)]) == Exit.OK
    assert (run.path / "set-aside" / "1" / "metrics.jsonl").exists()
    assert_same_run(run, whole)


def test_reading_a_run_passes_over_damage_and_moves_nothing(run: RunFolder) -> None:
    newest(run).write_bytes(b"damaged")
    before = contents(run.path)
    with pytest.warns(UserWarning, match="passed over"):
        assert load(run.path).step == 15
    assert contents(run.path) == before


def test_a_damaged_status_can_be_moved_away_and_the_run_goes_on(
    run: RunFolder, capsys: pytest.CaptureFixture[str], whole: RunFolder
) -> None:
    (run.path / "status.json").write_bytes(b"{half")
    before = contents(run.path)
    assert main(["resume", str(run.path)]) == Exit.BAD_INPUT
    assert "without it, moved away, the run goes on" in capsys.readouterr().err
    assert contents(run.path) == before
    (run.path / "status.json").unlink()
    assert main(["resume", str(run.path)]) == Exit.OK
    assert (run.status["id"], run.state) == (run.path.name, State.FINISHED)
    assert_same_run(run, whole)


# -- extensions, and cleaning --------------------------------------------------------------


def test_an_extension_that_is_stopped_leaves_a_finished_run_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained(*RUN, f"out={tmp_path}")
    with monkeypatch.context() as patch:
        signal_at(36, patch, signal.SIGINT)
        assert main(["resume", str(folder.path), "steps=60"]) == Exit.INTERRUPTED
    assert (folder.state, folder.status["finished_at"]) == (State.INTERRUPTED, 30)
    assert not sweepings(tmp_path)  # nothing to clean away
    main(["status", str(tmp_path)])
    assert "finished at 30" in capsys.readouterr().out
    command = ["train", *overrides(*RUN, f"out={tmp_path}")]
    assert main(command) == Exit.OK
    assert f"finished at step 30: {folder.path}" in capsys.readouterr().out
    assert main(["resume", str(folder.path), "steps=60"]) == Exit.OK
    assert (folder.status["step"], folder.status["finished_at"]) == (60, 60)


def test_an_extension_that_was_killed_is_no_run_to_be_cleaned_away(
    tmp_path: Path,
) -> None:
    folder = trained(*RUN, f"out={tmp_path}")
    folder.set_status(State.RUNNING, step=33)
    assert not sweepings(tmp_path)
    assert folder.finished(30)
    assert not folder.finished(31)


def kill_in(function: str) -> None:
    def killed(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(shutil, function, killed)


def test_a_clean_that_is_killed_leaves_no_half_run(run: RunFolder, whole: RunFolder) -> None:
    root = run.path.parents[1]
    run.set_status(State.FAILED)
    log = root.parent / "log"
    process = Forked(log, "clean", str(root), "--yes", first=partial(kill_in, "rmtree"))
    assert process.ended() == -signal.SIGKILL
    assert not run.path.exists()
    (left,) = sweepings(root)
    assert left.why == "half deleted"
    again = trained(*RUN, f"out={root}")  # it begins anew
    assert_same_run(again, whole)
    assert [item.why for item in delete(sweepings(root))][-1] == "half deleted"
    assert [path.name for path in (root / "runs").iterdir()] == [again.path.name]


def test_a_run_that_is_cleaned_away_while_it_starts_is_made_again(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is gone between the moment that it is opened and the one that it is locked."""
    real, times = os.fstat, []

    def moved_meanwhile(file: int) -> os.stat_result:
        if not times:
            times.append(file)
            shutil.rmtree(run.path)
        return real(file)

    folder = RunFolder(folder_of(run.config | {"out": str(run.path.parents[1])}))
    assert folder.path == run.path
    monkeypatch.setattr("gp_lab.runs.lock.os.fstat", moved_meanwhile)
    folder.make(run.path.parents[1])
    assert times
    assert folder.path.is_dir()
    assert RunFolder(folder.path).taken
    folder.unlock()
