"""What the words of `gp-lab compare` ask for: a folder, metrics and settings in any order."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gp_lab.files import is_folder, path_of
from gp_lab.launching.program import outputs_of, parsed

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
