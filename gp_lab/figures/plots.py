"""What the pictures of several entries have in common: pages of panels, curves, tables."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure

from gp_lab.evaluation.intervals import mean_interval
from gp_lab.figures.entry import Run, Runs
from gp_lab.figures.style import empty, new_figure
from gp_lab.launching.grid import Where, is_at

Course = Callable[[Run], tuple[Any, Any]]
"""A run -> steps [k], or hours, and a quantity [k] at each."""

Draw = Callable[[Axes, Run], str | None]
"""Draws a run into axes; what stands below the panel's title."""

NO_LOOK: Mapping[str, Any] = {}


def page(
    runs: Runs, draw: Draw, columns: str, rows: str | None = None, *, height: float,
    levels: Sequence[str] | None = None, legend: Mapping[str, Any] | None = NO_LOOK,
    share: bool | str = True,
) -> tuple[Figure, Any]:  # fmt: skip
    """A page of panels, a column for each level of an axis of the grid (or for some `levels`).

    With `rows` there is a row for each level of a second axis, its title at the left. The first
    finished run of a cell is drawn; a panel without one says so, a cell that the entry does not
    train stays white. `legend` is how the legend looks, None for none; the panels `share` their
    axes, or those of a "row" do. Returns the figure, as wide as a text column (wider where
    methods of one's own have joined the columns), and its axes [rows, columns].
    """
    heads = runs.grid.titles(columns, levels)
    sides = runs.grid.titles(rows) if rows else {"": ""}
    figure, axes = new_figure(len(sides), len(heads), height, share)
    if columns == runs.grid.joined and not levels:
        papers = len(heads) - len(runs.grid.own)  # whose panels stay as large as they are alone
        figure.set_figwidth(figure.get_figwidth() * len(heads) / papers)
    drawn = []
    for y, (side, side_title) in enumerate(sides.items()):
        for x, (head, title) in enumerate(heads.items()):
            where = {columns: head} | ({rows: side} if rows else {})
            if not runs.grid.at(**where):
                axes[y, x].set_axis_off()
            elif panel(axes[y, x], runs.first(**where), title, draw):
                drawn.append(axes[y, x])
        axes[y, 0].set_ylabel(side_title)
    if legend is not None:
        legend_above(figure, drawn, **legend)
    return figure, axes


def panel(axes: Axes, run: Run | None, title: str, draw: Draw) -> bool:
    """Draw a run with its title, and below that what `draw` returns; whether there was a run."""
    if run is None:
        empty(axes, title)
        return False
    below = draw(axes, run)
    axes.set_title(f"{title}\n{below}" if below else title)
    if run.colour:
        axes.title.set_color(run.colour)
        axes.spines[:].set(color=run.colour, linewidth=1.5)
    return True


def panels(axes: Iterable[Axes], runs: Runs, cells: Mapping[str, Where], draw: Draw) -> list[Axes]:
    """Draw the first run of each titled cell into axes of its own; those in which there is one."""
    titled = zip(axes, cells.items(), strict=False)
    return [one for one, (title, at) in titled if panel(one, runs.first(**at), title, draw)]


def learning_rate(runs: Runs, level: str, **where: str | Collection[str]) -> str:
    """The learning rate of the runs at these levels, which share one: a scale may set another than
    that of the level, which is told where it is the same or where there are no runs."""
    rates = (run.folder.config["optimizer"]["lr"] for run in runs.every if is_at(run.cell, where))
    rate = next(rates, float(level))
    return level if rate == float(level) else f"{rate:g}"


def colour_bar(axes: Iterable[Axes], label: str = "", **look: Any) -> None:
    """Of the first filled contours, beside all axes that have some; nothing where none has."""
    drawn = {
        one: found
        for one in axes
        for found in one.collections
        if isinstance(found, QuadContourSet) and found.filled
    }
    for first in list(drawn)[:1]:
        first.figure.colorbar(drawn[first], ax=list(drawn), label=label, **look)


def legend_above(figure: Any, axes: Iterable[Axes], place: str = "upper right", **look: Any) -> Any:
    """One legend of all that is labelled in these axes, each label once; None without any."""
    found: dict[str, Any] = {}
    for one in axes:
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if not found:
        return None
    look = {"ncols": len(found)} | look
    return figure.legend(found.values(), found.keys(), loc=f"outside {place}", **look)


def firsts(runs: Sequence[Run]) -> Iterator[tuple[Run, bool]]:
    """Each run, and whether it is the first seed: that is drawn, the others thinly."""
    return ((run, i == 0) for i, run in enumerate(runs))


def curves(axes: Axes, runs: Sequence[Run], course: Course, label: str, **look: Any) -> None:
    """A quantity over the iterations of each run, the first seed's thick and labelled."""
    look |= _own_colour(runs)
    for run, first in firsts(runs):
        axes.plot(*course(run), label=label if first else None, lw=1.2 if first else 0.4, **look)


def band(
    axes: Axes, runs: Sequence[Run], course: Course, label: str,
    middle: Callable[..., Any] = np.mean, **look: Any,
) -> None:  # fmt: skip
    """The `middle` of the seeds and, shaded, the range of the known, as far as all have come."""
    if not runs:
        return
    look |= _own_colour(runs)
    found = [course(run) for run in runs]
    count = min(len(steps) for steps, _ in found)
    steps, values = found[0][0][:count], np.array([of[:count] for _, of in found], dtype=float)
    (line,) = axes.plot(steps, middle(values, axis=0), label=label, lw=1.2, **look)
    low, high = np.fmin.reduce(values), np.fmax.reduce(values)
    axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.15, lw=0)


def _own_colour(runs: Sequence[Run]) -> dict[str, str]:
    """That of a method of one's own, whatever the entry's drawing gives it."""
    return {"color": runs[0].colour} if runs and runs[0].colour else {}


def by_seed(
    axes: Axes, found: Mapping[str, Sequence[float]], colours: Sequence[str] | None = None
) -> None:
    """A dot for each seed of each titled quantity, a line at its mean."""
    for x, (values, colour) in enumerate(
        zip(found.values(), colours or ["black"] * len(found), strict=True)
    ):
        known = np.asarray(values, dtype=float)
        known = known[np.isfinite(known)]
        axes.plot([x] * len(known), known, "o", ms=4, mec="black", mew=0.3, color=colour)
        if len(known):
            axes.hlines(known.mean(), x - 0.3, x + 0.3, color=colour, lw=1)
    axes.set_xlim(-0.5, len(found) - 0.5)
    axes.set_xticks(range(len(found)), list(found))


def score_table(
    axes: Axes, columns: Sequence[str], rows: Mapping[str, Sequence[str]], head: str = ""
) -> None:
    """A table of texts: a title for each row, a text for each column; bold heads, thin rules."""
    axes.set(xlim=(0, 1), ylim=(len(rows) + 0.5, -1))
    axes.set_axis_off()
    width = 0.7 / max(1, len(columns))
    axes.text(0, -0.5, head, va="center", weight="bold")
    for x, title in enumerate(columns):
        axes.text(0.3 + (x + 0.5) * width, -0.5, title, ha="center", va="center", weight="bold")
    for y, (title, texts) in enumerate(rows.items()):
        axes.axhline(y, color="0.7", lw=0.5)
        axes.text(0, y + 0.5, title, va="center")
        for x, text in enumerate(texts):
            axes.text(0.3 + (x + 0.5) * width, y + 0.5, text, ha="center", va="center")


def beside_the_papers(values: Sequence[float], paper: float | None, digits: int = 2) -> str:
    """Our mean ± half the width of its interval over seeds, and the paper's number in brackets."""
    known = [value for value in values if np.isfinite(value)]
    ours = f"{np.mean(known):.{digits}f}" if known else "no run"
    if len(known) > 1:
        interval = mean_interval(known)
        ours += f" ± {(interval.high - interval.low) / 2:.{digits}f}"
    return ours if paper is None else f"{ours} ({paper:.{digits}f})"
