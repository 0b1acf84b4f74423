"""Checkpoints: a step and a tree of tensors, checksummed, the last two kept.

Loaded with `weights_only=True`, so a checkpoint from a stranger is data. The random streams need
no state of their own: block k of a stream is a function of (seed, stream, k), and the step says k.
"""

import hashlib
import io
import warnings
from pathlib import Path
from typing import Any

import torch

from gp_lab.runs.folder import RunFolder, checked_bytes, checksum_path, write_atomically

FORMAT = 1
KEPT = 2


def save(folder: RunFolder, step: int, state: dict[str, Any], extra: dict[str, Any]) -> None:
    """Write `checkpoints/step-<step>.pt` and its SHA-256, then drop all but the last two.

    `state` is nested dicts of tensors, `extra` plain Python values.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "step": step, "state": state, "extra": extra}, buffer)
    data = buffer.getvalue()
    path = _path(folder, step)
    write_atomically(checksum_path(path), hashlib.sha256(data).hexdigest().encode())
    write_atomically(path, data)
    for old in _all(folder)[:-KEPT]:
        old.unlink()
        checksum_path(old).unlink(missing_ok=True)


def load(
    folder: RunFolder, step: int | None = None, device: str = "cpu"
) -> tuple[int, dict[str, Any], dict[str, Any]] | None:
    """(step, state, extra) of the newest whole checkpoint, or of the one at `step`.

    A truncated, altered or unreadable one is passed over with a warning. None if there is none.
    """
    for path in reversed(_all(folder)):
        if step is not None and path != _path(folder, step):
            continue
        try:
            data = checked_bytes(path)
            saved = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
            return saved["step"], saved["state"], saved["extra"]
        except Exception as error:  # whatever is wrong with it, the one before it may be whole
            warnings.warn(f"{path}: passed over ({error})", stacklevel=2)
    return None


def steps(folder: RunFolder) -> list[int]:
    """The steps of the checkpoints that are there."""
    return [int(p.stem.rsplit("-", 1)[1]) for p in _all(folder)]


def drop_after(folder: RunFolder, step: int) -> None:
    """Delete the checkpoints later than a step: the run goes on from there."""
    for path in _all(folder):
        if int(path.stem.rsplit("-", 1)[1]) > step:
            path.unlink()
            checksum_path(path).unlink(missing_ok=True)


def _all(folder: RunFolder) -> list[Path]:
    return sorted((folder.path / "checkpoints").glob("step-*.pt"))


def _path(folder: RunFolder, step: int) -> Path:
    return folder.path / "checkpoints" / f"step-{step:08d}.pt"
