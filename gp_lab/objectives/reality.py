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

from gp_lab.errors import BadInput
from gp_lab.fields import Few, FewOrZero
from gp_lab.instantiate import Checked, Run, chosen
from gp_lab.objectives.squares import has_squares

Tensors = dict[str, Tensor]

MOST_COMPARED = 4096
"""Training samples that `Dif` compares with: they are part of the state, and of each checkpoint."""


SCALE = "minus_one_one"
"""Of pixels, of whose largest distance DIF is a share."""


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


@dataclass(frozen=True)
class SquareCount(Reality):
    """Exactly `count` squares of `square` pixels a side (anomalous, sec. 5.2), as
    `gp_lab.objectives.squares` counts them.

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
        data = run.config["dataset"]
        for own, name, value in (
            ("count", "squares", self.count),
            ("square", "square", self.square),
        ):
            if data.get(name, value) != value:
                raise BadInput(
                    f"{key}.{own}={value}: {chosen(run, 'dataset')} has {name}={data[name]}; use"
                    f" {key}.{own}={data[name]}"
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
        if (pixels := run.config["dataset"].get("pixels", SCALE)) != SCALE:
            raise BadInput(
                f"dataset.pixels={pixels}: {key} is a share of the largest distance of pixels in"
                f" [-1, 1]; use dataset.pixels={SCALE}"
            )

    def start(self, run: Run) -> Tensors:
        return {"training": run.dataset.training_set().to(run.device, run.dtype)}

    def realistic(self, x: Tensor, state: Tensors) -> Tensor:
        return dif(x, state["training"]) < self.threshold


def dif(images: Tensor, training: Tensor, low: float = -1.0, high: float = 1.0) -> Tensor:
    """DIF `[n]`: "the normalized minimum L2 distance of the sample to all the training data"
    (anomalous, sec. 5.3), in [0, 1] for images `[n, ...]` and `[m, ...]` whose pixels lie in
    [low, high].

    The paper does not state the normaliser; it is the largest distance that two images can have,
    (high - low) sqrt(dimensions). 0 at a training image. In the images' precision and without
    choices that depend on them, for `torch.vmap` and `torch.compile`: for small training sets.
    Raises ValueError for shapes that do not match, no training images, or unless low < high.
    """
    if images.shape[1:] != training.shape[1:] or not len(training):
        raise ValueError(f"images {list(images.shape)} against training {list(training.shape)}")
    if not low < high:
        raise ValueError(f"low={low}: not below high={high}")
    x, y = images.flatten(1), training.flatten(1).to(images.dtype)
    # Not by matrix products, which leave a distance between equal images.
    distance = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").amin(1)
    return distance / ((high - low) * math.sqrt(x.shape[1]))
