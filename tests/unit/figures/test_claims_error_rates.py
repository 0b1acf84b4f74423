"""How often verdicts are wrong, measured on made-up seeds of which the truth is known."""

from collections import Counter
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from scipy import integrate, stats

from gp_lab.figures import claims
from gp_lab.figures.claims import Test, Verdict

REPETITIONS = 3000

WRONG = 0.025
"""What the docstrings allow each wrong verdict at level 0.95."""

Judge = Callable[[np.ndarray], Test]


def error(p: float) -> float:
    """Four standard errors of a share over the repetitions."""
    return 4 * np.sqrt(max(p * (1 - p), 1 / REPETITIONS) / REPETITIONS)


def rates(judge: Judge, drawn: np.ndarray) -> dict[Verdict, float]:
    """Share of each verdict over rows of seeds."""
    count = Counter(judge(row).verdict for row in drawn)
    return {v: count[v] / len(drawn) for v in Verdict}


def seeds(n: int, seed: int = 0) -> np.ndarray:
    """Standard normal values [repetitions, n]."""
    return np.random.default_rng(seed).normal(size=(REPETITIONS, n))


# Each is at its border when the mean of x is 0, and claims that the mean is above it.
ONE_SIDED: dict[str, Judge] = {
    "greater": lambda x: claims.greater(x + 2, 2.0),
    "less": lambda x: claims.less(2 - x, 2.0),
    "paired_greater": lambda x: claims.paired_greater(x + 1.5 + x[::-1], x[::-1], margin=1.5),
    "paired_greater_relative": lambda x: claims.paired_greater(
        9 + x, np.full_like(x, 10), 0.1, relative=True
    ),
}

# Each is true when the mean of x is within 1 of 0.
TWO_SIDED: dict[str, Judge] = {
    "inside": lambda x: claims.inside(3 + x, 2.0, 4.0),
    "equivalent": lambda x: claims.equivalent(x + 5 * x[::-1], 5 * x[::-1], margin=1.0),
}


@pytest.mark.parametrize(("name", "n"), list(product(ONE_SIDED, (5, 12))))
def test_at_the_border_of_a_mean_each_wrong_verdict_has_exactly_its_stated_rate(
    name: str, n: int
) -> None:
    measured = rates(ONE_SIDED[name], seeds(n))
    for wrong in (Verdict.SUPPORTED, Verdict.NOT_SUPPORTED):
        assert measured[wrong] == pytest.approx(WRONG, abs=error(WRONG))


@pytest.mark.parametrize("name", TWO_SIDED)
@pytest.mark.parametrize("border", [-1.0, 1.0])
@pytest.mark.parametrize("std", [0.2, 1.0])
def test_at_either_border_of_a_region_no_wrong_verdict_exceeds_its_stated_rate(
    name: str, border: float, std: float
) -> None:
    measured = rates(TWO_SIDED[name], border + std * seeds(6))
    for wrong in (Verdict.SUPPORTED, Verdict.NOT_SUPPORTED):
        assert measured[wrong] <= WRONG + error(WRONG)
    if std < 0.5:  # the region is wide beside the interval, so each border is a one-sided test
        assert measured[Verdict.SUPPORTED] == pytest.approx(WRONG, abs=error(WRONG))


def test_an_interval_that_is_cut_covers_the_mean_as_often_as_it_did() -> None:
    shares = np.random.default_rng(0).beta(8, 0.5, size=(REPETITIONS, 6))
    covered = {None: 0, claims.SHARE: 0}
    for row in shares:
        for within in covered:
            interval = claims.greater(row, 0.5, within=within).interval
            covered[within] += interval.low <= 8 / 8.5 <= interval.high
    assert covered[None] == covered[claims.SHARE]


@pytest.mark.parametrize("spread", [0.1, 0.4])
def test_more_seeds_decide_an_equivalence_more_often(spread: float) -> None:
    few, many = (
        rates(lambda x: claims.inside(x, -0.5, 0.5), spread * seeds(n))[Verdict.SUPPORTED]
        for n in (5, 12)
    )
    assert many >= few
    assert many > 0.9


@pytest.mark.parametrize("name", ONE_SIDED)
@pytest.mark.parametrize("effect", [0.5, 1.5])
def test_away_from_the_border_a_mean_is_wrong_more_rarely_and_right_as_noncentral_t_predicts(
    name: str, effect: float
) -> None:
    n = 5
    noncentral = stats.nct(n - 1, effect * np.sqrt(n))
    critical = stats.t.ppf(1 - WRONG, n - 1)
    right, wrong = noncentral.sf(critical), noncentral.cdf(-critical)
    assert wrong < WRONG
    for side, true, false in (
        (1, Verdict.SUPPORTED, Verdict.NOT_SUPPORTED),
        (-1, Verdict.NOT_SUPPORTED, Verdict.SUPPORTED),
    ):
        measured = rates(ONE_SIDED[name], side * effect + seeds(n))
        assert measured[true] == pytest.approx(right, abs=error(right))
        assert measured[false] == pytest.approx(wrong, abs=error(wrong))


@pytest.mark.parametrize("name", TWO_SIDED)
@pytest.mark.parametrize("mean", [0.0, 0.5, 1.5])
def test_a_region_is_found_as_often_as_the_two_one_sided_t_tests_predict(
    name: str, mean: float
) -> None:
    n, std = 6, 0.5
    critical = stats.t.ppf(1 - WRONG, n - 1)

    def given(s: float) -> float:
        # The sample mean has to be more than the half interval away from both borders.
        room = max(0.0, 1 - critical * s / np.sqrt(n))
        error = std / np.sqrt(n)
        inside = stats.norm.cdf((room - mean) / error) - stats.norm.cdf((-room - mean) / error)
        return inside * stats.chi(n - 1, scale=std / np.sqrt(n - 1)).pdf(s)

    power = integrate.quad(given, 0, np.sqrt(n) / critical)[0]
    measured = rates(TWO_SIDED[name], mean + std * seeds(n))
    assert measured[Verdict.SUPPORTED] == pytest.approx(power, abs=error(power))
    false = Verdict.NOT_SUPPORTED if mean < 1 else Verdict.SUPPORTED
    assert measured[false] <= WRONG


SHARES: dict[str, Callable[[int, int, float], Test]] = {
    "greater": lambda k, n, bound: claims.share_greater(k, n, bound),
    "less": lambda k, n, bound: claims.share_less(k, n, bound),
    "inside_from": lambda k, n, bound: claims.share_inside(k, n, bound, 1.01),
    "inside_to": lambda k, n, bound: claims.share_inside(k, n, -0.01, bound),
    "inside": lambda k, n, bound: claims.share_inside(k, n, bound - 0.1, bound),
}


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("n", [5, 20, 64])
@pytest.mark.parametrize("bound", [0.3, 0.5, 0.9])
def test_at_the_border_of_a_share_no_wrong_verdict_exceeds_its_stated_rate(
    name: str, n: int, bound: float
) -> None:
    # The rates are sums of binomial probabilities, without chance.
    chance = dict.fromkeys(Verdict, 0.0)
    for k in range(n + 1):
        chance[SHARES[name](k, n, bound).verdict] += stats.binom.pmf(k, n, bound)
    assert chance[Verdict.SUPPORTED] <= WRONG
    assert chance[Verdict.NOT_SUPPORTED] <= WRONG
    if name == "greater" and n == 64:
        assert chance[Verdict.SUPPORTED] > WRONG / 5  # it is not that it never decides


@pytest.mark.parametrize("a_wins", [0.5, 0.9])
def test_mcnemar_has_the_rates_of_a_sign_test_of_the_pairs_that_differ(a_wins: float) -> None:
    n, differ = 25, 0.6
    chance = dict.fromkeys(Verdict, 0.0)
    power = 0.0
    for m in range(n + 1):  # so many pairs differ; a wins k of them
        of_m = stats.binom.pmf(m, n, differ)
        for k in range(m + 1):
            a = np.array([1] * k + [0] * (m - k) + [1] * (n - m))
            b = np.array([0] * k + [1] * (m - k) + [1] * (n - m))
            verdict = claims.paired_share_greater(a, b).verdict
            chance[verdict] += of_m * stats.binom.pmf(k, m, a_wins)
        power += of_m * stats.binom.sf(stats.binom.isf(WRONG, m, 0.5), m, a_wins)
    assert chance[Verdict.SUPPORTED] == pytest.approx(power, rel=1e-9)
    if a_wins == 0.5:
        assert 0 < chance[Verdict.SUPPORTED] <= WRONG
        assert chance[Verdict.NOT_SUPPORTED] == pytest.approx(power, rel=1e-9)
    else:
        assert chance[Verdict.NOT_SUPPORTED] < 1e-6


def test_the_greatest_is_rarely_called_so_where_one_rival_is_its_equal() -> None:
    draw = np.random.default_rng(8).normal(size=(REPETITIONS, 4, 6))
    verdicts = []
    for mine, equal, *worse in draw:
        rivals = {"equal": equal, "a": worse[0] - 4, "b": worse[1] - 4}
        verdicts.append(claims.paired_greatest(mine, rivals).verdict)
    for wrong in (Verdict.SUPPORTED, Verdict.NOT_SUPPORTED):
        assert verdicts.count(wrong) / len(verdicts) <= WRONG + error(WRONG)
    far = {name: draw[0, i] - 9 for i, name in enumerate("abc")}
    assert claims.paired_greatest(draw[1, 0], far).verdict == Verdict.SUPPORTED


@pytest.mark.seconds
def test_rank_correlations_of_unrelated_values_are_rarely_called_growth() -> None:
    values = np.random.default_rng(0).normal(size=(500, 8, 4))
    count = Counter(
        claims.greater(claims.rank_correlations([10, 50, 100, 500], of_seeds), 0.0).verdict
        for of_seeds in values
    )
    # Ranks are not normal: the t interval of eight correlations is only nearly exact.
    for wrong in (Verdict.SUPPORTED, Verdict.NOT_SUPPORTED):
        assert count[wrong] / len(values) <= 0.05


def test_skewed_seeds_are_wrong_about_a_tenth_of_the_time_as_the_module_says() -> None:
    skewed = np.random.default_rng(0).exponential(size=(REPETITIONS, 5)) - 1
    measured = rates(ONE_SIDED["greater"], skewed)
    assert measured[Verdict.SUPPORTED] < WRONG
    assert WRONG < measured[Verdict.NOT_SUPPORTED] < 0.13


def test_outcomes_judged_as_means_are_wrong_often_which_is_why_shares_have_tests_of_their_own() -> (
    None
):
    outcomes = (np.random.default_rng(0).random((REPETITIONS, 8)) < 0.9).astype(float)
    as_mean = rates(lambda x: claims.greater(x, 0.95), outcomes)
    assert as_mean[Verdict.SUPPORTED] == pytest.approx(0.9**8, abs=error(0.45))
    assert claims.share_greater(8, 8, 0.95).verdict == Verdict.INCONCLUSIVE
