"""zero_gp, Fig. 8: samples of GANs on MNIST with a large momentum, Adam (.9, .99)."""

from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim
from gp_lab.figures.entry import Entry, Runs
from gp_lab.figures.table import Table
from gp_lab.papers.zero_gp._digits import (
    both_looks,
    end,
    has_learnt,
    page_of_samples,
    recognised,
    unless,
)

LETTERS = {"zero_gp_real": "a", "zero_gp": "b"}

OTHERS = ("zero_gp_real", "one_gp")
"""The other penalties; the paper's figure has the first of them."""


def claims(table: Table) -> list[Claim]:
    where, then = "zero_gp, Fig. 8 and sec. 6.2", "at the end (the paper: iteration 10,000)"
    text = f"0-GP has learnt, without mode collapse, {then}"
    found = [has_learnt(table, {"method": "zero_gp"}, True, text, where)]
    for method, name in table.grid.titles("method", OTHERS).items():
        cell = {"method": method}
        text = f"most samples of {name} are not recognised {then}"
        found.append(unless(found[0], recognised(table, cell, False, text, where)))
        text = f"{name} has collapsed or learnt nothing {then}"
        found.append(unless(found[0], has_learnt(table, cell, False, text, where)))
    return found


def draw(runs: Runs, table: Table) -> Figure:
    return page_of_samples(runs, table, (end,), LETTERS)


ENTRY = Entry(both_looks, claims, draw)
