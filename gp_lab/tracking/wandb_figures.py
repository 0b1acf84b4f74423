"""A figure on W&B: its picture and the verdicts on its claims, in a run of its own there.

The runs that it was drawn from are in its config by their ids, and have its name as a tag.
"""

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gp_lab.errors import LabError, one_line
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import Config
from gp_lab.tracking.base import Tracker, tracking_of
from gp_lab.tracking.ending import close_all
from gp_lab.tracking.several import SeveralTracking
from gp_lab.tracking.syncing import start_log
from gp_lab.tracking.wandb_inside import Decision, Own
from gp_lab.tracking.wandb_models import name_of
from gp_lab.tracking.weights_and_biases import PROJECT, WandbTracking, settings

log = logging.getLogger(__name__)

KEPT = ("figure", "title", "scale", "command", "dataset", "overrides", "not_the_papers",
        "stand_ins", "methods", "seeds", "steps")  # fmt: skip
"""Of a figure's claims.json, in its config on the dashboard."""


def tell_figure(config: Config, folder: Path, summary: Mapping[str, Any]) -> None:
    """Tell W&B of a figure that was published in `folder`, if the runs' config tracks them there.

    It is no reason to fail: what is wrong is said in a line.
    """
    try:
        tracking = tracking_of(config)
        parts = tracking.parts.values() if isinstance(tracking, SeveralTracking) else [tracking]
        for part in parts:
            if isinstance(part, WandbTracking):
                begin = partial(_Figure, part, folder=folder, summary=summary)
                close_all([part.opened(begin)])
    except (LabError, OSError) as error:
        log.warning("W&B was not told of %s: %s", folder, one_line(error))


class _Figure(Tracker):
    def __init__(
        self,
        tracking: WandbTracking,
        own: Own | None,
        mode: Decision,
        folder: Path,
        summary: Mapping[str, Any],
    ) -> None:
        import wandb

        name = f"{summary['figure']}-{folder.name}"
        run_id = f"figure-{name_of(name)}"
        if mode == "offline":
            start_log(RunFolder(folder), run_id)
        ids = [run["id"] for run in summary.get("runs", ()) if run.get("id")]
        self._run = wandb.init(
            mode="online" if mode == "online" else "offline",
            dir=folder,
            id=run_id,
            name=name,
            project=tracking.project or (own and own.project) or PROJECT,
            entity=tracking.entity,
            group=str(summary["figure"]),
            job_type="figure",
            tags=[str(summary["figure"]), str(summary["scale"])],
            config={k: summary[k] for k in KEPT if k in summary} | {"runs": ids},
            reinit="create_new",
            resume="allow" if mode == "online" else None,
            settings=wandb.Settings(**settings(own)),
        )
        verdicts = [claim["verdict"] for claim in summary["claims"]]
        self._run.summary.update(
            {f"claims/{verdict}": verdicts.count(verdict) for verdict in set(verdicts)}
        )
        columns: list[str | int] = ["text", "verdict", "estimate", "low", "high", "n", "paper"]
        rows = [[_cell(claim.get(column)) for column in columns] for claim in summary["claims"]]
        table = wandb.Table(columns=columns, data=rows)
        image = wandb.Image(str(folder / "figure.png"), caption=name)
        self._run.log({"figure": image, "claims": table})

    def close(self) -> None:
        self._run.finish(exit_code=0)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
