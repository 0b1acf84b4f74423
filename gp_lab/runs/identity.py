"""Which run a config describes: its hash, its readable name, its folder.

The hash is of the resolved config without what cannot change its numbers (tracking, logging,
where it runs, where a data set with checksums lies, which entry asked for it), so a figure finds
the runs it needs, resuming is automatic, and two entries share a run.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gp_lab.errors import BadInput, show
from gp_lab.files import file_name

Config = dict[str, Any]
"""A composed config, resolved to plain dicts, lists and scalars."""

NOT_IDENTITY = frozenset(
    {
        "tracking", "figure", "scale", "panel", "out", "force", "trust", "log_every",
        "checkpoint_every", "device", "compile", "threads", "batch_norm", "hydra",
    }
)  # fmt: skip

CHECKED = frozenset(
    {
        "gp_lab.data.cifar.CIFAR10", "gp_lab.data.digits.FashionMNIST", "gp_lab.data.digits.MNIST",
    }
)  # fmt: skip
"""Sources that compare their files with published checksums: the same wherever they lie."""

WHERE_IT_LIES = frozenset({"root", "download", "prepared", "checksum"})
"""Keys of a published data set that do not change what is in it."""

PLACES = ("root", "prepared", "download")
"""Those of them that may be others when a run is read or resumed."""

NOT_IDENTITY_OF_PROBES = frozenset({"cache", "weights"})
"""Where a probe finds what it works with."""


def run_id(config: Config) -> str:
    """`<dataset>-<loss>-<penalty>-s<seed>-<hash>`: readable first, the hash tells runs apart.

    Raises `BadInput` for a name that would lead out of the runs.
    """
    groups = ("dataset", "loss", "penalty", "constraint")
    names = [file_name(config[group].get("name"), f"{group}.name") for group in groups]
    if names[-1] == "none":
        names.pop()
    slug = "-".join(name.replace("_", "") if len(name) > 24 else name for name in names)
    return f"{slug}-s{config['seed']}-{run_hash(config)}"


def run_hash(config: Config) -> str:
    """12 hexadecimal digits of the identity: the same on every machine and Python."""
    return hashlib.sha256(canonical(identity(config)).encode()).hexdigest()[:12]


def identity(config: Config) -> Config:
    """What of a config can change the numbers of its run."""
    kept = {k: v for k, v in config.items() if k not in NOT_IDENTITY}
    of_no_account = WHERE_IT_LIES if is_checked(config["dataset"]) else frozenset({"download"})
    kept["dataset"] = without(of_no_account, kept["dataset"])
    if probes := kept.get("probe"):
        kept["probe"] = {k: without(NOT_IDENTITY_OF_PROBES, v) for k, v in probes.items()}
    return kept


def canonical(node: Any) -> str:
    """A node of the config as a text that is the same for what computes the same."""
    return json.dumps(nameless(node), sort_keys=True, separators=(",", ":"))


def packages_of(node: Any) -> set[str]:
    """The packages of one's own whose classes a config names: their code is not in the hash."""
    if isinstance(node, Mapping):
        root = str(node.get("_target_", "gp_lab")).partition(".")[0]
        return {root}.difference({"gp_lab", "torch"}).union(*map(packages_of, node.values()))
    return set[str]().union(*map(packages_of, node)) if isinstance(node, list | tuple) else set()


def is_checked(dataset: Mapping[str, Any]) -> bool:
    """Whether a node of the group `dataset` can only be one published set, by its checksums.

    Of all other files the name says nothing: another folder may hold something else.
    """
    source = dataset.get("source")
    return (
        isinstance(source, Mapping)
        and source.get("_target_") in CHECKED
        and source.get("checksum") is not False
    )


def elsewhere(config: Config, overrides: Sequence[str]) -> Config:
    """The config of a run whose data lie where these say, `dataset.root=DIR` and the like.

    For reading the data alone: the run's own config, and with it its hash, stays as it is. Raises
    `BadInput` for anything else than a place that this data set has.
    """
    from gp_lab.overrides import values  # Hydra's parser, which not every command needs

    dataset = config["dataset"] if isinstance(config["dataset"], Mapping) else {}
    source = dataset.get("source") if isinstance(dataset.get("source"), Mapping) else {}
    moved, below = dict(dataset), dict(source or {})
    keys = {f"dataset.{k}": k for k in PLACES if k in moved}
    keys |= {f"dataset.source.{k}": k for k in PLACES if k in below}
    for key, place in values(overrides).items():
        if key not in keys:
            choices = ", ".join(f"{k}=..." for k in keys) or "nothing: it has no files"
            raise BadInput(
                f"{key}={show(place)}: of a run's data only the place can change; for this set"
                f" {choices}"
            )
        name = keys[key]
        if name in below:
            below[name] = place
        if key == f"dataset.{name}":
            moved[name] = place
    return config | {"dataset": moved | ({"source": below} if source else {})}


def runs_folder(out: str | Path) -> Path:
    """Where the runs of an output root live."""
    return Path(out) / "runs"


def folder_of(config: Config) -> Path:
    """The folder of this run: the one that holds its hash already, or where it would be made.

    A run keeps its id when its folder is renamed inside the root: it is found by the hash.
    """
    root = runs_folder(config["out"])
    found = sorted(root.glob(f"*-{run_hash(config)}"))
    return found[0] if found else root / run_id(config)


def without(keys: frozenset[str], node: Any) -> Any:
    """A node of the config, and those inside, without these keys."""
    if not isinstance(node, Mapping):
        return node
    return {k: without(keys, v) for k, v in node.items() if k not in keys}


def nameless(node: Any) -> Any:
    """A group's `name` is what people call it; `penalty=none` and its twin are the same run."""
    if isinstance(node, Mapping):
        return {k: nameless(v) for k, v in node.items() if k != "name"}
    if isinstance(node, float) and node.is_integer():
        return int(node)  # weight=10 and weight=10.0 are the same run
    return [nameless(v) for v in node] if isinstance(node, list | tuple) else node
