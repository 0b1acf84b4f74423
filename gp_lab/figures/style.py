"""How the lab's pictures look: colours all can tell apart, sizes that a column can hold."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

REAL, FAKE = "#E69F00", "#56B4E9"
"""Okabe and Ito's orange and sky blue."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's for lines: blue, vermilion, green, purple, orange, sky blue, black."""

OWN = ("#E7298A", "#7570B3", "#66A61E", "#A6761D")
"""Of methods of one's own beside the paper's: none of the colours above."""

SURFACE = "cividis"

NOTES = 4
"""Of each kind so many stand below a picture."""


@contextmanager
def paper_style() -> Iterator[None]:
    """Settings of matplotlib while a figure is drawn and saved."""
    settings: Any = {
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.labelsize": 8,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "legend.fontsize": 7,
        "axes.linewidth": 0.6,
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
    }
    with rc_context(settings):
        yield


def new_figure(
    rows: int, columns: int, height: float, share: Any = True, **more: Any
) -> tuple[Figure, Any]:
    """A figure as wide as a text column (7 inches), its axes [rows, columns]; height in inches.

    All panels `share` their axes, or those of a "row" do, or none; `more` is for `subplots`.
    """
    figure = Figure(figsize=(7.0, height), layout="constrained")
    more = {"squeeze": False, "sharex": share, "sharey": share} | more
    return figure, figure.subplots(rows, columns, **more)


def new_panels(rows: int, columns: int, height: float, **more: Any) -> tuple[Figure, Any]:
    """As `new_figure`, for panels that show different quantities: each has axes of its own."""
    return new_figure(rows, columns, height, share=False, **more)


def surface(
    axes: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, levels: Any = 14,
    lines: bool = True, extend: Any = "neither",
) -> None:  # fmt: skip
    """Filled contours of values [n, m] over x [m] and y [n], which become the window.

    White `lines` stand at the levels; values beyond them take the end colours if they `extend`.
    """
    axes.contourf(x, y, values, levels=levels, cmap=SURFACE, extend=extend)
    if lines:
        axes.contour(x, y, values, levels=levels, colors="white", linewidths=0.3, zorder=1)
    window(axes, x, y)


def points(
    axes: Axes, real: np.ndarray, fake: np.ndarray, most: int | None = 200, **look: Any
) -> None:
    """Reals and fakes [n, 2], at most so many of each; a `look` may differ from the lab's."""
    look = {"s": 5, "edgecolors": "black", "linewidths": 0.2, "zorder": 2, **look}
    for samples, colour, marker, label in ((real, REAL, "o", "real"), (fake, FAKE, "^", "fake")):
        x, y = samples[:most].T
        axes.scatter(x, y, **{"c": colour, "marker": marker, "label": label, **look})


def panels_above_curves(
    rows: int, columns: int, curves: int, height: float
) -> tuple[Figure, Any, Any]:
    """A figure 7 inches wide: axes [rows, columns] that share a plane, axes [curves] in a row
    below them that share nothing."""
    figure = Figure(figsize=(7.0, height), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=[rows, 0.9])
    above, below = parts
    panels = above.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    return figure, panels, below.subplots(1, curves, squeeze=False)[0]


def arrows(axes: Axes, axis: np.ndarray, gradient: np.ndarray) -> float:
    """Arrows of gradient [points, points, 2], row = y, over a square; the longest spans two cells.

    Returns its norm, for the caption.
    """
    largest = float(np.linalg.norm(gradient, axis=2).max())
    axes.quiver(
        axis, axis, gradient[..., 0], gradient[..., 1], angles="xy", scale_units="xy",
        scale=max(largest, 1e-300) / (2 * (axis[1] - axis[0])), width=0.004, minlength=0.2,
        color="0.25", zorder=0,
    )  # fmt: skip
    axes.set_aspect("equal")
    return largest


def heat_map(axes: Axes, shares: np.ndarray, columns: Sequence[str], rows: Sequence[str]) -> Any:
    """Shares [rows, columns] in [0, 1] as coloured cells with their numbers; NaN stays empty."""
    cells = axes.imshow(shares, cmap=SURFACE, vmin=0, vmax=1, aspect="auto", origin="lower")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    for (y, x), share in np.ndenumerate(shares):
        if np.isfinite(share):
            colour = "black" if share > 0.5 else "white"
            axes.text(x, y, f"{share:.0%}", ha="center", va="center", color=colour, fontsize=6)
    return cells


def plain_log(axes: Axes, axis: Literal["x", "y"]) -> None:
    """A logarithmic axis with plain numbers, at 1, 2 and 5 of each decade."""
    axes.set(**{f"{axis}scale": "log"})
    of = axes.xaxis if axis == "x" else axes.yaxis
    of.set_major_locator(LogLocator(subs=(1, 2, 5)))
    of.set_major_formatter("{x:g}")
    of.set_minor_locator(NullLocator())


def window(axes: Axes, x: Any, y: Any = None) -> None:
    """Limit the axes to a grid, square where there is no `y`; both axes to the same scale."""
    y = x if y is None else y
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), aspect="equal")


def empty(axes: Axes, title: str) -> None:
    """A panel without a finished run says so."""
    axes.set_title(title)
    axes.text(0.5, 0.5, "no finished run", ha="center", va="center", transform=axes.transAxes)


def hide_unused(figures: Iterable[Figure]) -> None:
    """Panels in which nothing was drawn stay white, as a method more can leave a row half full."""
    for axes in (axes for figure in figures for axes in figure.axes):
        if not (axes.has_data() or axes.texts or axes.patches or axes.get_title()):
            axes.set_axis_off()


def settle(figure: Figure) -> None:
    """Once the layout has made room for its legends, they stay in it.

    Else those of the whole figure would move to the edges of the file, where header and footer are.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for legend in figure.legends:
        legend.set_bbox_to_anchor((0, 0, 1, 1), figure.transFigure)


def header(figure: Figure, text: str) -> None:
    """What nobody may overlook, above the picture."""
    whole = re.sub(r"(\d) x (\d)", "\\1\u00a0x\u00a0\\2", text)  # 64 x 64
    lines = textwrap.fill(whole, 90)  # matplotlib's own wrapping leaves the page empty above
    figure.text(0.5, 1.01, lines, ha="center", va="bottom", weight="bold")


def footer(figure: Figure, text: str, notes: Mapping[str, Sequence[str]]) -> None:
    """What the picture was made from, below it; of each kind of `notes` those that there are."""
    lines = textwrap.wrap(text, 130)
    for kind, found in notes.items():
        if found:
            more = [f"{len(found) - NOTES} more in claims.json"][: len(found) > NOTES]
            lines += textwrap.wrap(f"{kind}: {'; '.join([*found[:NOTES], *more])}", 130)
    figure.text(0.5, -0.01, "\n".join(lines), ha="center", va="top", fontsize=7, color="0.35")
