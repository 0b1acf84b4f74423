"""Entries train so many seeds that each of their claims could be decided, on cells they have."""

from typing import Any

import pytest

from gp_lab.figures.claims import (
    Claim,
    family,
    paired_share_greater,
    seeds_for_share,
    share_greater,
    share_less,
)  # fmt: skip
from gp_lab.figures.entry import Entry, entry
from gp_lab.figures.table import Table
from gp_lab.figures.verdicts import MIN_SEEDS
from gp_lab.launching.config_groups import figure_file, figure_ids
from gp_lab.launching.grid import grid_of

VANISHING = {name for name in figure_ids() if figure_file(name).get("dead_networks") == "count"}
"""Entries whose claims are that gradients vanish, or that networks do not train."""

TRAINED = [name for name in figure_ids() if figure_file(name).get("grid")]


class Row(dict[str, Any]):
    """A run of which every quantity is known, and 1."""

    def __missing__(self, key: str) -> float:
        return 1.0

    def __contains__(self, key: object) -> bool:
        return key != "dead" or dict.__contains__(self, key)

    def get(self, key: str, default: Any = None) -> Any:
        return self[key]


def judged(name: str, seeds: int) -> tuple[Table, list[Claim]]:
    file = figure_file(name)
    grid, found = grid_of(file), entry(name, file)
    assert isinstance(found, Entry)
    rows = [
        Row(panel.cell, seed=seed, state="finished")
        for panel in grid.panels
        for seed in range(seeds)
    ]
    table = Table([*rows, *found.exact()], grid)
    with family(len(found.claims(table))):
        return table, found.claims(table)


def seeds_for(method: str, family_of: int) -> int:
    """How many trials a test of a share needs, all of them agreeing; 0 for other tests."""
    kind, _, words = method.partition(", share ")
    bound = float(words.rpartition(" ")[2]) if words and "< share" not in method else 0.5
    if kind == "exact binomial":
        return seeds_for_share(family_of, bound if words.startswith(">") else 1 - bound)
    return seeds_for_share(family_of) if kind in ("exact McNemar", "exact sign test") else 0


def test_what_a_test_of_a_share_needs_is_read_off_its_method() -> None:
    above, below = share_greater(9, 9, 0.9).method, share_less(0, 9, 0.1).method
    mcnemar = paired_share_greater([1, 0], [0, 1]).method
    assert seeds_for(above, 4) == seeds_for(below, 4) == seeds_for_share(4, 0.9) > 40
    assert seeds_for(mcnemar, 4) == seeds_for_share(4, 0.5) == 8
    assert seeds_for("one-sample t, mean > 0.5", 4) == 0


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("scale", ["paper", "miniature"])
def test_an_entry_has_the_seeds_that_its_claims_need(name: str, scale: str) -> None:
    seeds = int(figure_file(name)["scales"][scale]["seeds"])
    assert seeds >= MIN_SEEDS
    _, found = judged(name, seeds)
    for claim in found:
        # Pairs of runs that agree are no trials; all of them might differ.
        trials = seeds if "pairs that differ" in claim.test.method else claim.test.n
        assert trials >= seeds_for(claim.test.method, len(found)), claim.text


@pytest.mark.parametrize("name", TRAINED)
def test_what_a_claim_is_about_are_cells_that_the_entry_trains(name: str) -> None:
    table, found = judged(name, 5)
    assert {table.dead(claim.about) for claim in found} <= {""}  # raises for cells it lacks
    for row in table.rows:
        row["dead"] = 1
    for claim in found:
        assert bool(table.dead(claim.about)) == bool(claim.about), claim.text


@pytest.mark.parametrize("name", TRAINED)
def test_dead_networks_leave_an_entry_open_unless_they_are_what_it_speaks_of(name: str) -> None:
    _, claims = judged(name, seeds=10)
    assert not claims or any(claim.about for claim in claims) != (name in VANISHING)
