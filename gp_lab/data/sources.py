"""What an image set is made of before it is drawn from, and how one that is missing is reported."""

import importlib
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

from torch import Tensor

from gp_lab.data.torchvision_import import import_torchvision
from gp_lab.errors import BadInput

Shape = tuple[int, int, int]
"""Channels, height, width."""


@dataclass(frozen=True, eq=False)
class Part:
    """Images that belong together, such as the training images of MNIST.

    Args:
        images: uint8 [N, C, H, W], in memory or mapped from a file.
        labels: int64 [N], classes from 0; None where the set has none.
    """

    images: Tensor
    labels: Tensor | None = None


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


def missing(root: str, lacks: str, put: str, stand_ins: Iterable[str]) -> BadInput:
    """The sentence for a set that is not where it is looked for."""
    choices = ", ".join(f"dataset={name}" for name in stand_ins)
    return BadInput(f"dataset.root={root}: {lacks}; put {put} there, or use a stand-in: {choices}")


def download(name: str, root: str) -> None:
    """torchvision's own download of `name` (MNIST, FashionMNIST, CIFAR10) below `root`.

    Raises `BadInput` where torchvision is not installed or the files cannot be had.
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
        fetch(root, download=True)
    except (OSError, RuntimeError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"dataset.download=true: {name} cannot be downloaded ({why})") from error
