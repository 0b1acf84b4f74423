"""What a folder of runs could do without, and deleting it.

Offered for deletion are whole run folders that

- are unfinished and that nobody trains: failed, interrupted, or left as running by a kill;
- wait for their turn (queued, preempted) since more than a week: a scheduler may still come back;
- have diverged;

in finished runs what is superfluous: checkpoints before the newest whole one, what was set aside,
what an evaluation that was broken off (`--follow`) has held for more than a week, and what a kill
left half written; and what an earlier clean did not come to the end of. A run that
a process is training holds its lock and is never touched; neither is one that was finished and is
to be extended, nor one that is itself a link to somewhere else. Checkpoints that `keep_every` and
`keep_best` have kept are never offered, nor a run that has some, however it ended.
"""

import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gp_lab.errors import BadInput, LabError, counted, printable
from gp_lab.files import is_hidden
from gp_lab.runs.checksum import Damaged, checked_bytes
from gp_lab.runs.folder import SET_ASIDE, RunFolder, find_runs
from gp_lab.runs.kept import checkpoint_name, kept_steps
from gp_lab.runs.status import State
from gp_lab.terminal import aligned

PATIENCE = 7 * 24 * 3600
"""Seconds that a queued or preempted run, or an evaluation that was broken off, may wait before it
counts as forgotten."""

HALF_DELETED = ".deleted-"
"""How the name of a run folder begins that is being deleted: no command sees it any more."""


@dataclass(frozen=True)
class Item:
    """Something that could be deleted: a run folder, or a file or folder in one; and why."""

    path: Path
    bytes: int
    why: str
    run: Path


def clean(root: Path, deletes: bool) -> Iterator[str]:
    """A line for each thing that could be deleted below `root`, and one for all; it `deletes`."""
    found = sweepings(root)
    yield from aligned([(f"{i.bytes / 1e6:8.1f} MB", i.why, printable(str(i.path))) for i in found])
    found = delete(found) if deletes else found
    size = f"{counted(len(found), 'item')}, {sum(item.bytes for item in found) / 1e6:.1f} MB"
    yield f"deleted {size}" if deletes else f"{size}; nothing is deleted without --yes"


def sweepings(root: Path) -> list[Item]:
    """What could be deleted below `root`, in the order of the run folders' names."""
    runs = [folder for folder in find_runs(root) if not folder.path.is_symlink()]
    items = [item for folder in runs if _lock(folder) for item in _unlocked(folder)]
    return [*items, *_half_deleted(root, runs)]


def delete(items: Sequence[Item]) -> list[Item]:
    """Delete them; those deleted. What has changed its state meanwhile stays."""
    return [item for item in items if _delete(item)]


def _delete(item: Item) -> bool:
    if item.path == item.run and is_hidden(item.path.name):
        shutil.rmtree(item.path, ignore_errors=True)  # another one may be at it, too
        return not item.path.exists()
    folder = RunFolder(item.run)
    if not folder.exists or not _lock(folder):
        return False
    try:
        if item.path not in [other.path for other in _superfluous(folder)]:
            return False
        if item.path == folder.path:
            # Out of sight first: a kill in the middle leaves no half run behind, and who wants to
            # train it meanwhile begins anew.
            hidden = f"{HALF_DELETED}{item.path.name}-{os.getpid()}"
            shutil.rmtree(item.path.rename(item.path.with_name(hidden)))
        elif item.path.is_dir():
            shutil.rmtree(item.path)
        else:
            item.path.unlink()
        return True
    finally:
        folder.unlock()


def _half_deleted(root: Path, runs: Sequence[RunFolder]) -> Iterator[Item]:
    for parent in sorted({root, root / "runs", *(folder.path.parent for folder in runs)}):
        for path in sorted(parent.glob(f"{HALF_DELETED}*")):
            yield Item(path, RunFolder(path).size(), "half deleted", path)


def _unlocked(folder: RunFolder) -> list[Item]:
    try:
        return list(_superfluous(folder))
    finally:
        folder.unlock()


def _superfluous(folder: RunFolder) -> Iterator[Item]:
    """Of a run that is locked by us."""
    try:
        elsewhere = (folder.path / "checkpoints").is_symlink()  # none of them is the run's own
        status, kept = folder.status, frozenset() if elsewhere else kept_steps(folder)
    except BadInput:  # one of them is damaged: nobody can say what it is worth
        return
    if status.get("state") == State.FINISHED:
        for path, reason in _leftovers(folder, kept):
            size = RunFolder(path).size() if path.is_dir() else path.lstat().st_size
            yield Item(path, size, reason, folder.path)
    elif not kept and "finished_at" not in status and (why := _why(folder, status)):
        yield Item(folder.path, folder.size(), why, folder.path)


def _why(folder: RunFolder, status: Mapping[str, Any]) -> str | None:
    state = status.get("state")
    if state == State.RUNNING and not status.get("job"):  # and yet its lock is free
        return "interrupted (killed)"
    if state in (State.QUEUED, State.PREEMPTED, State.RUNNING):  # a job may be put back in line
        waited = time.time() - (folder.path / "status.json").stat().st_mtime
        return f"{state}, {waited / 86400:.0f} days ago" if waited > PATIENCE else None
    return str(state) if state is not None else None


def _leftovers(folder: RunFolder, kept: Collection[int]) -> Iterator[tuple[Path, str]]:
    """What of a finished run nothing reads; links are not followed. `kept`: checkpoints' steps."""
    place, aside = folder.path / "checkpoints", folder.path / SET_ASIDE
    checkpoints = [] if place.is_symlink() else sorted(place.glob("step-*.pt"), reverse=True)
    newest = next((i for i, path in enumerate(checkpoints) if _whole(path)), len(checkpoints))
    stay = set(map(checkpoint_name, kept))
    older = [path for path in checkpoints[newest + 1 :] if path.name not in stay]
    yield from ((path, "older checkpoint") for path in older)
    for path in () if place.is_symlink() else sorted(place.glob("step-*.sha256")):
        of = path.with_suffix(".pt")
        if of in older or not of.exists():
            yield path, "older checkpoint"
    held = place / "held"
    if held.is_dir() and not any(path.is_symlink() for path in (place, held)):
        waited = time.time() - held.stat().st_mtime
        if waited > PATIENCE:
            yield held, f"held for an evaluation, {waited / 86400:.0f} days ago"
    if aside.is_dir() and not aside.is_symlink():
        yield aside, "set aside"
    for path in folder.half_written():
        yield path, "half written"


def _whole(checkpoint: Path) -> bool:
    try:
        checked_bytes(checkpoint)
    except (OSError, Damaged):
        return False
    return True


def _lock(folder: RunFolder) -> bool:
    try:
        folder.lock()
    except LabError:
        return False
    return True
