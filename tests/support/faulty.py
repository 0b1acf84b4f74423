"""A loss that goes wrong: what `trust=[faulty]` admits in the tests."""

import os
import time
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from gp_lab.objectives.losses import Wasserstein


@dataclass(frozen=True)
class FaultyLoss(Wasserstein):
    """Wasserstein's; after `after` updates rank 1 has NaN or an error, or both ranks have one.

    While rank 1 has an error, rank 0 sleeps.
    """

    fault: str = "nan"
    after: int = 30
    seen: ClassVar[list[Any]] = []

    def phi(self, f: Tensor) -> Tensor:
        self.seen.append(None)
        if len(self.seen) <= self.after or self.fault == "none":
            return f
        second = "1" in (os.environ.get("RANK"), os.environ.get("SLURM_PROCID"))
        if self.fault == "errors" or (self.fault == "error" and second):
            raise ValueError("no such thing on this rank")
        if self.fault == "error":
            time.sleep(60)
        return f * float("nan") if second else f
