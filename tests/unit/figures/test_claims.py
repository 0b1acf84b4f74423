"""Verdicts and intervals against SciPy's tests, and what is done with diverged seeds."""

import json

import numpy as np
import pytest
from scipy import stats

from gp_lab.evaluation.intervals import mean_interval
from gp_lab.figures import claims
from gp_lab.figures.claims import Claim, Verdict
from gp_lab.figures.sentences import why_open


def values(n: int = 8, mean: float = 0.0, seed: int = 0) -> np.ndarray:
    return mean + np.random.default_rng(seed).normal(size=n)


@pytest.mark.parametrize("n", [2, 5, 30])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_mean_interval_is_scipys_t_interval(n: int, level: float) -> None:
    x = values(n, mean=3.0)
    expected = stats.ttest_1samp(x, 0).confidence_interval(level)
    got = mean_interval(x, level)
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


def test_shares_below_and_inside_are_judged_by_the_same_interval() -> None:
    interval = claims.share_greater(3, 20, 0.5).interval
    assert claims.share_less(3, 20, 0.5).interval == interval
    assert claims.share_less(3, 20, 0.5).verdict == Verdict.SUPPORTED
    assert claims.share_less(20, 20, 0.5).verdict == Verdict.NOT_SUPPORTED
    assert claims.share_inside(10, 20, 0.2, 0.8).verdict == Verdict.SUPPORTED
    assert claims.share_inside(20, 20, 0.2, 0.8).verdict == Verdict.NOT_SUPPORTED
    assert claims.share_inside(0, 20, 0.2, 0.8).verdict == Verdict.NOT_SUPPORTED
    assert claims.share_inside(5, 20, 0.2, 0.8).verdict == Verdict.INCONCLUSIVE


def test_mcnemar_is_the_binomial_test_of_the_pairs_that_differ() -> None:
    # 12 pairs only a wins, 3 only b; 40 agree; one pair has a diverged seed.
    a = np.array([1.0] * 12 + [0.0] * 3 + [1.0] * 25 + [0.0] * 15 + [np.nan])
    b = np.array([0.0] * 12 + [1.0] * 3 + [1.0] * 25 + [0.0] * 15 + [1.0])
    test = claims.paired_share_greater(a, b)
    p = stats.binomtest(12, 15, 0.5, alternative="greater").pvalue
    assert (test.verdict == Verdict.SUPPORTED) == (p < 0.025)
    assert test.verdict == Verdict.SUPPORTED
    assert (test.interval.estimate, test.n, test.n_dropped) == (12 / 15, 15, 1)
    assert claims.paired_share_greater(b, a).verdict == Verdict.NOT_SUPPORTED
    more = claims.paired_sign(7 * a, 7 * b)  # so may numbers be compared, by their signs alone
    assert (more.verdict, more.interval, more.n_dropped) == (
        test.verdict, test.interval, test.n_dropped
    )  # fmt: skip
    assert claims.paired_share_greater(a, a).verdict == Verdict.INCONCLUSIVE


def test_rank_correlations_are_pearsons_of_the_ranks_seed_by_seed() -> None:
    levels, y = [10, 50, 100, 500], np.random.default_rng(0).normal(size=(6, 4))
    ranks = y.argsort(1).argsort(1)
    expected = [np.corrcoef(np.arange(4), row)[0, 1] for row in ranks]
    assert claims.rank_correlations(levels, y) == pytest.approx(expected)
    grows = claims.rank_correlations(levels, np.cumsum(np.abs(y), axis=1))
    assert claims.greater(grows, 0.0).verdict == Verdict.SUPPORTED
    y[0], y[1, 2] = 3.0, np.nan
    found = claims.rank_correlations(levels, y)
    assert found[0] == 0
    assert np.isnan(found).tolist() == [False, True, False, False, False, False]


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


def test_equal_values_are_judged_by_signs_where_so_many_can_decide() -> None:
    """Of n values all lie on one side of the median with a probability of 2 ** (1 - n)."""
    same = np.full(6, 0.1)
    interval = mean_interval(same)
    assert interval.low == interval.estimate == interval.high == 0.1
    assert claims.greater(same, 0.0).verdict == Verdict.SUPPORTED
    assert claims.greater(same, 0.2).verdict == Verdict.NOT_SUPPORTED
    assert claims.greater(same, 0.1).verdict == Verdict.INCONCLUSIVE
    assert claims.equivalent(same, same, 0.01).verdict == Verdict.SUPPORTED
    assert "sign test" in claims.greater(same, 0.0).method
    for seeds, level, decides in ((5, 0.95, False), (6, 0.97, False), (7, 0.97, True)):
        test = claims.greater(np.full(seeds, 1.0), 0.9, level, within=claims.SHARE)
        assert (test.verdict == Verdict.SUPPORTED) == decides
        assert (test.interval.low, test.interval.high) == ((1, 1) if decides else (0, 1))


def test_the_interval_of_a_share_is_cut_to_what_a_share_can_be() -> None:
    shares = np.array([0.7, 0.95, 1.0, 1.0, 1.0])
    plain, cut = claims.greater(shares, 0.5), claims.greater(shares, 0.5, within=claims.SHARE)
    assert plain.interval.high > 1 == cut.interval.high
    assert cut.interval.low == plain.interval.low
    assert cut.interval.estimate == plain.interval.estimate == pytest.approx(shares.mean())
    mirrored = claims.less(1 - shares, 0.5, within=claims.SHARE)
    assert mirrored.interval.low == 0 > claims.less(1 - shares, 0.5).interval.low
    cosine = claims.inside(shares, 0.2, 1.05, within=claims.COSINE)
    assert (cosine.verdict, cosine.interval.high) == (Verdict.SUPPORTED, 1)
    assert claims.inside(shares, 0.2, 1.05).verdict == Verdict.INCONCLUSIVE
    rounded = claims.greater(np.full(6, 1 + 1e-7), 0.5, within=claims.SHARE)
    assert rounded.interval.estimate == rounded.interval.low == rounded.interval.high == 1
    lost = claims.greater([np.nan, np.nan], 0.5, within=claims.SHARE)
    assert (lost.n, lost.n_dropped, lost.verdict) == (0, 2, Verdict.INCONCLUSIVE)
    for beyond in (1.2, -0.1, np.inf):
        with pytest.raises(ValueError, match="beyond 0 to 1"):
            claims.greater([0.5, 0.5, beyond], 0.2, within=claims.SHARE)


def test_diverged_seeds_are_dropped_in_pairs_and_counted() -> None:
    a, b = values(8, 1.0), values(8, seed=1)
    a[2], b[5] = np.nan, np.nan
    test = claims.paired_greater(a, b)
    kept = [0, 1, 3, 4, 6, 7]
    expected = stats.ttest_rel(a[kept], b[kept]).confidence_interval(0.95)
    assert (test.interval.low, test.interval.high) == pytest.approx((expected.low, expected.high))
    assert (test.n, test.n_dropped) == (6, 2)
    assert "2 left out" in str(test)
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
    with pytest.raises(ValueError, match="successes"):
        claims.share_less(-1, 5, 0.5)
    with pytest.raises(ValueError, match="nothing lies"):
        claims.share_inside(1, 5, 0.5, 0.5)
    with pytest.raises(ValueError, match="1, 0 or NaN"):
        claims.paired_share_greater(np.full(5, 0.5), np.zeros(5))
    with pytest.raises(ValueError, match="wanted"):
        claims.rank_correlations([1, 2, 3], np.zeros((5, 2)))
    with pytest.raises(ValueError, match="one value per seed"):
        claims.greater(np.zeros((5, 2)), 0.0)


def test_a_verdict_is_what_the_scale_and_living_networks_allow() -> None:
    test = claims.computed(1.0, below=2.0)
    claim = Claim("f falls", test, "here")
    published = Claim("an FID of 29", test, "here", needs_paper=True)
    assert claim.at("miniature") == claim.at("paper") == claim
    assert claim.at("smoke").test.verdict == Verdict.NEEDS_MINIATURE
    assert published.at("miniature").test.verdict == Verdict.NEEDS_PAPER
    assert published.at("paper").test.verdict == Verdict.SUPPORTED
    dead = claim.at("miniature", "1-GP in 6 of 6 seeds")
    assert dead.test.verdict == Verdict.INCONCLUSIVE
    assert dead.as_dict()["dead"] == "1-GP in 6 of 6 seeds"


def test_each_claim_of_a_family_has_its_share_of_the_level() -> None:
    values = np.array([0.1, 0.4, 0.2, 0.5, 0.3])
    alone = claims.greater(values, 0.0)
    with claims.family(10):
        one_of_ten = claims.greater(values, 0.0)
    assert alone.interval.level == 0.95
    assert one_of_ten.interval.level == pytest.approx(0.995)
    assert one_of_ten.interval.low < alone.interval.low
    assert claims.greater(values, 0.0) == alone


@pytest.mark.parametrize("family", [1, 2, 10, 100])
def test_as_many_seeds_as_a_claim_about_most_of_them_can_be_decided_with(family: int) -> None:
    seeds = claims.seeds_for_share(family)
    with claims.family(family):
        assert claims.share_greater(seeds, seeds, 0.5).verdict == Verdict.SUPPORTED
        fewer = seeds - 1
        if fewer >= claims.MIN_SEEDS:
            assert claims.share_greater(fewer, fewer, 0.5).verdict == Verdict.INCONCLUSIVE


def test_a_number_that_could_not_be_computed_decides_nothing() -> None:
    assert claims.computed(float("nan"), below=2.0).verdict == Verdict.INCONCLUSIVE
    assert claims.computed(3.0, below=2.0).verdict == Verdict.NOT_SUPPORTED


def test_why_a_claim_is_open_is_said() -> None:
    values = np.array([0.1, 0.2, 0.1, -0.2, 0.3])
    few = claims.greater(values, 0.0, quantity="gap (of two)")
    for test, words in (
        (claims.greater(values + 1, 0.0), ""),
        (claims.greater(values - 1, 0.0), ""),
        (few, "the interval reaches across the border: 0.1 [-0.132, 0.332], n=5; one-sample t"),
        (claims.undecided(few, "0-GP learns on 2 of 5 seeds"), "0-GP learns on 2 of 5 seeds"),
        (
            claims.greater([np.nan] * 5, 0.0),
            "nothing could be measured: ?, no interval, n=0",
        ),
    ):
        said = why_open(Claim("it does", test, "sec. 1").as_dict())
        assert said.startswith(words)
        assert bool(said) == bool(words)
    dead = Claim("it does", few, "sec. 1").at("paper", "1-GP in 9 of 9 seeds")
    assert why_open(dead.as_dict()) == "dead networks: 1-GP in 9 of 9 seeds"
    needs = Claim("it does", few, "sec. 1", needs_paper=True).at("miniature")
    assert why_open(needs.as_dict()) == "needs scale=paper"
