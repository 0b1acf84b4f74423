"""Which keys change an entry, and settings of one that is calculated: each is of the kind that the
entry's own is."""

import math
from typing import Any

from gp_lab.errors import BadInput, show
from gp_lab.fields import Execution
from gp_lab.runs.settings import run_keys

FREE = run_keys(Execution) | {"seed"}
"""Keys of the command line that leave an entry what it is."""

LARGEST = 1e9
"""A number in an equation; more are a slip of the keyboard."""


def check_kind(key: str, value: Any, own: Any) -> None:
    """Raises `BadInput` for a value of another kind than the entry's own: text, number or list."""
    if not _alike(value, own):
        kind = "a list, not empty, of " if isinstance(own, list) else ""
        raise BadInput(f"{key}={show(value)}: not {kind}what {key}={show(own)} has")


def _alike(value: Any, own: Any) -> bool:
    if isinstance(own, list):
        return isinstance(value, list) and bool(value) and all(_alike(v, own[0]) for v in value)
    if not _is_number(own):
        return type(value) is type(own)
    return not isinstance(value, str) and _is_number(value) and abs(value) <= LARGEST


def _is_number(value: Any) -> bool:
    """Also of a text that YAML does not read as one: 1e-4."""
    try:
        return not isinstance(value, bool) and math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False
