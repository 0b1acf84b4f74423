"""anomalous, Theorem 2: with steps 1/t the variance of a linear WGAN does not vanish either."""

import math

from matplotlib.figure import Figure

from gp_lab.papers.anomalous._variance import batch_panels, calculate, draw, shared_claims
from gp_lab.figures.claims import Claim, greater
from gp_lab.figures.registry import Arrays, Calculation, Row, Settings, column

FORMULA = "[1 - 4/(5t) - (cos(2 ln t) + 2 sin(2 ln t))/5]/m"

REMAINS = 0.5 * (1 - 1 / math.sqrt(5))
"""m Var theta swings between 1 -+ 1/sqrt(5) in the end; half of the lower value is called a
variance that remains."""


def _calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    return calculate(settings, "vanishing")


def _claims(rows: list[Row]) -> list[Claim]:
    panels = batch_panels(rows)
    base = panels[len(panels) // 2]
    return [
        *shared_claims(rows, "Theorem 2", "App. C", FORMULA),
        Claim(
            f"{base}: though the steps vanish the variance of theta remains (above"
            f" {REMAINS:.2g}/m over the last tenfold of time)",
            greater(
                column(rows, base, "m_var_theta_late_min"),
                REMAINS,
                quantity="smallest m Var theta from a tenth of the time on",
            ),
            "anomalous, sec. 3.3 and Theorem 2",
        ),
    ]


def _draw(arrays: Arrays, rows: list[Row]) -> Figure:
    return draw(arrays, rows, "vanishing", "1 − 4/(5t) − (cos(2 ln t) + 2 sin(2 ln t))/5")


ENTRY = Calculation(_calculate, _claims, _draw)
