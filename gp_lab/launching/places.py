"""Where the configs are: beside the package in a clone, inside it in an installed wheel."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml


@cache
def config_folder() -> Path:
    """The folder that holds train.yaml and the groups."""
    package = Path(__file__).resolve().parent.parent
    beside, inside = package.parent / "configs", package / "configs"
    return beside if (beside / "train.yaml").is_file() else inside


def choices(group: str) -> list[str]:
    """The names that a group offers, in order; `figure` has a folder for each paper."""
    folder = config_folder() / group
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yaml"))


def plural(group: str) -> str:
    """What `gp-lab list` calls a group."""
    irregular = {"loss": "losses", "penalty": "penalties", "tracking": "tracking"}
    return irregular.get(group, group + "s")


def figure_ids() -> list[str]:
    """The entries of the catalogue that have a file, as `gp-lab figure` takes them."""
    return [name for name in choices("figure") if name != "none"]


def figure_file(name: str) -> dict[str, Any]:
    """The entry's file as it is written: nothing composed, nothing resolved."""
    return yaml.safe_load((config_folder() / "figure" / f"{name}.yaml").read_text())


def groups() -> list[str]:
    """The config groups of the lab, Hydra's own aside."""
    folders = (p for p in config_folder().iterdir() if p.is_dir() and any(p.glob("*.yaml")))
    return sorted(p.name for p in folders if p.name != "hydra")
