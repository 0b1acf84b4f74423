"""The metrics of a comparison: which tell most, which way is better, which can be compared."""

import math
import re
from collections.abc import Mapping, Sequence

from gp_lab.errors import BadInput, bad_choice, show
from gp_lab.runs.compare import Group, natural

SCORES = (
    "inception", "classifier", "stacked_modes", "modes", "curve", "ngrams", "rectangles",
    "held_out", "critic_losses", "neighbours",
)  # fmt: skip
"""Probes whose numbers say how good a run is, the most telling first."""

LOSSES = ("loss_d", "loss_g", "gradient_norm")

HIGHER, LOWER = 1, -1

BETTER: Mapping[str, int] = {
    "inception/fid": LOWER,
    "inception/score": HIGHER,
    "inception/kid": LOWER,
    "inception/precision": HIGHER,
    "inception/recall": HIGHER,
    "inception/density": HIGHER,
    "inception/coverage": HIGHER,
    "classifier/score": HIGHER,
    "classifier/fid": LOWER,
    "classifier/class_entropy": HIGHER,
    "stacked_modes/hit": HIGHER,
    "stacked_modes/kl": LOWER,
    "modes/hit": HIGHER,
    "modes/near": HIGHER,
    "modes/balance": HIGHER,
    "modes/w1": LOWER,
    "curve/distance": LOWER,
    "curve/near": HIGHER,
    "curve/coverage": HIGHER,
    "curve/w1": LOWER,
    "rectangles/correct": HIGHER,
    "rectangles/codes_correct": HIGHER,
    "lines/jump": LOWER,
}
"""Which way a score is better. Of one that is not here nobody can say: of a loss, an accuracy of D,
a distance to the training images."""

_NGRAMS = re.compile(r"ngrams/js_[1-9]\d*(_train|_held_out)?")
"""The divergences of n-grams: there are two for each n."""

KNOWN = (*BETTER, *(f"ngrams/js_{n}_{part}" for part in ("train", "held_out") for n in range(1, 5)))
"""Scores of which it is known which way is better; of n-grams those that a probe has unless one
says."""


def better(metric: str) -> int | None:
    """`HIGHER`, `LOWER`, or None where it is not known which is better."""
    return LOWER if _NGRAMS.fullmatch(metric) else BETTER.get(metric)


def metrics_of(groups: Sequence[Group]) -> list[str]:
    """All metrics of some groups: scores, losses, and the rest by name."""
    return sorted({name for group in groups for name in group.scores}, key=_rank)


def telling_metrics(groups: Sequence[Group]) -> list[str]:
    """What to look at first: the probes' scores, and the losses where a group has no score.

    The first ones say something of each group that has any; then come those that most runs have:
    what one run alone was evaluated by stands last.
    """
    names = metrics_of(groups)
    scores = [n for n in names if n.partition("/")[0] in SCORES and not n.endswith("_std")]
    losses = [n for n in names if n in LOSSES]
    first, left = _covering(scores, groups)
    more, left = _covering(losses, left)
    others = [*scores, *losses] if more else scores
    rest = sorted(set(others) - {*first, *more}, key=lambda n: (-_values(n, groups), _rank(n)))
    return [*first, *more, *rest] or names


def not_comparable(groups: Sequence[Group], metrics: Sequence[str]) -> list[str]:
    """Those metrics that probes of different settings have measured, within a group or in two."""

    def settings(name: str) -> set[str]:
        scores = [group.scores[name] for group in groups if name in group.scores]
        return {text for score in scores for text in score.settings}

    return [name for name in metrics if len(settings(name)) > 1]


def best(groups: Sequence[Group], metric: str) -> list[int]:
    """The places of the groups with the best mean on their data set; none where it is not known
    which way is better, where none is better than another, or values are not comparable."""
    sign, found = better(metric), list[int]()
    if sign is None or not_comparable(groups, [metric]):
        return found
    on: dict[tuple[str, ...], dict[int, float]] = {}
    for i, group in enumerate(groups):
        if not math.isnan(mean := mean_of(group, metric)):
            on.setdefault(of_data(group), {})[i] = sign * mean
    for means in on.values():
        first = [i for i, mean in means.items() if mean == max(means.values())]
        found += first if len(first) < len(means) else []
    return found


def of_data(group: Group) -> tuple[str, ...]:
    """What tells its data from those of other groups."""
    of = [key for key in group.values if key.partition(".")[0] == "dataset"]
    return tuple(f"{key}={show(group.values[key])}" for key in sorted(of))


def mean_of(group: Group, metric: str) -> float:
    """A group's mean of a metric; NaN if it has none."""
    score = group.scores.get(metric)
    return math.nan if score is None else score.interval.estimate


def check_metric(name: str, groups: Sequence[Group]) -> None:
    """Raises `BadInput` for a metric that no group has."""
    if name not in (known := metrics_of(groups)):
        raise bad_choice("metric", name, known)


def in_order(groups: Sequence[Group], by: str) -> list[Group]:
    """The groups by a key that tells them apart, or by the mean of a metric, the lowest first; with
    `-` before it the highest. Those without one are last.

    The last part of a key is enough where no other key ends so. Raises `BadInput` for other words.
    """
    name, down = by.removeprefix("-"), by.startswith("-")
    keys = list(dict.fromkeys(key for group in groups for key in group.values))
    ends = [key for key in keys if key.rpartition(".")[2] == name]
    metrics = metrics_of(groups)
    if not name:
        raise BadInput(f"--sort {by}: by what? write --sort METRIC, or --sort -METRIC")
    if name in keys or (name not in metrics and len(ends) == 1):
        key = name if name in keys else ends[0]
        has = [(natural(g.values[key]), g) for g in groups if key in g.values]
    elif name in metrics:
        means = [(mean_of(group, name), group) for group in groups]
        has = [(natural(mean), group) for mean, group in means if not math.isnan(mean)]
    else:
        raise bad_choice("--sort", name, {*keys, *metrics})
    ordered = [group for _, group in sorted(has, key=lambda pair: pair[0], reverse=down)]
    return [*ordered, *(g for g in groups if not any(g is one for one in ordered))]


def _covering(names: Sequence[str], groups: Sequence[Group]) -> tuple[list[str], list[Group]]:
    """So many of some metrics that each group has one of them, if it has any; and the others."""
    found, left = list[str](), list(groups)
    while names and (n := max(names, key=lambda name: _values(name, left))) and _values(n, left):
        found.append(n)
        left = [group for group in left if n not in group.scores]
    return found, left


def _values(name: str, groups: Sequence[Group]) -> int:
    """How many runs of the groups have a value of a metric."""
    return sum(group.scores[name].interval.n for group in groups if name in group.scores)


def _rank(name: str) -> tuple[int, int, str]:
    probe, _, quantity = name.partition("/")
    if quantity and probe in SCORES:
        return SCORES.index(probe), not quantity.startswith("fid"), name
    return len(SCORES), LOSSES.index(name) if name in LOSSES else len(LOSSES), name
