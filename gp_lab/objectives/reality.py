"""Measures of reality: which samples are too realistic to be told to D as negatives.

anomalous, sec. 5.1: sample correction leaves the measure open; the paper's two are here.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from gp_lab.errors import BadInput
from gp_lab.fields import Few, FewOrZero
from gp_lab.instantiate import Checked, Run, chosen

Tensors = dict[str, Tensor]

MOST_COMPARED = 4096
"""Training samples that `Dif` compares with: they are part of the state, and of each checkpoint."""


class Reality(Checked, ABC):
    """Base of the measures: a pure function of samples and of what it put into the state."""

    def check(self, key: str, run: Run) -> None:
        """Raises `BadInput` for data that it cannot measure; `key` is its own in the config."""

    def start(self, run: Run) -> Tensors:
        """What it compares with, which stays as it is: part of the run's state."""
        return {}

    @abstractmethod
    def realistic(self, x: Tensor, state: Tensors) -> Tensor:
        """Samples [n, *shape] to bool [n], each by itself; `state` is what `start` made."""


def has_squares(images: Tensor, count: int, square: int, tolerance: int = 0) -> Tensor:
    """Whether images [n, 1, H, W] are `count` full squares and nothing else: bool [n].

    A pixel is on above 0. So many times the first full window of `square` pixels a side, row by
    row, is taken out; then nothing may be left. A window is full that lacks at most `tolerance`
    pixels, and `tolerance` pixels for each square may be left.
    """
    left = (images > 0).to(torch.float32)
    height, width = images.shape[-2:]
    columns, places = width - square + 1, (height - square + 1) * (width - square + 1)
    place = torch.arange(places, device=images.device)
    rows, across = (torch.arange(k, device=images.device) for k in (height, width))
    found = left.new_ones(len(left), dtype=torch.bool)
    for _ in range(count):
        sums = functional.avg_pool2d(left, square, stride=1, divisor_override=1).flatten(1)
        first = torch.where(sums >= square**2 - tolerance, place, places).amin(1)
        found = found & (first < places)
        top, start = first // columns, first % columns
        down = (rows >= top[:, None]) & (rows < top[:, None] + square)
        along = (across >= start[:, None]) & (across < start[:, None] + square)
        left = torch.where((down[:, :, None] & along[:, None, :])[:, None], 0.0, left)
    return found & (left.sum((1, 2, 3)) <= tolerance * count)


@dataclass(frozen=True)
class SquareCount(Reality):
    """Exactly `count` squares of `square` pixels a side (anomalous, sec. 5.2), see `has_squares`.

    Args:
        count, square: how many there are in a training image, and their side.
        tolerance: pixels that a square may lack, and that may be left over for each.
    """

    count: Few = 2
    square: Few = 8
    tolerance: FewOrZero = 0

    def check(self, key: str, run: Run) -> None:
        shape = tuple(run.dataset.shape)
        if len(shape) != 3 or shape[0] != 1 or min(shape[1:]) < self.square:
            raise BadInput(
                f"{key}.square={self.square}: counts squares in images of one channel that are at"
                f" least as large, and {chosen(run, 'dataset')} has samples of shape {list(shape)}"
            )

    def realistic(self, x: Tensor, state: Tensors) -> Tensor:
        return has_squares(x, self.count, self.square, self.tolerance)


@dataclass(frozen=True)
class Dif(Reality):
    """A normalised distance to the nearest training sample below `threshold` (anomalous, sec. 5.3).

    The paper's DIF is "the normalized minimum L2 distance [...] to all the training data, between 0
    and 1". That it is divided by the largest there can be, (high - low) sqrt(pixels) with all
    numbers in [low, high] = [-1, 1], is an assumption.
    """

    threshold: Annotated[float, Field(gt=0, le=1)] = 0.1

    def check(self, key: str, run: Run) -> None:
        count, data = run.dataset.count, chosen(run, "dataset")
        if count is None or count > MOST_COMPARED:
            raise BadInput(
                f"{key}: compares with all training samples, {MOST_COMPARED} at most, and {data}"
                f" has {'no end' if count is None else count}; choose fewer with dataset.size"
            )
        if run.dataset.training_set() is None:
            raise BadInput(
                f"{key}: compares with all training samples, and {data} has none at hand"
            )

    def start(self, run: Run) -> Tensors:
        return {"training": run.dataset.training_set().to(run.device, run.dtype)}

    def realistic(self, x: Tensor, state: Tensors) -> Tensor:
        return dif(x, state["training"]) < self.threshold


def dif(x: Tensor, training: Tensor, low: float = -1.0, high: float = 1.0) -> Tensor:
    """The normalised distances [n] of samples [n, ...] to the nearest of `training` [m, ...]."""
    x, training = x.flatten(1), training.flatten(1)
    squares = x.square().sum(1)[:, None] + training.square().sum(1) - 2 * x @ training.T
    largest = (high - low) * math.sqrt(x.shape[1])
    return squares.amin(1).clamp(min=0).sqrt() / largest
