"""mu_wgan, Lemma 1: the Dirac-GAN's basin of attraction under a penalty measure of finite mass."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from gp_lab.figures.claims import Claim, computed
from gp_lab.figures.registry import Arrays, Calculation, Row, Settings
from gp_lab.figures.style import FAKE, REAL, new_figure
from gp_lab.theory.dynamics import (
    Mass,
    constant_mass,
    dirac_basin,
    dirac_field,
    gaussian_mass,
    guaranteed_radius,
    trajectory,
)

CLOSED = 1e-6
"""A curve counts as a circle if its radius varies by less than this over the picture's turns."""

WINDOW = 2.0
"""Half the side of the phase portraits."""

WIND = 12.0
"""For how long the curves of the phase portraits run: about two turns."""


def _calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    rhos = np.asarray(settings["rhos"], float)
    angles = np.linspace(0, 2 * np.pi, settings["angles"], endpoint=False)
    mass, nothing = gaussian_mass(), constant_mass(0.0)
    basin = dirac_basin(
        rhos,
        mass,
        angles,
        settings["horizon"],
        settings["step"],
        tolerance=settings["tolerance"],
    )
    rows: list[Row] = [
        {
            "panel": f"rho={rho:g}",
            "mass": "exp(-psi^2)",
            "rho": float(rho),
            "guaranteed_radius": guaranteed_radius(mass),
            "measured_radius": float(radii.min()),
            "farthest": float(radii.max()),
        }
        for rho, radii in zip(rhos, basin, strict=True)
    ]
    times = np.linspace(0, WIND, 400)
    circle = trajectory(lambda y: dirac_field(y, 1.0, nothing), [1.0, 0.0], times)
    radius = np.hypot(circle[:, 0], circle[:, 1])
    rows.append(
        {
            "panel": "none",
            "mass": "0",
            "rho": 1.0,
            "radius_variation": float(np.ptp(radius)),
        }
    )
    return rows, {"rhos": rhos, "angles": angles, "basin": basin}


def _claims(rows: list[Row]) -> list[Claim]:
    where = "mu_wgan, Lemma 1 and App. A"
    claims = [
        Claim(
            f"M = exp(-psi^2), rho {row['rho']:g}: the basin holds the ball of radius R",
            computed(
                row["measured_radius"] - row["guaranteed_radius"],
                above=0.0,
                quantity=f"measured radius {row['measured_radius']:.3f} minus R ="
                f" {row['guaranteed_radius']:.3f}",
            ),
            where,
        )
        for row in rows
        if "measured_radius" in row
    ]
    (none,) = (row for row in rows if row["panel"] == "none")
    claims.append(
        Claim(
            "M = 0: the curves are circles about the equilibrium, which attracts nothing",
            computed(
                none["radius_variation"],
                below=CLOSED,
                quantity="largest minus smallest radius over two turns",
            ),
            "mu_wgan, Lemma 1's proof",
        )
    )
    return claims


def _draw(arrays: Arrays, rows: list[Row]) -> Figure:
    rhos, angles, basin = arrays["rhos"], arrays["angles"], arrays["basin"]
    figure, grid = new_figure(1, len(rhos) + 1, 2.5)
    axes_list = list(grid[0])
    _portrait(axes_list[0], constant_mass(0.0), 1.0)
    axes_list[0].set_title("M = 0: circles")
    for axes, rho, radii in zip(axes_list[1:], rhos, basin, strict=True):
        _portrait(axes, gaussian_mass(), float(rho))
        loop = np.append(radii, radii[0])
        turn = np.append(angles, angles[0])
        axes.plot(
            loop * np.cos(turn), loop * np.sin(turn), color=REAL, lw=1.6, label="basin's border"
        )
        (row,) = (r for r in rows if r["panel"] == f"rho={rho:g}")
        axes.add_patch(
            Circle(
                (0, 0), row["measured_radius"], fill=False, ec="black", lw=1, ls=":",
                label="inscribed ball",
            )
        )  # fmt: skip
        axes.add_patch(
            Circle(
                (0, 0), row["guaranteed_radius"], fill=False, ec="#D55E00", lw=1.2, ls="--",
                label="Lemma 1's R",
            )
        )  # fmt: skip
        axes.set_title(rf"$M = e^{{-\psi^2}}$, $\rho$ = {rho:g}: {row['measured_radius']:.2f}")
    for axes in axes_list:
        axes.plot(0, 0, "o", color="black", ms=3, label="equilibrium")
        axes.set_xlabel(r"$\psi$")
        axes.set(xlim=(-WINDOW, WINDOW), ylim=(-WINDOW, WINDOW), aspect="equal")
    axes_list[0].set_ylabel(r"$\theta$")
    handles, labels = axes_list[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure


def _portrait(axes: Axes, mass: Mass, rho: float) -> None:
    """Streamlines of the field, psi across and theta up."""
    axis = np.linspace(-WINDOW, WINDOW, 41)
    psi, theta = np.meshgrid(axis, axis)
    field = dirac_field(np.stack([psi, theta], axis=-1), rho, mass)
    axes.streamplot(
        axis, axis, field[..., 0], field[..., 1], color=FAKE, linewidth=0.5, density=0.8,
        arrowsize=0.6,
    )  # fmt: skip


ENTRY = Calculation(_calculate, _claims, _draw)
