"""Many runs on a Slurm cluster: an array of jobs, each of them a run or a stack of runs.

At submission every run's resolved config is written into its folder, which says `queued`; a job is
given the names of folders and trains what is written there (`gp_lab/launching/slurm_job.py`). How a
run stands is read from `status.json`, whether its job lives from `squeue`; no accounting is needed.
"""

import json
import secrets
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from gp_lab.errors import BadInput, Exit, LabError, counted
from gp_lab.launching.local import (
    Preempted,
    Stopped,
    checked_setups,
    groups,
    left_to_train,
    outcomes_of,
    unfinished,
)
from gp_lab.launching.sbatch import Jobs, batch_script, check_size
from gp_lab.launching.squeue import (
    HELD,
    UNDER_WAY,
    SlurmError,
    queue,
    slurm,
    stopped_for_good,
    waits_for_job,
)
from gp_lab.launching.watching import Pace, watch
from gp_lab.runs.folder import RunFolder, State, writing_to
from gp_lab.runs.identity import Config, folder_of, run_id
from gp_lab.runs.lock import LOCK
from gp_lab.runs.result import RunResult
from gp_lab.training.data import identified
from gp_lab.training.stopping import Stop, listening


class Submitted(LabError):
    """No failure: the runs were handed to Slurm, and nobody waits for them."""

    status = Exit.OK


def train_on_slurm(configs: Sequence[Config], jobs: Jobs) -> list[RunResult]:
    """Submit what is not finished and not under way; the results in the order of the configs.

    Raises `BadInput` for a config that can never run, `SlurmError` if Slurm refuses, before
    anything is written; `Submitted` after submitting with wait=false; `Stopped` when jobs were
    cancelled, or when a signal ended the waiting (the jobs go on).
    """
    configs = identified(configs)
    todo, before = left_to_train(configs)
    if todo:
        check_size(todo, jobs)
        _need_slurm()
        new = _left(todo)
        # The nodes have the GPUs; what can be checked without one is checked here.
        checked_setups([c | {"device": "cpu"} for c in new])
        with _in_turn(Path(todo[0]["out"]).resolve()):
            new = _left(new)  # others may have submitted them since
            for config in new:
                with locked(RunFolder(folder_of(config))):
                    pass
            job = submit(groups(new, jobs.stack), jobs) if new else ""
        if new:
            print(_submission(groups(new, jobs.stack), len(todo), job, jobs), file=sys.stderr)
        if not jobs.wait:
            raise Submitted(
                f"{counted(len(todo), 'run')} in the hands of Slurm{f', job {job}' if job else ''};"
                f" gp-lab status {todo[0]['out']} shows them, the same command goes on with"
                " what they leave"
            )
        _wait(todo, jobs)
    results = outcomes_of(configs, before)
    states = [result.state for result in results]
    if State.INTERRUPTED in states and State.FAILED not in states:
        cancelled = f"{states.count(State.INTERRUPTED)} of {counted(len(states), 'run')}"
        raise Stopped(f"cancelled: {cancelled}; the same command goes on from there")
    return results


def submit(batches: Sequence[Sequence[Config]], jobs: Jobs) -> str:
    """Queue one array of jobs, a batch each, and freeze the runs' configs; the array's job id.

    The array is held until every run's folder is written, and cancelled if that fails. Until it is
    released this process has locked the submission's folder; the lock's file tells a submission
    that was broken off. Raises `SlurmError`; `Stopped` if a signal came.
    """
    out = Path(batches[0][0]["out"]).resolve()
    folder = out / "jobs" / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    paths = [[folder_of(config) for config in batch] for batch in batches]
    with writing_to(out):
        folder.mkdir(parents=True)
        names = [[path.name for path in batch] for batch in paths]
        (folder / "runs.json").write_text(json.dumps(names, indent=1) + "\n")
        script = folder / "batch.sh"
        script.write_text(batch_script(folder, len(batches), batches[0][0]["trust"], jobs))
    with listening() as stop, locked(RunFolder(folder)):
        try:
            job = slurm("sbatch", "--parsable", "--hold", str(script)).split(";")[0]
        except SlurmError:
            shutil.rmtree(folder)
            raise
        try:
            for i, (batch, of_batch) in enumerate(zip(batches, paths, strict=True)):
                for config, path in zip(batch, of_batch, strict=True):
                    if stop.asked:
                        raise _stopped(stop, f"array {job} is cancelled; the same command submits")
                    freeze(config, RunFolder(path), f"{job}_{i}")
            slurm("scontrol", "release", job)
        except BaseException:
            slurm("scancel", job)
            raise
        (folder / LOCK).unlink()
    if stop.asked:
        raise _stopped(stop, _go_on([job]))
    return job


def _stopped(stop: Stop, then: str) -> Stopped:
    kind = Preempted if stop.state == State.PREEMPTED else Stopped
    return kind(f"{stop.why}: {then}")


def _go_on(jobs: Iterable[str]) -> str:
    return (
        f"nobody waits any more, but the jobs go on; scancel {' '.join(jobs)} ends them, the same"
        " command waits again"
    )


def freeze(config: Config, folder: RunFolder, job: str) -> None:
    """Write a run's config into its folder, which then is `queued` for a job.

    A run that has begun keeps what it has; one that had been extended keeps its steps.
    """
    with writing_to(config["out"]):
        folder.path.mkdir(parents=True, exist_ok=True)
    frozen = config | {"force": False}  # else a requeued job would start over
    with locked(folder):
        if config["force"] or not folder.exists:
            folder.clear()
            folder.create(frozen, run_id(config))
            folder.set_status(State.QUEUED, started_over=config["force"])  # W&B's run is another
        else:
            folder.write_config(frozen | {"steps": max(config["steps"], folder.config["steps"])})
        folder.set_status(State.QUEUED, why="", job=job)


@contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Raises `LabError` if a process trains the run; a folder that is not there needs no lock."""
    if folder.path.is_dir():
        folder.lock()
    try:
        yield
    finally:
        folder.unlock()


def _alive(configs: Sequence[Config]) -> set[Path]:
    """The folders of the runs that a job has or will have in hand.

    Jobs whose submission was broken off are none: they are cancelled.
    """
    paths = [folder_of(config) for config in configs]
    statuses = {path: RunFolder(path).status for path in paths}
    jobs = {path: str(status["job"]) for path, status in statuses.items() if waits_for_job(status)}
    known = queue(jobs.values())
    outs = {(Path(config["out"]) / "jobs").resolve() for config in configs}
    suspects = {job.partition("_")[0] for job in jobs.values() if known.get(job) == HELD}
    broken = {array for array in suspects if _broken_off(array, outs)}
    for array in broken:
        slurm("scancel", array)
    return {p for p, job in jobs.items() if job in known and job.partition("_")[0] not in broken}


def _left(configs: Sequence[Config]) -> list[Config]:
    """Those that no job has in hand and that are not finished: in this order, for jobs go on."""
    alive = _alive(configs)
    return [config for config in unfinished(configs) if folder_of(config) not in alive]


@contextmanager
def _in_turn(out: Path) -> Iterator[None]:
    """One submission below `out` at a time: two at once would submit the same runs."""
    lock = FileLock(out / "jobs" / LOCK, poll_interval=0.5, fallback_to_soft=False)
    with writing_to(out):
        try:
            lock.acquire(blocking=False)
        except Timeout:
            print(f"gp-lab: waiting: another command submits runs below {out}", file=sys.stderr)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _broken_off(array: str, outs: Iterable[Path]) -> bool:
    """Whether a held array is of a submission below `outs` whose process died before its release.

    What its user has held later, or is no array of ours, is not.
    """
    script = Path(slurm("squeue", "-h", "-j", array, "-o", "%o").partition("\n")[0])
    folder = RunFolder(script.parent)
    ours = script.name == "batch.sh" and folder.path.parent in outs
    return ours and (folder.path / LOCK).exists() and not folder.taken


def _need_slurm() -> None:
    if missing := [name for name in ("sbatch", "squeue", "scontrol") if not shutil.which(name)]:
        raise BadInput(
            f"hydra/launcher=slurm: there is no {missing[0]} here; submit on a machine of the"
            " cluster, or train on this one with hydra/launcher=replicas"
        )


def _submission(batches: Sequence[Sequence[Config]], todo: int, job: str, jobs: Jobs) -> str:
    count, most = sum(map(len, batches)), max(map(len, batches))
    stacks = f" of up to {most} runs" if most > 1 else ""
    more = f"; {todo - count} more are under way already" if todo > count else ""
    cap = f", {jobs.array_parallelism} at a time" if len(batches) > jobs.array_parallelism else ""
    return (
        f"{counted(count, 'run')} submitted as array {job}: {counted(len(batches), 'job')}"
        f"{stacks}{cap}{more}"
    )


def _wait(configs: Sequence[Config], jobs: Jobs) -> None:
    """Until no run is under way. A run whose job is gone has failed, and says so."""
    folders = [RunFolder(folder_of(config)) for config in configs]
    missed: set[Path] = set()
    looked, pace = float("-inf"), Pace()

    with listening() as stop:

        def over() -> bool:
            nonlocal missed, looked
            if stop.asked or not pace.due:
                return stop.asked
            with pace.looking():
                going = [f for f in folders if _under_way(f)]
            if going and time.monotonic() - looked >= jobs.poll_s:
                missed = _mark_lost(going, missed)
                looked = time.monotonic()
            return not going

        watch(configs, over)
    if stop.asked:
        ids = sorted({str(f.status.get("job")).partition("_")[0] for f in folders})
        raise _stopped(stop, _go_on(ids))


def _under_way(folder: RunFolder) -> bool:
    """Whether it may be; a file that cannot be read may just have been replaced, on a network's
    disk: one that is damaged is named at the next look at the queue."""
    try:
        return folder.state in UNDER_WAY
    except LabError:
        return True


def _mark_lost(going: Sequence[RunFolder], missed: set[Path]) -> set[Path]:
    """Ends the runs whose job was gone at the last look too; those of which it is gone now."""
    jobs = {folder.path: str(folder.status.get("job")) for folder in going}
    try:
        held = queue(jobs.values())
    except SlurmError as error:  # its controller may be restarting
        print(f"gp-lab: {error}; looking again", file=sys.stderr)
        return missed
    gone = {path for path, job in jobs.items() if job not in held}
    for folder in going:
        if folder.path in gone & missed:
            status, job = folder.status, f"job {jobs[folder.path]} is gone from the queue"
            if stopped_for_good(status):  # Slurm killed the job before it could be cancelled
                fail(folder, f"{status['why']}; {job}", State.INTERRUPTED)
            else:
                fail(folder, f"{job} and left no word")
    return gone


def fail(folder: RunFolder, why: str, state: State = State.FAILED) -> None:
    """End a run that nobody trains any more; one that somebody trains is left alone."""
    try:
        with locked(folder):
            if folder.state in UNDER_WAY:
                folder.set_status(state, why=why)
    except LabError as error:
        print(f"gp-lab: {error}", file=sys.stderr)
