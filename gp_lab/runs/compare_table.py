"""A comparison as text for a terminal, and its cells for the report and for other formats."""

import math
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from gp_lab.errors import counted, printable, show
from gp_lab.runs.baseline import Baseline, difference
from gp_lab.runs.compare import Group, Score
from gp_lab.runs.scores import best, metrics_of, not_comparable, of_data, telling_metrics
from gp_lab.terminal import aligned

LONGEST = 32
"""Characters of a config value in a table."""

MARK = " *"
"""What stands behind the best of a metric."""

OF_RUNS = ("seeds", "step", "state")
"""Columns between the keys and the metrics."""


class Cell(NamedTuple):
    """A printable text, and whether it is the best value of its metric; `score`: whether it is of
    a metric at all."""

    text: str
    best: bool = False
    score: bool = False

    @property
    def marked(self) -> str:
        return self.text + MARK * self.best


def cells(groups: Sequence[Group], metrics: Sequence[str]) -> list[list[str]]:
    """A head and a line for each group, of printable text."""
    return [[cell.text for cell in line] for line in grid(groups, metrics)]


def grid(
    groups: Sequence[Group],
    metrics: Sequence[str],
    baseline: Baseline | None = None,
    longest: int | None = LONGEST,
) -> list[list[Cell]]:
    """A head and a line for each group: the keys, `OF_RUNS`, of each metric the score and, beside
    a baseline, the difference from it. Values longer than `longest` are shortened."""
    columns = [_values(groups, key, longest) for key in keys_of(groups)]
    columns.append([Cell(OF_RUNS[0]), *(Cell(str(len(group.seeds))) for group in groups)])
    columns.append([Cell(OF_RUNS[1]), *(Cell(_steps(group)) for group in groups)])
    columns.append([Cell(OF_RUNS[2]), *(Cell(_states(group)) for group in groups)])
    for name in metrics:
        first = best(groups, name)
        texts = [_score_text(group, group.scores.get(name)) for group in groups]
        found = [Cell(text, i in first, True) for i, text in enumerate(texts)]
        columns.append([Cell(printable(name)), *found])
        if baseline is not None:
            beside = zip(groups, baseline.partners, strict=True)
            own = [Cell(_difference_text(g, base, name), score=True) for g, base in beside]
            columns.append([Cell("difference"), *own])
    return [list(line) for line in zip(*columns, strict=True)]


def table(
    groups: Sequence[Group],
    metrics: Sequence[str] = (),
    width: int | None = None,
    baseline: Baseline | None = None,
) -> str:
    """The groups as text; unless metrics are named, as many of the telling ones as fit.

    Where not even one of them fits, or not all that are named, the groups stand one below the
    other.
    """
    names = list(metrics or telling_metrics(groups))
    lines = _lines(groups, names, width, baseline)
    shown = names
    while lines is None and not metrics and len(shown) > 1:
        shown = shown[:-1]
        lines = _lines(groups, shown, width, baseline)
    if lines is None:
        shown, lines = names, _stacked(grid(groups, names, baseline), len(keys_of(groups)), width)
    said = notes(groups, shown, baseline)
    if not metrics and (more := [printable(n) for n in metrics_of(groups) if n not in shown]):
        said.append(f"more: {', '.join(more)}")
    for text in said:
        lines += wrapped(text, width or 120)
    return "\n".join(lines)


def notes(
    groups: Sequence[Group], metrics: Sequence[str], baseline: Baseline | None = None
) -> list[str]:
    """What is said below a table: of what it is, and what in it cannot be compared."""
    runs = sum(len(group.folders) for group in groups)
    marks = "; *: the best" if any(best(groups, name) for name in metrics) else ""
    if marks and len({of_data(group) for group in groups}) > 1:
        marks += " on its data"
    said = [
        f"{counted(runs, 'run')} in {counted(len(groups), 'group')}; "
        f"means over seeds +- half the 95 % interval{marks}"
    ]
    if baseline is not None:
        text = (
            f"difference: minus {' '.join(baseline.words)} with the same other settings, over"
            " pairs of the same seed"
        )
        if baseline.missing:
            text += f"; {counted(baseline.missing, 'group')} without one"
        said.append(printable(text))
    if mixed := not_comparable(groups, metrics):
        said.append(f"measured with different settings: {printable(', '.join(mixed))}")
    return said


def left_out_note(left_out: int) -> str:
    """That runs of figures are left out, and how to have them."""
    return (
        f"{counted(left_out, 'run')} of figures left out; --figures shows all,"
        " figure=PAPER/ITEM those of one"
    )


def keys_of(groups: Sequence[Group]) -> list[str]:
    """The keys that tell groups apart, in order."""
    return list(dict.fromkeys(key for group in groups for key in group.values))


def range_text(steps: tuple[int, int]) -> str:
    """`400`, or `100-400` where runs have come to different steps."""
    return str(steps[0]) if steps[0] == steps[1] else f"{steps[0]}-{steps[1]}"


def _lines(
    groups: Sequence[Group], names: Sequence[str], width: int | None, baseline: Baseline | None
) -> list[str] | None:
    """The lines of a table, its head shortened if it must be; None if they are wider."""
    rows = [[cell.marked for cell in line] for line in grid(groups, names, baseline)]
    lines = aligned(rows)
    if width and max(map(len, lines)) > width:
        rows[0] = _short(rows[0], len(keys_of(groups)))
        lines = aligned(rows)
    return None if width and max(map(len, lines)) > width else lines


def _stacked(rows: Sequence[Sequence[Cell]], keys: int, width: int | None) -> list[str]:
    """The groups one below the other: their keys, then their runs, then a line for each metric."""
    head, *groups = [[cell.marked for cell in line] for line in rows]
    first, lines = keys + len(OF_RUNS), list[str]()
    for values in groups:
        seeds, step, state = values[keys:first]
        told = zip(head[:keys], values[:keys], strict=True)
        title = ", ".join(f"{key} {value}" for key, value in told if value != "-")
        lines += wrapped(title or "all alike", width)
        lines += wrapped(f"  {counted(int(seeds), 'seed')}, step {step}, {state}", width)
        of_metrics = zip(head[first:], values[first:], strict=True)
        for line in aligned([(f"  {name}", value) for name, value in of_metrics]):
            lines += wrapped(line, width)
    return lines


def wrapped(text: str, width: int | None) -> list[str]:
    """The text in lines of a width at most; as it is if it is no longer."""
    if not width or len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, subsequent_indent="    ")


def _values(groups: Sequence[Group], key: str, longest: int | None) -> list[Cell]:
    """The column of a key; values are cut in their middle, unless that made two of them one."""
    texts = [printable(show(g.values[key])) if key in g.values else "-" for g in groups]
    if longest is not None:
        cut = [_shortened(text, longest) for text in texts]
        texts = cut if len(set(cut)) == len(set(texts)) else texts
    return [Cell(printable(key)), *map(Cell, texts)]


def _shortened(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    end = (longest - 3) // 2
    return f"{text[: longest - 3 - end]}...{text[-end:]}"


def _steps(group: Group) -> str:
    return range_text(group.steps) if group.steps else "-"


def _states(group: Group) -> str:
    if len(group.states) == 1:
        return str(next(iter(group.states)))
    most_first = sorted(group.states.items(), key=lambda item: -item[1])
    return ", ".join(f"{n} {state}" for state, n in most_first)


def _score_text(group: Group, score: Score | None) -> str:
    """As `12.3 +- 0.4`, and what its readers would not expect: fewer values, or at other steps."""
    if score is None:
        return "-"
    text = _to_its_digits(score.interval.estimate, score.interval.half_width)
    said = [f"n={score.interval.n}"] * (score.interval.n < group.counted)
    if score.steps[0] != score.steps[1] and score.steps != group.steps:
        said.append(f"step {range_text(score.steps)}")
    return text + f" ({', '.join(said)})" * bool(said)


def _difference_text(group: Group, base: Group | None, metric: str) -> str:
    """As `-0.3 +- 0.1 (5 pairs)`."""
    if base is group:
        return "baseline"
    found = difference(group, base, metric) if base is not None else None
    if found is None:
        return "-"
    pairs = counted(found.interval.n, "pair")
    unpaired = f", {found.unpaired} unpaired" * bool(found.unpaired)
    if not found.interval.n:
        return f"- ({pairs}{unpaired})"
    text = _to_its_digits(found.interval.estimate, found.interval.half_width)
    return f"{text} ({pairs}{unpaired})"


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


def _short(head: Sequence[str], keys: int) -> list[str]:
    """The first so many of a head by the last part of their names, where no other has the same."""
    ends = [key.rpartition(".")[2] for key in head[:keys]]
    return [e if ends.count(e) == 1 else key for key, e in zip(head, ends, strict=False)] + [
        *head[keys:]
    ]
