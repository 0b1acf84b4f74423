"""What the words of `gp-lab compare` ask for, a folder, metrics and settings in any order; and the
answer."""

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gp_lab.errors import BadInput
from gp_lab.files import is_folder, path_of
from gp_lab.launching.program import outputs_of, parsed
from gp_lab.terminal import columns

USAGE = "gp-lab compare [OUTPUTS] [METRIC ...] [KEY=VALUE ...] [--sort METRIC] [--csv]"


@dataclass(frozen=True)
class Comparison:
    """root: of the runs; only: settings that they have; metrics: those that are shown; sort: the
    one that they are ordered by; csv: whether it is for other programs."""

    root: Path
    only: Sequence[str]
    metrics: Sequence[str]
    sort: str | None
    csv: bool


def comparison(arguments: list[str], description: str | None) -> Comparison:
    """What the words after `compare` say. Raises `BadInput`.

    A first word that is no folder is a metric, unless there is nothing that could have it.
    """
    parser = argparse.ArgumentParser("gp-lab compare", description=description)
    parser.add_argument("words", metavar="OUTPUTS, METRIC or KEY=VALUE", nargs="*")
    parser.add_argument("--sort", metavar="METRIC", help="the lowest mean first")
    parser.add_argument("--csv", action="store_true", help="all metrics, for other programs")
    args = parsed(parser, arguments, USAGE)
    folder = args.words[:1] if args.words and is_folder(path_of(args.words[0])) else []
    only = [word for word in args.words[len(folder) :] if "=" in word]
    metrics = [*folder, *(word for word in args.words[len(folder) :] if "=" not in word)]
    no_outputs = not Path("outputs").is_dir()
    first_is_folder = bool(metrics) and (is_folder(path_of(metrics[0])) or no_outputs)
    root = outputs_of([metrics.pop(0)] if first_is_folder else [], USAGE)
    return Comparison(root, only, metrics, args.sort, args.csv)


def answer(asked: Comparison) -> str:
    """The table, as wide as the terminal, or the CSV. Raises `BadInput` without such runs."""
    from gp_lab.runs.compare import by_score, check_metric, compare
    from gp_lab.runs.compare_table import csv_table, table

    groups = compare(asked.root, asked.only)
    if not groups:
        having = f" with {' '.join(asked.only)}" if asked.only else ""
        raise BadInput(f"{asked.root}: no runs there{having}")
    for name in (*asked.metrics, *([asked.sort] if asked.sort else [])):
        check_metric(name, groups)
    if asked.sort:
        groups = by_score(groups, asked.sort)
    if asked.csv:
        return csv_table(groups, asked.metrics)
    width = columns(shutil.get_terminal_size((120, 24)).columns)
    return table(groups, asked.metrics, width) + "\n"
