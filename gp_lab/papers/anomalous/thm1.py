"""anomalous, Theorem 1: the variance of a linear WGAN with constant steps grows, as 1/m."""

from matplotlib.figure import Figure

from gp_lab.papers.anomalous._variance import batch_panels, calculate, draw, shared_claims
from gp_lab.figures.claims import Claim, paired_greater
from gp_lab.figures.registry import Arrays, Calculation, Row, Settings, column

FORMULA = "(t - sin(2t)/2)/m"


def _calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    return calculate(settings, "constant")


def _claims(rows: list[Row]) -> list[Claim]:
    panels = batch_panels(rows)
    base = panels[len(panels) // 2]
    return [
        *shared_claims(rows, "Theorem 1", "App. B", FORMULA),
        Claim(
            f"{base}: the variance of theta grows as training goes on",
            paired_greater(
                column(rows, base, "m_var_theta_end"),
                column(rows, base, "m_var_theta_middle"),
                quantity="m Var theta at the end minus half-way",
            ),
            "anomalous, sec. 3.3 and Theorem 1",
        ),
    ]


def _draw(arrays: Arrays, rows: list[Row]) -> Figure:
    return draw(arrays, rows, "constant", "t − sin(2t)/2")


ENTRY = Calculation(_calculate, _claims, _draw)
