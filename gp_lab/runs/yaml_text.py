"""Reading a run's config.yaml as data, whoever wrote it."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

LARGEST = 10_000
"""Entries of a config; a few hundred bytes of aliases can stand for billions."""

NESTED = 100
"""Levels of YAML by indentation, and openings of levels within lines, that are safe to parse in C.

Python's own parser ends at some 250 levels with an error; C's would overflow the stack.
"""


def config_of(text: str) -> dict[str, Any]:
    """A config from its YAML: plain data, no tags. Raises ValueError or `yaml.YAMLError`."""
    config = yaml.load(text, Loader=_loader(text))
    entries = list(itertools.islice(_entries(config), LARGEST + 1))
    if not isinstance(config, dict) or len(entries) > LARGEST:
        raise ValueError("not the config of a run")
    for key, value in entries:
        if isinstance(value, str) and "${" in value:
            raise ValueError(f"{key}={value}: interpolations are not resolved in a run folder")
    return config


def _loader(text: str) -> "type[yaml.SafeLoader | yaml.CSafeLoader]":
    """The C parser takes a ninth of the time; it is for texts that cannot nest deeply."""
    shallow = sum(map(text.count, "[{-?")) < NESTED and " " * NESTED not in text
    return yaml.CSafeLoader if yaml.__with_libyaml__ and shallow else yaml.SafeLoader


def _entries(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """(key, value) of everything in a config, mappings and lists before what is in them."""
    yield key, node
    if isinstance(node, Mapping):
        for k, v in node.items():
            yield from _entries(v, f"{key}.{k}" if key else str(k))
    elif isinstance(node, list):
        for i, v in enumerate(node):
            yield from _entries(v, f"{key}[{i}]")
