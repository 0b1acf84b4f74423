"""gp_lab: gradient penalties and generalisation in GANs, five papers as an executable edition."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gp_lab.training.load import LoadedRun

__all__ = ["load"]


def load(
    run: str | Path, step: int | None = None, trust: tuple[str, ...] = (), data: Sequence[str] = ()
) -> "LoadedRun":
    """A run's networks, metrics and arrays: see `gp_lab.training.load`.

    Imports PyTorch only when it is called.
    """
    from gp_lab.training.load import load as load_run

    return load_run(run, step, trust, data=data)
