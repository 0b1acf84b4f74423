"""Verdicts against SciPy's tests, and their measured error rates on made-up seeds."""

import json
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from gp_lab.figures import claims
from gp_lab.figures.claims import Claim, Verdict

REPETITIONS = 20_000
# Four standard errors of a share of 2.5 % over the repetitions.
AT_MOST = 0.025 + 4 * np.sqrt(0.025 * 0.975 / REPETITIONS)


def values(n: int = 8, mean: float = 0.0, seed: int = 0) -> np.ndarray:
    return mean + np.random.default_rng(seed).normal(size=n)


@pytest.mark.parametrize("n", [2, 5, 30])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_mean_interval_is_scipys_t_interval(n: int, level: float) -> None:
    x = values(n, mean=3.0)
    expected = stats.ttest_1samp(x, 0).confidence_interval(level)
    got = claims.mean_interval(x, level)
    assert (got.low, got.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert (got.estimate, got.n, got.level) == (pytest.approx(x.mean()), n, level)


def test_paired_interval_is_scipys_and_the_verdict_agrees_with_its_p_value() -> None:
    a, b = values(8, 1.0), values(8, 0.0, seed=1)
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    test = claims.paired_greater(a, b)
    assert (test.interval.low, test.interval.high) == pytest.approx((expected.low, expected.high))
    for seed in range(200):
        a, b = values(8, 0.7, seed), values(8, 0.0, seed + 1000)
        p = stats.ttest_rel(a, b, alternative="greater").pvalue
        assert (claims.paired_greater(a, b).verdict == Verdict.SUPPORTED) == (p < 0.025)


def test_relative_margin_is_a_paired_t_test_of_a_against_the_scaled_b() -> None:
    a, b = 10 + values(8), 10.5 + values(8, seed=1)
    expected = stats.ttest_rel(a, 0.8 * b).confidence_interval(0.95)
    test = claims.paired_greater(a, b, margin=0.2, relative=True)
    assert (test.interval.low, test.interval.high) == pytest.approx((expected.low, expected.high))
    assert test.method == "paired t, mean of a - 0.8 b > 0"


def test_equivalence_agrees_with_two_one_sided_tests() -> None:
    seen = set()
    for seed in range(200):
        a, b = values(20, 0.0, seed), values(20, 0.0, seed + 1000)
        above = stats.ttest_rel(a, b - 0.8, alternative="greater").pvalue
        below = stats.ttest_rel(a, b + 0.8, alternative="less").pvalue
        verdict = claims.equivalent(a, b, margin=0.8).verdict
        assert (verdict == Verdict.SUPPORTED) == (max(above, below) < 0.025)
        seen.add(verdict)
    assert Verdict.SUPPORTED in seen
    assert claims.equivalent(values(mean=9), values(), 0.5).verdict == Verdict.NOT_SUPPORTED
    assert claims.equivalent(values(), values(mean=9), 0.5).verdict == Verdict.NOT_SUPPORTED


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (7, 10), (10, 10)])
def test_share_has_the_clopper_pearson_interval_of_the_beta_distribution(
    successes: int, trials: int
) -> None:
    interval = claims.share_greater(successes, trials, 0.5).interval
    low = stats.beta.ppf(0.025, successes, trials - successes + 1) if successes else 0.0
    high = stats.beta.ppf(0.975, successes + 1, trials - successes) if successes < trials else 1.0
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-9)


def test_verdicts_of_a_share() -> None:
    assert claims.share_greater(10, 10, 0.5).verdict == Verdict.SUPPORTED
    assert claims.share_greater(0, 10, 0.5).verdict == Verdict.NOT_SUPPORTED
    assert claims.share_greater(5, 10, 0.5).verdict == Verdict.INCONCLUSIVE
    assert claims.share_greater(4, 4, 0.1).verdict == Verdict.INCONCLUSIVE
    assert claims.share_greater(0, 0, 0.1).verdict == Verdict.INCONCLUSIVE


def rates(verdict: Callable[[np.ndarray], Verdict], n: int) -> dict[Verdict, float]:
    drawn = np.random.default_rng(0).normal(size=(REPETITIONS, n))
    count = Counter(verdict(row) for row in drawn)
    return {v: count[v] / REPETITIONS for v in Verdict}


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("greater", lambda x: claims.greater(2.0 + x, 2.0).verdict),
        ("less", lambda x: claims.less(2.0 + x, 2.0).verdict),
        ("paired", lambda x: claims.paired_greater(x + 1.5, 0 * x, margin=1.5).verdict),
        (
            "relative",
            lambda x: claims.paired_greater(9 + x, 10 + 0 * x, 0.1, relative=True).verdict,
        ),
    ],
)
def test_at_the_bound_each_wrong_verdict_has_its_stated_probability(
    name: str, verdict: Callable[[np.ndarray], Verdict]
) -> None:
    measured = rates(verdict, n=5)
    for wrong in (Verdict.SUPPORTED, Verdict.NOT_SUPPORTED):
        # The t interval is exact here, so the rate is 2.5 % and not merely below it.
        assert 0.05 - AT_MOST <= measured[wrong] <= AT_MOST


def test_at_the_margin_equivalence_is_rarely_wrong() -> None:
    measured = rates(lambda x: claims.equivalent(0.2 * x + 1.0, 0 * x, margin=1.0).verdict, n=6)
    assert 0 < measured[Verdict.SUPPORTED] <= AT_MOST
    assert 0 < measured[Verdict.NOT_SUPPORTED] <= AT_MOST


@pytest.mark.parametrize(("trials", "bound"), [(5, 0.5), (20, 0.9), (64, 0.3)])
def test_at_the_bound_a_share_is_rarely_wrong(trials: int, bound: float) -> None:
    # Exact: the chance of each verdict is a sum of binomial probabilities.
    chance = dict.fromkeys(Verdict, 0.0)
    for successes in range(trials + 1):
        verdict = claims.share_greater(successes, trials, bound).verdict
        chance[verdict] += stats.binom.pmf(successes, trials, bound)
    assert chance[Verdict.SUPPORTED] <= 0.025
    assert chance[Verdict.NOT_SUPPORTED] <= 0.025


def test_power_is_that_of_the_noncentral_t_distribution() -> None:
    n, effect = 5, 1.5
    power = stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, effect * np.sqrt(n))
    measured = rates(lambda x: claims.greater(x + effect, 0.0).verdict, n)
    assert measured[Verdict.SUPPORTED] == pytest.approx(
        power, abs=4 * np.sqrt(power * (1 - power) / REPETITIONS)
    )


def test_greater_and_less_mirror_each_other() -> None:
    for seed in range(50):
        x = values(6, 0.8, seed)
        assert claims.greater(x, 0.0).verdict == claims.less(-x, 0.0).verdict


@pytest.mark.parametrize("n", range(5))
def test_fewer_than_five_seeds_are_inconclusive(n: int) -> None:
    a, b = 100.0 + np.arange(n) / 100, np.zeros(n)
    for test in (
        claims.greater(a, 0.0),
        claims.less(a, 0.0),
        claims.paired_greater(a, b),
        claims.paired_greater(a, b, 0.1, relative=True),
        claims.equivalent(a, a, 1.0),
    ):
        assert test.verdict == Verdict.INCONCLUSIVE
        assert test.n == n


def test_equal_values_give_a_point_that_is_judged() -> None:
    same = np.full(5, 0.1)
    interval = claims.mean_interval(same)
    assert interval.low == interval.estimate == interval.high == 0.1
    assert claims.greater(same, 0.0).verdict == Verdict.SUPPORTED
    assert claims.greater(same, 0.2).verdict == Verdict.NOT_SUPPORTED
    assert claims.greater(same, 0.1).verdict == Verdict.INCONCLUSIVE
    assert claims.equivalent(same, same, 0.01).verdict == Verdict.SUPPORTED


def test_diverged_seeds_are_dropped_in_pairs_and_counted() -> None:
    a, b = values(8, 1.0), values(8, seed=1)
    a[2], b[5] = np.nan, np.nan
    test = claims.paired_greater(a, b)
    kept = [0, 1, 3, 4, 6, 7]
    expected = stats.ttest_rel(a[kept], b[kept]).confidence_interval(0.95)
    assert (test.interval.low, test.interval.high) == pytest.approx((expected.low, expected.high))
    assert (test.n, test.n_dropped) == (6, 2)
    assert "2 diverged left out" in str(test)
    a[:4] = np.nan
    assert claims.paired_greater(a + 100, b).verdict == Verdict.INCONCLUSIVE


def test_an_infinite_value_is_inconclusive() -> None:
    a = values(8, 50.0)
    a[0] = np.inf
    assert claims.greater(a, 0.0).verdict == Verdict.INCONCLUSIVE
    assert claims.paired_greater(a, a).verdict == Verdict.INCONCLUSIVE
    assert claims.paired_greater(a, a).n_dropped == 0


def test_claim_is_json_with_its_verdict_interval_and_the_papers_number() -> None:
    test = claims.greater(values(5, 4.0), 1.0, quantity="gradient norm at fakes")
    claim = Claim("The norm stays above 1.", test, where="wgan_gp Fig. 1, sec. 3", paper=1.2)
    stored = json.loads(json.dumps(claim.as_dict(), allow_nan=False))
    assert stored["verdict"] == "supported"
    assert stored["quantity"] == "gradient norm at fakes"
    assert (stored["low"], stored["n"]) == (test.interval.low, 5)
    assert (stored["paper"], stored["where"]) == (1.2, "wgan_gp Fig. 1, sec. 3")


def test_claim_that_was_not_run_says_so_in_json() -> None:
    claim = Claim("FID falls below 20.", claims.not_run("FID"), where="zero_gp Table 1", paper=19.0)
    stored = json.loads(json.dumps(claim.as_dict(), allow_nan=False))
    assert stored["verdict"] == "not run at paper scale"
    assert (stored["estimate"], stored["low"], stored["n"]) == (None, None, 0)


def test_impossible_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="not paired"):
        claims.paired_greater(values(5), values(6))
    with pytest.raises(ValueError, match="margin"):
        claims.equivalent(values(5), values(5), 0.0)
    with pytest.raises(ValueError, match="relative margin"):
        claims.paired_greater(values(5), values(5) - 9, 0.1, relative=True)
    with pytest.raises(ValueError, match="level=95"):
        claims.greater(values(5), 0.0, level=95)
    with pytest.raises(ValueError, match="successes"):
        claims.share_greater(6, 5, 0.5)
    with pytest.raises(ValueError, match="one value per seed"):
        claims.greater(np.zeros((5, 2)), 0.0)
