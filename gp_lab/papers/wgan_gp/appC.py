# ruff: noqa: N999
"""wgan_gp, App. C: the two-sided penalty against the one-sided one on random architectures."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import (
    Claim,
    Test,
    paired_share_greater,
    share_greater,
    share_inside,
    share_of,
    stated,
)
from gp_lab.figures.entry import Entry, Runs
from gp_lab.figures.style import COLOURS, new_panels
from gp_lab.figures.table import Table
from gp_lab.papers.wgan_gp._random import LEARNT, above, measure, scores
from gp_lab.papers.wgan_gp._scores import SCORE, given, named

WON, TRIALS = 100, 177
"""The paper's: two-sided wins, and those of both, which are more than the 174 that it names."""

EVEN = (0.35, 0.65)
""""Slightly better": neither wins two of three. The paper's own 100 of 177 is just inside."""

LEVEL = 0.975
"""Of the picture's intervals: that of two claims, which together have .95."""


def differences(table: Table, method: str = "one_sided") -> np.ndarray:
    """By architecture [n], the score with two sides minus that with `method`; NaN where neither has
    learnt, for such networks have hardly begun to."""
    ours, other = scores(table, method="two_sided"), scores(table, method=method)
    return np.where(better(table, method) > LEARNT, ours - other, np.nan)


def better(table: Table, method: str = "one_sided") -> np.ndarray:
    """By architecture [n], the better of the two scores; NaN where both failed."""
    return np.fmax(scores(table, method="two_sided"), scores(table, method=method))


def wins(table: Table, method: str = "one_sided") -> tuple[int, int]:
    """On how many architectures two sides score higher than `method`, and how many differ."""
    difference = differences(table, method)
    return int((difference > 0).sum()), int((np.nan_to_num(difference) != 0).sum())


def claims(table: Table) -> list[Claim]:
    said = f"share of the architectures on which two sides score higher; {SCORE}"
    won, differ = wins(table)
    difference = differences(table)
    ahead, behind = (
        np.where(np.isnan(difference), np.nan, so) for so in (difference > 0, difference < 0)
    )
    known = better(table)
    learns = share_of(above(known[~np.isnan(known)], LEARNT) == 1)
    who = f"the better of the two penalties, to a score > {LEARNT:g},"
    even = given(learns, share_inside(won, differ, *EVEN, quantity=said), who)
    return stated(
        "wgan_gp, App. C",
        {
            "the two-sided penalty does better than the one-sided one":
                given(learns, paired_share_greater(ahead, behind, quantity=said), who),
            "neither penalty does much better: neither wins on two of three architectures": even,
        },
        paper=round(WON / TRIALS, 3),
    )  # fmt: skip


def draw(runs: Runs, table: Table) -> Figure:
    figure, grid = new_panels(1, 2, height=3.2)
    plane, shares = grid[0]
    what = named(runs.finished, "score")
    ours = scores(table, method="two_sided")
    others = {m: t for m, t in table.grid.titles("method").items() if m != "two_sided"}
    for (method, title), colour in zip(others.items(), COLOURS, strict=False):
        own = runs.first(method=method)
        colour = own.colour if own and own.colour else colour
        other, trial = scores(table, method=method), better(table, method) > LEARNT
        plane.plot(other[~trial], ours[~trial], "o", ms=3, color="0.8", zorder=1)
        plane.plot(other[trial], ours[trial], "o", ms=3, color=colour, label=title)
        won, differ = wins(table, method)
        if differ:
            _share(shares, share_greater(won, differ, 0.5, LEVEL), colour, f"here, {title}")
    plane.plot([], [], "o", ms=3, color="0.8", label=f"neither above {LEARNT:g}")
    if not runs.finished:
        plane.text(0.5, 0.5, "no finished run", ha="center", transform=plane.transAxes)
    plane.plot([1, 10], [1, 10], color="0.6", lw=0.6, zorder=0)
    plane.set(xlabel=f"{what}, other penalty", ylabel=f"{what}, two-sided")
    plane.set(xlim=(0.9, 10), ylim=(0.9, 10), aspect="equal")
    plane.legend(loc="upper left")
    _share(shares, share_greater(WON, TRIALS, 0.5, LEVEL), "0.4", "the paper's")
    shares.axvspan(*EVEN, color="0.93", zorder=0)
    shares.axvline(0.5, color="0.6", lw=0.6, ls=":", zorder=0)
    what = f"(bars: {LEVEL:.1%} intervals; shaded: neither much better)"
    shares.set(xlim=(0, 1), xlabel=f"share that the two-sided penalty wins\n{what}")
    shares.margins(y=0.4)
    return figure


def _share(axes: Axes, test: Test, colour: str, title: str) -> None:
    """A dot with its exact interval, on a line of its own."""
    known = test.interval
    side = [[known.estimate - known.low], [known.high - known.estimate]]
    axes.errorbar(
        [known.estimate], [f"{title}\n{known.n} differ"], xerr=side, fmt="o", color=colour
    )


ENTRY = Entry(measure, claims, draw, singles=False)
