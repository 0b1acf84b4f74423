"""How a miniature is chosen: the first of listed settings that meets a criterion on pilot seeds.

    pilot:                                  # in an entry's file
      criterion: some method hits all 8 modes on every seed
      measured: {some: [method], quantity: modes, at_least: 8}
      first_seed: 1003                      # 1000 where it is not said
      seeds: 8                              # 3 where it is not said
      candidates:                           # what the scale would set, as under `scales:`
        - {overrides: [architecture.width=64]}
        - {overrides: [architecture.width=64], cells: [{method: none, set: [steps=500]}]}

The criterion looks at no claim: whether a loss has levelled, whether anything learns the data. It
and the candidates are written down before any of them is trained.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gp_lab.errors import BadInput, bad_choice
from gp_lab.figures.publishing import summary_of
from gp_lab.figures.table import Row
from gp_lab.launching.grid import grid_of, is_at
from gp_lab.runs.folder import RunFolder

FIRST_SEED = 1000
"""Seeds from here on are for pilots, and no run of an entry has one."""

SEEDS = 3
"""Pilots have so many, from `first_seed` on: a criterion that had to be replaced gets new ones."""

LEVELLED = "levelled"
"""What D's loss still changes from the third quarter of a run to its last, over its whole way."""


def unproven(figure: Mapping[str, Any]) -> list[str]:
    """What to say of an entry's miniature whose pilot no candidate has passed yet (`tried:`).

    Nothing where it is no smaller than the paper's scale: a pilot shows that a miniature is enough.
    """
    pilot, scales = figure.get("pilot"), figure.get("scales", {})
    if pilot is None or (scales and scales["miniature"] == scales.get("paper")):
        return []
    if any("passes:" in str(x).split(" ")[:2] for x in pilot.get("tried") or ()):
        return []
    return ["no settings have passed the pilot of this miniature: its networks may not have learnt"]


def tried(pilot: Mapping[str, Any]) -> int:
    """How many candidates an entry says were tried with the criterion that it has now.

    What was tried with one that was replaced begins with words, not with a number.
    """
    return sum(str(line)[0].isdigit() for line in pilot.get("tried") or ())


def unmeasured(figure: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`without:` of an entry's file for its pilot: also the cells that the criterion's `where`
    passes over."""
    where = figure["pilot"]["measured"].get("where", {})
    axes = grid_of(figure).axes
    over = {a: [x for x in axes[a] if not is_at({a: x}, {a: where[a]})] for a in where}
    return [*figure.get("without", ()), *({a: levels} for a, levels in over.items() if levels)]


def levelled(steps: np.ndarray, losses: np.ndarray) -> float:
    """How much a loss [k] at steps [k] still changes, as a share of its way since the first one.

    The means of the last two quarters are compared, so that a loss which never left its noise has
    not levelled either; NaN for fewer than 8 steps or a constant loss.
    """
    if len(losses) < 8 or not np.ptp(losses) > 0:
        return float("nan")
    quarter = np.ceil(4 * (steps - steps[0] + 1) / (steps[-1] - steps[0] + 1))
    third, last = (losses[quarter == q].mean() for q in (3, 4))
    return float(abs(last - third) / abs(last - losses[0]))


def measured(folder: Path, runs: Path, axes: Sequence[str]) -> list[Row]:
    """The rows of a drawn entry, its cells with `levelled` of their runs.

    folder: that of its claims.json; runs: the runs'; axes: those of its grid. Raises
    `BadInput` for a damaged one.
    """
    summary = summary_of(folder / "claims.json")
    with (folder / "data.csv").open(newline="") as file:
        rows: list[Row] = [dict(row) for row in csv.DictReader(file)]
    of = {(run["panel"], str(run["seed"])): run["id"] for run in summary["runs"]}
    for row in rows:
        run = of.get(("-".join(str(row[axis]) for axis in axes), str(row.get("seed"))))
        if run is not None:
            lines = [x for x in RunFolder(runs / run).metrics() if "loss_d" in x]
            step, loss = ([float(x[k]) for x in lines] for k in ("step", "loss_d"))
            row[LEVELLED] = levelled(np.array(step), np.array(loss))
    return rows


def meets(criterion: Mapping[str, Any], rows: Sequence[Row]) -> tuple[bool, dict[str, float]]:
    """Whether rows meet `measured:` of a pilot, and the worst seed's quantity by cell.

    `some` cell of these axes, or `every` one, has a quantity of at_least, or at_most, a number on
    every seed; with both, every level of the one has some cell of the other. `where` chooses the
    rows. With `of: most` it is so on more than half of the seeds, and the median is told: where a
    seed is a random architecture, of which some cannot be trained. Raises `BadInput` for a
    criterion of another form.
    """
    quantity = str(criterion.get("quantity"))
    known = {"some", "every", "quantity", "at_least", "at_most", "where", "of"}
    if wrong := sorted(set(criterion) - known):
        raise bad_choice("pilot.measured", wrong[0], known)
    every, some = ([str(axis) for axis in criterion.get(rule, ())] for rule in ("every", "some"))
    axes, least = [*every, *some], "at_least" in criterion
    bound = float(criterion["at_least" if least else "at_most"])
    of_seeds = str(criterion.get("of", "every"))
    if of_seeds not in ("every", "most"):
        raise bad_choice("pilot.measured.of", of_seeds, ("every", "most"))
    values: dict[str, list[float]] = {}
    groups: dict[str, str] = {}
    for row in rows:
        if "seed" not in row or not row["seed"] or not is_at(row, criterion.get("where", {})):
            continue
        value = float(row[quantity]) if row.get(quantity) not in (None, "") else float("nan")
        if np.isnan(value):
            value = -np.inf if least else np.inf  # of a run that did not finish
        cell = "-".join(str(row[axis]) for axis in axes)
        groups[cell] = "-".join(str(row[axis]) for axis in every)
        values.setdefault(cell, []).append(value)
    if not values:
        raise BadInput(f"pilot.measured: no rows with {axes} and {quantity}")
    worst = min if least else max
    # Of an even number the worse of the two in the middle: more than half are at least as good.
    found = {
        cell: worst(x) if of_seeds == "every" else sorted(x, reverse=least)[len(x) // 2]
        for cell, x in values.items()
    }
    good = (cell for cell, x in found.items() if (x >= bound if least else x <= bound))
    passed = {groups[cell] for cell in good}
    return passed == {*groups.values()}, found
