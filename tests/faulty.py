"""A loss that goes wrong on one rank: what `trust=[faulty]` admits in the tests."""

import os
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from gp_lab.objectives.losses import Wasserstein


@dataclass(frozen=True)
class FaultyLoss(Wasserstein):
    """Wasserstein's; on rank 1, after `after` updates, NaN or an error."""

    fault: str = "nan"
    after: int = 30
    seen: ClassVar[list[Any]] = []

    def phi(self, f: Tensor) -> Tensor:
        self.seen.append(None)
        rank = os.environ.get("RANK") or os.environ.get("SLURM_PROCID")
        if rank == "1" and len(self.seen) > self.after:
            if self.fault == "error":
                raise ValueError("no such thing on this rank")
            return f * float("nan")
        return f
