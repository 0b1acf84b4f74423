"""A command as a program: its words, and how it ends.

It has safe streams, one sentence for what a user can mend, and an exit status.
"""

import argparse
import gc
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import NoReturn

from gp_lab.errors import BadInput, Exit, LabError, failure, printable
from gp_lab.files import is_folder, path_of
from gp_lab.terminal import guarded_streams
from gp_lab.training.process_group import quiet, several


def exit_status(command: Callable[[], Exit], essential: bool, together: bool) -> int:
    """Run a command; the exit status of the process.

    essential: what it prints is all that it is for. together: ranks carry it out at once, so the
    others are told why this one ends.
    """
    with guarded_streams(essential):
        logging.basicConfig(format="%(message)s", level=logging.WARNING)
        silent = quiet()
        if silent:
            os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # its errors' C++ traces
        try:
            with redirect_stdout(None) if silent else nullcontext():
                status = command()
            sys.stdout.flush()
            return int(status)
        except LabError as error:
            if not silent:
                print(f"gp-lab: {printable(str(error))}", file=sys.stderr)
            _take_leave(together, error)
            return int(error.status)
        except KeyboardInterrupt:
            print("gp-lab: interrupted; the same command goes on", file=sys.stderr)
            return int(Exit.INTERRUPTED)
        except SystemExit as stop:  # Hydra's --cfg, --info and --version end so, and have said why
            return int(Exit.BAD_INPUT if stop.code else Exit.OK)
        except BrokenPipeError:  # nobody reads on
            return int(Exit.OK)
        except Exception as error:
            if sentence := failure(error):
                print(f"gp-lab: {printable(sentence)}", file=sys.stderr)
            else:
                traceback.print_exc()
                print("gp-lab: this is a bug; the lines above say where", file=sys.stderr)
            _take_leave(together, error)
            return int(Exit.FAILED)


def _take_leave(together: bool, error: Exception) -> None:
    """Tell other ranks, which may be waiting for this one, why it ends."""
    if together and several():
        from gp_lab.training.distributed import take_leave

        take_leave(error)


@contextmanager
def importing() -> Iterator[None]:
    """While inside, nothing is looked through for garbage: of what is imported all is kept."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def parsed(parser: argparse.ArgumentParser, arguments: list[str], usage: str) -> argparse.Namespace:
    """The arguments of a command of the lab's own, options anywhere. Raises `BadInput`."""

    def refuse(message: str) -> NoReturn:
        raise BadInput(f"{parser.prog.removeprefix('gp-lab ')}: {message}; write {usage}")

    parser.error = refuse  # type: ignore[method-assign]
    return parser.parse_intermixed_args(arguments)


def one_word(arguments: Sequence[str], usage: str) -> str | None:
    """The one argument of a command that takes one at most. Raises `BadInput`."""
    for i, word in enumerate(arguments):
        if i > 0 or word.startswith("-"):
            raise BadInput(f"{word}: not expected here; write {usage}")
    return arguments[0] if arguments else None


def outputs_of(arguments: Sequence[str], usage: str) -> Path:
    """The folder that a command is given, or `outputs`. Raises `BadInput` if it is not there."""
    root = path_of(one_word(arguments, usage) or "outputs")
    if not is_folder(root):
        raise BadInput(f"{root}: no such folder; write {usage}")
    return root
