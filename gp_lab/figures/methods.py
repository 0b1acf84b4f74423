"""Methods of one's own beside the paper's: paired comparisons with the best of these."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gp_lab.evaluation.intervals import mean_interval, paired_difference
from gp_lab.figures.entry import Run, Runs
from gp_lab.figures.table import Table
from gp_lab.launching.grid import Cell, Grid
from gp_lab.launching.methods import Joins

WORDS = {"higher": "higher", "lower": "lower", "near_zero": "nearer to 0"}

GOODNESS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "higher": lambda score: score,
    "lower": lambda score: -score,
    "near_zero": lambda score: -abs(score),
}

ALONE = 6
"""Settings that a terminal shows one by one; of more it shows the mean."""


def without_methods(table: Table, grid: Grid) -> Table:
    """The rows of the paper's own runs, with the entry's own grid: what its claims are about."""
    joined = table.grid
    rows = [row for row in table.rows if row.get(joined.joined) not in joined.own]
    return Table(rows, grid)


def only(runs: Runs, table: Table, level: str, grid: Grid) -> tuple[Runs, Table]:
    """One level of an axis that the entry itself lacks, as if it were the entry."""
    axis = table.grid.joined

    def without_axis(run: Run) -> Run:
        return dataclasses.replace(run, cell={a: of for a, of in run.cell.items() if a != axis})

    every = [without_axis(run) for run in runs.every if run.cell[axis] == level]
    return Runs(grid, every), Table(table.at(**{axis: level}).rows, grid)


def comparisons(table: Table, joins: Joins) -> list[dict[str, Any]]:
    """Of each method and score: its paired difference with the paper's best method.

    In every setting of the other axes where both are measured, and over all of these (the mean by
    seed). Best is the paper's method with the best mean over its seeds, of those that are measured
    in at least half of theirs; `advantage` is by how much the method is better than that one, with
    Student's interval at 95 %, each by itself. Choosing the best on the same seeds favours the
    paper's a little.
    """
    found = []
    for method in table.grid.own:
        settings = [panel.cell for panel in table.grid.at(**{joins.axis: method})]
        for score, better in joins.scores.items():
            by_setting = {
                _name(table.grid, joins, cell): values
                for cell in settings
                if len(values := _measured(table, joins, score, cell)) > 1
            }
            if len(by_setting) > 1:
                by_setting |= {f"mean of {len(by_setting)} settings": _means(by_setting)}
            for where, values in by_setting.items():
                one = {"method": method, "score": score, "better": better, "where": where}
                if beside := _against_best(values, method, better):
                    found.append(one | beside)
    return found


def comparisons_table(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The comparisons for a terminal, a line each."""
    lines = []
    for one in found:
        same = [o for o in found if (o["method"], o["score"]) == (one["method"], one["score"])]
        if len(same) > ALONE + 1 and one is not same[-1]:
            continue
        where = f" ({one['where']})" if one["where"] else ""
        left_out = f", {one['left_out']} left out" if one["left_out"] else ""
        mean, low, high = (one[key] for key in ("advantage", "low", "high"))
        between = "" if low is None else f" [{low:.3g}, {high:.3g}]"
        advantage = "?" if mean is None else f"{mean:+.3g}{between}"
        lines.append(
            f"  {one['method']}{where}: {one['score']} {_number(one['mean'])}, the paper's best"
            f" {one['best']} {_number(one['mean_of_best'])} ({WORDS[one['better']]} is better):"
            f" better by {advantage}, n={one['n']}{left_out}"
        )
    return lines


def _name(grid: Grid, joins: Joins, cell: Cell) -> str:
    """What the cell is called, the method aside."""
    others = _others(grid, joins)
    return grid.name(cell, *others) if others else ""


def _others(grid: Grid, joins: Joins) -> list[str]:
    return [axis for axis in grid.axes if axis != joins.axis]


def _measured(table: Table, joins: Joins, score: str, cell: Cell) -> dict[str, np.ndarray]:
    """Level -> a score by seed, at the cell's other levels: of the method itself, and of those of
    the paper's that are measured in at least half of their seeds."""
    other = {axis: cell[axis] for axis in _others(table.grid, joins)}
    found = {}
    for panel in table.grid.at(**other):
        values, level = np.array(table.values(score, **panel.cell)), panel.cell[joins.axis]
        if level == cell[joins.axis] or (_enough(values) and not panel.own):
            found[level] = values
    return found


def _enough(values: np.ndarray) -> bool:
    """Whether a score is measured in at least half of its seeds [n]."""
    return bool(2 * np.isfinite(values).sum() >= max(1, len(values)))


def _means(by_setting: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The same over all settings, of the levels that are measured in each."""
    every = list(by_setting.values())
    levels = [level for level in every[0] if all(level in of for of in every)]
    return {level: np.mean([of[level] for of in every], axis=0) for level in levels}


def _against_best(
    values: Mapping[str, np.ndarray], method: str, better: str
) -> dict[str, Any] | None:
    """Nothing where no rival is measured in enough of its seeds."""
    of = {level: GOODNESS[better](seeds) for level, seeds in values.items()}
    rivals = {
        level: np.nanmean(seeds)
        for level, seeds in of.items()
        if level != method and _enough(seeds)
    }
    if not rivals:
        return None
    best = max(rivals, key=lambda level: rivals[level])
    difference = paired_difference(of[method], of[best])
    interval = mean_interval(difference)
    bounds = {k: getattr(interval, k) for k in ("estimate", "low", "high")}
    known = {k: v if np.isfinite(v) else None for k, v in bounds.items()}
    shown = {  # of a score that is to be near 0, how far it is from there
        level: float(np.nanmean(np.abs(seeds) if better == "near_zero" else seeds))
        for level, seeds in values.items()
        if level in (method, best) and not np.isnan(seeds).all()
    }
    means = {level: mean if np.isfinite(mean) else None for level, mean in shown.items()}
    return {
        "mean": means.get(method),
        "best": best,
        "mean_of_best": means.get(best),
        "advantage": known["estimate"],
        "low": known["low"],
        "high": known["high"],
        "n": interval.n,
        "left_out": len(difference) - interval.n,
    }


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}"
