"""What Figures 1 and 2 of zero_gp measure and claim, on made-up runs and rows."""

import math

import numpy as np
import pytest
from made_up import changed, claim_of, rows_of, told, verdicts
from scipy.stats import multivariate_normal

from gp_lab.figures.claims import Verdict
from gp_lab.figures.table import Row
from gp_lab.papers.zero_gp import fig1
from gp_lab.papers.zero_gp._gradients import equality_across_regions, over_the_run
from gp_lab.theory.optimal import optimal_discriminator

FIG1, FIG2 = "zero_gp/fig1", "zero_gp/fig2"

# -- Figure 1 ------------------------------------------------------------------------------


def test_d_of_1_2_explains_nothing_of_the_optimum_itself_all_and_its_reverse_less() -> None:
    axis = np.linspace(-9, 11, 401)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    real, fake = (
        multivariate_normal(mean, covariance).logpdf(grid)
        for mean, covariance in (
            ([0.4, 0.9], [[1, 0.5], [0.5, 1]]), ([1.3, 1.2], [[1, 0.7], [0.7, 1]])
        )
    )  # fmt: skip
    optimal, density = optimal_discriminator(real, fake), np.exp(real) + np.exp(fake)
    # 1/2 is the mean of D* under p_r + p_g, so that this is the share of its variance.
    assert np.average(optimal, weights=density) == pytest.approx(0.5, abs=1e-6)
    half = np.full_like(optimal, 0.5)
    assert fig1.explained(optimal, optimal, density) == pytest.approx(1)
    assert fig1.explained(half, optimal, density) == pytest.approx(0)
    assert fig1.explained(1 - optimal, optimal, density) == pytest.approx(-3)
    assert fig1.explained((optimal + half) / 2, optimal, density) == pytest.approx(3 / 4)
    slope = np.hypot(*np.gradient(optimal, axis, axis))
    drawn = slope[np.ix_(*2 * [(axis >= -2.5) & (axis <= 4.5)])]
    mean = np.average(slope, weights=density)
    assert mean / drawn.max() == pytest.approx(0.34, abs=0.01)  # nothing tiny, as the file says


MORE = {"method": "none", "samples": "1000"}
SURFACE = "(b): its surface is very different from D*: explains less than 50% of its variance"
OVERFITS = "with more samples D without penalty still overfits, by more than a point"


def fig1_rows() -> list[Row]:
    rows = rows_of(
        FIG1, 10, rmse_weighted=0.1, accuracy_gap=0.2, slope_train_share=0.01,
        slope_train_mean=0.1, slope_held_out_mean=0.3,
    )  # fmt: skip
    errors = {"none": 0.4, "one_gp": 0.2, "zero_gp_sample": 0.4}
    for method, error in errors.items():
        rows = changed(rows, {"method": method}, rmse_weighted=error)
    return changed(rows, MORE, explained=-0.5)


def test_every_sentence_of_fig1_is_supported_where_everything_is_as_the_paper_says() -> None:
    assert set(verdicts(FIG1, fig1_rows()).values()) == {Verdict.SUPPORTED}


@pytest.mark.parametrize(
    ("text", "quantity", "value", "wide"),
    [
        (OVERFITS, "accuracy_gap", 0.009, (-0.5, 0.5)),
        (SURFACE, "explained", 0.8, (0.0, 1.0)),
        ("(b): 0-GP with a tenth of the samples comes nearer to D*",
         "rmse_weighted", 0.05, (0.0, 0.2)),
        ("no penalty, more samples: gradients on training points are tiny beside the largest"
         " (below 10%), and smaller than at held-out points",
         "slope_train_share", 0.34, (0.0, 0.3)),
    ],
)  # fmt: skip
def test_more_samples_that_help_contradict_what_is_said_of_b_and_a_wide_spread_decides_nothing(
    text: str, quantity: str, value: float, wide: tuple[float, float]
) -> None:
    contradicted = changed(fig1_rows(), MORE, **{quantity: value})
    assert claim_of(FIG1, contradicted, text).test.verdict == Verdict.NOT_SUPPORTED
    spread = [
        r | {quantity: wide[int(r["seed"]) % 2]} if r["samples"] == "1000" else r
        for r in fig1_rows()
    ]
    assert claim_of(FIG1, spread, text).test.verdict == Verdict.INCONCLUSIVE


def test_gradients_are_tiny_on_training_points_only_if_held_out_ones_have_larger() -> None:
    alike = verdicts(FIG1, changed(fig1_rows(), {}, slope_held_out_mean=0.1))
    tiny = {v for text, v in alike.items() if "tiny" in text}
    assert tiny == {Verdict.INCONCLUSIVE}
    large = changed(fig1_rows(), {}, slope_held_out_mean=0.1, slope_train_share=0.34)
    tiny = {v for text, v in verdicts(FIG1, large).items() if "tiny" in text}
    assert tiny == {Verdict.NOT_SUPPORTED}


# -- Figure 2 ------------------------------------------------------------------------------


def test_norms_over_a_run_are_those_of_its_beginning_its_end_and_the_least_of_its_last_half() -> (
    None
):
    steps, norms = np.array([1, 2, 5, 8, 10]), np.array([2.0, 0.1, 20.0, 2.0, 200.0])
    found = over_the_run(steps, norms, early=1)
    two = math.log10(2)
    assert found == pytest.approx(
        {"norm_early": two, "norm_end": 2 + two, "norm_least": two, "norm_growth": 2,
         "norm_stays": 0}
    )  # fmt: skip


def test_equality_across_regions_weighs_regions_not_samples() -> None:
    norms = np.array([1.0] * 90 + [3.0] * 10)
    nearest = np.array([2] * 90 + [5] * 10)
    assert equality_across_regions(norms, nearest) == pytest.approx(4 / 5)


def fig2_rows() -> list[Row]:
    same = {
        "modes": 3, "ring": 0.2, "jump": 5.0, "equality_probability": 0.3, "dead": 0,
        "equality_regions_probability": 0.3,
    }  # fmt: skip
    rows = rows_of(FIG2, 10, **same | norms(0.1, 0.2, 0.1))
    rows = changed(rows, {"method": "none_ttur"}, **norms(1.0, 2.0, 1.5))
    rows = changed(rows, {"method": "zero_gp_ttur"}, modes=8)
    mine = {"modes": 8, "ring": 0.9, "jump": 2.0, "equality_probability": 0.9}
    return changed(rows, {"method": "zero_gp"}, **mine, equality_regions_probability=0.8)


def norms(early: float, end: float, least: float) -> dict[str, float]:
    found = {"early": early, "end": end, "least": least}
    found |= {"growth": end - early, "stays": least - early}
    return {f"norm_{name}_probability": value for name, value in found.items()}


def test_every_sentence_of_fig2_is_supported_where_everything_is_as_the_paper_says() -> None:
    assert set(verdicts(FIG2, fig2_rows()).values()) == {Verdict.SUPPORTED}


def test_another_penalty_that_keeps_all_modes_is_told() -> None:
    found = verdicts(FIG2, changed(fig2_rows(), {"method": "one_gp"}, modes=8))
    assert found["1-GP fails to keep all 8 modes"] == Verdict.NOT_SUPPORTED
    assert found["no GP fails to keep all 8 modes"] == Verdict.SUPPORTED


def test_zero_gp_must_be_more_equal_than_the_best_of_the_others() -> None:
    rows = changed(fig2_rows(), {"method": "zero_gp_sample"}, equality_probability=0.95)
    found = verdicts(FIG2, rows)
    claims = {text: v for text, v in found.items() if "most equal" in text}
    assert list(claims.values()) == [Verdict.NOT_SUPPORTED, Verdict.SUPPORTED]


def of_ttur(found: dict[str, Verdict]) -> list[Verdict]:
    return [v for text, v in found.items() if "TTUR" in text and "modes" not in text]


def test_an_explosion_before_a_tenth_of_the_run_is_seen_beside_other_methods() -> None:
    """Within the run there is no growth any more; the norms say what they are."""
    rows = changed(fig2_rows(), {"method": "none_ttur"}, **norms(2.0, 1.9, 1.8))
    grows, stays, *beside = of_ttur(verdicts(FIG2, rows))
    assert (grows, stays) == (Verdict.NOT_SUPPORTED, Verdict.NOT_SUPPORTED)
    assert beside == [Verdict.SUPPORTED] * 4


def test_growth_that_all_methods_share_is_no_explosion() -> None:
    rows = changed(fig2_rows(), {"method": ["none", "zero_gp_ttur"]}, **norms(1.1, 2.1, 1.6))
    grows, stays, *beside = of_ttur(verdicts(FIG2, rows))
    assert (grows, stays) == (Verdict.SUPPORTED, Verdict.SUPPORTED)
    assert beside == [Verdict.NOT_SUPPORTED] * 4


def test_where_nothing_explodes_nothing_is_prevented_and_a_tenth_of_a_run_shows_who_is_ahead() -> (
    None
):
    """Of a D that falls behind by the end, all that TTUR did was to be early."""
    rows = changed(fig2_rows(), {"method": "none_ttur"}, **norms(1.0, 0.2, 0.1))
    rows = changed(rows, {"method": "zero_gp_ttur"}, **norms(0.1, -2.0, 0.1))
    grows, stays, early, end, persists, prevents = of_ttur(verdicts(FIG2, rows))
    assert (grows, stays) == (Verdict.NOT_SUPPORTED, Verdict.NOT_SUPPORTED)
    assert Verdict.SUPPORTED not in (end, persists)
    assert (early, prevents) == (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE)


def diverged(rows: list[Row], method: str, seeds: int) -> list[Row]:
    """The first so many seeds of a method end so, without any quantity."""
    return [
        {k: r[k] for k in ("method", "seed")} | {"state": "diverged"}
        if r["method"] == method and r["seed"] < seeds
        else r
        for r in rows
    ]


@pytest.mark.parametrize("seeds", [1, 10])
def test_a_run_that_diverges_with_ttur_speaks_for_an_explosion(seeds: int) -> None:
    rows = diverged(fig2_rows(), "none_ttur", seeds)
    texts = [text for text in verdicts(FIG2, rows) if "TTUR" in text and "modes" not in text]
    grows, stays, early, *beside = (claim_of(FIG2, rows, text).test for text in texts)
    for test in (grows, stays, *beside):
        assert test.verdict == Verdict.SUPPORTED
        assert test.interval.n == 10
        assert f"({seeds} diverged)" in test.quantity
    assert early.n_dropped == seeds  # when it diverged is not known


def test_a_run_that_diverges_without_ttur_or_with_0_gp_speaks_against_what_they_prevent() -> None:
    for method, part in (("none", "does not persist"), ("zero_gp_ttur", "prevents")):
        (text,) = (t for t in verdicts(FIG2, fig2_rows()) if part in t)
        for of in ([method], [method, "none_ttur"]):  # where both do, neither is above the other
            rows = fig2_rows()
            for each in of:
                rows = diverged(rows, each, 10)
            assert claim_of(FIG2, rows, text).test.verdict == Verdict.NOT_SUPPORTED


def test_0_gp_prevents_an_explosion_if_it_is_an_order_of_magnitude_below() -> None:
    (text,) = (t for t in verdicts(FIG2, fig2_rows()) if "prevents" in t)
    for end, verdict in ((0.9, Verdict.SUPPORTED), (1.1, Verdict.NOT_SUPPORTED)):
        rows = changed(fig2_rows(), {"method": "zero_gp_ttur"}, **norms(0.1, end, 0.1))
        assert claim_of(FIG2, rows, text).test.verdict == verdict
    spread = [
        r | norms(0.1, 0.1 + 0.2 * r["seed"], 0.1) if r["method"] == "zero_gp_ttur" else r
        for r in fig2_rows()
    ]
    assert claim_of(FIG2, spread, text).test.verdict == Verdict.INCONCLUSIVE


def test_what_dead_networks_fail_at_is_not_held_against_their_method() -> None:
    rows = changed(fig2_rows(), {"method": "one_gp"}, dead=1)
    found = told(FIG2, rows)
    undecided = {text for text, v in found.items() if v == Verdict.INCONCLUSIVE}
    assert undecided == {
        "1-GP fails to keep all 8 modes",
        "0-GP's gradient norms are the most equal, on segments",
        "0-GP's gradient norms are the most equal, at the reals of the 8 modes",
        "0-GP generates points on the circle: a larger share than the others",
    }
