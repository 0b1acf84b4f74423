"""Comparing the runs of a sweep: grouped by what differs between them besides the seed.

A group's numbers are means over its seeds of the last value of each metric, from `metrics.jsonl`
and from what `gp-lab evaluate` left, with Student's 95 % interval. Where a run has several, the
value at the furthest step counts, and at equal steps the newest. Diverged runs are counted and
never averaged.
"""

import math
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gp_lab.errors import BadInput, bad_choice, bad_key, one_line, show
from gp_lab.evaluation.intervals import Interval, mean_interval
from gp_lab.fields import Budget, Execution, keys
from gp_lab.files import expanded, path_of
from gp_lab.overrides import choices_of
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.runs.identity import Config, canonical, identity, nameless, without
from gp_lab.runs.metrics import Value, last_values, values_of
from gp_lab.runs.settings import ProbeNode

SCORES = (
    "inception", "classifier", "modes", "curve", "ngrams", "held_out", "critic_losses", "neighbours"
)  # fmt: skip
"""Probes whose numbers say how good a run is, the most telling first."""

LOSSES = ("loss_d", "loss_g", "gradient_norm")

WHEN_AND_WHERE = keys(ProbeNode, Execution, Budget)
"""Settings of a probe that change nothing about what it measures."""

Flat = dict[str, Any]
"""Dotted keys of a config to leaves; the key of a node of a group to what was chosen there."""


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


@dataclass(frozen=True)
class Measured:
    """One run as it is compared.

    own: of its config what tells it from others, without the seed; alike: that as a text;
    last: of each metric the last value, and the settings of the probe that measured it.
    """

    path: Path
    config: Config
    own: Config
    alike: str
    state: State
    step: int
    last: Mapping[str, tuple[Value, str]]


def compare(root: str | Path, only: Sequence[str] = ()) -> list[Group]:
    """The runs below a folder in groups, in the order of the values that tell them apart.

    `only` those whose configs say so, as `dataset=mnist`, or one of these as `seed=0,1`: words in
    the grammar of `gp_lab.overrides`. A damaged run, or a second folder of the same run, is left
    out with a warning. Raises `BadInput` for a folder that is not there, or a key that no config
    has.
    """
    root = path_of(root)
    if not root.is_dir():
        raise BadInput(f"{root}: no such folder")
    runs = _selected([run for folder in find_runs(root) if (run := _read(folder))], only)
    alike: dict[str, dict[str, Measured]] = defaultdict(dict)
    for run in runs:
        seeds = alike[run.alike]
        twin = seeds.get(seed := show(run.config.get("seed")))
        seeds[seed] = run if twin is None or run.step > twin.step else twin
        if twin is not None:
            out = twin if seeds[seed] is run else run
            warnings.warn(f"{out.path}: left out, {seeds[seed].path} is the same run", stacklevel=2)
    found = [list(seeds.values()) for seeds in alike.values()]
    configs = [dict(flat(group[0].own)) for group in found]
    keys = _telling(configs)
    groups = [
        _group(group, {k: config[k] for k in keys if k in config})
        for group, config in zip(found, configs, strict=True)
    ]
    return sorted(groups, key=lambda group: _order(group, keys))


def metrics_of(groups: Sequence[Group]) -> list[str]:
    """All metrics of some groups: scores, losses, and the rest by name."""
    return sorted({name for group in groups for name in group.scores}, key=_rank)


def telling_metrics(groups: Sequence[Group]) -> list[str]:
    """What to look at first: the probes' scores, or the losses where there are none."""
    names = metrics_of(groups)
    scores = [n for n in names if n.partition("/")[0] in SCORES and not n.endswith("_std")]
    return scores or [n for n in names if n in LOSSES] or names


def not_comparable(groups: Sequence[Group], metrics: Sequence[str]) -> list[str]:
    """Those metrics that probes of different settings have measured, within a group or in two."""

    def settings(name: str) -> set[str]:
        scores = [group.scores[name] for group in groups if name in group.scores]
        return {text for score in scores for text in score.settings}

    return [name for name in metrics if len(settings(name)) > 1]


def check_metric(name: str, groups: Sequence[Group]) -> None:
    """Raises `BadInput` for a metric that no group has."""
    if name not in (known := metrics_of(groups)):
        raise bad_choice("metric", name, known)


def by_score(groups: Sequence[Group], metric: str) -> list[Group]:
    """The groups, the lowest mean of a metric first; those without one last."""

    def mean(group: Group) -> float:
        score = group.scores.get(metric)
        value = math.nan if score is None else score.interval.estimate
        return math.inf if math.isnan(value) else value

    return sorted(groups, key=mean)


# -- reading -------------------------------------------------------------------------------


def _read(folder: RunFolder) -> Measured | None:
    """A run; None, and a warning, if its files are damaged."""
    try:
        config = folder.config
        own = {k: v for k, v in identity(config).items() if k != "seed"}
        state, step = _status(folder)
        return Measured(
            folder.path,
            config=config,
            own=own,
            alike=canonical(own),
            state=state,
            step=step,
            last=_last(folder, config.get("probe") or {}),
        )
    except (
        BadInput, ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError,
        ValueError,
    ) as error:  # fmt: skip
        warnings.warn(f"{folder.path}: left out ({one_line(error)})", stacklevel=3)
        return None


def _status(folder: RunFolder) -> tuple[State, int]:
    """State and step; failed if nothing can say."""
    try:
        status = folder.status
    except BadInput:
        return State.FAILED, 0
    return State(status.get("state", State.FAILED)), status.get("step", 0)


def _last(folder: RunFolder, probes: Mapping[str, Any]) -> dict[str, tuple[Value, str]]:
    settings = {name: canonical(without(WHEN_AND_WHERE, node)) for name, node in probes.items()}
    found = {
        name: (value, settings.get(name.partition("/")[0], ""))
        for name, value in last_values(folder.inside("metrics.jsonl"), settings).items()
    }
    for line in folder.evaluations():
        scores = line["scores"] if isinstance(line.get("scores"), Mapping) else {}
        made_with = canonical(without(WHEN_AND_WHERE, line.get("settings")))
        for quantity, value in values_of(scores | {"step": line["step"]}).items():
            name = f"{line.get('probe')}/{quantity}"
            if name not in found or found[name][0].step <= value.step:
                found[name] = value, made_with
    return found


def flat(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value): of a mapping with a name or a class first what that says."""
    if not isinstance(node, Mapping) or not node:
        yield key, nameless(node)
        return
    target = node.get("_target_")
    choice = node.get("name", target.rpartition(".")[2] if isinstance(target, str) else None)
    if key and choice is not None:
        yield key, choice
    for k, v in node.items():
        if k != "name":
            yield from flat(v, f"{key}.{k}" if key else str(k))


def _selected(runs: list[Measured], only: Sequence[str]) -> list[Measured]:
    wanted = choices_of(only)
    if not only or not runs:
        return runs
    found = [(run, dict(flat(run.config))) for run in runs]
    known = [key.rpartition(".") for key in {key for _, config in found for key in config}]
    for key, these in wanted.items():
        if key.rpartition(".") not in known:
            raise bad_key(key, {k for node, _, k in known if node == key.rpartition(".")[0]})
        texts = {_text(value) for value in these}
        found = [(run, own) for run, own in found if key in own and _text(own[key]) in texts]
    return [run for run, _ in found]


def _text(value: Any) -> str:
    """A value as it is compared: 10 is 10.0, and `~` the home folder."""
    return expanded(show(nameless(value)))


# -- grouping ------------------------------------------------------------------------------


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
    runs = sorted(runs, key=lambda run: _natural(run.config.get("seed")))
    counted = [run for run in runs if run.state != State.DIVERGED]
    last: dict[str, dict[str, tuple[Value, str]]] = defaultdict(dict)
    for run in counted:
        for name, found in run.last.items():
            last[name][show(run.config.get("seed"))] = found
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
    return [_natural(group.values[k]) if k in group.values else (2, 0.0, "") for k in keys]


def _natural(value: Any) -> tuple[int, float, str]:
    """Numbers by size, then texts."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0, value, ""
    return 1, 0.0, show(value)


def _rank(name: str) -> tuple[int, int, str]:
    probe, _, quantity = name.partition("/")
    if quantity and probe in SCORES:
        return SCORES.index(probe), not quantity.startswith("fid"), name
    return len(SCORES), LOSSES.index(name) if name in LOSSES else len(LOSSES), name
