"""A comparison for other programs and for papers: CSV, Markdown, LaTeX, pandas; and from Python."""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gp_lab.errors import printable, show
from gp_lab.extras import of_extra
from gp_lab.runs.baseline import Baseline, difference
from gp_lab.runs.compare import Group, Groups, Score
from gp_lab.runs.compare import compare as compare_runs
from gp_lab.runs.compare_table import Cell, grid, keys_of, left_out_note, notes, range_text, table
from gp_lab.runs.folder import State
from gp_lab.runs.scores import metrics_of, telling_metrics

if TYPE_CHECKING:
    import pandas

FORMATS = ("table", "markdown", "latex", "csv")

OF_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
} | {character: f"\\{character}" for character in "&%$#_{}"}
"""What LaTeX would obey -> what shows it."""

OF_MARKDOWN = {"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {
    character: f"\\{character}" for character in "\\|*_`[]~$"
}
"""What Markdown would obey -> what shows it."""


class Compared(Groups):
    """The groups of a comparison; printed, a table."""

    def __str__(self) -> str:
        shown = [table(self)] if self else ["no runs"]
        return "\n".join([*shown, *[left_out_note(self.left_out)] * bool(self.left_out)])

    def to_frame(self, metrics: Sequence[str] = ()) -> "pandas.DataFrame":
        """A row for each group, with the columns of `csv_table`; None where a group has no value.

        Raises `BadInput` where pandas is not installed, which the lab itself does not need.
        """
        pandas = of_extra("pandas", "frames", "to_frame")
        head, rows = _records(self, metrics)
        return pandas.DataFrame(rows, columns=head)


def compare(root: str | Path, only: Sequence[str] = (), figures: bool = False) -> Compared:
    """The runs below a folder in groups that differ in more than the seed, with means, 95 %
    intervals and counts of states; `only=["dataset=mnist"]` selects, `figures=True` takes runs of
    figures, too: see `gp_lab.runs.compare`.
    """
    found = compare_runs(root, only, figures)
    return Compared(found, found.left_out)


def csv_table(
    groups: Sequence[Group], metrics: Sequence[str] = (), baseline: Baseline | None = None
) -> str:
    """The groups as CSV: of each metric the mean, its interval's half-width, n and steps; and the
    same, with the number of unpaired seeds, of its difference from a baseline."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head, rows = _records(groups, metrics, baseline)
    writer.writerow(map(printable, head))
    keys = len(keys_of(groups))
    for row in rows:
        values = ["" if value is None else printable(show(value)) for value in row[:keys]]
        writer.writerow([*values, *row[keys:]])
    return text.getvalue()


def markdown_table(
    groups: Sequence[Group], metrics: Sequence[str] = (), baseline: Baseline | None = None
) -> str:
    """The groups as a table of Markdown, its best values bold, and the notes below it."""
    names = list(metrics or telling_metrics(groups))
    head, *lines = grid(groups, names, baseline, longest=None)
    rule = ["---"] * len(head)
    rows = [[_escaped(cell.text, OF_MARKDOWN) for cell in head], rule]
    rows += [[_bold(cell, "**{}**", _markdown) for cell in line] for line in lines]
    said = [_escaped(text, OF_MARKDOWN) for text in _notes(groups, names, baseline)]
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), "", *said]) + "\n"


def latex_table(
    groups: Sequence[Group], metrics: Sequence[str] = (), baseline: Baseline | None = None
) -> str:
    """The groups as a tabular of LaTeX, which needs no package, its best values bold; the notes are
    comments below it."""
    names = list(metrics or telling_metrics(groups))
    head, *lines = grid(groups, names, baseline, longest=None)
    rows = [" & ".join(_escaped(cell.text, OF_LATEX) for cell in head)]
    rows += [" & ".join(_bold(cell, r"\textbf{{{}}}", _latex) for cell in line) for line in lines]
    first, *others = [rf"{row} \\" for row in rows]
    begin = rf"\begin{{tabular}}{{{'l' * len(head)}}}"
    said = [f"% {text}" for text in _notes(groups, names, baseline)]
    body = [begin, r"\hline", first, r"\hline", *others, r"\hline", r"\end{tabular}", *said]
    return "\n".join(body) + "\n"


def _notes(groups: Sequence[Group], names: Sequence[str], baseline: Baseline | None) -> list[str]:
    return [
        text.replace("; *: the best", "; bold: the best") for text in notes(groups, names, baseline)
    ]


def _bold(cell: Cell, bold: str, escape: Callable[[Cell], str]) -> str:
    return bold.format(escape(cell)) if cell.best else escape(cell)


def _markdown(cell: Cell) -> str:
    return _escaped(cell.text, OF_MARKDOWN)


def _latex(cell: Cell) -> str:
    """A score's signs are those of mathematics."""
    text = _escaped(cell.text, OF_LATEX)
    if not cell.score:
        return text
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", text.replace("+-", r"$\pm$"))


def _escaped(text: str, by: Mapping[str, str]) -> str:
    return "".join(by.get(character, character) for character in text)


def _records(
    groups: Sequence[Group], metrics: Sequence[str], baseline: Baseline | None = None
) -> tuple[list[str], list[list[Any]]]:
    """A head and a row for each group, first the values that tell it apart, None without one."""
    keys, names = keys_of(groups), list(metrics or metrics_of(groups))
    parts = [".mean", ".half_width", ".n", ".steps"]
    if baseline is not None:
        parts += [f".difference.{part}" for part in ("mean", "half_width", "n", "unpaired")]
    head = [
        *keys,
        "seeds",
        "steps",
        *map(str, State),
        *(f"{m}{part}" for m in names for part in parts),
    ]
    rows = []
    for i, group in enumerate(groups):
        row: list[Any] = [group.values.get(k) for k in keys]
        row += [len(group.seeds), range_text(group.steps) if group.steps else ""]
        row += [group.states.get(state, 0) for state in State]
        for name in names:
            row += _score_parts(group.scores.get(name))
            if baseline is not None:
                row += _difference_parts(group, baseline.partners[i], name)
        rows.append(row)
    return head, rows


def _score_parts(score: Score | None) -> list[Any]:
    if score is None:
        return ["", "", 0, ""]
    mean, half = score.interval.estimate, score.interval.half_width
    return [mean, half, score.interval.n, range_text(score.steps)]


def _difference_parts(group: Group, base: Group | None, metric: str) -> list[Any]:
    found = None if base is None or base is group else difference(group, base, metric)
    if found is None:
        return ["", "", 0, ""]
    interval = found.interval
    return [interval.estimate, interval.half_width, interval.n, found.unpaired]
