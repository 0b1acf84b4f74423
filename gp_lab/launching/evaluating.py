"""`gp-lab evaluate`: which runs its words mean, and the scores of one after another."""

import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gp_lab.errors import BadInput, Exit, LabError, counted, one_line, show
from gp_lab.fields import Check, Place, keys
from gp_lab.files import is_folder, path_of
from gp_lab.launching.arguments import checkpoint_step, later, own_configs, probes_of
from gp_lab.overrides import group_of
from gp_lab.runs.compare_table import left_out_note
from gp_lab.runs.filters import (
    Flat,
    asks_for_figures,
    belongs_to_figure,
    facts_of,
    filters_of,
    is_filter,
    key_and_sign,
    none_left,
    selected,
)
from gp_lab.runs.folder import RunFolder, find_runs
from gp_lab.runs.identity import Config
from gp_lab.runs.settings import DataNode
from gp_lab.terminal import duration
from gp_lab.training.evaluate import evaluate, evaluations_table

USAGE = (
    "gp-lab evaluate RUN|OUTPUTS ... [FILTER ...] [step=N|best] [probe=NAME]"
    " [probe.NAME.key=value] [dataset.root=DIR] [trust=PACKAGE] [--config-dir=DIR] [--figures]"
    " [--follow]"
)

FOLLOW = "--follow"

PLACES = keys(DataNode, Place, Check)
"""Keys of a data set that say where it lies: of any other a filter is meant."""


@dataclass(frozen=True)
class Evaluating:
    """Runs, and how they are evaluated: their `probes` by the output root that a run is below,
    where what is kept of its data lies; several: whether more than one run was asked for."""

    runs: Sequence[RunFolder]
    probes: dict[str, Config]
    step: int | str | None
    trust: tuple[str, ...]
    data: tuple[str, ...]
    several: bool


def asked(arguments: Sequence[str]) -> Evaluating:
    """What the words after `evaluate` say. Raises `BadInput`.

    Of one run named by its folder all other words are about how; beside several, or a folder of
    runs, those that cannot be are filters.
    """
    flags = ("--figures", FOLLOW)
    rest, config_dir = own_configs([word for word in arguments if word not in flags])
    paths = [
        word
        for i, word in enumerate(rest)
        if is_folder(path_of(word)) or (_is_path(word) and (i == 0 or "/" in word))
    ]
    words = [word for word in rest if word not in paths]
    if not paths:
        raise BadInput(f"evaluate: which run? write {USAGE}")
    several = len(paths) > 1 or not RunFolder(paths[0]).exists
    only = [word for word in words if several and is_filter(word) and not _is_own(word)]
    filters_of(only)
    words = [word for word in words if word not in only]
    of_probes = [word for word in words if group_of(word) == "probe"]
    refusal = f"cannot be changed when a run is evaluated; write {USAGE}"
    said = later([word for word in words if word not in of_probes], ["step"], refusal)
    step = said.own.get("step")
    if "step" in said.own:
        step = checkpoint_step(f"step={show(step)}", step)
    runs = _runs(paths, only, "--figures" in arguments)
    roots = {str(run.out) for run in runs}
    probes = {root: probes_of(of_probes, root, config_dir) for root in sorted(roots)}
    if not all(probes.values()):
        raise BadInput(f"probe=[]: nothing to evaluate; write {USAGE}")
    return Evaluating(runs, probes, step, said.trust, said.data, several)


def evaluate_all(of: Evaluating) -> Exit:
    """Evaluate the runs and print their scores; one that fails does not stop the others.

    Raises `LabError` if there is only one.
    """
    failed, began = 0, time.monotonic()
    for number, folder in enumerate(of.runs, 1):
        if of.several:
            print(_progress(number, len(of.runs), began, folder), file=sys.stderr, flush=True)
        try:
            found = evaluate(folder.path, of.probes[str(folder.out)], of.step, of.trust, of.data)
        except LabError as error:
            if not of.several or error.status in (Exit.PREEMPTED, Exit.INTERRUPTED):
                raise
            which = "" if folder.path.name in str(error) else f"{folder.path.name}: "
            print(f"gp-lab: {which}{error}", file=sys.stderr)
            failed += 1
        except Exception as error:
            if not of.several:
                raise
            traceback.print_exc()
            print(f"gp-lab: {folder.path.name} failed: {one_line(error)}", file=sys.stderr)
            failed += 1
        else:
            print(
                f"{folder.path} at step {found[0]['step']}\n{evaluations_table(found)}", flush=True
            )
    if of.several:
        print(f"{counted(len(of.runs) - failed, 'run')} evaluated, {failed} failed")
    return Exit.FAILED if failed else Exit.OK


def _is_path(word: str) -> bool:
    return not word.startswith("-") and not is_filter(word)


def _is_own(word: str) -> bool:
    """Whether a word says how runs are evaluated."""
    key, sign = key_and_sign(word)
    place = group_of(word) == "dataset" and key.rpartition(".")[2] in PLACES
    return sign == "=" and (place or group_of(word) == "probe" or key in ("step", "trust"))


def _runs(paths: Sequence[str], only: Sequence[str], figures: bool) -> list[RunFolder]:
    """The runs that paths name, and those below that no figure asked for, which filters select."""
    found: dict[Path, RunFolder] = {}
    named = set()
    for word in paths:
        folder = RunFolder(word)
        there = is_folder(folder.path)
        below = [folder] if folder.exists else find_runs(folder.path) if there else []
        if not below:
            raise BadInput(f"{folder.path}: no run there (it has no config.yaml)")
        named |= {folder.path} if folder.exists else set()
        found |= {run.path: run for run in below}
    filters, every = filters_of(only), figures or asks_for_figures(only)
    known = [(run, has) for run in found.values() if (has := _facts(run, bool(only))) is not None]
    chosen = selected([((run, has), has) for run, has in known], filters)
    runs = [run for run, has in chosen if every or run.path in named or not _of_figure(has)]
    left_out = left_out_note(len(chosen) - len(runs)) if len(runs) < len(chosen) else ""
    if not runs:
        why = left_out or none_left([has for _, has in known], filters)
        raise BadInput(f"{' '.join(paths)}: {why}")
    if left_out:
        print(f"gp-lab: {left_out}", file=sys.stderr)
    return runs


def _of_figure(has: Flat) -> bool:
    return belongs_to_figure({"figure": {"id": has.get("figure.id")}, "panel": has.get("panel")})


def _facts(run: RunFolder, needed: bool) -> Flat | None:
    """Of a run whose config is damaged none, and if they are needed a warning: without filters it
    is among the runs, and fails."""
    try:
        return facts_of(run)
    except BadInput as error:
        if not needed:
            return {}
        warnings.warn(f"left out: {error}", stacklevel=4)
        return None


def _progress(number: int, runs: int, began: float, folder: RunFolder) -> str:
    left = (time.monotonic() - began) / 60 * (runs - number + 1) / max(1, number - 1)
    about = f", about {duration(left)} left" if number > 1 else ""
    return f"{number} of {runs}{about}: {folder.path}"
