"""Images in files: folders, trees with a folder for each class, LSUN's LMDB.

ImageNet (`papers/wgan_gp.txt`, Table 2; `papers/zero_gp.txt`, Fig. 4; `papers/anomalous.txt`,
Table 1), CelebA (`papers/anomalous.txt`) and LSUN bedrooms (`papers/wgan_gp.txt`, Figs. 2, 4, 5a).
Each picture is decoded, cut to its centre and resized. A set that fits is kept in memory; a larger
one is decoded again whenever it is drawn from, unless `scripts/prepare.py` has written it to a
mapped array once (`gp_lab.data.prepared`).
"""

import io
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any, Literal
from weakref import WeakValueDictionary

import numpy as np
import torch
from PIL import Image

from gp_lab.data.prepared import PREPARED, prepared_parts
from gp_lab.data.sources import Part, Parts, Shape, download, missing
from gp_lab.errors import BadInput
from gp_lab.files import alone
from gp_lab.parts import Count
from gp_lab.terminal import bar

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm")
STAND_INS = ("image_folder", "cifar10", "fashion_mnist", "mnist_5k")
IN_MEMORY = 4 * 2**30
"""Bytes of the largest set that is kept in memory."""

CELEBA = 202_599
"""Pictures in CelebA."""

THREADS = min(16, os.cpu_count() or 1)
"""That decode pictures."""

_BYTES_A_PIXEL = ("1", "L", "P", "RGB", "CMYK", "YCbCr")
"""Pillow's modes that become grey or RGB without loss of a channel that means something."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures that can be read one by one.

    Args:
        names: of each, in the set's order.
        read: index -> (what it is called in a sentence, its bytes); called from several threads.
        labels: int64 [N]; None without classes.
    """

    names: Sequence[str]
    read: Callable[[int], tuple[str, bytes]]
    labels: np.ndarray | None = None


@dataclass(frozen=True)
class ImageFolder:
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

    root: str
    train: str = "."
    test: str | None = None
    image_size: Count = 64
    channels: Literal[1, 3] = 3
    crop: Count | None = None
    prepared: str | None = None

    @property
    def shape(self) -> Shape:
        return (self.channels, self.image_size, self.image_size)

    def pictures(self, part: str) -> Pictures:
        """The pictures below `part` of the root.

        Raises `BadInput` where there are none, naming `dataset.root` and what belongs there.
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

    def nothing(self, lacks: str) -> BadInput:
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
        numbers = {each.name: k for k, each in enumerate(self._classes(self.train))}
        paths: list[Path] = []
        labels: list[int] = []
        for each in self._classes(part):
            if each.name not in numbers:
                raise BadInput(
                    f"dataset.root={self.root}: the class folder {each} is not among those of"
                    f" {self.folder(self.train)}; add it there or remove it"
                )
            found = _images_below(each)
            if not found:
                raise BadInput(
                    f"dataset.root={self.root}: the class folder {each} has no images; fill it or"
                    " remove it"
                )
            paths += found
            labels += [numbers[each.name]] * len(found)
        return _of_paths(paths, folder, np.array(labels))

    def _classes(self, part: str) -> list[Path]:
        folder, ours = self.folder(part), (".", PREPARED)
        found = sorted(
            entry
            for entry in folder.iterdir()
            if entry.is_dir() and not entry.name.startswith(ours)
        )
        if not found:
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
        found, folder = super().pictures(part), self.folder(part)
        if folder == self._of_torchvision(part) and len(found.names) != CELEBA:
            raise BadInput(
                f"{folder}: {len(found.names):,} of {CELEBA:,} images; remove this folder, and"
                " dataset.download=true unpacks them again"
            )
        return found

    def folder(self, part: str) -> Path:
        """Raises `BadInput` if there is no such folder, or it cannot be downloaded."""
        own, other = Path(self.root, part), self._of_torchvision(part)
        if self.download:
            with alone(Path(self.root, "celeba")):  # other ranks wait until all are unpacked
                self._fetch(own, other)
        return other if other.is_dir() and not own.is_dir() else super().folder(part)

    def _fetch(self, *places: Path) -> None:
        if any(place.is_dir() for place in places):
            return
        if find_spec("gdown") is None:
            raise BadInput(
                "dataset.download=true: torchvision downloads CelebA with the package gdown,"
                " which is not installed; pip install gdown"
            )
        download("CelebA", self.root)

    def _of_torchvision(self, part: str) -> Path:
        return Path(self.root, "celeba", part)

    def _what(self) -> str:
        return f"{super()._what()} (dataset.download=true fetches them)"


@dataclass(frozen=True)
class LSUN(ImageFolder):
    """LSUN's LMDB: pictures (WebP or JPEG bytes) by key, `train` and `test` being its folders."""

    def pictures(self, part: str) -> Pictures:
        """Raises `BadInput` where the data base is missing, empty, truncated or none."""
        try:
            import lmdb
        except ImportError as error:
            raise BadInput(
                "dataset: LSUN is read with the package lmdb, which is not installed;"
                " pip install lmdb"
            ) from error
        folder = self.folder(part)
        path = folder / "data.mdb"
        if not path.is_file():
            raise self.nothing(f"{folder} has no data.mdb")
        try:
            env = _data_base(lmdb, folder.resolve())
            with env.begin() as transaction:
                keys = list(transaction.cursor().iternext(values=False))
        except lmdb.Error as error:
            raise BadInput(
                f"{path}: not a readable LMDB data base ({error}); fetch it again"
            ) from error
        if not keys:
            raise BadInput(f"{path}: the data base holds no pictures")

        def read(i: int) -> tuple[str, bytes]:
            called = f"{path}, key {keys[i].decode('ascii', 'replace')}"
            try:
                with env.begin() as transaction:
                    return called, bytes(transaction.get(keys[i], default=b""))
            except lmdb.Error as error:
                raise BadInput(f"{called}: cannot be read ({error}); fetch it again") from error

        return Pictures([key.decode("ascii", "replace") for key in keys], read)

    def _what(self) -> str:
        return f"the unpacked LMDB folder {self.train}"


_OPEN: WeakValueDictionary[Path, Any] = WeakValueDictionary()
"""The data bases in use: LMDB opens none twice in a process."""


def _data_base(lmdb: Any, folder: Path) -> Any:
    """The open environment of a folder. Raises `BadInput` for one that is truncated."""
    if folder in _OPEN:
        return _OPEN[folder]
    env = lmdb.open(str(folder), readonly=True, lock=False, readahead=False, max_dbs=0)
    # A truncated file would kill the process where its missing pages are touched.
    needed = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    size = (folder / "data.mdb").stat().st_size
    if size < needed:
        env.close()
        raise BadInput(
            f"{folder / 'data.mdb'}: the data base is truncated: {size} bytes of at least {needed};"
            " fetch it again"
        )
    _OPEN[folder] = env
    return env


def _images_below(folder: Path) -> list[Path]:
    found = (
        Path(place, name)
        for place, _, names in os.walk(folder, followlinks=True)
        for name in names
        if name.lower().endswith(ENDINGS)
    )
    return sorted(found)


def _of_paths(paths: list[Path], folder: Path, labels: np.ndarray | None = None) -> Pictures:
    def read(i: int) -> tuple[str, bytes]:
        try:
            return str(paths[i]), paths[i].read_bytes()
        except OSError as error:
            raise BadInput(f"{paths[i]}: cannot be read ({error.strerror})") from error

    return Pictures([path.relative_to(folder).as_posix() for path in paths], read, labels)


def decode(called: str, data: bytes, source: ImageFolder) -> np.ndarray:
    """A picture as uint8 [C, size, size]: its centre square, resized with an antialiasing filter.

    Raises `BadInput` for a picture that is truncated, smaller than `crop`, or whose channels are
    neither grey nor colour.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.mode not in _BYTES_A_PIXEL:
                raise BadInput(
                    f"{called}: {len(picture.getbands())} channels of mode {picture.mode}; images"
                    " are 8-bit grey or colour without transparency"
                )
            image = picture.convert("L" if source.channels == 1 else "RGB")
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise BadInput(f"{called}: the image is truncated or damaged ({error})") from error
    edge = min(image.size) if source.crop is None else source.crop
    if edge > min(image.size):
        raise BadInput(
            f"dataset.source.crop={edge}: larger than {called}, which is"
            f" {image.width} x {image.height}"
        )
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    image = image.crop((left, top, left + edge, top + edge))
    size = source.image_size
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    pixels = np.asarray(image, dtype=np.uint8).reshape(size, size, source.channels)
    return pixels.transpose(2, 0, 1)


@dataclass(frozen=True, eq=False)
class Decoding:
    """Pictures of a set that does not fit in memory, decoded by several threads when asked for."""

    pictures: Pictures
    source: ImageFolder

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.source.shape)

    def __len__(self) -> int:
        return len(self.pictures.names)

    def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
        """uint8 [k, C, H, W] of rows int64 [k].

        Raises `BadInput` naming a picture that cannot be used.
        """
        images = torch.empty(len(rows), *self.source.shape, dtype=torch.uint8)
        for place, image in zip(
            images.numpy(), _threads().map(self._one, rows.tolist()), strict=True
        ):
            place[:] = image
        return images

    def _one(self, i: int) -> np.ndarray:
        return decode(*self.pictures.read(i), self.source)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, "decoding")


def decoded(
    pictures: Pictures, source: ImageFolder, part: str, start: int = 0, chunk: int = 256
) -> Iterator[tuple[int, np.ndarray]]:
    """(index of the first, uint8 [k, C, H, W]) of all pictures from `start` on, in chunks.

    Raises `BadInput` naming the first picture that cannot be used.
    """

    def one(i: int) -> np.ndarray:
        return decode(*pictures.read(i), source)

    n = len(pictures.names)
    silent = None if n > 2000 else True  # None: unless somebody looks
    with bar(total=n, initial=start, desc=f"images of {part}", disable=silent) as line:
        for first in range(start, n, chunk):
            some = list(_threads().map(one, range(first, min(first + chunk, n))))
            yield first, np.stack(some)
            line.update(len(some))
