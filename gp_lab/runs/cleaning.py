"""What a folder of runs could do without, and deleting it.

Offered for deletion are whole run folders that

- are unfinished and that nobody trains: failed, interrupted, or left as running by a kill;
- wait for their turn (queued, preempted) since more than a week: a scheduler may still come back;
- have diverged;

and in finished runs what is superfluous: checkpoints before the newest whole one, and what a kill
left half written. A run that a process is training holds its lock and is never touched; neither is
a folder without both `config.yaml` and `status.json`, nor one that is not really below the root.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gp_lab.errors import BadInput, LabError
from gp_lab.runs.folder import RunFolder, State, checked_bytes, find_runs

PATIENCE = 7 * 24 * 3600
"""Seconds that a queued or preempted run may wait before it counts as forgotten."""


@dataclass(frozen=True)
class Item:
    """Something that could be deleted: a run folder, or a file in one; and why."""

    path: Path
    bytes: int
    why: str
    run: Path


def sweepings(root: Path) -> list[Item]:
    """What could be deleted below `root`, in the order of the run folders' names."""
    runs = [folder for folder in find_runs(root) if _below(folder.path, root)]
    return [item for folder in runs if _lock(folder) for item in _unlocked(folder)]


def delete(items: Sequence[Item]) -> list[Item]:
    """Delete them; those deleted. What has changed its state meanwhile stays."""
    deleted = []
    for item in items:
        folder = RunFolder(item.run)
        if not folder.exists or not _lock(folder):
            continue
        try:
            if item.path in [other.path for other in _superfluous(folder)]:
                shutil.rmtree(item.path) if item.path.is_dir() else item.path.unlink()
                deleted.append(item)
        finally:
            folder.unlock()
    return deleted


def _unlocked(folder: RunFolder) -> list[Item]:
    try:
        return list(_superfluous(folder))
    finally:
        folder.unlock()


def _superfluous(folder: RunFolder) -> Iterator[Item]:
    """Of a run that is locked by us."""
    try:
        state = folder.state
    except BadInput:  # its status is damaged: nobody can say what it is worth
        return
    if state == State.FINISHED:
        for path, reason in _leftovers(folder):
            yield Item(path, path.lstat().st_size, reason, folder.path)
    elif why := _why(folder, state):
        yield Item(folder.path, folder.size(), why, folder.path)


def _why(folder: RunFolder, state: State | None) -> str | None:
    if state == State.RUNNING:  # and yet its lock is free
        return "interrupted (killed)"
    if state in (State.QUEUED, State.PREEMPTED):
        waited = time.time() - (folder.path / "status.json").stat().st_mtime
        return f"{state}, {waited / 86400:.0f} days ago" if waited > PATIENCE else None
    return str(state) if state is not None else None


def _leftovers(folder: RunFolder) -> Iterator[tuple[Path, str]]:
    """Files of a finished run that nothing reads; links are not followed."""
    kept = folder.path / "checkpoints"
    checkpoints = [] if kept.is_symlink() else sorted(kept.glob("step-*.pt"), reverse=True)
    newest = next((i for i, path in enumerate(checkpoints) if _whole(path)), len(checkpoints))
    older = checkpoints[newest + 1 :]
    yield from ((path, "older checkpoint") for path in older)
    for path in () if kept.is_symlink() else sorted(kept.glob("step-*.sha256")):
        of = path.with_suffix(".pt")
        if of in older or not of.exists():
            yield path, "older checkpoint"
    for path in folder.half_written():
        yield path, "half written"


def _whole(checkpoint: Path) -> bool:
    try:
        checked_bytes(checkpoint)
    except (OSError, ValueError):
        return False
    return True


def _below(path: Path, root: Path) -> bool:
    """Whether a path is under the root without a symbolic link on the way."""
    return path.resolve() == root.resolve() / path.relative_to(root)


def _lock(folder: RunFolder) -> bool:
    try:
        folder.lock()
    except LabError:
        return False
    return True
