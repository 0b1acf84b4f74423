"""lipschitz, sec. 3.2: Wasserstein distance without Lipschitz constraint has no directions."""

import numpy as np
from matplotlib.figure import Figure

from gp_lab.evaluation.points import cosines
from gp_lab.figures.claims import Claim, computed, greater, holds
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import FAKE, REAL, SURFACE, empty
from gp_lab.theory.lipschitz import gradient

NAMES = {"pairs": "Eq. 7 on pairs alone", "lipschitz": "Lipschitz constraint"}

UNDIRECTED = 0.5
"""Gradients are called undirected if their mean cosine with (1, 0) lies within this of 0."""

POINTING = 0.9
"""Gradients point along (1, 0) above this mean cosine."""

ROUNDING = 1e-6

AWAY = "counter_example"


def turned_away(z: np.ndarray) -> np.ndarray:
    """f(x, y) = x - 2 x (1 - x), `[n, 2]` -> `[n]`: 0 on fakes, 1 on reals, falling at the fakes.

    It is as optimal for Eq. 7 as any other f of `papers/lipschitz.txt`, Eq. 9.
    """
    x = z[:, 0]
    return np.asarray(x - 2 * x * (1 - x))


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs] + [_counter_example()]


def _row(run: Run) -> Row:
    stored = run.arrays("pairs")
    ahead = np.tile([1.0, 0.0], (len(stored["fake"]), 1))
    rise = stored["real_logit"][:, None] - stored["fake_logit"][None, :]
    distance = np.linalg.norm(stored["real"][:, None] - stored["fake"][None, :], axis=2)
    return {
        "panel": run.panel,
        "seed": run.seed,
        "state": run.state,
        "cosine": float(np.nanmean(cosines(stored["fake_gradient"], ahead))),
        "slope": float(np.linalg.norm(stored["fake_gradient"], axis=1).mean()),
        "w1_share": float(stored["real_logit"].mean() - stored["fake_logit"].mean()),
        "excess": float((rise - distance).max()),
    }


def _counter_example() -> Row:
    """An optimum of Eq. 7 on a grid of Z: what it reaches and where its gradient goes."""
    z = np.linspace(0, 1, 51)
    fake, real = (np.stack([np.full_like(z, x), z], axis=1) for x in (0.0, 1.0))
    rise = turned_away(real)[:, None] - turned_away(fake)[None, :]
    distance = np.linalg.norm(real[:, None] - fake[None, :], axis=2)
    ahead = np.tile([1.0, 0.0], (len(z), 1))
    return {
        "panel": AWAY,
        "seed": 0,
        "state": "computed",
        "cosine": float(cosines(gradient(turned_away, fake), ahead).mean()),
        "slope": float(np.linalg.norm(gradient(turned_away, fake), axis=1).mean()),
        "w1_share": float(turned_away(real).mean() - turned_away(fake).mean()),
        "excess": float((rise - distance).max()),
    }


def _claims(rows: list[Row]) -> list[Claim]:
    where = "lipschitz, sec. 3.2"
    (away,) = (row for row in rows if row["panel"] == AWAY)
    mean = "mean cosine of grad f at fakes with (1, 0)"
    # One number that is -1 only if the function is an optimum and its gradients point away.
    optimal = away["excess"] < ROUNDING and abs(away["w1_share"] - 1) < ROUNDING
    return [
        Claim(
            "Eq. 7 on pairs alone: trained gradients at fakes have no direction"
            f" (the interval holds 0, and is no wider than +-{UNDIRECTED})",
            holds(column(rows, "pairs", "cosine"), 0.0, UNDIRECTED, quantity=mean),
            where,
        ),
        Claim(
            f"with the Lipschitz constraint they point to the reals (cosine > {POINTING})",
            greater(column(rows, "lipschitz", "cosine"), POINTING, quantity=mean),
            where,
        ),
        Claim(
            "Eq. 7 has an optimum whose gradients at fakes point away from the reals",
            computed(
                away["cosine"] if optimal else float("nan"),
                below=0.0,
                quantity="cosine with (1, 0) of x - 2x(1 - x), which meets Eq. 7 and reaches W1",
            ),
            f"{where}, Eq. 9",
            at_any_scale=True,
        ),
    ]


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7.0, 2.7), layout="constrained")
    grid = figure.subplots(1, 3, sharey=True)
    filled = None
    levels = np.linspace(-0.5, 1.5, 17)
    names = NAMES | {AWAY: "an optimum of Eq. 7"}
    for axes, (panel, name) in zip(grid, names.items(), strict=True):
        if panel == AWAY:
            axis = np.linspace(-0.75, 1.75, 101)
            z = np.linspace(0.02, 0.98, 25)
            fake, real = (np.stack([np.full_like(z, x), z], axis=1) for x in (0.0, 1.0))
            plane = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
            values = turned_away(plane).reshape(len(axis), len(axis))
            slope = gradient(turned_away, fake)
        elif panels[panel]:
            at_grid, stored = (panels[panel][0].arrays(p) for p in ("surface", "pairs"))
            axis, values = at_grid["axis"], at_grid["logit"] - stored["fake_logit"].mean()
            real, fake, slope = stored["real"], stored["fake"], stored["fake_gradient"]
        else:
            empty(axes, name)
            continue
        filled = axes.contourf(axis, axis, values, levels=levels, cmap=SURFACE, extend="both")
        axes.scatter(*real[:60].T, s=6, c=REAL, edgecolors="black", linewidths=0.2, label="real")
        axes.scatter(
            *fake[:60].T, s=6, c=FAKE, marker="^", edgecolors="black", linewidths=0.2, label="fake"
        )
        size = np.linalg.norm(slope, axis=1, keepdims=True)
        unit = np.divide(slope, size, out=np.zeros_like(slope), where=size > 0)
        axes.quiver(*fake[:25].T, *unit[:25].T, color="black", width=0.006, scale=9, zorder=3)
        cosine = np.nanmean(column(rows, panel, "cosine"))
        axes.set_title(f"{name}\ncosine with (1, 0): {cosine:.2f}")
        axes.set_xlim(-0.6, 1.6)
        axes.set_ylim(-0.5, 1.5)
        axes.set_aspect("equal")
        handles, labels = axes.get_legend_handles_labels()
    if filled is not None:
        figure.colorbar(filled, ax=grid, shrink=0.8, label="f above its mean on fakes")
        handles += grid[0].plot([], [], color="black", marker=">", markersize=3, linewidth=0.8)
        figure.legend(
            handles, [*labels, "direction of grad f at a fake"], loc="outside upper center", ncols=3
        )
    return figure


ENTRY = Entry(_measure, _claims, _draw)
