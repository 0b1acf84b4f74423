"""CIFAR-10 (wgan_gp, Figs. 3 and 6; mu_wgan, Table 2; anomalous, Table 1; lipschitz, Fig. 4)."""

import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gp_lab.data.contents import Contents
from gp_lab.data.sources import (
    Damaged,
    Part,
    Parts,
    Shape,
    check_md5,
    fetched,
    held_in_memory,
    missing,
)
from gp_lab.errors import BadInput, one_line
from gp_lab.fields import PathText
from gp_lab.instantiate import Checked

SHAPE: Shape = (3, 32, 32)
TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
"""Of the published files, as torchvision has them."""


class _ArraysOnly(pickle.Unpickler):
    """Reads dictionaries, lists, bytes, numbers and arrays of bytes; calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Any] = {
            ("numpy.core.multiarray", "_reconstruct"): _Array,
            ("numpy._core.multiarray", "_reconstruct"): _Array,
            ("numpy", "ndarray"): None,
            ("numpy", "dtype"): _Kind,
            ("_codecs", "encode"): _latin,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return known[module, name]


class _Array:
    """What stands for a numpy array in a pickle; shares the bytes that were read."""

    def __init__(self, *_: object) -> None:
        self.bytes = np.empty((0, 0), np.uint8)

    def __setstate__(self, state: tuple[int, tuple[int, ...], object, bool, bytes]) -> None:
        _, shape, kind, by_column, data = state
        if not isinstance(kind, _Kind) or by_column or not isinstance(data, bytes):
            raise pickle.UnpicklingError("it holds an array of something else than bytes")
        self.bytes = np.frombuffer(data, np.uint8).reshape(shape)


class _Kind:
    """What stands for numpy's dtype in a pickle: unsigned bytes alone."""

    def __init__(self, name: bytes | str, *_: object) -> None:
        if name not in (b"u1", "u1"):
            raise pickle.UnpicklingError(f"it holds an array of {name!r}, not of bytes")

    def __setstate__(self, state: object) -> None:
        """Byte order and fields: bytes have none."""


def _latin(text: str, _: object = None) -> bytes:
    """How Python 3 writes bytes for protocol 2."""
    return text.encode("latin1")


def read_batch(path: Path) -> tuple[np.ndarray, list[int]]:
    """Images uint8 [n, 3, 32, 32] (not to be written to) and n labels of one pickled batch.

    The pickle is read by an unpickler that knows arrays, bytes and dictionaries alone, so a file
    from anywhere can run nothing. Raises `Damaged` naming a file that holds anything else.
    """
    try:
        with path.open("rb") as file:
            batch = _ArraysOnly(file, encoding="bytes").load()
    except (pickle.UnpicklingError, EOFError) as error:
        raise Damaged(path, f"not a batch of CIFAR-10 in the Python version: {error}") from error
    except (OSError, MemoryError) as error:
        raise BadInput(f"{path}: cannot be read ({one_line(error)})") from error
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise Damaged(path, f"damaged ({type(error).__name__}: {error})") from error
    if not isinstance(batch, dict):
        raise Damaged(path, "not a batch of CIFAR-10 in the Python version: no dictionary")
    batch = {k.decode() if isinstance(k, bytes) else k: v for k, v in batch.items()}
    array, labels = batch.get("data"), batch.get("labels")
    if not isinstance(array, _Array) or array.bytes.ndim != 2:
        raise Damaged(path, "its `data` is no table of bytes")
    data = array.bytes
    if data.shape[1] != 3 * 32 * 32:
        raise Damaged(
            path, f"rows of {data.shape[1]} bytes, not 3 channels x 32 x 32 = {3 * 32 * 32}"
        )
    if not isinstance(labels, list) or len(labels) != len(data) or not len(data):
        raise Damaged(path, f"{len(data)} images without as many `labels`")
    if not all(isinstance(label, int) and 0 <= label < 10 for label in labels):
        raise Damaged(path, "labels that are not among 0 to 9")
    return data.reshape(-1, *SHAPE), labels


@dataclass(frozen=True)
class CIFAR10(Checked):
    """CIFAR-10: 50 000 images and 10 000 held out, from the pickled batches (Python version).

    They are looked for in `root` and in cifar-10-batches-py below it.

    Args:
        root: the folder of the batches.
        download: fetch them with torchvision where they are missing.
        checksum: compare each file with the MD5 sum of the published one.
    """

    root: PathText
    download: bool = False
    checksum: bool = True

    @property
    def shape(self) -> Shape:
        return SHAPE

    def load(self) -> Parts:
        """Raises `BadInput` where a batch is missing or damaged."""
        found = fetched("CIFAR10", self, self._found)
        if found is None:
            raise missing(
                self.root,
                "no data_batch_1 there or in cifar-10-batches-py below it",
                "the unpacked cifar-10-python.tar.gz (dataset.download=true fetches it)",
                ("image_folder", "fashion_mnist", "mnist_5k"),
            )
        return found

    def contents(self) -> Contents:
        """Raises `BadInput` as `load` does."""
        return held_in_memory(self.load(), self.root)

    def _found(self) -> Parts | None:
        """What the place with the most batches holds; None if there are none, or if those that are
        missing can be fetched."""
        places = (Path(self.root), Path(self.root, "cifar-10-batches-py"))
        there = [[name for name in MD5 if (place / name).is_file()] for place in places]
        names, folder = max(zip(there, places, strict=True), key=lambda found: len(found[0]))
        if not names or (self.download and len(names) < len(MD5)):
            return None
        wanted = [*TRAIN, *(["test_batch"] if "test_batch" in names else [])]
        images, labels = self._read([folder / name for name in wanted])
        n = len(images) * len(TRAIN) // len(wanted)
        held_out = Part(images[n:], labels[n:]) if n < len(images) else None
        return Parts(Part(images[:n], labels[:n]), held_out)

    def _read(self, paths: list[Path]) -> tuple[Tensor, Tensor]:
        images = np.empty((0, *SHAPE), np.uint8)
        labels: list[int] = []
        for i, path in enumerate(paths):
            if not path.is_file():
                raise BadInput(f"dataset.root={self.root}: {path} is missing; unpack it again")
            if self.checksum:
                check_md5(path, _md5(path), MD5[path.name])
            some, classes = read_batch(path)
            if i == 0:
                # All at once: the untouched rest takes no memory, and no batch is held twice.
                images = np.empty((len(paths) * len(some), *SHAPE), np.uint8)
            if len(some) * len(paths) != len(images):
                raise Damaged(path, f"{len(some)} images; the other batches have another number")
            images[i * len(some) : (i + 1) * len(some)] = some
            labels += classes
            del some
        return torch.from_numpy(images), torch.tensor(labels)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
