"""Distributions on straight lines: supports without area (`lipschitz`, sec. 3.2)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gp_lab.data.distribution import Distribution, Point
from gp_lab.instantiate import Checked


@dataclass(frozen=True)
class UniformSegment(Checked, Distribution):
    """Uniform between two points; no density in the plane (lipschitz, sec. 3.2).

    Args:
        start, end: points of as many coordinates. Raises ValueError where their numbers differ.
    """

    start: Point = (0.0, 0.0)
    end: Point = (0.0, 1.0)

    def __post_init__(self) -> None:
        if not self.start or len(self.start) != len(self.end):
            raise ValueError(
                f"start, end: {len(self.start)} and {len(self.end)} coordinates; give as many, > 0"
            )

    @property
    def dim(self) -> int:
        return len(self.start)

    def sample(self, rng: torch.Generator, n: int) -> Tensor:
        start, end = torch.tensor([self.start, self.end], device=rng.device)
        return start + torch.rand(n, 1, generator=rng, device=rng.device) * (end - start)
