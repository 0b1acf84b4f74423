"""A saved workspace on W&B for the lab's runs, made by its own package `wandb-workspaces`.

Curves by penalty, surfaces by step, scores grouped over seeds: a section each.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gp_lab.errors import BadInput, LabError, one_line
from gp_lab.extras import check_extra
from gp_lab.files import read, write_atomically
from gp_lab.tracking import wandb_inside
from gp_lab.tracking.weights_and_biases import PROJECT, choose_mode

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Section, Workspace

NAME = "gp_lab"
"""What the workspace is called."""

FILE = "wandb-view.json"
"""In the outputs: what was made, or would be; and where it is, so that it is written anew there."""

CURVES, PICTURES, SCORES = "curves by penalty", "surfaces by step", "scores grouped over seeds"
"""The sections."""


@dataclass(frozen=True)
class Seen:
    """What runs have on W&B.

    losses, scores: names in their history; last: of a score, and of what `gp-lab evaluate` found,
    the name in the summary; pictures: names of images; project: where most of them are, if they
    say.
    """

    losses: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    last: Mapping[str, str] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()
    project: str | None = None


def needs_package() -> None:
    """Raises `BadInput` where the package `wandb-workspaces` is missing."""
    check_extra("wandb-view", "wandb-view")


def make(seen: Seen, outputs: Path, project: str | None, entity: str | None) -> str:
    """Save the workspace, or the file that says what it would be; a line that says which.

    It is saved where runs would go online. Raises `LabError` where W&B refuses (the file is there
    then, too), and for settings that W&B cannot read.
    """
    own = _own_settings()
    online = own is not None and choose_mode("auto", own) == "online"
    project = project or seen.project or (own and own.project) or PROJECT
    workspace = workspace_of(seen, project, entity or (own and own.entity) or "")
    path = outputs / FILE
    if not online:
        _write(path, workspace)
        return f"W&B is offline, or knows no key (wandb login): what would be made is in {path}"
    before = _address(path)
    try:
        address = _save(workspace, before)
    except Exception as error:
        _write(path, workspace)
        raise LabError(
            f"W&B: the workspace was not saved ({one_line(error)}); what it would be is in {path}"
        ) from error
    _write(path, workspace, address)
    return f"workspace: {address}"


def workspace_of(seen: Seen, project: str, entity: str) -> "Workspace":
    """The workspace as the package has it; nothing is asked of a server."""
    import wandb_workspaces.workspaces as ws
    from wandb_workspaces import expr

    return ws.Workspace(
        entity=entity,
        project=project,
        name=NAME,
        sections=_sections(seen),
        runset_settings=ws.RunsetSettings(
            groupby=[expr.Config("setting")],
            pinned_columns=[f"summary:{name}" for name in seen.last.values()],
        ),
    )


def _sections(seen: Seen) -> list["Section"]:
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

    over_seeds: dict[str, Any] = {"groupby_aggfunc": "mean", "groupby_rangefunc": "stderr"}
    curves = [
        wr.LinePlot(title=name, y=[name], groupby=wr.Config("penalty.name"), **over_seeds)
        for name in (*seen.scores, *seen.losses)
    ]
    pictures = [
        wr.MediaBrowser(title=name, media_keys=[name], grid_x_axis="step", grid_y_axis="run")
        for name in seen.pictures
    ]
    scores = [
        wr.BarPlot(title=title, metrics=[name], groupby=wr.Config("setting"), **over_seeds)
        for title, name in seen.last.items()
    ]
    found: dict[str, Any] = {CURVES: curves, PICTURES: pictures, SCORES: scores}
    return [
        ws.Section(name=n, panels=panels, is_open=True) for n, panels in found.items() if panels
    ]


def _own_settings() -> wandb_inside.Own | None:
    try:
        return wandb_inside.own_settings()
    except wandb_inside.Unknown:
        return None
    except ValueError as error:
        raise LabError(f"W&B: {error}") from error


def _save(workspace: "Workspace", before: str) -> str:
    """Save it, in the place of the one at an address if that is still there; its own address."""
    import wandb
    import wandb_workspaces.workspaces as ws

    workspace.entity = workspace.entity or wandb.Api().default_entity or ""
    with suppress(Exception):  # it was deleted, or is not ours any more
        old = ws.Workspace.from_url(before)
        if (old.entity, old.project) == (workspace.entity, workspace.project):
            old.sections, old.runset_settings = workspace.sections, workspace.runset_settings
            return str(old.save().url)
    return str(workspace.save().url)


def _address(path: Path) -> str:
    """Where the workspace was saved before; "" if it was not."""
    try:
        return str(json.loads(read(path)).get("url", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _write(path: Path, workspace: "Workspace", address: str = "") -> None:
    """What is sent to W&B, as the package writes it."""
    view: dict[str, Any] = workspace._to_model().model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    text = json.dumps({"url": address or _address(path)} | view, indent=1)
    try:
        write_atomically(path, f"{text}\n".encode())
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({one_line(error)})") from error
