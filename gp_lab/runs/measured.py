"""One run as it is compared: what tells it from others, and the last value of each metric."""

import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from gp_lab.errors import BadInput, one_line, show
from gp_lab.fields import Budget, Execution, keys
from gp_lab.files import path_of
from gp_lab.runs.filters import (
    asks_for_figures,
    belongs_to_figure,
    facts,
    filters_of,
    selected,
)
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.runs.identity import Config, canonical, identity, without
from gp_lab.runs.metrics import Value, last_values, values_of
from gp_lab.runs.older import NEW_GROUPS
from gp_lab.runs.settings import ProbeNode

WHEN_AND_WHERE = keys(ProbeNode, Execution, Budget) - {"precision"}
"""Settings of a probe that change nothing about what it measures."""

USUAL = {"precision": "fp32"}
"""What a probe has where its settings do not say: those of an older run."""

OF_NO_ACCOUNT = frozenset({"seed", "probe"})
"""Keys of a run's identity that do not tell groups apart: probes look on, and change no number."""


@dataclass(frozen=True)
class Measured:
    """One run as it is compared.

    own: of its config what tells it from others, without the seed; alike: that as a text; whole:
    the same with its probes; last: of each metric the last value, and the settings of the probe
    that measured it.
    """

    path: Path
    config: Config
    own: Config
    alike: str
    whole: str
    state: State
    step: int
    last: Mapping[str, tuple[Value, str]]

    @property
    def seed(self) -> str:
        """Its seed as a text: by it runs are paired."""
        return show(self.config.get("seed"))


def measured(
    root: str | Path, only: Sequence[str] = (), figures: bool = False
) -> tuple[list[Measured], int]:
    """The runs below a folder that words select, one for each seed; and how many are left out
    since they belong to figures, which neither `figures` nor a word asks for.

    A damaged run, or a second folder of the same run, is left out with a warning. Raises `BadInput`
    for a folder that is not there, and for words as `gp_lab.runs.filters` does.
    """
    root, filters = path_of(root), filters_of(only)
    if not root.is_dir():
        raise BadInput(f"{root}: no such folder")
    found = [run for folder in find_runs(root) if (run := _whole(folder.path, _read))]
    if filters:
        asked = [(run, facts(run.config, run.path.name, run.state, run.step)) for run in found]
        found = selected(asked, filters)
    every = figures or asks_for_figures(only)
    kept = [run for run in found if every or not belongs_to_figure(run.config)]
    whole = [one for run in kept if (one := _whole(run.path, partial(_with_metrics, run)))]
    return _one_of_each_seed(whole), len(found) - len(kept)


def _one_of_each_seed(runs: Sequence[Measured]) -> list[Measured]:
    """Of runs that differ in nothing, or only in their probes, the one that has come furthest; with
    what the others' probes have measured."""
    alike: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    for run in runs:
        alike[run.alike, run.seed].append(run)
    return [_together(twins) for twins in alike.values()]


def _together(twins: Sequence[Measured]) -> Measured:
    kept: dict[str, Measured] = {}
    for run in twins:
        other = kept.get(run.whole)
        kept[run.whole] = run if other is None or run.step > other.step else other
        if other is not None:
            same = kept[run.whole]
            out = other if same is run else run
            warnings.warn(f"{out.path}: left out, {same.path} is the same run", stacklevel=5)
    first, *others = sorted(kept.values(), key=lambda run: -run.step)
    last = dict(first.last)
    for run in others:
        for name, found in run.last.items():
            if name not in last or last[name][0].step < found[0].step:
                last[name] = found
    return replace(first, last=last)


def _whole(path: Path, read: Callable[[RunFolder], Measured]) -> Measured | None:
    """What is read of a run's folder; None, and a warning, if its files are damaged."""
    try:
        return read(RunFolder(path))
    except (
        BadInput, ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError,
        ValueError,
    ) as error:  # fmt: skip
        warnings.warn(f"{path}: left out ({one_line(error)})", stacklevel=4)
        return None


def _read(folder: RunFolder) -> Measured:
    """A run without its metrics, which take longest to read."""
    config = folder.config
    found = {k: v for k, v in identity(config).items() if k != "seed"}
    own = {k: v for k, v in found.items() if k not in OF_NO_ACCOUNT}
    own |= {group: config[group] for group in NEW_GROUPS if group in config}  # `none`, too
    state, step = _status(folder)
    texts = canonical(own), canonical(found)
    return Measured(folder.path, config, own, *texts, state=state, step=step, last={})


def _status(folder: RunFolder) -> tuple[State, int]:
    """State and step; failed if nothing can say."""
    try:
        status = folder.status
    except BadInput:
        return State.FAILED, 0
    return State(status.get("state", State.FAILED)), status.get("step", 0)


def _with_metrics(run: Measured, folder: RunFolder) -> Measured:
    return replace(run, last=_last(folder, run.config.get("probe") or {}))


def _telling_settings(node: Any) -> str:
    """A probe's settings as a text, without those that change nothing, or are the usual ones."""
    own = without(WHEN_AND_WHERE, node)
    if isinstance(own, Mapping):
        own = {k: v for k, v in own.items() if USUAL.get(k) != v}
    return canonical(own)


def _last(folder: RunFolder, probes: Mapping[str, Any]) -> dict[str, tuple[Value, str]]:
    settings = {name: _telling_settings(node) for name, node in probes.items()}
    found = {
        name: (value, settings.get(name.partition("/")[0], ""))
        for name, value in last_values(folder.inside("metrics.jsonl"), settings).items()
    }
    for line in folder.evaluations():
        scores = line["scores"] if isinstance(line.get("scores"), Mapping) else {}
        made_with = _telling_settings(line.get("settings"))
        for quantity, value in values_of(scores | {"step": line["step"]}).items():
            name = f"{line.get('probe')}/{quantity}"
            if name not in found or found[name][0].step <= value.step:
                found[name] = value, made_with
    return found
