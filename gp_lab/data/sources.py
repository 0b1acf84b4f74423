"""What an image set is made of before it is drawn from, and how one that is missing is reported."""

import hashlib
import importlib
import itertools
import logging
import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from gp_lab.data.contents import Contents
from gp_lab.data.digests import combined
from gp_lab.data.torchvision_import import import_torchvision
from gp_lab.errors import BadInput, one_line
from gp_lab.files import alone
from gp_lab.signals import StoppedEarly, served

Shape = tuple[int, int, int]
"""Channels, height, width."""


SHARE = 4
"""A set fits a device if it takes no more than one part in so many of the device's memory."""


class OnDemand(Protocol):
    """Images that are read when they are asked for; what a tensor of them is asked here."""

    @property
    def shape(self) -> Sequence[int]:
        """[N, C, H, W]."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        """uint8 [k, C, H, W] of rows int64 [k], on the CPU. Raises `BadInput` for a damaged one."""


@dataclass(frozen=True, eq=False)
class Part:
    """Images that belong together, such as the training images of MNIST.

    Args:
        images: uint8 [N, C, H, W], or what reads them when they are asked for.
        labels: int64 [N], classes from 0, on the CPU; None where the set has none.
        streams: whether images have to be fetched from a disk (a mapped array, single files) or
            sent to the device when they are drawn.
    """

    images: Tensor | OnDemand
    labels: Tensor | None = None
    streams: bool = False

    def rows(self, i: Tensor) -> Tensor:
        """uint8 [k, C, H, W] of rows int64 [k], where the images are."""
        if isinstance(self.images, Tensor):
            return self.images[i.to(self.images.device)]
        return self.images[i.cpu()]


_RESIDENT: WeakValueDictionary[tuple[Part, torch.device], Part] = WeakValueDictionary()


def resident(part: Part, device: torch.device) -> Part:
    """The part on a device where it fits there, once for all runs that have it; else as it is.

    On the CPU what is in memory stays, and what is mapped from a file stays mapped.
    """
    if device.type == "cpu":
        return part
    there = _RESIDENT.get((part, device))
    if there is None:
        if isinstance(part.images, Tensor) and part.images.nbytes <= room(device):
            there = Part(part.images.to(device), part.labels)
        else:
            there = replace(part, streams=True)
        _RESIDENT[part, device] = there
    return there


def room(device: torch.device) -> int:
    """Bytes of a GPU's memory that a set may take."""
    return torch.cuda.get_device_properties(device).total_memory // SHARE


@dataclass(frozen=True, eq=False)
class Parts:
    """The training images, and the set's own held-out images where it has such a part."""

    train: Part
    held_out: Part | None = None


def held_in_memory(parts: Parts, root: str) -> Contents:
    """The contents of a set by its pixels and labels, however its files are packed."""
    every = [parts.train] + ([] if parts.held_out is None else [parts.held_out])
    tensors = [x for part in every for x in (part.images, part.labels) if isinstance(x, Tensor)]
    digests = (hashlib.blake2b(x.numpy().data, digest_size=16).hexdigest() for x in tensors)
    counts = [len(part.images) for part in every]
    held_out = counts[1] if parts.held_out is not None else None
    return Contents(
        combined("images", *digests), "image", counts[0], held_out, place=os.path.abspath(root)
    )


@runtime_checkable
class Source(Hashable, Protocol):
    """What `gp_lab.data.images.Images` asks of a source.

    One that says what it holds, too (`gp_lab.data.contents.Holds`), is identified by that; others
    by what the config says of them.
    """

    @property
    def shape(self) -> Shape:
        """Of one image."""

    def load(self) -> Parts:
        """All images. Raises `BadInput` for a set that is not there or that is damaged."""


@lru_cache(maxsize=2)
def loaded(source: Source, digest: str | None = None) -> Parts:
    """`source.load()`, once for all runs of a process that use the same images.

    `digest` is that of what the source holds now: what was loaded before it changed is another.
    """
    return source.load()


class Damaged(BadInput):
    """A file, or a folder, that is not what was published, or is not all of it."""

    def __init__(self, path: Path, why: str, else_: str = "") -> None:
        more = f", or {else_}" if else_ else ""
        self.said = f"{path}: {why}; fetch it again (dataset.download=true does){more}"
        super().__init__(self.said)
        self.path, self.why = path, why
        self.args = (path, why, else_)  # what a worker process sends: it is made again from these

    def __str__(self) -> str:
        return self.said


def check_md5(path: Path, found: str, published: str) -> None:
    """Raises `Damaged` naming a file whose content is not that of the published one."""
    if found != published:
        raise Damaged(
            path,
            f"damaged or another file: its MD5 sum is {found}, and the published one's (unpacked)"
            f" is {published}",
            "dataset.source.checksum=false for files of your own",
        )


class Missing(BadInput):
    """A set that is not where it is looked for."""


def missing(root: str, lacks: str, put: str, stand_ins: Iterable[str]) -> Missing:
    """The sentence for a set that is not where it is looked for."""
    choices = ", ".join(f"dataset={name}" for name in stand_ins)
    return Missing(f"dataset.root={root}: {lacks}; put {put} there, or use a stand-in: {choices}")


class Downloadable(Protocol):
    """A source that torchvision can fetch."""

    @property
    def root(self) -> str: ...
    @property
    def download(self) -> bool: ...


T = TypeVar("T")


def fetched(
    name: str, source: Downloadable, find: Callable[[], T | None], needs: Sequence[str] = ()
) -> T | None:
    """What `find` gives; if it finds nothing, or something `Damaged`, after a download.

    `name` is the set's in torchvision (MNIST, FashionMNIST, CIFAR10, CelebA), which fetches it
    where `source.download` allows it and the packages that it `needs` are there. What is damaged is
    set aside under another name, and put back if the download fails. One process downloads, the
    others wait. Raises `BadInput` where the files cannot be had, `StoppedEarly` where a signal asks
    for a stop meanwhile.
    """
    if not source.download:
        return find()
    aside: list[tuple[Path, Path]] = []
    with alone(Path(source.root, name)):
        while True:
            try:
                if (found := find()) is not None:
                    return found
                break
            except Damaged as damage:
                _fetcher(name, needs)  # before anything is touched
                aside.append((damage.path, _set_aside(damage)))
        fetch = _fetcher(name, needs)
        try:
            with served(f"the download of {name}"):
                fetch(source.root, download=True)
        except BaseException as error:
            for path, other in aside:
                if not path.exists():
                    other.rename(path)
            if isinstance(error, StoppedEarly) or not isinstance(error, Exception):
                raise
            raise BadInput(  # gdown's errors are of no kind in particular
                f"dataset.download=true: {name} cannot be downloaded ({one_line(error)})"
            ) from error
        return find()


def _fetcher(name: str, needs: Sequence[str]) -> Callable[..., object]:
    """torchvision's class that fetches a set. Raises `BadInput` where a package is missing."""
    for package in needs:
        if find_spec(package) is None:
            raise BadInput(
                f"dataset.download=true: torchvision downloads {name} with the package {package},"
                f" which is not installed; pip install {package}"
            )
    try:
        import_torchvision()
        fetch: Callable[..., object] = getattr(
            importlib.import_module("torchvision.datasets"), name
        )
        return fetch
    except ImportError as error:
        raise BadInput(
            "dataset.download=true: torchvision does the download and is not installed;"
            " pip install torchvision"
        ) from error


def _set_aside(damage: Damaged) -> Path:
    """Give what is damaged another name, which is said. Raises `Damaged` if that cannot be done."""
    path = damage.path
    names = (
        path.with_name(f"{path.name}.damaged{n}") for n in itertools.chain([""], itertools.count(2))
    )
    aside = next(other for other in names if not other.exists())
    try:
        path.rename(aside)
    except OSError:
        raise damage from None
    logging.getLogger(__name__).warning(
        f"{path}: {damage.why}; set aside as {aside.name} and fetched again"
    )
    return aside
