"""W&B's sweeps: `wandb agent` runs `gp-lab train`, which joins the run that the agent asks for.

The agent says which by its environment, and W&B's own code joins it. Where the run is there, and
what the sweep has set, is kept in `status.json` as `wandb`: it goes on without the agent, too.
"""

import logging
import os
from collections.abc import Mapping
from typing import Any

from gp_lab.errors import counted
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import Config

log = logging.getLogger(__name__)

OF_AN_AGENT = ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH")


def asked() -> str:
    """The id of the run for which W&B's agent has started this process; "" without an agent."""
    return os.environ.get("WANDB_SWEEP_ID", "") and os.environ.get("WANDB_RUN_ID", "")


def decline(count: int) -> None:
    """Leave an agent's run alone, which is one: these are of their own, here and in workers."""
    if asked():
        log.warning(
            "W&B: the agent asks for one run, and this command is about %s, which do not join its"
            " sweep", counted(count, "run"),
        )  # fmt: skip
        for name in OF_AN_AGENT:
            os.environ.pop(name, None)


def place_of(folder: RunFolder) -> dict[str, Any]:
    """Where a run is on W&B that an agent asked for: id, project, entity, sweep, and in config what
    the sweep has set. Empty for all others."""
    found = folder.status.get("wandb")
    texts = {"id", "project", "entity", "sweep"}
    if not isinstance(found, Mapping) or not found.get("id"):
        return {}
    place: dict[str, Any] = {k: v for k, v in found.items() if k in texts and isinstance(v, str)}
    config = found.get("config")
    return place | {"config": dict(config) if isinstance(config, Mapping) else {}}


def keep(folder: RunFolder, run: Any, config: Config) -> None:
    """Write where an agent's run is, a `wandb.Run` that was begun with a config."""
    place = {"id": run.id, "project": run.project, "entity": run.entity, "sweep": run.sweep_id}
    of_sweep = {k: v for k, v in run.config.items() if k[:1] != "_" and config.get(k) != v}
    place |= {"config": of_sweep}
    if place != folder.status.get("wandb"):
        folder.set_status(folder.status["state"], wandb=place)
