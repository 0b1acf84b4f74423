# ruff: noqa: N999
"""lipschitz, App. E: four points whose marginals agree though the distributions do not."""

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, computed
from gp_lab.figures.registry import Arrays, Calculation, Row, Settings
from gp_lab.figures.style import FAKE, REAL
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
    both = np.concatenate([real, fake])
    others = np.delete(both, coordinate, axis=1)
    at = np.unique(both[:, coordinate])
    gap = 0.0
    for condition in np.unique(others, axis=0):
        cumulative = [
            (
                (x[:, coordinate, None] <= at)
                & (np.delete(x, coordinate, axis=1) == condition).all(axis=1)[:, None]
            ).mean(axis=0)
            for x in (real, fake)
        ]
        gap = max(gap, float(np.abs(cumulative[0] - cumulative[1]).max()))
    return gap


def _calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    real, fake = np.array(settings["real"], float), np.array(settings["fake"], float)
    coordinates = range(real.shape[1])
    critic = exact_critic(real, fake)
    row: Row = {
        "panel": "four_points",
        "marginal_gap": max(marginal_gap(real, fake, i) for i in coordinates),
        "conditional_gap": max(conditional_gap(real, fake, i) for i in coordinates),
        "w1": critic.w1,
        "k": optimal_lipschitz(real, fake, "wasserstein", weight=1.0).k,
    }
    # Each point is as far from both of the other kind: every pair can be coupled.
    return [row], {"real": real, "fake": fake}


def _claims(rows: list[Row]) -> list[Claim]:
    (row,) = rows
    where = "lipschitz, App. E"
    return [
        Claim(
            "the four-point example agrees along every coordinate",
            computed(
                row["marginal_gap"],
                below=ROUNDING,
                quantity="largest difference of the marginals' distribution functions",
            ),
            where,
        ),
        Claim(
            "yet p_G is not p_data",
            computed(row["w1"], above=ROUNDING, quantity="W1 (2 on paper)"),
            where,
        ),
        Claim(
            "an optimal f under lambda k(f)^2 sees it: k > 0 (phi = x, lambda 1)",
            computed(row["k"], above=ROUNDING, quantity="k (W1 / 2 = 1 on paper)"),
            "lipschitz, Theorem 3.3.1",
        ),
    ]


def _draw(arrays: Arrays, rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7.0, 2.7), layout="constrained")
    plane, *of_coordinate = figure.subplots(1, 3)
    (row,) = rows
    for x, colour, marker, label in (
        (arrays["real"], REAL, "o", "real"),
        (arrays["fake"], FAKE, "^", "fake"),
    ):
        plane.scatter(
            *x.T, c=colour, marker=marker, edgecolors="black", s=40, zorder=2, label=label
        )
        for coordinate, axes in enumerate(of_coordinate):
            steps = np.sort(x[:, coordinate])
            ends = np.concatenate([[-2.0], steps, [2.0]])
            shares = np.concatenate([[0.0], np.arange(1, len(x) + 1) / len(x), [1.0]])
            style = {"real": ("-", 4.0), "fake": ("--", 1.5)}[label]
            axes.step(
                ends, shares, where="post", color=colour, linestyle=style[0], linewidth=style[1]
            )
            axes.set_title(f"distribution function of coordinate {coordinate + 1}")
            axes.set_xlabel(f"coordinate {coordinate + 1}")
            axes.set_ylim(-0.05, 1.05)
    for x in arrays["real"]:
        for y in arrays["fake"]:
            plane.plot(*np.stack([x, y]).T, color="0.6", linewidth=0.8, linestyle=":", zorder=1)
    plane.set_title(f"W1 = {row['w1']:.3g}")
    plane.set_xlim(-2, 2)
    plane.set_ylim(-2, 2)
    plane.set_aspect("equal")
    plane.set_xlabel("coordinate 1")
    plane.set_ylabel("coordinate 2")
    handles, labels = plane.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


ENTRY = Calculation(_calculate, _claims, _draw)
