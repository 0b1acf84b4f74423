"""A real Slurm, runs that a test holds up in its jobs, and what a test asks it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from lab import (
    PATIENCE,
    last_step,
    wait_for,
)

from gp_lab.runs.folder import RunFolder, find_runs

ON_SLURM = (
    "hydra/launcher=slurm",
    "hydra.launcher.gpus_per_node=0",
    "hydra.launcher.cpus_per_task=1",
    "hydra.launcher.poll_s=1",
)
WAITING = """
import os, signal, time
from dataclasses import dataclass
import numpy as np
from gp_lab.probes.base import Probe

@dataclass(frozen=True)
class Waiting(Probe):
    '''Holds the run up at a step, in the first lives of its job, until it is asked to stop.'''
    def due(self, step, steps):  # asked in each life, also where it has measured in one before
        held, lives = map(int, os.environ.get("WAIT", "-1,0").split(","))
        stop = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        life = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        while step == held and life < lives and stop is not None and not stop.asked:
            time.sleep(0.05)
        return super().due(step, steps)

    def measure(self, view):
        return {"step": np.array(view.step)}
"""
HELD_UP = (
    "+probe.waiting._target_=waiting_part.Waiting",
    "+probe.waiting.every=10",
    "trust=[waiting_part]",
    "log_every=10",
    "compile=never",
)
"""A run that a part from outside gp_lab holds up until the test has done what it came for."""


@pytest.fixture
def slurm(
    needs_tool: Callable[[str], None], absent: Callable[[str], None], tmp_path: Path
) -> Iterator[None]:
    """A Slurm that answers and has a node for jobs; those that a test leaves are cancelled."""
    for tool in ("sbatch", "squeue", "scontrol", "srun"):
        needs_tool(tool)
    states = {state.rstrip("*~#!%$@^-+") for state in asked_of_slurm("sinfo", "-h", "-o", "%t")}
    if not {"idle", "mix", "alloc", "comp", "plnd"} & states:
        absent(f"a Slurm that answers (scripts/local_slurm.sh up; its nodes: {states})")
    yield
    left = [line.split("|") for line in asked_of_slurm("squeue", "-h", "-o", "%F|%o")]
    for job in {job for job, script in left if script.startswith(str(tmp_path))}:
        asked_of_slurm("scancel", job)


def asked_of_slurm(*command: str) -> list[str]:
    """The lines of an answer; none where no Slurm answers."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
        return [line.strip() for line in said.splitlines()]
    except subprocess.TimeoutExpired:
        return []


@pytest.fixture
def waiting_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a package of the user's own, which this process can import too."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "waiting_part.py").write_text(WAITING)
    monkeypatch.syspath_prepend(folder)
    yield folder
    sys.modules.pop("waiting_part", None)


def beside(folder: Path, wait: int = -1, lives: int = 1) -> dict[str, str]:
    """The environment of a command that finds a folder's modules.

    Its runs wait at a step, in so many lives of their job, until they are asked to stop.
    """
    paths = [str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "WAIT": f"{wait},{lives}",
    }


def runs_in(out: Path) -> dict[int, RunFolder]:
    """The runs below a folder by their seed."""
    return {folder.config["seed"]: folder for folder in find_runs(out / "runs")}


def submissions(out: Path) -> list[Path]:
    return [path for path in (out / "jobs").iterdir() if path.is_dir()]


def begun(out: Path, runs: int) -> bool:
    """Whether there are so many runs, each with a job."""
    found = runs_in(out).values()
    return len(found) == runs and all("job" in run.status for run in found)


def at_step(
    step: int,
    runs: dict[int, RunFolder],
    sweep: subprocess.Popen[str],
    act: Callable[[str], object],
) -> None:
    """Do something to every job as soon as one of its runs has come to a step."""
    told: set[str] = set()

    def there() -> set[str]:
        return {run.status["job"] for run in runs.values() if last_step(run) >= step} - told

    while told < set(jobs_of(runs).values()):
        until(there, sweep)
        for job in there():
            act(job)
            told.add(job)


def jobs_of(runs: dict[int, RunFolder]) -> dict[int, str]:
    return {seed: folder.status["job"] for seed, folder in runs.items()}


until = partial(wait_for, look=0.1)
"""Looks seldom, for the jobs need the cores."""


def cancel(job: str) -> None:
    subprocess.run(["scancel", job], check=True, timeout=PATIENCE)


def tell(job: str, name: str) -> None:
    subprocess.run(["scancel", f"--signal={name}", job], check=True, timeout=PATIENCE)


def process_of(job: str) -> int:
    """The process on this machine that trains the run of a job."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        array, _, task = job.partition("_")
        ours = {f"SLURM_ARRAY_JOB_ID={array}".encode(), f"SLURM_ARRAY_TASK_ID={task}".encode()}
        if b"gp_lab.launching.slurm_job" in words and b"run" in words and ours <= set(variables):
            found.append((b"srun" not in words[0], int(folder.name)))
    return max(found)[1]
