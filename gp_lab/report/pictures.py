"""Pictures of what probes kept, drawn by the functions that the dashboard uses, within a budget.

The newest runs and those of figures come first, one seed of each group before a second one.
"""

import base64
import io
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gp_lab.errors import BadInput, one_line
from gp_lab.files import opened
from gp_lab.instantiate import instantiate
from gp_lab.probes.base import Probe
from gp_lab.report.data import Page, text_of
from gp_lab.runs.folder import RunFolder

BYTES = 6_000_000
"""Of all pictures, as base64."""

DRAWN = 72
"""So many: each takes about a tenth of a second."""

FRAMES = (2, 8)
"""Steps of a probe that are drawn, at least and at most, so that all groups have some; the last one
among them."""

WIDEST = 800
"""Pixels."""

LARGEST = 2**27
"""Bytes of the arrays that a picture is drawn of."""


Drawn = dict[tuple[str, int, int], list[tuple[str, str]]]
"""(path of arrays, nanoseconds of their time, bytes) -> what was drawn of them: for a next page."""


@dataclass
class Album:
    """The pictures of a page.

    images: base64 of WebP; of_runs: place of a run -> what is shown -> (step, place of an image);
    left_out: how many runs have arrays of which nothing, or not every probe, was drawn.
    """

    images: list[str] = field(default_factory=list)
    of_runs: dict[int, dict[str, list[tuple[int, int]]]] = field(default_factory=dict)
    left_out: int = 0

    @property
    def full(self) -> bool:
        return len(self.images) >= DRAWN or sum(map(len, self.images)) >= BYTES


def album_of(page: Page, drawn: Drawn) -> Album:
    """Pictures of as many runs as the budget has room for; those that are `drawn` are taken."""
    album = Album()
    order = list(_in_order(page))
    series = sum(len(_nodes(page.configs[group["runs"][0]])) for group in page.groups)
    frames = max(FRAMES[0], min(FRAMES[1], DRAWN // max(1, series)))
    for i in order:
        for name, probe, steps in _probes(page.folders[i], page.configs[i], album.full):
            if album.full or probe is None:
                album.left_out += 1
                break
            for step in _spread(steps, frames):
                for what, image in _drawn(page.folders[i], name, probe, step, drawn):
                    shown = album.of_runs.setdefault(i, {}).setdefault(what, [])
                    shown.append((step, len(album.images)))
                    album.images.append(image)
    return album


def _in_order(page: Page) -> Iterator[int]:
    """The runs, first of each group one: those of figures, then the newest."""

    def rank(i: int) -> tuple[bool, str]:
        return bool(page.runs[i]["figures"]), page.runs[i]["status"].get("updated", "")

    groups = [sorted(group["runs"], key=rank, reverse=True) for group in page.groups]
    groups.sort(key=lambda group: rank(group[0]), reverse=True)
    for nth in range(max(map(len, groups), default=0)):
        yield from (group[nth] for group in groups if nth < len(group))


def _probes(
    folder: RunFolder, config: Mapping[str, Any], named: bool
) -> Iterator[tuple[str, Probe | None, list[int]]]:
    """The probes of a run that can draw, and the steps that they wrote at; None if only `named`.

    A probe of somebody's own package is none: nothing in a run folder is trusted.
    """
    for name, node in _nodes(config).items():
        try:
            probe = instantiate(node, f"probe.{name}", kind=Probe)
            if type(probe).pictures is Probe.pictures or not (steps := folder.array_steps(name)):
                continue
        except (BadInput, RecursionError, OSError):
            continue
        yield name, None if named else probe, steps


def _nodes(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """What stands under `probe` in a config."""
    nodes = config.get("probe")
    return nodes if isinstance(nodes, Mapping) else {}


def _spread(steps: list[int], frames: int) -> list[int]:
    """At most so many of the steps, evenly, the last among them."""
    places = np.linspace(len(steps) - 1, 0, min(frames, len(steps))).round().astype(int)
    return [steps[i] for i in sorted(set(places.tolist()))]


def _drawn(
    folder: RunFolder, name: str, probe: Probe, step: int, drawn: Drawn
) -> list[tuple[str, str]]:
    """(what it shows, WebP in base64); none, and a warning, where the arrays cannot be drawn."""
    try:
        path = folder.inside("arrays", f"{name}-{step:08d}.npz")
        status = path.stat()
        key = (str(path), status.st_mtime_ns, status.st_size)
        if key not in drawn:
            _check_size(path)
            found = probe.pictures(folder.arrays(name, step))
            drawn[key] = [
                (text_of(f"{name}/{what}"), _webp(image)) for what, image in found.items()
            ]
        return drawn[key]
    except Exception as error:  # arrays of strangers can make a drawing raise nearly anything
        warnings.warn(f"{folder.path}: no picture of {name} ({one_line(error)})", stacklevel=3)
        return []


def _check_size(path: Path) -> None:
    """Raises `BadInput` for arrays that would fill the memory, however small their file."""
    with opened(path) as file, zipfile.ZipFile(file) as archive:
        if (size := sum(entry.file_size for entry in archive.infolist())) > LARGEST:
            raise BadInput(f"{size} bytes of arrays")


def _webp(image: np.ndarray) -> str:
    file = io.BytesIO()
    picture = Image.fromarray(image)
    picture.thumbnail((WIDEST, WIDEST))
    picture.save(file, "WEBP", quality=80)
    return base64.b64encode(file.getvalue()).decode()
