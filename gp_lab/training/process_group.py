"""Which of the processes of a run this one is: what torchrun, or Slurm, has told it."""

import multiprocessing
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

from gp_lab.errors import BadInput

LAST_WORD = 10.0
"""Seconds that a rank which has failed leaves the one that writes to say why."""


@dataclass(frozen=True)
class ProcessGroup:
    """Where a process stands among those of its run, and where they meet.

    agent: whether torchrun keeps the store there; otherwise rank 0 does.
    step: Slurm's name for the tasks that are the ranks, as `12.0`; empty under torchrun.
    """

    rank: int
    world: int
    local_rank: int
    local_world: int
    address: str
    port: int
    agent: bool = False
    step: str = field(default="", compare=False)


def process_group(environment: Mapping[str, str] = os.environ) -> ProcessGroup | None:
    """What torchrun, or Slurm for the tasks of one step, says; None for a process of its own.

    Raises `BadInput` where neither can be followed.
    """
    try:
        found = _from_torchrun(environment) or _from_slurm(environment)
    except (ValueError, KeyError) as error:
        raise BadInput(f"the launcher's environment cannot be read ({error!r})") from error
    if found is None or found.world == 1:
        return None
    if multiprocessing.parent_process() is not None:
        raise BadInput(
            f"{found.world} ranks: each of them trains in one process; use hydra/launcher=local"
            " with processes=1"
        )
    return found


def _from_torchrun(environment: Mapping[str, str]) -> ProcessGroup | None:
    if "RANK" not in environment or "WORLD_SIZE" not in environment:
        return None
    rank, world = int(environment["RANK"]), int(environment["WORLD_SIZE"])
    return ProcessGroup(
        rank,
        world,
        int(environment.get("LOCAL_RANK", rank)),
        int(environment.get("LOCAL_WORLD_SIZE", world)),
        environment["MASTER_ADDR"],
        int(environment["MASTER_PORT"]),
        environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
    )


def _from_slurm(environment: Mapping[str, str]) -> ProcessGroup | None:
    # SLURM_NTASKS is in a batch script's environment, too; only srun's tasks know of a step.
    tasks = environment.get("SLURM_STEP_NUM_TASKS") or environment.get("SLURM_NTASKS", "1")
    if "SLURM_STEP_ID" not in environment or int(tasks) == 1:
        return None
    job, step = int(environment["SLURM_JOB_ID"]), int(environment["SLURM_STEP_ID"])
    local = environment.get("SLURM_STEP_TASKS_PER_NODE", tasks)
    return ProcessGroup(
        int(environment["SLURM_PROCID"]),
        int(tasks),
        int(environment["SLURM_LOCALID"]),
        _tasks_here(local, int(environment.get("SLURM_NODEID", 0))),
        environment.get("MASTER_ADDR") or _first_host(environment),
        int(environment.get("MASTER_PORT") or 15_000 + (7 * job + step) % 15_000),
        step=f"{job}.{step}",
    )


def _tasks_here(counts: str, node: int) -> int:
    """Of Slurm's `4(x2),3`: tasks of the nodes in order."""
    each = []
    for word in counts.split(","):
        tasks, _, times = word.partition("(x")
        each += [int(tasks)] * int(times.rstrip(")") or 1)
    return each[node]


def _first_host(environment: Mapping[str, str]) -> str:
    """The node that rank 0 is on."""
    if environment.get("SLURM_STEP_NUM_NODES", environment.get("SLURM_JOB_NUM_NODES")) == "1":
        return "127.0.0.1"
    nodes = environment.get("SLURM_STEP_NODELIST") or environment["SLURM_JOB_NODELIST"]
    command = ["scontrol", "show", "hostnames", nodes]
    try:
        found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise BadInput(f"{' '.join(command)}: {error}; set MASTER_ADDR to rank 0's host") from error
    return found.stdout.split()[0]


def ended_beside(place: ProcessGroup, environment: Mapping[str, str] = os.environ) -> set[int]:
    """The ranks on this machine whose task has ended; none where Slurm did not start them."""
    if not place.step or "SLURM_GTIDS" not in environment:
        return set()
    try:
        command = ["scontrol", "listpids", place.step]
        said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        lines = [line.split() for line in said.stdout.splitlines()[1:]]
        alive = {int(words[4]) for words in lines if len(words) == 5 and words[4].isdigit()}
    except (OSError, subprocess.SubprocessError):
        return set()
    return set(map(int, environment["SLURM_GTIDS"].split(","))) - alive if alive else set()


def several() -> bool:
    """Whether this process is one of several ranks."""
    try:
        return process_group() is not None
    except BadInput:
        return False


def world() -> int:
    """How many ranks there are."""
    where = process_group() if several() else None
    return 1 if where is None else where.world


def quiet() -> bool:
    """Whether this process is a rank that leaves the talking to rank 0."""
    where = process_group() if several() else None
    return where is not None and where.rank > 0
