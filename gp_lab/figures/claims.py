"""Verdicts on a paper's sentences from few seeds: intervals, paired tests and equivalence.

Every test has one rule: the two-sided interval of the measured quantity is compared with the region
that the sentence claims. Inside: supported; outside: not supported; across its border:
inconclusive. So each wrong verdict has a probability of at most (1 - level) / 2, at the border,
and less away from it: for shares always (exact tests), for means if the seeds' values are normal.
Skewed values can take that of a mean to about 10 % with five seeds, and values that are mostly
equal (0 or 1, say) to anything: they belong to the tests of shares. Values that are all equal have
no spread, and the test is of their median, by signs: a point, if so many seeds can decide at the
level, else anything. Where the quantity itself is bounded (a mean of shares, of cosines) the
interval of its mean is cut to that range by `within`: the mean cannot lie beyond, so the interval
covers it as often as before. The k claims of an entry are a family: each is tested at
`1 - 0.05 / k` (Bonferroni; Holm's steps would need p-values), so that all intervals of an entry
hold at once in 95 % of its repetitions. That there is nothing (no direction, no difference) is
claimed as an equivalence within a margin: that an interval holds 0 would be met less often the more
seeds there are.
Fewer than `MIN_SEEDS` values are inconclusive whatever they say. A NaN is a seed that did not
finish, or whose quantity is not defined: it is left out, with its partner where values are paired,
and counted; an infinite value cannot be averaged and makes the test inconclusive.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, spearmanr

from gp_lab.evaluation.intervals import (
    Interval,
    Range,
    cut,
    mean_interval,
    median_of_equals,
    paired_difference,
    seed_values,
)
from gp_lab.figures.verdicts import MIN_SEEDS, Test, Verdict, verdict
from gp_lab.launching.grid import Where

Array = NDArray[np.float64]

SHARE, COSINE = (0.0, 1.0), (-1.0, 1.0)
"""What a share and a cosine can be: `within` of the tests of their means."""

LEVEL = 0.95
"""Of all claims of an entry together."""

SMOKE = "smoke"
"""The scale that tries the code, and decides nothing."""

MOST = 0.5
"""What happens in more than this share of the runs is said to happen."""

UNDECIDED = "(undecided: "
"""So begins the quantity of a test whose premise did not come about; the reason and `)` follow."""

_LEVEL = ContextVar("level", default=LEVEL)


@contextmanager
def family(claims: int) -> Iterator[None]:
    """While inside, tests have the level that each of so many claims needs (Bonferroni)."""
    token = _LEVEL.set(1 - (1 - LEVEL) / max(claims, 1))
    try:
        yield
    finally:
        _LEVEL.reset(token)


def level_of_each(tests: int) -> float:
    """Of each of so many tests of one claim, which together have the claim's level."""
    return 1 - (1 - _LEVEL.get()) / tests


def undecided(test: "Test", why: str) -> "Test":
    """A test whose sentence is conditional on something that did not come about."""
    said = f"{UNDECIDED}{why}) {test.quantity}"
    return replace(test, verdict=Verdict.INCONCLUSIVE, quantity=said)


def only_if(premise: "Test", test: "Test", why: str) -> "Test":
    """A test that says something only where another one is supported; `why` it does not."""
    return test if premise.verdict == Verdict.SUPPORTED else undecided(test, why)


def supported_only_if(premise: "Test", test: "Test", why: str) -> "Test":
    """A test whose support counts only where another one is supported; its refusal counts."""
    return only_if(premise, test, why) if test.verdict == Verdict.SUPPORTED else test


def learnt_on(learns: "Test") -> str:
    """On how many of the seeds of a share that is: "3 of 10 seeds"."""
    seeds = learns.interval
    return f"{round(np.nan_to_num(seeds.estimate) * seeds.n)} of {seeds.n} seeds"


def seeds_for_share(claims: int, share: float = MOST) -> int:
    """How many seeds a claim about more than this share of them needs, in a family of so many.

    All of them agreeing, the exact interval at the family's level then lies above the share.
    """
    alpha = (1 - LEVEL) / max(claims, 1) / 2
    return max(MIN_SEEDS, math.floor(math.log(alpha) / math.log(share)) + 1)


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper, the test of it, and the paper's own number where it gives one."""

    text: str
    test: Test
    where: str
    """Paper and place, as in "zero_gp Fig. 1, sec. 6.1"."""
    paper: float | str | None = None
    needs_paper: bool = False
    """Whether no miniature can ask it, as it compares with a number at the paper's own settings."""
    about: Where | Sequence[Where] = ()
    """The cells that it holds something against, axis -> levels, or several such sets. Where the
    networks of one cell are dead in most seeds it is not decided: that is a failure to train."""
    dead: str = ""
    """Whose networks are, and in how many seeds."""

    def at(self, scale: str, dead: str = "") -> "Claim":
        """The same numbers with the verdict that this scale, and living networks, allow."""
        if scale == SMOKE:
            return replace(self, test=replace(self.test, verdict=Verdict.NEEDS_MINIATURE))
        if scale != "paper" and self.needs_paper:
            return replace(self, test=replace(self.test, verdict=Verdict.NEEDS_PAPER))
        if dead:
            test = replace(self.test, verdict=Verdict.INCONCLUSIVE)
            return replace(self, test=test, dead=dead)
        return self

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: numbers that are not finite become None."""
        interval = {
            name: value if math.isfinite(value) else None
            for name, value in asdict(self.test.interval).items()
        }
        return {
            "text": self.text,
            "where": self.where,
            "paper": self.paper,
            "verdict": str(self.test.verdict),
            "quantity": self.test.quantity,
            "method": self.test.method,
            "n_dropped": self.test.n_dropped,
            "dead": self.dead,
            **interval,
        }


def stated(
    where: str,
    tests: Mapping[str, Test],
    paper: float | str | None = None,
    about: Where | Sequence[Where] = (),
    needs_paper: bool = False,
) -> list[Claim]:
    """The sentences of one place in a paper, each with its test; the rest holds for them all."""
    return [Claim(text, test, where, paper, needs_paper, about) for text, test in tests.items()]


def greater(
    values: ArrayLike,
    bound: float,
    level: float | None = None,
    *,
    quantity: str = "",
    within: Range | None = None,
) -> Test:
    """Is the mean of `values` `[n]` above `bound`? One-sample t.

    within: what the quantity can be at all, (0, 1) for a share; the interval is cut to it. Raises
    ValueError for a value beyond.
    """
    method = f"one-sample t, mean > {bound:g}"
    return _test_mean(values, level, method, quantity, bound, math.inf, within)


def less(
    values: ArrayLike,
    bound: float,
    level: float | None = None,
    *,
    quantity: str = "",
    within: Range | None = None,
) -> Test:
    """Is the mean of `values` `[n]` below `bound`? One-sample t; `within` as in `greater`."""
    method = f"one-sample t, mean < {bound:g}"
    return _test_mean(values, level, method, quantity, -math.inf, bound, within)


def paired_greater(
    a: ArrayLike,
    b: ArrayLike,
    margin: float = 0.0,
    relative: bool = False,
    level: float | None = None,
    *,
    quantity: str = "",
) -> Test:
    """Is `a` greater than `b`, paired by seed (`[n]` each)? Paired t.

    Absolute: the mean of a - b is above `margin` (in their units). Relative: the mean of
    a - (1 - margin) b is above 0, that is, a falls short of b by no more than the share `margin`;
    for errors, "a is not better than b by more than `margin`". Raises ValueError for lengths that
    differ, and, if relative, for a margin outside [0, 1) or negative values of `b`.
    """
    if not relative:
        method = f"paired t, mean of a - b > {margin:g}"
        return _test_mean(paired_difference(a, b), level, method, quantity, margin, math.inf)
    if not 0 <= margin < 1 or (seed_values(b) < 0).any():
        raise ValueError(f"relative margin={margin}: must lie in [0, 1), and b be non-negative")
    method = f"paired t, mean of a - {1 - margin:g} b > 0"
    difference = paired_difference(a, (1 - margin) * seed_values(b))
    return _test_mean(difference, level, method, quantity, 0.0, math.inf)


def paired_greatest(
    a: ArrayLike, others: Mapping[str, ArrayLike], level: float | None = None, *, quantity: str = ""
) -> Test:
    """Is `a` greater than each of `others`, paired by seed (`[n]` each)? Paired t against each.

    The levels are Bonferroni's, and the test against the strongest of the others is returned: the
    one that is not supported, if there is one, else the one of the lowest interval. Not a test
    against the best other of each seed, whose mean exceeds the mean of every one of them.
    """
    each = 1 - (1 - (level or _LEVEL.get())) / len(others)
    tests = [
        paired_greater(a, values, level=each, quantity=f"{quantity} minus {name}".strip())
        for name, values in others.items()
    ]
    worst = [t for t in tests if t.verdict == Verdict.NOT_SUPPORTED] or tests
    return min(worst, key=lambda test: (test.interval.low, test.interval.high))


def equivalent(
    a: ArrayLike, b: ArrayLike, margin: float, level: float | None = None, *, quantity: str = ""
) -> Test:
    """Is the mean of a - b, paired by seed (`[n]` each), within -`margin` and `margin`?

    Two one-sided paired t tests, each at (1 - level) / 2, stricter than the common 0.05 each.
    Raises ValueError for lengths that differ or a margin that is not positive.
    """
    if not margin > 0:
        raise ValueError(f"margin={margin}: must be positive")
    method = f"two one-sided paired t, |mean of a - b| < {margin:g}"
    return _test_mean(paired_difference(a, b), level, method, quantity, -margin, margin)


def inside(
    values: ArrayLike,
    low: float,
    high: float,
    level: float | None = None,
    *,
    quantity: str = "",
    within: Range | None = None,
) -> Test:
    """Does the mean of `values` `[n]` lie between `low` and `high`? One-sample t.

    `within` as in `greater`. Raises ValueError unless low < high.
    """
    if not low < high:
        raise ValueError(f"low={low}, high={high}: nothing lies between them")
    method = f"one-sample t, {low:g} < mean < {high:g}"
    return _test_mean(values, level, method, quantity, low, high, within)


def computed(
    value: float, above: float = -math.inf, below: float = math.inf, *, quantity: str = ""
) -> Test:
    """Does a number with no chance in it lie between `above` and `below`? One value decides.

    For closed forms and exact optima, never for something that depends on a seed.
    """
    interval = Interval(value, value, value, 1)
    verdict = Verdict.SUPPORTED if above < value < below else Verdict.NOT_SUPPORTED
    if math.isnan(value):  # there was nothing to compute it from
        verdict = Verdict.INCONCLUSIVE
    method = f"computed, no chance in it: {above:g} < value < {below:g}"
    return Test(verdict, interval, method, quantity)


def share_greater(
    successes: int, trials: int, bound: float, level: float | None = None, *, quantity: str = ""
) -> Test:
    """Is the probability of success above `bound`? Exact binomial (Clopper-Pearson interval).

    Raises ValueError unless 0 <= successes <= trials.
    """
    method = f"exact binomial, share > {bound:g}"
    return _test_share(successes, trials, level, method, quantity, bound, math.inf)


def share_of(
    happened: ArrayLike, bound: float = MOST, level: float | None = None, *, quantity: str = ""
) -> Test:
    """Is it so in more than `bound` of the runs [n], true or false each? As `share_greater`."""
    so = np.asarray(happened, dtype=bool)
    return share_greater(int(so.sum()), len(so), bound, level, quantity=quantity)


def share_less(
    successes: int, trials: int, bound: float, level: float | None = None, *, quantity: str = ""
) -> Test:
    """Is the probability of success below `bound`? As `share_greater`."""
    method = f"exact binomial, share < {bound:g}"
    return _test_share(successes, trials, level, method, quantity, -math.inf, bound)


def share_inside(
    successes: int,
    trials: int,
    low: float,
    high: float,
    level: float | None = None,
    *,
    quantity: str = "",
) -> Test:
    """Does the probability of success lie between `low` and `high`? As `share_greater`.

    Raises ValueError unless low < high, too.
    """
    if not low < high:
        raise ValueError(f"low={low}, high={high}: nothing lies between them")
    method = f"exact binomial, {low:g} < share < {high:g}"
    return _test_share(successes, trials, level, method, quantity, low, high)


def paired_sign(
    a: ArrayLike, b: ArrayLike, level: float | None = None, *, quantity: str = ""
) -> Test:
    """Is `a` greater than `b` in most of the pairs (`[n]` each) that differ? Exact sign test.

    Pairs that agree say nothing, and pairs with a NaN are dropped and counted. Raises ValueError
    for lengths that differ.
    """
    difference = paired_difference(a, b)
    won, lost = int((difference > 0).sum()), int((difference < 0).sum())
    method = "exact sign test, share of the pairs that differ > 0.5"
    test = _test_share(won, won + lost, level, method, quantity, 0.5, math.inf)
    return replace(test, n_dropped=int(np.isnan(difference).sum()))


def paired_share_greater(
    a: ArrayLike, b: ArrayLike, level: float | None = None, *, quantity: str = ""
) -> Test:
    """Does `a` succeed more often than `b`, paired (`[n]` each of 0, 1 or NaN)? Exact McNemar.

    It is `paired_sign` of successes. Raises ValueError for other values, too.
    """
    both = np.concatenate([seed_values(a), seed_values(b)])
    if not np.isin(both[~np.isnan(both)], (0, 1)).all():
        raise ValueError("successes and failures wanted: 1, 0 or NaN")
    method = "exact McNemar, share of the pairs that differ > 0.5"
    return replace(paired_sign(a, b, level, quantity=quantity), method=method)


def rank_correlations(levels: ArrayLike, values: ArrayLike) -> Array:
    """Spearman's correlation of `values` `[n, k]` with `levels` `[k]`, one a seed: `[n]`.

    For `greater(rank_correlations(...), 0)`: does a quantity grow with a setting, within each seed?
    0 where a seed's values are all equal, NaN where one is NaN. Raises ValueError for shapes that
    do not match or fewer than two different levels.
    """
    x, y = seed_values(levels), np.asarray(values, dtype=np.float64)
    if y.ndim != 2 or y.shape[1] != len(x) or len(np.unique(x)) < 2:
        raise ValueError(f"values {y.shape} for levels {x.tolist()}: [n, k] and [k] wanted")
    found = np.full(len(y), np.nan)
    for i, row in enumerate(y):
        if not np.isnan(row).any():
            found[i] = spearmanr(x, row).statistic if np.ptp(row) > 0 else 0.0
    return found


def _test_mean(
    values: ArrayLike,
    level: float | None,
    method: str,
    quantity: str,
    above: float,
    below: float,
    within: Range | None = None,
) -> Test:
    interval = mean_interval(values, level or _LEVEL.get())
    if interval.n > 1 and interval.half_width == 0:
        interval = median_of_equals(interval)
        method += "; all equal: sign test of the median"
    if within is not None:
        interval = cut(interval, seed_values(values), within)
    dropped = int(np.isnan(seed_values(values)).sum())
    return Test(verdict(interval, above, below), interval, method, quantity, dropped)


def _test_share(
    successes: int,
    trials: int,
    level: float | None,
    method: str,
    quantity: str,
    above: float,
    below: float,
) -> Test:
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials")
    level = level or _LEVEL.get()
    interval = Interval(math.nan, 0.0, 1.0, 0, level)
    if trials:
        exact = binomtest(successes, trials).proportion_ci(level, method="exact")
        interval = Interval(successes / trials, float(exact.low), float(exact.high), trials, level)
    return Test(verdict(interval, above, below), interval, method, quantity)
