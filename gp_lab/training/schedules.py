"""Learning rates over time: constant, two time scales (TTUR), linear decay, annealing, 1/t.

A schedule multiplies the optimiser's `lr`. It is read on the host once a block of iterations, so
it costs nothing in the step; its horizon is a key of its own (`over`), so that extending a run
does not change the rates it has already used.
"""

from dataclasses import dataclass
from typing import Literal

from gp_lab.fields import Positive, Steps
from gp_lab.instantiate import Checked


@dataclass(frozen=True)
class Schedule(Checked):
    """lr of D at iteration t (from 0): lr * d_ratio * shape(t); of G: lr * shape(t).

    Args:
        shape: constant 1; linear max(0, 1 - t/over); step factor^floor(t/over);
            inverse 1/(t + 1) (anomalous, Theorem 2).
        d_ratio: the two time-scale update rule, lr of D over lr of G (zero_gp, App. E: 3).
        over: iterations of the decay, or between two steps of the annealing.
        factor: of one annealing step.
    """

    shape: Literal["constant", "linear", "step", "inverse"] = "constant"
    d_ratio: Positive = 1.0
    over: Steps = 100_000
    factor: Positive = 0.1

    def __call__(self, iteration: int) -> float:
        """The multiplier that G and D share, in [0, 1] for factor <= 1."""
        if self.shape == "linear":
            return max(0.0, 1 - iteration / self.over)
        if self.shape == "step":
            return self.factor ** (iteration // self.over)
        if self.shape == "inverse":
            return 1 / (iteration + 1)
        return 1.0
