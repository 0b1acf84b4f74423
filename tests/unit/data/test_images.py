"""What a batch of images looks like, and that every data set of images is built alike."""

from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import node_of, nodes_of, rng
from image_files import (
    Fixed,
    bytes_of,
    configured,
    random_bytes,
    write_mnist,
)

from gp_lab.data import cifar
from gp_lab.data.base import Dataset
from gp_lab.data.contents import Holds
from gp_lab.data.images import Images
from gp_lab.data.sources import Source
from gp_lab.errors import BadInput
from gp_lab.instantiate import instantiate
from gp_lab.launching.config_groups import config_folder
from gp_lab.runs.identity import is_checked

# What a batch looks like


EVERY_BYTE = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        ("minus_one_one", lambda b: b / 127.5 - 1),
        ("zero_one", lambda b: b / 255),
        ("mnist_authors", lambda b: (b / 255 - 0.1307) / 0.3081),
        ("lipschitz_authors", lambda b: (b - 127.5) / 128),
    ],
)
def test_bytes_become_floats_on_the_scale_of_the_paper(pixels: Any, expected: Any) -> None:
    images = Images(Fixed(EVERY_BYTE), pixels=pixels).prepare(rng())
    x = images.draw(rng(), 1)
    assert x.dtype == torch.float32
    torch.testing.assert_close(x[0, 0].flatten(), expected(torch.arange(256.0)))
    assert torch.equal(images.to_bytes(x), bytes_of(images))
    torch.testing.assert_close(images.floats(bytes_of(images)), x)


def test_dequantised_bytes_are_those_of_wgan_gp_s_code() -> None:
    images = Images(Fixed(EVERY_BYTE), dequantise=True).prepare(rng())
    x = images.draw(rng(), 400).double()
    noise = x - (bytes_of(images).double() / 128 - 1)
    assert noise.min() >= -1e-6
    assert noise.max() <= 1 / 128 + 1e-6
    assert noise.mean().item() == pytest.approx(1 / 256, rel=0.01)
    assert noise.std().item() == pytest.approx(1 / 128 / 12**0.5, rel=0.01)
    assert torch.equal(images.to_bytes(images.floats(bytes_of(images))), bytes_of(images))


def test_half_of_the_images_are_mirrored_left_to_right() -> None:
    one = np.zeros((1, 1, 2, 3), dtype=np.uint8)
    one[0, 0, 0] = [10, 20, 30]
    x = Images(Fixed(one), flips=True, pixels="zero_one").prepare(rng()).draw(rng(), 1000) * 255
    mirrored = x[:, 0, 0, 0].round() == 30
    assert 430 < int(mirrored.sum()) < 570
    assert torch.equal(x[mirrored][0, 0, 0].round(), torch.tensor([30.0, 20.0, 10.0]))
    assert (x[:, 0, 1] == 0).all()


def test_a_dataset_of_images_has_the_trainer_s_signature() -> None:
    images = Images(Fixed(random_bytes(5, 3, 4, 6)))
    assert isinstance(images, Dataset)
    assert images.shape == (3, 4, 6)
    prepared = images.prepare(rng())
    assert prepared.draw(rng(), 7).shape == (7, 3, 4, 6)
    assert torch.equal(prepared.draw(rng(3), 7), prepared.draw(rng(3), 7))
    assert prepared.draw(rng(), 0).shape == (0, 3, 4, 6)
    with pytest.raises(ValueError, match="must be prepared"):
        images.draw(rng(), 1)


def test_shuffled_images_come_once_in_each_permutation() -> None:
    ids = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
    images = Images(Fixed(ids), pixels="zero_one", order="shuffle").prepare(rng())
    drawn = (images.draw(rng(), 25).flatten() * 255).round().int().tolist()
    assert sorted(drawn[:10]) == sorted(drawn[10:20]) == list(range(10))
    assert len(set(drawn[20:])) == 5


def test_a_subset_is_the_run_s_own_and_held_out_images_are_the_same_for_every_seed() -> None:
    ids = np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1)

    def seen(draw: Any, n: int) -> set[int]:
        return set((draw(rng(5), n).flatten() * 255).round().int().tolist())

    images = Images(Fixed(ids), pixels="zero_one", size=30, held_out=20)
    first, second = images.prepare(rng(0)), images.prepare(rng(1))
    aside = seen(first.fresh, 20)
    assert len(aside) == 20
    assert aside == seen(second.fresh, 20)
    trained = [seen(run.draw, 30) for run in (first, second)]
    assert [len(each) for each in trained] == [30, 30]
    assert trained[0] != trained[1]
    assert not (trained[0] | trained[1]) & aside


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"size": 11}, "dataset.size=11: larger than the 10 images"),
        ({"held_out": 10}, "dataset.held_out=10: leaves nothing of 10 images"),
        ({"held_out": 4, "size": 7}, "dataset.size=7: larger than the 6 images"),
    ],
)
def test_more_images_than_there_are_are_refused(changes: dict[str, int], sentence: str) -> None:
    images = Images(Fixed(random_bytes(10, 1, 2, 2)), **changes)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=sentence):
        images.prepare(rng())


def test_held_out_images_and_classes_that_a_set_lacks_are_refused() -> None:
    images = Images(Fixed(random_bytes(3, 1, 2, 2))).prepare(rng())
    with pytest.raises(BadInput, match=r"dataset.held_out: the data set has no held-out images"):
        images.fresh(rng(), 1)
    with pytest.raises(BadInput, match="dataset: has no classes"):
        images.draw_labelled(rng(), 1)
    assert images.classes == 0


def test_stacked_digits_are_three_digits_and_a_class_of_a_thousand() -> None:
    ids = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
    images = Images(
        Fixed(ids, np.arange(10)), pixels="zero_one", stacked=3, order="replacement"
    ).prepare(rng())
    assert images.shape == (3, 1, 1)
    assert images.classes == 1000
    x, labels = images.draw_labelled(rng(2), 20_000)
    assert torch.equal(x, images.draw(rng(2), 20_000))
    digit = (x[:, :, 0, 0] * 255).round().long()
    assert torch.equal(labels, digit @ torch.tensor([100, 10, 1]))
    assert len(set(labels.tolist())) == 1000


def test_colour_images_cannot_be_stacked() -> None:
    node = {
        "_target_": "gp_lab.data.images.Images",
        "source": {"_target_": "gp_lab.data.cifar.CIFAR10", "root": "nowhere"},
        "stacked": 3,
    }
    with pytest.raises(BadInput, match=r"dataset.stacked=3: stacks grey images, and these have 3"):
        instantiate(node, "dataset")


# Configs


def test_torchvision_imports_beside_a_cpu_only_pytorch() -> None:
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    from gp_lab.data.torchvision_import import import_torchvision

    assert import_torchvision() is import_torchvision()
    assert import_torchvision().datasets.CIFAR10.train_list == [
        [name, cifar.MD5[name]] for name in cifar.TRAIN
    ]


OF_IMAGES = [
    name
    for name, node in nodes_of("dataset").items()
    if node["_target_"] == "gp_lab.data.images.Images"
]


@pytest.mark.parametrize("name", OF_IMAGES)
def test_every_dataset_of_images_builds_with_the_same_keys(name: str) -> None:
    node = node_of("dataset", name)
    assert (config_folder() / "dataset" / f"{name}.yaml").read_text().startswith("# ")
    assert node["name"] == name
    assert set(node) - {"root", "download", "digest"} == {
        "name", "_target_", "source", "pixels", "dequantise", "flips", "stacked", "size",
        "held_out", "order",
    }  # fmt: skip
    images = instantiate(node, "dataset")
    assert isinstance(images.source, Source)
    assert len(images.shape) == 3
    assert images.shape[0] in (1, 3)
    if "root" in node:
        assert images.source.root == node["root"]
    # What has no published checksums is identified by its digest.
    assert isinstance(images.source, Holds)
    assert ("digest" in node) != is_checked(node)


def test_stacked_mnist_counts_a_thousand_modes(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    images = configured("stacked_mnist", root=str(tmp_path), source={"checksum": False}).prepare(
        rng()
    )
    assert images.shape == (3, 28, 28)
    _, labels = images.draw_labelled(rng(), 3000)
    assert Counter(labels.tolist()).most_common(1)[0][1] < 20
    assert images.fresh(rng(), 4).shape == (4, 3, 28, 28)
