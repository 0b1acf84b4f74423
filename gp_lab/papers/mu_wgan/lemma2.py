"""mu_wgan, Lemma 2: the spectrum of a toy GAN at (0, +-1), from its field and from the updates."""

from collections.abc import Iterable
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, computed
from gp_lab.papers.mu_wgan._measures import COLOURS, MARKERS, MEASURES
from gp_lab.figures.registry import Arrays, Calculation, Row, Settings
from gp_lab.figures.style import new_panels
from gp_lab.theory.dynamics import (
    Measure,
    jacobian,
    second_moment,
    trajectory,
    uniform_eigenvalues,
    uniform_field,
)

EXACT = 1e-9
"""How far traces, determinants and eigenvalues may lie from the lemma's."""

LABELS = {**MEASURES, "origin": r"$C\,\delta_0$"}

TURNS = 40.0
"""For how long the drawn curves run."""


def _field(measure: Measure, rho: float, anchor: float, state: np.ndarray) -> np.ndarray:
    return uniform_field(state, rho, lambda theta: second_moment(measure, theta, anchor))


def _field_jacobian(measure: Measure, rho: float, anchor: float, theta: float) -> np.ndarray:
    return jacobian(partial(_field, measure, rho, anchor), [0.0, theta])


def _update_jacobian(measure: Measure, rho: float, anchor: float, theta: float) -> np.ndarray:
    """From the trainer's own loss and penalty; the quadrature is exact for squares."""
    import torch

    from gp_lab.objectives.losses import Wasserstein
    from gp_lab.objectives.penalties import Penalty
    from gp_lab.objectives.updates import ParametricGAN, flow_jacobian, two_point_product

    if measure == "origin":  # where grad D = 0 whatever psi: no penalty at all
        penalty = Penalty(measure="none")
    else:
        penalty = Penalty(measure=measure, weight=rho, half=True, anchor=(anchor,))
    nodes = two_point_product(pairs=3)
    gan = ParametricGAN(
        discriminator=lambda psi, x: psi[0] * x[:, 0] ** 2,
        generator=lambda theta, z: theta[0] * z,
        real=nodes[:, :1],
        latent=nodes[:, 1:2],
        u=(nodes[:, 2] + 1) / 2,
        loss=Wasserstein(),
        penalty=penalty,
    )
    at = torch.tensor([0.0, theta], dtype=torch.float64)
    return np.asarray(flow_jacobian(gan, at, p=1).numpy())


def _row(measure: Measure, rho: float, anchor: float, theta: float) -> Row:
    moment = float(second_moment(measure, theta, anchor))
    predicted = np.sort_complex(uniform_eigenvalues(rho, moment))
    row: Row = {
        "panel": f"{measure}, theta={theta:+g}",
        "measure": measure,
        "rho": rho,
        "theta": theta,
        "moment": moment,
        "trace": -4 * rho * moment,
        "determinant": 4 / 9,
    }
    for name, found in (
        ("field", _field_jacobian(measure, rho, anchor, theta)),
        ("update", _update_jacobian(measure, rho, anchor, theta)),
    ):
        spectrum = np.sort_complex(np.linalg.eigvals(found))
        row[f"{name}_trace_error"] = abs(float(np.trace(found)) - row["trace"])
        row[f"{name}_determinant_error"] = abs(float(np.linalg.det(found)) - row["determinant"])
        row[f"{name}_eigenvalue_error"] = float(np.abs(spectrum - predicted).max())
        row[f"{name}_largest_real"] = float(spectrum.real.max())
        row[f"{name}_smallest_real"] = float(spectrum.real.min())
        row[f"{name}_largest_imaginary"] = float(spectrum.imag.max())
    return row


def _calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    anchor, rhos = float(settings["anchor"]), [float(rho) for rho in settings["rhos"]]
    rows = [
        _row(measure, rho, anchor, theta)
        for measure in _measures()
        for rho in rhos
        for theta in (1.0, -1.0)
    ]
    many = np.geomspace(min(rhos) / 3, max(rhos) * 3, 300)
    arrays: Arrays = {"rhos": many, "times": np.linspace(0, TURNS, 800)}
    for measure in _measures():
        moment = float(second_moment(measure, 1.0, anchor))
        arrays[f"{measure}_eigenvalues"] = np.array([uniform_eigenvalues(r, moment) for r in many])
        arrays[f"{measure}_curve"] = trajectory(
            partial(_field, measure, 1.0, anchor), [0.3, 1.3], arrays["times"]
        )
    return rows, arrays


def _measures() -> Iterable[Measure]:
    return ("real", "fake", "between", "midpoint", "anchor", "origin")


def _claims(rows: list[Row]) -> list[Claim]:
    where = "mu_wgan, Lemma 2 and App. A"
    claims = []
    for name, what in (("field", "the field"), ("update", "the actual update")):
        worst = {
            quantity: max(row[f"{name}_{quantity}_error"] for row in rows)
            for quantity in ("trace", "determinant", "eigenvalue")
        }
        claims.append(
            Claim(
                f"trace and determinant of the Jacobian of {what} at (0, +-1) are -4 rho E and 4/9",
                computed(
                    max(worst["trace"], worst["determinant"]),
                    below=EXACT,
                    quantity="largest error over measures, rho and both equilibria",
                ),
                where,
            )
        )
        # At rho E = 1/3 the two eigenvalues meet, and a square root halves the digits there.
        claims.append(
            Claim(
                f"eigenvalues of {what} are -2 rho E +- sqrt(4 rho^2 E^2 - 4/9)",
                computed(
                    max(r[f"{name}_eigenvalue_error"] for r in rows if not _double(r)),
                    below=EXACT,
                    quantity="largest error over measures, rho and both equilibria, away from"
                    " rho E = 1/3",
                ),
                where,
            )
        )
    proper = [row for row in rows if row["measure"] != "origin"]
    claims.append(
        Claim(
            "locally stable for all five measures",
            computed(
                max(row["update_largest_real"] for row in proper),
                below=0.0,
                quantity="largest real part of an eigenvalue of the update",
            ),
            where,
        )
    )
    origin = [row for row in rows if row["measure"] == "origin"]
    claims.append(
        Claim(
            "not so if mu* = C delta_0: the eigenvalues are +-2i/3",
            computed(
                max(
                    abs(row["update_largest_real"]) + abs(row["update_largest_imaginary"] - 2 / 3)
                    for row in origin
                ),
                below=EXACT,
                quantity="distance of the update's eigenvalues from +-2i/3",
            ),
            where,
        )
    )
    return claims


def _double(row: Row) -> bool:
    return abs(row["rho"] * row["moment"] - 1 / 3) < 1e-6


def _draw(arrays: Arrays, rows: list[Row]) -> Figure:
    figure, grid = new_panels(1, 3, 2.9)
    plane, rate, curve = grid[0]
    for measure in _measures():
        eigenvalues, label = arrays[f"{measure}_eigenvalues"], LABELS[measure]
        style = {"color": COLOURS[measure], "lw": 1.2}
        rate.plot(arrays["rhos"], eigenvalues.real.max(axis=1), **style, label=label)
        state = arrays[f"{measure}_curve"]
        distance = np.hypot(state[:, 0], state[:, 1] - 1)
        curve.semilogy(arrays["times"], distance, **style)
        mine = [row for row in rows if row["measure"] == measure and row["theta"] > 0]
        points = {"marker": MARKERS[measure], "s": 14, "color": COLOURS[measure], "lw": 0.4}
        points |= {"edgecolors": "black", "zorder": 3}
        rate.scatter([r["rho"] for r in mine], [r["update_largest_real"] for r in mine], **points)
        for sign, end in ((1, "largest"), (-1, "smallest")):
            real = [row[f"update_{end}_real"] for row in mine]
            imaginary = [sign * row["update_largest_imaginary"] for row in mine]
            plane.scatter(real, imaginary, **points)
    turn = np.linspace(np.pi / 2, 3 * np.pi / 2, 100)
    locus = {"color": "0.6", "lw": 1, "zorder": 1}
    plane.plot(2 / 3 * np.cos(turn), 2 / 3 * np.sin(turn), **locus)  # |lambda|^2 is 4/9
    plane.plot([-9, 0], [0, 0], **locus)
    plane.axvline(0, color="0.8", lw=0.5, zorder=0)
    plane.set(
        xlim=(-2.2, 0.15), xlabel="real part", ylabel="imaginary part",
        title=r"eigenvalues at $(0, \pm 1)$",
    )  # fmt: skip
    rate.set(xscale="log", xlabel=r"$\rho$", title="largest real part")
    rate.axhline(0, color="0.6", lw=0.5)
    curve.set(xlabel="time", title=r"distance to (0, 1), $\rho$ = 1", ylim=(1e-8, 2))
    handles, labels = rate.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=6)
    return figure


ENTRY = Calculation(_calculate, _claims, _draw)
