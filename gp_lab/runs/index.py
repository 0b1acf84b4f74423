"""Which folder below a root has a run, by the hash that its name ends in: one listing for many."""

import os
import re
from pathlib import Path

_NAME = re.compile(r"[^.].*-([0-9a-f]{12})")
_KNOWN: dict[str, tuple[int, dict[str, str]]] = {}
"""root -> when it was changed last, and hash -> the first name with it."""


def folder_with_hash(root: Path, run_hash: str, name: str) -> Path | None:
    """The folder in `root` whose name ends in a run's hash; `name` is the one it would be given.

    The root is listed again where what is looked for is not known and the root has changed.
    """
    changed, names = _KNOWN.get(str(root), (-1, {}))
    found = names.get(run_hash)
    if found is None and (root / name).is_dir():
        return root / name
    if (found is None or not (root / found).is_dir()) and (now := _changed(root)) != changed:
        names = _listed(root)
        _KNOWN[str(root)] = now, names
        found = names.get(run_hash)
    return None if found is None else root / found


def _changed(root: Path) -> int:
    try:
        return os.stat(root).st_mtime_ns
    except OSError:
        return -1


def _listed(root: Path) -> dict[str, str]:
    try:
        found = sorted(os.listdir(root), reverse=True)
    except OSError:
        return {}
    return {match[1]: name for name in found if (match := _NAME.fullmatch(name))}
