"""lipschitz, Fig. 3: value surfaces under a Lipschitz constraint beside the exact optima."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, greater, paired_greater
from gp_lab.papers.lipschitz._against_optimum import Comparison, compare
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import FAKE, REAL, SURFACE, empty

NAMES = {"vanilla": "vanilla", "wasserstein": "Wasserstein"}

POINTING = 0.9
"""A gradient points to its coupled real above this mean cosine."""

CAPTION = (
    "k: the Lipschitz constant of f, its steepest slope between samples and on coupled segments\n"
    "cosine: between grad f at a fake and the way to its coupled real, mean over fakes and seeds"
)

WINDOW = ((-2.0, 2.0), (-1.5, 1.5))


def _compare(run: Run) -> Comparison:
    config = run.folder.config
    return compare(run.arrays("pairs"), config["loss"]["name"], float(config["penalty"]["weight"]))


def _measure(panels: Panels) -> list[Row]:
    rows = []
    for runs in panels.values():
        for run in runs:
            found = _compare(run)
            rows.append(
                {
                    "panel": run.panel,
                    "seed": run.seed,
                    "state": run.state,
                    "cosine": float(np.nanmean(found.coupled_cosines())),
                    "cosine_random": float(np.nanmean(found.random_cosines())),
                    "error": found.error(),
                    "k": found.slope(),
                    "k_exact": found.optimum.k,
                    "bound_residual": found.bound_residual(),
                }
            )
    return rows


def _claims(rows: list[Row]) -> list[Claim]:
    where = "lipschitz, Fig. 3 and sec. 3.3"
    claims = []
    for panel, name in NAMES.items():
        coupled, random = (column(rows, panel, q) for q in ("cosine", "cosine_random"))
        claims += [
            Claim(
                f"{name}: gradients at fakes point to their coupled reals (cosine > {POINTING})",
                greater(
                    coupled,
                    POINTING,
                    quantity="mean cosine of grad f at fakes with the way to the coupled real",
                ),
                where,
            ),
            Claim(
                f"{name}: more so than in random directions",
                paired_greater(
                    coupled, random, quantity="mean cosine, coupled minus random directions"
                ),
                where,
            ),
        ]
    return claims


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7.0, 4.6), layout="constrained")
    grid = figure.subplots(2, 2, sharex=True, sharey=True)
    for x, (panel, name) in enumerate(NAMES.items()):
        runs = panels[panel]
        if not runs:
            for axes in grid[:, x]:
                empty(axes, name)
            continue
        found, at_grid = _compare(runs[0]), runs[0].arrays("surface")
        axis, trained = at_grid["axis"], at_grid["logit"]
        plane = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        # All optima lie between these two, and agree on the coupled segments.
        exact = ((found.optimum(plane) + found.optimum.lowest(plane)) / 2).reshape(trained.shape)
        cosine = np.nanmean(column(rows, panel, "cosine"))
        titles = (
            f"{name}, trained: cosine {cosine:.2f}, k = {found.slope():.2f}",
            f"{name}, exact optimum: k = {found.optimum.k:.2f}",
        )
        inside = (axis >= WINDOW[1][0]) & (axis <= WINDOW[1][1])
        for y, (values, title) in enumerate(zip((trained, exact), titles, strict=True)):
            axes = grid[y, x]
            filled = axes.contourf(axis, axis[inside], values[inside], levels=14, cmap=SURFACE)
            axes.set_title(title)
            figure.colorbar(filled, ax=axes, shrink=0.8, label="f")
            _points(axes, found)
            axes.set_xlim(*WINDOW[0])
            axes.set_ylim(*WINDOW[1])
            axes.set_aspect("equal")
        _arrows(grid[0, x], found, found.stored["fake_gradient"])
        _segments(grid[1, x], found)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    if handles:
        handles += grid[0, 0].plot([], [], color="white", linewidth=1)
        handles += grid[0, 0].plot([], [], color="black", marker=">", markersize=3, linewidth=0.8)
        legend = figure.legend(
            handles,
            [*labels, "coupled segment", "direction of grad f at a fake"],
            loc="outside upper center",
            ncols=4,
        )
        legend.get_frame().set_facecolor("0.7")
    figure.supxlabel(CAPTION, fontsize=7)
    return figure


_SHOWN = 40


def _points(axes: Axes, found: Comparison) -> None:
    for x, colour, marker, label in (
        (found.stored["real"], REAL, "o", "real"),
        (found.stored["fake"], FAKE, "^", "fake"),
    ):
        axes.scatter(
            x[: 2 * _SHOWN, 0], x[: 2 * _SHOWN, 1], s=7, c=colour, marker=marker,
            edgecolors="black", linewidths=0.2, label=label, zorder=2,
        )  # fmt: skip


def _arrows(axes: Axes, found: Comparison, gradient: np.ndarray) -> None:
    x, g = found.stored["fake"][:_SHOWN], gradient[:_SHOWN]
    size = np.linalg.norm(g, axis=1, keepdims=True)
    g = np.divide(g, size, out=np.zeros_like(g), where=size > 0)
    axes.quiver(*x.T, *g.T, color="black", width=0.003, scale=14, zorder=3)


def _segments(axes: Axes, found: Comparison) -> None:
    partner = found.optimum.partner()[:_SHOWN]
    for j, i in enumerate(partner):
        if i >= 0:
            ends = np.stack([found.stored["fake"][j], found.stored["real"][i]])
            axes.plot(*ends.T, color="white", linewidth=0.5, zorder=1)


ENTRY = Entry(_measure, _claims, _draw)
