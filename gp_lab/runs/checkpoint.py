"""Checkpoints: a step and a tree of tensors, checksummed; the last two stay, and what is `kept`.

Loaded with `weights_only=True`, so a checkpoint from a stranger is data. The random streams need
no state of their own: block k of a stream is a function of (seed, stream, k), and the step says k.
They are written between two iterations: `scripts/bench.py checkpoint` shows what that costs.

A checkpoint is damaged if its checksum is wrong or if it cannot be parsed, by nothing else: memory
that is short, a disk that fails or a state of another shape end in an error that changes nothing.
"""

import io
import os
import re
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gp_lab.errors import LabError, one_line, out_of_memory
from gp_lab.files import read, write_atomically
from gp_lab.runs.checksum import (
    LARGEST,
    Damaged,
    checked_bytes,
    checksum_path,
    write_checked,
)
from gp_lab.runs.folder import START_OVER, RunFolder
from gp_lab.runs.kept import checkpoint_name, kept_steps

FORMAT = 1
KEPT = 2


class Saved(NamedTuple):
    """What a checkpoint holds: `state` is nested dicts of tensors, `extra` plain Python values."""

    step: int
    state: dict[str, Any]
    extra: dict[str, Any]


def save(folder: RunFolder, step: int, state: dict[str, Any], extra: dict[str, Any]) -> None:
    """Write `checkpoints/step-<step>.pt` and its SHA-256.

    The metrics are on the disk before it: a run that goes on from here has them all.
    """
    folder.flush_metrics()
    write_checked(_path(folder, step), serialised(step, state, extra))


def drop_older(folder: RunFolder) -> None:
    """Delete all checkpoints but the last two and those that stay, as `kept.json` says."""
    stay = kept_steps(folder)
    for old in _all(folder)[:-KEPT]:
        if _step(old) not in stay:
            old.unlink(missing_ok=True)
            checksum_path(old).unlink(missing_ok=True)


def serialised(step: int, state: dict[str, Any], extra: dict[str, Any]) -> bytes:
    """The content of a checkpoint."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "step": step, "state": state, "extra": extra}, buffer)
    return buffer.getvalue()


def load(
    folder: RunFolder,
    step: int | None = None,
    device: str = "cpu",
    like: dict[str, Any] | None = None,
) -> Saved | None:
    """The newest whole checkpoint, or the one at `step`; None if there is none.

    A damaged one is passed over with a warning, and left as it is. Raises `LabError` for everything
    else that keeps one from being read (memory, the disk, a right), for one of another format, and
    for one whose tensors are of other names, shapes or types than those of the state `like`.
    """
    known = _all(folder)[::-1]
    if step is not None:
        known = [path for path in known if path == _path(folder, step)]
        known += [path for path in (_held_path(folder, step),) if path.exists()]
    for path in known:
        try:
            return _loaded(path, device, like)
        except Damaged as damage:
            warnings.warn(f"{path}: passed over ({damage})", stacklevel=2)
    return None


def steps(folder: RunFolder) -> list[int]:
    """The steps of the run's checkpoints that are there, or should be by their checksums."""
    return [_step(path) for path in _all(folder)]


def hold(folder: RunFolder, step: int) -> None:
    """Keep the checkpoint at a step until it is released, whatever the run drops."""
    path, held_path = _path(folder, step), _held_path(folder, step)
    held_path.parent.mkdir(exist_ok=True)
    # The checksum first: what is held is a file that has one.
    for source, place in ((checksum_path(path), checksum_path(held_path)), (path, held_path)):
        with suppress(FileExistsError, FileNotFoundError):  # held, or dropped just now
            try:
                os.link(source, place)
            except PermissionError:  # a file system without such links
                write_atomically(place, read(source, LARGEST))


def held(folder: RunFolder) -> list[int]:
    """The steps of the checkpoints that are held, in their order."""
    with suppress(FileNotFoundError):  # none is, or the last one was released just now
        names = map(Path, os.listdir(folder.inside("checkpoints", "held")))
        return sorted(_step(name) for name in names if name.match("step-*.pt"))
    return []


def release(folder: RunFolder, step: int) -> None:
    """Hold the checkpoint at a step no longer; the run's own copy stays."""
    path = _held_path(folder, step)
    for part in (path, checksum_path(path)):
        part.unlink(missing_ok=True)


def hold_no_longer(folder: RunFolder) -> None:
    """Delete the folder of the checkpoints that are held, unless some are."""
    with suppress(OSError):
        folder.inside("checkpoints", "held").rmdir()


def files_after(folder: RunFolder, step: int) -> list[Path]:
    """The files of the checkpoints later than a step."""
    later = [path for path in _all(folder) if _step(path) > step]
    return [file for path in later for file in (path, checksum_path(path)) if _is_there(file)]


def _loaded(path: Path, device: str, like: dict[str, Any] | None) -> Saved:
    """Raises `Damaged` and `LabError`."""
    try:
        saved = _parsed(path, checked_bytes(path))
    except OSError as error:
        raise LabError(f"{path}: cannot be read ({one_line(error)}); nothing is changed") from error
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise LabError(
            f"{path}: there is too little memory to read it ({one_line(error)}); nothing is"
            " changed, and the same command goes on once there is more"
        ) from error
    if like is not None and (difference := _difference(saved.state, like)):
        raise LabError(
            f"{path}: {difference}: other code, or another version of PyTorch, wrote it; nothing is"
            f" changed; go on with that (status.json says which), or {START_OVER}"
        )
    return saved._replace(state=_on(saved.state, device))


def _parsed(path: Path, data: bytes) -> Saved:
    """Raises `Damaged`, and `LabError` for another format."""
    try:
        saved = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if (found := int(saved["format"])) != FORMAT:
            raise LabError(
                f"{path}: a checkpoint of format {found}, and this gp_lab reads {FORMAT}; go on"
                f" with the version that wrote it (status.json says which), or {START_OVER}"
            )
        if saved["step"] != _step(path):
            raise ValueError(f"it is of step {saved['step']}")
        if not isinstance(saved["state"], dict):
            raise TypeError("it holds no state")
        return Saved(saved["step"], saved["state"], saved["extra"])
    except (LabError, OSError):
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        raise Damaged(one_line(error)) from error


def _on(state: Any, device: str) -> Any:
    if isinstance(state, dict):
        return {name: _on(entry, device) for name, entry in state.items()}
    return state.to(device) if isinstance(state, Tensor) else state


def _difference(state: Any, like: Any, key: str = "its state") -> str:
    """Where two trees of tensors differ in names, shapes or types; empty if they do not."""
    if not isinstance(like, dict):
        same = isinstance(state, Tensor) and (state.shape, state.dtype) == (like.shape, like.dtype)
        return "" if same else f"{key} is of another shape or type than this run's"
    if not isinstance(state, dict) or state.keys() != like.keys():
        return f"{key} has other entries than this run's"
    return next(filter(None, (_difference(state[k], like[k], k) for k in like)), "")


def _all(folder: RunFolder) -> list[Path]:
    names = (path.name for path in folder.inside("checkpoints").glob("step-*"))
    found = {m[1] for name in names if (m := re.fullmatch(r"step-(\d{1,18})\.(pt|sha256)", name))}
    return [_path(folder, step) for step in sorted(map(int, found))]


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _step(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def _path(folder: RunFolder, step: int) -> Path:
    return folder.path / "checkpoints" / checkpoint_name(step)


def _held_path(folder: RunFolder, step: int) -> Path:
    own = _path(folder, step)
    return own.parent / "held" / own.name
