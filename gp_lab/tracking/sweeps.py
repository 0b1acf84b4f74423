"""W&B's sweeps: `wandb agent` runs `gp-lab train`, which joins the run that the agent asks for.

The agent says which by its environment, and W&B's own code joins it. Where the run is there, and
what the sweep has set, is kept in `status.json` as `wandb`: it goes on without the agent, too. So
does a run that started over, and is another one there.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gp_lab.errors import counted
from gp_lab.files import read
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.yaml_text import load

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
    """Where a run is on W&B if not under its own id: id, project, entity, sweep, and in config what
    the sweep has set. Empty for all others."""
    found = folder.status.get("wandb")
    texts = {"id", "project", "entity", "sweep"}
    entries = found if isinstance(found, Mapping) else {}
    place: dict[str, Any] = {k: v for k, v in entries.items() if k in texts and isinstance(v, str)}
    config = entries.get("config")
    place["config"] = dict(config) if isinstance(config, Mapping) else {}
    return place if place.get("id") else {}


def keep(folder: RunFolder, run: Any) -> None:
    """Write where a run is, which is a `wandb.Run`."""
    place = {"id": run.id, "project": run.project, "entity": run.entity, "sweep": run.sweep_id}
    place |= {"config": _set_by_sweep()}
    if place != folder.status.get("wandb"):
        folder.set_status(folder.status["state"], wandb=place)


def _set_by_sweep() -> dict[str, Any]:
    """The keys that the agent's run was given, from the file that it says them in to W&B."""
    try:
        said = load(read(Path(os.environ["WANDB_SWEEP_PARAM_PATH"])).decode()).items()
        return {str(k): v["value"] for k, v in said if isinstance(v, Mapping) and "value" in v}
    except (LookupError, OSError, ValueError, AttributeError, yaml.YAMLError):
        return {}
