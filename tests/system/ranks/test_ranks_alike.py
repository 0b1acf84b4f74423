"""Ranks that were given different runs, code or versions end at once and say what differs."""

import multiprocessing
import signal
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
from lab import SMALL, Forked, config_of, free_port, trained, wait_for
from scripted import script, scripted_process

from gp_lab.data.contents import Contents
from gp_lab.errors import BadInput, Exit
from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.identity import Config, folder_of
from gp_lab.runs.kept import kept
from gp_lab.training import plan, rendezvous, setup
from gp_lab.training.stopping import StoppedEarly

# How runs on two ranks end: processes that nobody watches over, as under srun

RUN = (*SMALL, "batch_size=15", "log_every=5", "checkpoint_every=10")


Fault = Callable[[int], object]
"""What is done in each rank's process, which is told its number, before the command."""


def rank_of_two(
    out: Path, rank: int, port: int, *arguments: str, fault: Fault | None = None
) -> Forked:
    where = {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
             "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1", "HOME": str(out)}  # fmt: skip
    file = out / f"rank-{rank}.txt"
    return Forked(file, *arguments, first=partial(a_rank, rank, fault), **where)


def a_rank(rank: int, fault: Fault | None) -> None:
    torch.set_num_threads(1)
    multiprocessing.process._parent_process = None  # nobody's worker, as under srun
    if fault is not None:
        fault(rank)


def two_ranks(
    out: Path, *commands: tuple[str, ...], fault: Fault | None = None
) -> list[tuple[int, list[str]]]:
    """(exit status, what it said) of each of two ranks, which run a command each, or the same."""
    port = free_port()
    processes = [
        rank_of_two(out, rank, port, *commands[min(rank, len(commands) - 1)], fault=fault)
        for rank in range(2)
    ]
    return [(process.ended(), spoken(process)) for process in processes]


def spoken(process: Forked) -> list[str]:
    """What a rank says itself; transport's own warnings are silenced where it is imported later."""
    return [line for line in process.said if line.startswith("gp-lab: ")]


def command(out: Path, *overrides: str, verb: str = "train") -> tuple[str, ...]:
    kept = [o for o in RUN if o.partition("=")[0] not in {w.partition("=")[0] for w in overrides}]
    return (verb, *kept, f"out={out}", *overrides)


@pytest.fixture
def begun(tmp_path: Path) -> RunFolder:
    """A run of 40 steps, of which 20 are done, in the root `out`."""
    folder = trained("steps=20", f"out={tmp_path / 'out'}", base=RUN)
    folder.write_config(folder.config | {"steps": 40})
    folder.set_status(State.INTERRUPTED, step=20)
    # Its name is that of the longer run, which the same command asks for.
    longer = folder_of(config_of("steps=40", f"out={tmp_path / 'out'}", base=RUN))
    return RunFolder(folder.path.rename(longer))


def untouched(folder: RunFolder) -> bool:
    return [line["step"] for line in folder.metrics()][-1] == 20


def ended(folder: RunFolder) -> tuple[str, str]:
    return folder.status["state"], folder.status["why"]


@pytest.mark.parametrize(
    ("zero", "one", "says"),
    [
        ((), ("seed=1",), "rank 1 has seed=1, rank 0 seed=0"),
        ((), ("steps=60",), "rank 1 has steps=60, rank 0 steps=40"),
        ((), ("architecture.width=16",), "rank 1 has architecture.width=16, rank 0 archi"),
        ((), ("-m", "seed=0,1"), "rank 1 has 2 runs to train, rank 0 1"),
    ],
    ids=["seed", "steps", "width", "number of runs"],
)
def test_ranks_with_different_commands_end_at_once_and_train_nothing(
    begun: RunFolder, tmp_path: Path, zero: tuple[str, ...], one: tuple[str, ...], says: str
) -> None:
    out = tmp_path / "out"
    commands = command(out, "steps=40", *zero), command(out, *({"steps=40"} - {*one}), *one)
    if one[0].startswith("steps"):
        commands = commands[0], command(out, *one)
    (status, said), (other, nothing) = two_ranks(tmp_path, *commands)
    assert (status, other) == (Exit.BAD_INPUT, Exit.BAD_INPUT), said
    assert len(said) == 1
    assert said[0].startswith(f"gp-lab: {says}")
    assert nothing == []
    assert ended(begun) == (State.FAILED, said[0].removeprefix("gp-lab: "))
    assert untouched(begun)
    assert [path.name for path in (out / "runs").iterdir()] == [begun.path.name]


def test_a_sweep_of_which_one_rank_has_fewer_runs_left_trains_none(tmp_path: Path) -> None:
    zero, one = (command(tmp_path, "-m", "steps=10", f"seed={n}") for n in ("0,1,2", "0,1"))
    (status, said), (other, _) = two_ranks(tmp_path, zero, one)
    assert (status, other) == (Exit.BAD_INPUT, Exit.BAD_INPUT)
    assert "rank 1 has 2 runs to train, rank 0 3" in said[-1]
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_rank_that_finds_nothing_left_to_train_is_not_waited_for(tmp_path: Path) -> None:
    trained("steps=10", f"out={tmp_path / 'done'}", base=RUN)
    zero, one = (command(tmp_path / out, "-m", "steps=10") for out in ("new", "done"))
    (status, said), (other, _) = two_ranks(tmp_path, zero, one)
    assert (status, other) == (Exit.BAD_INPUT, Exit.BAD_INPUT)
    assert "rank 1 has 0 runs to train, rank 0 1" in said[-1]


@pytest.mark.parametrize("wrong", [0, 1])
@pytest.mark.parametrize("override", ["penalty=nope", "batch_size=9000000"])
def test_what_one_rank_refuses_before_they_meet_ends_both(
    begun: RunFolder, tmp_path: Path, wrong: int, override: str
) -> None:
    good = command(tmp_path / "out", "-m", "steps=40", "dataset.size=100")
    bad = command(tmp_path / "out", "-m", "steps=40", "dataset.size=100", override)
    commands = (bad, good) if wrong == 0 else (good, bad)
    (status, said), (other, nothing) = two_ranks(tmp_path, *commands)
    assert (status, other) == (Exit.BAD_INPUT, Exit.BAD_INPUT), said
    prefix = "gp-lab: rank 1: " if wrong else "gp-lab: "
    assert [line.startswith(prefix + override) for line in said] == [True]
    assert nothing == []


def no_setup(on: int, error: Exception, seed: int | None, rank: int) -> None:
    """On one rank, the parts of a run (of a seed) cannot be made."""
    real = setup.setup

    def fail(config: Config, contents: Contents | None = None) -> object:
        if seed in (None, config["seed"]):
            raise error
        return real(config, contents)

    if rank == on:
        plan.setup = fail  # type: ignore[assignment]


@pytest.mark.parametrize("wrong", [0, 1])
@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (BadInput("dataset.root=x: nothing there"), Exit.BAD_INPUT, "dataset.root=x: nothing"),
        (ImportError("no such module"), Exit.FAILED, "ImportError: no such module"),
        (StoppedEarly("stopped while it waited"), Exit.PREEMPTED, "stopped while it waited"),
    ],
    ids=["bad input", "error", "stopped"],
)
def test_an_error_on_one_rank_before_the_folder_is_opened_is_written_there(
    begun: RunFolder, tmp_path: Path, wrong: int, error: Exception, status: Exit, says: str
) -> None:
    fault = partial(no_setup, wrong, error, None)
    ends = two_ranks(tmp_path, command(tmp_path / "out", "steps=40"), fault=fault)
    assert [end for end, _ in ends] == [status, status], ends
    state, why = ended(begun)
    assert state == (State.PREEMPTED if status == Exit.PREEMPTED else State.FAILED)
    assert why.startswith(f"rank {wrong}: {says}")
    assert untouched(begun)


def test_a_later_run_of_a_sweep_that_fails_on_one_rank_says_why(tmp_path: Path) -> None:
    sweep = command(tmp_path, "-m", "steps=10", "seed=0,1,2")
    runs = {seed: folder_of(config_of("steps=10", f"seed={seed}", f"out={tmp_path}", base=RUN))
            for seed in range(3)}  # fmt: skip
    made = RunFolder(runs[1])
    made.path.mkdir(parents=True)
    made.create(config_of("steps=10", "seed=1", f"out={tmp_path}", base=RUN), runs[1].name)
    (status, said), (other, _) = two_ranks(
        tmp_path, sweep, fault=partial(no_setup, 1, OSError("no such disk"), 1)
    )
    assert (status, other) == (Exit.FAILED, Exit.FAILED), said
    assert ended(RunFolder(runs[0])) == (State.FINISHED, "")
    assert ended(made) == (State.FAILED, "rank 1: OSError: no such disk")
    assert not runs[2].exists()


def test_a_rank_that_resumes_for_longer_than_the_other_is_named(
    begun: RunFolder, tmp_path: Path
) -> None:
    resume = ("resume", str(begun.path))
    (status, said), (other, _) = two_ranks(tmp_path, (*resume, "steps=60"), (*resume, "steps=80"))
    assert (status, other) == (Exit.BAD_INPUT, Exit.BAD_INPUT)
    assert said[0].startswith("gp-lab: rank 1 has steps=80, rank 0 steps=60")
    assert begun.config["steps"] == 40
    assert untouched(begun)


def test_ranks_that_agree_after_that_go_on_with_the_run(begun: RunFolder, tmp_path: Path) -> None:
    begun.set_status(State.FAILED, why="rank 1 has seed=1, rank 0 seed=0")
    ends = two_ranks(tmp_path, command(tmp_path / "out", "steps=40"))
    assert [status for status, _ in ends] == [Exit.OK, Exit.OK], ends
    assert ended(begun) == (State.FINISHED, "")
    assert begun.metrics()[-1]["step"] == 40


def waits(path: Path, late: int, rank: int) -> None:
    """Ranks soon say for whom they wait; one of them comes once that has been said."""
    rendezvous.SAYING = 0.2
    if rank == late:
        wait_for(lambda: path.exists() and f"for rank {late}" in path.read_text())


@pytest.mark.parametrize("late", [0, 1])
def test_a_rank_that_waits_says_for_whom(tmp_path: Path, late: int) -> None:
    fault = partial(waits, tmp_path / f"rank-{1 - late}.txt", late)
    ends = two_ranks(tmp_path, command(tmp_path, "steps=5"), fault=fault)
    assert [status for status, _ in ends] == [Exit.OK, Exit.OK], ends
    (said, *_) = ends[1 - late][1]
    assert said.startswith(f"gp-lab: rank {1 - late} of 2 waits at 127.0.0.1:")
    assert f" for rank {late};" in said


def test_a_port_that_is_taken_is_named_and_the_reason_written(
    begun: RunFolder, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        process = rank_of_two(tmp_path, 0, port, *command(tmp_path / "out", "steps=40"))
        assert process.ended() == Exit.FAILED
    (said,) = spoken(process)
    assert said.startswith(f"gp-lab: rank 0 cannot reach 127.0.0.1:{port}")
    assert ended(begun)[1].startswith(f"rank 0 cannot reach 127.0.0.1:{port}")


def signalled(_rank: int) -> None:
    """A rank gets SIGTERM while it waits for the others."""
    look = rendezvous.Patience.look

    def look_and_be_told(self: rendezvous.Patience, missing: Callable[[], Sequence[int]]) -> None:
        signal.raise_signal(signal.SIGTERM)
        look(self, missing)

    rendezvous.Patience.look = look_and_be_told  # type: ignore[method-assign]


def test_a_rank_that_is_stopped_before_they_begin_leaves_the_run_preempted(
    begun: RunFolder, tmp_path: Path
) -> None:
    sweep = command(tmp_path / "out", "-m", "steps=40")
    process = rank_of_two(tmp_path, 0, free_port(), *sweep, fault=signalled)
    assert process.ended() == Exit.PREEMPTED
    why = "stopped by SIGTERM while it waited for the other ranks"
    assert spoken(process) == [f"gp-lab: {why}"]
    assert ended(begun) == (State.PREEMPTED, f"rank 0: {why}")
    assert untouched(begun)


def test_several_ranks_keep_the_checkpoints_that_one_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probes = ("probe=[surface,samples,modes]", "probe.modes.every=5")
    words = (*probes, "steps=20", "keep_every=15", "keep_best=modes/w1")
    ended = two_ranks(tmp_path, command(tmp_path / "two", *words), fault=scripted_process)
    assert [status for status, _ in ended] == [Exit.OK] * 2, ended
    two = RunFolder(folder_of(config_of(f"out={tmp_path / 'two'}", *words, base=RUN)))
    script(monkeypatch)
    one = trained(*words, f"out={tmp_path / 'one'}", base=RUN)
    assert kept(two) == kept(one)
    assert kept(two)["best"]["modes/w1"]["step"] < 20
    assert checkpoint.steps(two) == checkpoint.steps(one)
