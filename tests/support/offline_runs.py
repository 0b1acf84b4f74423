"""What W&B's offline logs hold, as its own reader says."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from lab import PATIENCE

from gp_lab.runs.folder import RunFolder


def records(folder: RunFolder) -> list[dict[str, Any]]:
    """What `wandb leet` reads in the run's only offline log."""
    (log,) = (folder.path / "wandb").glob("offline-run-*/*.wandb")
    return read_log(log)


def read_log(log: Path) -> list[dict[str, Any]]:
    """What `wandb leet` reads in an offline log."""
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", str(log)]
    read = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    return [json.loads(line) for line in read.stdout.splitlines()]


def history(folder: RunFolder) -> list[dict[str, Any]]:
    return [r["history"]["item"] for r in records(folder) if r["type"] == "history"]


def run_of(folder: RunFolder) -> dict[str, Any]:
    """How the run is called, as it was said last."""
    return [r["run"] for r in records(folder) if r["type"] == "run"][-1]


def summary(folder: RunFolder) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for record in records(folder):
        if record["type"] == "summary":
            found |= record["summary"].get("update", {})
    return found


def exit_code(folder: RunFolder) -> int:
    (record,) = (r["exit"] for r in records(folder) if r["type"] == "exit")
    return int(record.get("exit_code", 0))
