"""A probe that measures nothing: its score is a random number of the run's own, the same whenever
and however often a step is measured."""

import pytest
import torch

from gp_lab.probes.base import Arrays, View
from gp_lab.probes.modes import Modes

SCORED = ("probe=[modes]", "probe.modes.every=5", "compile=never", "log_every=20")


def _measure(self: Modes, view: View) -> Arrays:
    return {"w1": torch.rand(view.step + 1, generator=view.rng("scripted")).numpy()[-1]}


def _scalars(self: Modes, arrays: Arrays) -> dict[str, float]:
    return {"w1": float(arrays["w1"])}


def script(patch: pytest.MonkeyPatch) -> None:
    """While patched, `modes/w1` is such a number, and the only one of its probe."""
    patch.setattr(Modes, "measure", _measure)
    patch.setattr(Modes, "scalars", _scalars)


def scripted_process(rank: int = 0) -> None:
    """The same for a process of its own."""
    script(pytest.MonkeyPatch())
