"""What Slurm says: its commands, the jobs in its queue, and what a run's status says of its job."""

import re
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from gp_lab.errors import Exit, LabError
from gp_lab.runs.folder import State

PATIENCE = 60.0
"""Seconds that a command of Slurm may take to answer."""

PAUSES = (1.0, 3.0)
"""Seconds between two tries; Slurm kills a batch script soon after its run (KillWait, 30)."""

UNDER_WAY = (State.QUEUED, State.RUNNING, State.PREEMPTED)
"""States of a run whose job has more to do."""

REQUEUED = "; requeued"
"""The end of what a preempted run says when its job will go on with it."""

HELD = "HELD"
"""What `queue` says of a job that waits for nothing but `scontrol release`."""


class SlurmError(LabError):
    """Slurm did not answer, or refused."""


class Refused(SlurmError):
    """Slurm's own words, in one line."""

    status = Exit.BAD_INPUT


def slurm(*command: str) -> str:
    """The output of one of Slurm's commands. Raises `SlurmError` with what it says, in one line."""
    try:
        # In a session of its own: Ctrl-C is for this process, which may be submitting.
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, start_new_session=True
        )
    except FileNotFoundError as error:
        raise SlurmError(f"{command[0]}: not here; is this a machine of the cluster?") from error
    except subprocess.TimeoutExpired as error:
        raise SlurmError(f"{command[0]}: no answer within {PATIENCE:.0f} seconds") from error
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        said = "; ".join(line.removeprefix(f"{command[0]}: error: ") for line in lines)
        raise Refused(f"{command[0]}: {said or f'exit status {done.returncode}'}")
    return done.stdout.strip()


def patiently(*command: str) -> str:
    """`slurm`, tried again where its controller does not answer at once. Raises `SlurmError`."""
    for pause in PAUSES:
        with suppress(SlurmError):
            return slurm(*command)
        time.sleep(pause)
    return slurm(*command)


def queue(jobs: Iterable[str]) -> dict[str, str]:
    """The state of those of these jobs (`12_3`) that Slurm still has, or `HELD`.

    Raises `SlurmError`.
    """
    # What stands in a status.json is data: anything else is nobody's job.
    arrays = sorted({m[1] for job in jobs if (m := re.fullmatch(r"(\d+)(_\d+)?", job))})
    if not arrays:
        return {}
    try:
        text = slurm("squeue", "-h", "-r", "-j", ",".join(arrays), "-o", "%F_%K %F %T %r")
    except SlurmError as error:
        if "Invalid job id" in str(error):  # what squeue says when the last of them is gone
            return {}
        raise
    found = {}
    for line in text.splitlines():
        name, array, state, *reason = line.split(maxsplit=3)
        held = state == "PENDING" and reason == ["JobHeldUser"]
        found[array if name.endswith("_N/A") else name] = HELD if held else state
    return found


def waits_for_job(status: Mapping[str, Any]) -> bool:
    """Whether a run is under way as long as its job is in the queue."""
    return bool(status.get("job")) and status.get("state") in UNDER_WAY


def stopped_for_good(status: Mapping[str, Any]) -> bool:
    """Whether a run whose job is gone was stopped, and will not be requeued."""
    preempted = status.get("state") == State.PREEMPTED
    return preempted and not str(status.get("why", "")).endswith(REQUEUED)
