"""A comparison as text: a table for a terminal, its cells for the report, CSV for programs."""

import csv
import io
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gp_lab.errors import BadInput, counted, printable, show
from gp_lab.runs.compare import Group, Score, metrics_of, not_comparable, telling_metrics
from gp_lab.runs.compare import compare as compare_runs
from gp_lab.runs.folder import State
from gp_lab.terminal import aligned

if TYPE_CHECKING:
    import pandas

LONGEST = 32
"""Characters of a config value in a table."""


def cells(groups: Sequence[Group], metrics: Sequence[str]) -> list[list[str]]:
    """A head and a line for each group, of printable text."""
    keys = _keys(groups)
    lines = [[*keys, "seeds", "step", "state", *metrics]]
    for group in groups:
        lines.append(
            [
                *(_shortened(show(group.values[k])) if k in group.values else "-" for k in keys),
                str(len(group.seeds)),
                _range(group.steps) if group.steps else "-",
                _states(group),
                *(_score_text(group, group.scores.get(name)) for name in metrics),
            ]
        )
    return [[printable(cell) for cell in line] for line in lines]


def table(groups: Sequence[Group], metrics: Sequence[str] = (), width: int | None = None) -> str:
    """The groups as text; unless metrics are named, as many of the telling ones as fit."""
    names = list(metrics or telling_metrics(groups))
    rows = cells(groups, names)
    if width and not metrics:
        while len(names) > 1 and max(map(len, aligned(rows))) > width:
            rows = cells(groups, names := names[:-1])
    if width and max(map(len, aligned(rows))) > width:
        rows[0] = _short(rows[0], len(_keys(groups)))
    lines = aligned(rows)
    runs = sum(len(group.folders) for group in groups)
    lines.append(
        f"{counted(runs, 'run')} in {counted(len(groups), 'group')}; "
        "means over seeds +- half the 95 % interval"
    )
    if mixed := not_comparable(groups, names):
        lines.append(f"measured with different settings: {printable(', '.join(mixed))}")
    if not metrics and (more := [printable(n) for n in metrics_of(groups) if n not in names]):
        lines += textwrap.wrap(f"more: {', '.join(more)}", width or 120, subsequent_indent="  ")
    return "\n".join(lines)


def csv_table(groups: Sequence[Group], metrics: Sequence[str] = ()) -> str:
    """The groups as CSV: of each metric the mean, its interval's half-width, n and steps."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head, rows = _records(groups, metrics)
    writer.writerow(map(printable, head))
    keys = len(_keys(groups))
    for row in rows:
        values = ["" if value is None else printable(show(value)) for value in row[:keys]]
        writer.writerow([*values, *row[keys:]])
    return text.getvalue()


class Groups(list[Group]):
    """The groups of a comparison; printed, a table."""

    def __str__(self) -> str:
        return table(self) if self else "no runs"

    def to_frame(self, metrics: Sequence[str] = ()) -> "pandas.DataFrame":
        """A row for each group, with the columns of `csv_table`; None where a group has no value.

        Raises `BadInput` where pandas is not installed, which the lab itself does not need.
        """
        try:
            import pandas
        except ImportError as error:
            raise BadInput("to_frame: needs pandas; pip install pandas") from error
        head, rows = _records(self, metrics)
        return pandas.DataFrame(rows, columns=head)


def compare(root: str | Path, only: Sequence[str] = ()) -> Groups:
    """The runs below a folder in groups that differ in more than the seed, with means, 95 %
    intervals and counts of states; `only=["dataset=mnist"]` selects: see `gp_lab.runs.compare`.
    """
    return Groups(compare_runs(root, only))


def _records(groups: Sequence[Group], metrics: Sequence[str]) -> tuple[list[str], list[list[Any]]]:
    """A head and a row for each group, first the values that tell it apart, None without one."""
    keys, names = _keys(groups), list(metrics or metrics_of(groups))
    of_scores = [f"{m}{part}" for m in names for part in (".mean", ".half_width", ".n", ".steps")]
    head = [*keys, "seeds", "steps", *map(str, State), *of_scores]
    rows = [
        [
            *(group.values.get(k) for k in keys),
            len(group.seeds),
            _range(group.steps) if group.steps else "",
            *(group.states.get(state, 0) for state in State),
            *(part for m in names for part in _score_parts(group.scores.get(m))),
        ]
        for group in groups
    ]
    return head, rows


def _keys(groups: Sequence[Group]) -> list[str]:
    return list(dict.fromkeys(key for group in groups for key in group.values))


def _states(group: Group) -> str:
    if len(group.states) == 1:
        return str(next(iter(group.states)))
    most_first = sorted(group.states.items(), key=lambda item: -item[1])
    return ", ".join(f"{n} {state}" for state, n in most_first)


def _range(steps: tuple[int, int]) -> str:
    return str(steps[0]) if steps[0] == steps[1] else f"{steps[0]}-{steps[1]}"


def _score_text(group: Group, score: Score | None) -> str:
    """As `12.3 +- 0.4`, and what its readers would not expect: fewer values, or at other steps."""
    if score is None:
        return "-"
    mean, half = score.interval.estimate, score.interval.half_width
    text = _to_its_digits(mean, half)
    notes = [f"n={score.interval.n}"] * (score.interval.n < group.counted)
    if score.steps[0] != score.steps[1] and score.steps != group.steps:
        notes.append(f"step {_range(score.steps)}")
    return text + f" ({', '.join(notes)})" * bool(notes)


def _to_its_digits(mean: float, half: float) -> str:
    """A mean to the second digit of its interval's half-width, and that; alone without one."""
    if not math.isfinite(half):
        return f"{mean:.4g}"
    if half == 0:
        return f"{mean:.4g} +- 0"
    places = 1 - math.floor(math.log10(half))
    if not 0 <= places <= 5:
        return f"{mean:.4g} +- {half:.2g}"
    return f"{mean:.{places}f} +- {half:.{places}f}"


def _score_parts(score: Score | None) -> list[Any]:
    if score is None:
        return ["", "", 0, ""]
    mean, half = score.interval.estimate, score.interval.half_width
    return [mean, half, score.interval.n, _range(score.steps)]


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _short(head: Sequence[str], keys: int) -> list[str]:
    """The first so many of a head by the last part of their names, where no other has the same."""
    ends = [key.rpartition(".")[2] for key in head[:keys]]
    return [e if ends.count(e) == 1 else key for key, e in zip(head, ends, strict=False)] + [
        *head[keys:]
    ]
