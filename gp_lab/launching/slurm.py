"""Many runs on a Slurm cluster: an array of jobs, each of them a run or a stack of runs.

At submission every run's resolved config is written into its folder, which says `queued`; a job is
given the names of folders and trains what is written there (`gp_lab/launching/job.py`). The batch
script is submitit's, from the keys of hydra-submitit-launcher; the command in it is ours instead of
a pickle and submitit's signal handlers, which take a preemption for a time-out in short jobs and
raise in the middle of a step. How a run stands is read from `status.json`, whether its job lives
from `squeue`; no accounting is needed.
"""

import json
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gp_lab.errors import BadInput, Exit, LabError, counted
from gp_lab.launching.local import (
    Preempted,
    Stopped,
    checked_setups,
    groups,
    left_to_train,
    outcomes_of,
    unfinished,
    watch,
)
from gp_lab.parts import Count, CountOrZero
from gp_lab.runs.folder import RunFolder, State, writing_to
from gp_lab.runs.identity import Config, folder_of, run_id
from gp_lab.runs.lock import LOCK, Taken
from gp_lab.runs.outcome import Outcome
from gp_lab.training.data import identified
from gp_lab.training.stopping import Stop, listening

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


class Submitted(LabError):
    """No failure: the runs were handed to Slurm, and nobody waits for them."""

    status = Exit.OK


@dataclass(frozen=True)
class Jobs:
    """What each job asks of Slurm, and what it holds.

    Args:
        partition, account, qos, constraint, exclude, comment, gres: as `sbatch` takes them.
        nodes, tasks_per_node: a job's ranks.
        gpus_per_node, cpus_per_task, mem_gb: its share of a node.
        timeout_min: the limit of one job, minutes; a run that needs longer is requeued.
        signal_delay_s: seconds before the limit at which it is told.
        array_parallelism: jobs at the same time.
        setup: lines of the shell before the run.
        additional_parameters: other options of `sbatch`.
        stack: the most runs of one job; runs of one structure are trained as one stack.
        wait: false returns after submitting.
        poll_s: seconds between two looks at the queue.
    """

    name: str = "gp_lab"
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    comment: str | None = None
    gres: str | None = None
    nodes: Count = 1
    tasks_per_node: Count = 1
    gpus_per_node: CountOrZero | None = None
    cpus_per_task: Count | None = None
    mem_gb: Count | None = None
    timeout_min: Count = 240
    signal_delay_s: Count = 120
    array_parallelism: Count = 64
    setup: tuple[str, ...] = ()
    additional_parameters: Mapping[str, Any] = field(default_factory=dict)
    stack: Count = 1
    wait: bool = True
    poll_s: Count = 10


def train_on_slurm(configs: Sequence[Config], jobs: Jobs) -> list[Outcome]:
    """Submit what is not finished and not under way; the outcomes in the order of the configs.

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
    outcomes = outcomes_of(configs, before)
    states = [outcome.state for outcome in outcomes]
    if State.INTERRUPTED in states and State.FAILED not in states:
        cancelled = f"{states.count(State.INTERRUPTED)} of {counted(len(states), 'run')}"
        raise Stopped(f"cancelled: {cancelled}; the same command goes on from there")
    return outcomes


def check_size(configs: Sequence[Config], jobs: Jobs) -> None:
    """Raises `BadInput` for what no job of this size can train."""
    outs = list(dict.fromkeys(config["out"] for config in configs))
    if len(outs) > 1:
        raise BadInput(f"out={','.join(outs)}: one sweep on Slurm has one folder for its runs")
    ranks = jobs.nodes * jobs.tasks_per_node
    tasks = f"hydra.launcher.tasks_per_node={jobs.tasks_per_node}"
    if jobs.stack > 1 and ranks > 1:
        raise BadInput(
            f"hydra.launcher.stack={jobs.stack}: the {ranks} ranks of a job train one run at a"
            " time; use stack=1, or nodes=1 and tasks_per_node=1"
        )
    if jobs.gpus_per_node and jobs.tasks_per_node > jobs.gpus_per_node:
        raise BadInput(
            f"{tasks}: more ranks than hydra.launcher.gpus_per_node={jobs.gpus_per_node}; each"
            " rank needs a GPU of its own"
        )
    if jobs.signal_delay_s >= 60 * jobs.timeout_min:
        raise BadInput(
            f"hydra.launcher.signal_delay_s={jobs.signal_delay_s}: as long as the whole job,"
            f" which hydra.launcher.timeout_min={jobs.timeout_min} limits to"
            f" {60 * jobs.timeout_min} seconds"
        )
    if (least := min(config["batch_size"] for config in configs)) < ranks:
        raise BadInput(
            f"batch_size={least}: fewer samples than the {ranks} ranks of a job; use at least"
            f" {ranks}, or fewer hydra.launcher.nodes or hydra.launcher.tasks_per_node"
        )


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
        else:
            folder.write_config(frozen | {"steps": max(config["steps"], folder.config["steps"])})
        folder.set_status(State.QUEUED, why="", job=job)


def batch_script(folder: Path, count: int, trust: Sequence[str], jobs: Jobs) -> str:
    """The batch script of an array of `count` jobs: submitit's, with the lab's own command."""
    from submitit import SlurmExecutor

    command = f"{shlex.quote(sys.executable)} -u -m gp_lab.launching.job"
    where = shlex.quote(str(folder))
    ours = ("name", "timeout_min", "mem_gb", "tasks_per_node", "stack", "wait", "poll_s", "setup",
            "additional_parameters")  # fmt: skip
    # Since 22.05 srun does not take this over from sbatch.
    cpus = [f"--cpus-per-task={jobs.cpus_per_task}"] if jobs.cpus_per_task else []
    executor = SlurmExecutor(folder)
    executor.update_parameters(
        job_name=jobs.name,
        wckey=None,  # a cluster that keeps such keys knows none of submitit's
        time=jobs.timeout_min,
        ntasks_per_node=jobs.tasks_per_node,
        mem=f"{jobs.mem_gb}GB" if jobs.mem_gb else None,
        # The shell hears signals too; it has to outlive the run, to see how it ended.
        setup=["trap : TERM HUP USR1 USR2", *jobs.setup],
        teardown=[f"{command} ended {where} $?"],
        srun_args=["--kill-on-bad-exit=1", *cpus],
        stderr_to_stdout=True,
        additional_parameters={"requeue": True, **jobs.additional_parameters},
        **{k: v for k, v in vars(jobs).items() if k not in ours},
    )
    executor.parameters["map_count"] = count
    trusted = f" {shlex.quote('trust=' + ','.join(trust))}" if trust else ""
    return executor._make_submission_file_text(f"{command} run {where}{trusted}", "")


@contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Raises `LabError` if a process trains the run; a folder that is not there needs no lock."""
    if folder.path.is_dir():
        folder.lock()
    try:
        yield
    finally:
        folder.unlock()


def log_of(folder: Path, job: str) -> Path:
    """Where a job of a submission writes what it has to say; a pattern if its tasks do so apart."""
    logs = list(folder.glob(f"{job}_*_log.out"))
    return logs[0] if len(logs) == 1 else folder / f"{job}_*_log.out"


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
    folder, told = RunFolder(out / "jobs"), False
    with writing_to(out):
        folder.path.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            folder.lock()
            break
        except Taken:
            if not told:
                print(f"gp-lab: waiting: another command submits runs below {out}", file=sys.stderr)
            told = True
            time.sleep(0.5)
    try:
        yield
    finally:
        folder.unlock()


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
    looked = float("-inf")

    with listening() as stop:

        def over() -> bool:
            nonlocal missed, looked
            if stop.asked:
                return True
            going = [f for f in folders if f.state in UNDER_WAY]
            if going and time.monotonic() - looked >= jobs.poll_s:
                missed = _mark_lost(going, missed)
                looked = time.monotonic()
            return not going

        watch(configs, over)
    if stop.asked:
        ids = sorted({str(f.status.get("job")).partition("_")[0] for f in folders})
        raise _stopped(stop, _go_on(ids))


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
