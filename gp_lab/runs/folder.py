"""The run folder: everything that a run leaves behind, written so that nothing is ever half there.

    config.yaml      the resolved config
    status.json      state, step, why, host, commit, versions, engine, threads, stack, id, format
    metrics.jsonl    the truth: one JSON object a line, append-only
    arrays/          <probe>-<step>.npz, from probes
    checkpoints/     step-<step>.pt and its SHA-256; the last two
    wandb/           what W&B keeps while offline

The format is documented in the README for other readers; `FORMAT` is its version.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gp_lab.errors import BadInput, LabError
from gp_lab.runs.identity import Config

FORMAT = 1
LOCK = ".lock"
"""Held by the process that trains the run; empty, and of no meaning when none does."""
START_OVER = "force=true starts the run over"


class State(StrEnum):
    """Where a run stands, as `status.json` says it."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    DIVERGED = "diverged"
    PREEMPTED = "preempted"
    FAILED = "failed"


class RunFolder:
    """Reads and writes one run's folder. Nothing in it is executed: a config there is data."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock: int | None = None

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    # -- reading ---------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        return (self.path / "config.yaml").is_file()

    @property
    def config(self) -> Config:
        """The resolved config, plain data. Raises `BadInput` if it holds an interpolation."""
        path = self.path / "config.yaml"
        try:
            config = yaml.safe_load(path.read_text())
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise BadInput(f"{path}: no readable run config ({_first_line(error)})") from error
        if not isinstance(config, dict):
            raise BadInput(f"{path}: not the config of a run")
        for key, value in _leaves(config):
            if isinstance(value, str) and "${" in value:
                raise BadInput(
                    f"{path}: {key}={value}: interpolations are not resolved in a run folder"
                )
        return config

    @property
    def status(self) -> dict[str, Any]:
        """`status.json`, or {} when there is none yet. Raises `BadInput` if it is damaged."""
        path = self.path / "status.json"
        try:
            status = json.loads(path.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError) as error:
            raise BadInput(f"{path}: not readable ({error}); {START_OVER}") from error
        whole = isinstance(status, dict) and isinstance(status.get("step", 0), int)
        if not whole or status.get("state") not in list(State):
            raise BadInput(f"{path}: not the status of a run; {START_OVER}")
        return status

    @property
    def state(self) -> State | None:
        status = self.status
        return State(status["state"]) if status else None

    def finished(self, steps: int) -> bool:
        """Whether the run has come at least this far and ended well, or has diverged."""
        status = self.status
        if status.get("state") == State.DIVERGED:
            return True
        return status.get("state") == State.FINISHED and status.get("step", -1) >= steps

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl` in order; half a line at the end (a kill) is left out."""
        return [json.loads(line) for line in self._metric_lines()]

    def arrays(self, probe: str, step: int | None = None) -> dict[str, np.ndarray]:
        """What a probe wrote at a step, or at its last. Raises `BadInput` if it wrote nothing."""
        steps = self.array_steps(probe)
        step = steps[-1] if step is None and steps else step
        if step not in steps:
            had = f"it wrote at {steps}" if steps else "it wrote nothing"
            raise BadInput(f"{self.path}: no arrays of probe {probe} at step {step}; {had}")
        with np.load(self._array_path(probe, int(step)), allow_pickle=False) as file:
            return dict(file)

    def array_steps(self, probe: str) -> list[int]:
        paths = (self.path / "arrays").glob(f"{probe}-*.npz")
        return sorted(int(p.stem.rsplit("-", 1)[1]) for p in paths)

    def size(self) -> int:
        """Bytes on disk."""
        total = 0
        for path in self.path.rglob("*"):
            with suppress(FileNotFoundError):  # others write here too: W&B
                total += path.stat().st_size if path.is_file() else 0
        return total

    # -- writing ---------------------------------------------------------------------------

    def create(self, config: Config, run_id: str) -> None:
        """Make the folder for a new run. Raises `BadInput` if it cannot be written."""
        with writing_to(config["out"]):
            for name in ("arrays", "checkpoints"):
                (self.path / name).mkdir(parents=True, exist_ok=True)
            self.write_config(config)
        self.set_status(State.QUEUED, id=run_id, format=FORMAT, step=0, created=_now())

    def write_config(self, config: Config) -> None:
        """Replace `config.yaml`; the id in `status.json` stays."""
        text = yaml.safe_dump(config, sort_keys=False)
        write_atomically(self.path / "config.yaml", text.encode())

    def set_status(self, state: State, **entries: Any) -> None:
        """Replace entries of `status.json`; the others stay."""
        status = self.status | {"state": str(state), "updated": _now()} | entries
        write_atomically(self.path / "status.json", (json.dumps(status, indent=1) + "\n").encode())

    def append_metrics(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Add lines to `metrics.jsonl`, in one write."""
        text = "".join(json.dumps(line) + "\n" for line in lines)
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(text)

    def cut_metrics(self, step: int) -> None:
        """Drop what was written after `step`: the run goes on from a checkpoint there."""
        kept = [line for line in self._metric_lines() if json.loads(line)["step"] <= step]
        write_atomically(self.path / "metrics.jsonl", "".join(kept).encode())
        for path in (self.path / "arrays").glob("*.npz"):
            if int(path.stem.rsplit("-", 1)[1]) > step:
                path.unlink()

    def write_arrays(self, probe: str, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        path = self._array_path(probe, step)
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        temporary.replace(path)

    def clear(self) -> None:
        """Delete what the run wrote; its folder and lock stay."""
        for child in self.path.iterdir() if self.path.exists() else ():
            if child.name == LOCK:
                continue
            shutil.rmtree(child) if child.is_dir() else child.unlink()

    def lock(self) -> None:
        """Keep other processes from this run while this one lives. Raises `LabError` if taken."""
        # A file that is open for writing: NFS locks nothing else.
        try:
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.unlock()
            raise LabError(f"{self.path}: another process is training this run") from error
        except OSError as error:
            self.unlock()
            raise LabError(f"{self.path}: cannot be locked ({error.strerror})") from error

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # --------------------------------------------------------------------------------------

    def _metric_lines(self) -> list[str]:
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return []
        return [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def _array_path(self, probe: str, step: int) -> Path:
        return self.path / "arrays" / f"{probe}-{step:08d}.npz"


def checksum_path(path: Path) -> Path:
    """Where the SHA-256 of a checkpoint stands."""
    return path.with_suffix(".sha256")


def checked_bytes(path: Path) -> bytes:
    """The content of a file that has its SHA-256 beside it. Raises `ValueError` if they differ."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != checksum_path(path).read_text():
        raise ValueError("its checksum does not match")
    return data


@contextmanager
def writing_to(out: str | Path) -> Iterator[None]:
    """Turns a failure to write below an output root into `BadInput`."""
    try:
        yield
    except OSError as error:
        raise BadInput(f"out={out}: cannot write there ({error.strerror})") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write to a temporary name, flush to disk, rename: the file is the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@cache
def provenance() -> dict[str, Any]:
    """Where and with what a run is made: host, versions, the code's commit and dirty flag.

    Read once a process. No environment variables: they hold secrets.
    """
    names = ("gp-lab", "torch", "numpy", "scipy", "hydra-core", "wandb")
    return {
        "host": socket.gethostname(),
        "versions": {"python": platform.python_version()} | {n: _version(n) for n in names},
        **_commit(),
    }


def find_runs(root: str | Path) -> Iterator[RunFolder]:
    """Every run below a folder, in the order of their names."""
    for config in sorted(Path(root).rglob("config.yaml")):
        if (config.parent / "status.json").exists():
            yield RunFolder(config.parent)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> dict[str, Any]:
    here = Path(__file__).parent
    try:
        inside = _git(here, "ls-files", "--error-unmatch", Path(__file__).name)
        commit = _git(here, "rev-parse", "HEAD") if inside else None
        return {"commit": commit, "dirty": bool(_git(here, "status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}  # an installed wheel, or no git


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=10
    ).stdout.strip()


def _leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for k, v in node.items():
            yield from _leaves(v, f"{key}.{k}" if key else str(k))
    elif isinstance(node, list):
        for i, v in enumerate(node):
            yield from _leaves(v, f"{key}[{i}]")
    else:
        yield key, node


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
