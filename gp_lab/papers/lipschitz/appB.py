# ruff: noqa: N999
"""lipschitz, App. B: l1-Lipschitz does not give directions; the Euclidean norm does."""

import numpy as np
from matplotlib.figure import Figure

from gp_lab.evaluation.points import cosines
from gp_lab.figures.claims import Claim, computed
from gp_lab.figures.registry import Arrays, Calculation, Row, Settings
from gp_lab.figures.style import FAKE, REAL, SURFACE, new_figure
from gp_lab.theory.lipschitz import gradient, largest_slope, optimal_lipschitz

ROUNDING = 1e-6
"""Numbers that are equal on paper are equal within this."""


def g(z: np.ndarray) -> np.ndarray:
    """The paper's counter-example, g(x, y) = x + y: `[n, 2]` -> `[n]`."""
    return z.sum(axis=1)


def _calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    a, b = np.array([settings["a"]], dtype=float), np.array([settings["b"]], dtype=float)
    optimum = optimal_lipschitz(b, a, "wasserstein", weight=settings["weight"])
    axis = np.linspace(-1.5, 3.5, settings["side"])
    plane = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    middle = (a + b) / 2
    slope_g, slope_f = gradient(g, a), gradient(optimum, middle)
    row: Row = {
        "panel": "counter_example",
        "l1_slope": largest_slope(plane, g(plane), "cityblock"),
        "rise": float(g(b)[0] - g(a)[0]),
        "l1_distance": float(np.abs(b - a).sum()),
        "cosine": float(cosines(slope_g, b - a)[0]),
        "dual_norm": float(np.abs(slope_g).max()),
        "euclidean_cosine": float(cosines(slope_f, b - a)[0]),
        "euclidean_slope": float(np.linalg.norm(slope_f)) / optimum.k,
    }
    shape = (len(axis), len(axis))
    return [row], {
        "axis": axis,
        "points": np.concatenate([a, b]),
        "l1": g(plane).reshape(shape),
        "l2": ((optimum(plane) - optimum.at_fake[0]) / optimum.k).reshape(shape),
        "gradients": np.concatenate([slope_g, slope_f / optimum.k]),
    }


def _claims(rows: list[Row]) -> list[Claim]:
    (row,) = rows
    where = "lipschitz, App. B"
    printed = -row["rise"] - row["l1_distance"]
    return [
        Claim(
            "g(x, y) = x + y is 1-Lipschitz in the l1 norm",
            computed(
                row["l1_slope"],
                below=1 + ROUNDING,
                quantity="largest |g(p) - g(q)| / |p - q|_1 on a grid",
            ),
            where,
        ),
        Claim(
            "|g(A) - g(B)| = |A - B|_1: the bound is reached",
            computed(
                abs(row["rise"]) - row["l1_distance"],
                -ROUNDING,
                ROUNDING,
                quantity="|g(A) - g(B)| - |A - B|_1",
            ),
            where,
        ),
        Claim(
            "g(A) - g(B) = |A - B|_1, with the sign that is printed",
            computed(printed, -ROUNDING, ROUNDING, quantity="g(A) - g(B) - |A - B|_1"),
            where,
        ),
        Claim(
            "yet grad g(A) = (1, 1) does not point towards B",
            computed(
                row["cosine"],
                below=1 - ROUNDING,
                quantity="cosine of grad g(A) with B - A; 3/sqrt(10) = .949 on paper",
            ),
            where,
        ),
        Claim(
            "that cosine is 3/sqrt(10)",
            computed(
                row["cosine"] - 3 / np.sqrt(10),
                -ROUNDING,
                ROUNDING,
                quantity="cosine of grad g(A) with B - A, minus 3/sqrt(10)",
            ),
            where,
        ),
        Claim(
            "in the Euclidean norm the gradient between coupled points does point towards B",
            computed(
                row["euclidean_cosine"],
                above=1 - ROUNDING,
                quantity="cosine of grad f* with B - A, half-way",
            ),
            "lipschitz, Lemma 3.3.2",
        ),
    ]


def _draw(arrays: Arrays, rows: list[Row]) -> Figure:
    figure, grid = new_figure(1, 2, 3.0)
    (row,), (a, b), axis = rows, arrays["points"], arrays["axis"]
    radius = np.abs(b - a).sum()
    starts = (a, (a + b) / 2)
    names = (
        f"l1: g = x + y, cosine {row['cosine']:.3f}",
        f"Euclidean: optimal f, cosine {row['euclidean_cosine']:.3f}",
    )
    levels = np.arange(-3, 7.1, 1.0)
    filled = None
    for axes, key, title, start, slope in zip(
        grid[0], ("l1", "l2"), names, starts, arrays["gradients"], strict=True
    ):
        filled = axes.contourf(axis, axis, arrays[key], levels=levels, cmap=SURFACE, extend="both")
        axes.contour(axis, axis, arrays[key], levels=levels, colors="white", linewidths=0.3)
        axes.plot(*np.stack([a, b]).T, color="white", linestyle="--", linewidth=1)
        axes.annotate(
            "", start + slope, start, arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 1.5}
        )
        axes.scatter(*a, c=FAKE, edgecolors="black", marker="^", s=30, zorder=3, label="fake A")
        axes.scatter(*b, c=REAL, edgecolors="black", marker="o", s=30, zorder=3, label="real B")
        axes.set_title(title)
        axes.set_aspect("equal")
        axes.set_xlim(axis[0], axis[-1])
        axes.set_ylim(axis[0], axis[-1])
    ball = a + radius * np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [1, 0]])
    grid[0, 0].plot(*ball.T, color="black", linewidth=0.8, label="|p - A|$_1$ = |B - A|$_1$")
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = a + np.linalg.norm(b - a) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    grid[0, 1].plot(
        *circle.T, color="black", linewidth=0.8, linestyle=":", label="|p - A|$_2$ = |B - A|$_2$"
    )
    grid[0, 0].plot([], [], color="black", marker=">", linewidth=1.5, label="gradient")
    found = dict(
        pair
        for axes in grid[0]
        for pair in zip(*reversed(axes.get_legend_handles_labels()), strict=True)
    )
    figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=5)
    if filled is not None:
        figure.colorbar(filled, ax=grid, shrink=0.9, label="value above that at A")
    return figure


ENTRY = Calculation(_calculate, _claims, _draw)
