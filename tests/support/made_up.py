"""Rows of an entry that are made up, and what it concludes from them."""

from typing import Any

from gp_lab.figures.claims import Claim, Verdict
from gp_lab.figures.entry import Entry, entry
from gp_lab.figures.table import Row, Table
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import Grid, Where, grid_of, is_at


def entry_of(name: str) -> tuple[Entry, Grid]:
    file = figure_file(name)
    what = entry(name, file)
    assert isinstance(what, Entry)
    return what, grid_of(file)


def verdicts(name: str, rows: list[Row]) -> dict[str, Verdict]:
    what, grid = entry_of(name)
    return {claim.text: claim.test.verdict for claim in what.claims(Table(rows, grid))}


def told(name: str, rows: list[Row]) -> dict[str, Verdict]:
    """As `verdicts`, in miniature, where dead networks decide nothing."""
    what, grid = entry_of(name)
    table = Table(rows, grid)
    return {c.text: c.at("miniature", table.dead(c.about)).test.verdict for c in what.claims(table)}


def claim_of(name: str, rows: list[Row], text: str) -> Claim:
    what, grid = entry_of(name)
    (claim,) = (c for c in what.claims(Table(rows, grid)) if c.text == text)
    return claim


def rows_of(name: str, seeds: int, **values: Any) -> list[Row]:
    """The same values for every run of an entry, so that a test changes what it is about."""
    _, grid = entry_of(name)
    return [
        {**panel.cell, "seed": s, "state": "finished", **values}
        for panel in grid.panels
        for s in range(seeds)
    ]


def changed(rows: list[Row], cell: Where, **values: Any) -> list[Row]:
    return [r | values if is_at(r, cell) else r for r in rows]
