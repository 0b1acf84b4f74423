"""The end of runs on W&B: all at once, bounded, said in a line, and made up for later."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from lab import PATIENCE, SMALL, Forked, act_at, config_of, environment, wait_for
from wandb_server import KEY, Behaviour, WandbServer, serving

from gp_lab.errors import Exit
from gp_lab.launching.jobs import merged
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.tracking import ending, wandb_inside, weights_and_biases
from gp_lab.tracking.base import Tracker
from gp_lab.tracking.ending import close_all
from gp_lab.tracking.weights_and_biases import WandbTracking

RUN = (*SMALL, "tracking=wandb", "compile=never", "log_every=10", "checkpoint_every=100",
       "probe.surface.every=100")  # fmt: skip
STACK = ("train", "-m", "seed=0,1,2", "hydra/launcher=replicas", "hydra.launcher.processes=1")


@pytest.fixture
def server() -> Iterator[WandbServer]:
    with serving() as server:
        yield server


def account(server: WandbServer, home: Path) -> dict[str, str]:
    return {"HOME": str(home), "WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.url}


def about_wandb(process: Forked) -> list[str]:
    """What a command said of W&B; all of it is the lab's own."""
    assert not any("Traceback" in line or line.startswith("wandb:") for line in process.said)
    return [line for line in process.said if line.startswith("W&B")]


def of_metrics(folder: RunFolder) -> list[int]:
    return sorted({line["step"] for line in folder.metrics()})


def lives(pid: int) -> bool:
    """Whether a process of W&B's runs; one that nobody has reaped does not."""
    try:
        return b"wandb-core" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


# -- in this process -----------------------------------------------------------------------


class Waiting(Tracker):
    """A tracker whose end takes until an event."""

    def __init__(self, until: threading.Event, unsent: str = "") -> None:
        self.until, self.place, self.abandoned = until, unsent, threading.Event()

    def close(self) -> None:
        self.until.wait(PATIENCE)

    def abandon(self) -> None:
        self.unsent = self.place
        self.abandoned.set()


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """An event that comes when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_all_runs_end_at_the_same_time() -> None:
    together = threading.Barrier(3)

    class Meeting(Tracker):
        met = False

        def close(self) -> None:
            together.wait(PATIENCE)
            self.met = True

    trackers = [Meeting() for _ in range(3)]
    close_all(trackers)
    assert all(tracker.met for tracker in trackers)


def test_an_end_that_never_comes_is_given_up_and_said_in_a_line(
    never: threading.Event, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ending, "ORDINARY", 0.2)
    quick = threading.Event()
    quick.set()
    trackers = [Waiting(never, "a/wandb/run-*"), Waiting(quick, "b/wandb/run-*")]
    close_all(trackers)
    assert [tracker.abandoned.is_set() for tracker in trackers] == [True, False]
    assert caplog.messages == [
        "W&B: 1 run's upload is incomplete; `wandb sync --include-online a/wandb/run-*` makes up"
        " for it"
    ]


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_signal_shortens_the_wait(
    never: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    when: str,
) -> None:
    monkeypatch.setattr(ending, "ORDINARY", 2 * PATIENCE)
    monkeypatch.setattr(ending, "AFTER_SIGNAL", 0.2)
    answers = iter([when == "before"] * 3)
    trackers = [Waiting(never, f"{name}/wandb/run-*") for name in "ab"]
    close_all(trackers, asked=lambda: next(answers, True))
    assert all(tracker.abandoned.is_set() for tracker in trackers)
    assert caplog.messages == [
        "W&B: 2 runs' uploads are incomplete; going on with them, or `wandb sync"
        " --include-online RUN/wandb/run-*`, makes up for it"
    ]


def test_ctrl_c_while_an_end_is_waited_for_ends_the_waiting(
    never: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ending, "_wait", interrupt)
    tracker = Waiting(never)
    with pytest.raises(KeyboardInterrupt):
        close_all([tracker])
    assert tracker.abandoned.is_set()


def test_a_tracker_of_ones_own_that_fails_at_its_end_is_said_and_keeps_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(Tracker):
        def close(self) -> None:
            raise RuntimeError("no more room")

    with caplog.at_level(logging.WARNING):
        close_all([Failing(), Tracker()])
    assert caplog.messages == ["Failing did not close: no more room"]


def test_wandb_s_process_lives_as_long_as_a_run_of_this_process_uses_it(
    no_account: Path, tmp_path: Path
) -> None:
    config, trackers = config_of(f"out={tmp_path}"), []
    for name in ("one", "two"):
        folder = RunFolder(tmp_path / name)
        folder.path.mkdir()
        folder.create(config, name)
        trackers.append(WandbTracking(mode="offline").open(config, folder))
    service = wandb_inside.service_pid()
    assert service is not None
    one, two = trackers
    one.abandon()
    assert lives(service)
    two.log([{"step": 0, "loss_d": 1.0}])
    two.close()
    two.abandon()
    wait_for(lambda: not lives(service))
    assert one.unsent == two.unsent == ""  # an offline run has nothing to send


# -- a server that fails in mid-run --------------------------------------------------------


def fails_at_100_and_asked_to_stop_at_200(
    server: WandbServer, behaviour: Behaviour, pid_of_service: Path
) -> None:
    patch = pytest.MonkeyPatch()
    ending.AFTER_SIGNAL = 1.0
    act_at(50, lambda: pid_of_service.write_text(str(wandb_inside.service_pid())), patch)
    act_at(100, partial(server.tell, behaviour), patch)
    act_at(200, partial(os.kill, os.getpid(), signal.SIGTERM), patch)


@pytest.mark.seconds
@pytest.mark.parametrize("behaviour", ["refuses", "hangs", "error", "trickles", "closes"])
def test_a_server_that_fails_keeps_no_stack_that_was_told_to_stop_and_is_made_up_for(
    server: WandbServer, tmp_path: Path, behaviour: Behaviour
) -> None:
    run = merged([*STACK[1:], *RUN, "steps=400", f"out={tmp_path / 'out'}"])
    service = tmp_path / "service"
    first = partial(fails_at_100_and_asked_to_stop_at_200, server, behaviour, service)
    env = account(server, tmp_path)
    process = Forked(tmp_path / "log", "train", *run, first=first, **env)
    assert process.ended() == Exit.PREEMPTED, process.said
    assert about_wandb(process) == [
        "W&B: 3 runs' uploads are incomplete; going on with them, or `wandb sync"
        " --include-online RUN/wandb/run-*`, makes up for it"
    ]
    wait_for(lambda: not lives(int(service.read_text())))
    folders = list(find_runs(tmp_path / "out"))
    assert [folder.state for folder in folders] == [State.PREEMPTED] * 3
    ids = [folder.status["id"] for folder in folders]
    assert all(max(server.steps(name), default=0) < 200 for name in ids)
    server.behave("answers")
    again = Forked(tmp_path / "log", "train", *run, **env)
    assert again.ended() == Exit.OK, again.said
    assert about_wandb(again) == []
    for folder, name in zip(folders, ids, strict=True):
        assert server.steps(name) == of_metrics(folder)
        assert of_metrics(folder)[-1] == 400


def fails_at_100(server: WandbServer, behaviour: Behaviour) -> None:
    weights_and_biases.MARGIN = ending.ORDINARY - 3.0  # W&B gives up after three seconds
    act_at(100, partial(server.tell, behaviour), pytest.MonkeyPatch())


@pytest.mark.seconds
@pytest.mark.parametrize("behaviour", ["refuses", "hangs"])
def test_runs_that_finished_without_the_server_are_sent_by_wandb_sync(
    server: WandbServer, tmp_path: Path, behaviour: Behaviour
) -> None:
    """The second run of the process does not wait for that server again."""
    run = merged(["seed=0,1", *RUN, "steps=200", f"out={tmp_path / 'out'}"])
    env = account(server, tmp_path)
    first = partial(fails_at_100, server, behaviour)
    process = Forked(tmp_path / "log", "train", "-m", *run, first=first, **env)
    assert process.ended() == Exit.OK, process.said
    folders = list(find_runs(tmp_path / "out"))
    assert [folder.state for folder in folders] == [State.FINISHED] * 2
    (said,) = about_wandb(process)
    _, advice, then = said.split("`")
    assert said.startswith("W&B: 1 run's upload is incomplete; `wandb sync --include-online /")
    assert then == " makes up for it"
    server.behave("answers")
    (offline,) = (tmp_path / "out").rglob("offline-run-*/")
    for command in (advice, f"wandb sync {offline}"):
        subprocess.run(
            f"{Path(sys.executable).parent}/{command}",
            shell=True, check=True, capture_output=True, timeout=PATIENCE, cwd=tmp_path,
            env=environment(tmp_path, **env),
        )  # fmt: skip
    for folder in folders:
        assert server.steps(folder.status["id"]) == of_metrics(folder)


def frozen_at_100() -> None:
    """From now on: W&B's process does nothing from step 100 on, and this one is told to stop."""
    patch = pytest.MonkeyPatch()
    ending.AFTER_SIGNAL = 1.0
    act_at(100, lambda: os.kill(wandb_inside.service_pid() or 0, signal.SIGSTOP), patch)
    act_at(110, partial(os.kill, os.getpid(), signal.SIGTERM), patch)


@pytest.mark.seconds
def test_the_bound_holds_where_wandb_s_own_process_does_not_keep_it(
    server: WandbServer, tmp_path: Path
) -> None:
    run = merged([*RUN, "steps=400", f"out={tmp_path / 'out'}"])
    process = Forked(
        tmp_path / "log", "train", *run, first=frozen_at_100, **account(server, tmp_path)
    )
    assert process.ended() == Exit.PREEMPTED, process.said
    (said,) = about_wandb(process)
    assert said.startswith(
        "W&B: 1 run's upload is incomplete; going on with it, or `wandb sync --i"
    )


def killed_at_100(server: WandbServer, behaviour: Behaviour, pid_of_service: Path) -> None:
    """From now on: this process is killed at step 100."""

    def kill() -> None:
        server.tell(behaviour)
        pid_of_service.write_text(str(wandb_inside.service_pid()))
        os.kill(os.getpid(), signal.SIGKILL)

    act_at(100, kill, pytest.MonkeyPatch())


@pytest.mark.seconds
@pytest.mark.parametrize("behaviour", ["answers", "hangs"])
def test_wandb_s_process_does_not_outlive_one_that_was_killed(
    server: WandbServer, tmp_path: Path, behaviour: Behaviour
) -> None:
    run = merged([*RUN, "steps=400", f"out={tmp_path / 'out'}"])
    service, env = tmp_path / "service", account(server, tmp_path)
    first = partial(killed_at_100, server, behaviour, service)
    process = Forked(tmp_path / "log", "train", *run, first=first, **env)
    assert process.ended() == -signal.SIGKILL
    wait_for(lambda: not lives(int(service.read_text())))
