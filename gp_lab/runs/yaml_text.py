"""YAML as data, whoever wrote it: the one way to read it, and a run's config.yaml."""

import itertools
import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

LARGEST = 10_000
"""Entries of a config; a few hundred bytes of aliases can stand for billions."""

NESTED = 100
"""Levels of YAML by indentation, and openings of levels within lines, that are safe to parse in C.

Python's own parser ends at some 250 levels with an error; C's would overflow the stack.
"""


def load(text: str, as_hydra: bool = False) -> Any:
    """What a YAML text says: plain data, no tags. Raises `yaml.YAMLError`.

    In a file that Hydra reads, too, 1e-2 is a number; PyYAML by itself takes it for a word.
    """
    # The C parser takes a ninth of the time; it is for texts that cannot nest deeply.
    shallow = sum(map(text.count, "[{-?")) < NESTED and " " * NESTED not in text
    parser = yaml.CSafeLoader if yaml.__with_libyaml__ and shallow else yaml.SafeLoader
    return yaml.load(text, Loader=_as_hydra(parser) if as_hydra else parser)


@cache
def _as_hydra(parser: Any) -> Any:
    loader: Any = type("HydraLoader", (parser,), {})
    number = re.compile(r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+$")
    loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+0123456789"))
    return loader


@lru_cache(maxsize=1024)
def load_file(path: Path, changed: int) -> Any:
    """`load` of a file, once for each time (ns) that it was changed; not to be written into."""
    return load(path.read_text())


def config_of(text: str) -> dict[str, Any]:
    """A config from its YAML: plain data, no tags. Raises ValueError or `yaml.YAMLError`."""
    config = load(text)
    entries = list(itertools.islice(_entries(config), LARGEST + 1))
    if not isinstance(config, dict) or len(entries) > LARGEST:
        raise ValueError("not the config of a run")
    for key, value in entries:
        if isinstance(value, str) and "${" in value:
            raise ValueError(f"{key}={value}: interpolations are not resolved in a run folder")
    return config


def _entries(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """(key, value) of everything in a config, mappings and lists before what is in them."""
    yield key, node
    if isinstance(node, Mapping):
        for k, v in node.items():
            yield from _entries(v, f"{key}.{k}" if key else str(k))
    elif isinstance(node, list):
        for i, v in enumerate(node):
            yield from _entries(v, f"{key}[{i}]")
