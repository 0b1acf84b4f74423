"""Scores of features: Fréchet and kernel distances, Inception score, manifolds, neighbours."""

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import normal, rng, uniform
from scipy.special import rel_entr
from torch import Tensor

from gp_lab.evaluation import distances
from gp_lab.evaluation.frechet import Moments, frechet_distance, gaussian_distance
from gp_lab.evaluation.inception_score import SplitSums, inception_score, splits_of
from gp_lab.evaluation.kid import kernel_distance, squared_discrepancy
from gp_lab.evaluation.neighbours import (
    duplicate_distance,
    near_duplicate_share,
    nearest_training,
    own_distances,
    spread,
)
from gp_lab.evaluation.precision_recall import precision_recall
from gp_lab.evaluation.reference_statistics import cached_moments, fingerprint

NAN = float("nan")


@pytest.fixture(params=[1 << 23, 50])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything at once, and a few rows at a time."""
    monkeypatch.setattr(distances, "_CHUNK_ENTRIES", request.param)


def merged(features: Tensor, parts: int) -> Moments:
    start = Moments.none(features.shape[1])
    return sum((Moments.of(part) for part in features.chunk(parts)), start)


def test_moments_of_parts_add_to_the_mean_and_covariance_of_the_whole() -> None:
    x = normal(101, 7) + 3
    for parts in (1, 4):
        moments = merged(x.float().double(), parts)
        np.testing.assert_allclose(moments.mean, x.mean(0), rtol=1e-6)
        np.testing.assert_allclose(moments.covariance, np.cov(x.T), rtol=1e-5, atol=1e-6)
    again = Moments.from_flat(moments.flat(), 7)
    assert again.count == 101
    assert torch.equal(again.total, moments.total)
    assert torch.equal(again.outer, moments.outer)


def test_moments_are_float64_sums_of_float32_features() -> None:
    x = (1000 + normal(50, 3)).float()
    np.testing.assert_allclose(Moments.of(x).covariance, np.cov(x.double().T), rtol=1e-8)


def test_moments_refuse_what_is_no_features() -> None:
    with pytest.raises(ValueError, match=r"\[n, d\] wanted, got \[4\]"):
        Moments.of(torch.zeros(4))
    with pytest.raises(ValueError, match="of 2 and of 3 dimensions"):
        Moments.none(2) + Moments.none(3)


def test_the_distance_of_gaussians_that_commute_is_that_of_their_axes() -> None:
    a, b = uniform(6, seed=1) * 4, uniform(6, seed=2) * 4
    turn = torch.linalg.qr(normal(6, 6)).Q
    mean_a, mean_b = normal(6, seed=3), normal(6, seed=4)
    expected = (mean_a - mean_b).square().sum() + (a.sqrt() - b.sqrt()).square().sum()
    found = gaussian_distance(mean_a, turn * a @ turn.T, mean_b, turn * b @ turn.T)
    assert found == pytest.approx(expected.item(), rel=1e-12)


def test_a_shift_of_few_samples_in_many_dimensions_costs_its_square_and_nothing_else() -> None:
    x = normal(12, 200)
    shift = normal(200, seed=1)
    found = frechet_distance(Moments.of(x), Moments.of(x + shift))
    assert found == pytest.approx(shift.square().sum().item(), rel=1e-12)
    assert frechet_distance(Moments.of(x), Moments.of(x)) == pytest.approx(0, abs=1e-10)


def test_the_distance_is_nan_for_too_few_or_infinite_features() -> None:
    x = normal(9, 3)
    bad = x.clone()
    bad[2, 1] = math.inf
    for features in (bad, x[:1], x[:0]):
        assert math.isnan(frechet_distance(Moments.of(x), Moments.of(features)))
    with pytest.raises(ValueError, match="of one d wanted"):
        frechet_distance(Moments.of(x), Moments.of(x[:, :2]))


def direct_inception_score(p: np.ndarray, splits: int) -> tuple[float, float]:
    """As in the authors' code: the mean over samples of the KL divergence to the split's mean."""
    n = len(p)
    parts = [p[i * n // splits : (i + 1) * n // splits] for i in range(splits)]
    scores = [np.exp(rel_entr(part, part.mean(0)).sum(1).mean()) for part in parts]
    return float(np.mean(scores)), float(np.std(scores))


@pytest.mark.parametrize("n", [40, 43])
def test_the_streamed_inception_score_is_the_direct_one(n: int) -> None:
    p = (3 * normal(n, 6)).softmax(1)
    sums = SplitSums.none(6)
    for start in range(0, n, 7):
        part = p[start : start + 7]
        sums += SplitSums.of(part, splits_of(start, len(part), n))
    sums = SplitSums.from_flat(sums.flat())
    assert inception_score(sums) == pytest.approx(direct_inception_score(p.numpy(), 10), rel=1e-12)


def test_certain_and_even_classes_score_their_number_and_a_blind_network_scores_one() -> None:
    split = splits_of(0, 40, 40, 2)
    certain = torch.eye(4, dtype=torch.float64).repeat(10, 1)
    assert inception_score(SplitSums.of(certain, split, 2)) == pytest.approx((4, 0))
    blind = torch.full((40, 4), 0.25)
    assert inception_score(SplitSums.of(blind, split, 2)) == pytest.approx((1, 0))


def test_the_inception_score_refuses_empty_splits_and_is_nan_where_one_is_missing() -> None:
    with pytest.raises(ValueError, match="9 samples in 10 splits"):
        splits_of(0, 9, 9)
    with pytest.raises(ValueError, match="not all among 20"):
        splits_of(15, 6, 20)
    with pytest.raises(ValueError, match="a split for each"):
        SplitSums.of(torch.ones(3, 2), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match="do not add"):
        SplitSums.none(3) + SplitSums.none(4)
    half = SplitSums.of(torch.full((5, 2), 0.5), splits_of(0, 5, 20))
    assert math.isnan(inception_score(half).mean)


def direct_discrepancy(x: np.ndarray, y: np.ndarray) -> float:
    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    def within(z: np.ndarray) -> float:
        pairs = [kernel(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j]
        return float(np.mean(pairs))

    return within(x) + within(y) - 2 * float(np.mean([kernel(a, b) for a in x for b in y]))


def test_the_kernel_discrepancy_is_the_sum_over_pairs() -> None:
    x, y = normal(7, 4), normal(5, 4, seed=1) + 0.5
    expected = direct_discrepancy(x.numpy(), y.numpy())
    assert squared_discrepancy(x, y).item() == pytest.approx(expected, rel=1e-12)
    whole = kernel_distance(x[:5], y, rng(), subsets=3)
    expected = direct_discrepancy(x[:5].numpy(), y.numpy())
    assert whole.mean == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("n", "m", "known"), [(5, 5, False), (5, 9, False), (9, 9, True)])
def test_the_spread_of_subsets_that_are_a_whole_set_is_not_known(
    n: int, m: int, known: bool
) -> None:
    found = kernel_distance(normal(n, 4), normal(m, 4, seed=1), rng(), subsets=8, size=5)
    assert math.isfinite(found.mean)
    assert math.isfinite(found.std) == known
    assert not known or found.std > 0


def test_the_kernel_distance_of_one_distribution_is_zero_on_average() -> None:
    x, y = normal(4000, 5), normal(4000, 5, seed=1)
    same = kernel_distance(x, y, rng(), subsets=40, size=100)
    assert abs(same.mean) < 3 * same.std / math.sqrt(40)
    assert kernel_distance(x, y + 1, rng(), subsets=40, size=100).mean > 10 * same.std


def test_the_kernel_distance_refuses_single_samples() -> None:
    with pytest.raises(ValueError, match="n, m > 1"):
        kernel_distance(normal(1, 3), normal(4, 3), rng())
    with pytest.raises(ValueError, match="subsets=0"):
        kernel_distance(normal(4, 3), normal(4, 3), rng(), subsets=0)


def direct_manifold(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, ...]:
    def radius(x: np.ndarray, i: int) -> float:
        return sorted(np.linalg.norm(x[i] - x[j]) for j in range(len(x)) if j != i)[k - 1]

    def inside(x: np.ndarray, i: int, point: np.ndarray) -> bool:
        return bool(np.linalg.norm(x[i] - point) <= radius(x, i))

    of_real = np.array([[inside(real, i, y) for y in fake] for i in range(len(real))])
    of_fake = np.array([[inside(fake, j, x) for x in real] for j in range(len(fake))])
    return (
        of_real.any(0).mean(),
        of_fake.any(0).mean(),
        of_real.sum() / (k * len(fake)),
        of_real.any(1).mean(),
    )


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("k", [1, 3])
def test_precision_recall_density_and_coverage_are_the_counts_over_all_pairs(k: int) -> None:
    real, fake = normal(30, 4), 0.7 * normal(24, 4, seed=1) + 0.6
    expected = direct_manifold(real.numpy(), fake.numpy(), k)
    assert precision_recall(real, fake, k) == pytest.approx(expected, abs=1e-12)
    assert min(expected) > 0


def test_a_dropped_mode_costs_recall_and_coverage_and_a_made_up_one_costs_precision() -> None:
    near, far = normal(40, 2), normal(40, 2, seed=1) + 100
    dropped = precision_recall(torch.cat([near, far]), near)
    assert dropped.precision == 1
    assert dropped.recall == dropped.coverage == 0.5
    made_up = precision_recall(near, torch.cat([near, far]))
    assert made_up.precision == 0.5
    assert made_up.recall == made_up.coverage == 1


def test_manifolds_need_k_neighbours_and_finite_fakes() -> None:
    with pytest.raises(ValueError, match="k=5: must lie between 1 and 4"):
        precision_recall(normal(5, 2), normal(9, 2))
    with pytest.raises(ValueError, match="cannot be compared"):
        precision_recall(normal(9, 2), normal(9, 3))
    assert all(math.isnan(x) for x in precision_recall(normal(9, 2), normal(9, 2) * NAN))


@pytest.mark.usefixtures("chunks")
def test_the_nearest_training_image_is_the_one_of_all_pairs() -> None:
    samples, training = normal(13, 1, 3, 4), normal(17, 1, 3, 4, seed=1)
    samples[3] = training[8]
    samples[5, 0, 0, 0] = math.inf
    every = np.linalg.norm((samples[:, None] - training).reshape(13, 17, 12), axis=2)
    distance, which = nearest_training(samples.float().double(), training)
    keep = [i for i in range(13) if i != 5]
    np.testing.assert_allclose(distance[keep], every.min(1)[keep], atol=1e-6)
    assert which[keep].tolist() == every.argmin(1)[keep].tolist()
    assert which[5] == -1
    assert math.isnan(distance[5])
    assert near_duplicate_share(samples, training, 0) == 1 / 13
    assert near_duplicate_share(samples, training, 1e9) == 12 / 13


@pytest.mark.usefixtures("chunks")
def test_an_image_is_not_its_own_neighbour() -> None:
    x = torch.tensor([0.0, 1.0, 3.0, 7.0, 7.0])[:, None]
    assert own_distances(x).tolist() == [1, 1, 2, 0, 0]
    assert duplicate_distance(x, 0) == 0
    assert duplicate_distance(x, 0.5) == 1
    assert duplicate_distance(x, 1) == 2
    assert spread(x) == pytest.approx(4 / 5)
    assert spread(torch.ones(4, 3)) == 0


def test_neighbours_refuse_what_cannot_be_compared() -> None:
    x = normal(3, 2)
    with pytest.raises(ValueError, match="too few"):
        nearest_training(x, x[:0])
    with pytest.raises(ValueError, match="too few"):
        own_distances(x[:1])
    with pytest.raises(ValueError, match="within=-1"):
        near_duplicate_share(x, x, -1)
    with pytest.raises(ValueError, match="share=2"):
        duplicate_distance(x, 2)
    assert math.isnan(near_duplicate_share(x[:0], x, 1))


def test_a_fingerprint_tells_values_types_shapes_and_order_apart() -> None:
    x = torch.arange(6)
    all_of_them = [
        [x], [x + 1], [x.float()], [x.view(2, 3)], [x[:3], x[3:]], [x, "a"], ["a", x], ["b", x]
    ]  # fmt: skip
    assert len({fingerprint(parts) for parts in all_of_them}) == len(all_of_them)
    assert fingerprint([x.view(2, 3)]) == fingerprint([x.view(3, 2).reshape(2, 3).clone()])


def test_moments_are_worked_out_once_and_read_back_bit_for_bit(tmp_path: Path) -> None:
    x = normal(20, 3)
    key, calls = fingerprint([x]), []

    def compute() -> Moments:
        calls.append(1)
        return Moments.of(x)

    first = cached_moments(tmp_path / "new", key, compute)
    second = cached_moments(tmp_path / "new", key, compute)
    assert len(calls) == 1
    assert torch.equal(first.flat(), second.flat())
    (file,) = (tmp_path / "new").glob("[!.]*")
    assert file.name == f"moments-{key[:16]}.npz"


@pytest.mark.parametrize("damage", ["cut", "another's", "pickle"])
def test_a_damaged_cache_is_worked_out_again(tmp_path: Path, damage: str) -> None:
    x = normal(20, 3)
    key = fingerprint([x])
    cached_moments(tmp_path, key, lambda: Moments.of(x))
    (file,) = tmp_path.glob("[!.]*")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:100])
    elif damage == "another's":
        other = key[:16] + "0" * 48
        file.unlink()
        cached_moments(tmp_path, other, lambda: Moments.of(x + 1))
    else:
        np.savez(file, format=1, key=key, count=np.array([{}], dtype=object), total=0, outer=0)
    with pytest.warns(UserWarning, match="worked out again"):
        mended = cached_moments(tmp_path, key, lambda: Moments.of(x))
    assert torch.equal(mended.flat(), Moments.of(x).flat())
    again = cached_moments(tmp_path, key, lambda: pytest.fail("not kept"))
    assert torch.equal(again.flat(), mended.flat())


def test_every_pair_of_small_sets_has_a_distance_in_both_directions() -> None:
    sets = [normal(8, 3, seed=s) * scale for s, scale in product(range(3), (0.1, 1, 10))]
    for a, b in product(sets, sets):
        there = frechet_distance(Moments.of(a), Moments.of(b))
        back = frechet_distance(Moments.of(b), Moments.of(a))
        assert there == pytest.approx(back, rel=1e-9, abs=1e-9)
