"""Files of one JSON object a line, each with its step: `metrics.jsonl`, `timing.jsonl`, ..."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gp_lab.errors import BadInput, one_line
from gp_lab.files import read

LARGEST = 2**31
"""Bytes of the largest file that is read as a whole."""


class Line(NamedTuple):
    """As it is written, its end included, and what it says."""

    written: bytes
    entries: dict[str, Any]


def whole_lines(path: Path) -> list[bytes]:
    """The lines of a file without their ends; half a line at the end (a kill) is left out, and
    where there is no file there is none. Raises `BadInput` for a file that cannot be read."""
    try:
        return read(path, LARGEST).split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BadInput(f"{path}: not readable ({one_line(error)})") from error


def read_lines(path: Path, otherwise: str) -> list[Line]:
    """The whole lines of a file. Raises `BadInput` for a damaged one, which can be cut out;
    `otherwise` is what else one can do."""
    found = []
    for number, line in enumerate(whole_lines(path), 1):
        try:
            found.append(Line(line + b"\n", entries_of(line)))
        except ValueError as error:
            raise BadInput(
                f"{path}: line {number} is no line of metrics ({error}); cut it out, or {otherwise}"
            ) from error
    return found


def entries_of(line: bytes) -> dict[str, Any]:
    """What a line says. Raises ValueError, in one line."""
    try:
        entries = json.loads(line)
        if type(entries["step"]) is not int or not 0 <= entries["step"] < 2**53:
            raise ValueError("its step is no number of a step")
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise ValueError(one_line(error)) from error
    return dict(entries)


def text_of(lines: Sequence[Mapping[str, Any]]) -> bytes:
    """Lines as they are written."""
    return "".join(json.dumps(line) + "\n" for line in lines).encode()
