"""What a probe cannot measure is refused before a run trains, not in its last step."""

from pathlib import Path

import numpy as np
import pytest
from image_files import random_bytes
from lab import BARE, config_of, trained

from gp_lab.errors import BadInput
from gp_lab.training.setup import setup

DIGITS = ("dataset=mnist_5k_16", "architecture=dcgan_cifar", "architecture.size=16",
          "architecture.channels=1", "architecture.filters=2")  # fmt: skip


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("probe=[mixtures]", "architecture.norm=layer"), "probe.mixtures: certifies"),
        (
            (*DIGITS, "probe=[image_lines]", "dataset.size=3", "batch_size=3"),
            "probe.image_lines: compares trai",
        ),
        (
            (*DIGITS, "probe=[neighbours]", "dataset.size=3", "batch_size=3"),
            "probe.neighbours: compares trai",
        ),
    ],
)
def test_what_a_probe_cannot_look_at_is_refused(
    words: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=says):
        setup(config_of(*words, f"out={tmp_path}", base=BARE))


def test_a_classifier_is_not_tested_on_images_without_classes(tmp_path: Path) -> None:
    for name, n in (("train", 12), ("test", 6)):
        np.save(tmp_path / f"{name}.npy", random_bytes(n, 1, 8, 8))
    np.save(tmp_path / "train_labels.npy", np.arange(12) % 3)
    source = ("dataset.source.image_size=8", "dataset.source.channels=1", "batch_size=4")
    words = ("dataset=image_array", f"dataset.root={tmp_path}", *source, *DIGITS[1:])
    with pytest.raises(BadInput, match="these have no classes"):
        setup(
            config_of(
                *words, "probe=[classifier]", "architecture.size=8", f"out={tmp_path}", base=BARE
            )
        )


def test_weights_are_looked_at_whatever_classes_the_networks_know(tmp_path: Path) -> None:
    words = ("dataset=fashion_mnist_16", "architecture=resnet_cifar_projection", *DIGITS[2:])
    setup(
        config_of(*words, "probe=[weights]", "dataset.root=nowhere", f"out={tmp_path}", base=BARE)
    )


def test_latents_that_follow_the_reals_are_given_some(tmp_path: Path) -> None:
    words = ("dataset=swiss_roll", "architecture=noisy_data", "g_steps=0", "probe=[matches]")
    small = ("probe.matches.images=4", "probe.matches.count=32", "steps=1", f"out={tmp_path}")
    found = trained(*words, *small, base=(*BARE, "compile=never")).arrays("matches", 1)
    assert found["distance"].shape == (4,)
    assert np.isfinite(found["distance"]).all()
