"""What the words of `gp-lab compare` ask for, a folder, metrics and settings in any order; and the
answer."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gp_lab.errors import BadInput, bad_choice
from gp_lab.files import is_folder, path_of
from gp_lab.launching.program import outputs_of, parsed
from gp_lab.terminal import columns

USAGE = (
    "gp-lab compare [OUTPUTS] [METRIC ...] [KEY=VALUE ...] [--sort KEY] [--baseline KEY=VALUE]"
    " [--format table|markdown|latex|csv] [--figures]"
)

HELP = """\
filters, of which a run has to pass all:
{grammar}
examples:
  gp-lab compare outputs curve/w1 --sort curve/w1
  gp-lab compare outputs penalty=none,one_gp optimizer.lr=1e-4..1e-2 'steps>=1000'
  gp-lab compare outputs name~swiss state=finished --sort -curve/coverage
  gp-lab compare outputs curve/w1 --baseline penalty=none --format latex > table.tex
  gp-lab compare outputs figure=zero_gp/fig6
"""


@dataclass(frozen=True)
class Comparison:
    """root: of the runs; only: filters that they pass; metrics: those that are shown; sort: what
    they are ordered by; baseline: settings of the groups that the others are compared with; form:
    one of the formats; figures: whether runs of figures are among them."""

    root: Path
    only: Sequence[str]
    metrics: Sequence[str]
    sort: str | None
    baseline: Sequence[str]
    form: str
    figures: bool


def comparison(arguments: list[str], description: str | None) -> Comparison:
    """What the words after `compare` say. Raises `BadInput`.

    A first word that is no folder is a metric, unless there is nothing that could have it.
    """
    from gp_lab.runs.compare_formats import FORMATS
    from gp_lab.runs.filters import GRAMMAR, filters_of, is_filter

    grammar = "".join(f"  {line}\n" for line in GRAMMAR.splitlines())
    parser = argparse.ArgumentParser(
        "gp-lab compare",
        description=description,
        epilog=HELP.format(grammar=grammar),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", metavar="OUTPUTS, METRIC or FILTER", nargs="*")
    parser.add_argument(
        "--sort",
        metavar="KEY",
        help="by a metric or a setting, the lowest first; -KEY: the highest",
    )
    parser.add_argument(
        "--baseline",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="differences from the groups with this setting, and the others the same, over pairs of"
        " seeds; several: with all of them",
    )
    parser.add_argument("--format", metavar="|".join(FORMATS), help="table is for this terminal")
    parser.add_argument("--csv", action="store_true", help="--format csv: all metrics")
    parser.add_argument("--figures", action="store_true", help="the runs of figures, too")
    args = parsed(parser, _with_values(arguments), USAGE)
    form = args.format or ("csv" if args.csv else "table")
    if form not in FORMATS:
        raise bad_choice("--format", form, FORMATS)
    if args.csv and form != "csv":
        raise BadInput(f"--csv --format {form}: which of the two? write one of them")
    folder = args.words[:1] if args.words and is_folder(path_of(args.words[0])) else []
    only = [word for word in args.words[len(folder) :] if is_filter(word)]
    metrics = [*folder, *(word for word in args.words[len(folder) :] if not is_filter(word))]
    no_outputs = not Path("outputs").is_dir()
    first_is_folder = bool(metrics) and (is_folder(path_of(metrics[0])) or no_outputs)
    root = outputs_of([metrics.pop(0)] if first_is_folder else [], USAGE)
    filters_of(only)
    return Comparison(root, only, metrics, args.sort, args.baseline, form, args.figures)


def answer(asked: Comparison) -> str:
    """The table, as wide as the terminal, or another format. Raises `BadInput` without such runs.

    What is left out is said below the table; of other formats on standard error.
    """
    from gp_lab.runs.baseline import baseline_of
    from gp_lab.runs.compare import Group, compare
    from gp_lab.runs.compare_formats import csv_table, latex_table, markdown_table
    from gp_lab.runs.compare_table import left_out_note, table, wrapped
    from gp_lab.runs.filters import filters_of, none_left, readable
    from gp_lab.runs.folder import find_runs
    from gp_lab.runs.scores import check_metric, in_order

    found = compare(asked.root, asked.only, asked.figures)
    groups: Sequence[Group] = found
    if not groups:
        if found.left_out:
            raise BadInput(f"{asked.root}: no others there; {left_out_note(found.left_out)}")
        why = none_left(readable(find_runs(asked.root)), filters_of(asked.only))
        raise BadInput(f"{asked.root}: {why}")
    for name in asked.metrics:
        check_metric(name, groups)
    if asked.sort is not None:
        groups = in_order(groups, asked.sort)
    beside = baseline_of(groups, asked.baseline) if asked.baseline else None
    left_out = [left_out_note(found.left_out)] if found.left_out else []
    if asked.form == "table":
        width = columns(shutil.get_terminal_size((120, 24)).columns)
        below = [line for note in left_out for line in wrapped(note, width)]
        return "\n".join([table(groups, asked.metrics, width, beside), *below]) + "\n"
    for line in left_out:
        print(f"gp-lab: {line}", file=sys.stderr)
    write = {"markdown": markdown_table, "latex": latex_table, "csv": csv_table}[asked.form]
    return write(groups, asked.metrics, beside)


def _with_values(arguments: Sequence[str]) -> list[str]:
    """The words, `--sort -KEY` as one: argparse would take its value for a flag."""
    words, found = iter(arguments), list[str]()
    for word in words:
        value = next(words, None) if word == "--sort" else None
        found.append(word if value is None else f"{word}={value}")
    return found
