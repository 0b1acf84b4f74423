"""The run folder: everything that a run leaves behind, written so that nothing is ever half there.

    config.yaml      the resolved config
    status.json      state, step, why, host, commit, versions, engine, threads, stack, id, format
    metrics.jsonl    the truth: one JSON object a line, append-only
    evaluations.jsonl  scores that were worked out later; never cut, as each names its checkpoint
    arrays/          <probe>-<step>.npz, from probes
    checkpoints/     step-<step>.pt and its SHA-256; the last two
    wandb/           what W&B keeps while offline

The format is documented in the README for other readers; `FORMAT` is its version.
"""

import fcntl
import hashlib
import itertools
import json
import os
import platform
import re
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

from gp_lab.errors import BadInput, LabError, bad_choice, one_line
from gp_lab.files import file_name, flush, path_of, replacing, write_atomically
from gp_lab.runs.identity import Config

FORMAT = 1
LOCK = ".lock"
"""Held by the process that trains the run; empty, and of no meaning when none does."""
LOOKING = 1.0
"""Seconds that those who look whether a run is taken may be in the way of one who takes it."""

START_OVER = "force=true starts the run over"

TYPES = {"step": int, "id": str, "why": str, "engine": str, "threads": int, "stack": int}
"""Of the entries of `status.json` that something depends on."""

LARGEST_CONFIG = 10_000
"""Entries of a config.yaml; a few hundred bytes of aliases can stand for billions."""

NESTED = 100
"""Levels of YAML by indentation, and openings of levels within lines, that are safe to parse in C.

Python's own parser ends at some 250 levels with an error; C's would overflow the stack.
"""


class Taken(LabError):
    """Another process has locked a folder."""


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
        self.path = path_of(path)
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
            text = path.read_text()
            config = yaml.load(text, Loader=_loader(text))
            entries = list(itertools.islice(_entries(config), LARGEST_CONFIG + 1))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise BadInput(f"{path}: no readable run config ({one_line(error)})") from error
        if not isinstance(config, dict) or len(entries) > LARGEST_CONFIG:
            raise BadInput(f"{path}: not the config of a run")
        for key, value in entries:
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
        except (OSError, ValueError, RecursionError) as error:
            raise BadInput(f"{path}: not readable ({one_line(error)}); {START_OVER}") from error
        if not _is_status(status):
            raise BadInput(f"{path}: not the status of a run; {START_OVER}")
        return status

    @property
    def state(self) -> State | None:
        status = self.status
        return State(status["state"]) if status else None

    def finished(self, steps: int) -> bool:
        """Whether the run has come at least this far and ended well, or has diverged."""
        status = self.status if self.exists else {}  # what is being cleared has no config any more
        if status.get("state") == State.DIVERGED:
            return True
        return status.get("state") == State.FINISHED and status.get("step", -1) >= steps

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl` in order; half a line at the end (a kill) is left out.

        Raises `BadInput` for damage anywhere else.
        """
        return [entries for _, entries in self._lines("metrics.jsonl")]

    def evaluations(self) -> list[dict[str, Any]]:
        """The lines of `evaluations.jsonl`, the newest last; none where nothing was evaluated."""
        return [entries for _, entries in self._lines("evaluations.jsonl")]

    def arrays(self, probe: str, step: int | None = None) -> dict[str, np.ndarray]:
        """What a probe wrote at a step, or at its last.

        Raises `BadInput` if it wrote nothing, or if the file holds something else than arrays.
        """
        steps = self.array_steps(probe)
        if not steps and (wrote := {name for name, _, _ in self._array_files()}):
            raise BadInput(f"{self.path}: {bad_choice('probe', probe, wrote)}")
        step = steps[-1] if step is None and steps else step
        if step not in steps:
            had = f"it wrote at {steps}" if steps else "it wrote nothing"
            raise BadInput(f"{self.path}: no arrays of probe {probe} at step {step}; {had}")
        path = self._array_path(probe, int(step))
        try:
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
        except Exception as error:  # a damaged archive can raise nearly anything
            raise BadInput(f"{path}: no readable arrays ({one_line(error)})") from error

    def array_steps(self, probe: str) -> list[int]:
        return sorted(step for name, step, _ in self._array_files() if name == probe)

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
            self.set_status(State.QUEUED, id=run_id, format=FORMAT, step=0, created=_now())
            self.write_config(config)  # from here on the run exists

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
        self._append("metrics.jsonl", lines)

    def append_evaluations(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Add lines to `evaluations.jsonl`, in one write: resuming neither cuts nor reads it.

        Raises `BadInput` if it cannot be written.
        """
        try:
            self._append("evaluations.jsonl", lines)
        except OSError as error:
            raise BadInput(f"{self.path}: cannot write there ({error.strerror})") from error

    def cut_metrics(self, step: int) -> None:
        """Drop what was written after `step`: the run goes on from a checkpoint there."""
        kept = [text for text, entries in self._lines("metrics.jsonl") if entries["step"] <= step]
        write_atomically(self.path / "metrics.jsonl", "".join(kept).encode())
        for _, written, path in self._array_files():
            if written > step:
                path.unlink()

    def flush_metrics(self) -> None:
        """Wait until the metrics are on the disk."""
        if (self.path / "metrics.jsonl").exists():
            flush(self.path / "metrics.jsonl")

    def write_arrays(self, probe: str, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        with (
            replacing(self._array_path(probe, step)) as temporary,
            temporary.open("wb") as file,
        ):
            np.savez_compressed(file, allow_pickle=False, **arrays)

    def clear(self) -> None:
        """Delete what the run wrote; its folder and lock stay."""
        (self.path / "config.yaml").unlink(missing_ok=True)  # first: half a run is none
        for child in self.path.iterdir():
            if child.name == LOCK:
                continue
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()

    def half_written(self) -> list[Path]:
        """Files that a kill left under a temporary name."""
        folders = (self.path, self.path / "arrays", self.path / "checkpoints")
        return [p for f in folders if not f.is_symlink() for p in sorted(f.glob("*.tmp"))]

    def own(self) -> None:
        """Make a found folder, locked by us, fit for writing: without what a kill left half there.

        Raises `BadInput` for a link in the place of something that is written: it leads elsewhere.
        """
        for child in self.path.iterdir():
            if child.is_symlink():
                raise BadInput(f"{child}: a symbolic link; a run is written into its own folder")
        for path in self.half_written():
            path.unlink()
        for name in ("arrays", "checkpoints"):
            (self.path / name).mkdir(exist_ok=True)

    def lock(self) -> None:
        """Keep other processes from this run while this one lives. Raises `Taken`."""
        # A file that is open for writing: NFS locks nothing else.
        try:
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            _lock(self._lock)
        except BlockingIOError as error:
            self.unlock()
            raise Taken(f"{self.path}: another process is training this run") from error
        except OSError as error:
            self.unlock()
            raise LabError(f"{self.path}: cannot be locked ({error.strerror})") from error

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def taken(self) -> bool:
        """Whether a process has locked this run. Looking keeps nobody from it."""
        try:
            file = os.open(self.path / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return False
        except OSError:  # it cannot be told
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(file)
        return False

    # --------------------------------------------------------------------------------------

    def _append(self, name: str, lines: Sequence[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(line) + "\n" for line in lines)
        with (self.path / name).open("a") as file:
            file.write(text)

    def _lines(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        """The whole lines of a file, each as it is written and as what it says."""
        path = self.path / name
        found: list[tuple[str, dict[str, Any]]] = []
        *lines, _ = (path.read_bytes() if path.exists() else b"").split(b"\n")
        for number, line in enumerate(lines, 1):
            try:
                entries = json.loads(line)
                if not isinstance(entries["step"], int):
                    raise ValueError("its step is no number")
            except (ValueError, TypeError, LookupError, RecursionError) as error:
                raise BadInput(
                    f"{path}: line {number} is no line of metrics ({one_line(error)}); {START_OVER}"
                ) from error
            found.append((line.decode() + "\n", entries))
        return found

    def _array_files(self) -> Iterator[tuple[str, int, Path]]:
        """(probe, step, path) of everything that probes wrote."""
        for path in (self.path / "arrays").glob("*-*.npz"):
            probe, _, step = path.stem.rpartition("-")
            if re.fullmatch("[0-9]{1,18}", step):
                yield probe, int(step), path

    def _array_path(self, probe: str, step: int) -> Path:
        return self.path / "arrays" / f"{file_name(probe, 'probe')}-{step:08d}.npz"


def _lock(file: int) -> None:
    """Lock an open file for this process. Raises `BlockingIOError` if another has."""
    end = time.monotonic() + LOOKING
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Shared with those who only look; refused if one keeps it.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
            if time.monotonic() > end:
                raise
        time.sleep(0.01)


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


def _is_status(status: Any) -> bool:
    return (
        isinstance(status, dict)
        and status.get("state") in list(State)
        and all(isinstance(status.get(key, kind()), kind) for key, kind in TYPES.items())
        and status.get("step", 0) >= 0
        and status.get("threads", 1) in range(1, 4097)
    )


def _loader(text: str) -> "type[yaml.SafeLoader | yaml.CSafeLoader]":
    """The C parser takes a ninth of the time; it is for texts that cannot nest deeply."""
    shallow = sum(map(text.count, "[{-?")) < NESTED and " " * NESTED not in text
    return yaml.CSafeLoader if yaml.__with_libyaml__ and shallow else yaml.SafeLoader


def _entries(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """(key, value) of everything in a config, mappings and lists before what is in them."""
    yield key, node
    if isinstance(node, Mapping):
        for k, v in node.items():
            yield from _entries(v, f"{key}.{k}" if key else str(k))
    elif isinstance(node, list):
        for i, v in enumerate(node):
            yield from _entries(v, f"{key}[{i}]")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
