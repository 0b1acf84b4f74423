# ruff: noqa: N999
"""lipschitz, App. B: l1-Lipschitz does not give directions; the Euclidean norm does."""

import numpy as np
from matplotlib.figure import Figure

from gp_lab.evaluation.points import cosines
from gp_lab.figures.claims import Claim, computed
from gp_lab.figures.entry import Arrays, Calculation, Settings
from gp_lab.figures.plots import colour_bar, legend_above
from gp_lab.figures.style import new_figure
from gp_lab.figures.table import Row, Table
from gp_lab.papers.lipschitz._scene import draw_plane
from gp_lab.theory.lipschitz import gradient, largest_slope, optimal_lipschitz
from gp_lab.theory.surfaces import plane

ROUNDING = 1e-6
"""Numbers that are equal on paper are equal within this."""

LEVELS = np.arange(-3, 7.1, 1.0)


def g(z: np.ndarray) -> np.ndarray:
    """The paper's counter-example, g(x, y) = x + y: `[n, 2]` -> `[n]`."""
    return z.sum(axis=1)


def calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    a, b = np.array([settings["a"]], dtype=float), np.array([settings["b"]], dtype=float)
    optimum = optimal_lipschitz(b, a, "wasserstein", weight=settings["weight"])
    axis = np.linspace(-1.5, 3.5, settings["side"])
    grid = plane(axis)
    slope_g, slope_f = gradient(g, a), gradient(optimum, (a + b) / 2)
    row: Row = {
        "function": "counter_example",
        "l1_slope": largest_slope(grid, g(grid), "cityblock"),
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
        "l1": g(grid).reshape(shape),
        "l2": ((optimum(grid) - optimum.at_fake[0]) / optimum.k).reshape(shape),
        "gradients": np.concatenate([slope_g, slope_f / optimum.k]),
    }


def claims(table: Table) -> list[Claim]:
    row, appendix = table.one(), "lipschitz, App. B"
    rise, distance, cosine = row["rise"], row["l1_distance"], row["cosine"]
    equal, at_a = {"above": -ROUNDING, "below": ROUNDING}, "cosine of grad g(A) with B - A"
    found = [
        ("g(x, y) = x + y is 1-Lipschitz in the l1 norm", row["l1_slope"] - 1,
         {"below": ROUNDING}, "largest |g(p) - g(q)| / |p - q|_1 on a grid, minus 1", appendix),
        ("|g(A) - g(B)| = |A - B|_1: the bound is reached", abs(rise) - distance,
         equal, "|g(A) - g(B)| - |A - B|_1", appendix),
        ("g(A) - g(B) = |A - B|_1, with the sign that is printed", -rise - distance,
         equal, "g(A) - g(B) - |A - B|_1", appendix),
        ("yet grad g(A) = (1, 1) does not point towards B", cosine,
         {"below": 1 - ROUNDING}, f"{at_a}; 3/sqrt(10) = .949 on paper", appendix),
        ("that cosine is 3/sqrt(10)", cosine - 3 / np.sqrt(10),
         equal, f"{at_a}, minus 3/sqrt(10)", appendix),
        ("in the Euclidean norm the gradient between coupled points does point towards B",
         row["euclidean_cosine"], {"above": 1 - ROUNDING},
         "cosine of grad f* with B - A, half-way", "lipschitz, Lemma 3.3.2"),
    ]  # fmt: skip
    return [
        Claim(text, computed(value, **between, quantity=quantity), where)
        for text, value, between, quantity, where in found
    ]


def draw(arrays: Arrays, table: Table) -> Figure:
    """Both functions with their gradients, and the ball around A that reaches to B."""
    figure, (panels,) = new_figure(1, 2, 3.0)
    row, (a, b), axis = table.one(), arrays["points"], arrays["axis"]
    angle = np.linspace(0, 2 * np.pi, 201)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    l1 = f"l1: g = x + y, cosine {row['cosine']:.3f}"
    l2 = f"Euclidean: optimal f, cosine {row['euclidean_cosine']:.3f}"
    starts = (a, (a + b) / 2)
    for axes, norm, title, start, slope, style in zip(
        panels, (1, 2), (l1, l2), starts, arrays["gradients"], ("-", ":"), strict=True
    ):
        look = {"levels": LEVELS, "extend": "both", "lines": True}
        draw_plane(axes, axis, axis, arrays[f"l{norm}"], b[None], a[None], size=30, **look)
        axes.plot(*np.stack([a, b]).T, color="white", ls="--", lw=1, zorder=1)
        for name, point, shift in (("A", a, (4, -9)), ("B", b, (5, 3))):
            axes.annotate(name, point, shift, textcoords="offset points")
        axes.annotate("", start + slope, start, arrowprops={"arrowstyle": "-|>", "lw": 1.5})
        unit = circle / np.linalg.norm(circle, ord=norm, axis=1, keepdims=True)
        ball = a + np.linalg.norm(b - a, ord=norm) * unit
        said = f"|p - A|$_{norm}$ = |B - A|$_{norm}$"
        axes.plot(*ball.T, "k", ls=style, lw=0.8, zorder=1, label=said)
        axes.set_title(title)
    panels[0].plot([], [], color="black", marker=">", lw=1.5, label="gradient")
    legend_above(figure, panels, "upper center")
    colour_bar(panels, "value above that at A", shrink=0.9)
    return figure


ENTRY = Calculation(calculate, claims, draw)
