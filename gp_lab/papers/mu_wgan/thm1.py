"""mu_wgan, Theorem 1: spectra of the actual update, speed against weight, WGAN-GP's oscillation."""

from dataclasses import replace
from itertools import pairwise
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, computed
from gp_lab.papers.mu_wgan._measures import COLOURS, MARKERS, MEASURES
from gp_lab.figures.registry import Arrays, Calculation, Row, Settings
from gp_lab.figures.style import new_panels
from gp_lab.theory.dynamics import projected, second_moment

if TYPE_CHECKING:
    from gp_lab.objectives.penalties import Penalty
    from gp_lab.objectives.toys import Toy

GANS = ("dirac", "redundant", "uniform", "quadratic", "network")
LOSSES = {"wasserstein": "Wasserstein", "vanilla": "concave f"}

ZERO = 1e-6
"""Eigenvalues below this count as zero; those that are not are of the order of the weight."""

EXACT = 1e-9
"""How far a computed rate may lie from its formula."""

UNDERDAMPED = 0.2
"""Weights up to here leave all of Lemma 2's eigenvalues complex: rho E < 1/3 for each measure."""

OSCILLATES = 0.1
"""From theta = 1, a curve keeps oscillating if it still swings further to both sides of 0."""


def _calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    rows = [
        _spectrum_row(loss, name, measure, settings)
        for loss in LOSSES
        for name in GANS
        for measure in ("none", *MEASURES)
    ]
    rows += [
        _rate_row(measure, float(weight), settings)
        for measure in MEASURES
        for weight in settings["weights"]
    ]
    arrays: Arrays = {"times": settings["lr"] * np.arange(settings["steps"] + 1)}
    weights = [float(weight) for weight in settings["gp_weights"]]
    for shape, its_weights in (("squared", [float(settings["weight"])]), ("two_sided", weights)):
        arrays[shape] = _curves(shape, its_weights, settings)
        rows += [
            {
                "panel": f"curve, {shape}",
                "loss": "wasserstein",
                "gan": "dirac",
                "measure": "between",
                "weight": weight,
                **_ending(curve[:, 1]),
            }
            for weight, curve in zip(its_weights, arrays[shape], strict=True)
        ]
    return rows, arrays


def _toy(loss: str, name: str, penalty: "Penalty") -> "Toy":
    from gp_lab.objectives import losses, toys

    of_name = {"wasserstein": losses.Wasserstein(), "vanilla": losses.Vanilla()}
    toy: Toy = getattr(toys, name)(of_name[loss], penalty)
    return toy


def _penalty(name: str, measure: str, weight: float, anchor: Any) -> "Penalty":
    from gp_lab.objectives.penalties import Penalty

    dimensions = 2 if name in ("quadratic", "network") else 1
    at = tuple(float(a) for a in anchor[:dimensions])
    return Penalty(measure=measure, weight=weight, half=True, anchor=at)  # type: ignore[arg-type]


def _spectrum_row(loss: str, name: str, measure: str, settings: Settings) -> Row:
    from gp_lab.objectives.updates import alternating_step, flow_jacobian, update_jacobian

    weight, lr = float(settings["weight"]), float(settings["lr"])
    toy = _toy(loss, name, _penalty(name, measure, weight, settings["anchor"]))
    full = flow_jacobian(toy.gan, toy.equilibrium, toy.p).numpy()
    alternating = update_jacobian(toy.gan, toy.equilibrium, toy.p, lr, alternating_step).numpy()
    spectrum = np.linalg.eigvals(full)
    moving = spectrum[np.abs(spectrum) > ZERO]
    row: Row = {
        "panel": f"{name}, {loss}, {measure}",
        "loss": loss,
        "gan": name,
        "measure": measure,
        "weight": weight,
        "parameters": len(full),
        "zero_eigenvalues": len(full) - len(moving),
        "moving_real": float(moving.real.max()),
    }
    if measure == "none":
        return row
    kept = projected(full, toy.p)
    values = np.linalg.eigvals(kept)
    moduli = np.linalg.eigvals(alternating)
    moduli = moduli[np.argsort(np.abs(moduli - 1))][len(full) - len(kept) :]
    return row | {
        "removed": len(full) - len(kept),
        "largest_real": float(values.real.max()),
        "alternating_radius": float(np.abs(moduli).max()),
        "spectrum": " ".join(f"{z.real:.6g}{z.imag:+.6g}j" for z in np.sort_complex(values)),
    }


def _rate_row(measure: str, weight: float, settings: Settings) -> Row:
    """How fast Lemma 2's GAN comes to its equilibrium: the least |real part| of an eigenvalue."""
    from gp_lab.objectives.updates import flow_jacobian

    toy = _toy("wasserstein", "uniform", _penalty("uniform", measure, weight, settings["anchor"]))
    kept = projected(flow_jacobian(toy.gan, toy.equilibrium, toy.p).numpy(), toy.p)
    moment = float(second_moment(measure, 1.0, float(settings["anchor"][0])))  # type: ignore[arg-type]
    return {
        "panel": f"rate, {measure}",
        "loss": "wasserstein",
        "gan": "uniform",
        "measure": measure,
        "weight": weight,
        "moment": moment,
        "rate": float(-np.linalg.eigvals(kept).real.max()),
        "rate_underdamped": 2 * weight * moment,
    }


def _curves(shape: str, weights: list[float], settings: Settings) -> np.ndarray:
    """(psi, theta) `[weights, steps + 1, 2]` of the Dirac-GAN from (0, 1), simultaneous updates."""
    import torch

    from gp_lab.objectives.penalties import Penalty
    from gp_lab.objectives.updates import simultaneous_step

    if shape == "squared":
        penalty = Penalty(measure="between", half=True)
    else:
        penalty = Penalty(measure="between", shape="two_sided", center=1.0)

    def step(state: "torch.Tensor", weight: "torch.Tensor") -> "torch.Tensor":
        weighted = replace(penalty, weight=weight)  # type: ignore[arg-type]
        toy = _toy("wasserstein", "dirac", weighted)
        return simultaneous_step(toy.gan, state, toy.p, float(settings["lr"]))

    rho = torch.tensor(weights, dtype=torch.float64)
    state = torch.tensor([[0.0, 1.0]] * len(weights), dtype=torch.float64)
    found = [state]
    for _ in range(settings["steps"]):
        state = torch.func.vmap(step)(state, rho)
        found.append(state)
    return np.asarray(torch.stack(found, dim=1).numpy())


def _ending(theta: np.ndarray) -> dict[str, float]:
    """The last half of a curve: how far it stays from 0, how far it swings to both sides of it."""
    last = theta[-len(theta) // 2 :]
    return {
        "last_distance": float(np.abs(last).max()),
        "last_swing": float(max(0.0, min(last.max(), -last.min()))),
    }


def _claims(rows: list[Row]) -> list[Claim]:
    where = "mu_wgan, Theorem 1 and App. C"
    claims = []
    for loss, label in LOSSES.items():
        mine = [row for row in rows if row["loss"] == loss and "largest_real" in row]
        place = where if loss == "wasserstein" else "mu_wgan, sec. 4.2"
        claims.append(
            Claim(
                f"{label}: locally stable off the equilibria, five measures and {len(GANS)} GANs",
                computed(
                    max(row["largest_real"] for row in mine),
                    below=0.0,
                    quantity="largest real part of the projected Jacobian of the update",
                ),
                place,
            )
        )
        claims.append(
            Claim(
                f"{label}: what the projection takes away are zero eigenvalues and no others",
                computed(
                    max(abs(row["removed"] - row["zero_eigenvalues"]) for row in mine),
                    below=0.5,
                    quantity="largest difference between dimensions removed and zero eigenvalues",
                ),
                place,
            )
        )
        claims.append(
            Claim(
                f"{label}: the alternating update of the trainer contracts as well",
                computed(
                    1 - max(row["alternating_radius"] for row in mine),
                    above=0.0,
                    quantity="1 minus the largest modulus of its eigenvalues off the equilibria",
                ),
                place,
            )
        )
    bare = [r for r in rows if r["measure"] == "none" and r["loss"] == "wasserstein"]
    claims.append(
        Claim(
            "without a penalty WGAN is not asymptotically stable: no real part is negative",
            computed(
                max(abs(row["moving_real"]) for row in bare),
                below=EXACT,
                quantity="largest |real part| of the update's Jacobian",
            ),
            "mu_wgan, sec. 3",
        )
    )
    rates = [row for row in rows if "rate" in row]
    slow = [row for row in rates if row["weight"] <= UNDERDAMPED]
    claims += [
        Claim(
            f"the rate grows with the weight, up to {UNDERDAMPED:g}",
            computed(
                _least_growth(slow),
                above=1.0,
                quantity="least ratio of the rates at two successive weights",
            ),
            "mu_wgan, sec. 1 and 4.2",
        ),
        Claim(
            "the rate grows with the weight, at all weights",
            computed(
                _least_growth(rates),
                above=1.0,
                quantity="least ratio of the rates at two successive weights",
            ),
            "mu_wgan, sec. 1 and 4.2",
        ),
        Claim(
            f"the weight on the limit measure sets the speed: rate 2 rho E, up to {UNDERDAMPED:g}",
            computed(
                max(abs(row["rate"] - row["rate_underdamped"]) for row in slow),
                below=EXACT,
                quantity="largest |rate - 2 rho E_mu* x^2|, from Lemma 2's spectrum",
            ),
            "mu_wgan, sec. 1 and Lemma 2",
        ),
    ]
    for row in (r for r in rows if r["panel"] == "curve, two_sided"):
        claims.append(
            Claim(
                f"WGAN-GP, lambda {row['weight']:g}: the dynamics keep oscillating about the"
                " equilibrium",
                computed(
                    row["last_swing"],
                    above=OSCILLATES,
                    quantity="the smaller of its swings to both sides in the last half of the"
                    " steps, Dirac-GAN from theta = 1",
                ),
                "mu_wgan, sec. 2.2",
            )
        )
    away = min(r["last_distance"] for r in rows if r["panel"] == "curve, two_sided")
    (simple,) = (r["last_distance"] for r in rows if r["panel"] == "curve, squared")
    claims += [
        Claim(
            "WGAN-GP does not come to rest at the equilibrium, whatever lambda",
            computed(
                away,
                above=OSCILLATES,
                quantity="largest |theta| in the last half of the steps, least over lambda",
            ),
            "mu_wgan, sec. 2.2",
        ),
        Claim(
            "with the simple penalty the dynamics come to rest there",
            computed(
                simple,
                below=OSCILLATES,
                quantity="largest |theta| in the last half of the steps, Dirac-GAN from theta = 1",
            ),
            "mu_wgan, sec. 2.2",
        ),
    ]
    return claims


def _least_growth(rates: list[Row]) -> float:
    """The least ratio of a measure's rates at two successive weights, over the measures."""
    ratios = []
    for measure in MEASURES:
        mine = sorted((r["weight"], r["rate"]) for r in rates if r["measure"] == measure)
        ratios += [b / a for (_, a), (_, b) in pairwise(mine)]
    return min(ratios, default=nan)


def _draw(arrays: Arrays, rows: list[Row]) -> Figure:
    figure, grid = new_panels(2, 2, 5.4)
    for axes, (loss, label) in zip(grid[0], LOSSES.items(), strict=True):
        for measure in MEASURES:
            found = [r for r in rows if r["loss"] == loss and r["measure"] == measure]
            texts = " ".join(r["spectrum"] for r in found if "spectrum" in r).split()
            values = np.array([complex(text) for text in texts])
            axes.scatter(
                values.real, values.imag, s=14, color=COLOURS[measure], marker=MARKERS[measure],
                edgecolors="black", linewidths=0.3, zorder=3,
            )  # fmt: skip
        axes.axvline(0, color="black", lw=0.8)
        axes.axhline(0, color="0.8", lw=0.5, zorder=0)
        axes.set_xscale("symlog", linthresh=0.01)
        axes.set_xlim(right=0.005)
        axes.set(xlabel="real part", ylabel="imaginary part")
        axes.set_title(f"{label}: projected spectra, {len(GANS)} GANs")
    rate, curve = grid[1]
    for measure, label in MEASURES.items():
        mine = sorted(
            (r["weight"], r["rate"]) for r in rows if "rate" in r and r["measure"] == measure
        )
        rate.plot(
            *np.array(mine).T, color=COLOURS[measure], marker=MARKERS[measure], ms=4, lw=1,
            mec="black", mew=0.3, label=label,
        )  # fmt: skip
    rate.set(xscale="log", yscale="log", xlabel=r"$\rho$", ylabel="rate of convergence")
    rate.set_title("Lemma 2's GAN: speed against weight")
    times = arrays["times"]
    runs = [row for row in rows if row["panel"] == "curve, two_sided"]
    for row, found, style in zip(runs, arrays["two_sided"], ("-", "--", ":"), strict=False):
        label = rf"WGAN-GP, $\lambda$ = {row['weight']:g}"
        curve.plot(times, found[:, 1], color="#D55E00", ls=style, lw=0.9, label=label)
    theta = arrays["squared"][0, :, 1]
    curve.plot(times, theta, color=COLOURS["between"], lw=1.2, label=r"simple penalty, $\rho$ = 1")
    curve.axhline(0, color="0.8", lw=0.5, zorder=0)
    curve.set(xlabel="time (steps x rate)", ylabel=r"$\theta$", title="Dirac-GAN from (0, 1)")
    curve.set_yscale("symlog", linthresh=1)
    curve.set_ylim(-300, 6)
    curve.legend(loc="lower center", ncols=2)
    handles, labels = rate.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=5)
    return figure


ENTRY = Calculation(_calculate, _claims, _draw)
