"""Runs that are opened as W&B is set up, with a server that counts what it is asked."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import PATIENCE, config_of
from wandb_server import KEY, WandbServer, serving

from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import Config
from gp_lab.tracking.base import Mode, Tracker
from gp_lab.tracking.ending import close_all
from gp_lab.tracking.weights_and_biases import WandbTracking


@pytest.fixture
def server() -> Iterator[WandbServer]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def config() -> Config:
    return config_of()


Opened = Callable[..., tuple[Tracker, RunFolder]]


@pytest.fixture
def opened(no_account: Path, tmp_path: Path, config: Config) -> Opened:
    """Opens, writes and ends a run; its tracker and folder."""

    def once(mode: Mode = "auto", name: str = "run", **own: Any) -> tuple[Tracker, RunFolder]:
        folder = RunFolder(tmp_path / name)
        folder.path.mkdir()
        folder.create(config | {"out": str(tmp_path)}, name)
        tracker = WandbTracking(mode=mode, **own.pop("said", own)).open(config, folder)
        tracker.log([{"step": 0, "loss_d": 1.0}])
        close_all([tracker])
        return tracker, folder

    return once


def went(folder: RunFolder) -> str:
    """How W&B has kept a run: online, offline, or not at all."""
    kept = {p.name.partition("-")[0] for p in (folder.path / "wandb").glob("*run-*")}
    return {"run": "online", "offline": "offline"}[kept.pop()] if kept else "disabled"


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the lab has said; W&B writes down more."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("gp_lab")]


def wandb(*arguments: str) -> None:
    """A command of W&B's own, in this folder."""
    command = [str(Path(sys.executable).with_name("wandb")), *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)


def logged_in(server: WandbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)


def written(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["[default]", *lines, ""]))


def in_netrc(path: Path, machine: str, key: str = KEY) -> None:
    path.write_text(f"machine {machine}\n  login user\n  password {key}\n")
    path.chmod(0o600)
