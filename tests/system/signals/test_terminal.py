"""Terminals of every kind, strangers' text on them, and what a run does at a terminal's end."""

import fcntl
import io
import os
import pty
import pwd
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
    environment,
    heard_hangups,
    lab,
    trained,
)
from streams import RUN, folder_in, lead_to
from tqdm import tqdm

from gp_lab import terminal
from gp_lab.cli import COMMANDS, main
from gp_lab.errors import Exit
from gp_lab.launching.jobs import merged
from gp_lab.runs.folder import State, find_runs
from gp_lab.terminal import Stream, aligned, guarded_streams, visible

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
