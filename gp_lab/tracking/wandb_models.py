"""The last checkpoint of a run as an artifact on W&B, of the type model."""

import re
from collections.abc import Mapping
from typing import Any

from gp_lab.errors import LabError
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import setting_id


def name_of(text: str) -> str:
    """A text as W&B takes it for an id, or a name of an artifact; its end counts."""
    return re.sub(r"[^\w.-]+", "-", text)[-100:]


def model_of(folder: RunFolder, run_id: str, step: int, scores: Mapping[str, float]) -> Any:
    """A `wandb.Artifact` of the checkpoint at a step, its SHA-256 and the config that loads it.

    Nothing is copied: W&B reads the files where they lie, `wandb-sync` later. Raises `LabError`
    where there is no such checkpoint.
    """
    import wandb

    from gp_lab.runs import checkpoint

    files = checkpoint.files_after(folder, step - 1)
    if not files:
        raise LabError(f"no checkpoint of step {step}")
    config = folder.config
    metadata = {"setting": setting_id(config), "seed": config["seed"], "step": step}
    model = wandb.Artifact(
        f"model-{name_of(run_id)}", "model", metadata=metadata | {"scores": dict(scores)}
    )
    for path in (*files, folder.inside("config.yaml")):
        model.add_file(str(path.absolute()), skip_cache=True, policy="immutable")
    return model
