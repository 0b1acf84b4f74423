"""zero_gp, Fig. 7: samples of GANs on MNIST after 10,000 iterations, Adam (.5, .9)."""

from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim
from gp_lab.figures.entry import Entry, Runs
from gp_lab.figures.table import Table
from gp_lab.papers.zero_gp._digits import both_looks, end, has_learnt, page_of_samples

LETTERS = {"none": "a", "zero_gp_real": "b", "one_gp": "c", "zero_gp": "d"}


def claims(table: Table) -> list[Claim]:
    where, then = "zero_gp, Fig. 7 and sec. 6.2", "at the end (the paper: iteration 10,000)"
    found = []
    for method, name in table.grid.titles("method", LETTERS).items():
        so = method == "zero_gp"
        does = "has learnt, without mode collapse," if so else "has collapsed or learnt nothing"
        found.append(has_learnt(table, {"method": method}, so, f"{name} {does} {then}", where))
    return found


def draw(runs: Runs, table: Table) -> Figure:
    return page_of_samples(runs, (end,), LETTERS)


ENTRY = Entry(both_looks, claims, draw)
