"""Which modes of stacked MNIST there are, as a classifier of the single digits sees them."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lab import config_of
from scored_runs import PARTS, run_on
from scored_runs import mnist as mnist
from torch import Tensor

from gp_lab.errors import BadInput
from gp_lab.probes import stacked
from gp_lab.probes.stacked import StackedModes, divergence, of_data
from gp_lab.training.setup import setup

STACKED = (
    "dataset.stacked=3",
    "dataset.order=replacement",
    "architecture.channels=3",
    "probe=[stacked_modes]",
    "probe.stacked_modes.count=40",
    "probe.stacked_modes.steps=3",
)


def test_a_run_on_stacked_digits_counts_its_modes(mnist: Path, tmp_path: Path) -> None:
    found = run_on(mnist, tmp_path, *STACKED).arrays("stacked_modes")
    assert found["modes"] == 1000
    assert 1 <= found["hit"] <= 40
    assert found["kl"] > math.log(1000 / 40) - 1  # of 40 images at most 40 modes
    assert 0 <= found["accuracy"] <= 1


def test_each_channel_is_a_digit_of_its_own(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Channels of one brightness each stand for the digits; a perfect classifier reads them."""
    dataset = setup(config_of(f"dataset.root={mnist}", *STACKED, base=PARTS)).dataset
    digits = torch.tensor([[0, 1, 2], [0, 1, 2], [9, 9, 9], [2, 1, 0]])

    def reads(images: Tensor) -> tuple[None, Tensor]:
        assert images.shape == (12, 1, 28, 28)
        return None, torch.eye(10, dtype=torch.float64)[images[:, 0, 0, 0].long()]

    reads.accuracy = 1.0  # type: ignore[attr-defined]
    monkeypatch.setattr(stacked, "classifier_of", lambda *_: reads)
    monkeypatch.setattr(
        stacked, "all_generated", lambda *_: digits[..., None, None].expand(-1, -1, 28, 28).float()
    )
    view: Any = SimpleNamespace(dataset=dataset, device=torch.device("cpu"))
    found = StackedModes(count=4).measure(view)
    assert (found["hit"], found["modes"]) == (3, 1000)
    # 14 images: digits 0 to 3 twice, the others once.
    share = np.array([2, 2, 2, 2, 1, 1, 1, 1, 1, 1]) / 14
    of = {(0, 1, 2): 2 / 4, (9, 9, 9): 1 / 4, (2, 1, 0): 1 / 4}
    kl = sum(p * math.log(p / np.prod(share[list(mode)])) for mode, p in of.items())
    assert found["kl"] == pytest.approx(kl)
    every = of_data(dataset, 10).reshape(10, 10, 10)
    np.testing.assert_allclose(every, np.einsum("i,j,k->ijk", share, share, share))


def test_a_run_on_stacked_digits_is_scored_by_the_classifier_of_the_single_ones(
    mnist: Path, tmp_path: Path
) -> None:
    scored = ("probe=[classifier]", "probe.classifier.count=40", "probe.classifier.steps=3")
    found = run_on(mnist, tmp_path, *STACKED[:3], *scored).arrays("classifier")
    assert 1 <= found["score"] <= 1000
    assert found["fid"] > 0
    assert 0 <= found["accuracy"] <= 1


def test_a_mode_that_the_data_lack_is_infinitely_far() -> None:
    half = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64)
    assert divergence(half, half) == 0
    assert divergence(half, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)) == math.inf


def test_single_images_are_refused(mnist: Path) -> None:
    with pytest.raises(BadInput, match=r"probe\.stacked_modes: counts the modes of stacked images"):
        setup(config_of(f"dataset.root={mnist}", "probe=[stacked_modes]", base=PARTS))
