"""Entries that claim something of most seeds have as many as their tests need."""

import pytest
from made_up import entry_of

from gp_lab.figures.claims import seeds_for_share
from gp_lab.figures.table import Table
from gp_lab.launching.config_groups import figure_file

OF_SHARES = [f"zero_gp/{name}" for name in ("fig2", "fig3", "fig5", "fig6", "robust")]


@pytest.mark.parametrize("name", OF_SHARES)
@pytest.mark.parametrize("scale", ["paper", "miniature"])
def test_seeds_that_all_agree_decide_every_claim_about_most_of_them(name: str, scale: str) -> None:
    what, grid = entry_of(name)
    rows = [{**p.cell, "seed": s, "state": "failed"} for p in grid.panels for s in range(5)]
    claims = len(what.claims(Table(rows, grid)))
    assert figure_file(name)["scales"][scale]["seeds"] >= seeds_for_share(claims)
