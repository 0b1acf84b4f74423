"""Data that are damaged, missing or of another kind: `gp-lab train` names the file, and starts
nothing."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_files import (
    encoded,
    idx_bytes,
    picture,
    random_bytes,
    write_cifar,
    write_lmdb,
    write_mnist,
)
from PIL import Image

from gp_lab.cli import main
from gp_lab.errors import Exit

Maker = Callable[[Path], str]
"""Writes a damaged set into a folder; what the sentence has to name."""


def truncated_picture(root: Path) -> str:
    (root / "a.png").write_bytes(encoded(picture()))
    (root / "b.jpg").write_bytes(encoded(picture(), "JPEG")[:-50])
    return f"{root / 'b.jpg'}: the image is truncated or damaged"


def picture_of_sixteen_bits(root: Path) -> str:
    (root / "a.png").write_bytes(encoded(Image.fromarray(np.zeros((4, 4), np.uint16))))
    return f"{root / 'a.png'}: pixels of mode I;16"


def pipe_for_a_picture(root: Path) -> str:
    os.mkfifo(root / "a.png")
    return f"{root / 'a.png'}: cannot be read (not a regular file)"


def utf_16_without_a_mark(root: Path) -> str:
    (root / "text.txt").write_bytes(("a text of some length\n" * 9).encode("utf-16-le"))
    return f"{root / 'text.txt'}: not a text: it holds NUL characters, as UTF-16 without"


def no_pictures(root: Path) -> str:
    (root / "a.txt").touch()
    return f"dataset.root={root}: no images below {root}"


def empty_class_folder(root: Path) -> str:
    for name in ("train/cat", "train/dog", "val/cat", "val/dog"):
        (root / name).mkdir(parents=True)
        if name != "train/dog":
            (root / name / "a.png").write_bytes(encoded(picture()))
    return f"the class folder {root / 'train' / 'dog'} has no images"


def corrupt_data_base(root: Path) -> str:
    for part in ("train", "val"):
        write_lmdb(root / f"bedroom_{part}_lmdb")
    path = root / "bedroom_train_lmdb" / "data.mdb"
    path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])
    return f"{path}: not a readable LMDB data base"


def truncated_data_base(root: Path) -> str:
    for part in ("train", "val"):
        write_lmdb(root / f"bedroom_{part}_lmdb")
    path = root / "bedroom_train_lmdb" / "data.mdb"
    path.write_bytes(path.read_bytes()[:8192])
    return f"{path}: "


def array_of_four_channels(root: Path) -> str:
    np.save(root / "train.npy", random_bytes(10, 4, 64, 64))
    return f"{root / 'train.npy'}: an array [10, 4, 64, 64], 4 channels an image"


def truncated_array(root: Path) -> str:
    np.save(root / "train.npy", random_bytes(10, 3, 64, 64))
    (root / "train.npy").write_bytes((root / "train.npy").read_bytes()[:-1])
    return f"{root / 'train.npy'}: not a whole .npy file"


def batch_with_another_checksum(root: Path) -> str:
    write_cifar(root)
    return f"{root / 'data_batch_1'}: damaged or another file: its MD5 sum is"


def digits_cut_short(root: Path) -> str:
    write_mnist(root, zipped=False)
    path = root / "train-images-idx3-ubyte"
    path.write_bytes(idx_bytes(random_bytes(3, 28, 28))[:-1])
    return f"{path}: the file is truncated or damaged"


def nothing(root: Path) -> str:
    return f"dataset.root={root}: no train-images-idx3-ubyte"


def text_shorter_than_a_sequence(root: Path) -> str:
    (root / "text.txt").write_text("too short\n")
    return f"dataset.root={root}: the text is shorter than a sequence; give at least 32"


def text_in_another_encoding(root: Path) -> str:
    (root / "text.txt").write_bytes("für und wider, hin und her, auf und ab\n".encode("latin1"))
    return f"{root / 'text.txt'}: not a text in UTF-8"


@pytest.mark.parametrize(
    ("dataset", "architecture", "make"),
    [
        ("image_folder", "dcgan_lsun", truncated_picture),
        ("image_folder", "dcgan_lsun", picture_of_sixteen_bits),
        ("image_folder", "dcgan_lsun", pipe_for_a_picture),
        ("image_folder", "dcgan_lsun", no_pictures),
        ("imagenet", "dcgan_lsun", empty_class_folder),
        ("lsun", "dcgan_lsun", corrupt_data_base),
        ("lsun", "dcgan_lsun", truncated_data_base),
        ("image_array", "dcgan_lsun", array_of_four_channels),
        ("image_array", "dcgan_lsun", truncated_array),
        ("cifar10", "dcgan_cifar", batch_with_another_checksum),
        ("mnist", "dcgan_mnist", digits_cut_short),
        ("mnist", "dcgan_mnist", nothing),
        ("text", "char_cnn", text_shorter_than_a_sequence),
        ("text", "char_cnn", text_in_another_encoding),
        ("text", "char_cnn", utf_16_without_a_mark),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_gp_lab_train_names_the_file_that_is_wrong(
    dataset: str,
    architecture: str,
    make: Maker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    names = make(root)
    monkeypatch.chdir(tmp_path)
    small = [f"architecture={architecture}", "architecture.filters=4", "batch_size=2", "steps=2"]
    command = ["train", f"dataset={dataset}", f"dataset.root={root}", *small, "tracking=none"]
    capsys.readouterr()
    assert main(command) == Exit.BAD_INPUT
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert names in said[0]
    assert not (tmp_path / "outputs").exists()
