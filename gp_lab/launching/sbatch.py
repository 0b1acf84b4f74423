"""The jobs of a sweep on Slurm: what each asks for, and the batch script that asks it.

The script is submitit's, from the keys of hydra-submitit-launcher; the command in it is ours in
place of a pickle and submitit's signal handlers, which take a preemption for a time-out in short
jobs and raise in the middle of a step.
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gp_lab.errors import BadInput
from gp_lab.fields import Count, CountOrZero
from gp_lab.runs.identity import Config


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


def batch_script(folder: Path, count: int, trust: Sequence[str], jobs: Jobs) -> str:
    """The batch script of an array of `count` jobs: submitit's, with the lab's own command."""
    from submitit import SlurmExecutor

    command = f"{shlex.quote(sys.executable)} -u -m gp_lab.launching.slurm_job"
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


def log_of(folder: Path, job: str) -> Path:
    """Where a job of a submission writes what it has to say; a pattern if its tasks do so apart."""
    logs = list(folder.glob(f"{job}_*_log.out"))
    return logs[0] if len(logs) == 1 else folder / f"{job}_*_log.out"
