"""A loss and a probe that go wrong: what `trust=[faulty]` admits in the tests."""

import os
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from gp_lab.objectives.losses import Wasserstein
from gp_lab.probes.base import View
from gp_lab.probes.plane import ValueSurface


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


@dataclass(frozen=True)
class FaultySurface(ValueSurface):
    """A value surface that the rank `FAULTY_RANK` of the environment cannot measure."""

    def measure(self, view: View) -> dict[str, np.ndarray]:
        if os.environ.get("FAULTY_RANK") == os.environ.get("RANK", "0"):
            raise ValueError("nothing to be seen on this rank")
        return super().measure(view)
