"""mu_wgan, Lemma 2: the spectrum of a toy GAN at (0, +-1), from its field and from the updates."""

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, computed, stated
from gp_lab.figures.entry import Arrays, Calculation, Settings
from gp_lab.figures.plots import legend_above
from gp_lab.figures.style import new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.papers.mu_wgan._measures import COLOURS, MARKERS, MEASURES
from gp_lab.papers.mu_wgan._toys import toy
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

LABELS: dict[Measure, str] = {"real": MEASURES["real"], **MEASURES, "origin": r"$C\,\delta_0$"}
"""The five measures, and one where grad D = 0 whatever psi: no penalty at all."""

TURNS = 40.0
"""For how long the drawn curves run."""


def _field(measure: Measure, rho: float, anchor: float, state: np.ndarray) -> np.ndarray:
    return uniform_field(state, rho, lambda theta: second_moment(measure, theta, anchor))


def _update_jacobian(measure: Measure, rho: float, anchor: float, theta: float) -> np.ndarray:
    """From the trainer's own loss and penalty; the quadrature is exact for squares."""
    import torch

    from gp_lab.objectives.updates import flow_jacobian

    lemmas = toy("uniform", "none" if measure == "origin" else measure, rho, (anchor,))
    at = torch.tensor([0.0, theta], dtype=torch.float64)
    return np.asarray(flow_jacobian(lemmas.gan, at, lemmas.p).numpy())


def _row(measure: Measure, rho: float, anchor: float, theta: float) -> Row:
    moment = float(second_moment(measure, theta, anchor))
    predicted = np.sort_complex(uniform_eigenvalues(rho, moment))
    row: Row = {"measure": measure, "rho": rho, "theta": theta, "moment": moment}
    row |= {"trace": -4 * rho * moment, "determinant": 4 / 9}
    for name, found in (
        ("field", jacobian(partial(_field, measure, rho, anchor), [0.0, theta])),
        ("update", _update_jacobian(measure, rho, anchor, theta)),
    ):
        spectrum = np.sort_complex(np.linalg.eigvals(found))
        row |= {
            f"{name}_trace_error": abs(float(np.trace(found)) - row["trace"]),
            f"{name}_determinant_error": abs(float(np.linalg.det(found)) - row["determinant"]),
            f"{name}_eigenvalue_error": float(np.abs(spectrum - predicted).max()),
            f"{name}_largest_real": float(spectrum.real.max()),
            f"{name}_smallest_real": float(spectrum.real.min()),
            f"{name}_largest_imaginary": float(spectrum.imag.max()),
        }
    return row


def calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    anchor, rhos = float(settings["anchor"]), [float(rho) for rho in settings["rhos"]]
    many = np.geomspace(min(rhos) / 3, max(rhos) * 3, 300)
    rows, arrays = list[Row](), {"rhos": many, "times": np.linspace(0, TURNS, 800)}
    for measure in LABELS:
        rows += [_row(measure, rho, anchor, theta) for rho in rhos for theta in (1.0, -1.0)]
        moment = float(second_moment(measure, 1.0, anchor))
        arrays[f"{measure}_eigenvalues"] = np.array([uniform_eigenvalues(r, moment) for r in many])
        field = partial(_field, measure, 1.0, anchor)
        arrays[f"{measure}_curve"] = trajectory(field, [0.3, 1.3], arrays["times"])
    return rows, arrays


def claims(table: Table) -> list[Claim]:
    tests, of = {}, "largest error over measures, rho and both equilibria"
    # At rho E = 1/3 the two eigenvalues meet, and a square root halves the digits there.
    apart = np.abs(table.column("rho") * table.column("moment") - 1 / 3) >= 1e-6
    for name, what in (("field", "the field"), ("update", "the actual update")):
        trace, determinant, value = (
            table.column(f"{name}_{kind}_error") for kind in ("trace", "determinant", "eigenvalue")
        )
        text = f"trace and determinant of the Jacobian of {what} at (0, +-1) are -4 rho E and 4/9"
        error = max(trace.max(), determinant.max())
        tests[text] = computed(error, below=EXACT, quantity=of)
        text = f"eigenvalues of {what} are -2 rho E +- sqrt(4 rho^2 E^2 - 4/9)"
        away = f"{of}, away from rho E = 1/3"
        tests[text] = computed(value[apart].max(), below=EXACT, quantity=away)
    largest = table.column("update_largest_real", measure=MEASURES).max()
    of = "largest real part of an eigenvalue of the update"
    tests["locally stable for all five measures"] = computed(largest, below=0.0, quantity=of)
    real, imaginary = (
        table.column(f"update_largest_{part}", measure="origin") for part in ("real", "imaginary")
    )
    off = (np.abs(real) + np.abs(imaginary - 2 / 3)).max()
    of = "distance of the update's eigenvalues from +-2i/3"
    text = "not so if mu* = C delta_0: the eigenvalues are +-2i/3"
    return stated(
        "mu_wgan, Lemma 2 and App. A", tests | {text: computed(off, below=EXACT, quantity=of)}
    )


def draw(arrays: Arrays, table: Table) -> Figure:
    figure, ((plane, rate, curve),) = new_panels(1, 3, 2.9)
    for measure, label in LABELS.items():
        style = {"color": COLOURS[measure], "lw": 1.2}
        largest = arrays[f"{measure}_eigenvalues"].real.max(axis=1)
        rate.plot(arrays["rhos"], largest, **style, label=label)
        psi, theta = arrays[f"{measure}_curve"].T
        curve.semilogy(arrays["times"], np.hypot(psi, theta - 1), **style)
        points = {"marker": MARKERS[measure], "s": 14, "color": COLOURS[measure], "lw": 0.4}
        points |= {"edgecolors": "black", "zorder": 3}
        for row in table.at(measure=measure, theta="1.0").rows:
            rate.scatter(row["rho"], row["update_largest_real"], **points)
            real = [row["update_largest_real"], row["update_smallest_real"]]
            plane.scatter(real, row["update_largest_imaginary"] * np.array([1, -1]), **points)
    turn = np.linspace(np.pi / 2, 3 * np.pi / 2, 100)
    locus = {"color": "0.6", "lw": 1, "zorder": 1}
    plane.plot(2 / 3 * np.cos(turn), 2 / 3 * np.sin(turn), **locus)  # |lambda|^2 is 4/9
    plane.plot([-9, 0], [0, 0], **locus)
    plane.axvline(0, color="0.8", lw=0.5, zorder=0)
    plane.set(xlim=(-2.2, 0.15), xlabel="real part", ylabel="imaginary part")
    plane.set_title(r"eigenvalues at $(0, \pm 1)$")
    rate.set(xscale="log", xlabel=r"$\rho$", title="largest real part")
    rate.axhline(0, color="0.6", lw=0.5)
    curve.set(xlabel="time", title=r"distance to (0, 1), $\rho$ = 1", ylim=(1e-8, 2))
    legend_above(figure, [rate], "upper center")
    return figure


ENTRY = Calculation(calculate, claims, draw)
