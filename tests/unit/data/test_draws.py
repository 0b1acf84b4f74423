"""Batches, latents and random numbers: what is drawn, how often, and decided by which seed."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from distributions import CORRELATED, LEVEL, chi_square_p, midpoints, present, stream
from helpers import nodes_of
from scipy import stats

from gp_lab.data.base import Latent
from gp_lab.data.latent import DataPlusNoise, Normal, Uniform
from gp_lab.data.points import (
    GaussianRing,
    PointMasses,
    Points,
    SwissRoll,
)
from gp_lab.data.random import generator
from gp_lab.errors import BadInput
from gp_lab.instantiate import instantiate
from gp_lab.launching.config_groups import config_folder


def test_an_endless_supply_is_never_drawn_twice() -> None:
    points = Points(SwissRoll())
    assert points.prepare(stream("set")) is points
    rng = stream("batches")
    assert not torch.equal(points.draw(rng, 20), points.draw(rng, 20))


def test_a_finite_set_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    points = Points(CORRELATED, size=100)
    first, again = (present(points.prepare(generator(3, "set", 0)).points) for _ in range(2))
    other = present(points.prepare(generator(4, "set", 0)).points)
    assert first.shape == (100, 2)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert points.points is None


def test_shuffled_batches_cover_each_point_once_per_permutation() -> None:
    points = Points(CORRELATED, size=30, order="shuffle").prepare(stream("set"))
    values = present(points.points)[:, 0].sort().values
    rows = points.draw(stream("batches"), 75)
    which = torch.searchsorted(values, rows[:, 0].contiguous())
    for part in (which[:30], which[30:60]):
        assert sorted(part.tolist()) == list(range(30))
    assert len(set(which[60:].tolist())) == 15
    assert not torch.equal(which[:30], which[30:60])


def test_shuffles_are_uniform_over_permutations() -> None:
    points = Points(PointMasses(((1.0,), (2.0,), (3.0,))), size=3, order="shuffle")
    drawn_once = (points.prepare(generator(seed, "set", 0)) for seed in range(100))
    distinct = next(p for p in drawn_once if present(p.points).unique().numel() == 3)
    orders = distinct.draw(stream("batches"), 3 * 6000).reshape(-1, 3)
    _, counts = torch.unique(orders, dim=0, return_counts=True)
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > LEVEL


def test_batches_with_replacement_take_each_point_as_often() -> None:
    points = Points(CORRELATED, size=20).prepare(stream("set"))
    rows = points.draw(stream("batches"), 20_000)
    values, counts = torch.unique(rows, dim=0, return_counts=True)
    assert {tuple(v) for v in values.tolist()} == {
        tuple(p) for p in present(points.points).tolist()
    }
    assert stats.chisquare(counts).pvalue > LEVEL


def test_fresh_samples_are_outside_of_the_finite_set_with_its_distribution() -> None:
    points = Points(CORRELATED, scale=0.5, size=2000).prepare(stream("set"))
    fresh = points.fresh(stream("held out"), 2000)
    held = present(points.points)
    assert not torch.isin(fresh[:, 0], held[:, 0]).any()
    assert stats.ks_2samp(fresh[:, 0], held[:, 0]).pvalue > LEVEL


def test_a_finite_set_must_be_prepared() -> None:
    with pytest.raises(ValueError, match="prepared"):
        Points(CORRELATED, size=100).draw(stream("batches"), 10)


def test_latents_have_the_moments_of_their_names() -> None:
    z = Normal(3).draw(stream("z"), 50_000)
    assert stats.kstest(z.flatten().numpy(), stats.norm.cdf).pvalue > LEVEL
    u = Uniform(3, low=-2.0, high=0.5).draw(stream("u"), 50_000)
    assert stats.kstest(u.flatten().numpy(), stats.uniform(-2, 2.5).cdf).pvalue > LEVEL


@pytest.mark.parametrize("latent", [Normal(2), Uniform(2), DataPlusNoise(), Points(SwissRoll())])
def test_latents_and_points_share_a_signature(latent: Latent) -> None:
    assert isinstance(latent, Latent)
    assert latent.shape == (2,)
    assert latent.prepare(stream("set")) is latent
    drawn = latent.draw(stream("z"), 7, real=torch.zeros(7, 2))
    assert drawn.shape == (7, 2)
    assert drawn.dtype == torch.float32
    assert torch.equal(drawn, latent.draw(stream("z"), 7, real=torch.zeros(7, 2)))


def test_paired_noise_is_about_the_real_of_its_own_row() -> None:
    real = 100 * torch.randn(2000, 2, generator=stream("real"))
    noise = DataPlusNoise(std=0.5).draw(stream("z"), 2000, real) - real
    assert stats.kstest(noise.flatten().double().numpy(), stats.norm(0, 0.5).cdf).pvalue > LEVEL


def test_unpaired_noise_is_about_the_same_reals_in_another_order() -> None:
    real = torch.arange(2000.0)[:, None].expand(-1, 2) * 100
    fake = DataPlusNoise(std=0.5, paired=False).draw(stream("z"), 2000, real)
    nearest = (fake[:, 0] / 100).round().long()
    assert sorted(nearest.tolist()) == list(range(2000))
    assert (nearest == torch.arange(2000)).sum() < 10
    noise = fake - real[nearest]
    assert noise.std().item() == pytest.approx(0.5, rel=0.05)


def test_reals_plus_noise_have_the_density_of_points_plus_noise() -> None:
    points = Points(GaussianRing(8, 2.0, 0.02), scale=1 / 1.414)
    real = points.draw(stream("real"), 50_000)
    fake = DataPlusNoise(std=1.0).draw(stream("z"), 50_000, real)
    noisy = present(points.plus_noise(1.0))
    x, k, edge = midpoints(6.0, 0.1)
    probability = (noisy.log_density(x).exp() * edge**2).reshape(k, k)
    coarse = torch.nn.functional.avg_pool2d(probability[None], 4, divisor_override=1)[0].numpy()
    assert chi_square_p(fake.double(), coarse, 6.0) > LEVEL


def test_noise_needs_reals_of_its_shape() -> None:
    with pytest.raises(ValueError, match="given none"):
        DataPlusNoise().draw(stream("z"), 5)
    with pytest.raises(ValueError, match=r"\[5, 2\].*\[4, 2\]"):
        DataPlusNoise().draw(stream("z"), 5, torch.zeros(4, 2))


def test_a_generator_is_decided_by_seed_stream_and_block() -> None:
    def numbers(*key: Any) -> tuple[float, ...]:
        return tuple(torch.rand(4, generator=generator(*key)).tolist())

    keys = [(s, name, k) for s in range(5) for name in ("real", "latent", "1") for k in range(20)]
    assert len({numbers(*key) for key in keys}) == len(keys)
    assert all(numbers(*key) == numbers(*key) for key in keys)
    assert generator(1, "2", 3).initial_seed() != generator(12, "", 3).initial_seed()


def test_neighbouring_streams_are_uncorrelated() -> None:
    draws = torch.stack(
        [
            torch.randn(10_000, generator=generator(seed, name, block))
            for seed in (0, 1)
            for name in ("real", "latent")
            for block in (0, 1)
        ]
    )
    correlation = torch.corrcoef(draws.double()) - torch.eye(8)
    assert correlation.abs().max() < 4 / math.sqrt(10_000)


OF_POINTS = {
    name: node
    for name, node in nodes_of("dataset").items()
    if node["_target_"] == "gp_lab.data.points.Points"
}


@pytest.mark.parametrize("name", OF_POINTS)
def test_every_dataset_of_points_builds_and_draws(name: str) -> None:
    node = OF_POINTS[name]
    assert (config_folder() / "dataset" / f"{name}.yaml").read_text().startswith("# ")
    assert set(node) == {"name", "_target_", "distribution", "scale", "size", "order"}
    assert node["name"] == name
    points = instantiate(node, "dataset")
    assert points.shape == (2,)
    batch = points.prepare(stream("set")).draw(stream("batches"), 64)
    assert batch.shape == (64, 2)
    assert batch.isfinite().all()
    without_density = ("PointMasses", "UniformSegment")
    if not node["distribution"]["_target_"].endswith(without_density):
        assert points.log_density(batch).isfinite().all()


def test_datasets_are_as_wide_as_the_papers_say() -> None:
    named = {name: instantiate(node, "dataset") for name, node in OF_POINTS.items()}
    ring, grid = named["eight_gaussians"], named["twenty_five_gaussians"]
    np.testing.assert_allclose(ring.centers().norm(dim=1), 2 / 1.414, rtol=1e-9)
    assert ring.scale * ring.distribution.std == pytest.approx(0.02 / 1.414)
    assert grid.centers().max().item() == pytest.approx(4 / 2.828)
    assert grid.scale * grid.distribution.std == pytest.approx(0.05 / 2.828)
    assert grid.size == 100_000
    assert named["swiss_roll"].scale == pytest.approx(1 / 7.5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"scale": -1.0}, "dataset.scale=-1.0: must be greater than 0"),
        ({"size": 0}, "dataset.size=0: must be at least 1"),
        (
            {"order": "sorted"},
            "dataset.order=sorted: no such choice; choose from replacement, shuffle",
        ),
        ({"order": "shuffle"}, "dataset.order=shuffle: an endless supply"),
        ({"distribution": 3}, "dataset.distribution=3: not a part"),
        (
            {"distribution": {"means": [[0.0, 0.0]], "covariances": [[[1.0, 2.0], [2.0, 1.0]]]}},
            r"dataset.distribution.covariances\[0\]: not symmetric and positive definite",
        ),
        (
            {"distribution": {"means": [[0.0, 0.0]], "covariances": [[[1.0]]]}},
            r"dataset.distribution.covariances\[0\]: not a 2 x 2 matrix",
        ),
        (
            {"distribution": {"means": [[0.0, 0.0], [1.0]], "covariances": []}},
            r"dataset.distribution.means\[1\]: 1 coordinates where the first has 2",
        ),
        (
            {
                "distribution": {
                    "means": [[0.0]],
                    "covariances": [[[1.0]]],
                    "weights": [0.5, 0.5],
                }
            },
            "dataset.distribution.weights: 2 of them for 1 means",
        ),
        (
            {"distribution": {"means": [[0.0, "a"]], "covariances": []}},
            r"dataset.distribution.means\[0\]\[1\]=a: not a number",
        ),
    ],
)
def test_what_cannot_be_drawn_from_is_refused_in_a_sentence(
    change: dict[str, Any], sentence: str
) -> None:
    node = {
        "_target_": "gp_lab.data.points.Points",
        "distribution": {"_target_": "gp_lab.data.points.SwissRoll", "noise": 0.25},
    } | change
    if isinstance(node["distribution"], dict):
        target = "SwissRoll" if "noise" in node["distribution"] else "GaussianMixture"
        node["distribution"]["_target_"] = f"gp_lab.data.points.{target}"
    with pytest.raises(BadInput, match=sentence):
        instantiate(node, "dataset")
