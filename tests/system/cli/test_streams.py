"""Standard streams that are closed, full or broken: a run ends as it would."""

import io
import os
import pty
import re
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from lab import (
    PATIENCE,
    Forked,
    act_at,
    assert_same_run,
    config_of,
    lab_command,
    trained,
)
from streams import RUN, folder_in, lead_to

from gp_lab import terminal
from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.launching.jobs import merged
from gp_lab.runs.folder import State
from gp_lab.terminal import Stream
from gp_lab.training.trainer import train


def redirected(redirection: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A command in a shell, with what stands after it there."""
    return subprocess.run(
        ["bash", "-c", f'"$@" {redirection}', "bash", *lab_command(*arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ | env,
    )


FULL = "gp-lab: standard output cannot be written (No space left on device)\n"


@pytest.mark.parametrize(
    ("redirection", "status", "said"),
    [
        (">&-", 0, ""),
        (">/dev/full", 1, FULL),
        ("| head -n 1 >/dev/null; exit ${PIPESTATUS[0]}", 0, ""),
        ("2>&-", 0, ""),
        (">&- 2>&- <&-", 0, ""),
        (">/dev/full 2>/dev/full", 1, ""),
    ],
)
@pytest.mark.parametrize("command", [("list", "penalties"), ("train", "--cfg", "job")])
def test_a_command_that_only_shows_fails_where_its_output_is_lost_and_not_where_nobody_wants_it(
    command: tuple[str, ...], redirection: str, status: int, said: str
) -> None:
    done = redirected(redirection, *command)
    assert (done.returncode, done.stderr) == (status, said)


def test_a_table_stops_when_nobody_reads_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`status --watch | head -1` would go on until the last run has ended."""
    read, written = os.pipe()
    os.close(read)
    with os.fdopen(written, "w") as nobody:
        monkeypatch.setattr(sys, "stdout", nobody)
        folder = folder_in(tmp_path)
        folder.create(config_of(*RUN, f"out={tmp_path}", base=()), folder.path.name)
        folder.set_status(State.RUNNING, host="another")
        assert main(["status", str(tmp_path), "--watch"]) == Exit.OK
        assert sys.stdout is nobody


def closed() -> None:
    for number in (1, 2):
        os.close(number)


def full() -> None:
    lead_to("/dev/full")


def unread() -> None:
    read, written = os.pipe()
    os.close(read)
    for number in (1, 2):
        os.dup2(written, number)


def gone_at_step_20() -> None:
    """Standard output and error are a terminal that goes away in mid-run (EIO from then on)."""
    master, slave = pty.openpty()
    threading.Thread(target=drained, args=(os.dup(master),), daemon=True).start()
    lead_to(os.ttyname(slave))

    def close() -> None:
        over.set()
        os.close(master)

    act_at(20, close, pytest.MonkeyPatch())


over = threading.Event()


def drained(master: int) -> None:
    os.set_blocking(master, False)
    while not over.wait(0.01):
        with suppress(BlockingIOError):
            os.read(master, 1 << 16)
    os.close(master)


@pytest.mark.parametrize("first", [closed, full, unread, gone_at_step_20])
def test_a_run_ends_as_it_would_whatever_becomes_of_its_streams(
    first: object, tmp_path: Path
) -> None:
    assert callable(first)
    command = ["train", *merged([*RUN, f"out={tmp_path / 'there'}"])]
    process = Forked(tmp_path / "log", *command, first=first)
    assert process.ended() == Exit.OK
    assert process.said == []
    whole = trained(*RUN, f"out={tmp_path / 'here'}", base=())
    there = folder_in(tmp_path / "there")
    assert there.state == State.FINISHED
    assert_same_run(there, whole)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (("loss=exp", "optimizer=sgd", "optimizer.lr=1.0", "penalty=none"), Exit.DIVERGED),
        (("penalty=nope",), Exit.BAD_INPUT),
        (("trust=[faulty]", "loss._target_=faulty.FaultyLoss", "+loss.fault=errors"), Exit.FAILED),
    ],
)
@pytest.mark.parametrize("first", [closed, full])
def test_a_run_that_ends_badly_has_its_own_exit_status_whatever_becomes_of_its_streams(
    first: object, more: tuple[str, ...], status: Exit, tmp_path: Path
) -> None:
    assert callable(first)
    command = ["train", *merged([*RUN, *more, f"out={tmp_path}"])]
    assert Forked(tmp_path / "log", *command, first=first).ended() == status


@pytest.mark.parametrize("how", ["unread", "closed"])
def test_a_run_from_python_is_as_safe_from_its_bar(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, written = os.pipe()
    os.close(read)
    with os.fdopen(written, "w") as nobody:
        monkeypatch.setattr(sys, "stderr", nobody if how == "unread" else None)
        (end,) = train([config_of(*RUN, f"out={tmp_path}", base=())], progress=True)
        monkeypatch.undo()
        with suppress(BrokenPipeError):
            nobody.close()
    assert end.state == State.FINISHED


def test_a_line_is_written_above_a_bar_and_not_into_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with terminal.bar(total=3, desc="bar") as line:
        terminal.write("said")
        line.update()
    written = capsys.readouterr().err
    assert "\rsaid" in re.sub(r"\r +\r", "\r", written).replace("\r\r", "\r")


def test_a_run_whose_output_does_not_fit_the_disk_says_so_and_is_finished(tmp_path: Path) -> None:
    done = redirected(">/dev/full", "train", *merged([*RUN, f"out={tmp_path}"]))
    assert done.returncode == Exit.OK
    assert done.stderr.endswith(
        "gp-lab: standard output could not be written (No space left on device)\n"
    )
    assert folder_in(tmp_path).state == State.FINISHED


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """What C prints on standard error would be written into it."""
    script = (
        "import os, sys; from gp_lab.terminal import open_standard_streams;"
        "open_standard_streams(); file = open(sys.argv[1], 'w'); os.write(2, b'from C');"
        "os.write(1, b'from C'); assert file.fileno() > 2; file.write('own')"
    )
    file = tmp_path / "file"
    shell = ["bash", "-c", '"$@" <&- >&- 2>&-', "bash", sys.executable, "-c", script, str(file)]
    assert subprocess.run(shell, timeout=PATIENCE).returncode == 0
    assert file.read_text() == "own"


def test_a_stream_that_failed_for_a_while_goes_on(tmp_path: Path) -> None:
    class Filling(io.StringIO):
        room = False

        def write(self, text: str) -> int:
            if not self.room:
                raise OSError(28, "No space left on device")
            return super().write(text)

    disk = Filling()
    stream = Stream(disk)
    print("lost", file=stream)
    disk.room = True
    print("kept", file=stream)
    assert disk.getvalue() == "kept\n"
    assert isinstance(stream.error, OSError)
