"""A supply of samples that is endless, or a finite set that is drawn once from one."""

import copy
from abc import abstractmethod
from typing import Self

import torch
from torch import Tensor

from gp_lab.data.base import Dataset, check_batch_size
from gp_lab.instantiate import Run


class Supply(Dataset):
    """Base of data sets whose samples `fresh` makes: anew for each batch, or `size` of them once.

    Derived classes are dataclasses with fields `size`, `order` and `points`. Raises ValueError for
    `shuffle` without `size`.
    """

    @property
    @abstractmethod
    def size(self) -> int | None:
        """Of the finite set; None for new samples in every batch."""

    @property
    @abstractmethod
    def order(self) -> str:
        """Of a finite set, `replacement` (each sample of a batch is any of them) or `shuffle`
        (random permutations, one after another)."""

    def __post_init__(self) -> None:
        if self.size is None and self.order == "shuffle":
            raise ValueError("order=shuffle: an endless supply (size=null) has no order; give size")

    def prepare(self, rng: torch.Generator) -> Self:
        """A copy that holds its finite set, drawn from `rng`; itself if the supply is endless."""
        if self.size is None:
            return self
        prepared = copy.copy(self)
        object.__setattr__(prepared, "points", self.fresh(rng, self.size))
        return prepared

    def draw(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor:
        """n samples [n, *shape], float32, on the device of `rng`; `real` is not used.

        With `order: shuffle` each call begins a new permutation, goes on to the next where n is
        larger than the set, and breaks off after n. Raises ValueError for a finite set that was
        not prepared.
        """
        if self.size is None:
            return self.fresh(rng, n)
        if self.points is None:
            raise ValueError(
                f"a finite set (size={self.size}) must be prepared before it is drawn from"
            )
        if self.order == "replacement":
            which = torch.randint(self.size, (n,), generator=rng, device=rng.device)
        else:
            keys = torch.rand(
                -(-n // self.size), self.size, generator=rng, device=rng.device, dtype=torch.float64
            )
            which = keys.argsort(1).flatten()[:n]
        return self.points.to(rng.device)[which]

    @abstractmethod
    def fresh(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor:
        """n new samples [n, *shape] of what is behind a finite set, for held-out scores."""

    def check(self, key: str, run: Run) -> None:
        check_batch_size(key, self.size, run, f", or {key}.size=null for endless samples")
        super().check(key, run)
