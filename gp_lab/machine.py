"""What this machine lets a process use: memory, cores, open files.

The limits of control groups (versions 1 and 2), of the process itself (`ulimit`) and its affinity
count, whichever is the tightest.
"""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path("/")
"""Where /proc and /sys are looked for."""

MOST_THREADS = 4096
"""Of one process, on any machine that there is."""

UNLIMITED = 2**63

SPARE_MEMORY = 2**25
"""Bytes that a process is never denied: an interpreter without any cannot even say so."""

FILES_PER_RUN = 2
"""Open files of a run that trains: its lock, and its dashboard's log."""

OTHER_FILES = 32
"""Open files that a process may need beside those: data, checkpoints, compilers, servers."""


def free_memory() -> int:
    """Bytes that this process can still have: of the machine, its control groups and `ulimit`.

    Files that are cached, and can be read again, do not count as used.
    """
    free = [UNLIMITED]
    free += [kib for line, kib in _kibibytes("proc/meminfo") if line == "MemAvailable"]
    for folder in _control_groups("memory"):
        limit, used, cached = _memory_of(folder)
        if limit is not None and used is not None:
            free.append(limit - max(0, used - cached))
    used_here = dict(_kibibytes("proc/self/status"))
    for limit_of, used_of in (("Max address space", "VmSize"), ("Max data size", "VmData")):
        if (limit := _own_limit(limit_of)) is not None and used_of in used_here:
            free.append(limit - used_here[used_of])
    return max(0, min(free))


def cores() -> int:
    """CPU cores that this process can keep busy: its affinity's, or its control groups' quota."""
    quotas = [quota for folder in _control_groups("cpu") if (quota := _cpus_of(folder)) is not None]
    return max(1, min([_allowed_cpus(), *map(int, quotas)]))


@contextmanager
def within_free_memory() -> Iterator[None]:
    """While inside, what does not fit the free memory fails to be allocated.

    Otherwise it would only be promised, and the process killed once it is written to.
    """
    used = dict(_kibibytes("proc/self/status", Path("/"))).get("VmData")
    free, (soft, hard) = free_memory(), resource.getrlimit(resource.RLIMIT_DATA)
    if used is None or free == UNLIMITED:
        yield
        return
    most = used + max(free, SPARE_MEMORY)
    limits = [most, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def runs_at_once() -> int:
    """How many runs a process can train at the same time with the files that it may open.

    Raises the limit as far as this process may: it is kept low for programs that are older than
    poll().
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = open_files()
    try:
        in_use = len(os.listdir("/proc/self/fd"))
    except OSError:
        in_use = 0
    return max(1, (most - in_use - OTHER_FILES) // FILES_PER_RUN)


def open_files() -> int:
    """How many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft


# -- control groups ------------------------------------------------------------------------


def _control_groups(controller: str) -> Iterator[Path]:
    """Folders of this process's groups that may limit `controller`, from its own to the topmost."""
    groups = [line.split(":", 2) for line in _lines("proc/self/cgroup")]
    for root, mount, kind, options in _mounts():
        for _, controllers, path in (group for group in groups if len(group) == 3):
            first = (
                kind == "cgroup"
                and controller in controllers.split(",")
                and (controller in options.split(","))
            )
            second = kind == "cgroup2" and not controllers
            if not (first or second):
                continue
            inside = path.removeprefix(root.rstrip("/")) if _is_in(path, root) else ""
            top = ROOT / mount.lstrip("/")
            own = top / inside.strip("/")
            yield from (p for p in (own, *own.parents) if p.is_relative_to(top))


def _mounts() -> Iterator[tuple[str, str, str, str]]:
    """(root, mount point, kind, options) of the control groups' file systems."""
    for line in _lines("proc/self/mountinfo"):
        place, _, kind = line.partition(" - ")
        words, (name, *rest) = place.split(" "), kind.split(" ") or [""]
        if name in ("cgroup", "cgroup2") and len(words) > 4:
            yield _unescaped(words[3]), _unescaped(words[4]), name, (rest or [""])[-1]


def _is_in(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _unescaped(path: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\134", "\\")):
        path = path.replace(code, character)
    return path


def _memory_of(folder: Path) -> tuple[int | None, int | None, int]:
    """(limit, used, of that cached files) of a control group of either version, in bytes."""
    stat = dict(line.split(" ", 1) for line in _lines(folder / "memory.stat") if " " in line)
    second = (folder / "memory.current").exists()
    limit, used = ("max", "current") if second else ("limit_in_bytes", "usage_in_bytes")
    names = ("active_file", "inactive_file", "slab_reclaimable")
    cached = sum(int(stat.get(name if second else f"total_{name}", 0)) for name in names)
    return _number(folder / f"memory.{limit}"), _number(folder / f"memory.{used}"), cached


def _cpus_of(folder: Path) -> float | None:
    """The quota of a control group of either version, in cores; None where it has none."""
    words = [word for line in _lines(folder / "cpu.max") for word in line.split()]
    if not words:
        words = [line for k in ("quota", "period") for line in _lines(folder / f"cpu.cfs_{k}_us")]
    quota, period = words if len(words) == 2 else ("max", "1")
    return int(quota) / int(period) if quota.isdigit() and int(period) else None


# -- the process ---------------------------------------------------------------------------


def _allowed_cpus() -> int:
    """How many cores the process may run on."""
    for line in _lines("proc/self/status"):
        if line.startswith("Cpus_allowed_list:"):
            ends = [part.split("-") for part in line.split(":")[1].strip().split(",") if part]
            return sum(int(end[-1]) - int(end[0]) + 1 for end in ends)
    return os.cpu_count() or 1


def _own_limit(name: str) -> int | None:
    """A soft limit of this process, None where there is none."""
    for line in _lines("proc/self/limits"):
        if line.startswith(name):
            soft = line.removeprefix(name).split()[0]
            return int(soft) if soft.isdigit() else None
    return None


def _kibibytes(path: str, root: Path | None = None) -> Iterator[tuple[str, int]]:
    """(name, bytes) of the lines `name:  1234 kB` of a file."""
    for line in _lines(path, root):
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            yield name, int(value.split()[0]) * 1024


def _number(path: Path) -> int | None:
    """What the first line of a file says, None for words such as `max`."""
    first = (_lines(path) or [""])[0]
    return int(first) if first.isdigit() else None


def _lines(path: str | Path, root: Path | None = None) -> list[str]:
    try:
        return ((root or ROOT) / path).read_text().splitlines()
    except OSError:
        return []
