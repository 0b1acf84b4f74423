"""What an image set is made of before it is drawn from, and how one that is missing is reported."""

import importlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol, runtime_checkable
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from gp_lab.data.torchvision_import import import_torchvision
from gp_lab.errors import BadInput, one_line
from gp_lab.files import alone
from gp_lab.waiting import StoppedEarly, served

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


@runtime_checkable
class Source(Hashable, Protocol):
    """What `gp_lab.data.images.Images` asks of a source."""

    @property
    def shape(self) -> Shape:
        """Of one image."""

    def load(self) -> Parts:
        """All images. Raises `BadInput` for a set that is not there or that is damaged."""


@lru_cache(maxsize=2)
def loaded(source: Source) -> Parts:
    """`source.load()`, once for all runs of a process that use the same images."""
    return source.load()


def check_md5(path: Path, found: str, published: str) -> None:
    """Raises `BadInput` naming a file whose content is not that of the published one."""
    if found != published:
        raise BadInput(
            f"{path}: damaged or another file: its MD5 sum is {found}, and the published"
            f" one's (unpacked) is {published}; fetch it again, or"
            " dataset.source.checksum=false for files of your own"
        )


def missing(root: str, lacks: str, put: str, stand_ins: Iterable[str]) -> BadInput:
    """The sentence for a set that is not where it is looked for."""
    choices = ", ".join(f"dataset={name}" for name in stand_ins)
    return BadInput(f"dataset.root={root}: {lacks}; put {put} there, or use a stand-in: {choices}")


def download(name: str, root: str) -> None:
    """torchvision's own download of `name` (MNIST, FashionMNIST, CIFAR10, CelebA) below `root`.

    Raises `BadInput` where torchvision is not installed or the files cannot be had, `StoppedEarly`
    where a signal asks for a stop meanwhile.
    """
    try:
        import_torchvision()
        datasets = importlib.import_module("torchvision.datasets")
    except ImportError as error:
        raise BadInput(
            "dataset.download=true: torchvision does the download and is not installed;"
            " pip install torchvision"
        ) from error
    fetch: Callable[..., object] = getattr(datasets, name)
    try:
        with served(f"the download of {name}"), alone(Path(root, name)):
            fetch(root, download=True)
    except StoppedEarly:
        raise
    except Exception as error:  # gdown's are of no kind in particular
        raise BadInput(
            f"dataset.download=true: {name} cannot be downloaded ({one_line(error)})"
        ) from error
