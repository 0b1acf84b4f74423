"""lipschitz, sec. 3.2: Wasserstein distance without Lipschitz constraint has no directions."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from gp_lab.evaluation.points import cosines
from gp_lab.figures.claims import COSINE, Claim, computed, greater, inside, stated
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import colour_bar, legend_above
from gp_lab.figures.style import empty, new_figure
from gp_lab.figures.table import Row, Table
from gp_lab.papers.lipschitz._scene import draw_plane, draw_units
from gp_lab.theory.lipschitz import gradient
from gp_lab.theory.surfaces import plane

UNDIRECTED = 0.5
"""Gradients are called undirected if their mean cosine with (1, 0) lies within this of 0."""

POINTING = 0.9
"""Gradients point along (1, 0) above this mean cosine."""

ROUNDING = 1e-6

LEVELS = np.linspace(-0.5, 1.5, 17)


def turned_away(z: np.ndarray) -> np.ndarray:
    """f(x, y) = x - 2 x (1 - x), `[n, 2]` -> `[n]`: 0 on fakes, 1 on reals, falling at the fakes.

    It is as optimal for Eq. 7 as any other f of lipschitz, Eq. 9.
    """
    x = z[:, 0]
    return np.asarray(x - 2 * x * (1 - x))


def counter_example() -> dict[str, np.ndarray]:
    """What the probe `pairs` would store of `turned_away`, on a grid of Z."""
    z = np.linspace(0, 1, 51)
    fake, real = (np.stack([np.full_like(z, x), z], axis=1) for x in (0.0, 1.0))
    values = {"fake_logit": turned_away(fake), "real_logit": turned_away(real)}
    return {"fake": fake, "real": real, "fake_gradient": gradient(turned_away, fake), **values}


def directions(stored: Mapping[str, np.ndarray]) -> Row:
    """Where the gradients at fakes lead, how much of W1 f reaches, by how much it breaks Eq. 7."""
    ahead = np.tile([1.0, 0.0], (len(stored["fake"]), 1))
    rise = stored["real_logit"][:, None] - stored["fake_logit"][None, :]
    distance = np.linalg.norm(stored["real"][:, None] - stored["fake"][None, :], axis=2)
    return {
        "cosine": float(np.nanmean(cosines(stored["fake_gradient"], ahead))),
        "slope": float(np.linalg.norm(stored["fake_gradient"], axis=1).mean()),
        "w1_share": float(stored["real_logit"].mean() - stored["fake_logit"].mean()),
        "excess": float((rise - distance).max()),
    }


def measure(run: Run) -> Row:
    return directions(run.arrays("pairs"))


def exact() -> list[Row]:
    return [{"method": "counter_example", "state": "exact"} | directions(counter_example())]


def claims(table: Table) -> list[Claim]:
    away = table.one(method="counter_example")
    pairs, constrained = (table.values("cosine", method=m) for m in ("pairs", "lipschitz"))
    mean = "mean cosine of grad f at fakes with (1, 0)"
    # One number that is -1 only if the function is an optimum and its gradients point away.
    optimal = away["excess"] < ROUNDING and abs(away["w1_share"] - 1) < ROUNDING
    cosine = away["cosine"] if optimal else float("nan")
    of_cosine = "cosine with (1, 0) of x - 2x(1 - x), which meets Eq. 7 and reaches W1"
    return [
        *stated("lipschitz, sec. 3.2", {
            "Eq. 7 on pairs alone: trained gradients at fakes have no direction"
            f" (mean cosine within {UNDIRECTED} of 0)":
                inside(pairs, -UNDIRECTED, UNDIRECTED, quantity=mean, within=COSINE),
        }, about={"method": "pairs"}),
        *stated("lipschitz, sec. 3 and Lemma 3.3.2", {
            f"with the Lipschitz constraint they point to the reals (cosine > {POINTING})":
                greater(constrained, POINTING, quantity=mean, within=COSINE),
        }, about={"method": "lipschitz"}),
        *stated("lipschitz, sec. 3.2, Eq. 9", {
            "Eq. 7 has an optimum whose gradients at fakes point away from the reals":
                computed(cosine, below=0.0, quantity=of_cosine),
        }),
    ]  # fmt: skip


def draw(runs: Runs, table: Table) -> Figure:
    """f above its mean on fakes, and the directions of the gradients at some fakes."""
    methods = table.grid.titles("method")
    figure, (grid,) = new_figure(1, len(methods), 2.7)
    for axes, (method, title) in zip(grid, methods.items(), strict=True):
        if method == "counter_example":
            axis, stored = np.linspace(-0.75, 1.75, 101), counter_example()
            values = turned_away(plane(axis)).reshape(len(axis), len(axis))
        elif run := runs.first(method=method):
            at_grid, stored = run.arrays("surface"), run.arrays("pairs")
            axis, values = at_grid["axis"], at_grid["logit"] - stored["fake_logit"].mean()
        else:
            empty(axes, title)
            continue
        real, fake = stored["real"][:60], stored["fake"][:60]
        draw_plane(axes, axis, axis, values, real, fake, 6, levels=LEVELS, extend="both")
        some = slice(None, 60, 2)
        draw_units(axes, stored["fake"][some], stored["fake_gradient"][some], scale=9)
        axes.set(xlim=(-0.6, 1.6), ylim=(-0.5, 1.5))
        found = table.column("cosine", method=method)
        mean = (
            "not trained" if method == "counter_example" else f"of seeds: {np.nanmean(found):.2f}"
        )
        axes.set_title(f"{title}\nmean cosine with (1, 0): {found[0]:.2f}\n({mean})")
    colour_bar(grid, "f above its mean on fakes", shrink=0.8)
    legend_above(figure, grid, "upper center")
    return figure


ENTRY = Entry(measure, claims, draw, exact)
