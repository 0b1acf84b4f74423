"""From the bytes of picture files to arrays of one size: turned upright, flat, cut, resized."""

import io
import logging
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from gp_lab.data.digests import Digest, combined, of_files, together
from gp_lab.data.sources import Shape
from gp_lab.errors import BadInput
from gp_lab.machine import cores
from gp_lab.terminal import bar

THREADS = min(16, cores())
"""That decode pictures."""

BACKGROUND = "white"
"""What shows through the transparent parts of a picture."""

_FLAT = ("1", "L", "P", "RGB", "CMYK", "YCbCr")
_TRANSPARENT = ("LA", "PA", "RGBA", "RGBa")
"""Pillow's modes of pictures with at most 8 bits a channel, without and with transparency."""

TRANSPARENT = f"images with transparent parts, which are laid on {BACKGROUND}"
SEVERAL = "images of several frames, of which the first is taken"


class Holding(NamedTuple):
    """What a part of a set holds: the digest of its pictures and classes, and their number."""

    digest: str
    number: int
    classes: tuple[str, ...] = ()


class Cut(Protocol):
    """What is asked of a source: how its pictures are cut."""

    @property
    def root(self) -> str: ...
    @property
    def image_size(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def crop(self) -> int | None: ...
    @property
    def shape(self) -> Shape: ...


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures that can be read one by one.

    Args:
        names: of each, in the set's order.
        read: index -> (what it is called in a sentence, its bytes); called from several threads.
        files: that hold them, in an order that follows from the set's.
        labels: int64 [N]; None without classes.
        classes: the names of the classes, in the order of their numbers.
    """

    names: Sequence[str]
    read: Callable[[int], tuple[str, bytes]]
    files: Sequence[Path]
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()

    def holding(self, each: Sequence[Digest] | None = None) -> Holding:
        """What these pictures are; `each` are the digests of their files, where they are known.

        Raises `BadInput` naming a file that cannot be read.
        """
        files = of_files(self.files).value if each is None else together(each).value
        labels = "" if self.labels is None else self.labels.astype("<i8").tobytes().hex()
        return Holding(combined(files, labels, *self.classes), len(self.names), self.classes)


def decode(called: str, data: bytes, cut: Cut, notes: list[str] | None = None) -> np.ndarray:
    """A picture as uint8 [C, size, size]: its centre square, resized with an antialiasing filter.

    It is what a viewer shows: turned as its EXIF orientation says, transparent parts (of every
    kind) on a white background, the first frame of several; `notes` is told of the last two.
    Raises `BadInput` for a picture that is damaged, smaller than `crop`, or not grey or colour of
    8 bits a channel.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.mode not in _FLAT + _TRANSPARENT:
                raise BadInput(
                    f"{called}: pixels of mode {picture.mode}; images are grey or colour, of 8 bits"
                    " a channel"
                )
            if notes is not None and getattr(picture, "is_animated", False):
                notes.append(SEVERAL)
            _turn_upright(picture)
            image = _flat(picture, notes).convert("L" if cut.channels == 1 else "RGB")
    except UnidentifiedImageError as error:
        raise BadInput(
            f"{called}: the image is truncated or damaged (it is of no kind that is known)"
        ) from error
    except (
        OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError
    ) as error:  # fmt: skip
        raise BadInput(f"{called}: the image is truncated or damaged ({error})") from error
    edge = min(image.size) if cut.crop is None else cut.crop
    if edge > min(image.size):
        raise BadInput(
            f"dataset.source.crop={edge}: larger than {called}, which is"
            f" {image.width} x {image.height}"
        )
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    image = image.crop((left, top, left + edge, top + edge))
    size = cut.image_size
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    pixels = np.asarray(image, dtype=np.uint8).reshape(size, size, cut.channels)
    return pixels.transpose(2, 0, 1)


def _turn_upright(picture: Image.Image) -> None:
    """As its EXIF orientation says; what a camera wrote may be damaged where the picture is not."""
    with suppress(SyntaxError, ValueError, LookupError, TypeError, struct.error):
        ImageOps.exif_transpose(picture, in_place=True)


def _flat(picture: Image.Image, notes: list[str] | None) -> Image.Image:
    """A picture without its transparency; an alpha channel that is opaque is none."""
    if not picture.has_transparency_data:
        return picture
    whole = picture.convert("RGBA")
    if whole.getchannel("A").getextrema() != (255, 255):
        if notes is not None:
            notes.append(TRANSPARENT)
        whole = Image.alpha_composite(Image.new("RGBA", whole.size, BACKGROUND), whole)
    return whole.convert("RGB")


@dataclass(frozen=True, eq=False)
class Decoding:
    """Pictures of a set that does not fit in memory, decoded by several threads when asked for."""

    pictures: Pictures
    cut: Cut
    told: set[str] = field(default_factory=set)
    """What was said of the pictures so far."""

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.cut.shape)

    def __len__(self) -> int:
        return len(self.pictures.names)

    def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
        """uint8 [k, C, H, W] of rows int64 [k].

        Raises `BadInput` naming a picture that cannot be used.
        """
        images = torch.empty(len(rows), *self.cut.shape, dtype=torch.uint8)
        notes: list[str] = []
        found = _threads().map(_one(self.pictures, self.cut, notes), rows.tolist())
        for place, image in zip(images.numpy(), found, strict=True):
            place[:] = image
        for note in {*notes} - self.told:
            _say(f"dataset.root={self.cut.root}: there are {note}")
            self.told.add(note)
        return images


def decoded(
    pictures: Pictures, cut: Cut, part: str, start: int = 0, chunk: int = 256
) -> Iterator[tuple[int, np.ndarray]]:
    """(index of the first, uint8 [k, C, H, W]) of all pictures from `start` on, in chunks.

    Says at the end how many had transparent parts or several frames. Raises `BadInput` naming the
    first picture that cannot be used.
    """
    notes: list[str] = []
    one, n = _one(pictures, cut, notes), len(pictures.names)
    silent = None if n > 2000 else True  # None: unless somebody looks
    with bar(total=n, initial=start, desc=f"images of {part}", disable=silent) as line:
        for first in range(start, n, chunk):
            some = list(_threads().map(one, range(first, min(first + chunk, n))))
            yield first, np.stack(some)
            line.update(len(some))
    for note, count in Counter(notes).items():
        _say(f"dataset.root={cut.root}: {note}: {count:,} of {n - start:,}")


def _one(pictures: Pictures, cut: Cut, notes: list[str]) -> Callable[[int], np.ndarray]:
    return lambda i: decode(*pictures.read(i), cut, notes)


def _say(sentence: str) -> None:
    logging.getLogger(__name__).warning(sentence)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, "decoding")
