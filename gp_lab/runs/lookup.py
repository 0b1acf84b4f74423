"""Runs that differ from others in nothing but their data, wherever those lie."""

import os
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gp_lab.errors import BadInput
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import Config, folder_of, run_id, runs_folder, without_data


def relatives(configs: Sequence[Config]) -> list[list[RunFolder]]:
    """Of each config the runs that there are with the same settings, on whatever data.

    Only folders whose names begin as the run's own would are looked into. Damaged ones are passed
    over.
    """
    wanted: dict[Path, set[str]] = defaultdict(set)
    for config in configs:
        names = (run_id(config), run_id(config | {"label": None}))  # older runs have no label
        wanted[runs_folder(config["out"])].update(map(_start, names))
    found: dict[tuple[Path, str], list[RunFolder]] = defaultdict(list)
    for root, starts in wanted.items():
        for name in sorted(os.listdir(root)) if root.is_dir() else ():
            folder = RunFolder(root / name)
            if _start(name) in starts and folder.exists:
                with suppress(BadInput, AttributeError, LookupError, TypeError):
                    found[root, without_data(folder.config)].append(folder)
    return [found[runs_folder(config["out"]), without_data(config)] for config in configs]


def folders_of(configs: Sequence[Config]) -> list[list[RunFolder]]:
    """Of each config its run's folder; where nobody has looked at its data, its relatives'."""
    unseen = [config["dataset"].get("digest", "") is None for config in configs]
    found = iter(relatives([c for c, u in zip(configs, unseen, strict=True) if u]))
    return [
        next(found) if u else [RunFolder(folder_of(c))]
        for c, u in zip(configs, unseen, strict=True)
    ]


def _start(name: str) -> str:
    return name.rpartition("-")[0]
