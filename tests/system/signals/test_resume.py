"""Stopping, killing, resuming, stacking and moving runs changes no number."""

import math
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from lab import (
    PATIENCE,
    QUICK,
    SMALL,
    STACK,
    Forked,
    SignalAt,
    assert_same_run,
    config_of,
    environment,
    final,
    lab,
    last_step,
    once,
    overrides,
    signal_at,
    start,
    trained,
    wait_for,
)

from gp_lab.errors import LabError
from gp_lab.probes.base import View
from gp_lab.probes.plane import ValueSurface
from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.runs.identity import Config, folder_of
from gp_lab.training.probing import Probing
from gp_lab.training.trainer import train

STEPS = 300
EVERYTHING = (
    "penalty=max_gp",
    "constraint=spectral_norm",
    "schedule=linear",
    "schedule.over=500",
    "average=0.9",
    "d_steps=2",
    "probe=[surface,samples,held_out]",
    "probe.held_out.count=20",
    "probe.surface.every=50",
    "probe.surface.start=true",
    f"steps={STEPS}",
    "log_every=3",
    "checkpoint_every=7",
)
"""A run whose state has every part: carried points, constraint, average, two moments."""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    def make(out: Path) -> None:
        trained(*EVERYTHING, f"out={out}")

    (run,) = find_runs(once(tmp_path_factory, "uninterrupted", make))
    return run


def test_a_run_killed_twenty_times_at_random_moments_ends_as_if_it_had_never_been_killed(
    tmp_path: Path,
) -> None:
    rng = random.Random(seed := random.randrange(10**6))
    print(f"seed {seed}")  # shown by pytest when the test fails
    run = (*EVERYTHING, "steps=800", "checkpoint_every=3", "log_every=1")
    folder = RunFolder(folder_of(config_of(*run, f"out={tmp_path}")))
    log = tmp_path / "log"
    began = time.monotonic()
    for kill in range(20):
        process = Forked(log, "train", *overrides(*run, f"out={tmp_path}"))
        if kill % 4 == 0:  # at any moment of its beginning too
            life = 0.3 + (time.monotonic() - began) / (kill + 1)
            _wait_until(process, folder, last_step(folder) + 20, rng.uniform(0, life))
        else:
            _wait_until(process, folder, last_step(folder) + rng.randrange(1, 20))
            time.sleep(rng.uniform(0, 0.02))
        process.signal(signal.SIGKILL)
        assert process.ended() == -signal.SIGKILL, process.said
    assert 0 < last_step(folder) < 800
    assert trained(*run, f"out={tmp_path}").path == folder.path
    assert_same_run(folder, trained(*run, f"out={tmp_path / 'whole'}"))
    assert folder.half_written() == []


def _wait_until(process: Forked, folder: RunFolder, step: int, seconds: float = math.inf) -> None:
    end = time.monotonic() + seconds
    wait_for(lambda: last_step(folder) >= step or not process.alive or time.monotonic() > end)


@pytest.mark.parametrize(
    ("number", "state", "status"),
    [(signal.SIGTERM, State.PREEMPTED, 4), (signal.SIGINT, State.INTERRUPTED, 130)],
)
def test_a_run_that_is_asked_to_stop_saves_says_so_and_goes_on_bit_for_bit(
    tmp_path: Path, uninterrupted: RunFolder, number: signal.Signals, state: State, status: int
) -> None:
    folder = RunFolder(folder_of(config_of(*EVERYTHING, f"out={tmp_path}")))
    ended = lab(
        *("train", *overrides(*EVERYTHING, f"out={tmp_path}")),
        env=environment(tmp_path),
        signal_at=SignalAt(51, number),
    )
    assert ended.returncode == status, ended.stdout
    assert (folder.state, folder.status["why"]) == (state, f"stopped by {number.name}")
    assert final(folder)[0] == folder.status["step"] < STEPS
    trained(*EVERYTHING, f"out={tmp_path}")
    assert folder.state == State.FINISHED
    assert_same_run(folder, uninterrupted)


def test_a_compiled_run_that_was_killed_ends_as_if_it_had_never_been(
    tmp_path: Path, needs_compiler: None
) -> None:
    run = [*SMALL[2:], "compile=always", "steps=400", "log_every=3", "checkpoint_every=7"]
    run += ["architecture=fixed_gaussian", "architecture.width=8", "architecture.depth=1"]
    run += ["batch_size=16", "g_steps=0"]
    env = environment(tmp_path, TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "cache"))
    roots = [tmp_path / name for name in ("killed", "whole")]
    killed, whole = (
        RunFolder(folder_of(config_of(*run, f"out={root}", base=()))) for root in roots
    )
    dead = lab("train", *run, f"out={roots[0]}", env=env, signal_at=SignalAt(42, signal.SIGKILL))
    assert dead.returncode == -signal.SIGKILL, dead.stdout
    done = lab("train", "-m", *run, f"out={roots[0]},{roots[1]}", env=env)
    assert done.returncode == 0, done.stdout
    assert killed.status["engine"] == whole.status["engine"] == "compiled"
    assert killed.status["engine_reason"] == "as before the run was resumed"
    assert_same_run(killed, whole)


# -- damage --------------------------------------------------------------------------------

SHORT = ("steps=60", "log_every=3", "checkpoint_every=7", "probe.surface.every=9")


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    out = tmp_path_factory.mktemp("short")
    return trained(*SHORT, f"out={out}")


def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str, at: int) -> RunFolder:
    """A run that was left at a step as a kill leaves it: no word in status.json, no last save."""

    class Killed(BaseException):
        pass

    folder = RunFolder(folder_of(config_of(*overrides, f"out={tmp_path}")))
    append = RunFolder.append_metrics

    def killed_on_the_way(self: RunFolder, lines: list[dict]) -> None:
        append(self, lines)
        if lines and lines[-1]["step"] >= at:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append_metrics", killed_on_the_way)
        with pytest.raises(Killed):
            trained(*overrides, f"out={tmp_path}")
    return folder


@pytest.mark.parametrize(
    "damage", ["a flipped bit", "truncated", "emptied", "no checksum", "missing"]
)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: RunFolder, damage: str
) -> None:
    folder = stopped(tmp_path, monkeypatch, *SHORT, at=45)
    assert checkpoint.steps(folder) == [35, 42]
    last = folder.path / "checkpoints" / "step-00000042.pt"
    data = last.read_bytes()
    last_tensor = final(folder)[1]["d/hidden.0.linear.weight"].numpy().tobytes()
    if damage == "a flipped bit":
        middle = data.index(last_tensor) + 5
        last.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    elif damage == "truncated":
        last.write_bytes(data[:-100])
    elif damage == "emptied":
        last.write_bytes(b"")
    elif damage == "missing":
        last.unlink()
    else:
        last.with_suffix(".sha256").unlink()
    with pytest.warns(UserWarning, match=r"step-00000042\.pt: passed over"):
        found = checkpoint.load(folder)
    assert found is not None
    assert found[0] == 35
    with pytest.warns(UserWarning, match="passed over"):
        trained(*SHORT, f"out={tmp_path}")
    assert_same_run(folder, short)


def test_a_run_whose_checkpoints_are_all_damaged_starts_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: RunFolder
) -> None:
    folder = stopped(tmp_path, monkeypatch, *SHORT, at=45)
    for path in (folder.path / "checkpoints").glob("*.pt"):
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="no whole checkpoint is left: the run starts over"):
        again = stopped(tmp_path, monkeypatch, *SHORT, at=18)
    assert again.path == folder.path
    assert checkpoint.steps(folder) == [7, 14]  # the damaged ones do not push these out
    trained(*SHORT, f"out={tmp_path}")
    assert_same_run(folder, short)


def test_half_a_line_at_the_end_of_the_metrics_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: RunFolder
) -> None:
    folder = stopped(tmp_path, monkeypatch, *SHORT, at=45)
    with (folder.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 48, "loss_d": 0.1')
    assert last_step(folder) == 45
    trained(*SHORT, f"out={tmp_path}")
    assert_same_run(folder, short)


# -- stacked -------------------------------------------------------------------------------


def compare_stacked_and_alone(tmp_path: Path, tolerance: float, *overrides: str) -> None:
    def configs(name: str) -> list[dict]:
        return [config_of(*overrides, f"seed={s}", f"out={tmp_path / name}") for s in range(3)]

    together = train(configs("together"), progress=False)
    assert all(o.folder.status["stack"] == 3 for o in together)
    for outcome, config in zip(together, configs("alone"), strict=True):
        (alone,) = train([config], progress=False)
        assert alone.folder.status["stack"] == 1
        assert alone.folder.path.name == outcome.folder.path.name
        (_, a), (_, b) = final(outcome.folder), final(alone.folder)
        assert a.keys() == b.keys()
        for name in a:
            torch.testing.assert_close(
                a[name], b[name], rtol=tolerance, atol=tolerance, equal_nan=True
            )
        for line, other in zip(outcome.folder.metrics(), alone.folder.metrics(), strict=True):
            assert line == pytest.approx(other, abs=tolerance, rel=tolerance)


def test_stacked_runs_are_the_runs_alone_to_1e_9_over_50_steps_in_float64(tmp_path: Path) -> None:
    parts = [o for o in EVERYTHING if not o.startswith(("steps", "penalty"))]
    compare_stacked_and_alone(tmp_path, 1e-9, *parts, "steps=50", "precision=fp64")


def test_stacked_runs_are_the_runs_alone_to_1e_5_after_one_step_in_float32(tmp_path: Path) -> None:
    compare_stacked_and_alone(tmp_path, 1e-5, "steps=1", "optimizer=sgd")


def test_a_stack_that_was_stopped_goes_on_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def configs(name: str) -> list[dict]:
        return [config_of(*SHORT, f"seed={s}", f"out={tmp_path / name}") for s in range(2)]

    with monkeypatch.context() as patch:
        signal_at(30, patch)
        stopped_at = [o.step for o in train(configs("stopped"), progress=False)]
    assert stopped_at == [30, 30]
    for a, b in zip(
        train(configs("stopped"), progress=False),
        train(configs("whole"), progress=False),
        strict=True,
    ):
        assert_same_run(a.folder, b.folder)


def test_a_resumed_run_keeps_the_number_of_threads_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stopped(tmp_path, monkeypatch, *SHORT, "threads=3", at=30)
    assert folder.status["threads"] == 3
    before = torch.get_num_threads()
    trained(*SHORT, "threads=1", f"out={tmp_path}")
    assert (folder.state, folder.status["threads"]) == (State.FINISHED, 3)
    assert torch.get_num_threads() == before  # of the next run in this process


# -- moved and shared ----------------------------------------------------------------------


def test_a_run_renamed_inside_its_root_is_found_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: RunFolder
) -> None:
    folder = stopped(tmp_path, monkeypatch, *SHORT, at=30)
    name, run_hash = folder.status["id"], folder.path.name.rpartition("-")[2]
    renamed = folder.path.rename(folder.path.with_name(f"my_favourite-{run_hash}"))
    found = trained(*SHORT, f"out={tmp_path}")
    assert (found.path, found.status["id"]) == (renamed, name)
    assert [p.name for p in renamed.parent.iterdir()] == [renamed.name]
    assert_same_run(found, short)


def test_a_run_moved_elsewhere_keeps_its_id_and_is_resumed_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: RunFolder
) -> None:
    folder = stopped(tmp_path, monkeypatch, *SHORT, at=30)
    name = folder.status["id"]
    elsewhere = tmp_path / "elsewhere"
    moved = RunFolder(folder.path.rename(elsewhere))
    assert lab("resume", str(elsewhere), env=environment(tmp_path)).returncode == 0
    assert (moved.state, moved.status["id"]) == (State.FINISHED, name)
    assert not folder.path.exists()
    assert_same_run(moved, short)


def test_a_run_that_another_process_trains_is_refused_and_left_alone(tmp_path: Path) -> None:
    run = overrides("steps=100000000", "compile=never", "log_every=3", f"out={tmp_path}")
    folder = RunFolder(folder_of(config_of(*run)))
    process = start("train", *run, env=environment(tmp_path))
    try:
        wait_for(lambda: last_step(folder) >= 3 or process.poll() is not None)
        second = lab("train", *run, env=environment(tmp_path))
        assert second.returncode == 1
        sentence = f"gp-lab: {folder.path}: another process is training this run\n"
        assert second.stdout == sentence
        seen = last_step(folder)
        assert folder.state == State.RUNNING
        wait_for(lambda: last_step(folder) > seen)
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 4, output


def test_a_stack_that_is_refused_lets_go_of_the_runs_it_had_locked(tmp_path: Path) -> None:
    configs = [config_of("steps=5", f"seed={s}", f"out={tmp_path}") for s in range(2)]
    second = RunFolder(folder_of(configs[1]))
    second.path.mkdir(parents=True)
    second.lock()
    with pytest.raises(LabError, match="another process"):
        train(configs, progress=False)
    second.unlock()
    assert [str(o.state) for o in train(configs, progress=False)] == ["finished", "finished"]


# -- half written --------------------------------------------------------------------------


def full_disk(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_status_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained("steps=2", f"out={tmp_path}")
    before = (folder.path / "status.json").read_text()
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        folder.set_status(State.RUNNING, step=1)
    assert (folder.path / "status.json").read_text() == before


PROBED = (
    "probe=[surface,samples,modes]",
    "probe.modes.count=200",
    *(f"probe.{name}.every=5" for name in ("surface", "samples", "modes")),
)


@pytest.mark.parametrize("step", [10, 20])
@pytest.mark.parametrize(
    ("where", "name", "after"),
    [
        (ValueSurface, "measure", 1),  # of the second run
        (ValueSurface, "scalars", 1),
        (RunFolder, "write_arrays", 4),  # of the second run's second probe
        (RunFolder, "append_metrics", 0),
    ],
)
def test_what_was_trained_outlives_a_probe_that_fails(
    where: type, name: str, after: int, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state before the probe is saved, though no checkpoint was due; whoever goes on measures
    what is left, and leaves what a run would have that met no failure."""
    words = [*QUICK, *STACK, "steps=20", "checkpoint_every=1000", "precision=fp64", *PROBED]
    words += ["optimizer.lr=0.1", "keep_best=modes/w1"]
    stack = [[*words, f"seed={seed}"] for seed in (3, 2)]
    whole = _together([config_of(*one, f"out={tmp_path}/whole") for one in stack])
    assert checkpoint.steps(whole[1]) == [10, 15, 20]  # the best one, and the last two
    once, at, failures = getattr(where, name), 0, 0
    measure = Probing.measure

    def measuring(self: Probing, now: int, *rest: object) -> None:
        nonlocal at
        at = now
        measure(self, now, *rest)
        at = 0

    def failing(self: object, *given: object) -> object:
        nonlocal failures
        failures += at == step
        if failures == after + 1:
            failures = 100
            raise OSError("no space left on the device")
        return once(self, *given)

    monkeypatch.setattr(Probing, "measure", measuring)
    monkeypatch.setattr(where, name, failing)
    configs = [config_of(*one, f"out={tmp_path}/failed") for one in stack]
    with pytest.raises(OSError, match="no space"):
        _together(configs)
    failed = _together(configs)
    for a, b in zip(whole, failed, strict=True):
        assert_same_run(a, b)
        assert checkpoint.steps(a) == checkpoint.steps(b)


def _together(configs: list[Config]) -> list[RunFolder]:
    return [result.folder for result in train(configs, progress=False)]


def test_a_run_that_is_stopped_in_its_first_look_has_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*QUICK, "probe.surface.start=true", "probe=[surface,samples,modes]"]
    words += ["probe.modes.start=true", f"out={tmp_path}"]
    measure = ValueSurface.measure

    def stopped(self: ValueSurface, view: View) -> dict[str, np.ndarray]:
        os.kill(os.getpid(), signal.SIGTERM)
        return measure(self, view)

    with monkeypatch.context() as patch:
        patch.setattr(ValueSurface, "measure", stopped)
        folder = trained(*words)
    assert (folder.state, folder.status["step"]) == (State.PREEMPTED, 0)
    trained(*words)
    assert [line["step"] for line in folder.metrics() if "modes/w1" in line] == [0, 10]
