"""anomalous, Theorem 1: the variance of a linear WGAN with constant steps grows, as 1/m."""

from functools import partial

from gp_lab.figures.claims import Claim, paired_greater
from gp_lab.figures.entry import Calculation
from gp_lab.figures.table import Table
from gp_lab.papers.anomalous._variance import calculate, draw, middle, shared_claims


def claims(table: Table) -> list[Claim]:
    m = middle(table)["case"]
    end, half_way = (table.values(f"m_var_theta_{t}", case=m) for t in ("end", "middle"))
    text = f"{m}: the variance of theta grows as training goes on"
    test = paired_greater(end, half_way, quantity="m Var theta at the end minus half-way")
    return [
        *shared_claims(table, "Theorem 1", "App. B", "(t - sin(2t)/2)/m"),
        Claim(text, test, "anomalous, sec. 3.3 and Theorem 1"),
    ]


ENTRY = Calculation(
    partial(calculate, steps="constant"),
    claims,
    partial(draw, steps="constant", formula="t − sin(2t)/2"),
)
