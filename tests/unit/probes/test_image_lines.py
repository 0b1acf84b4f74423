"""The probes of images along lines of the latent space, and of one class."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lab import config_of
from scored_runs import PARTS, run_on
from scored_runs import mnist as mnist

from gp_lab.errors import BadInput
from gp_lab.probes.class_samples import ClassSamples
from gp_lab.runs.folder import RunFolder
from gp_lab.training.setup import setup


@pytest.fixture(scope="module")
def lines(mnist: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return run_on(
        mnist,
        tmp_path_factory.mktemp("lines"),
        "probe=[image_lines]",
        "probe.image_lines.count=3",
        "probe.image_lines.points=5",
        "dataset.pixels=zero_one",
        "architecture.generator.output_activation=sigmoid",
    )


def test_each_image_of_a_line_has_its_distance_to_the_nearest_training_image(
    lines: RunFolder, mnist: Path
) -> None:
    found = lines.arrays("image_lines")
    assert found["fake"].shape == (3, 5, 1, 28, 28)
    assert found["fake"].dtype == np.uint8
    header = 16
    stored = np.frombuffer((mnist / "train-images-idx3-ubyte").read_bytes()[header:], np.uint8)
    training = stored.reshape(-1, 28 * 28) / 255
    flat = found["fake"].reshape(15, -1) / 255
    each = np.linalg.norm(flat[:, None] - training[None], axis=2)
    np.testing.assert_allclose(found["nearest"].ravel(), each.min(1), rtol=1e-5)
    apart = np.linalg.norm(training[:, None] - training[None], axis=2) + 1e9 * np.eye(len(training))
    assert found["nearest_real"].min() >= apart.min() - 1e-5


def test_steps_of_a_line_are_the_distances_of_its_images(lines: RunFolder) -> None:
    found = lines.arrays("image_lines")
    assert found["step"].shape == (3, 4)
    bytes_apart = np.diff(found["fake"].reshape(3, 5, -1) / 255, axis=1)
    rounded = np.sqrt(28 * 28) / 255  # each of two pixels is rounded by half a level at most
    np.testing.assert_allclose(found["step"], np.linalg.norm(bytes_apart, axis=2), atol=rounded)


def test_a_single_point_is_no_line() -> None:
    with pytest.raises(BadInput, match="points=1"):
        setup(config_of("probe=[image_lines]", "probe.image_lines.points=1", base=PARTS))


def test_samples_of_a_class_are_all_of_it_and_from_the_same_latents_at_every_step() -> None:
    asked: list[Any] = []

    def fakes(rng: torch.Generator, n: int, labels: torch.Tensor) -> torch.Tensor:
        asked.append((rng.initial_seed(), labels.tolist()))
        return torch.zeros(n, 1, 2, 2)

    view: Any = SimpleNamespace(
        fakes=fakes,
        rng=lambda stream: torch.Generator().manual_seed(len(stream)),
        dataset=SimpleNamespace(kept=lambda x: x.byte().numpy()),
    )
    probe = ClassSamples(label=7, count=3)
    found = [probe.measure(view) for _ in range(2)]
    assert asked[0] == asked[1]
    assert asked[0][1] == [7, 7, 7]
    assert found[0]["label"] == 7
    assert probe.pictures(found[0])["samples"].dtype == np.uint8


def test_a_class_that_the_generator_does_not_take_is_refused(mnist: Path) -> None:
    with pytest.raises(BadInput, match="takes no classes"):
        setup(config_of(f"dataset.root={mnist}", "probe=[class_samples]", base=PARTS))
