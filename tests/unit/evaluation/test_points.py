"""Scores of samples in the plane, against hand-made cases, brute force and other libraries."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from gp_lab.evaluation.points import (
    balance,
    cosines,
    coverage,
    distance_to_curve,
    local_greedy_share,
    mode_shares,
    modes_hit,
    share_near,
    share_on_ring,
    wasserstein,
)

CENTERS = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
NONE = np.empty((0, 2))


def around(*counts: int) -> np.ndarray:
    return np.repeat(CENTERS[: len(counts)], counts, axis=0)


def test_a_mode_is_hit_by_at_least_its_share_of_all_samples() -> None:
    samples = around(98, 1, 0) + np.array([0.3, 0.39])
    samples = np.vstack([samples, [[50.0, 50.0]]])
    assert modes_hit(samples, CENTERS, 0.5).tolist() == [True, True, False]
    assert modes_hit(samples, CENTERS, 0.5, share=0.02).tolist() == [True, False, False]
    assert not modes_hit(samples, CENTERS, 0.48).any()


def test_a_share_that_is_a_whole_number_of_samples_is_not_missed_by_rounding() -> None:
    samples = around(7, 93, 0)
    assert 0.07 * 100 > 7
    assert modes_hit(samples, CENTERS, 1.0, share=0.07)[0]


def test_no_sample_near_is_no_hit_however_small_the_share() -> None:
    assert modes_hit(around(5, 0, 0), CENTERS, 1.0, share=1e-9).tolist() == [True, False, False]


def test_shares_near_and_nearest_on_a_hand_made_set() -> None:
    samples = np.vstack([around(3, 2, 1), [[4.0, 0.0], [100.0, 0.0]]])
    assert share_near(samples, CENTERS, 0.5) == pytest.approx(6 / 8)
    assert share_near(samples, CENTERS, 4.0) == pytest.approx(7 / 8)
    assert mode_shares(samples, CENTERS) == pytest.approx([4 / 8, 3 / 8, 1 / 8])


def test_balance_is_one_for_equal_modes_zero_for_one_of_them_and_an_entropy_between() -> None:
    assert balance(around(4, 4, 4), CENTERS) == pytest.approx(1)
    assert balance(around(9, 0, 0), CENTERS) == 0
    assert balance(around(4, 4, 0), CENTERS) == pytest.approx(np.log(2) / np.log(3))


def test_a_single_mode_is_balanced() -> None:
    assert balance(around(4), CENTERS[:1]) == 1
    assert modes_hit(around(4), CENTERS[:1], 1.0).tolist() == [True]


def test_samples_that_are_not_finite_are_near_nothing_and_still_count() -> None:
    samples = np.vstack([around(2, 2, 0), [[np.nan, 0.0], [np.inf, 0.0]]])
    assert share_near(samples, CENTERS, 1.0) == pytest.approx(4 / 6)
    assert mode_shares(samples, CENTERS) == pytest.approx([2 / 6, 2 / 6, 0])
    assert balance(samples, CENTERS) == pytest.approx(np.log(2) / np.log(3))
    assert modes_hit(samples, CENTERS, 1.0, share=0.4).tolist() == [False] * 3
    assert share_on_ring(samples, 10.0, 0.1) == pytest.approx(2 / 6)
    assert coverage(samples, CENTERS, 1.0) == pytest.approx(2 / 3)
    distance = distance_to_curve(samples, CENTERS)
    assert np.isnan(distance[4:]).all()
    assert (distance[:4] == 0).all()
    assert np.isnan(wasserstein(samples, CENTERS))
    everything_lost = np.full((5, 2), np.nan)
    assert share_near(everything_lost, CENTERS, 1.0) == 0
    assert np.isnan(balance(everything_lost, CENTERS))


def test_no_samples_have_no_score() -> None:
    assert not modes_hit(NONE, CENTERS, 1.0).any()
    for score in (
        share_near(NONE, CENTERS, 1.0),
        balance(NONE, CENTERS),
        share_on_ring(NONE, 1.0, 0.1),
        wasserstein(NONE, CENTERS),
        local_greedy_share(NONE, NONE, CENTERS),
    ):
        assert np.isnan(score)
    assert np.isnan(mode_shares(NONE, CENTERS)).all()
    assert coverage(NONE, CENTERS, 1.0) == 0
    assert distance_to_curve(NONE, CENTERS).shape == cosines(NONE, NONE).shape == (0,)


def test_share_on_ring_is_that_of_the_annulus() -> None:
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    radius = np.repeat([1.0, 2.0, 2.05, 3.0], 25)
    samples = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    assert share_on_ring(samples, 2.0, 0.1) == pytest.approx(0.5)


@pytest.mark.parametrize("order", [1, 2])
def test_wasserstein_is_the_best_of_all_permutations(order: int) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6, 2)), rng.normal(size=(6, 2)) + 1
    best = min(
        np.mean(np.linalg.norm(a - b[list(p)], axis=1) ** order) for p in permutations(range(6))
    )
    assert wasserstein(a, b, order) == pytest.approx(best ** (1 / order), rel=1e-12)


def test_wasserstein_in_one_dimension_is_scipys_for_unequal_numbers_of_samples() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(31, 1)), rng.normal(size=(50, 1)) * 3
    assert wasserstein(a, b) == pytest.approx(wasserstein_distance(a[:, 0], b[:, 0]), rel=1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_a_shift_moves_a_sample_by_its_length(order: int) -> None:
    a = np.random.default_rng(0).normal(size=(40, 2))
    assert wasserstein(a, a + np.array([3.0, 4.0]), order) == pytest.approx(5)
    assert wasserstein(a, a, order) == pytest.approx(0, abs=1e-9)


def test_distance_to_a_curve_is_to_its_segments_and_ends() -> None:
    curve = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 0.0], [2.0, 2.0]])
    samples = np.array([[1.0, 0.5], [-3.0, 4.0], [2.0, 1.0], [4.0, 1.5]])
    assert distance_to_curve(samples, curve) == pytest.approx([0.5, 5, 0, 2])
    assert distance_to_curve(samples, curve[:1]) == pytest.approx(np.linalg.norm(samples, axis=1))


def test_distance_to_a_fine_circle_is_that_to_the_circle() -> None:
    angle = np.linspace(0, 2 * np.pi, 2001)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    samples = np.random.default_rng(0).normal(size=(3000, 2))
    exact = np.abs(np.linalg.norm(samples, axis=1) - 1)
    assert distance_to_curve(samples, circle) == pytest.approx(exact, abs=2e-6)


def test_coverage_is_the_share_of_the_curve_that_samples_reach() -> None:
    curve = np.stack([np.linspace(0, 1, 101), np.zeros(101)], 1)
    assert coverage(curve[:51], curve, 0.001) == pytest.approx(51 / 101)
    assert coverage(np.array([[0.5, 0.0]]), curve, 0.1) == pytest.approx(21 / 101)


def test_cosines_are_of_the_angles_and_nan_where_there_is_none() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [1.0, 2.0]])
    directions = np.array([[-2.0, 0.0], [0.0, 3.0], [1.0, 1.0], [0.0, 0.0]])
    got = cosines(vectors, directions)
    assert got[:2] == pytest.approx([-1, np.sqrt(0.5)])
    assert np.isnan(got[2:]).all()


def test_greedy_share_counts_the_gradients_that_point_to_the_nearest_target() -> None:
    fakes = np.array([[1.0, 0.0], [9.0, 0.0], [1.0, 1.0], [2.0, 0.0], [0.0, 10.0]])
    gradients = np.array([[-1.0, 0.1], [-1.0, 0.0], [-1.0, -1.0], [0.0, 0.0], [1.0, 0.0]])
    # Two point home, one away from it, one nowhere; the last stands on its target.
    assert local_greedy_share(gradients, fakes, CENTERS) == pytest.approx(2 / 4)
    assert local_greedy_share(gradients, fakes, CENTERS, min_cosine=0.999) == pytest.approx(1 / 4)


def test_impossible_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        mode_shares(CENTERS, NONE)
    with pytest.raises(ValueError, match="radius=-1"):
        share_near(CENTERS, CENTERS, -1)
    with pytest.raises(ValueError, match="share=0"):
        modes_hit(CENTERS, CENTERS, 1.0, share=0)
    with pytest.raises(ValueError, match="shape"):
        share_on_ring(np.zeros(3), 1.0, 0.1)
    with pytest.raises(ValueError, match="against centers"):
        mode_shares(np.zeros((3, 3)), CENTERS)
    with pytest.raises(ValueError, match="cannot be coupled"):
        wasserstein(np.zeros((3, 3)), CENTERS)
    with pytest.raises(ValueError, match="order=3"):
        wasserstein(CENTERS, CENTERS, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="directions"):
        cosines(CENTERS, CENTERS[:2])
    with pytest.raises(ValueError, match="tolerance"):
        share_on_ring(CENTERS, 1.0, -0.1)
