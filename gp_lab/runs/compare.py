"""Comparing the runs of a sweep: grouped by what differs between them besides the seed.

A group's numbers are means over its seeds of the last value of each metric, from `metrics.jsonl`
and from what `gp-lab evaluate` left, with Student's 95 % interval. Where a run has several, the
value at the furthest step counts, and at equal steps the newest. Diverged runs are counted and
never averaged.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gp_lab.errors import show
from gp_lab.evaluation.intervals import Interval, mean_interval
from gp_lab.runs.filters import Flat, flat
from gp_lab.runs.folder import State
from gp_lab.runs.measured import Measured, measured
from gp_lab.runs.metrics import Value


@dataclass(frozen=True)
class Score:
    """A metric's last values: mean and interval over seeds, and the first and last of their steps.

    `interval.n` is less than the runs that count where some have no value, or NaN. `settings` are
    those of the probe that measured it, as texts: of more than one the values are not comparable.
    `by_seed`: the value of each seed, which is written as a user would.
    """

    interval: Interval
    steps: tuple[int, int]
    settings: frozenset[str] = frozenset()
    by_seed: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but the seed.

    values: the config's keys that tell the groups apart -> this group's value; a key that it does
    not have is absent. `penalty` stands for a choice by name, `penalty.weight` for a key in it.
    steps: the first and last step that its runs have come to, without those that diverged.
    """

    values: Mapping[str, Any]
    folders: tuple[Path, ...]
    seeds: tuple[Any, ...]
    states: Mapping[State, int]
    steps: tuple[int, int] | None
    scores: Mapping[str, Score]

    @property
    def counted(self) -> int:
        """How many runs can be averaged: those that have not diverged."""
        return len(self.folders) - self.states.get(State.DIVERGED, 0)


class Groups(list[Group]):
    """The groups of a comparison; `left_out`: how many runs of figures are not among them."""

    def __init__(self, groups: Sequence[Group] = (), left_out: int = 0) -> None:
        super().__init__(groups)
        self.left_out = left_out


def compare(root: str | Path, only: Sequence[str] = (), figures: bool = False) -> Groups:
    """The runs below a folder in groups, in the order of the values that tell them apart.

    `only` those of which words say so, as `dataset=mnist` or `seed=0,1`: see `gp_lab.runs.filters`.
    Runs that belong to figures are left out, unless `figures` or a word asks for them. A damaged
    run, or a second folder of the same run, is left out with a warning. Raises `BadInput` for a
    folder that is not there, or a key that no config has.
    """
    runs, left_out = measured(root, only, figures)
    alike: dict[str, list[Measured]] = defaultdict(list)
    for run in runs:
        alike[run.alike].append(run)
    configs = [dict(flat(group[0].own)) for group in alike.values()]
    keys = _telling(configs)
    groups = [
        _group(group, {k: config[k] for k in keys if k in config})
        for group, config in zip(alike.values(), configs, strict=True)
    ]
    return Groups(sorted(groups, key=lambda group: _order(group, keys)), left_out)


def natural(value: Any) -> tuple[int, float, str]:
    """What values of a config are sorted by: numbers by size, then texts."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0, value, ""
    return 1, 0.0, show(value)


def _telling(configs: Sequence[Flat]) -> list[str]:
    """The keys that tell configs apart, without those that only follow from another.

    A key inside a choice counts if it differs between configs of the same choice; one that is
    deeper than a part's own settings, if it says more than a key above that.
    """
    every = dict.fromkeys(key for config in configs for key in config)
    texts = {
        key: column
        for key in every
        if len(set(column := [show(c[key]) if key in c else "" for c in configs])) > 1
    }
    own = [key for key in texts if _differs_in_itself(key, texts)]
    shallow = [key for key in own if key.count(".") < 2]
    return [
        key
        for key in own
        if key in shallow or not any(_follows(texts[key], texts[other]) for other in shallow)
    ]


def _differs_in_itself(key: str, texts: Mapping[str, Sequence[str]]) -> bool:
    """Whether a key differs between configs that have made the same choices above it."""
    parts = key.split(".")
    above = [texts[k] for i in range(1, len(parts)) if (k := ".".join(parts[:i])) in texts]
    found: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for i, text in enumerate(texts[key]):
        found[tuple(column[i] for column in above)].add(text)
    return any(len(values) > 1 for values in found.values())


def _follows(column: Sequence[str], other: Sequence[str]) -> bool:
    """Whether the entries of a column are a function of another's."""
    return len(set(zip(other, column, strict=True))) == len(set(other))


def _group(runs: Sequence[Measured], values: Flat) -> Group:
    runs = sorted(runs, key=lambda run: natural(run.config.get("seed")))
    counted = [run for run in runs if run.state != State.DIVERGED]
    last: dict[str, dict[str, tuple[Value, str]]] = defaultdict(dict)
    for run in counted:
        for name, found in run.last.items():
            last[name][run.seed] = found
    states = [run.state for run in runs]
    return Group(
        values=values,
        folders=tuple(run.path for run in runs),
        seeds=tuple(run.config.get("seed") for run in runs),
        states={state: states.count(state) for state in State if state in states},
        steps=_ends(run.step for run in counted) if counted else None,
        scores={name: _score(found) for name, found in last.items()},
    )


def _score(found: Mapping[str, tuple[Value, str]]) -> Score:
    values, settings = zip(*found.values(), strict=True)
    by_seed = {seed: value.value for seed, (value, _) in found.items()}
    interval = mean_interval(list(by_seed.values()))
    return Score(interval, _ends(v.step for v in values), frozenset(settings), by_seed)


def _ends(steps: Iterator[int]) -> tuple[int, int]:
    found = sorted(steps)
    return found[0], found[-1]


def _order(group: Group, keys: Sequence[str]) -> list[tuple[int, float, str]]:
    return [natural(group.values[k]) if k in group.values else (2, 0.0, "") for k in keys]
