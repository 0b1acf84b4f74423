"""Standard streams that are closed, full or broken, terminals of every kind, strangers' text."""

import fcntl
import io
import os
import pty
import pwd
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from lab import (
    BARE,
    PATIENCE,
    Forked,
    SignalAt,
    act_at,
    assert_same_run,
    config_of,
    environment,
    heard_hangups,
    lab,
    lab_command,
    trained,
)
from tqdm import tqdm

from gp_lab import terminal
from gp_lab.cli import COMMANDS, main
from gp_lab.errors import Exit
from gp_lab.launching.jobs import merged
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.runs.identity import folder_of
from gp_lab.terminal import Stream, aligned, guarded_streams, visible
from gp_lab.training.trainer import train

RUN = (*BARE, "steps=60", "log_every=10")


def folder_in(out: Path) -> RunFolder:
    return RunFolder(folder_of(config_of(*RUN, f"out={out}", base=())))


# -- tables --------------------------------------------------------------------------------


def test_columns_are_as_wide_as_their_widest_cells_and_lines_end_where_their_text_does() -> None:
    rows = [("run", "state", "why"), ("a", "interrupted", ""), ("longest", "", "x")]
    assert aligned(rows) == [
        "run      state        why",
        "a        interrupted",
        "longest               x",
    ]
    assert aligned(rows, 19) == ["run      state ...", "a        interr ...", "longest ..."]
    assert aligned([]) == []


# -- strangers' text -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("a\rb", r"a\rb"),
        ("\x07\x08\x7f", r"\x07\x08\x7f"),
        ("\x9b31m", r"\x9b31m"),  # an escape sequence of one byte
        ("fdp\u202efdp.exe", r"fdp\u202efdp.exe"),  # what follows is read from right to left
        ("a\nb\tc é \u4e2d \U0001f600", "a\nb\tc é \u4e2d \U0001f600"),
    ],
)
def test_control_characters_are_spelt_out_and_other_text_is_as_it_was(
    text: str, shown: str
) -> None:
    assert visible(text) == shown


def test_whatever_says_it_a_strangers_text_reaches_no_terminal_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b]0;owned\x07 \u202e"

    def loud(_: object) -> Exit:
        print(f"out {evil}")
        warnings.warn(f"warned {evil}", stacklevel=1)
        thread = threading.Thread(target=lambda: print(f"thread {evil}", file=sys.stderr))
        thread.start()
        thread.join()
        raise RuntimeError(f"raised {evil}")

    monkeypatch.setitem(COMMANDS, "list", loud)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", show_on_standard_error)
        assert main(["list"]) == Exit.FAILED
    said = capsys.readouterr()
    spelt = r"\x1b]0;owned\x07 \u202e"
    assert said.out == f"out {spelt}\n"
    for word in ("warned", "thread", "raised"):
        assert f"{word} {spelt}" in said.err
    assert "\x1b" not in said.err


LOGS = """
import logging
from gp_lab.cli import COMMANDS, main
COMMANDS["list"] = lambda _: logging.getLogger("wandb").warning("lost \x1b[2J") or 0
main(["list"])
"""


def test_what_is_logged_is_spelt_out_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOGS], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.stdout, done.stderr) == ("", "lost \\x1b[2J\n")


def show_on_standard_error(message: object, *_: object) -> None:
    print(message, file=sys.stderr)


@pytest.mark.parametrize("kind", ["xterm", "dumb"])
def test_progress_bars_move_the_cursor_and_a_dumb_terminal_is_spared_what_it_cannot(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", kind)
    screen = io.StringIO()
    stream = Stream(screen)
    with tqdm(total=2, file=stream, desc="outer", mininterval=0) as outer:
        with tqdm(total=2, file=stream, desc="inner", mininterval=0, leave=False) as inner:
            inner.update()
        outer.update()
    written = screen.getvalue()
    assert "\router:  50%" in written
    assert "\\" not in written  # nothing is spelt out
    assert ("\x1b[A" in written) == (kind == "xterm")


def test_a_terminal_is_emptied_and_a_file_is_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with guarded_streams():
        terminal.clear()
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with guarded_streams():
        terminal.clear()
    assert capsys.readouterr().out == "\x1b[H\x1b[2J"


# -- streams that take nothing -------------------------------------------------------------


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


def lead_to(path: str) -> None:
    """From now on standard output and error of this process are this file."""
    file = os.open(path, os.O_RDWR | os.O_NOCTTY)
    for number in (1, 2):
        os.dup2(file, number)


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


# -- terminals -----------------------------------------------------------------------------


@contextmanager
def screen(columns: int) -> Iterator[tuple[str, list[bytes]]]:
    """The device of a terminal so wide, and what was written on it."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    written: list[bytes] = []

    def read() -> None:
        with suppress(OSError):  # when the last who could write has gone
            while True:
                written.append(os.read(master, 1 << 16))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield os.ttyname(slave), written
    finally:
        os.close(slave)
        reader.join()
        os.close(master)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, to be shown."""
    out = tmp_path_factory.mktemp("outputs")
    probe = ("steps=2", "dataset=swiss_roll", "probe=[curve]", "probe.curve.count=20")
    for seed in (0, 1):
        trained(*BARE, *probe, f"seed={seed}", f"out={out}", base=())
    return out


@pytest.mark.parametrize("kind", ["xterm", "dumb"])
@pytest.mark.parametrize("columns", [0, 1, 5])
def test_tables_and_bars_are_written_on_terminals_of_no_width(
    columns: int, kind: str, outputs: Path, tmp_path: Path
) -> None:
    commands = [
        ["list", "penalties"],
        ["status", str(outputs), "--watch"],
        ["compare", str(outputs)],
        ["train", *merged([*RUN, f"out={tmp_path}"])],
        ["train", "-m", *BARE, "steps=2", "seed=0,1", f"out={tmp_path}"],
        ["sample", "--help"],
    ]
    for command in commands:
        with screen(columns) as (device, written):
            process = Forked(
                tmp_path / "log", *command, first=partial(lead_to, device), TERM=kind, COLUMNS=""
            )
            assert process.ended() == Exit.OK, (command, written)
        text = b"".join(written).decode()
        assert text.strip()
        assert "Traceback" not in text


@pytest.mark.parametrize(
    "variables",
    [{"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["of the terminal", "of everything"],
)
def test_what_an_ascii_terminal_has_no_letters_for_is_spelt_out(
    variables: dict[str, str], outputs: Path, tmp_path: Path
) -> None:
    env = environment(tmp_path, LC_ALL="C", **variables)
    name = tmp_path / "eine Größe, 中"
    name.symlink_to(outputs)
    listed = lab("clean", str(name), env=env)
    assert listed.returncode == Exit.OK
    assert "Traceback" not in listed.stdout
    refused = lab("status", f"{name}!", env=env)
    assert refused.returncode == Exit.BAD_INPUT
    assert refused.stdout.isascii()
    assert "!: no such folder" in refused.stdout
    assert lab("train", *merged([*RUN, f"out={tmp_path / 'o'}"]), env=env).returncode == Exit.OK


def without_a_home() -> None:
    """This process's user has no home: neither `HOME` nor an entry among the users."""

    def nobody(_: object) -> None:
        raise KeyError("no such user")

    os.environ.pop("HOME", None)
    pwd.getpwuid = nobody  # type: ignore[assignment]


@pytest.mark.parametrize("command", ["train", "status", "report"])
def test_no_command_needs_a_home(command: str, outputs: Path, tmp_path: Path) -> None:
    words = [str(outputs)] if command != "train" else [*merged([*RUN, f"out={tmp_path}"])]
    words += ["tracking=wandb"] * (command == "train")
    process = Forked(
        tmp_path / "log", command, *dict.fromkeys(words), first=without_a_home, WANDB_MODE="offline"
    )
    assert process.ended() == Exit.OK, process.said
    assert not any("Traceback" in line for line in process.said)


# -- the end of a terminal -----------------------------------------------------------------


def test_a_run_whose_terminal_is_closed_saves_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    command = ["train", *merged([*RUN, f"out={tmp_path / 'there'}"])]
    with heard_hangups():
        stopped = lab(*command, env=environment(tmp_path), signal_at=SignalAt(30, signal.SIGHUP))
    run = folder_in(tmp_path / "there")
    assert stopped.returncode == Exit.PREEMPTED, stopped.stdout
    assert (run.state, run.status["why"]) == (State.PREEMPTED, "stopped by SIGHUP")
    assert run.status["step"] in (30, 31)
    assert lab(*command).returncode == Exit.OK
    assert_same_run(run, trained(*RUN, f"out={tmp_path / 'here'}", base=()))


def deaf_as_by_nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    act_at(30, partial(signal.raise_signal, signal.SIGHUP), pytest.MonkeyPatch())


@pytest.mark.parametrize("sweep", [(), ("-m", "seed=0,1")])
def test_what_nohup_started_does_not_hear_of_its_terminals_end(
    sweep: tuple[str, ...], tmp_path: Path
) -> None:
    command = ["train", *sweep, *merged([*RUN, f"out={tmp_path}"])]
    process = Forked(tmp_path / "log", *command, first=deaf_as_by_nohup)
    assert process.ended() == Exit.OK, process.said
    assert {run.state for run in find_runs(tmp_path)} == {State.FINISHED}
