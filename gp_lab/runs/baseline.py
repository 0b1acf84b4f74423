"""Groups of runs beside a baseline: differences of the same seeds, with Student's 95 % interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gp_lab.errors import BadInput, bad_choice, show
from gp_lab.evaluation.intervals import Interval, mean_interval, paired_difference
from gp_lab.overrides import values
from gp_lab.runs.compare import Group
from gp_lab.runs.filters import text_of


@dataclass(frozen=True)
class Difference:
    """A group's metric minus the baseline's, over the `interval.n` seeds that have both; `unpaired`
    are the seeds that only one of them has, or that diverged in one."""

    interval: Interval
    unpaired: int


@dataclass(frozen=True)
class Baseline:
    """What groups are compared with.

    words: the settings that make a baseline; partners: of each group the one that has them and is
    the same otherwise, itself if it is one; None where there is no such group.
    """

    words: tuple[str, ...]
    partners: tuple[Group | None, ...]

    @property
    def missing(self) -> int:
        """How many groups have nothing to be compared with."""
        return self.partners.count(None)


def baseline_of(groups: Sequence[Group], words: Sequence[str]) -> Baseline:
    """The groups that have what words say, `penalty=none`, each for the groups that differ from it
    in nothing but those keys (and the keys inside a choice that they name).

    Raises `BadInput` for a key that does not tell the groups apart, a value that none of them has,
    and where several groups could be one's baseline.
    """
    wanted = {key: text_of(value) for key, value in values(words).items()}
    for key, value in wanted.items():
        known = [text_of(group.values[key]) for group in groups if key in group.values]
        if not known:
            telling = sorted({key for group in groups for key in group.values})
            raise BadInput(
                f"--baseline {key}={value}: {key} does not tell these groups apart; choose from"
                f" {', '.join(telling) or 'nothing: there is one group'}"
            )
        if value not in known:
            raise BadInput(f"--baseline {bad_choice(key, value, set(known))}")
    bases = [group for group in groups if wanted.items() <= _texts(group).items()]
    if not bases:
        raise BadInput(f"--baseline {' '.join(words)}: no group has all of this")
    found = []
    for group in groups:
        fitting = [base for base in bases if _others(base, wanted) == _others(group, wanted)]
        if len(fitting) > 1 and not any(base is group for base in fitting):
            raise _ambiguous(words, fitting)
        found.append(_one(group, fitting))
    return Baseline(tuple(words), tuple(found))


def difference(group: Group, base: Group, metric: str) -> Difference | None:
    """A group's metric minus its baseline's; None where one of them has no value at all."""
    if metric not in group.scores or metric not in base.scores:
        return None
    own, theirs = group.scores[metric].by_seed, base.scores[metric].by_seed
    both = [seed for seed in own if seed in theirs]
    interval = mean_interval(
        paired_difference([own[seed] for seed in both], [theirs[seed] for seed in both])
    )
    seeds = {show(seed) for seed in (*group.seeds, *base.seeds)}
    return Difference(interval, len(seeds) - interval.n)


def _one(group: Group, fitting: Sequence[Group]) -> Group | None:
    if any(base is group for base in fitting):
        return group
    return fitting[0] if fitting else None


def _others(group: Group, wanted: Mapping[str, str]) -> dict[str, str]:
    """Its values, without those that a baseline is told by."""
    inside = tuple(f"{key}." for key in wanted)
    texts = _texts(group)
    return {k: v for k, v in texts.items() if k not in wanted and not k.startswith(inside)}


def _texts(group: Group) -> dict[str, str]:
    return {key: text_of(value) for key, value in group.values.items()}


def _ambiguous(words: Sequence[str], bases: Sequence[Group]) -> BadInput:
    texts = [_texts(base) for base in bases]
    keys = [k for k in texts[0] if len({text.get(k) for text in texts}) > 1]
    one = f"{keys[0]}={texts[0][keys[0]]}"
    return BadInput(
        f"--baseline {' '.join(words)}: {len(bases)} groups have it, which differ in"
        f" {', '.join(keys)}; add --baseline {one}"
    )
