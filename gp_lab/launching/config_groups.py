"""Where the configs are: beside the package in a clone, inside it in an installed wheel."""

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from gp_lab.errors import BadInput, bad_choice, one_line
from gp_lab.runs import yaml_text

EXPERIMENT = "experiment"
"""The group whose files are whole settings: they choose parts and give values. It is no part."""


@cache
def config_folder() -> Path:
    """The folder that holds train.yaml and the groups."""
    package = Path(__file__).resolve().parent.parent
    beside, inside = package.parent / "configs", package / "configs"
    return beside if (beside / "train.yaml").is_file() else inside


def choices(group: str, folder: Path | None = None) -> list[str]:
    """The names that a group offers, in order; `figure` has a folder for each paper.

    `folder` is one of one's own, beside the lab's. Files whose names begin with `_` are no choices:
    others inherit from them.
    """
    places = [root / group for root in (config_folder(), folder) if root]
    found = [path.relative_to(root) for root in places for path in root.rglob("*.yaml")]
    return sorted({str(path.with_suffix("")) for path in found if path.name[0] != "_"})


def descriptions(group: str, folder: Path | None = None) -> list[tuple[str, str]]:
    """The choices of a group, each with the first comment of its file; those of `folder` too."""
    found = []
    for name in choices(group, folder):
        lines = _file_of(group, name, folder).read_text().splitlines()
        first = itertools.takewhile(lambda line: line.startswith("#"), lines)
        comment = [w[2:] for w in first if not w.startswith("# @") and "gp-lab " not in w]
        found.append((name, " ".join(" ".join(comment).split())))
    return found


def plural(group: str) -> str:
    """What `gp-lab list` calls a group."""
    irregular = {"loss": "losses", "penalty": "penalties", "tracking": "tracking"}
    return irregular.get(group, group + "s")


def figure_ids(folder: Path | None = None) -> list[str]:
    """The entries that have a file, as `gp-lab figure` takes them; those of `folder` among them."""
    return [name for name in choices("figure", folder) if name != "none"]


def figure_file(name: str, folder: Path | None = None) -> dict[str, Any]:
    """The entry's file, as `config_file`."""
    return config_file("figure", name, folder)


def other_names(name: str, folder: Path | None = None) -> list[str]:
    """What an entry draws beside the item that it is named after, as its file has under `also:`."""
    paper = name.partition("/")[0]
    return [f"{paper}/{item}" for item in figure_file(name, folder).get("also", [])]


def entry_of(name: str, folder: Path | None = None) -> str:
    """The entry that draws what a name means: itself, or the one that has it as another name.

    Raises `BadInput` for a name that is neither.
    """
    known = figure_ids(folder)
    if name in known:
        return name
    paper = name.partition("/")[0]
    for other in (other for other in known if other.startswith(f"{paper}/")):
        if name in other_names(other, folder):
            return other
    raise bad_choice("figure", name, known)


def config_file(group: str, name: str, folder: Path | None = None) -> dict[str, Any]:
    """A file of a group as it is written, nothing resolved; the lab's before `folder`'s.

    Raises `BadInput` if it is no YAML mapping.
    """
    path = _file_of(group, name, folder)
    try:
        found = yaml_text.load(path.read_text(), as_hydra=True)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read as YAML ({one_line(error)})") from error
    if not isinstance(found, dict):
        kind = "an entry" if group == "figure" else "a file"
        raise BadInput(f"{path}: not {kind} of the form key: value")
    return found


def groups() -> list[str]:
    """The config groups that every run has a choice of: those that train.yaml names."""
    return [*_groups()]


@cache
def _groups() -> tuple[str, ...]:
    defaults = yaml_text.load((config_folder() / "train.yaml").read_text())["defaults"]
    named = {group for entry in defaults if isinstance(entry, dict) for group in entry}
    return tuple(sorted(named - {"hydra", EXPERIMENT}))


def _file_of(group: str, name: str, folder: Path | None) -> Path:
    """The file of a choice, the lab's before `folder`'s."""
    places = [config_folder(), *([folder] if folder else [])]
    paths = [place / group / f"{name}.yaml" for place in places]
    return next(filter(Path.is_file, paths), paths[0])
