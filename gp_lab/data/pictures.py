"""Images in files: folders, trees with a folder for each class, LSUN's LMDB.

ImageNet (wgan_gp, Table 2; zero_gp, Fig. 4; anomalous,
Table 1), CelebA (anomalous) and LSUN bedrooms (wgan_gp, Figs. 2, 4, 5a).
Each picture is decoded, cut to its centre and resized. A set that fits is kept in memory; a larger
one is decoded again whenever it is drawn from, unless `scripts/prepare.py` has written it to a
mapped array once (`gp_lab.data.prepared`).
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from gp_lab.data.contents import Contents
from gp_lab.data.decoding import Decoding, Pictures, decode, decoded
from gp_lab.data.digests import combined
from gp_lab.data.lmdb_files import pictures_in
from gp_lab.data.prepared import PREPARED, prepared_holdings, prepared_parts
from gp_lab.data.sources import Damaged, Missing, Part, Parts, Shape, fetched, missing
from gp_lab.errors import BadInput, one_line
from gp_lab.fields import Count, PathText
from gp_lab.files import files_below, read, walk
from gp_lab.instantiate import Checked

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm")
STAND_INS = ("image_folder", "cifar10", "fashion_mnist", "mnist_5k")
IN_MEMORY = 4 * 2**30
"""Bytes of the largest set that is kept in memory."""

LARGEST_PICTURE = 2**30
"""Bytes of the largest file that is taken for a picture."""

CELEBA = 202_599
"""Pictures in CelebA."""

__all__ = ["LSUN", "CelebA", "ImageFolder", "ImageTree", "Pictures", "decode", "decoded"]


@dataclass(frozen=True)
class ImageFolder(Checked):
    """All images anywhere below a folder, sorted by path, without classes.

    Args:
        root: the folder of the set.
        train: where below `root` the training images are.
        test: where below `root` the held-out images are; null if nowhere.
        image_size: height and width after resizing.
        channels: 3 for RGB, 1 for grey.
        crop: edge of the centre square that is cut out of each picture before resizing; null for
            the largest square.
        prepared: where `scripts/prepare.py` puts its arrays; null for a folder in `root`.
    """

    root: PathText
    train: str = "."
    test: str | None = None
    image_size: Count = 64
    channels: Literal[1, 3] = 3
    crop: Count | None = None
    prepared: PathText | None = None

    def __post_init__(self) -> None:
        train, test = Path(self.train), self.test and Path(self.test)
        if test and (test.is_relative_to(train) or train.is_relative_to(test)):
            raise ValueError(
                f"test={self.test}: lies in the same folder as train={self.train}, so that held-out"
                " pictures would be trained on; name two folders that lie beside each other"
            )

    @property
    def download(self) -> bool:
        """Whether pictures that are missing are fetched; only some sets are anywhere."""
        return False

    @property
    def shape(self) -> Shape:
        return (self.channels, self.image_size, self.image_size)

    def pictures(self, part: str) -> Pictures:
        """The pictures below `part` of the root.

        Raises `BadInput` where there are none, naming `dataset.root` and what belongs there, and
        for a folder that cannot be listed.
        """
        folder = self.folder(part)
        paths = _images_below(folder)
        if not paths:
            raise self.nothing(f"no images below {folder}")
        return _of_paths(paths, folder)

    def folder(self, part: str) -> Path:
        """Raises `BadInput` if there is no such folder."""
        folder = Path(self.root, part)
        if not folder.is_dir():
            raise self.nothing(f"there is no folder {folder}")
        return folder

    def contents(self) -> Contents:
        """What the pictures are, whether they are read or their arrays (`gp_lab.data.prepared`).

        The digest is of their bytes in the set's order, and of the classes: wherever they lie.
        Raises `BadInput` for pictures that are missing, and for arrays that were not made of those
        that are there.
        """
        parts = {"train": self.train} | ({} if self.test is None else {"test": self.test})
        ready = prepared_holdings(self)
        held = ready or {name: self.pictures(part).holding() for name, part in parts.items()}
        train, test = held["train"], held.get("test")
        return Contents(
            combined("pictures", train.digest, test.digest if test else ""),
            "image",
            train.number,
            test.number if test else None,
            train.classes,
            place=os.path.abspath(self.root),
        )

    def nothing(self, lacks: str) -> Missing:
        """The sentence for a set that is missing."""
        return missing(self.root, lacks, self._what(), STAND_INS)

    def _what(self) -> str:
        where = "" if self.train == "." else f" as {self.train}"
        return f"a folder of images ({', '.join(ENDINGS)}){where}"

    def load(self) -> Parts:
        """The set as `scripts/prepare.py` left it, read into memory where it fits, or to be read.

        Raises `BadInput` for pictures that are missing, and for damaged ones where they are read
        now.
        """
        ready = prepared_parts(self)
        if ready is not None:
            return ready
        train = self._part(self.train)
        return Parts(train, None if self.test is None else self._part(self.test))

    def _part(self, part: str) -> Part:
        pictures = self.pictures(part)
        n = len(pictures.names)
        labels = None if pictures.labels is None else torch.from_numpy(pictures.labels)
        if n * prod(self.shape) > IN_MEMORY:
            logging.getLogger(__name__).warning(
                f"dataset.root={self.root}: {n:,} images are decoded again whenever they are drawn;"
                " python scripts/prepare.py does it once"
            )
            return Part(Decoding(pictures, self), labels, streams=True)
        images = torch.empty(n, *self.shape, dtype=torch.uint8)
        for start, some in decoded(pictures, self, part):
            images[start : start + len(some)] = torch.from_numpy(some)
        return Part(images, labels)


@dataclass(frozen=True)
class ImageTree(ImageFolder):
    """A folder for each class, as ImageNet is unpacked; the training classes are numbered in sorted
    order, and a held-out picture has the number of its class there.
    """

    def pictures(self, part: str) -> Pictures:
        """The pictures below `part`, class by class.

        Raises `BadInput` where there is no class folder, or, by name, for one without images and
        for one that the training pictures lack.
        """
        folder = self.folder(part)
        names = self._classes(self.train)
        below: dict[str, list[Path]] = {name: [] for name in self._classes(part)}
        for path in _images_below(folder):
            if (name := path.relative_to(folder).parts[0]) in below:
                below[name].append(path)
        for name, found in below.items():
            if name not in names:
                raise BadInput(
                    f"dataset.root={self.root}: the class folder {folder / name} is not among those"
                    f" of {self.folder(self.train)}; add it there or remove it"
                )
            if not found:
                raise BadInput(
                    f"dataset.root={self.root}: the class folder {folder / name} has no images of"
                    " its own; fill it or remove it"
                )
        labels = np.repeat([names.index(name) for name in below], [*map(len, below.values())])
        paths = [path for found in below.values() for path in found]
        return _of_paths(paths, folder, labels, tuple(names))

    def _classes(self, part: str) -> list[str]:
        folder = self.folder(part)
        with _listed(folder):
            names = next(iter(walk(folder)))[1]
        if not (found := [name for name in names if not name.startswith(PREPARED)]):
            raise self.nothing(f"no class folders in {folder}")
        return found

    def _what(self) -> str:
        return f"a folder of images for each class, in {self.train}"


@dataclass(frozen=True)
class CelebA(ImageFolder):
    """CelebA's aligned pictures, looked for in `root` and where torchvision puts them (celeba).

    There all of them have to be: torchvision does not notice that it was broken off as it unpacked
    them.

    Args:
        download: fetch them with torchvision where they are missing; it needs the package gdown,
            which sets no time limits of its own.
    """

    download: bool = False

    def pictures(self, part: str) -> Pictures:
        """Raises `BadInput` where they are missing, or torchvision's are not all there."""
        found = fetched("CelebA", self, lambda: self._found(part), needs=("gdown",))
        return found or super().pictures(part)

    def _found(self, part: str) -> Pictures | None:
        own, other = Path(self.root, part), self._of_torchvision(part)
        if own.is_dir() or not other.is_dir():
            return super().pictures(part) if own.is_dir() else None
        found = _of_paths(_images_below(other), other)
        if (count := len(found.names)) != CELEBA:
            raise Damaged(other, f"{count:,} of {CELEBA:,} images")
        return found

    def _of_torchvision(self, part: str) -> Path:
        return Path(self.root, "celeba", part)

    def _what(self) -> str:
        return f"{super()._what()} (dataset.download=true fetches them)"


@dataclass(frozen=True)
class LSUN(ImageFolder):
    """LSUN's LMDB: pictures (WebP or JPEG bytes) by key, `train` and `test` being its folders."""

    def pictures(self, part: str) -> Pictures:
        """Raises `BadInput` where the data base is missing, empty, truncated or none."""
        folder = self.folder(part)
        if not (folder / "data.mdb").is_file():
            raise self.nothing(f"{folder} has no data.mdb")
        return pictures_in(folder)

    def _what(self) -> str:
        return f"the unpacked LMDB folder {self.train}"


@contextmanager
def _listed(folder: Path) -> Iterator[None]:
    """Turns a folder that cannot be listed into `BadInput`."""
    try:
        yield
    except OSError as error:
        raise BadInput(
            f"{error.filename or folder}: cannot be listed ({one_line(error)})"
        ) from error


def _images_below(folder: Path) -> list[Path]:
    with _listed(folder):
        return [path for path in files_below(folder) if path.name.lower().endswith(ENDINGS)]


def _of_paths(
    paths: list[Path], folder: Path, labels: np.ndarray | None = None, classes: tuple[str, ...] = ()
) -> Pictures:
    def read_one(i: int) -> tuple[str, bytes]:
        try:
            return str(paths[i]), read(paths[i], LARGEST_PICTURE)
        except OSError as error:
            raise BadInput(f"{paths[i]}: cannot be read ({one_line(error)})") from error

    names = [path.relative_to(folder).as_posix() for path in paths]
    return Pictures(names, read_one, paths, labels, classes)
