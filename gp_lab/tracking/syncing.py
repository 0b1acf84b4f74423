"""Offline runs sent to W&B later, each once; `wandb sync` does the sending, one run at a time.

It leaves `<log>.wandb.synced` beside what it has sent: this says what is left to do, here and to
W&B itself. What is sent twice stands twice in W&B's history, so that `RUN/wandb/.synced` says up to
which step that was of which run there: a run that goes on writes a log of what came later.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gp_lab.errors import BadInput, LabError, counted
from gp_lab.files import read, write_atomically
from gp_lab.runs.folder import RunFolder, find_runs
from gp_lab.tracking import wandb_inside
from gp_lab.tracking.reachable import silence

MARK = ".synced"
"""In a run's `wandb` folder: up to which step what was uploaded goes, and the id there."""

SECONDS = 600.0
"""How long one run is waited for."""


def sync(root: Path) -> Iterator[str]:
    """Send the offline runs below a folder; a line for each, and one that counts them.

    Runs that train just now are left for later: their logs grow. Raises `LabError` where W&B cannot
    be reached, knows no key or is disabled, and at the end if a run could not be sent.
    """
    logs, under_way = offline_logs(root)
    left = [log for log in logs if not is_synced(log)]
    if left:
        _refuse_what_cannot_work()
    failed = 0
    for number, log in enumerate(left, 1):
        why = _sent(log)
        if not why:
            mark(RunFolder(log.parents[2]), log.stem.removeprefix("run-"))
        failed += bool(why)
        said = f"not uploaded ({why})" if why else "uploaded"
        yield f"[{number}/{len(left)}] {log.parents[2].name}: {said}"
    before, busy = len(logs) - len(left), f", {under_way} under way" if under_way else ""
    counts = f"{len(left) - failed} uploaded, {before} before{busy}"
    if failed:
        raise LabError(f"W&B: {counted(failed, 'run')} not uploaded; {counts}; try again later")
    yield f"{counted(len(logs) + under_way, 'offline log')}: {counts}"


def offline_logs(root: Path) -> tuple[list[Path], int]:
    """Offline logs of the runs and figures below a folder, and how many are written just now."""
    found, under_way = list[Path](), 0
    for folder in find_runs(root):
        logs = _logs(folder)
        if logs and folder.taken:
            under_way += 1
        else:
            found += logs
    for place in sorted((root / "figures").rglob("wandb")):
        found += _logs(RunFolder(place.parent))
    return found, under_way


def is_synced(log: Path) -> bool:
    """Whether W&B has sent this log."""
    return log.with_suffix(".wandb.synced").exists()


def start_log(folder: RunFolder, run_id: str) -> int | None:
    """Clear away what was not uploaded of a run there; the last step that was, None if nothing was.

    What an online run that could not begin has left goes, too.
    """
    uploaded = {log.parent for log in _logs(folder) if is_synced(log)}
    with suppress(BadInput):  # a link: somebody else's files
        for place in folder.inside("wandb").glob("*run-*"):
            if place not in uploaded and place.name.endswith(f"-{run_id}"):
                shutil.rmtree(place, ignore_errors=True)
    try:
        found = json.loads(read(folder.inside("wandb", MARK)))
        return int(found["step"]) if found.get("id", run_id) == run_id else None
    except (OSError, BadInput, ValueError, TypeError, LookupError, AttributeError):
        return None


def mark(folder: RunFolder, run_id: str) -> None:
    """Note that all that a run has written is on W&B, as the run of this id."""
    step = max((line["step"] for line in folder.metrics()), default=-1)
    with suppress(OSError):
        data = json.dumps({"step": step, "id": run_id}).encode()
        write_atomically(folder.inside("wandb", MARK), data)


def _logs(folder: RunFolder) -> list[Path]:
    try:
        place = folder.inside("wandb")
    except BadInput:  # a link: somebody else's files
        return []
    logs = sorted(place.glob("offline-run-*/*.wandb"))
    return [log for log in logs if not (log.is_symlink() or log.parent.is_symlink())]


def _refuse_what_cannot_work() -> None:
    try:
        own = wandb_inside.own_settings()
        if own.decision == "disabled":
            raise LabError("W&B: its own settings say disabled; nothing is uploaded")
        if not wandb_inside.has_credentials(own.server):
            raise LabError(f"W&B: no key for {own.server}, see wandb login; nothing is uploaded")
    except ValueError as error:
        raise LabError(f"W&B: {error}; nothing is uploaded") from error
    except wandb_inside.Unknown:
        return  # `wandb sync` says what it needs
    if why := silence(own.server, own.proxies):
        raise LabError(f"W&B: {own.server} cannot be reached ({why}); nothing is uploaded")


def _sent(log: Path) -> str:
    """Why a log could not be sent; "" if it was."""
    command = [sys.executable, "-m", "wandb", "sync", "--yes", str(log.parent)]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            said = f"not within {SECONDS:g} seconds"
        finally:
            if process.poll() is None:  # with what it has started
                os.killpg(process.pid, signal.SIGKILL)
    if is_synced(log):
        return ""
    lines = [line.removeprefix("wandb: ").strip() for line in said.splitlines()]
    return next((line for line in reversed(lines) if line), f"exit status {process.returncode}")
