"""The probes of what samples are near to: the nearest of many, and averages of training images."""

from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import built, normal, rng, run_on
from lab import trained

from gp_lab.errors import BadInput
from gp_lab.evaluation.neighbours import closest, nearest_training
from gp_lab.probes.matches import AT_ONCE, AveragesOfPairs, Matches

PARTS = (
    "dataset=rectangles_64", "dataset.square=4", "dataset.side=16", "architecture=dcgan_cifar",
    "architecture.size=16", "architecture.channels=1", "architecture.filters=2",
    "loss=non_saturating", "penalty=none", "batch_size=16", "steps=2", "probe=[matches,averages]",
    "probe.matches.count=100", "probe.matches.images=5", "probe.averages.count=30",
    "tracking=none", "threads=1", "device=cpu", "compile=never",
)  # fmt: skip


def test_the_closest_of_batches_is_the_closest_of_all() -> None:
    images, samples = normal(6, 1, 3, 3, seed=1), normal(50, 1, 3, 3, seed=2)
    samples[7] = torch.nan
    distance, found = closest(images, samples.split(8))
    finite = torch.cat([samples[:7], samples[8:]])
    expected = nearest_training(images, finite)
    torch.testing.assert_close(distance, expected.distance)
    assert torch.equal(found, finite[expected.which])
    nothing, _ = closest(images, [torch.full_like(images, torch.nan)])
    assert nothing.isnan().all()


def test_a_run_keeps_the_nearest_samples_and_what_is_nearest_to_averages(tmp_path: Path) -> None:
    run = trained(f"out={tmp_path}", base=PARTS)
    found = run.arrays("matches", 2)
    assert found["training"].shape == found["nearest"].shape == (5, 1, 16, 16)
    apart = (found["training"].astype(float) - found["nearest"]) / 127.5
    by_hand = np.sqrt((apart**2).sum((1, 2, 3)))
    np.testing.assert_allclose(found["distance"], by_hand, rtol=0.01)  # of bytes
    near = run.arrays("averages", 2)
    assert near["to_training"].shape == (30,)
    assert near["fake"].shape == near["average"].shape == (8, 1, 16, 16)
    middle = (near["one"].astype(float) + near["other"]) / 2
    assert np.abs(middle - near["average"]).max() <= 1


def test_an_average_of_two_training_images_is_found() -> None:
    training = normal(4, 1, 2, 2, seed=3)
    fakes = torch.cat([(training[:1] + training[2:3]) / 2, training[1:2]])
    view: Any = SimpleNamespace(
        dataset=SimpleNamespace(training_set=lambda: training, kept=lambda x: x.numpy()),
        place=lambda x: x, rng=lambda name: None, fakes=lambda rng, n: fakes,
    )  # fmt: skip
    probe = AveragesOfPairs(count=2, shown=1, apart=0.0)
    found = probe.measure(view)
    np.testing.assert_allclose(found["to_average"][0], 0, atol=1e-9)
    assert found["to_training"][0] > 0 == found["to_training"][1]
    assert np.array_equal(found["fake"], fakes[:1].numpy())
    assert probe.scalars(found) == {"nearer": 0.5}


def test_averages_of_held_out_images_stand_beside_as_many_of_the_training_images() -> None:
    training, held_out = normal(4, 1, 2, 2, seed=3), normal(9, 1, 2, 2, seed=4)
    asked = []

    def fresh(rng: torch.Generator, n: int) -> torch.Tensor:
        asked.append(n)
        return held_out[:n]

    fakes = torch.stack([(a + b) / 2 for a, b in combinations(held_out[:8], 2)])
    view: Any = SimpleNamespace(
        dataset=SimpleNamespace(
            training_set=lambda: training, kept=lambda x: x.numpy(), fresh=fresh,
            held_out_rows=range(9),
        ),
        place=lambda x: x, rng=lambda name: rng(), fakes=lambda rng, n: fakes,
    )  # fmt: skip
    found = AveragesOfPairs(count=len(fakes), shown=1, apart=0.0).measure(view)
    assert asked == [8]
    assert (found["to_unseen_average"] < 1e-6).sum() == 6  # as many as 4 training images have
    assert (found["to_average"] > 1e-6).all()


def test_the_average_of_two_that_are_nearly_the_same_does_not_count() -> None:
    training = torch.stack([torch.zeros(1, 2, 2), torch.full((1, 2, 2), 0.1), torch.ones(1, 2, 2)])
    fakes = torch.stack([torch.full((1, 2, 2), 0.05), torch.full((1, 2, 2), 0.5)])
    view: Any = SimpleNamespace(
        dataset=SimpleNamespace(training_set=lambda: training, kept=lambda x: x.numpy()),
        place=lambda x: x, rng=lambda name: None, fakes=lambda rng, n: fakes,
    )  # fmt: skip
    found = AveragesOfPairs(count=2, shown=1).measure(view)
    np.testing.assert_allclose(found["to_average"], [0.225, 0.0], atol=1e-6)
    furthest = AveragesOfPairs(count=2, shown=1, apart=0.9).measure(view)
    np.testing.assert_allclose(furthest["one"].ravel()[0], 0)
    np.testing.assert_allclose(furthest["other"].ravel()[0], 1)


def test_many_samples_are_never_held_together() -> None:
    sizes = []

    def fakes(rng: object, n: int) -> torch.Tensor:
        sizes.append(n)
        return torch.zeros(n, 1, 2, 2)

    view: Any = SimpleNamespace(
        dataset=SimpleNamespace(draw=lambda rng, n: torch.zeros(n, 1, 2, 2), kept=lambda x: x),
        place=lambda x: x, rng=lambda name: None, fakes=fakes, batch_size=100,
    )  # fmt: skip
    Matches(images=3, count=10_000).measure(view)
    assert sum(sizes) == 10_000
    assert max(sizes) <= AT_ONCE


@pytest.mark.parametrize("name", ["rectangles", "swiss_roll"])
def test_averages_of_too_many_images_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match=r"averages all pairs of 2 to 128"):
        AveragesOfPairs().check("probe.averages", run_on(built("dataset", name)))
