"""Figure 4 of lipschitz, with Figure 7: where gradients at images of noise lead."""

import numpy as np
import pytest
import torch
from made_up import changed, rows_of, verdicts

from gp_lab.data.latent import UniformImages
from gp_lab.data.random import generator
from gp_lab.figures.claims import Verdict
from gp_lab.papers.lipschitz import fig4

NAME = "lipschitz/fig4"


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Ten images of noise and ten of another kind, as vectors."""
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (10, 784)), np.where(rng.random((10, 784)) < 0.2, 0.9, -1.0)


def test_a_gradient_on_the_way_to_a_real_misses_nothing_at_any_length() -> None:
    fake, real = scene()
    gradient = 0.3 * (real - fake)
    found = fig4.to_reals(fake, gradient, real)
    assert fig4.miss(found) == pytest.approx(np.zeros(10), abs=1e-6)
    assert (found.argmax(1) == np.arange(10)).all()


def test_what_a_path_misses_is_its_least_distance_to_the_real() -> None:
    fake, real = scene()
    gradient = np.random.default_rng(1).normal(size=fake.shape) + 0.2 * (real - fake)
    times = np.linspace(0, 20, 4001)[:, None]
    for x, g, found in zip(fake, gradient, fig4.to_reals(fake, gradient, real), strict=True):
        least = min(
            np.linalg.norm(x + times * g - y, axis=1).min() / np.linalg.norm(y - x) for y in real
        )
        assert fig4.miss(found[None])[0] == pytest.approx(least, abs=1e-3)


def test_a_path_that_leads_away_misses_the_whole_way() -> None:
    fake, real = scene()
    assert fig4.miss(fig4.to_reals(fake, fake - real.mean(0), real)) == pytest.approx(np.ones(10))


def test_the_way_to_the_mean_image_has_a_high_cosine_and_passes_through_none() -> None:
    fake, real = scene()
    found = fig4.to_reals(fake, real.mean(0) - fake, real)
    assert found.max(1).min() > 0.75
    assert fig4.miss(found).min() > 2 * fig4.PASSES


def test_paths_through_the_reals_support_the_paper_and_others_do_not() -> None:
    rows = [r | {"miss": 0.05 + r["seed"] / 1e3} for r in rows_of(NAME, 10, miss_middle=0.35)]
    assert set(verdicts(NAME, rows).values()) == {Verdict.SUPPORTED}
    rows = [row | {"miss": 0.2 + row["seed"] / 1e3} for row in rows]
    found = list(verdicts(NAME, rows).values())
    assert found == [Verdict.NOT_SUPPORTED, Verdict.SUPPORTED] * 2
    rows = changed(rows, {"noise": "continuous"}, miss=0.5)
    assert set(list(verdicts(NAME, rows).values())[2:]) == {Verdict.NOT_SUPPORTED}


def test_the_path_is_drawn_from_the_noise_to_its_real() -> None:
    fake, real = (x.reshape(-1, 1, 28, 28) for x in scene())
    shown = fig4.mosaic({"fake": fake, "real": real, "fake_gradient": 2 * (real - fake)})
    rows = shown.reshape(10, len(fig4.STEPS) + 3, 1, 28, 28).astype(int)
    assert np.abs(rows[:, -2] - rows[:, -1]).max() <= 1
    assert np.abs(rows[:, 0] - np.floor(128 * fake + 127.5)).max() <= 1


def test_images_of_noise_are_uniform_and_a_finite_set_stays() -> None:
    endless = UniformImages(channels=3, side=8, low=-1.0, high=1.0)
    drawn = endless.draw(generator(0, "latent", 0), 1000)
    assert drawn.shape == (1000, 3, 8, 8)
    assert abs(drawn.mean()) < 0.01
    assert drawn.var().item() == pytest.approx(1 / 3, rel=0.02)
    ten = UniformImages(3, 8, size=10, order="shuffle").prepare(generator(0, "set", 0))
    assert ten.count == 10
    assert ten.points is not None
    sums, again = (
        x.flatten(1).sum(1).sort().values
        for x in (ten.points, ten.draw(generator(0, "latent", 1), 10))
    )
    assert torch.equal(sums, again)
    with pytest.raises(ValueError, match="low"):
        UniformImages(low=1.0, high=1.0)
