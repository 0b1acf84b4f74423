"""The rows of an entry's data.csv, read by factor."""

import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gp_lab.errors import counted
from gp_lab.launching.grid import Grid, Where, is_at
from gp_lab.runs.folder import State

Row = dict[str, Any]
"""One line of data.csv: its levels by axis, its seed and state, and what was measured."""

Levels = str | Collection[str]

NO_GRID = Grid({}, ())
"""Of a calculation, whose rows are chosen by whatever they hold."""


@dataclass(frozen=True)
class Table:
    """Rows of an entry, which are chosen by the levels of its axes.

    A run that did not finish has a row without quantities. Seeds pair: values of two cells are in
    the order of their seeds, NaN where one is not known.
    """

    rows: Sequence[Row]
    grid: Grid = NO_GRID

    def at(self, **where: Levels) -> "Table":
        """The rows at these levels."""
        self.grid.check({axis: of for axis, of in where.items() if axis in self.grid.axes})
        return Table([row for row in self.rows if is_at(row, where)], self.grid)

    def values(self, quantity: str, **cell: Levels) -> list[float]:
        """A quantity of a cell, by seed; NaN for a run that did not finish.

        Raises `LookupError` if the rows are of several cells.
        """
        return self.values_or(np.nan, quantity, **cell)

    def values_or(self, diverged: float, quantity: str, **cell: Levels) -> list[float]:
        """As `values`, with `diverged` for a run that has ended so."""
        return [
            diverged if row.get("state") == State.DIVERGED else float(row.get(quantity, np.nan))
            for row in self._of_one_cell(cell)
        ]

    def outcomes(self, quantity: str, **cell: Levels) -> np.ndarray:
        """A quantity of a cell's runs [n] that finished or diverged, NaN for those that diverged.

        A seed that diverged has not reached anything, and counts; one that failed says nothing.
        """
        return np.array(
            [
                float(row[quantity]) if row["state"] == State.FINISHED else np.nan
                for row in self._of_one_cell(cell)
                if row["state"] in (State.FINISHED, State.DIVERGED)
            ]
        )

    def column(self, quantity: str, **where: Levels) -> np.ndarray:
        """A quantity [n] of all rows at these levels that have it, in the order of the rows."""
        found = [row[quantity] for row in self.at(**where).rows if quantity in row]
        return np.array(found, dtype=np.float64)

    def mean(self, quantity: str, **cell: Levels) -> float:
        """The mean of a cell's known values over seeds; NaN without any."""
        known = [value for value in self.values(quantity, **cell) if not np.isnan(value)]
        return float(np.mean(known)) if known else np.nan

    def by(
        self, axis: str, quantity: str, levels: Iterable[str] | None = None, **rest: Levels
    ) -> dict[str, list[float]]:
        """Title -> values, of all levels of an axis or of these: the rivals of a claim."""
        titles = self.grid.titles(axis, levels)
        return {
            title: self.values(quantity, **{axis: level}, **rest) for level, title in titles.items()
        }

    def pairs(
        self, axis: str, quantity: str, levels: Iterable[str] | None = None, **rest: Levels
    ) -> Iterator[tuple[tuple[str, list[float]], tuple[str, list[float]]]]:
        """Each level against each other, as two (title, values)."""
        return itertools.combinations(self.by(axis, quantity, levels, **rest).items(), 2)

    def dead(self, where: Where | Sequence[Where]) -> str:
        """Which cells at these levels have networks that are dead in most seeds; "" if none."""
        of = [where] if isinstance(where, Mapping) else where
        found = [cell for levels in of if levels for cell in self.at(**levels).dead_cells()]
        return ", ".join(dict.fromkeys(found))

    def dead_cells(self) -> list[str]:
        """The cells whose networks are dead in most seeds, and in how many."""
        seen = {
            cell: [row["dead"] for row in rows if "dead" in row]
            for cell, rows in self._cells().items()
        }
        return [
            f"{cell} in {sum(dead)} of {len(dead)} seeds"
            for cell, dead in seen.items()
            if 2 * sum(dead) > len(dead)
        ]

    def left_out(self) -> list[str]:
        """What no mean holds: runs that did not finish, by cell; quantities that are undefined."""
        found: list[str] = []
        for name, rows in self._cells().items():
            for state in (State.DIVERGED, State.FAILED):
                if ended := sum(row.get("state") == state for row in rows):
                    found.append(f"{name}: {ended} of {len(rows)} {state}")
        finished = [row for row in self.rows if row.get("state") == State.FINISHED]
        for quantity in dict.fromkeys(key for row in finished for key in row):
            undefined = sum(_is_nan(row.get(quantity)) for row in finished)
            if undefined:
                found.append(f"{quantity} undefined in {counted(undefined, 'finished run')}")
        return found

    def one(self, **where: Levels) -> Row:
        """The row at these levels. Raises `LookupError` if there are none or several."""
        rows = self.at(**where).rows
        if len(rows) != 1:
            raise LookupError(f"{len(rows)} rows at {where}")
        return rows[0]

    def title(self, **level: str) -> str:
        """What a level of an axis is called."""
        ((axis, name),) = level.items()
        return self.grid.title(axis, name)

    def _cells(self) -> dict[str, list[Row]]:
        """Name of a cell -> the rows of its runs."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            if "seed" in row and self.grid.axes:
                cell = self.grid.name({axis: row[axis] for axis in self.grid.axes})
                found.setdefault(cell, []).append(row)
        return found

    def _of_one_cell(self, cell: Mapping[str, Levels]) -> list[Row]:
        runs = [row for row in self.at(**cell).rows if "seed" in row]
        rows = sorted(runs, key=lambda row: row["seed"])
        if len({row["seed"] for row in rows}) < len(rows):
            raise LookupError(f"{dict(cell)}: not one cell")
        return rows


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
