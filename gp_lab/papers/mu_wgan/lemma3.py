"""mu_wgan, Lemma 3 and Fig. 3: where the curves of a GAN that violates Assumption 2 end."""

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, computed, stated
from gp_lab.figures.entry import Arrays, Calculation, Settings
from gp_lab.figures.style import FAKE, new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.papers.mu_wgan._measures import streams
from gp_lab.theory.dynamics import conserved, squared_dirac_field, squared_dirac_limit, trajectory

ARRIVED = 1e-6
"""How far the end of an integrated curve may lie from the exact limit."""

NULL = 1e-12
"""How large a derivative may be on its nullcline."""

KEPT = 1e-8
"""How much the conserved quantity may change along an integrated curve, relative to 1 + |H|."""


def calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    rho = float(settings["rho"])
    n_psi, n_theta = settings["starts"]
    (left, right), (low, high) = settings["psi"], settings["theta"]
    psis, thetas = np.linspace(left, right, n_psi), np.linspace(low, high, n_theta)
    grid = np.stack(np.meshgrid(psis, thetas), axis=-1).reshape(-1, 2)
    starts = grid[grid[:, 1] != 0]
    null = _on_nullclines(psis, thetas, rho)
    times = np.concatenate([[0.0], np.geomspace(1e-3, float(settings["horizon"]), 300)])
    curves = np.stack([trajectory(lambda y: squared_dirac_field(y, rho), s, times) for s in starts])
    rows: list[Row] = []
    for start, curve in zip(starts, curves, strict=True):
        exact, end = float(squared_dirac_limit(start, rho)), curve[-1]
        kept = conserved(curve, rho)
        # On the nullcline itself it is infinite, and says nothing.
        change = np.ptp(kept) / (1 + abs(kept[0])) if np.isfinite(kept).all() else np.nan
        rows.append(
            {
                "psi": float(start[0]),
                "theta": float(start[1]),
                "limit": exact,
                "end_psi": float(end[0]),
                "end_theta": float(end[1]),
                "end_error": float(np.hypot(end[0] - exact, end[1])),
                "on_nullclines": null,
                "conserved": float(kept[0]),
                "conserved_change": float(change),
            }
        )
    window = {"psi_window": np.array(settings["psi"]), "theta_window": np.array(settings["theta"])}
    return rows, {"rho": np.array(rho), "curves": curves, **window}


def _on_nullclines(psis: np.ndarray, thetas: np.ndarray, rho: float) -> float:
    """The largest derivative that should vanish: psi' on psi = -3/(4 rho) and theta = 0, theta' on
    psi = 0 and theta = 0."""

    def field(psi: float, theta: float) -> np.ndarray:
        return np.abs(squared_dirac_field(np.array([psi, theta]), rho))

    upright = [max(field(-3 / (4 * rho), theta)[0], field(0.0, theta)[1]) for theta in thetas]
    return float(max(*upright, *(field(psi, 0.0).max() for psi in psis)))


def claims(table: Table) -> list[Claim]:
    null, error = (table.column(q).max() for q in ("on_nullclines", "end_error"))
    farthest = max(table.column(q).max() for q in ("limit", "end_psi"))
    change = float(np.nanmax(table.column("conserved_change")))
    of_change = "largest change along a curve, relative to 1 + its size"
    of_null = (
        "largest of |psi'| on psi = -3/(4 rho) and theta = 0, |theta'| on psi = 0 and theta = 0"
    )
    of_end = "largest a, of the exact limits and of the integrated ends"
    return stated("mu_wgan, Lemma 3, App. B and Fig. 3", {
        "psi/c - log|1 + c psi|/c^2 + theta^2/4 is conserved, c = 4 rho/3":
            computed(change, below=KEPT, quantity=of_change),
        "the nullclines are theta = 0, psi = 0 and psi = -3/(4 rho), here -2":
            computed(null, below=NULL, quantity=of_null),
        "a curve ends at the (a, 0) that the conserved quantity gives":
            computed(error, below=ARRIVED, quantity="largest distance from the exact limit"),
        "no curve with theta0 != 0 ends at (b, 0) with b >= 0, so none at (0, 0)":
            computed(farthest, below=0.0, quantity=of_end),
    })  # fmt: skip


def draw(arrays: Arrays, table: Table) -> Figure:
    rho = float(arrays["rho"])
    (left, right), (low, high) = arrays["psi_window"], arrays["theta_window"]
    figure, ((axes,),) = new_panels(1, 1, 4.6)
    field = partial(squared_dirac_field, rho=rho)
    streams(axes, (left, right), (low, high), field, density=1.1, arrowsize=0.7)
    edge = -3 / (4 * rho)
    axes.plot([], [], color=FAKE, lw=0.8, label="flow")
    for i, curve in enumerate(arrays["curves"]):
        axes.plot(*curve.T, color="0.35", lw=0.6, label="integrated curves" if i == 0 else None)
    starts = {"s": 7, "color": "0.35", "zorder": 3, "label": "starts of these"}
    axes.scatter(*arrays["curves"][:, 0].T, **starts)
    limits = table.column("limit")
    axes.scatter(
        limits, np.zeros(len(limits)), s=11, color="#CC79A7", edgecolors="black", linewidths=0.3,
        zorder=4, label="exact limits (a, 0)",
    )  # fmt: skip
    axes.plot(0, 0, "X", color="white", mec="black", ms=8, zorder=5, label="(0, 0), never reached")
    over = {"lw": 1.6, "ls": "--", "zorder": 3}
    axes.axvline(edge, color="#D55E00", label=rf"nullcline $\psi$ = {edge:g}", **over)
    axes.axvline(0, color="#009E73", label=r"nullcline $\psi$ = 0", **over)
    axes.axhline(0, color="black", lw=1.2, label=r"nullcline $\theta$ = 0: equilibria")
    for name, x in (("A", (left + edge) / 2), ("B", edge / 2), ("C", right / 2)):
        axes.text(x, high, f"area {name}\n", weight="bold", ha="center", va="center")
    axes.set_ylabel(r"$\theta$")
    axes.set_title(
        rf"$\dot\psi = -\theta^2(1 + 4\rho\psi/3)$,  $\dot\theta = 2\psi\theta$,  $\rho$ = {rho:g}",
        pad=16,
    )
    figure.legend(loc="outside upper center", ncols=4)
    return figure


ENTRY = Calculation(calculate, claims, draw)
