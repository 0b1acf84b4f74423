"""What an entry leaves in its folder, figure.png, figure.pdf, data.csv and claims.json, with an
animation of what moves, and reading claims.json back.

The files are replaced together, by one process at a time. claims.json carries the digests of the
others, so that a reader sees whether they belong to each other.
"""

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from gp_lab.errors import BadInput, LabError, one_line
from gp_lab.files import alone, read, walk, write_together
from gp_lab.runs.folder import writing_to

CLAIMS = "claims.json"

ANIMATION = "animation.gif"

SHADES = 8
"""Colours of a frame."""

FRAME = 200
"""Milliseconds that each picture of an animation stands."""

NOTHING: Mapping[str, bytes] = {}

SHAPE: dict[str, type] = {
    "figure": str, "title": str, "scale": str, "command": str, "seeds": int, "steps": list,
    "claims": list, "assumptions": list, "settings": dict, "made_by": list,
}  # fmt: skip
"""What readers of a claims.json rely on."""


def publish(
    folder: Path,
    pictures: Mapping[str, Figure],
    rows: Sequence[Mapping[str, Any]],
    summary: Mapping[str, Any],
    others: Mapping[str, bytes] = NOTHING,
) -> None:
    """Replace an entry's pictures, data, claims and `others` by name, together.

    Raises `BadInput` if it cannot.
    """
    files = dict(others)
    for name, picture in pictures.items():
        files |= {f"{name}.{suffix}": _drawn(picture, suffix) for suffix in ("png", "pdf")}
    files["data.csv"] = _table(rows)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    claims = json.dumps({**summary, "files": digests}, indent=1) + "\n"
    with writing_to(folder, key=""):
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder / CLAIMS):
            write_together(folder, {**files, CLAIMS: claims.encode()})


def published(root: Path) -> list[Path]:
    """The claims.json of every entry below a folder, which may be missing; by their paths."""
    if not root.exists():
        return []
    found = [place / CLAIMS for place, _, files in walk(root) if CLAIMS in files]
    return sorted(found)


def summary_of(path: Path) -> dict[str, Any]:
    """What a claims.json says. Raises `BadInput` where it is none."""
    try:
        summary = json.loads(read(path))
        wrong = [key for key, kind in SHAPE.items() if not isinstance(summary[key], kind)]
        if wrong:
            raise TypeError(f"{wrong[0]} is a {type(summary[wrong[0]]).__name__}")
        return dict(summary)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInput(f"{path}: not a figure's claims.json ({error!r})") from error


def moves(summary: Mapping[str, Any]) -> bool:
    """Whether an animation was published with a claims.json."""
    files = summary.get("files")
    return isinstance(files, Mapping) and ANIMATION in files


def belonging(path: Path, name: str, summary: Mapping[str, Any]) -> bytes:
    """A file that was published with a claims.json.

    Raises `LabError` where it cannot be read, or is of another drawing than the claims.
    """
    other = path.with_name(name)
    if other.is_symlink():
        raise LabError(f"{other}: a symbolic link, which is not followed")
    try:
        data = read(other)
    except OSError as error:
        raise LabError(f"{other}: cannot be read ({one_line(error)})") from error
    digests = summary.get("files")
    wanted = digests.get(name) if isinstance(digests, Mapping) else None
    if wanted is not None and wanted != hashlib.sha256(data).hexdigest():
        raise LabError(f"{other}: of another drawing than {path.name}; the same command draws both")
    return data


def _drawn(picture: Figure, suffix: str) -> bytes:
    file = io.BytesIO()
    dated = {"CreationDate": None} if suffix == "pdf" else None  # the same drawing, the same file
    picture.savefig(file, format=suffix, dpi=150, bbox_inches="tight", metadata=dated)
    return file.getvalue()


def animated(frames: Sequence[np.ndarray]) -> dict[str, bytes]:
    """`ANIMATION`, an endless GIF of frames uint8 [height, width, 3]; nothing without frames."""
    if not len(frames):
        return {}
    first, *rest = [Image.fromarray(frame).quantize(SHADES) for frame in frames]
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=rest, duration=FRAME, loop=0)
    return {ANIMATION: file.getvalue()}


def _table(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(k for row in rows for k in row)), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
