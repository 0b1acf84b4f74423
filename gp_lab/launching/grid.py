"""An entry's runs as a table of factors: its axes, the cells that are trained, what each one sets.

    grid:                                   # axis: level: title and overrides
      dataset:
        swiss_roll: {title: Swiss roll, set: [dataset=swiss_roll, steps=100000]}
        eight_gaussians: [dataset=eight_gaussians]          # short for {set: [...]}
      method:
        real: {title: $p_d$, set: [penalty=mu_real]}
      lr: {each: [0.001, 0.01], set: ["optimizer.lr={}"], title: "rate {}"}
      layers: {4: [], 16: {set: [architecture.depth=16], fixed: [steps=1]}}  # of nets as they begin
    cells:                                  # the product of all axes, where this is left out
      - {method: real}                      # all levels of the axes that it does not name
      - {dataset: swiss_roll, method: [real, fake], set: [batch_size=64]}
    without:                                # cells that are left out again
      - {dataset: swiss_roll, lr: 0.01}

A cell that several lines of `cells` name is one cell, with the overrides of them all. What is
`fixed` makes a cell what it is: no scale and no override of the command line changes it there.
"""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from gp_lab.errors import BadInput, bad_choice, show
from gp_lab.launching.methods import (
    NO_METHODS,
    PAPER,
    Joins,
    Methods,
    joins_of,
    methods_of,
    not_renamed,
    refuse,
)

Cell = Mapping[str, str]
"""Axis -> level, in the order of the axes."""

Where = Mapping[str, str | Collection[str]]
"""Axis -> the level, or levels, that are meant; all of an axis that is not named."""


Key = tuple[str, ...]
"""The levels of a cell."""


@dataclass(frozen=True)
class Level:
    """One value of an axis: how it is called in sentences, and in pictures where a scale has no
    title of its own for it; and what it sets."""

    title: str
    overrides: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()


Axes = Mapping[str, Mapping[str, Level]]


@dataclass(frozen=True)
class Panel:
    """A cell that is trained, once for each seed; its name is its levels', joined by hyphens."""

    cell: Cell
    overrides: tuple[str, ...]
    fixed: tuple[str, ...] = ()
    """Overrides that nothing after them changes."""
    own: tuple[str, ...] = ()
    """Those of a method of one's own, after the scale's."""
    like: Cell | None = None
    """The paper's cell whose settings such a method has."""

    @property
    def name(self) -> str:
        return "-".join(self.cell.values())


@dataclass(frozen=True)
class Grid:
    """The axes of an entry and its panels, in the order of its file."""

    axes: Axes
    panels: tuple[Panel, ...]
    joined: str = ""
    """The axis that methods of one's own have joined."""

    def title(self, axis: str, level: str) -> str:
        return self.axes[axis][level].title

    def titles(self, axis: str, levels: Iterable[str] | None = None) -> dict[str, str]:
        """Level -> title, of all levels of an axis or of these."""
        return {level: self.title(axis, level) for level in levels or self.axes[axis]}

    def name(self, cell: Cell, *axes: str) -> str:
        """What a cell is called: the titles of its levels on these axes (or on all), if any."""
        return ", ".join(filter(None, (self.title(axis, cell[axis]) for axis in axes or self.axes)))

    def named(self, *axes: str, **where: str | Collection[str]) -> dict[str, Cell]:
        """Name -> cell, of the panels at these levels; a name is that on these axes (or on all)."""
        return {self.name(panel.cell, *axes): panel.cell for panel in self.at(**where)}

    def at(self, **where: str | Collection[str]) -> list[Panel]:
        """The panels at these levels. Raises `LookupError` for a name that the grid lacks."""
        self.check(where)
        return [panel for panel in self.panels if is_at(panel.cell, where)]

    def check(self, where: Where) -> None:
        """Raises `LookupError` for an axis or a level that the grid does not have."""
        for axis, levels in where.items():
            if axis not in self.axes or not set(_listed(levels)) <= set(self.axes[axis]):
                raise LookupError(f"{axis}={levels}: no such cells")

    @cached_property
    def own(self) -> tuple[str, ...]:
        """The levels of the methods that have joined."""
        return tuple(dict.fromkeys(p.cell[self.joined] for p in self.panels if p.like))

    @cached_property
    def names(self) -> dict[str, Panel]:
        return {panel.name: panel for panel in self.panels}


def grid_of(figure: Mapping[str, Any]) -> Grid:
    """The grid of an entry's file. Raises `BadInput` for an axis or level that it does not have."""
    name = figure.get("id")
    axes: Axes = {a: _levels(f"figure={name}: grid.{a}", node) for a, node in _grid(figure)}
    cells: dict[Key, list[str]] = {}
    for line in figure.get("cells") or [{}]:
        for levels in itertools.product(*_chosen(f"figure={name}: cells", line, axes)):
            cells.setdefault(levels, []).extend(line.get("set", ()))
    for line in figure.get("without") or ():
        for levels in itertools.product(*_chosen(f"figure={name}: without", line, axes)):
            cells.pop(levels, None)
    joins, methods, likes = None, NO_METHODS, dict[Key, Cell]()
    if figure.get("methods"):
        joins, methods = joins_of(figure), methods_of(figure)
        axes, cells, likes = _joined(axes, cells, joins, methods)
    panels = []
    for levels, line in cells.items():
        cell = dict(zip(axes, levels, strict=True))
        of = [axes[axis][level] for axis, level in cell.items()]
        overrides = [o for level in of for o in level.overrides]
        fixed = tuple(o for level in of for o in level.fixed)
        own = methods[cell[joins.axis]] if joins and levels in likes else ()
        panels.append(Panel(cell, (*overrides, *line), fixed, own, likes.get(levels)))
    return Grid(axes, tuple(panels), joins.axis if joins else "")


def _joined(
    axes: Axes, cells: Mapping[Key, list[str]], joins: Joins, methods: Methods
) -> tuple[Axes, dict[Key, list[str]], dict[Key, Cell]]:
    """Axes and cells with methods of one's own, and of each of their cells the paper's like it."""
    levels = axes.get(joins.axis) or {PAPER: Level("")}
    found = {key if joins.axis in axes else (*key, PAPER): line for key, line in cells.items()}
    like, new, likes = levels[joins.like], dict[str, Level](), dict[Key, Cell]()
    for name, own in methods.items():
        refuse(joins, name, own, levels)
        new[name] = Level(name, not_renamed(like.overrides, own), like.fixed)
    axes = {**axes, joins.axis: {**levels, **new}}
    papers = {key: dict(zip(axes, key, strict=True)) for key in found}
    for name in methods:
        for key, cell in papers.items():
            if is_at(cell, {**joins.at, joins.axis: joins.like}):
                mine = tuple({**cell, joins.axis: name}.values())
                found[mine], likes[mine] = found[key], cell
    return axes, found, likes


def is_at(cell: Mapping[str, Any], where: Where) -> bool:
    """Whether a cell, or a row that says its levels, is among those that are meant."""
    return all(str(cell.get(axis)) in _listed(levels) for axis, levels in where.items())


def scale_overrides(figure: Mapping[str, Any], scale: str, panel: Panel) -> list[str]:
    """What a scale sets for a panel: `overrides` for all, then its `cells` in their order.

    Raises `BadInput` if the entry has no such scale.
    """
    scales = figure.get("scales") or {}
    if scale not in scales:
        raise bad_choice(f"figure={figure.get('id')} scale", scale, scales)
    found = list(scales[scale].get("overrides") or ())
    for line in scales[scale].get("cells") or ():
        where = {k: v for k, v in line.items() if k != "set"}
        if is_at(panel.like or panel.cell, where):
            of_method = panel.like and figure["joins"]["axis"] in where
            found += not_renamed(line["set"], panel.own) if of_method else line["set"]
    return found


def titled(grid: Grid, figure: Mapping[str, Any], scale: str) -> Grid:
    """The grid with the titles that a scale has for its pictures, where a level's own title names a
    setting that this scale changes: `titles: {axis: {level: title}}`.

    Only what is drawn has them: sentences keep the paper's, so that those of two scales can be
    compared. Raises `BadInput` for an axis or a level that the grid does not have.
    """
    axes = {axis: dict(levels) for axis, levels in grid.axes.items()}
    key = f"figure={figure.get('id')}: scales.{scale}.titles"
    for axis, titles in _mapping(key, figure["scales"][scale].get("titles") or {}).items():
        if axis not in axes:
            raise bad_choice(key, axis, axes)
        for level, title in _mapping(f"{key}.{axis}", titles).items():
            if str(level) not in axes[axis]:
                raise bad_choice(f"{key}.{axis}", str(level), axes[axis])
            axes[axis][str(level)] = replace(axes[axis][str(level)], title=str(title))
    return replace(grid, axes=axes)


def _mapping(key: str, node: Any) -> Mapping[Any, Any]:
    if not isinstance(node, Mapping):
        raise BadInput(f"{key}={show(node)}: titles are written as {{axis: {{level: title}}}}")
    return node


def seeds_of(figure: Mapping[str, Any], scale: str) -> range:
    """The seeds of an entry at a scale: `seeds` of them, from `first_seed` on, or from 0."""
    node = figure["scales"][scale]
    first = int(node.get("first_seed", 0))
    return range(first, first + int(node["seeds"]))


def _grid(figure: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    grid = figure.get("grid") or {}
    if not grid:
        raise BadInput(f"figure={figure.get('id')}: its file has no grid of runs")
    return grid.items()


def _levels(key: str, node: Mapping[str, Any]) -> dict[str, Level]:
    """The levels of an axis; `each` writes a level for each value, with {} for it."""
    if isinstance(node.get("each"), list):
        values = [str(value) for value in node["each"]]
        title, overrides = node.get("title", "{}"), node.get("set", ())
        return {
            v: Level(title.replace("{}", v), tuple(o.replace("{}", v) for o in overrides))
            for v in values
        }
    found = {}
    for level, of in node.items():
        own = of if isinstance(of, Mapping) else {"set": of or ()}
        if wrong := set(own) - (known := {"title", "set", "fixed"}):
            raise bad_choice(f"{key}.{level}", min(map(str, wrong)), known)
        title, *overrides = own.get("title", level), own.get("set", ()), own.get("fixed", ())
        found[str(level)] = Level(str(title), *map(tuple, overrides))
    return found


def _chosen(key: str, line: Mapping[str, Any], axes: Axes) -> list[Sequence[str]]:
    """Of each axis the levels that a line of cells means."""
    if wrong := [axis for axis in line if axis not in (*axes, "set")]:
        raise bad_choice(key, wrong[0], axes)
    found: list[Sequence[str]] = []
    for axis, levels in axes.items():
        chosen = _listed(line.get(axis, list(levels)))
        if missing := [level for level in chosen if level not in levels]:
            raise bad_choice(f"{key}: {axis}", missing[0], levels)
        found.append(chosen)
    return found


def _listed(levels: Any) -> list[str]:
    """One level or several, as names."""
    several = isinstance(levels, Collection) and not isinstance(levels, str)
    return [str(level) for level in (levels if several else [levels])]
