"""zero_gp, Fig. 7: samples of GANs on MNIST after 10,000 iterations, Adam (.5, .9)."""

from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim
from gp_lab.figures.entry import Entry, Runs
from gp_lab.figures.table import Table
from gp_lab.papers.zero_gp._digits import both_looks, end, has_learnt, page_of_samples, unless

OTHERS = ("none", "zero_gp_real", "one_gp")
"""What the paper holds against 0-GP."""

LETTERS = dict(zip((*OTHERS, "zero_gp"), "abcd", strict=True))


def claims(table: Table) -> list[Claim]:
    where, then = "zero_gp, Fig. 7 and sec. 6.2", "at the end (the paper: iteration 10,000)"
    text = f"0-GP has learnt, without mode collapse, {then}"
    zero_gp = has_learnt(table, {"method": "zero_gp"}, True, text, where)
    found = [zero_gp]
    for method, name in table.grid.titles("method", OTHERS).items():
        text = f"{name} has collapsed or learnt nothing {then}"
        found.append(unless(zero_gp, has_learnt(table, {"method": method}, False, text, where)))
    return found


def draw(runs: Runs, table: Table) -> Figure:
    return page_of_samples(runs, table, (end,), LETTERS)


ENTRY = Entry(both_looks, claims, draw)
