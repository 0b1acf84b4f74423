"""What runs inside a Slurm job: `run` in every task, then `ended` in the batch script.

    python -m gp_lab.launching.slurm_job run FOLDER [trust=PACKAGE,...]
    python -m gp_lab.launching.slurm_job ended FOLDER STATUS

FOLDER is that of a submission (`OUT/jobs/...`): its `runs.json` names the run folders of each job
of the array. `run` trains the configs that it finds there; they are data, so what they say of trust
does not count. `ended` looks at what was left: a job that was preempted or ran into its limit is
requeued, unless it made no progress since it was requeued last; one that was cancelled is not; one
that died has failed.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gp_lab.errors import BadInput, Exit, LabError
from gp_lab.launching.squeue import (
    REQUEUED,
    UNDER_WAY,
    SlurmError,
    patiently,
    stopped_for_good,
)
from gp_lab.runs.folder import RunFolder, State
from gp_lab.terminal import guarded_streams, open_standard_streams
from gp_lab.training.process_group import LAST_WORD, quiet, several
from gp_lab.training.stopping import SIGNALS, Stop, StoppedEarly, listen, slurm_job

ENDED_BY = {128 + n for n in SIGNALS if n != signal.SIGINT}
"""Exit statuses of a process that a signal ended before it could listen."""


def run(submission: Path, trust: Sequence[str]) -> Exit:
    """Train the runs of this job, from where they stand: the tasks of a step are the ranks."""
    stop = Stop()
    listen(stop.press)
    first = not quiet()
    if not first:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # its errors' C++ traces

    from gp_lab.launching.local import groups
    from gp_lab.launching.slurm import locked
    from gp_lab.runs import checkpoint
    from gp_lab.runs.identity import run_hash
    from gp_lab.runs.result import result_of
    from gp_lab.training.trainer import train

    folders = runs_of(submission)
    trained, failed = [], False
    for folder in folders:
        if first:
            saved = checkpoint.steps(folder)
            entries = {"job": slurm_job(), "began": saved[-1] if saved else 0}
            with suppress(LabError), locked(folder):  # `train` says so if another trains it
                folder.set_status(folder.state or State.QUEUED, **entries)
        trained.append(folder.found_config | {"trust": list(trust)})
    where = {run_hash(c): f for c, f in zip(trained, folders, strict=True)}
    for batch in groups(trained, len(trained), where=lambda c: where[run_hash(c)].path):
        of_batch = [where[run_hash(config)] for config in batch]
        # A rank does not end by itself: the others would wait for it. In `train` all agree.
        if stop.asked and not several():
            break
        try:
            if any(end.stopped for end in train(batch, of_batch, progress=False, stop=stop)):
                break
        except StoppedEarly:
            break
        except Exception as error:
            traceback.print_exc()
            failed = True
            if first:
                _fail(of_batch, str(error) if isinstance(error, LabError) else repr(error))
    if not first:
        return _leave(folders, failed)
    ends = [result_of(folder) for folder in folders]
    print(*ends, sep="\n")
    if stop.asked:
        return Exit.INTERRUPTED if stop.state == State.INTERRUPTED else Exit.PREEMPTED
    return Exit.FAILED if State.FAILED in [end.state for end in ends] else Exit.OK


def _leave(folders: Sequence[RunFolder], failed: bool) -> Exit:
    """The status of a rank that does not write; srun kills the others if it is not 0."""
    end = time.monotonic() + LAST_WORD
    while failed and time.monotonic() < end and any(f.state in UNDER_WAY for f in folders):
        time.sleep(0.2)
    return Exit.FAILED if failed else Exit.OK


def ended(submission: Path, status: int) -> int:
    """Decide what becomes of the runs that this job leaves unfinished; the job's exit status."""
    from gp_lab.launching.sbatch import log_of
    from gp_lab.launching.slurm import fail

    job = slurm_job() or ""
    folders = runs_of(submission)
    left = [folder for folder in folders if folder.state in UNDER_WAY]
    if not left:
        return status
    # What the run itself says comes first: srun gives the highest status of its tasks, and those
    # that it kills when the first one leaves have a higher one.
    told = any(stopped_for_good(folder.status) for folder in left)
    by_hand = status == Exit.INTERRUPTED or State.INTERRUPTED in {f.state for f in folders}
    if not (told or by_hand or status in (Exit.PREEMPTED, *ENDED_BY)):
        log = log_of(submission, job)
        for folder in left:
            fail(folder, f"its job {job} ended with status {_named(status)}; see {log}")
    elif by_hand or _cancelled(job):
        for folder in left:
            fail(folder, f"its job {job} was cancelled", State.INTERRUPTED)
    elif int(os.environ.get("SLURM_RESTART_COUNT", "0")) > 0 and not progress(folders):
        for folder in left:
            step = folder.status["step"]
            fail(
                folder,
                f"no progress between two requeues: job {job} was stopped at step {step} again;"
                " it needs longer than its limit leaves (hydra.launcher.timeout_min)",
            )
    else:
        for folder in left:
            if folder.state != State.QUEUED:
                folder.set_status(State.PREEMPTED, why=_why(folder) + REQUEUED)
        try:
            patiently("scontrol", "requeue", job)
        except SlurmError as error:
            for folder in left:
                fail(folder, f"job {job} could not be requeued: {error}")
    return status


def runs_of(submission: Path) -> list[RunFolder]:
    """The run folders of this job of the array. Raises `BadInput` for a list that leads outside."""
    names = json.loads((submission / "runs.json").read_text())
    found = []
    for name in names[int(os.environ.get("SLURM_ARRAY_TASK_ID", "0"))]:
        if not isinstance(name, str) or name in ("", "..") or Path(name).name != name:
            raise BadInput(f"{submission / 'runs.json'}: {name!r} is not the name of a run")
        found.append(RunFolder(submission.parent.parent / "runs" / name))
    return found


def _cancelled(job: str) -> bool:
    """Whether Slurm is taking the job down because somebody said so.

    A job that is signalled, or preempted with time to spare, is still running; one that ran out of
    time has that as a reason; one that Slurm requeues by itself shows its next life beside it.
    """
    try:
        shown = patiently("scontrol", "show", "job", "--oneliner", job)
    except SlurmError as error:
        print(f"gp-lab: {error}; taken for not cancelled", file=sys.stderr)
        return False
    state, reason, preempted = (
        match[1] if (match := re.search(rf"\b{key}=(\S+)", shown)) else "None"
        for key in ("JobState", "Reason", "PreemptTime")
    )
    again = "JobState=PENDING" in shown
    return state in ("COMPLETING", "CANCELLED") and (reason, preempted, again) == (
        "None",
        "None",
        False,
    )


def progress(folders: Sequence[RunFolder]) -> bool:
    """Whether any run has come further than where this life of its job began."""
    return any(f.status["step"] > f.status.get("began", 0) for f in folders)


def _why(folder: RunFolder) -> str:
    return folder.status.get("why") or "stopped while it started"


def _named(status: int) -> str:
    """137 (SIGKILL)"""
    try:
        return f"{status} ({signal.Signals(status - 128).name})"
    except ValueError:
        return str(status)


def _fail(folders: Sequence[RunFolder], why: str) -> None:
    from gp_lab.launching.slurm import fail

    for folder in folders:
        fail(folder, why)


def main(arguments: Sequence[str]) -> int:
    verb, folder, *rest = arguments
    if verb == "ended":
        return ended(Path(folder), int(rest[0]))
    trust = [name for word in rest for name in word.removeprefix("trust=").split(",")]
    if not several():
        return run(Path(folder), trust)

    from gp_lab.training.distributed import others_told

    with others_told():
        return run(Path(folder), trust)


if __name__ == "__main__":
    open_standard_streams()
    with guarded_streams():
        try:
            done = main(sys.argv[1:])
        except (LabError, OSError, subprocess.SubprocessError) as problem:
            print(f"gp-lab: {problem}", file=sys.stderr)
            done = Exit.FAILED
    sys.exit(done)
