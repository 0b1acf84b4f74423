"""gp_lab: gradient penalties and generalisation in GANs, five papers as an executable edition."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gp_lab.runs.compare import Group
    from gp_lab.training.load import LoadedRun

__all__ = ["compare", "load"]


def compare(root: str | Path, only: Sequence[str] = ()) -> "list[Group]":
    """The runs below a folder in groups that differ in more than the seed, with means, 95 %
    intervals and counts of states; `only=["dataset=mnist"]` selects: see `gp_lab.runs.compare`.
    """
    from gp_lab.runs.compare import compare as compare_runs

    return compare_runs(root, only)


def load(
    run: str | Path, step: int | None = None, trust: tuple[str, ...] = (), data: Sequence[str] = ()
) -> "LoadedRun":
    """A run's networks, metrics and arrays: see `gp_lab.training.load`.

    Imports PyTorch only when it is called.
    """
    from gp_lab.training.load import load as load_run

    return load_run(run, step, trust, data=data)
