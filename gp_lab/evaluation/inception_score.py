"""The Inception score from class probabilities, streamed over batches and ranks.

Salimans et al. 2016 ("Improved techniques for training GANs"); wgan_gp, Tables 2, 3
and 5; mu_wgan, Table 2; zero_gp, Fig. 4. It is an *Inception* score only
where the probabilities are those of `gp_lab.evaluation.inception`.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

SPLITS = 10
"""The papers' mean and standard deviation are over 10 splits of 50 000 samples."""


class Score(NamedTuple):
    """Mean over the splits and their standard deviation (over n, not n - 1, as in the papers)."""

    mean: float
    std: float


def splits_of(start: int, n: int, samples: int, splits: int = SPLITS) -> Tensor:
    """The split `[n]`, int64, of samples start .. start + n - 1 out of `samples` in all.

    Split i holds samples floor(i N / s) to floor((i + 1) N / s) - 1, as in the authors' code.
    Raises ValueError for a sample outside the whole, or for fewer samples than splits.
    """
    if not 1 <= splits <= samples:
        raise ValueError(f"{samples} samples in {splits} splits: none may be empty")
    if start < 0 or start + n > samples:
        raise ValueError(f"samples {start} to {start + n - 1} are not all among {samples}")
    index = torch.arange(start, start + n)
    return (splits * (index + 1) - 1) // samples


@dataclass(frozen=True)
class SplitSums:
    """Per split, sums over samples of p(y|x) and of p(y|x) log p(y|x); those of two parts add.

    count: samples `[splits]`; total: sums of probabilities `[splits, classes]`; negentropy: sums
    over samples and classes of p log p `[splits]`; all float64.
    """

    count: Tensor
    total: Tensor
    negentropy: Tensor

    @classmethod
    def none(cls, classes: int, splits: int = SPLITS, device: torch.device | str = "cpu") -> Self:
        """Of no samples at all: the start of a sum."""
        zeros = torch.zeros(splits * (2 + classes), dtype=torch.float64, device=device)
        return cls.from_flat(zeros, splits)

    @classmethod
    def of(cls, probabilities: Tensor, split: Tensor, splits: int = SPLITS) -> Self:
        """Of probabilities `[n, classes]` of samples in the splits `[n]` (from `splits_of`).

        Raises ValueError for shapes that do not match.
        """
        if probabilities.ndim != 2 or split.shape != probabilities.shape[:1]:
            raise ValueError(
                "probabilities [n, classes] and a split for each [n] wanted, got"
                f" {list(probabilities.shape)} and {list(split.shape)}"
            )
        p = probabilities.detach().double()
        split = split.to(p.device)
        empty = cls.none(p.shape[1], splits, p.device)
        return cls(
            empty.count.index_add(0, split, torch.ones_like(p[:, 0])),
            empty.total.index_add(0, split, p),
            empty.negentropy.index_add(0, split, -torch.special.entr(p).sum(1)),
        )

    def __add__(self, other: Self) -> Self:
        """Of both parts together. Raises ValueError if splits or classes differ."""
        if self.total.shape != other.total.shape:
            shapes = list(self.total.shape), list(other.total.shape)
            raise ValueError(f"sums over [splits, classes] of {shapes} do not add")
        return type(self)(
            self.count + other.count,
            self.total + other.total,
            self.negentropy + other.negentropy,
        )

    def flat(self) -> Tensor:
        """Everything in one vector, for one all-reduce."""
        return torch.cat([self.count, self.negentropy, self.total.flatten()])

    @classmethod
    def from_flat(cls, flat: Tensor, splits: int = SPLITS) -> Self:
        """The inverse of `flat`."""
        return cls(flat[:splits], flat[2 * splits :].view(splits, -1), flat[splits : 2 * splits])

    def of_each_split(self) -> Tensor:
        """exp(E_x KL(p(y|x) || p(y))) of each split `[splits]`; NaN where a split has no sample."""
        marginal = self.total / self.count[:, None]
        mutual = self.negentropy / self.count + torch.special.entr(marginal).sum(1)
        return mutual.exp()


def inception_score(sums: SplitSums) -> Score:
    """Mean and standard deviation over the splits; NaN where one has no sample or is not finite."""
    each = sums.of_each_split()
    return Score(each.mean().item(), each.std(correction=0).item())
