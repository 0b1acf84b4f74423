"""Runs to compare: of a small sweep, and of any config with any metrics."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from lab import config_of, once, overrides

import gp_lab
from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.runs.compare import Group
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.runs.identity import run_id

Make = Callable[..., RunFolder]


def _sweep(out: Path) -> None:
    sweep = ("penalty=none,one_gp", "seed=range(3)", "steps=4", "log_every=2", "checkpoint_every=4")
    probes = ("probe=[surface,held_out]", "probe.held_out.count=20", "compile=never")
    arguments = [o for o in overrides(*probes, f"out={out}") if not o.startswith("probe.samples")]
    assert main(["train", "-m", *arguments, *sweep]) == Exit.OK


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "sweep", _sweep)


@pytest.fixture
def sweep(trained: Path, tmp_path: Path) -> Path:
    """An output root with six runs of two penalties, to be changed at will."""
    return shutil.copytree(trained, tmp_path / "out")


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A run folder of this config and with these lines of metrics."""
    return maker(tmp_path)


def maker(out: Path) -> Make:
    """What makes run folders below `out`."""

    def one(
        *given: str,
        metrics: Sequence[dict[str, Any]] = (),
        state: State = State.FINISHED,
        step: int = 10,
    ) -> RunFolder:
        config = config_of(*given, f"out={out}")
        folder = RunFolder(out / "runs" / run_id(config))
        folder.create(config, run_id(config))
        folder.set_status(state, step=step)
        folder.append_metrics(metrics)
        return folder

    return one


def runs_of(out: Path, penalty: str) -> list[RunFolder]:
    return [run for run in find_runs(out) if run.config["penalty"]["name"] == penalty]


def group_of(out: Path, penalty: str) -> Group:
    (found,) = gp_lab.compare(out, [f"penalty={penalty}"])
    return found
