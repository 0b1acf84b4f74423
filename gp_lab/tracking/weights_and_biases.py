"""Weights & Biases: one run there for each run folder, online or offline, never in the way.

Online when there is a key and the server answers within two seconds (asked once a process: an
unreachable server blocks for more than a minute otherwise), offline else. The id there is the
run's id, steps are explicit, and after a resume what is missing comes from `metrics.jsonl`.
"""

import logging
import netrc
import os
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import Config
from gp_lab.tracking.base import Mode, Tracker

log = logging.getLogger(__name__)

PROBE_SECONDS = 2.0


@dataclass(frozen=True)
class WandbTracking:
    """Args:
    mode: auto is online when logged in and reachable, else offline.
    project, entity: where the runs go; entity null is the user's own.
    """

    mode: Mode = "auto"
    project: str = "gp_lab"
    entity: str | None = None

    def open(self, config: Config, folder: RunFolder) -> Tracker:
        """A tracker for this run; one that leads nowhere if W&B refuses (it says why)."""
        wanted = os.environ.get("WANDB_MODE", self.mode)
        if wanted == "disabled":
            return Tracker()
        try:
            mode = "offline" if wanted == "offline" else choose_mode(_server(), wanted == "online")
            return _WandbTracker(self, mode, config, folder)
        except Exception as error:
            log.warning("W&B is left out of this run: %s", error)
            return Tracker()


class _WandbTracker(Tracker):
    def __init__(
        self, tracking: WandbTracking, mode: str, config: Config, folder: RunFolder
    ) -> None:
        import wandb

        self._wandb = wandb
        if mode == "offline":
            # What a killed process left is written anew, whole, from metrics.jsonl.
            shutil.rmtree(folder.path / "wandb", ignore_errors=True)
        figure = (config.get("figure") or {}).get("id")
        self._run = wandb.init(
            mode="online" if mode == "online" else "offline",
            dir=folder.path,
            id=folder.status["id"],
            name=folder.path.name,
            project=tracking.project,
            entity=tracking.entity,
            group=figure,
            job_type=config.get("panel"),
            tags=[config[g]["name"] for g in ("dataset", "loss", "penalty")],
            config={k: v for k, v in config.items() if k not in ("trust", "out", "force")},
            reinit="create_new",
            resume="allow" if mode == "online" else None,
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, disable_code=True,
                x_disable_stats=True, init_timeout=30,
            ),
        )  # fmt: skip
        self._last = self._run.step - 1 if mode == "online" else -1

    def log(self, lines: Sequence[Mapping[str, Any]]) -> None:
        for line in lines:
            if line["step"] > self._last:
                values = {k: v for k, v in line.items() if k != "step"}
                self._send(values, line["step"])

    def pictures(self, step: int, draw: Callable[[], Mapping[str, np.ndarray]]) -> None:
        if step > self._last:
            try:
                images = {k: self._wandb.Image(v) for k, v in draw().items()}
            except Exception as error:
                log.warning("W&B: no pictures of step %d: %s", step, error)
                return
            if images:
                self._send(images, step)

    def close(self) -> None:
        try:
            self._run.finish()
        except Exception as error:
            log.warning("W&B did not finish: %s", error)

    def _send(self, values: dict[str, Any], step: int) -> None:
        try:
            self._run.log(values, step=step)
        except Exception as error:
            log.warning("W&B lost step %d: %s", step, error)


@cache
def choose_mode(server: str, wanted: bool = False) -> str:
    """`online` if there is a key for the server and it can be reached, else `offline`.

    `wanted` goes online without asking the server; without a key W&B would ask for one, so that
    stays offline.
    """
    host = urlsplit(server).hostname or ""
    if not _has_key(host):
        if wanted:
            log.warning("W&B: no key for %s, see wandb login; this run is written offline", host)
        return "offline"
    if wanted:
        return "online"
    port = urlsplit(server).port or (80 if server.startswith("http:") else 443)
    try:
        socket.create_connection((host, port), timeout=PROBE_SECONDS).close()
    except OSError as error:
        log.warning("W&B: %s cannot be reached (%s); this run is written offline", host, error)
        return "offline"
    return "online"


def _server() -> str:
    return os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")


def _has_key(host: str) -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
