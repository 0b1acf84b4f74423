"""What all ranks of a run must have alike: versions, code, transport, and the runs' configs.

Each rank builds its own copy of the networks, the data and the probes, and steps through the same
loop: where two differ in a key they would train something that no config says, or wait for ever.
"""

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from platform import python_version
from typing import Any

from gp_lab.errors import BadInput, Exit, counted, show
from gp_lab.fields import PerRank
from gp_lab.files import files_below
from gp_lab.runs.identity import Config, identity
from gp_lab.runs.settings import run_keys

PACKAGES = ("gp-lab", "torch", "numpy", "scipy")
"""Every rank has the same versions of these, and of Python."""

About = dict[str, Any]
"""What a rank is about to do: plain values, compared in the order of the keys."""


class SharedEnd(BadInput):
    """What ends all ranks, in the same words on each."""

    def __init__(self, sentence: str, status: Exit = Exit.BAD_INPUT) -> None:
        super().__init__(sentence)
        self.status = status


def about(configs: Sequence[Config], transport: str) -> About:
    """What this rank has, to train these runs, and to sum by `transport`."""
    trusted = {name for config in configs for name in config["trust"]}
    return {
        "versions": {"python": python_version()} | {name: _version(name) for name in PACKAGES},
        "code": _code(tuple(sorted({"gp_lab", *trusted}))),
        "runs": [_compared(config) for config in configs],
        "transport": transport,
    }


def digest(said: About) -> str:
    """Equal for ranks that have the same."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def difference(rank: int, own: About, zero: About) -> SharedEnd:
    """The first thing that a rank has otherwise than rank 0."""
    for name, first in zero["versions"].items():
        if (other := own["versions"].get(name)) != first:
            return SharedEnd(
                f"rank {rank} has {name} {other}, rank 0 {name} {first}: install the same for all"
                " ranks",
                Exit.FAILED,
            )
    if own["code"] != zero["code"]:
        files = sorted(own["code"].items() ^ zero["code"].items())
        return SharedEnd(
            f"rank {rank} has another {files[0][0]} than rank 0: all ranks need the same code",
            Exit.FAILED,
        )
    if own["runs"] != zero["runs"]:
        runs = _of_runs(rank, own["runs"], zero["runs"])
        return SharedEnd(f"{runs}: give all ranks the same command")
    return SharedEnd(
        f"rank {rank} would sum by {own['transport']} and rank 0 by {zero['transport']}: one of"
        " them sees no GPU; use device=cpu, or give each rank a GPU",
        Exit.FAILED,
    )


def _of_runs(rank: int, own: Sequence[Config], zero: Sequence[Config]) -> str:
    if len(own) != len(zero):
        return f"rank {rank} has {counted(len(own), 'run')} to train, rank 0 {len(zero)}"
    for number, (mine, first) in enumerate(zip(own, zero, strict=True), 1):
        a, b = dict(_flat(mine)), dict(_flat(first))
        for key in [*b, *a]:
            if key not in a or key not in b or a[key] != b[key]:
                which = f" in run {number} of {len(own)}" * (len(own) > 1)
                return f"rank {rank} has {_said(key, a)}, rank 0 {_said(key, b)}{which}"
    raise AssertionError("these runs are alike")


def _said(key: str, flat: Mapping[str, Any]) -> str:
    return f"{key}={show(flat[key])}" if key in flat else f"no {key}"


def _compared(config: Config) -> Config:
    """Of a config what two ranks must not differ in; where data and caches lie they may."""
    known, own = identity(config), run_keys(PerRank)
    kept = {k: v for k, v in config.items() if k not in own}
    return kept | {k: known[k] for k in ("dataset", "probe") if k in known}


def _flat(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value); of what has a name that first, under the key of the whole."""
    if not isinstance(node, Mapping) or not node:
        yield key, node
        return
    if key and "name" in node:
        yield key, node["name"]
    for name, value in node.items():
        yield from _flat(value, f"{key}.{name}" if key else str(name))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _code(packages: Sequence[str]) -> dict[str, str]:
    """Each source file of these packages, as it is imported, and a digest of it."""
    return dict(chain.from_iterable(map(_sources, packages)))


def _sources(package: str) -> Iterator[tuple[str, str]]:
    spec = importlib.util.find_spec(package)
    if spec is None:
        return
    for folder in map(Path, spec.submodule_search_locations or ()):
        for path in files_below(folder):
            if path.suffix == ".py":
                yield f"{package}/{path.relative_to(folder)}", _digest_of(path)
    if not spec.submodule_search_locations and spec.origin and spec.has_location:
        yield f"{package}.py", _digest_of(Path(spec.origin))


def _digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
