"""anomalous, Theorem 2: with steps 1/t the variance of a linear WGAN does not vanish either."""

import math
from functools import partial

from gp_lab.figures.claims import Claim, greater
from gp_lab.figures.entry import Calculation
from gp_lab.figures.table import Table
from gp_lab.papers.anomalous._variance import calculate, draw, middle, shared_claims

FORMULA = "[1 - 4/(5t) - (cos(2 ln t) + 2 sin(2 ln t))/5]/m"

REMAINS = 0.5 * (1 - 1 / math.sqrt(5))
"""m Var theta swings between 1 -+ 1/sqrt(5) in the end; half of the lower value is called a
variance that remains."""


def claims(table: Table) -> list[Claim]:
    m = middle(table)["case"]
    text = (
        f"{m}: though the steps vanish the variance of theta remains (above {REMAINS:.2g}/m over"
        " the last tenfold of time)"
    )
    late = table.values("m_var_theta_late_min", case=m)
    test = greater(late, REMAINS, quantity="smallest m Var theta from a tenth of the time on")
    return [
        *shared_claims(table, "Theorem 2", "App. C", FORMULA),
        Claim(text, test, "anomalous, sec. 3.3 and Theorem 2"),
    ]


ENTRY = Calculation(
    partial(calculate, steps="vanishing"),
    claims,
    partial(draw, steps="vanishing", formula="1 − 4/(5t) − (cos(2 ln t) + 2 sin(2 ln t))/5"),
)
