"""What a run's values differ in from what its choices say: a word in the name of its folder."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

MOST = 3
"""Differences that a label names; how many more there are is a number."""

LABELLED = (
    "dataset",
    "architecture",
    "loss",
    "penalty",
    "constraint",
    "correction",
    "optimizer",
    "schedule",
)
"""Groups whose values a label names."""

UNNAMED = ("name", "digest", "_target_")
"""Keys that say which part it is, and what its files hold."""


def label_of(config: Mapping[str, Any], usual: Mapping[str, Any]) -> str | None:
    """`lr0.01-weight3`: the numbers and words of a run's parts that its choices do not have.

    `usual` has the groups as the choices alone make them; None where nothing differs.
    """
    words = []
    for group in LABELLED:
        words += [f"{key}{_short(value)}" for key, value in _others(config[group], usual[group])]
    more = [f"{len(words) - MOST}more"] if len(words) > MOST else []
    return "-".join([*words[:MOST], *more]) or None


def _others(node: Any, usual: Any) -> Iterator[tuple[str, Any]]:
    """(the last part of its key, its value), of those values that are others, in order."""
    for key in sorted(node):
        value, before = node[key], usual.get(key) if isinstance(usual, Mapping) else None
        if isinstance(value, Mapping):
            yield from _others(value, before)
        elif key not in UNNAMED and value != before and "${" not in str(before):
            yield key, value


def _short(value: Any) -> str:
    """A value in letters that no shell and no file system minds."""
    values = value if isinstance(value, list | tuple) else [value]
    text = ",".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)
    return re.sub(r"[^A-Za-z0-9.+,]+", "_", text.rpartition("/")[2])[:16]
