"""mu_wgan, Theorem 1: spectra of the actual update, speed against weight, WGAN-GP's oscillation."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from math import nan

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, computed, stated
from gp_lab.figures.entry import Arrays, Calculation, Settings
from gp_lab.figures.plots import legend_above
from gp_lab.figures.style import new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.papers.mu_wgan._measures import COLOURS, MARKERS, MEASURES
from gp_lab.papers.mu_wgan._toys import dirac_curves, toy
from gp_lab.theory.dynamics import Measure, projected, second_moment

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


def calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    rows = [
        _spectrum(loss, gan, measure, settings)
        for loss in LOSSES
        for gan in GANS
        for measure in ("none", *MEASURES)
    ]
    rows += [
        _rate(measure, float(weight), float(settings["anchor"][0]))
        for measure in MEASURES
        for weight in settings["weights"]
    ]
    arrays: Arrays = {"times": settings["lr"] * np.arange(settings["steps"] + 1)}
    drawn = {"squared": [settings["weight"]], "two_sided": settings["gp_weights"]}
    for shape, of_shape in drawn.items():
        weights = [float(weight) for weight in of_shape]
        arrays[shape] = dirac_curves(shape, weights, float(settings["lr"]), settings["steps"])
        of = {"case": "curve", "loss": "wasserstein", "gan": "dirac", "measure": "between"}
        rows += [
            {**of, "shape": shape, "weight": weight, **ending(curve[:, 1])}
            for weight, curve in zip(weights, arrays[shape], strict=True)
        ]
    return rows, arrays


def _spectrum(loss: str, gan: str, measure: str, settings: Settings) -> Row:
    """Of the update at the equilibrium, whole and projected off the equilibria."""
    from gp_lab.objectives.updates import alternating_step, flow_jacobian, update_jacobian

    weight, lr = float(settings["weight"]), float(settings["lr"])
    at = toy(gan, measure, weight, settings["anchor"], loss)
    full = flow_jacobian(at.gan, at.equilibrium, at.p).numpy()
    spectrum = np.linalg.eigvals(full)
    moving = spectrum[np.abs(spectrum) > ZERO]
    row: Row = {"case": "spectrum", "loss": loss, "gan": gan, "measure": measure, "weight": weight}
    row |= {
        "parameters": len(full),
        "zero_eigenvalues": len(full) - len(moving),
        "moving_real": float(moving.real.max()),
    }
    if measure == "none":
        return row
    kept = projected(full, at.p)
    values = np.linalg.eigvals(kept)
    alternating = update_jacobian(at.gan, at.equilibrium, at.p, lr, alternating_step).numpy()
    moduli = np.linalg.eigvals(alternating)
    moduli = moduli[np.argsort(np.abs(moduli - 1))][len(full) - len(kept) :]
    return row | {
        "removed": len(full) - len(kept),
        "largest_real": float(values.real.max()),
        "alternating_radius": float(np.abs(moduli).max()),
        "spectrum": " ".join(f"{z.real:.6g}{z.imag:+.6g}j" for z in np.sort_complex(values)),
    }


def _rate(measure: Measure, weight: float, anchor: float) -> Row:
    """How fast Lemma 2's GAN comes to its equilibrium: the least |real part| of an eigenvalue."""
    from gp_lab.objectives.updates import flow_jacobian

    at = toy("uniform", measure, weight, (anchor,))
    kept = projected(flow_jacobian(at.gan, at.equilibrium, at.p).numpy(), at.p)
    moment = float(second_moment(measure, 1.0, anchor))
    rate = float(-np.linalg.eigvals(kept).real.max())
    row: Row = {"case": "rate", "loss": "wasserstein", "gan": "uniform", "measure": measure}
    row |= {"weight": weight, "moment": moment, "rate": rate}
    return row | {"rate_underdamped": 2 * weight * moment}


def ending(theta: np.ndarray) -> dict[str, float]:
    """The last half of a curve: how far it stays from 0, how far it swings to both sides of it."""
    last = theta[-len(theta) // 2 :]
    return {
        "last_distance": float(np.abs(last).max()),
        "last_swing": float(max(0.0, min(last.max(), -last.min()))),
    }


def least_growth(rates: Sequence[Row]) -> float:
    """The least ratio of a measure's rates at two successive weights, over the measures."""
    ratios = []
    for measure in MEASURES:
        mine = sorted((r["weight"], r["rate"]) for r in rates if r["measure"] == measure)
        ratios += [b / a for (_, a), (_, b) in pairwise(mine)]
    return min(ratios, default=nan)


def claims(table: Table) -> list[Claim]:
    found = []
    for loss, label in LOSSES.items():
        of = partial(table.column, case="spectrum", loss=loss, measure=MEASURES)
        differ = int(np.abs(of("removed") - of("zero_eigenvalues")).max())
        where = "mu_wgan, Theorem 1 and App. C" if loss == "wasserstein" else "mu_wgan, sec. 4.2"
        of_real = "largest real part of the projected Jacobian of the update"
        of_differ = "largest difference between dimensions removed and zero eigenvalues"
        of_inside = "1 minus the largest modulus of its eigenvalues off the equilibria"
        found += stated(where, {
            f"{label}: locally stable off the equilibria, five measures and {len(GANS)} GANs":
                computed(of("largest_real").max(), below=0.0, quantity=of_real),
            f"{label}: what the projection takes away are zero eigenvalues and no others":
                computed(differ, below=0.5, quantity=of_differ),
        })  # fmt: skip
        found += stated(f"{where} (ours: the paper's is the flow)", {
            f"{label}: the alternating update of the trainer contracts as well":
                computed(1 - of("alternating_radius").max(), above=0.0, quantity=of_inside),
        })  # fmt: skip
    bare = table.column("moving_real", case="spectrum", loss="wasserstein", measure="none")
    text = "without a penalty WGAN is not asymptotically stable: no real part is negative"
    of_bare = "largest |real part| of the update's Jacobian"
    test = computed(np.abs(bare).max(), below=EXACT, quantity=of_bare)
    return [*found, Claim(text, test, "mu_wgan, sec. 3"), *_of_rates(table), *_of_curves(table)]


def _of_rates(table: Table) -> list[Claim]:
    rates = table.at(case="rate").rows
    slow = [row for row in rates if row["weight"] <= UNDERDAMPED]
    error = max(abs(row["rate"] - row["rate_underdamped"]) for row in slow)
    of_growth = "least ratio of the rates at two successive weights"
    of_error = "largest |rate - 2 rho E_mu* x^2|, from Lemma 2's spectrum"
    return [
        *stated("mu_wgan, sec. 1 (the weight \"might affect the speed\")", {
            f"the rate grows with the weight, up to {UNDERDAMPED:g}":
                computed(least_growth(slow), above=1.0, quantity=of_growth),
            "the rate grows with the weight, at all weights":
                computed(least_growth(rates), above=1.0, quantity=of_growth),
        }),
        *stated("mu_wgan, sec. 1 and Lemma 2", {
            f"the weight on the limit measure sets the speed: rate 2 rho E, up to {UNDERDAMPED:g}":
                computed(error, below=EXACT, quantity=of_error),
        }),
    ]  # fmt: skip


def _of_curves(table: Table) -> list[Claim]:
    of_gan = "Dirac-GAN from theta = 1"
    of_swing = "the smaller of its swings to both sides in the last half of the steps"
    of_end = "largest |theta| in the last half of the steps"
    away = table.column("last_distance", case="curve", shape="two_sided").min()
    simple = table.one(case="curve", shape="squared")["last_distance"]
    swings = stated("mu_wgan, sec. 2.2 (\"not necessarily stable\"; that it oscillates is ours)", {
        f"WGAN-GP, lambda {row['weight']:g}: the dynamics keep oscillating about the equilibrium":
            computed(row["last_swing"], above=OSCILLATES, quantity=f"{of_swing}, {of_gan}")
        for row in table.at(case="curve", shape="two_sided").rows
    })  # fmt: skip
    return swings + stated("mu_wgan, sec. 2.2", {
        "WGAN-GP does not come to rest at the equilibrium, whatever lambda":
            computed(away, above=OSCILLATES, quantity=f"{of_end}, least over lambda"),
        "with the simple penalty the dynamics come to rest there":
            computed(simple, below=OSCILLATES, quantity=f"{of_end}, {of_gan}"),
    })  # fmt: skip


def draw(arrays: Arrays, table: Table) -> Figure:
    figure, ((*spectra,), (rate, curve)) = new_panels(2, 2, 5.4)
    for measure, label in MEASURES.items():
        look = {"color": COLOURS[measure], "marker": MARKERS[measure]}
        for axes, loss in zip(spectra, LOSSES, strict=True):
            rows = table.at(case="spectrum", loss=loss, measure=measure).rows
            values = np.array([complex(z) for row in rows for z in row["spectrum"].split()])
            edge = {"edgecolors": "black", "linewidths": 0.3}
            axes.scatter(values.real, values.imag, s=14, zorder=3, **look, **edge)
        rows = table.at(case="rate", measure=measure).rows
        weights, rates = np.array(sorted((row["weight"], row["rate"]) for row in rows)).T
        rate.plot(weights, rates, ms=4, lw=1, mec="black", mew=0.3, label=label, **look)
    for axes, label in zip(spectra, LOSSES.values(), strict=True):
        axes.axvline(0, color="black", lw=0.8)
        axes.axhline(0, color="0.8", lw=0.5, zorder=0)
        axes.set_xscale("symlog", linthresh=0.01)
        title = f"{label}: projected spectra, {len(GANS)} GANs"
        axes.set(xlim=(None, 0.005), xlabel="real part", ylabel="imaginary part", title=title)
    rate.set(xscale="log", yscale="log", xlabel=r"$\rho$", ylabel="rate of convergence")
    rate.set_title("Lemma 2's GAN: speed against weight")
    legend_above(figure, [rate], "upper center")
    _draw_curves(curve, arrays, table)
    return figure


def _draw_curves(axes: Axes, arrays: Arrays, table: Table) -> None:
    times, rows = arrays["times"], table.at(case="curve", shape="two_sided").rows
    for row, found, style in zip(rows, arrays["two_sided"], ("-", "--", ":"), strict=False):
        label = rf"WGAN-GP, $\lambda$ = {row['weight']:g}"
        axes.plot(times, found[:, 1], color="#D55E00", ls=style, lw=0.9, label=label)
    theta = arrays["squared"][0, :, 1]
    axes.plot(times, theta, color=COLOURS["between"], lw=1.2, label=r"simple penalty, $\rho$ = 1")
    axes.axhline(0, color="0.8", lw=0.5, zorder=0)
    axes.set(xlabel="time (steps x rate)", ylabel=r"$\theta$", title="Dirac-GAN from (0, 1)")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(-300, 6)
    axes.legend(loc="lower center", ncols=2)


ENTRY = Calculation(calculate, claims, draw)
