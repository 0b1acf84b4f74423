"""Verdicts from rows: of an entry as it is drawn, and of one that was kept, by today's tests."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gp_lab.figures.claims import Claim, family
from gp_lab.figures.entry import Entry, entry
from gp_lab.figures.table import Row, Table
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import grid_of


def judged(claims: Callable[[Table], list[Claim]], table: Table, scale: str) -> list[Claim]:
    """An entry's claims, tested as one family, with the verdicts that scale and networks allow."""
    with family(len(claims(table))):
        return [claim.at(scale, table.dead(claim.about)) for claim in claims(table)]


def told(claims: Sequence[Claim], stand_ins: bool) -> list[dict[str, Any]]:
    """Claims as `claims.json` has them."""
    return [claim.as_dict() | {"stand_in": stand_ins} for claim in claims]


def judged_again(folder: Path, summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`claims` of a kept `claims.json`, worked out anew from the rows in the `data.csv` beside it.

    Those of the paper's own methods alone. As they were where no `data.csv` is kept.
    """
    table = folder / "data.csv"
    if not table.exists():
        return list(summary["claims"])
    text = figure_file(summary["figure"])
    what, words = entry(summary["figure"], text), {"state", *(text.get("grid") or ())}
    with table.open(newline="") as file:
        rows = [_row(line, words) for line in csv.DictReader(file)]
    if not isinstance(what, Entry):
        return told(judged(what.claims, Table(rows), summary["scale"]), bool(summary["stand_ins"]))
    if own := summary.get("methods"):
        rows = [row for row in rows if row.get(text["joins"]["axis"]) not in own]
    found = judged(what.claims, Table(rows, grid_of(text)), summary["scale"])
    return told(found, bool(summary["stand_ins"]))


def _row(line: Mapping[str, str], words: set[str]) -> Row:
    return {k: v if k in words else _value(v) for k, v in line.items() if v != ""}


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
