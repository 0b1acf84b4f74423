"""Binary images with a fixed number of squares, and their pixel-wise combinations (anomalous,
secs. 3.2, 4.2, 5.2, Apps. E and F).

The data set is known by the corners of its squares; images are made of them as they are asked for.
"""

import copy
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

from gp_lab.data.base import Dataset
from gp_lab.data.images import output_of
from gp_lab.data.random import choose
from gp_lab.errors import BadInput
from gp_lab.fields import Count, CountOrZero, Few
from gp_lab.instantiate import Run
from gp_lab.networks.layers import RANGES

AT_ONCE = 1024
"""Placements that are tried at once, at least."""

ENOUGH_TRIES, RARE = 2**16, 1000
"""After so many tries, squares of which fewer than one placement in `RARE` succeeds are refused."""


@dataclass(frozen=True)
class Rectangles(Dataset):
    """Images [1, side, side] of squares that are on, 1, before a background that is off, -1.

    The set is made as in App. F: size / 2 parents have one square more than an image, all placed
    uniformly among the placements in which no two are nearer than `gap`; a parent has two children,
    each lacking another of its squares. So the pixel-wise AND of two children shows squares - 1
    squares, and their OR, the parent, squares + 1. The paper does not say whether squares may touch
    or overlap, which would change how many are seen: here they never overlap.

    Args:
        squares: in an image.
        square: edge of a square in pixels.
        side: of an image in pixels.
        gap: pixels of background between two squares, at least, along rows or columns; 0 lets them
            touch.
        size: images of the set, two for each parent.
        order: `shuffle` (random permutations, one after another) or `replacement`.

    Raises ValueError for an odd `size`, and where squares + 1 squares cannot fit.
    """

    squares: Few = 2
    square: Count = 8
    side: Count = 32
    gap: CountOrZero = 1
    size: Count = 25_600
    order: Literal["shuffle", "replacement"] = "shuffle"
    parents: Tensor | None = field(default=None, init=False, repr=False, compare=False)
    """Corners of the parents' squares, int64 [size / 2, squares + 1, 2]: upper row, left column.
    Images 2 i and 2 i + 1 lack squares 0 and 1 of parent i. None before `prepare`."""

    draws_parts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.size % 2:
            raise ValueError(f"size={self.size}: two images come of each parent; give an even size")
        if self.square > self.side:
            raise ValueError(f"square={self.square}: larger than the image, side={self.side}")
        in_a_row = (self.side + self.gap) // (self.square + self.gap)
        if self.squares + 1 > in_a_row**2:
            raise ValueError(
                f"squares={self.squares}: a parent has one more, and of square={self.square},"
                f" gap={self.gap} no more than {in_a_row**2} fit into side={self.side}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image: (1, side, side)."""
        return (1, self.side, self.side)

    @property
    def count(self) -> int:
        """How many images there are: `size`."""
        return self.size

    @property
    def corners(self) -> Tensor | None:
        """Of the squares of all images, int64 [size, squares, 2]; None before `prepare`."""
        return None if self.parents is None else self._corners(torch.arange(self.size))

    @property
    def points(self) -> Tensor | None:
        """All images [size, 1, side, side], float32, made anew at each call; None before
        `prepare`."""
        return None if self.parents is None else self.at(torch.arange(self.size))

    def prepare(self, rng: torch.Generator) -> Self:
        """A copy whose parents are drawn from `rng`.

        Raises `BadInput` where random placements hardly ever succeed.
        """
        return self._with(self._placed(rng, self.size // 2))

    def on(self, device: torch.device) -> Self:
        """A copy that makes its images on a device. Raises ValueError before `prepare`."""
        return self._with(self._prepared().to(device))

    def draw(
        self,
        rng: torch.Generator,
        n: int,
        real: Tensor | None = None,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """n images [n, 1, side, side], float32, where the set is; `real` is not used.

        Of the n those at the places `wanted` [k], ascending, if it is given. With `order: shuffle`
        each call begins a new permutation. Raises ValueError before `prepare`.
        """
        rows = choose(self.order, self.size, rng, n)
        return self.at(rows if wanted is None else rows[wanted])

    def at(self, rows: Tensor) -> Tensor:
        """The images at rows [n] of the set, [n, 1, side, side]. Raises ValueError before
        `prepare`."""
        return self._rendered(self._corners(rows))

    def fresh(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor:
        """n images [n, 1, side, side] of parents of their own; none of them is in the set.

        Raises `BadInput` where hardly any image is left.
        """
        found = torch.empty(0, self.squares, 2, dtype=torch.long, device=rng.device)
        tried = 0
        while len(found) < n:
            self._refuse_if_rare(len(found), tried, "images outside of the set")
            children = self._placed(rng, max(n - len(found), AT_ONCE))[:, 1:]
            found = torch.cat([found, children[self._unseen(children)]])
            tried += len(children)
        return self._rendered(found[:n])

    def combinations(self, rng: torch.Generator, n: int, wanted: Tensor | None = None) -> Tensor:
        """n images [n, 1, side, side] of D_com, Eq. 12: of a random parent's two children the AND
        or, with equal probability, the OR; squares - 1 or squares + 1 squares.

        Of the n those at the places `wanted` [k], ascending, if it is given. Raises ValueError
        before `prepare`.
        """
        parents = self._prepared()
        which = torch.randint(len(parents), (n,), generator=rng, device=rng.device)
        either = torch.rand(n, generator=rng, device=rng.device) < 0.5
        if wanted is not None:
            which, either = which[wanted], either[wanted]
        shown = torch.ones(len(which), self.squares + 1, dtype=torch.bool, device=parents.device)
        shown[:, :2] = either.to(parents.device)[:, None]
        return self._rendered(parents[which.to(parents.device)], shown)

    def intersections(self, most: int | None = None) -> Tensor:
        """The AND of each parent's children, images 2 i and 2 i + 1: [size / 2, 1, side, side].

        Those of the first `most` parents, if it is given. Raises ValueError before `prepare`.
        """
        return self._rendered(self._prepared()[:most, 2:])

    def unions(self, most: int | None = None) -> Tensor:
        """The OR of each parent's children, as `intersections` has their AND."""
        return self._rendered(self._prepared()[:most])

    def check(self, key: str, run: Run) -> None:
        """Raises `BadInput` for a batch that is larger than the set, unless it is drawn with
        replacement; and for a generator that reaches no further than half of the scale, where the
        images are the run's data."""
        if self.order == "shuffle":
            super().check(key, run)
        if run.dataset is self and (found := output_of(run)) is not None:
            name, output = found
            low, high = RANGES[output]
            if low > -1 or high < 1:
                raise BadInput(
                    f"{name}={output}: reaches no further than [{low:g}, {high:g}], and the pixels"
                    f" of {key} are -1 and 1; use {name}=tanh"
                )

    def _with(self, parents: Tensor) -> Self:
        changed = copy.copy(self)
        object.__setattr__(changed, "parents", parents)
        return changed

    def _prepared(self) -> Tensor:
        if self.parents is None:
            raise ValueError("the set must be prepared before it is drawn from")
        return self.parents

    def _corners(self, rows: Tensor) -> Tensor:
        parents = self._prepared()
        rows = rows.to(parents.device)
        others = torch.arange(2, self.squares + 1, device=rows.device).expand(len(rows), -1)
        kept = torch.cat([1 - rows[:, None] % 2, others], dim=1)
        return parents[rows[:, None] // 2, kept]

    def _rendered(self, corners: Tensor, shown: Tensor | None = None) -> Tensor:
        return rendered(corners, self.square, self.side, shown)

    def _placed(self, rng: torch.Generator, n: int) -> Tensor:
        """Corners of n parents [n, squares + 1, 2], uniform over what `gap` allows."""
        k, apart = self.squares + 1, self.square + self.gap
        found = torch.empty(0, k, 2, dtype=torch.long, device=rng.device)
        itself = torch.eye(k, dtype=torch.bool, device=rng.device)
        tried = 0
        while len(found) < n:
            self._refuse_if_rare(len(found), tried, f"placements of {k} squares")
            shape = (max(2 * (n - len(found)), AT_ONCE), k, 2)
            corners = torch.randint(
                self.side - self.square + 1, shape, generator=rng, device=rng.device
            )
            distance = (corners[:, :, None] - corners[:, None]).abs().amax(-1)
            found = torch.cat([found, corners[((distance >= apart) | itself).all(2).all(1)]])
            tried += len(corners)
        return found[:n]

    def _refuse_if_rare(self, found: int, tried: int, what: str) -> None:
        if tried >= ENOUGH_TRIES and found * RARE < tried:
            raise BadInput(
                f"dataset.squares={self.squares}, square={self.square}, gap={self.gap},"
                f" side={self.side}: {found} {what} in {tried} random tries; choose fewer or"
                " smaller squares, or a larger side"
            )

    def _unseen(self, corners: Tensor) -> Tensor:
        """Whether images [n, squares, 2] are none of the set, bool [n]."""
        if (own := self.corners) is None:
            return torch.ones(len(corners), dtype=torch.bool, device=corners.device)
        return ~torch.isin(self._number(corners), self._number(own.to(corners.device)))

    def _number(self, corners: Tensor) -> Tensor:
        """An integer for each image [n], whatever the order of its squares [n, squares, 2].

        Numbers of many squares wrap round: then two images may share one, which leaves out an image
        that is new.
        """
        places = (corners[..., 0] * self.side + corners[..., 1]).sort(1).values
        number = torch.zeros_like(places[:, 0])
        for place in places.unbind(1):
            number = number * (self.side**2 | 1) + place
        return number


def rendered(corners: Tensor, square: int, side: int, shown: Tensor | None = None) -> Tensor:
    """Images [n, 1, side, side], float32, of squares with these upper left corners [n, k, 2], row
    and column: 1 within a square, -1 elsewhere. `shown`, bool [n, k]: those that are drawn."""
    axis = torch.arange(side, device=corners.device)
    start = corners[..., None]
    inside = ((axis >= start) & (axis < start + square)).float()
    rows, columns = inside.unbind(2)
    if shown is not None:
        rows = rows * shown[..., None]
    on = rows.mT @ columns > 0  # how many squares cover a pixel
    return on.float().mul_(2).sub_(1)[:, None]
