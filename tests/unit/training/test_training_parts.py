"""The parts of the training loop by themselves: what each writes, and when it is due."""

import errno
import math
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lab import SMALL, config_of, trained

from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.identity import folder_of
from gp_lab.runs.lock import Taken
from gp_lab.runs.settings import Settings
from gp_lab.training import status
from gp_lab.training.checkpoints import Checkpoints
from gp_lab.training.engine import make_engine, threads_and_precision
from gp_lab.training.engine_selection import EngineSelector
from gp_lab.training.failures import advice
from gp_lab.training.metrics import MetricsLogger
from gp_lab.training.plan import plan
from gp_lab.training.probing import Probing
from gp_lab.training.progress import Progress
from gp_lab.training.ranks import ALONE, FolderOfAnotherRank, Ranks, SharedStopVote, StopVote
from gp_lab.training.replicas import Replica
from gp_lab.training.resuming import Apart
from gp_lab.training.setup import setup
from gp_lab.training.stacking import one_of
from gp_lab.training.stopping import Stop
from gp_lab.training.trainer import train

EVERY = ("log_every=3", "checkpoint_every=4", "probe.surface.every=5", "steps=10")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[list[Replica]]:
    """Two runs of one stack, with their folders open."""
    configs = [config_of(*EVERY, f"seed={seed}", f"out={tmp_path}") for seed in (0, 1)]
    replicas = [Replica(setup(config), RunFolder(folder_of(config))) for config in configs]
    for replica in replicas:
        replica.lock()
        replica.open()
    yield replicas
    for replica in replicas:
        replica.close()


class SecondOfTwo(Ranks):
    """A rank that another, which is not there, has gone before."""

    rank, world = 1, 2

    def gather(self, own: dict[str, Any]) -> dict[str, Any]:
        self.gathered = list(own)
        return {}


def finite_metrics(log: MetricsLogger, value: float) -> torch.Tensor:
    return torch.full((2, len(log.names)), value)


# -- metrics -------------------------------------------------------------------------------


def test_metrics_are_written_at_due_steps_and_headed_by_the_mean_of_the_runs(
    pair: list[Replica],
) -> None:
    log = MetricsLogger(pair)
    for step in range(1, 11):
        log.record(
            step, torch.stack([torch.full((len(log.names),), x) for x in (step, step + 2.0)])
        )
    log.write()
    log.write()  # nothing is left to write
    for replica, more in zip(pair, (0, 2), strict=True):
        lines = replica.folder.metrics()
        assert [line["step"] for line in lines] == [3, 6, 9, 10]
        assert [line["loss_d"] for line in lines] == [step + more for step in (3, 6, 9, 10)]
    assert log.headline["loss_d"] == "11"


def test_a_run_ends_at_its_first_number_that_is_none_and_the_others_go_on(
    pair: list[Replica],
) -> None:
    log = MetricsLogger(pair)
    for step in range(1, 7):
        metrics = finite_metrics(log, 1.0)
        if step >= 5:
            metrics[0, log.names.index("loss_g")] = math.nan
        log.record(step, metrics)
    log.write()
    assert [line["step"] for line in pair[0].folder.metrics()] == [3]
    assert [line["step"] for line in pair[1].folder.metrics()] == [3, 6]
    assert [replica.trains for replica in pair] == [False, True]
    status = pair[0].folder.status
    assert (status["state"], status["why"]) == (State.DIVERGED, "loss_g is nan at step 5")
    assert log.headline["loss_g"] == "1"  # of the one that trains


def test_parameters_that_are_not_finite_after_the_last_step_are_a_divergence(
    pair: list[Replica],
) -> None:
    _, state = Checkpoints(pair, ALONE).resume()
    next(iter(state["g"].values()))[1] = math.inf
    MetricsLogger(pair).check_last_update(10, state)
    assert [replica.diverged_at for replica in pair] == [None, 10]


# -- checkpoints ---------------------------------------------------------------------------


def test_checkpoints_are_due_by_their_key_and_saved_for_the_runs_that_train(
    pair: list[Replica],
) -> None:
    checkpoints = Checkpoints(pair, ALONE)
    step, state = checkpoints.resume()
    assert step == 0
    assert [s for s in range(1, 11) if checkpoints.due(s)] == [4, 8]
    pair[1].diverge(3, "a test")
    checkpoints.save(4, state)
    assert [checkpoint.steps(replica.folder) for replica in pair] == [[4], []]
    saved = checkpoint.load(pair[0].folder)
    assert saved is not None
    own = one_of(state, 0, 2)
    assert all(torch.equal(saved.state["d"][name], own["d"][name]) for name in own["d"])


def test_runs_resume_together_at_their_newest_common_step_or_say_that_they_cannot(
    pair: list[Replica],
) -> None:
    checkpoints = Checkpoints(pair, ALONE)
    _, state = checkpoints.resume()
    checkpoints.save(4, state)
    assert checkpoints.resume()[0] == 4
    Checkpoints(pair[:1], ALONE).save(8, one_of(state, 0, 2))
    with pytest.warns(UserWarning, match="goes on from step 4; 1 checkpoint passed over"):
        assert checkpoints.resume()[0] == 4
    for path in (pair[1].folder.path / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(Apart):
        checkpoints.resume()


def test_a_rank_that_is_not_the_main_one_saves_nothing(pair: list[Replica]) -> None:
    _, state = Checkpoints(pair, ALONE).resume()
    Checkpoints(pair, SecondOfTwo()).save(4, state)
    assert [checkpoint.steps(replica.folder) for replica in pair] == [[], []]


# -- probes --------------------------------------------------------------------------------


def test_probes_are_due_by_their_own_keys_and_leave_arrays_and_numbers(
    pair: list[Replica],
) -> None:
    probes = Probing(pair, ALONE)
    assert [step for step in range(11) if probes.due(step)] == [5, 10]
    _, state = Checkpoints(pair, ALONE).resume()
    next(iter(state["d"].values()))[1] = math.nan
    probes.measure(5, state)
    assert pair[0].folder.array_steps("surface") == [5]
    assert pair[0].folder.array_steps("samples") == []  # at the end only
    assert pair[1].folder.array_steps("surface") == []  # its parameters are no numbers


def test_probes_are_dealt_out_to_the_ranks_and_the_main_one_writes(pair: list[Replica]) -> None:
    second = SecondOfTwo()
    _, state = Checkpoints(pair, ALONE).resume()
    Probing(pair[:1], second).measure(10, one_of(state, 0, 2))
    due = list(pair[0].setup.probes)
    assert second.gathered == due[1::2]
    assert list((pair[0].folder.path / "arrays").iterdir()) == []


# -- status --------------------------------------------------------------------------------


def test_the_status_is_updated_once_in_so_many_seconds(
    pair: list[Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(status.time, "monotonic", lambda: clock[-1])
    writer = status.StatusWriter(pair, ALONE)
    writer.start(2, make_engine(pair[0].setup.game, "eager", "a test", 2), "local")
    found = pair[1].folder.status
    assert (found["state"], found["step"], found["stack"]) == (State.RUNNING, 2, 2)
    assert (found["engine"], found["engine_reason"]) == ("eager", "a test")
    assert (found["batch_norm"], found["stack_id"]) == ("local", pair[0].folder.status["id"])
    told = []
    for step, now, rate in ((4, 1001.0, 2.0), (5, 1002.0, 1.5), (6, 1004.0, 1.0)):
        clock.append(now)
        writer.update(step, rate)
        told.append((pair[1].folder.status["step"], pair[1].folder.status["rate"]))
    assert told == [(4, 2.0), (4, 2.0), (6, 1.0)]
    pair[0].diverge(6, "a test")
    writer.end(7, State.PREEMPTED, "stopped")
    ends = [replica.folder.status for replica in pair]
    assert [(end["state"], end["step"]) for end in ends] == [
        (State.DIVERGED, 6),
        (State.PREEMPTED, 7),
    ]


def test_a_failure_is_written_or_passed_over_where_the_disk_is_the_reason(
    pair: list[Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = status.StatusWriter(pair, ALONE)
    writer.fail("a reason")
    assert [r.folder.status["why"] for r in pair] == ["a reason"] * 2

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RunFolder, "set_status", full)
    writer.fail("another")
    assert [r.folder.status["why"] for r in pair] == ["a reason"] * 2


# -- the rest ------------------------------------------------------------------------------


def test_progress_that_is_not_shown_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for shown in (False, True):
        progress = Progress(shown)
        progress.write("a line")
        with progress.bar("a run", 3, 10) as line, progress.clock("compiling"):
            line.update()
        said = capsys.readouterr().err
        assert ("a line" in said, "a run" in said) == (shown, shown)
        assert "compiling" not in said  # this is no terminal


@pytest.mark.parametrize(
    ("error", "stack", "says"),
    [
        (MemoryError(), 1, "lower batch_size=64, precision=fp32 or the probes' counts"),
        (MemoryError(), 4, "batch_size=64, hydra.launcher.max_stack=4, precision=fp32"),
        (OSError(errno.ENOSPC, "No space"), 1, "No space at step 7; the same command goes on once"),
        (OSError(errno.EIO, "I/O"), 1, "I/O at step 7; the same command goes on from the last"),
    ],
)
def test_what_the_machine_cannot_do_comes_with_what_to_change(
    error: Exception, stack: int, says: str
) -> None:
    found = advice(error, Settings(), stack, 7)
    assert found is not None
    assert says in found


def test_an_error_of_the_code_has_no_advice() -> None:
    assert advice(ValueError("a bug"), Settings(), 1, 7) is None


def test_a_vote_to_stop_is_this_process_s_own_or_the_sum_of_all() -> None:
    stop = Stop()
    alone, shared = StopVote(stop), SharedStopVote(stop, torch.zeros(3))
    metrics = torch.tensor([1.0, 2.0])
    assert alone.cast() == ()
    assert torch.equal(alone.count(metrics), metrics)
    assert torch.equal(shared.cast()[0], torch.zeros(1))
    stop.ask(15)
    assert torch.equal(shared.cast()[0], torch.ones(1))
    assert (alone.reached, shared.reached) == (True, False)  # the others have not heard yet
    assert torch.equal(shared.count(torch.tensor([1.0, 2.0, 1.0])), metrics)
    assert shared.reached


def test_threads_are_what_they_were_after_a_run(pair: list[Replica]) -> None:
    before, game = torch.get_num_threads(), pair[0].setup.game
    with threads_and_precision(game, Settings(threads=3, precision="tf32")):
        assert torch.get_num_threads() == 3
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.allow_tf32
    with threads_and_precision(game, Settings()):
        assert torch.get_num_threads() == 1  # small networks
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cudnn.allow_tf32
    assert torch.get_num_threads() == before


# -- the plan ------------------------------------------------------------------------------


def test_a_planned_run_knows_whether_it_is_finished_and_what_it_began_with(
    tmp_path: Path,
) -> None:
    folder = trained("steps=2", f"out={tmp_path}", base=SMALL)
    config = config_of("steps=2", f"out={tmp_path}")
    (run,) = plan([config], None, ALONE)
    assert (run.folder.path, run.finished) == (folder.path, True)
    assert (run.result.state, run.result.step) == (State.FINISHED, 2)
    folder.set_status(State.FINISHED, batch_norm="local")
    assert (run.settings.batch_norm, run.batch_norm) == ("synchronised", "local")
    (longer,) = plan([config | {"steps": 3}], [folder], ALONE)
    assert not longer.finished
    (again,) = plan([config | {"force": True}], None, ALONE)
    assert (again.finished, again.batch_norm) == (False, "synchronised")


def test_a_rank_that_is_not_the_main_one_plans_with_folders_that_it_cannot_write(
    tmp_path: Path,
) -> None:
    (run,) = plan([config_of(f"out={tmp_path}")], None, SecondOfTwo())
    assert isinstance(run.folder, FolderOfAnotherRank)
    assert list(tmp_path.iterdir()) == []


# -- Bookkeeping that must be right whenever a process ends --------------------------------


def test_a_run_that_goes_back_below_where_it_was_finished_is_not_finished_there(
    pair: list[Replica],
) -> None:
    folder = pair[0].folder
    folder.append_metrics([{"step": step} for step in (3, 6)])
    folder.set_status(State.FINISHED, step=8)
    folder.set_status(State.RUNNING, step=9)  # it is extended, and its checkpoint is damaged
    pair[0].resume_from(8)
    assert folder.finished(8)
    pair[0].resume_from(4)
    assert not folder.finished(8)
    assert folder.status["step"] == 4
    assert [line["step"] for line in folder.metrics()] == [3]
    folder.set_status(State.FINISHED, step=6)
    assert folder.finished(6)
    assert not folder.finished(8)


def test_of_a_stack_only_the_run_that_another_process_trains_is_left(tmp_path: Path) -> None:
    words = ("steps=2", "log_every=1", f"out={tmp_path}")
    configs = [config_of(*words, f"seed={seed}", base=SMALL) for seed in range(3)]
    folders = [end.folder for end in train(configs, progress=False)]
    written, other = [folder.metrics() for folder in folders], RunFolder(folders[1].path)
    for folder in folders:
        folder.append_metrics([{"step": 3}])  # which a run that begins anew has no more
    other.lock()
    try:
        with pytest.raises(Taken, match="another process is training this run"):
            train([config | {"force": True} for config in configs], progress=False)
    finally:
        other.unlock()
    assert folders[0].metrics() == written[0]
    assert folders[1].metrics() == [*written[1], {"step": 3}]
    assert folders[2].metrics() == written[2]
    train([config | {"force": True} for config in configs], progress=False)  # no lock is left
    assert folders[1].metrics() == written[1]


def test_a_stop_that_was_asked_for_early_is_heard_before_anything_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Stop()

    def resume(checkpoints: Checkpoints) -> Any:
        stop.ask(signal.SIGTERM)
        return begun(checkpoints)

    begun = Checkpoints.resume
    monkeypatch.setattr(Checkpoints, "resume", resume)
    monkeypatch.setattr(EngineSelector, "select", lambda *_: pytest.fail("it compiles"))
    (end,) = train([config_of(*EVERY, f"out={tmp_path}")], progress=False, stop=stop)
    assert end.stopped
    assert end.folder.state == State.PREEMPTED
