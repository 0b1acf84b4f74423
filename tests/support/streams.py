"""What a process does to its standard streams, and the run that it has then."""

import os
from pathlib import Path

from lab import (
    BARE,
    config_of,
)

from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import folder_of

RUN = (*BARE, "steps=60", "log_every=10")


def folder_in(out: Path) -> RunFolder:
    return RunFolder(folder_of(config_of(*RUN, f"out={out}", base=())))


def lead_to(path: str) -> None:
    """From now on standard output and error of this process are this file."""
    file = os.open(path, os.O_RDWR | os.O_NOCTTY)
    for number in (1, 2):
        os.dup2(file, number)
