"""How long runs have trained at their steps, from timing.jsonl: the minutes under their curves."""

import warnings
from contextlib import suppress

import numpy as np

from gp_lab.errors import BadInput
from gp_lab.report.thin import Curve, ascending
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.lines import entries_of, whole_lines
from gp_lab.runs.metrics import number

POINTS = 100
"""Of a run, at most; between them its speed counts as even."""

KEYS = ("step", "seconds", "iterations_per_second")


def clock_of(folder: RunFolder) -> Curve | tuple[()]:
    """Steps and the seconds of training up to each, (0, 0) first.

    Empty where timing.jsonl is missing, or does not tell from the first step on.
    """
    try:
        lines = whole_lines(folder.inside("timing.jsonl"))
    except BadInput as error:
        warnings.warn(f"{error}; its speed is left out", stacklevel=5)
        return ()
    places = np.linspace(0, len(lines) - 1, min(POINTS, len(lines))).round().astype(int)
    told = [row for i in places.tolist() if (row := _told(lines[i]))]
    if not told or told[-1][0] == 0:
        return ()
    steps, seconds, rates = np.array(told).T
    if steps[0] - seconds[0] * rates[0] > 1:  # it has trained before the first line
        return ()
    steps, seconds = ascending(np.append(0, steps), np.append(0, seconds))
    return steps, np.maximum.accumulate(seconds)


def _told(line: bytes) -> list[float]:
    """Step, seconds and iterations a second; nothing of a damaged line: the others tell."""
    with suppress(ValueError):
        entries = entries_of(line)
        row = [x for key in KEYS if (x := number(entries.get(key))) is not None and 0 <= x < np.inf]
        return row if len(row) == len(KEYS) else []
    return []
