"""The images that are scored: generated ones, rounded as files would hold them, and training images
a batch at a time."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from gp_lab.data.images import Images, Rows
from gp_lab.data.random import generator
from gp_lab.probes.base import View, even_batches

BATCH = 64
"""Images that a network scores at once."""


class Fakes(NamedTuple):
    """A rank's part of the fakes: [n, C, H, W], batch after batch; `start` is the first's place."""

    start: int
    batches: Iterator[Tensor]


def generated(view: View, stream: str, count: int) -> Fakes:
    """This rank's of so many fakes of a view, as files would hold them: in [-1, 1], rounded to 256
    levels; NaN where they are not finite. They do not depend on the number of ranks."""
    # Whole batches of the run's own size, some hundred images: batch norm sees what it has learnt.
    size = view.batch_size * max(1, 4 * BATCH // view.batch_size)
    sizes = even_batches(count, size)
    begin, end = view.share.part(len(sizes))

    def batches() -> Iterator[Tensor]:
        rng = view.rng(stream)
        for i, n in enumerate(sizes[:end]):
            real = view.partners(rng, n)
            latents = view.latents(rng, n, None, real)  # of all: the numbers are those of one rank
            if i >= begin:
                fakes = view.fakes_of(*latents)
                levels = signed(images_of(view).to_bytes(fakes))
                yield from torch.where(fakes.isfinite(), levels, torch.nan).split(BATCH)

    return Fakes(sum(sizes[:begin]), batches())


def all_generated(view: View, stream: str, count: int) -> Tensor:
    """The fakes of all ranks as `generated` gives them, [count, C, H, W], on each rank."""
    start, batches = generated(view, stream, count)
    none = torch.empty(0, *view.dataset.shape, device=view.device)
    return view.share.gather(torch.cat([none, *batches]), start, count)


def images_of(view: View) -> Images:
    """The data set of a view whose samples are scored as images."""
    assert isinstance(view.dataset, Images)
    return view.dataset


def training_images(dataset: Images, most: int | None = None) -> Iterator[Tensor]:
    """The training images of a run, uint8 [n, C, H, W], batch after batch; evenly spaced ones if
    they are more than `most`. Stacks of images are drawn at random, as many as there are images."""
    return images_at(dataset, places(dataset, most), BATCH)


def signed(images: Tensor) -> Tensor:
    """Bytes as floats in [-1, 1]."""
    return images.float() / 127.5 - 1


def brightness(images: Tensor, device: torch.device) -> Tensor:
    """Bytes as floats in [0, 1], on a device."""
    return images.to(device).float() / 255


def places(dataset: Images, most: int | None = None) -> Tensor:
    """Rows [n, stacked] of the training images, n at most `most`."""
    assert dataset.train_rows is not None, "a view's data set is prepared"
    return rows_of(len(dataset.train_rows), dataset.stacked, most)


def rows_of(n: int, stacked: int, most: int | None) -> Tensor:
    """Rows of n images, [n, 1], or of n stacks of them at random, [n, stacked]; `most` at most."""
    if stacked == 1:
        rows = torch.arange(n)[:, None]
    else:
        rng = generator(0, "stacked_reference", 0)
        rows = torch.stack([torch.randperm(n, generator=rng) for _ in range(stacked)], dim=1)
    return rows if most is None or most >= n else rows[torch.arange(most) * n // most]


def images_at(dataset: Images, places: Tensor, size: int) -> Iterator[Tensor]:
    """Training images at places [n, stacked], uint8, `size` at a time."""
    assert dataset.train_rows is not None
    return stacks_at(dataset.train_rows, places, size)


def stacks_at(rows: Rows, places: Tensor, size: int) -> Iterator[Tensor]:
    """Images [k, stacked * C, H, W] at places [n, stacked], `size` at a time."""
    for some in places.split(size):
        yield rows.images(some.flatten()).unflatten(0, some.shape).flatten(1, 2)


def rows_at_once(shape: tuple[int, ...]) -> int:
    """Images whose numbers fill 256 MB in float64."""
    return max(1, 2**25 // math.prod(shape))
