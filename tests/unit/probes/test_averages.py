"""Averages of near training images: which they are, and that they are scored as samples are."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import rng
from lab import config_of, trained
from scored_runs import IMAGES, PARTS, run_on
from scored_runs import mnist as mnist
from scored_runs import network as network
from scored_runs import with_weights as with_weights

from gp_lab.data.images import Images
from gp_lab.errors import BadInput
from gp_lab.probes.averages import averages
from gp_lab.training.setup import setup

AVERAGES = ("probe=[gam]", "probe.gam.count=9", "probe.gam.among=6", "probe.gam.steps=3")
BY_CLASSIFIER = (*AVERAGES, "probe.gam.judge=classifier")


def images_of(mnist: Path) -> tuple[Images, torch.Tensor]:
    dataset = setup(config_of(f"dataset.root={mnist}", base=PARTS)).dataset
    assert isinstance(dataset, Images)
    assert dataset.train_rows is not None
    return dataset, dataset.train_rows.images(torch.arange(IMAGES)).double()


def test_each_average_is_of_an_image_and_the_nearest_of_those_it_is_compared_with(
    mnist: Path,
) -> None:
    """With all other images to compare with, one average a batch: the partner is the nearest."""
    dataset, images = images_of(mnist)
    distance = torch.cdist(images.flatten(1), images.flatten(1)).fill_diagonal_(torch.inf)
    expected = ((images + images[distance.argmin(1)]) / 2).round()
    made = list(averages(dataset, rng(), 20, IMAGES - 1))
    assert [len(x) for x in made] == [1] * 20
    levels = ((torch.cat(made) + 1) * 127.5).round().double()
    found = torch.cdist(levels.flatten(1), expected.flatten(1)).amin(1)
    assert found.max() == 0
    assert len(torch.cat(made).unique(dim=0)) > 5


def test_no_image_is_its_own_neighbour_and_so_many_are_made_as_are_asked_for(mnist: Path) -> None:
    dataset, images = images_of(mnist)
    made = torch.cat(list(averages(dataset, rng(), 30, 6)))
    assert len(made) == 30
    levels = ((made + 1) * 127.5).round().double()
    assert torch.cdist(levels.flatten(1), images.flatten(1)).min() > 100  # images of noise


def test_a_run_scores_averages_and_held_out_images_by_the_classifier(
    mnist: Path, tmp_path: Path
) -> None:
    found = run_on(mnist, tmp_path, *BY_CLASSIFIER).arrays("gam")
    assert set(found) == {"images", "fid", "fid_held_out"}
    assert found["images"].shape == (8, 1, 28, 28)  # a batch of 14 - 6
    assert found["images"].dtype == np.uint8
    assert found["fid"] > 0
    assert found["fid_held_out"] > 0


@pytest.mark.usefixtures("with_weights")
def test_a_run_scores_averages_by_inception(mnist: Path, tmp_path: Path) -> None:
    found = run_on(mnist, tmp_path, *AVERAGES, "dataset.held_out=3").arrays("gam")
    assert np.isfinite([found["fid"], found["fid_held_out"]]).all()


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (("probe.gam.among=14",), r"probe\.gam\.among=14: there are 14 training images"),
        (("dataset.stacked=3", "architecture.channels=3"), "averages single images"),
        (("dataset.held_out=0",), r"probe\.gam: its classifier is tested"),
    ],
)
def test_what_cannot_be_averaged_is_refused_before_training(
    mnist: Path, tmp_path: Path, overrides: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        trained(
            f"dataset.root={mnist}", f"out={tmp_path}/out", *BY_CLASSIFIER, *overrides, base=PARTS
        )
