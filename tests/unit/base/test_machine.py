"""The limits of the machine: memory and cores of control groups, `ulimit`, threads."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lab import PATIENCE, STACK, config_of, overrides

from gp_lab import machine
from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.launching import local
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.runs.settings import Settings
from gp_lab.training.memory import bytes_of_state
from gp_lab.training.setup import setup
from gp_lab.training.stacking import bytes_per_replica
from gp_lab.training.trainer import train

MB = 2**20
V1_UNLIMITED = 9223372036854771712
"""What a control group of version 1 says that has no limit."""

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """Puts a /proc and a /sys of a machine with 8 GB and 8 cores in the place of this one's."""
    root = tmp_path / "root"
    monkeypatch.setattr(machine, "ROOT", root)

    def write(**files: str | int) -> Path:
        given = {
            "proc/meminfo": f"MemTotal: 9000000 kB\nMemAvailable: {8000 * 1024} kB\n",
            "proc/self/status": "VmSize:  1024000 kB\nVmData:\t512000 kB\n"
            "Cpus_allowed:\tff\nCpus_allowed_list:\t0-7\n",
            "proc/self/limits": "Limit   Soft Limit  Hard Limit  Units\n",
        } | {name.replace("__", "/"): text for name, text in files.items()}
        for name, text in given.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        return root

    return write


def version_2(at: str, mount_root: str = "/", **files: str | int) -> dict[str, str | int]:
    """A tree of control groups of version 2, of which the process is in `at`."""
    mount = (
        f"30 24 0:27 {mount_root} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,delegate"
    )
    return {
        "proc/self/cgroup": f"0::{at}",
        "proc/self/mountinfo": f"24 1 0:22 / /proc rw - proc proc rw\n{mount}",
    } | {f"sys/fs/cgroup/{name}": text for name, text in files.items()}


def group_2(folder: str, limit: str | int, used: int, cached: int = 0) -> dict[str, str | int]:
    """The files of memory of a group of version 2."""
    stat = f"anon 5\nfile {cached}\nactive_file {cached // 2}\ninactive_file {cached // 2}\nshmem 1"
    return {
        f"{folder}memory.max": limit,
        f"{folder}memory.current": used,
        f"{folder}memory.stat": stat,
    }


def version_1(at: str, **files: str | int) -> dict[str, str | int]:
    """Trees of control groups of version 1, of which the process is in `at` of each."""
    kinds = ("memory", "cpu,cpuacct")
    mounts = (
        f"3{i} 25 0:3{i} / /sys/fs/cgroup/{kind} rw - cgroup cgroup rw,{kind}"
        for i, kind in enumerate(kinds)
    )
    return {
        "proc/self/cgroup": "\n".join(f"{i}:{kind}:{at}" for i, kind in enumerate(kinds, 3)),
        "proc/self/mountinfo": "\n".join(mounts),
    } | {f"sys/fs/cgroup/{name}": text for name, text in files.items()}


# -- memory --------------------------------------------------------------------------------


def test_without_control_groups_the_machines_available_memory_is_free(tree: Tree) -> None:
    tree()
    assert machine.free_memory() == 8000 * MB


def test_where_nothing_can_be_read_nothing_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "ROOT", tmp_path / "nothing")
    assert machine.free_memory() == machine.UNLIMITED
    assert machine.cores() == os.cpu_count()


def test_cached_files_do_not_count_as_used(tree: Tree) -> None:
    of_group = group_2("job/", 1000 * MB, used=900 * MB, cached=700 * MB)
    tree(**version_2("/job", **of_group))
    assert machine.free_memory() == 800 * MB


def test_the_tightest_of_all_groups_above_the_process_counts(tree: Tree) -> None:
    groups = (
        group_2("", "max", used=7000 * MB)
        | group_2("slurm/", 4000 * MB, used=3900 * MB, cached=600 * MB)
        | group_2("slurm/job/", 2000 * MB, used=100 * MB)
        | group_2("slurm/job/task/", "max", used=100 * MB)
        | group_2("another/", 1 * MB, used=1 * MB)
    )
    tree(**version_2("/slurm/job/task", **groups))
    assert machine.free_memory() == 700 * MB  # others fill the group above
    tree(**version_2("/slurm/job/task", **group_2("slurm/job/", 300 * MB, used=100 * MB)))
    assert machine.free_memory() == 200 * MB


def test_a_group_that_is_over_its_limit_has_nothing_free(tree: Tree) -> None:
    tree(**version_2("/job", **group_2("job/", 100 * MB, used=130 * MB)))
    assert machine.free_memory() == 0


def test_a_container_that_sees_its_own_group_as_the_top_finds_it_there(tree: Tree) -> None:
    of_group = group_2("", 500 * MB, used=100 * MB)
    tree(**version_2("/docker/abc", mount_root="/docker/abc", **of_group))
    assert machine.free_memory() == 400 * MB
    tree(**version_2("/../../elsewhere", mount_root="/docker/abc", **of_group))
    assert machine.free_memory() == 400 * MB


@pytest.mark.parametrize("above", [V1_UNLIMITED, 600 * MB])
def test_groups_of_version_1_are_read_along_the_process_path(tree: Tree, above: int) -> None:
    stat = f"cache 9\nactive_file 1\ntotal_active_file {50 * MB}\ntotal_inactive_file {50 * MB}"
    tree(
        **version_1(
            "/slurm/job",
            **{
                "memory/memory.limit_in_bytes": V1_UNLIMITED,
                "memory/slurm/memory.limit_in_bytes": above,
                "memory/slurm/memory.usage_in_bytes": 500 * MB,
                "memory/slurm/job/memory.limit_in_bytes": 1000 * MB,
                "memory/slurm/job/memory.usage_in_bytes": 300 * MB,
                "memory/slurm/job/memory.stat": stat,
            },
        )
    )
    assert machine.free_memory() == (800 * MB if above == V1_UNLIMITED else 100 * MB)


@pytest.mark.parametrize(
    ("limit", "free"),
    [("Max address space         2097152000   unlimited   bytes", 1000 * MB),
     ("Max data size             838860800    unlimited   bytes", 300 * MB),
     ("Max data size             unlimited    unlimited   bytes", 8000 * MB)],
    ids=["ulimit -v", "ulimit -d", "none"],
)  # fmt: skip
def test_what_ulimit_leaves_to_the_process_is_free(tree: Tree, limit: str, free: int) -> None:
    tree(**{"proc/self/limits": f"Limit  Soft Limit  Hard Limit  Units\n{limit}"})
    assert machine.free_memory() == free


@pytest.mark.seconds
def test_of_this_process_the_true_limits_are_read() -> None:
    code = (
        "import resource; from gp_lab import machine; before = machine.free_memory();"
        "resource.setrlimit(resource.RLIMIT_AS, (2 * 10**9, -1)); print(machine.free_memory())"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert 0 < int(said.stdout) < 2 * 10**9


def little(tree: Tree, free: int) -> None:
    """A control group that leaves so many bytes."""
    tree(**version_2("/job", **group_2("job/", 4000 * MB, used=4000 * MB - free)))


@pytest.mark.seconds
def test_a_stack_is_as_large_as_fits_the_control_group(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = ["-m", "seed=0,1,2,3,4,5", "hydra/launcher=replicas", "hydra.launcher.processes=1"]
    each = bytes_per_replica(setup(config_of(*STACK)))
    little(tree, int(2.5 * each / local.SHARE_OF_MEMORY))
    assert main(["train", *sweep, *overrides(*STACK, f"out={tmp_path / 'a'}")]) == Exit.OK
    assert "6 runs in 3 stacks of 2" in capsys.readouterr().err
    little(tree, 4 * each)
    explicit = [*sweep, "hydra.launcher.max_stack=6"]
    assert main(["train", *explicit, *overrides(*STACK, f"out={tmp_path / 'b'}")]) == Exit.BAD_INPUT
    said = capsys.readouterr().err
    assert "hydra.launcher.max_stack=6: 6 replicas need about" in said
    assert "at most 4 fit (max_stack=auto finds a size)" in said
    assert not list(find_runs(tmp_path / "b"))


def test_networks_whose_parameters_do_not_fit_are_refused_before_they_fill_the_memory(
    tree: Tree, tmp_path: Path
) -> None:
    little(tree, 60 * MB)
    # 1.6 GB a matrix: more than what earlier tests may leave to be collected meanwhile.
    given = (*STACK, "architecture.width=20000", f"out={tmp_path}")
    with pytest.raises(BadInput, match=r"^architecture\.\w+: too large for the memory"):
        setup(config_of(*given))


def test_networks_that_could_not_be_trained_are_refused_with_what_they_need(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = (*STACK, "architecture.width=700")
    need = bytes_of_state(setup(config_of(*given)))
    little(tree, need - 1)
    assert main(["train", *overrides(*given, f"out={tmp_path}")]) == Exit.BAD_INPUT
    assert capsys.readouterr().err == (
        f"gp-lab: architecture=mlp_tanh_64: parameters, gradients and optimiser take"
        f" {need / 1e9:.3g} GB, and {need / 1e9:.3g} GB of memory are free; choose smaller"
        " networks, or a machine or a memory limit with more\n"
    )
    little(tree, need)
    assert setup(config_of(*given))


def test_the_limit_while_networks_are_built_is_lifted_again() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with machine.within_free_memory():
        inside = resource.getrlimit(resource.RLIMIT_DATA)
    assert inside[0] != resource.RLIM_INFINITY
    assert inside[1] == before[1]
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    with pytest.raises(ZeroDivisionError), machine.within_free_memory():
        raise ZeroDivisionError
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


# -- cores ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("allowed", "count"), [("0-7", 8), ("0", 1), ("0-2,7", 4), ("1,3,5-6", 4)])
def test_cores_are_those_that_the_process_may_run_on(tree: Tree, allowed: str, count: int) -> None:
    tree(**{"proc/self/status": f"VmSize: 1 kB\nCpus_allowed_list:\t{allowed}"})
    assert machine.cores() == count


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({"job/cpu.max": "250000 100000"}, 2),
        ({"job/cpu.max": "50000 100000"}, 1),
        ({"job/cpu.max": "max 100000"}, 8),
        ({"job/cpu.max": "max 100000", "cpu.max": "300000 100000"}, 3),
        ({"job/cpu.max": "6400000 100000"}, 8),
    ],
    ids=str,
)
def test_a_quota_of_a_control_group_bounds_the_cores(
    tree: Tree, files: dict[str, str], count: int
) -> None:
    tree(**version_2("/job", **files))
    assert machine.cores() == count


def test_a_quota_of_version_1_bounds_the_cores(tree: Tree) -> None:
    quota = {"cpu.cfs_quota_us": "400000", "cpu.cfs_period_us": "100000"}
    unlimited = quota | {"cpu.cfs_quota_us": "-1"}
    at_top = {f"cpu,cpuacct/{name}": text for name, text in unlimited.items()}
    in_job = {f"cpu,cpuacct/job/{name}": text for name, text in quota.items()}
    tree(**version_1("/job", **at_top, **in_job))
    assert machine.cores() == 4


@pytest.mark.seconds
def test_worker_processes_and_threads_are_counted_by_those_cores(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    tree(**version_2("/job", **{"job/cpu.max": "300000 100000"}))
    asked: list[int] = []

    def counted(batches: list, count: int, stop: object) -> dict[Path, str]:
        asked.append(count)
        return {}

    monkeypatch.setattr(local, "_in_processes", counted)
    configs = [config_of(f"seed={s}", f"out={tmp_path}", "steps=2") for s in range(5)]
    local.train_all(configs, processes=0)
    assert asked == [3]


def test_large_networks_get_no_more_threads_than_there_are_cores(
    tree: Tree, tmp_path: Path
) -> None:
    tree(**version_2("/job", **{"job/cpu.max": "100000 100000"}))
    large = ("architecture.width=350", "architecture.depth=2", "threads=0", "batch_size=2")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        (outcome,) = train([config_of(*STACK, *large, f"out={tmp_path}")], progress=False)
    finally:
        torch.set_num_threads(before)
    assert outcome.folder.status["threads"] == 1


# -- threads -------------------------------------------------------------------------------


def test_more_threads_than_any_machine_has_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = overrides("threads=5000", f"out={tmp_path}")
    assert main(["train", *given]) == Exit.BAD_INPUT
    assert capsys.readouterr().err == "gp-lab: threads=5000: must be at most 4096\n"
    assert list(tmp_path.iterdir()) == []


def test_what_a_run_may_be_given_its_folder_can_say(tmp_path: Path) -> None:
    most = Settings.of(config_of(f"threads={machine.MOST_THREADS}")).threads
    folder = RunFolder(tmp_path)
    folder.set_status(State.RUNNING, threads=most)
    assert folder.status["threads"] == most
    folder.set_status(State.RUNNING, threads=most + 1)
    with pytest.raises(BadInput, match="not the status of a run"):
        _ = folder.status
