# ruff: noqa: N999
"""lipschitz, App. E: four points whose marginals agree though the distributions do not."""

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, computed, stated
from gp_lab.figures.entry import Arrays, Calculation, Settings
from gp_lab.figures.plots import legend_above
from gp_lab.figures.style import FAKE, REAL, new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.theory.lipschitz import optimal_lipschitz
from gp_lab.theory.transport import exact_critic

ROUNDING = 1e-9
"""Numbers that are equal on paper are equal within this."""


def marginal_gap(real: np.ndarray, fake: np.ndarray, coordinate: int) -> float:
    """The largest difference of the two cumulative distribution functions of a coordinate."""
    at = np.union1d(real[:, coordinate], fake[:, coordinate])
    cumulative = [(x[:, coordinate, None] <= at).mean(axis=0) for x in (real, fake)]
    return float(np.abs(cumulative[0] - cumulative[1]).max())


def conditional_gap(real: np.ndarray, fake: np.ndarray, coordinate: int) -> float:
    """The same of P(X_i <= t, the other coordinates = s), over all t and s: what Sobolev compares.

    Sobolev GAN weights the conditional distribution function by the density of the condition.
    """
    at = np.union1d(real[:, coordinate], fake[:, coordinate])
    below = [x[:, coordinate, None] <= at for x in (real, fake)]
    others = [np.delete(x, coordinate, axis=1) for x in (real, fake)]
    gap = 0.0
    for condition in np.unique(np.concatenate(others), axis=0):
        of_real, of_fake = (
            (low & (other == condition).all(axis=1, keepdims=True)).mean(axis=0)
            for low, other in zip(below, others, strict=True)
        )
        gap = max(gap, float(np.abs(of_real - of_fake).max()))
    return gap


def calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    real, fake = np.array(settings["real"], float), np.array(settings["fake"], float)
    coordinates = range(real.shape[1])
    row: Row = {
        "example": "four_points",
        "marginal_gap": max(marginal_gap(real, fake, i) for i in coordinates),
        "conditional_gap": max(conditional_gap(real, fake, i) for i in coordinates),
        "w1": exact_critic(real, fake).w1,
        "k": optimal_lipschitz(real, fake, "wasserstein", weight=1.0).k,
    }
    return [row], {"real": real, "fake": fake}


def claims(table: Table) -> list[Claim]:
    row = table.one()
    said = "largest difference of the marginals' distribution functions"
    return [
        *stated("lipschitz, App. E", {
            "the four-point example agrees along every coordinate":
                computed(row["marginal_gap"], below=ROUNDING, quantity=said),
            "yet p_G is not p_data":
                computed(row["w1"], above=ROUNDING, quantity="W1 (2 on paper)"),
        }),
        *stated("lipschitz, Theorem 3.3.1", {
            "an optimal f under lambda k(f)^2 sees it: k > 0 (phi = x, lambda 1; half the paper's)":
                computed(row["k"], above=0.5, quantity="k (W1 / 2 = 1 on paper)"),
        }),
    ]  # fmt: skip


def draw(arrays: Arrays, table: Table) -> Figure:
    """The points, each pair of which can be coupled, and the distribution functions."""
    figure, ((plane, *of_coordinate),) = new_panels(1, 3, 2.7)
    at = np.linspace(-2, 2, 401)
    # Each point is as far from both of the other kind.
    for x in arrays["real"]:
        for y in arrays["fake"]:
            plane.plot(*np.stack([x, y]).T, color="0.6", lw=0.8, ls=":", zorder=1)
    for kind, colour, marker, style, width in (
        ("real", REAL, "o", "-", 4.0),
        ("fake", FAKE, "^", "--", 1.5),
    ):
        x = arrays[kind]
        plane.scatter(*x.T, c=colour, marker=marker, edgecolors="black", s=40, label=kind)
        for axes, values in zip(of_coordinate, x.T, strict=True):
            shares = (values[:, None] <= at).mean(axis=0)
            axes.step(at, shares, where="post", color=colour, ls=style, lw=width)
    for i, axes in enumerate(of_coordinate, 1):
        axes.set_title(f"distribution function of coordinate {i}")
        axes.set(xlabel=f"coordinate {i}", xlim=(-2, 2), ylim=(-0.05, 1.05))
    plane.set(title=f"W1 = {table.one()['w1']:.3g}", xlim=(-2, 2), ylim=(-2, 2), aspect="equal")
    plane.set(xlabel="coordinate 1", ylabel="coordinate 2")
    legend_above(figure, [plane], "upper center")
    return figure


ENTRY = Calculation(calculate, claims, draw)
