"""One rank's part of a batch that several ranks share, and what of the whole batch it can see."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Total = Callable[[Tensor], Tensor]
"""A tensor to its sum over the ranks: a new tensor, the same on each rank, without a gradient."""


@dataclass(frozen=True)
class Shard:
    """Samples begin..end of a batch, and the sum over the ranks that have the others.

    What is linear in the samples (a mean loss) a rank computes on its own part; `share` times it,
    summed over the ranks, is the batch's. What is not (a maximum, moments) is computed on each
    rank from what `gather` and `mean` tell of the whole batch. Their gradients flow through the
    rank's own samples alone, scaled so that there, too, `share` times the gradient, summed over
    the ranks, is the batch's: one sum at the end of a step serves both.
    """

    begin: int
    end: int
    batch: int
    total: Total

    @property
    def share(self) -> float:
        """Of the batch's samples."""
        return (self.end - self.begin) / self.batch

    @property
    def rows(self) -> slice:
        """Where this rank's samples stand in the batch."""
        return slice(self.begin, self.end)

    def gather(self, x: Tensor) -> Tensor:
        """Parts [m n, ...] of m batches, one after another, to the whole batches [m batch, ...]."""
        rest = x.shape[1:]
        own = x.reshape(-1, self.end - self.begin, *rest)
        known = own.detach()
        before = known.new_zeros(len(known), self.begin, *rest)
        after = known.new_zeros(len(known), self.batch - self.end, *rest)
        whole = self.total(torch.cat([before, known, after], dim=1))
        own = known + (own - known) / self.share
        whole = torch.cat([whole[:, : self.begin], own, whole[:, self.end :]], dim=1)
        return whole.reshape(-1, *rest)

    def mean(self, x: Tensor) -> Tensor:
        """The mean [...] over the whole batch, of this rank's part [n, ...].

        Not of what depends on a mean itself: the other ranks' samples do too, out of sight.
        """
        own = x.mean(0)
        known = own.detach()
        return self.total(self.share * known) + (own - known)

    def pick(self, x: Tensor, places: Tensor) -> Tensor:
        """Of the rows at `places` [k] in m whole batches those in this rank's part x [m n, ...].

        [k, ...], zero where the row is another rank's: the sum over the ranks has them all.
        """
        size = self.end - self.begin
        column = places % self.batch
        mine = (self.begin <= column) & (column < self.end)
        local = places // self.batch * size + (column - self.begin).clamp(0, size - 1)
        return torch.where(mine.reshape(-1, *[1] * (x.dim() - 1)), x[local], 0.0)

    def sum(self, x: Tensor) -> Tensor:
        """The sum over the ranks of a tensor of any shape, differentiable: so is its backward."""
        return _Sum.apply(x, self.total)


class _Sum(torch.autograd.Function):
    """y = x_1 + ... + x_ranks on each rank; what each rank's loss makes of y goes back to all."""

    @staticmethod
    def forward(x: Tensor, total: Total) -> Tensor:
        return total(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Total], output: Tensor) -> None:
        ctx.total = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Sum.apply(gradient.contiguous(), ctx.total), None


def part(batch: int, rank: int, world: int) -> tuple[int, int]:
    """Where a rank's samples begin and end; sizes differ by one at most."""
    return batch * rank // world, batch * (rank + 1) // world
