"""The run folder: everything that a run leaves behind, written so that nothing is ever half there.

    config.yaml      the resolved config
    data.json        what it was trained on (`gp_lab.runs.data`)
    status.json      state, step, why, host, commit, versions, engine, threads, stack, id, format
    metrics.jsonl    the truth: one JSON object a line, append-only
    timing.jsonl     how fast it went: seconds, rates, memory; of this machine, never compared
    evaluations.jsonl  scores that were worked out later; never cut, as each names its checkpoint
    arrays/          <probe>-<step>.npz, from probes
    checkpoints/     step-<step>.pt and its SHA-256; the last two, and those of kept.json
    set-aside/       what was passed over: it could be whole, so it is moved and not deleted
    wandb/           what W&B keeps while offline

The format is documented in README.md here for other readers; `FORMAT` is its version. Only regular
files are read, and no link inside the folder is followed, whoever reads or writes.
"""

import json
import os
import re
import shutil
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gp_lab.errors import BadInput, LabError, bad_choice, one_line
from gp_lab.files import (
    append,
    file_name,
    flush,
    inside,
    opened,
    path_of,
    read,
    replacing,
    walk,
    write_atomically,
)
from gp_lab.runs.identity import Config
from gp_lab.runs.lines import Line, entries_of, read_lines, text_of, whole_lines
from gp_lab.runs.lock import LOCK, FolderLock, Gone
from gp_lab.runs.older import modern
from gp_lab.runs.status import State, parsed
from gp_lab.runs.yaml_text import config_of

FORMAT = 2
"""1: the config could hold keys that nothing reads (`gp_lab.runs.older`)."""
START_OVER = "force=true starts the run over"

LARGEST_TEXT = 2**20
"""Bytes of the largest config.yaml and status.json."""

SET_ASIDE = "set-aside"


class RunFolder:
    """Reads and writes one run's folder. Nothing in it is executed: a config there is data."""

    def __init__(self, path: str | Path) -> None:
        self.path = path_of(path)
        self._lock = FolderLock(self.path)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    def inside(self, *names: str) -> Path:
        """A path in the folder. Raises `BadInput` for a link on the way: it leads elsewhere."""
        return inside(self.path, *names)

    # -- reading ---------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        return (self.path / "config.yaml").is_file()

    @property
    def config(self) -> Config:
        """The resolved config, plain data, as a run of today would have it.

        Raises `BadInput` if it holds an interpolation.
        """
        path = self.inside("config.yaml")
        try:
            return modern(config_of(read(path, LARGEST_TEXT).decode()))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise BadInput(f"{path}: no readable run config ({one_line(error)})") from error

    @property
    def out(self) -> Path:
        """The output root that the folder lies below, wherever that has been moved to."""
        above = self.path.parent
        return above.parent if above.name == "runs" else above

    @property
    def found_config(self) -> Config:
        """The config of a run that somebody found, for going on with it.

        It is data: what it says of trust, of starting over and of other folders does not count.
        """
        config = self.config
        config |= {"trust": [], "force": False, "out": str(self.out)}
        probes = config.get("probe")
        if isinstance(probes, Mapping):
            cache = {"cache": str(self.out / "cache")}
            config["probe"] = {
                k: {**node, **cache} if isinstance(node, Mapping) and node.get("cache") else node
                for k, node in probes.items()
            }
        return config

    @property
    def status(self) -> dict[str, Any]:
        """`status.json`, or {} when there is none yet. Raises `BadInput` if it is damaged."""
        path = self.inside("status.json")
        try:
            status = parsed(read(path, LARGEST_TEXT))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError) as error:
            raise BadInput(
                f"{path}: not the status of a run ({one_line(error)}); without it, moved away, the"
                " run goes on from its checkpoints"
            ) from error
        if status.get("format", FORMAT) > FORMAT:
            raise BadInput(
                f"{path}: a folder of format {status['format']}, and this gp_lab reads {FORMAT};"
                " read it with the version that wrote it, or a newer one"
            )
        return status

    @property
    def state(self) -> State | None:
        return self.status.get("state")

    def finished(self, steps: int) -> bool:
        """Whether the run has come at least this far and ended well, or has diverged.

        An extension that was stopped, or fails, leaves a run finished at where it was before.
        """
        status = self.status if self.exists else {}  # what is being cleared has no config any more
        return status.get("state") == State.DIVERGED or _finished_at(status) >= steps

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl` in order; half a line at the end (a kill) is left out.

        Raises `BadInput` for damage anywhere else.
        """
        return [line.entries for line in self._metrics()]

    def evaluations(self) -> list[dict[str, Any]]:
        """The lines of `evaluations.jsonl`, the newest last; none where nothing was evaluated.

        A damaged one is passed over with a warning: it can be worked out again.
        """
        return self._undamaged("evaluations.jsonl")

    def timing(self) -> list[dict[str, Any]]:
        """The lines of `timing.jsonl` in order; damaged ones are passed over with a warning."""
        return self._undamaged("timing.jsonl")

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
        path = self.inside("arrays", self._array_path(probe, int(step)).name)
        try:
            with opened(path) as file, np.load(file, allow_pickle=False) as content:
                return dict(content)
        except Exception as error:  # a damaged archive can raise nearly anything
            raise BadInput(f"{path}: no readable arrays ({one_line(error)})") from error

    def array_steps(self, probe: str) -> list[int]:
        return sorted(step for name, step, _ in self._array_files() if name == probe)

    def size(self) -> int:
        """Bytes on disk."""
        total = 0
        for place, _, files in os.walk(self.path):
            for name in files:
                with suppress(FileNotFoundError):  # others write here too: W&B
                    total += os.lstat(os.path.join(place, name)).st_size
        return total

    # -- writing ---------------------------------------------------------------------------

    def create(self, config: Config, run_id: str) -> None:
        """Make the folder for a new run. Raises `BadInput` if it cannot be written."""
        with writing_to(config["out"]):
            for name in ("arrays", "checkpoints"):
                self.inside(name).mkdir(parents=True, exist_ok=True)
            self.set_status(State.QUEUED, id=run_id, format=FORMAT, step=0, created=_now())
            self.write_config(config)  # from here on the run exists

    def write_config(self, config: Config) -> None:
        """Replace `config.yaml`; the id in `status.json` stays."""
        text = yaml.safe_dump(config, sort_keys=False)
        write_atomically(self.inside("config.yaml"), text.encode())

    def set_status(self, state: State, **entries: Any) -> None:
        """Replace entries of `status.json`; the others stay."""
        before = self.status
        status = before | {"state": str(state), "updated": _now()} | entries
        if (finished_at := max(_finished_at(before), _finished_at(status))) >= 0:
            status["finished_at"] = finished_at
        self._write_status(status)

    def _write_status(self, status: Mapping[str, Any]) -> None:
        text = json.dumps(status, indent=1) + "\n"
        write_atomically(self.inside("status.json"), text.encode())

    def set_back(self, step: int) -> None:
        """Write that the run is no further than this step, if it was finished at a later one."""
        before = self.status
        if _finished_at(before) <= step:
            return
        status = {k: v for k, v in before.items() if k != "finished_at"}
        status |= {"state": str(State.QUEUED), "step": step, "updated": _now()}
        self._write_status(status)

    def append_metrics(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Add lines to `metrics.jsonl`, all or none of them."""
        append(self.inside("metrics.jsonl"), text_of(lines))

    def append_timing(self, line: Mapping[str, Any]) -> None:
        """Add a line to `timing.jsonl`."""
        append(self.inside("timing.jsonl"), text_of([line]))

    def append_evaluations(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Add lines to `evaluations.jsonl`, all or none: resuming neither cuts nor reads it.

        Raises `BadInput` if it cannot be written.
        """
        with writing_to(path := self.inside("evaluations.jsonl"), key=""):
            append(path, text_of(lines))

    def write_file(self, data: bytes, *names: str) -> Path:
        """Write a file that is made from the run, in a folder of its own here; its path.

        Raises `BadInput` if it cannot be written.
        """
        with writing_to(path := self.inside(*names), key=""):
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, data)
        return path

    def cut_metrics(self, step: int) -> None:
        """Drop what was written after `step`: the run goes on from a checkpoint there."""
        kept = [line.written for line in self._metrics() if line.entries["step"] <= step]
        write_atomically(self.inside("metrics.jsonl"), b"".join(kept))
        if (path := self.inside("timing.jsonl")).exists():
            earlier = [line for line in self.timing() if line["step"] <= step]
            write_atomically(path, text_of(earlier))
        for _, written, path in self._array_files():
            if written > step:
                path.unlink()

    def flush_metrics(self) -> None:
        """Wait until the metrics are on the disk."""
        if (path := self.inside("metrics.jsonl")).exists():
            flush(path)

    def write_arrays(self, probe: str, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        with (
            replacing(self._array_path(probe, step)) as temporary,
            temporary.open("wb") as file,
        ):
            np.savez_compressed(file, allow_pickle=False, **arrays)

    def drop_arrays(self, probes: Iterable[str], step: int) -> None:
        """Delete what probes wrote at a step, part of which could not be written."""
        for probe in probes:
            self._array_path(probe, step).unlink(missing_ok=True)

    def set_aside(self, paths: Sequence[Path]) -> Path:
        """Move files and folders of this run to `set-aside/<n>/`, under their own names; which n.

        What is passed over could be whole: `gp-lab clean` offers it for deletion.
        """
        taken = [int(p.name) for p in self.inside(SET_ASIDE).glob("*") if p.name.isdigit()]
        folder = self.inside(SET_ASIDE, str(max(taken, default=0) + 1))
        for path in paths:
            target = folder / path.relative_to(self.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        return folder

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

    def own(self, run_id: str) -> None:
        """Make a found folder, locked by us, fit for writing: without what a kill left half there.

        Raises `BadInput` for a link in the place of something that is written.
        """
        for child in self.path.iterdir():
            self.inside(child.name)
        for path in self.half_written():
            path.unlink()
        for name in ("arrays", "checkpoints"):
            (self.path / name).mkdir(exist_ok=True)
        if "id" not in self.status:
            self.set_status(State.QUEUED, id=run_id, format=FORMAT, step=0)

    def make(self, out: str | Path) -> None:
        """Lock the folder of a run, which is made if it is not there, below the root `out`.

        Raises `BadInput` if it cannot be made, `LabError` if it cannot be locked.
        """
        for _ in range(100):  # as often as somebody cleans it away just now
            with writing_to(out):
                self.path.mkdir(parents=True, exist_ok=True)
            with suppress(Gone):
                return self.lock()
        raise LabError(f"{self.path}: is taken away again and again")

    def lock(self) -> None:
        """Keep other processes from this run while this one lives. Raises `LabError`."""
        self._lock.acquire()

    def unlock(self) -> None:
        self._lock.release()

    @property
    def taken(self) -> bool:
        """Whether a process has locked this run. Looking keeps nobody from it."""
        return self._lock.taken

    # --------------------------------------------------------------------------------------

    def _metrics(self) -> list[Line]:
        return read_lines(self.inside("metrics.jsonl"), START_OVER)

    def _undamaged(self, name: str) -> list[dict[str, Any]]:
        found = list[dict[str, Any]]()
        path = self.inside(name)
        for number, line in enumerate(whole_lines(path), 1):
            try:
                found.append(entries_of(line))
            except ValueError as error:
                warnings.warn(f"{path}: line {number} passed over ({error})", stacklevel=3)
        return found

    def _array_files(self) -> Iterator[tuple[str, int, Path]]:
        """(probe, step, path) of everything that probes wrote."""
        for path in self.inside("arrays").glob("*-*.npz"):
            probe, _, step = path.stem.rpartition("-")
            if re.fullmatch("[0-9]{1,18}", step):
                yield probe, int(step), path

    def _array_path(self, probe: str, step: int) -> Path:
        return self.inside("arrays") / f"{file_name(probe, 'probe')}-{step:08d}.npz"


@contextmanager
def writing_to(out: str | Path, key: str = "out=") -> Iterator[None]:
    """Turns a failure to write below an output root, or to a file, into `BadInput`."""
    try:
        yield
    except OSError as error:
        raise BadInput(f"{key}{out}: cannot write there ({one_line(error)})") from error


def find_runs(root: str | Path) -> list[RunFolder]:
    """Every run below a folder, in the order of their paths.

    Links to folders are followed, each folder is entered once, and none inside a run. A folder that
    cannot be listed is left out with a warning; one that is not there, or has gone, has none.
    """
    found = []
    for place, folders, files in walk(root, _warn):
        if "config.yaml" in files and "status.json" in files:
            folders.clear()
            found.append(place)
    return [RunFolder(path) for path in sorted(found)]


def _warn(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        warnings.warn(f"{error.filename}: left out ({error.strerror})", stacklevel=3)


def _finished_at(status: Mapping[str, Any]) -> int:
    """The furthest step at which a run was finished; -1 if it never was."""
    now = status.get("step", 0) if status.get("state") == State.FINISHED else -1
    return max(now, status.get("finished_at", -1))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
