"""How ranks find each other: what is said of those that do not come, and when it is given up."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import BARE, PATIENCE, environment, free_port, lab_command
from on_slurm import slurm as slurm  # the fixture

from gp_lab.errors import Exit, LabError
from gp_lab.runs.folder import State, find_runs
from gp_lab.training import rendezvous
from gp_lab.training.process_group import ProcessGroup, ended_beside
from gp_lab.training.rendezvous import Missing, Patience, named
from gp_lab.training.stopping import Stop, StoppedEarly

RUN = (*BARE, "steps=20", "compile=never")


def place(rank: int, world: int = 4, port: int = 1234, step: str = "") -> ProcessGroup:
    return ProcessGroup(rank, world, rank, world, "127.0.0.1", port, step=step)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits looks and says so at once."""
    monkeypatch.setattr(rendezvous, "SAYING", 0.0)
    monkeypatch.setattr(rendezvous, "LOOKING", 0.0)


def test_it_is_said_within_a_minute_and_waited_for_longer() -> None:
    assert rendezvous.LOOKING < rendezvous.SAYING <= 60 < rendezvous.JOINING


@pytest.mark.parametrize(
    ("missing", "words"),
    [([3], "rank 3"), ([1, 2], "ranks 1, 2"), (range(20), "ranks 0, 1, 2, 3, 4, 5, 6, 7 and 12")],
)
def test_missing_ranks_are_named_and_many_are_counted(missing: list[int], words: str) -> None:
    assert named(missing).startswith(words)


@pytest.mark.parametrize(
    ("rank", "missing", "speaks"),
    [(0, [1, 3], True), (2, [1, 3], False), (1, [0], True), (2, [0, 1], True), (3, [0, 1], False)],
)
def test_the_first_of_those_who_have_come_says_once_who_is_missing_and_waits_on(
    rank: int,
    missing: list[int],
    speaks: bool,
    soon: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    patience = Patience(place(rank), None)
    for _ in range(3):
        patience.look(lambda: missing)
    said = capsys.readouterr().err.strip()
    sentence = (
        f"gp-lab: rank {rank} of 4 waits at 127.0.0.1:1234 for {named(missing)};"
        " it gives up after 10 minutes"
    )
    assert said == (sentence if speaks else "")


def test_it_is_given_up_with_the_names_of_those_who_did_not_come(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rendezvous, "JOINING", 0.0)
    sentence = "rank 0 of 4 did not come within 0 minutes to 127.0.0.1:1234"
    with pytest.raises(LabError, match=sentence):
        Patience(place(1), None).look(lambda: [0])
    assert sentence in capsys.readouterr().err  # rank 0, which speaks for all, is not there


# -- a store that cannot be reached --------------------------------------------------------


@pytest.fixture
def deaf() -> Iterator[int]:
    """The port of a server of another kind, which takes what comes and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("there", [True, False])
def test_a_rank_that_waits_for_the_store_says_so_and_hears_signals(
    there: bool, deaf: int, soon: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nobody listens, and where somebody else does, who never answers."""
    stop = Stop()
    patience = Patience(place(1, 2, deaf if there else free_port()), stop)
    look = patience.look

    def look_and_stop(missing: Callable[[], list[int]]) -> None:
        look(missing)
        if patience.told:
            stop.ask(signal.SIGTERM)

    patience.look = look_and_stop  # type: ignore[method-assign,assignment]
    with pytest.raises(StoppedEarly, match="stopped by SIGTERM while it waited for the other ra"):
        patience.wait_for_store()
    assert "gp-lab: rank 1 of 2 waits at 127.0.0.1:" in (said := capsys.readouterr().err)
    assert "for rank 0; it gives up after 10 minutes" in said


def test_a_rank_that_is_stopped_as_it_connects_is_out_of_the_stores_code_before_python_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread that comes out of C++ while Python ends aborts it: SIGABRT, and no sentence."""
    inside = threading.Event()
    ended: list[str] = []

    def slow(*_: object, **__: object) -> None:
        inside.set()
        time.sleep(0.3)
        ended.append("connected")

    monkeypatch.setattr("torch.distributed.TCPStore", slow)
    patience = Patience(place(0, 2), None)
    monkeypatch.setattr(patience, "look", lambda _: stopped_once(inside))
    with pytest.raises(StoppedEarly):
        patience.wait_for_store()
    assert ended == ["connected", "connected"]


def stopped_once(inside: threading.Event) -> None:
    inside.wait()
    raise StoppedEarly("stopped by SIGTERM")


def test_a_port_that_is_taken_is_one_sentence(deaf: int) -> None:
    with pytest.raises(LabError, match=rf"rank 0 cannot reach 127.0.0.1:{deaf} \("):
        Patience(place(0, 2, deaf), None).wait_for_store()


def test_ranks_that_meet_at_different_ports_both_say_where_they_wait(tmp_path: Path) -> None:
    script = (
        "import sys; from gp_lab.training import rendezvous; rendezvous.SAYING = 0;"
        "from gp_lab.cli import entry; sys.argv = ['gp-lab', *sys.argv[1:]]; entry()"
    )
    ports = [free_port(), free_port()]
    waiting = [
        subprocess.Popen(
            [sys.executable, "-c", script, "train", *RUN, f"out={tmp_path}"],
            stderr=subprocess.PIPE,
            text=True,
            env=environment(
                tmp_path,
                RANK=str(rank),
                WORLD_SIZE="2",
                MASTER_ADDR="127.0.0.1",
                MASTER_PORT=str(port),
            ),
        )
        for rank, port in enumerate(ports)
    ]
    for rank, (process, port) in enumerate(zip(waiting, ports, strict=True)):
        assert process.stderr is not None
        said = next(line for line in process.stderr if f"for rank {1 - rank};" in line)
        assert f"rank {rank} of 2 waits at 127.0.0.1:{port} for" in said
        process.kill()
        process.communicate()


# -- tasks of Slurm that have ended --------------------------------------------------------


def listpids(folder: Path, text: str) -> dict[str, str]:
    """An environment in which Slurm lists these processes of a step."""
    program = folder / "scontrol"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
    program.chmod(0o755)
    return {"SLURM_GTIDS": "4,5,6"}


HEAD = "PID      JOBID    STEPID   LOCALID GLOBALID"


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        (f"{HEAD}\n11 7 0 0 4\n12 7 0 1 5\n13 7 0 2 6\n99 7 0 - -", set()),
        (f"{HEAD}\n11 7 0 0 4\n13 7 0 2 6", {5}),
        (HEAD, set()),  # it knows of none: this one lives, so it knows nothing
        ("slurm_load: error", set()),
    ],
)
def test_slurm_is_asked_which_tasks_beside_this_one_have_ended(
    text: str, ended: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = listpids(tmp_path, text)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert ended_beside(place(4, 8, step="7.0"), variables) == ended
    assert ended_beside(place(4, 8), variables) == set()  # torchrun's ranks are no tasks


def test_a_task_is_given_up_when_it_is_gone_twice_in_a_row(
    soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have come between the two questions, who is here and who has ended."""
    answers = iter([{1}, set(), {1}, {1}])
    monkeypatch.setattr(rendezvous, "ended_beside", lambda _: next(answers))
    patience = Patience(place(0, step="7.0"), None)
    for _ in range(3):
        patience.look(lambda: [1, 2])
    with pytest.raises(Missing, match=r"rank 1 of 4 ended before coming to 127\.0\.0\.1:1234"):
        patience.look(lambda: [1, 2])


@pytest.mark.parametrize("gone", [0, 1])
def test_a_task_of_a_step_that_does_something_else_is_named_by_the_other(
    gone: int, slurm: None, tmp_path: Path
) -> None:
    command = " ".join(lab_command("train", *(f"'{o}'" for o in RUN), f"out={tmp_path / 'out'}"))
    tasks = tmp_path / "tasks"
    tasks.write_text(f"{gone} true\n{1 - gone} {command}\n")
    step = subprocess.run(
        ["srun", "--ntasks=2", "--multi-prog", str(tasks)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(tmp_path, PYTHONPATH=os.pathsep.join(sys.path)),
    )
    assert step.returncode == Exit.FAILED, step.stderr
    said = [line for line in step.stderr.splitlines() if line.startswith("gp-lab: ")]
    assert len(said) == 1
    assert f"rank {gone} of 2 ended before coming to 127.0.0.1:" in said[0]
    assert not any(run.state == State.RUNNING for run in find_runs(tmp_path))
