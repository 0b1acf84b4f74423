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
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from gp_lab.errors import one_line
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import Config
from gp_lab.tracking.base import Mode, Tracker

log = logging.getLogger(__name__)

PROBE_SECONDS = 2.0
INIT_SECONDS = 30.0
FINISH_SECONDS = 60.0
"""How long the end of a run waits for an upload; `wandb sync` or a resume make up for the rest."""


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
        """A tracker for this run; one that leads nowhere if W&B refuses (it says why).

        A server that can be reached but does not answer costs `INIT_SECONDS` once a process.
        """
        wanted = os.environ.get("WANDB_MODE", self.mode)
        if wanted == "disabled":
            return Tracker()
        try:
            server = _server()
            offline = wanted == "offline" or server in _silent
            mode = "offline" if offline else choose_mode(server, wanted == "online")
            if mode == "online":
                try:
                    return _WandbTracker(self, mode, config, folder)
                except Exception as error:
                    log.warning("W&B: %s; runs are written offline", one_line(error))
                    _silent.add(server)
                    _end_service()
            return _WandbTracker(self, "offline", config, folder)
        except Exception as error:
            log.warning("W&B is left out of this run: %s", one_line(error))
            return Tracker()


_silent: set[str] = set()
"""Servers that could be reached, but let no run begin."""

_open: set[int] = set()
"""Ids of the trackers whose runs W&B's process, which all runs of this one share, still writes."""


def _end_service() -> None:
    """End W&B's process where no run depends on it; the next run gets a new one."""
    import wandb

    if not _open:
        with suppress(Exception, SystemExit):  # it may be dead, or have ended in an error
            wandb.teardown()


class _WandbTracker(Tracker):
    def __init__(
        self, tracking: WandbTracking, mode: str, config: Config, folder: RunFolder
    ) -> None:
        import wandb

        self._wandb = wandb
        self._name, self._gone, self._lost = folder.path.name, False, 0
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
            settings=wandb.Settings(**_settings(wandb.Settings.model_fields)),
        )  # fmt: skip
        self._last = self._run.step - 1 if mode == "online" else -1
        _open.add(id(self))

    def log(self, lines: Sequence[Mapping[str, Any]]) -> None:
        for line in lines:
            if line["step"] > self._last:
                values = {k: v for k, v in line.items() if k != "step"}
                self._send(values, line["step"])

    def pictures(self, step: int, draw: Callable[[], Mapping[str, np.ndarray]]) -> None:
        if step > self._last and not self._gone:
            try:
                images = {k: self._wandb.Image(v) for k, v in draw().items()}
            except Exception as error:
                log.warning("W&B: no pictures of step %d: %s", step, error)
                return
            if images:
                self._send(images, step)

    def close(self) -> None:
        if self._lost > 1:
            log.warning("W&B lost %d lines and pictures of %s in all", self._lost, self._name)
        if self._gone:
            return
        _open.discard(id(self))
        try:
            self._run.finish()
        except Exception as error:
            log.warning("W&B did not finish: %s; metrics.jsonl has all", one_line(error))
            if isinstance(error, ConnectionError):
                _end_service()

    def _send(self, values: dict[str, Any], step: int) -> None:
        if self._gone:
            return
        try:
            self._run.log(values, step=step)
        except ConnectionError as error:
            self._gone = True
            log.warning(
                "W&B's own process has died (%s): %s goes on without it; metrics.jsonl has all",
                error,
                self._name,
            )
            _open.discard(id(self))
            _end_service()
        except Exception as error:
            self._lost += 1
            if self._lost == 1:
                log.warning("W&B lost step %d: %s", step, error)


def _settings(known: Collection[str]) -> dict[str, Any]:
    """Silent, of nothing but what the run logs, and never in the way; W&B's versions differ."""
    wanted = {
        "silent": True,
        "console": "off",
        "disable_git": True,
        "disable_code": True,
        "x_disable_meta": True,  # in a job of Slurm: SLURM_*, a token among them
        "x_disable_stats": True,
        "init_timeout": INIT_SECONDS,
        "finish_timeout": FINISH_SECONDS,
    }
    return {name: value for name, value in wanted.items() if name in known}


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
