"""Pictures in folders, trees and data bases, and arrays of them: what is read, what refused."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import rng
from image_files import (
    encoded,
    picture,
    random_bytes,
    tree,
    write_lmdb,
)

from gp_lab.data import sources
from gp_lab.data.images import Images
from gp_lab.data.pictures import LSUN, ImageFolder, ImageTree
from gp_lab.data.prepared import ImageArray
from gp_lab.errors import BadInput

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


@pytest.mark.parametrize(("train", "test"), [(".", "test"), ("a", "a"), ("a/b", "a")])
def test_held_out_pictures_below_the_training_ones_are_refused(train: str, test: str) -> None:
    with pytest.raises(ValueError, match=f"test={test}: lies in the same folder as train={train}"):
        ImageFolder("nowhere", train=train, test=test)
    assert ImageFolder("nowhere", train="a", test="ab").test == "ab"


def test_a_damaged_file_that_a_worker_finds_is_told_to_its_parent() -> None:
    error = sources.Damaged(Path("a/b.png"), "not a picture", "leave it out")
    told = pickle.loads(pickle.dumps(error))
    assert (str(told), told.path, told.why) == (str(error), error.path, error.why)
    assert str(error).endswith("fetch it again (dataset.download=true does), or leave it out")


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
