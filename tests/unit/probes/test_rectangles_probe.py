"""The probe of squares: what it leaves of a run, and what it calls a combination."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import built, rng, run_on
from lab import trained
from torch import Tensor

from gp_lab.data.latent import Normal
from gp_lab.data.points import Points, SwissRoll
from gp_lab.data.rectangles import Rectangles
from gp_lab.errors import BadInput
from gp_lab.objectives.squares import count_squares
from gp_lab.probes.base import View
from gp_lab.probes.rectangles import RectangleCounts, nearest_kind

PARTS = (
    "dataset=rectangles_64",
    "dataset.square=4",
    "dataset.side=16",
    "architecture=dcgan_cifar",
    "architecture.size=16",
    "architecture.channels=1",
    "architecture.filters=2",
    "loss=non_saturating",
    "penalty=none",
    "batch_size=16",
    "steps=4",
    "probe=[rectangles]",
    "probe.rectangles.count=40",
    "probe.rectangles.codes=5",
    "probe.rectangles.every=2",
    "tracking=none",
    "threads=1",
    "device=cpu",
    "compile=never",
)

CODES = ("architecture.latent._target_=gp_lab.data.latent.Codes", "+architecture.latent.size=30")


@pytest.mark.parametrize("latent", [(), CODES], ids=["normal", "codes"])
def test_a_run_counts_squares_of_samples_and_of_codes(
    latent: tuple[str, ...], tmp_path: Path
) -> None:
    run = trained(f"out={tmp_path}", *latent, base=PARTS)
    early, late = (run.arrays("rectangles", step) for step in (2, 4))
    for found in (early, late):
        assert found["counts"].shape == found["exact"].shape == (40,)
        assert found["counts"].dtype == np.int64
        assert found["exact"].dtype == bool
        assert found["squares"] == 2
        assert found["codes"].shape == (5, 1, 16, 16)
        assert found["codes"].dtype == np.uint8
        images = torch.from_numpy(found["codes"]).float() - 127.5
        counts, exact = count_squares(images, 4)
        np.testing.assert_array_equal(found["codes_count"], counts)
        np.testing.assert_array_equal(found["codes_exact"], exact)
        assert set(found["nearest_kind"].tolist()) <= {0, 1, 2, 3}
        assert all(np.isfinite(found[f"f_{name}"]) for name in ("real", "and", "or", "fake"))
    (line,) = (m for m in run.metrics() if m["step"] == 4 and "rectangles/correct" in m)
    share = np.mean((late["counts"] == 2) & late["exact"])
    assert line["rectangles/correct"] == pytest.approx(share)
    assert line["rectangles/f_and"] == pytest.approx(float(late["f_and"]))


def view_of(data: Rectangles, fakes: Tensor) -> View:
    """A view whose G gives some images, one after another, and whose D gives their mean."""
    calls: Any = SimpleNamespace(at=0)

    def generate(z: Tensor) -> Tensor:
        start, calls.at = calls.at, calls.at + len(z)
        return fakes[torch.arange(start, calls.at) % len(fakes)]

    nothing = torch.nn.Identity()
    return View(
        step=0,
        critic=lambda x: x.mean((1, 2, 3)),
        generate=generate,
        dataset=data,
        latent=Normal(3),
        loss=built("loss", "vanilla"),
        discriminator=nothing,
        d={},
        batch_size=16,
        device=torch.device("cpu"),
        dtype=torch.float32,
        rng=lambda stream: rng(len(stream)),
    )


def test_a_generator_of_known_images_is_seen_through() -> None:
    data = Rectangles(squares=3, square=4, side=20, size=2).prepare(rng())
    noise = torch.rand(1, 1, 20, 20, generator=rng(1)) - 0.5
    fakes = torch.cat([noise, data.at(torch.tensor([0])), data.intersections(), data.unions()])
    probe = RectangleCounts(count=8, codes=4)
    found = probe.measure(view_of(data, fakes))
    assert found["counts"][1:].tolist() == [3, 2, 4, 0, 3, 2, 4]
    assert found["nearest_kind"].tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert found["codes_count"].tolist() == [0, 3, 2, 4]
    on = 2 * 16 / 400
    for name, squares in (("real", 3), ("and", 2), ("or", 4)):
        assert found[f"f_{name}"] == pytest.approx(squares * on - 1)
    scalars = probe.scalars(found)
    assert scalars["correct"] == 2 / 8
    assert scalars["codes_correct"] == 1 / 4
    assert probe.pictures(found)["codes"].dtype == np.uint8


def test_large_sets_are_not_compared_image_by_image() -> None:
    data = Rectangles(square=4, side=20, size=66).prepare(rng())
    found = RectangleCounts(count=4).measure(view_of(data, data.intersections()))
    assert "nearest_kind" not in found
    assert found["counts"].tolist() == [1] * 4


def test_the_nearest_kind_is_within_so_many_pixels() -> None:
    known = tuple(torch.tensor([[-1.0, -1, -1, -1], [1, 1, 1, 1]]).split(1))
    images = torch.tensor([[-1.0, -0.1, 0, -1], [1, 1, 1, -1], [1, 1, -1, -1]])
    assert nearest_kind(images, known).tolist() == [1, 0, 0]
    assert nearest_kind(images, known, tolerance=1).tolist() == [1, 2, 0]


def test_data_without_squares_and_what_is_no_tolerance_are_refused() -> None:
    data = Rectangles(square=4, side=20, size=66)
    with pytest.raises(BadInput, match=r"probe\.rectangles: counts the squares of dataset=rect"):
        RectangleCounts().check("probe.rectangles", run_on(Points(SwissRoll())))
    with pytest.raises(BadInput, match=r"probe\.rectangles\.tolerance=16: a square has 16 pixels"):
        RectangleCounts(tolerance=16).check("probe.rectangles", run_on(data))
