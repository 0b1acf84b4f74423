"""What the end of a run's `metrics.jsonl` says, without reading the rest of a long file."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gp_lab.files import opened, read
from gp_lab.runs.lines import LARGEST

TAIL_BYTES = 1 << 16
"""Of the end of a file, what is read."""

REPEATED = 8
"""Lines one after another that say nothing new: before them are only more of their kind."""


class Value(NamedTuple):
    """What a metric was at a step."""

    step: int
    value: float


def newest_first(path: Path) -> Iterator[dict[str, Any]]:
    """The lines at the end of a file, the last one first; none where there is no file.

    What is cut by the tail, or still being written, is passed over.
    """
    try:
        with opened(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).splitlines()
    except OSError:
        return
    for line in reversed(lines):
        if entries := _entries(line):
            yield entries


def last_values(path: Path, probes: Iterable[str] = ()) -> dict[str, Value]:
    """The last value of every metric, by its name.

    What the loop logs stands in every line of its own. Of a probe the newest line counts, without
    what was NaN there; of the `probes`, which may write seldom, it is looked for in the whole file.
    """
    found: dict[str, Value] = {}
    repeated = 0
    for entries in newest_first(path):
        seen = found.keys() | {name.partition("/")[0] for name in found if "/" in name}
        values = values_of(entries).items()
        new = {k: v for k, v in values if not {k, k.partition("/")[0]} & seen}
        repeated = 0 if new else repeated + 1
        if repeated == REPEATED:
            break
        found |= new
    if unseen := set(probes) - {name.partition("/")[0] for name in found}:
        data = _whole(path)
        for probe in unseen:
            found = values_of(_newest_with(f"{probe}/", data)) | found
    return found


def values_of(entries: Mapping[str, Any]) -> dict[str, Value]:
    """The numbers of a line of metrics; none if it names no step."""
    step = entries.get("step")
    if type(step) is not int:
        return {}
    numbers = ((k, number(v)) for k, v in entries.items() if k != "step")
    return {k: Value(step, v) for k, v in numbers if v is not None}


def number(value: object) -> float | None:
    """A float of what JSON calls a number; None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _whole(path: Path) -> bytes:
    try:
        return read(path, LARGEST)
    except OSError:
        return b""


def _newest_with(start: str, data: bytes) -> dict[str, Any]:
    """The newest line that has a key of this beginning; empty if none has."""
    key = json.dumps(start)[:-1].encode()
    end = len(data)
    while (at := data.rfind(key, 0, end)) >= 0:
        end = data.rfind(b"\n", 0, at) + 1
        if entries := _entries(data[end : data.find(b"\n", at)]):
            return entries
    return {}


def _entries(line: bytes) -> dict[str, Any] | None:
    try:
        entries = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entries if isinstance(entries, dict) else None
