"""Which run a config describes: its hash, its readable name, its folder.

The hash is of the resolved config without what cannot change its numbers (tracking, logging,
where it runs, where its data lie, which entry asked for it), so a figure finds the runs it needs,
resuming is automatic, and two entries share a run. Data are identified by what they hold: their
published checksums, or the digest that stands in `dataset.digest`.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gp_lab.errors import BadInput, show
from gp_lab.fields import Check, Execution, Place, keys
from gp_lab.files import file_name
from gp_lab.runs.data import recorded_digest
from gp_lab.runs.index import folder_with_hash
from gp_lab.runs.older import NEW_GROUPS
from gp_lab.runs.settings import DataNode, ProbeNode, run_keys

Config = dict[str, Any]
"""A composed config, resolved to plain dicts, lists and scalars."""

NOT_IDENTITY = run_keys(Execution)

CHECKED = frozenset(
    {
        "gp_lab.data.cifar.CIFAR10", "gp_lab.data.digits.FashionMNIST", "gp_lab.data.digits.MNIST",
    }
)  # fmt: skip
"""Sources that compare their files with published checksums: the same wherever they lie."""

WHERE_IT_LIES = keys(DataNode, Place, Check)
"""Keys of a published data set that do not change what is in it."""

PLACES = keys(DataNode, Place)
"""Those of them that may be others when a run is read or resumed, and that tell no data apart whose
digest is known."""

ANY = "any"
"""The digest that goes on with a run although its data are others than they were."""

WATCHES = frozenset({"gp_lab.probes.layers.DeadUnits"})
"""Probes that every run may have and that no entry needs: whether they were there tells no runs
apart."""

NOT_IDENTITY_OF_PROBES = keys(ProbeNode, Execution)
"""Where a probe finds what it works with."""


def run_id(config: Config) -> str:
    """`<dataset>-<loss>-<penalty>-s<seed>-<hash>`: readable first, the hash tells runs apart.

    A constraint and a correction stand after the penalty, and before the seed what values differ
    from those of the choices (`-weight3-s0-`). Raises `BadInput` for a name that would lead out of
    the runs.
    """
    return f"{_slug(config)}-s{config['seed']}-{run_hash(config)}"


def setting_id(config: Config) -> str:
    """`<dataset>-<loss>-<penalty>-<hash>`: the same for runs that differ in nothing but the seed.

    Raises `BadInput` as `run_id` does.
    """
    return f"{_slug(config)}-{_short_hash(without(frozenset({'seed'}), identity(config)))}"


def _slug(config: Config) -> str:
    groups = ("dataset", "loss", "penalty", "constraint", "correction")
    said = [file_name(config[group].get("name"), f"{group}.name") for group in groups]
    names = said[:3] + [name for name in said[3:] if name != "none"]
    slug = "-".join(name.replace("_", "") if len(name) > 24 else name for name in names)
    if label := config.get("label"):
        if not re.fullmatch(r"[\w.+,-]{1,99}", label):
            raise BadInput(f"label={show(label)}: filled in by the lab; leave it out")
        slug = f"{slug}-{label}"
    return slug


def run_hash(config: Config) -> str:
    """12 hexadecimal digits of the identity: the same on every machine and Python."""
    return _short_hash(identity(config))


def _short_hash(node: Config) -> str:
    return hashlib.sha256(canonical(node).encode()).hexdigest()[:12]


def identity(config: Config) -> Config:
    """What of a config can change the numbers of its run."""
    kept = {k: v for k, v in config.items() if k not in NOT_IDENTITY}
    for group, before in NEW_GROUPS.items():
        if kept.get(group, {}).get("_target_") == before["_target_"]:
            del kept[group]
    dataset = kept["dataset"]
    of_no_account = frozenset({"download", "digest"})  # not known yet: told apart by its place
    if is_checked(dataset):
        of_no_account = WHERE_IT_LIES
    elif digest_of(config):
        of_no_account = PLACES
    kept["dataset"] = without(of_no_account, dataset)
    if probes := kept.get("probe"):
        kept["probe"] = {
            k: without(NOT_IDENTITY_OF_PROBES, v)
            for k, v in probes.items()
            if v["_target_"] not in WATCHES
        }
    return kept


def digest_of(config: Config) -> str | None:
    """What tells the data of a run from others; None if they have checksums or nobody looked."""
    dataset = config["dataset"]
    return dataset.get("digest") if isinstance(dataset, Mapping) else None


def with_digest(config: Config, digest: str | None) -> Config:
    """The config of the same run on data with another digest; None: on data that nobody looked at.

    One without such a key stays as it is where there is no digest.
    """
    if digest is None and "digest" not in config["dataset"]:
        return config
    return config | {"dataset": config["dataset"] | {"digest": digest}}


def without_data(config: Config) -> str:
    """A hash that runs share which differ in nothing but what their data hold and where they lie.

    It has 12 hexadecimal digits, as `run_hash`.
    """
    kept = config | {"dataset": without(WHERE_IT_LIES, config["dataset"])}
    return _short_hash(identity(kept))


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
    places = {f"dataset.{k}": k for k in moved if k in PLACES}
    places |= {f"dataset.source.{k}": k for k in below if k in PLACES}
    may_be_others = not is_checked(dataset) and bool(places or "digest" in dataset)
    for key, place in values(overrides).items():
        if key == "dataset.digest" and may_be_others:
            if place != ANY:
                raise BadInput(
                    f"{key}={show(place)}: a run goes on with the data that it had, or with {ANY}"
                )
            moved["digest"] = ANY
            continue
        if key not in places:
            known = [f"{k}=..." for k in places] + [f"dataset.digest={ANY}"] * may_be_others
            choices = ", ".join(known) or "nothing: it has no files"
            raise BadInput(
                f"{key}={show(place)}: of a run's data only the place can change; for this set"
                f" {choices}"
            )
        name = places[key]
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

    A run keeps its id when its folder is renamed inside the root: it is found by the hash. So is
    one that was made before runs knew the digest of their data, by the hash that it had.
    """
    root, name = runs_folder(config["out"]), run_id(config)
    if found := folder_with_hash(root, run_hash(config), name):
        return found
    if digest := digest_of(config):  # a run may be older than digests
        older = run_id(with_digest(config, None))
        found = folder_with_hash(root, older.rpartition("-")[2], older)
        if found and recorded_digest(found) in (None, digest):
            return found
    return root / name


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
