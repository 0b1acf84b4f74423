"""mu_wgan, Lemma 1: the Dirac-GAN's basin of attraction under a penalty measure of finite mass."""

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from gp_lab.figures.claims import Claim, computed
from gp_lab.figures.entry import Arrays, Calculation, Settings
from gp_lab.figures.plots import legend_above
from gp_lab.figures.style import REAL, new_figure
from gp_lab.figures.table import Row, Table
from gp_lab.papers.mu_wgan._measures import streams
from gp_lab.theory.dynamics import (
    Mass,
    constant_mass,
    dirac_basin,
    dirac_field,
    gaussian_mass,
    guaranteed_radius,
    trajectory,
)

GAUSSIAN, NOTHING = "exp(-psi^2)", "0"
"""The masses M(psi, theta)."""

EQUAL = 0.01
"""The basin is the ball if its radius is R within this share."""

CLOSED = 1e-6
"""A curve counts as a circle if its radius varies by less than this over the picture's turns."""

WINDOW = 2.0
"""Half the side of the phase portraits."""

WIND = 12.0
"""For how long the curves of the phase portraits run: about two turns."""


def calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    rhos, horizon, step = np.asarray(settings["rhos"], float), settings["horizon"], settings["step"]
    angles = np.linspace(0, 2 * np.pi, settings["angles"], endpoint=False)
    mass, nothing = gaussian_mass(), constant_mass(0.0)
    basin = dirac_basin(rhos, mass, angles, horizon, step, tolerance=settings["tolerance"])
    rows: list[Row] = [
        {
            "mass": GAUSSIAN,
            "rho": float(rho),
            "guaranteed_radius": guaranteed_radius(mass),
            "measured_radius": float(radii.min()),
            "farthest": float(radii.max()),
        }
        for rho, radii in zip(rhos, basin, strict=True)
    ]
    times = np.linspace(0, WIND, 400)
    circle = trajectory(lambda y: dirac_field(y, 1.0, nothing), [1.0, 0.0], times)
    varies = float(np.ptp(np.hypot(circle[:, 0], circle[:, 1])))
    rows.append({"mass": NOTHING, "rho": 1.0, "radius_variation": varies})
    return rows, {"angles": angles, "basin": basin}


def claims(table: Table) -> list[Claim]:
    found, off = [], []
    for row in table.at(mass=GAUSSIAN).rows:
        measured, least = row["measured_radius"], row["guaranteed_radius"]
        of = f"measured radius {measured:.3f} minus R = {least:.3f}"
        text = f"M = exp(-psi^2), rho {row['rho']:g}: the basin holds the ball of radius R"
        test = computed(measured - least, above=0.0, quantity=of)
        found.append(Claim(text, test, "mu_wgan, Lemma 1 and App. A"))
        off += [abs(radius / least - 1) for radius in (measured, row["farthest"])]
    of = "largest |radius / R - 1| of the basins in any direction"
    test = computed(float(np.max(off)), below=EQUAL, quantity=of)
    found.append(Claim("the basin is that ball, and no more", test, "mu_wgan, Lemma 1"))
    of = "largest minus smallest radius over two turns"
    text = "M = 0: the curves are circles about the equilibrium, which attracts nothing"
    test = computed(table.one(mass=NOTHING)["radius_variation"], below=CLOSED, quantity=of)
    return [*found, Claim(text, test, "mu_wgan, Lemma 1 (ours: without its penalty)")]


def draw(arrays: Arrays, table: Table) -> Figure:
    rows = table.at(mass=GAUSSIAN).rows
    figure, grid = new_figure(1, len(rows) + 1, 2.5)
    first, *others = grid[0]
    _portrait(first, constant_mass(0.0), 1.0)
    first.set(title="M = 0: circles", ylabel=r"$\theta$")
    turn = np.append(arrays["angles"], 2 * np.pi)
    for axes, row, radii in zip(others, rows, arrays["basin"], strict=True):
        _portrait(axes, gaussian_mass(), row["rho"])
        x, y = np.append(radii, radii[0]) * [np.cos(turn), np.sin(turn)]
        axes.plot(x, y, color=REAL, lw=1.6, label="basin's border")
        for radius, label, look in (
            ("measured_radius", "inscribed ball", {"ec": "black", "lw": 1, "ls": ":"}),
            ("guaranteed_radius", "Lemma 1's R", {"ec": "#D55E00", "lw": 1.2, "ls": "--"}),
        ):
            axes.add_patch(Circle((0, 0), row[radius], fill=False, label=label, **look))
        title = rf"$M = e^{{-\psi^2}}$, $\rho$ = {row['rho']:g}: {row['measured_radius']:.2f}"
        axes.set_title(title)
    for axes in grid[0]:
        axes.plot(0, 0, "o", color="black", ms=3, label="equilibrium")
    legend_above(figure, grid[0][-1:], "upper center")
    return figure


def _portrait(axes: Axes, mass: Mass, rho: float) -> None:
    field, limits = partial(dirac_field, rho=rho, mass=mass), (-WINDOW, WINDOW)
    streams(axes, limits, limits, field, density=0.8, arrowsize=0.6)
    axes.set_aspect("equal")


ENTRY = Calculation(calculate, claims, draw)
