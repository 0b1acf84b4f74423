"""Checkpoints: a step and a tree of tensors, checksummed, the last two kept.

Loaded with `weights_only=True`, so a checkpoint from a stranger is data. The random streams need
no state of their own: block k of a stream is a function of (seed, stream, k), and the step says k.
They are written between two iterations: scripts/bench_checkpoint.py shows what that costs.
"""

import hashlib
import io
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gp_lab.errors import one_line
from gp_lab.files import flush, replacing, write_atomically
from gp_lab.runs.folder import RunFolder, checked_bytes, checksum_path

FORMAT = 1
KEPT = 2


def save(folder: RunFolder, step: int, state: dict[str, Any], extra: dict[str, Any]) -> None:
    """Write `checkpoints/step-<step>.pt` and its SHA-256, then drop all but the last two.

    `state` is nested dicts of tensors, `extra` plain Python values. The metrics are on the disk
    before it: a run that goes on from here has them all.
    """
    data = serialised(step, state, extra)
    path = _path(folder, step)
    folder.flush_metrics()
    with replacing(path) as temporary:
        temporary.write_bytes(data)
        flush(temporary)
        write_atomically(checksum_path(path), hashlib.sha256(data).hexdigest().encode())
    for old in _all(folder)[:-KEPT]:
        _delete(old)


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
) -> tuple[int, dict[str, Any], dict[str, Any]] | None:
    """(step, state, extra) of the newest whole checkpoint, or of the one at `step`.

    One that is missing, truncated, altered or unreadable, or whose tensors are of other names and
    shapes than those of the state `like`, is passed over with a warning. None if there is none.
    """
    for path in reversed(_all(folder)):
        if step is not None and path != _path(folder, step):
            continue
        try:
            data = checked_bytes(path)
            saved = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
            if saved["step"] != _step(path):
                raise ValueError(f"it is of step {saved['step']}")
            if like is not None:
                _compare(saved["state"], like)
            return saved["step"], saved["state"], saved["extra"]
        except Exception as error:  # whatever is wrong with it, the one before it may be whole
            warnings.warn(f"{path}: passed over ({one_line(error)})", stacklevel=2)
    return None


def steps(folder: RunFolder) -> list[int]:
    """The steps of the checkpoints that are there, or should be by their checksums."""
    return [_step(path) for path in _all(folder)]


def drop_after(folder: RunFolder, step: int) -> None:
    """Delete the checkpoints later than a step: the run goes on from there."""
    for path in _all(folder):
        if _step(path) > step:
            _delete(path)


def _compare(state: Any, like: Any, key: str = "its state") -> None:
    """Raises ValueError where two trees of tensors differ in names, shapes or types."""
    if isinstance(like, dict):
        if not isinstance(state, dict) or state.keys() != like.keys():
            raise ValueError(f"{key} has other entries than this run's")
        for name in like:
            _compare(state[name], like[name], name)
    elif not isinstance(state, Tensor) or (state.shape, state.dtype) != (like.shape, like.dtype):
        raise ValueError(f"{key} is of another shape or type than this run's")


def _all(folder: RunFolder) -> list[Path]:
    names = (path.name for path in (folder.path / "checkpoints").glob("step-*"))
    found = {m[1] for name in names if (m := re.fullmatch(r"step-(\d{1,18})\.(pt|sha256)", name))}
    return [_path(folder, step) for step in sorted(map(int, found))]


def _step(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)
    checksum_path(path).unlink(missing_ok=True)


def _path(folder: RunFolder, step: int) -> Path:
    return folder.path / "checkpoints" / f"step-{step:08d}.pt"
