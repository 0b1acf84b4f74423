"""What the page's script works on: runs, their groups over seeds, and their curves, as one JSON.

A group is one of `gp_lab.runs.compare`; means and intervals are worked out from its seeds' values
where the page is read, as filters can leave seeds out. Configs are lists of places in one table of
(key, text, number), since most runs share most of their settings.
"""

import warnings
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gp_lab.errors import BadInput, printable, show
from gp_lab.report.clocks import clock_of
from gp_lab.report.thin import Curve, ascending, band, packed, t_quantiles, thinned
from gp_lab.runs.compare import Group, compare
from gp_lab.runs.filters import flat
from gp_lab.runs.folder import RunFolder, find_runs
from gp_lab.runs.identity import run_hash
from gp_lab.runs.metrics import number
from gp_lab.runs.scores import better, metrics_of, telling_metrics

CURVE_BYTES = 10_000_000
"""Of all curves, about: half for the bands over seeds, half for the runs' own."""

FEWEST, MOST = 24, 400
"""Points of a curve, whatever the number of runs."""

POINT = 16 / 3
"""Bytes of a number of a curve."""

LONGEST = 1000
"""Characters of a config's value, or of what a run says of itself."""

METRICS = 200
"""So many are shown: a stranger's file may have any number."""

SEEDS = 200
"""So many quantiles the page knows; beyond these the last one serves."""

STATUS = ("created", "updated", "device", "engine", "threads", "stack", "host", "commit", "job")
"""What of status.json the page shows of an open run."""


@dataclass
class Pool:
    """Things that are written once and meant by their places."""

    places: dict[Any, int] = field(default_factory=dict)
    known: dict[tuple[str, str], int] = field(default_factory=dict)

    def place(self, thing: Any) -> int:
        return self.places.setdefault(thing, len(self.places))

    def pair(self, key: str, value: Any) -> int:
        """The place of a key's value: as a user writes it, and as a number if it is one."""
        shown = show(value)
        if (place := self.known.get((key, shown))) is None:
            finite = None if (x := number(value)) is None else _plain(x)
            place = self.place((text_of(key), text_of(shown), finite))
            self.known[key, shown] = place
        return place

    def __iter__(self) -> Iterator[Any]:
        return iter(self.places)


@dataclass
class Page:
    """The data as they are gathered; `folders` and `configs` are of the runs, by their places."""

    root: Path
    pairs: Pool = field(default_factory=Pool)
    packed: Pool = field(default_factory=Pool)
    settings: Pool = field(default_factory=Pool)
    metrics: list[str] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)
    folders: list[RunFolder] = field(default_factory=list)
    configs: list[Mapping[str, Any]] = field(default_factory=list)
    points: tuple[int, int] = (MOST, MOST)

    def json(self) -> dict[str, Any]:
        return {
            "t": t_quantiles(SEEDS),
            "pairs": list(self.pairs),
            "packed": list(self.packed),
            "metrics": [text_of(name) for name in self.metrics],
            "better": [better(name) or 0 for name in self.metrics],
            "runs": self.runs,
            "groups": self.groups,
        }


@dataclass(frozen=True)
class Gathered:
    """A group's curves of `MOST` points, before it is known how many have room.

    bands: place of a metric -> steps, mean and ends; curves: place of a run -> those of its own.
    """

    bands: Mapping[int, Sequence[np.ndarray]]
    curves: Mapping[int, Mapping[int, Curve]]


def page_of(runs: Path, figures_of: Mapping[str, Sequence[str]]) -> Page:
    """All runs below a folder; `figures_of`: the id of a run to the entries that read it.

    A run that is cleared while the page is made is not on it.
    """
    page = Page(runs)
    groups = compare(runs, figures=True)
    telling = telling_metrics(groups)
    names = [*telling, *(name for name in metrics_of(groups) if name not in telling)]
    page.metrics = names[:METRICS]
    for folder in find_runs(runs):
        page.folders.append(folder)
        page.runs.append(_run(page, folder, figures_of))
    places = {folder.path: i for i, folder in enumerate(page.folders)}
    there = [group for group in groups if any(path in places for path in group.folders)]
    gathered = [_group(page, group, places) for group in there]
    bands = [rows for of_group in gathered for rows in of_group.bands.values()]
    curves = [c for of_group in gathered for own in of_group.curves.values() for c in own.values()]
    page.points = fitting(bands, CURVE_BYTES / 2), fitting(curves, CURVE_BYTES / 2)
    for group, of_group in zip(page.groups, gathered, strict=True):
        group["bands"] = {m: _written(page, b, page.points[0]) for m, b in of_group.bands.items()}
        for i, own in of_group.curves.items():
            written = {m: _written(page, c, page.points[1]) for m, c in own.items()}
            page.runs[i]["curves"] = written
    return page


def text_of(value: Any) -> str:
    """A text for the page: of printable characters, not too long."""
    text = printable(str(value))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def fitting(curves: Sequence[Sequence[np.ndarray]], bytes_: float) -> int:
    """The most points a curve can have, of `FEWEST` to `MOST`, so that all have room in so many."""
    sizes = [(len(rows[0]), len(rows)) for rows in curves]

    def needed(most: int) -> float:
        return POINT * sum(min(points, most) * rows for points, rows in sizes)

    return max(FEWEST, bisect_right(range(MOST + 1), bytes_, key=needed) - 1)


def _run(page: Page, folder: RunFolder, figures_of: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A run as it stands; a damaged one is one too, and does not hide the others."""
    status: dict[str, Any] = {}
    config: Mapping[str, Any] = {}
    pairs: list[int] = []
    try:
        config = folder.config
        pairs = [page.pairs.pair(key, value) for key, value in flat(config)]
        status = folder.status
    except (BadInput, RecursionError) as error:
        status = {"state": "damaged", "why": str(error)}
    page.configs.append(config)
    figure = config.get("figure")
    own = figure.get("id") if isinstance(figure, Mapping) else None
    of = dict.fromkeys(str(f) for f in [own, *figures_of.get(status.get("id", ""), ())] if f)
    size = number(status.get("disk_bytes"))
    return {
        "name": text_of(folder.path.name),
        "path": text_of(folder.path.relative_to(page.root)),
        "state": text_of(status.get("state", "failed")),
        "step": status.get("step", 0),
        "steps": text_of(show(config.get("steps"))),
        "seed": text_of(show(config.get("seed"))),
        "rate": status.get("rate"),
        "why": text_of(status.get("why", "")),
        "mb": round((folder.size() if size is None else size) / 1e6, 2),
        "figures": [text_of(name) for name in of],
        "status": {key: text_of(show(status[key])) for key in STATUS if status.get(key)},
        "config": pairs,
        "clock": [page.packed.place(packed(row)) for row in clock_of(folder)],
        "last": {},
        "curves": {},
    }


def _group(page: Page, group: Group, places: Mapping[Path, int]) -> Gathered:
    """Adds a group to the page, but for its curves."""
    seeds = {
        places[path]: seed
        for path, seed in zip(group.folders, group.seeds, strict=True)
        if path in places
    }
    runs = list(seeds)
    metrics = {name: i for i, name in enumerate(page.metrics)}
    shown = {metrics[name]: score for name, score in group.scores.items() if name in metrics}
    for i, seed in seeds.items():
        values = {m: score.by_seed.get(show(seed)) for m, score in shown.items()}
        page.runs[i]["last"] = {m: _plain(x) for m, x in values.items() if x is not None}
    page.groups.append(
        {
            "id": run_hash({**page.configs[runs[0]], "seed": 0}),
            "values": [page.pairs.pair(key, value) for key, value in group.values.items()],
            "runs": runs,
            "settings": {
                m: sorted(map(page.settings.place, score.settings))
                for m, score in shown.items()
                if score.settings
            },
        }
    )
    curves = {i: _curves(page.folders[i], metrics) for i in runs}
    counted = [own for i, own in curves.items() if page.runs[i]["state"] != "diverged"]
    bands = {
        m: band([own[m] for own in counted if m in own], MOST)
        for m in dict.fromkeys(m for own in counted for m in own)
    }
    thin = {i: {m: thinned(c, MOST) for m, c in own.items()} for i, own in curves.items()}
    return Gathered(bands, thin)


def _plain(value: float) -> float | str | None:
    """A number as JSON can have it: infinities as words, NaN as nothing."""
    return value if np.isfinite(value) else None if np.isnan(value) else str(value)


def _curves(folder: RunFolder, metrics: Mapping[str, int]) -> dict[int, Curve]:
    """Of each metric the finite values of a run, by their steps."""
    try:
        lines = folder.metrics()
    except (BadInput, RecursionError) as error:
        warnings.warn(f"{error}; its curves are left out", stacklevel=4)
        return {}
    there = set().union(*lines)
    every = {m: _column(lines, name) for name, m in metrics.items() if name in there}
    return {m: curve for m, curve in every.items() if len(curve[0])}


def _column(lines: Sequence[Mapping[str, Any]], name: str) -> Curve:
    """The finite values of a metric, by their steps."""
    has = [line for line in lines if name in line]
    values = [line[name] for line in has]
    if set(map(type, values)) != {float}:
        values = [np.nan if (x := number(value)) is None else x for value in values]
    steps, row = ascending(np.array([line["step"] for line in has]), np.array(values))
    whole = np.isfinite(row)
    return steps[whole], row[whole]


def _written(page: Page, rows: Sequence[np.ndarray], most: int) -> list[Any]:
    """A curve of at most so many points as the page has it: each row by its place."""
    return [page.packed.place(packed(row)) for row in thinned(rows, most)]
