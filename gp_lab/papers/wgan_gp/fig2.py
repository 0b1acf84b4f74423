"""wgan_gp, Fig. 2: which of seven architectures each of four methods trains."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, Test, Verdict, share_of, stated, undecided
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import page
from gp_lab.figures.table import Row, Table
from gp_lab.papers.wgan_gp._scores import given, named, scored
from gp_lab.probes.pictures import grid_picture
from gp_lab.runs.folder import State

OURS, BASELINE = "wgan_gp", "baseline"

LEFT = 0.5
"""A generator has learnt something if its FID is at most this share of that before training..."""

SPREAD = 0.25
"""...and has not collapsed, its samples as far from one another as this share of what real images
are: the bound of zero_gp, Fig. 3."""

WORSE = 2.0
"""An architecture trains if its FID is at most so many times that of the method's baseline."""

SHOWN, COLUMNS = 24, 8
"""Samples in a panel, and in a row of it."""


def measure(run: Run) -> Row:
    now, before, near = scored(run), scored(run, 0), run.arrays("neighbours")
    spread = float(near["spread"] / near["spread_real"])
    left = now["fid"] / before["fid"]
    return {
        "data": run.folder.config["dataset"]["name"],
        **now,
        "fid_of_untrained": left,
        "spread_share": spread,
        "learnt": float(left <= LEFT and spread >= SPREAD) if np.isfinite(left) else left,
    }


def trained(table: Table, method: str, architecture: str) -> np.ndarray:
    """By seed [n]: 1 if the architecture trains, 0 if not; NaN for a run that failed, or that
    nothing has judged.

    One that diverged has not trained; without a baseline of its seed nothing is compared with it.
    """
    cell = {"method": method, "architecture": architecture}
    fid, learnt = (np.array(table.values(of, **cell)) for of in ("fid", "learnt"))
    beside = np.array(table.values("fid", method=method, architecture=BASELINE))
    rows = sorted(table.at(**cell).rows, key=lambda row: row["seed"])
    diverged = np.array([row["state"] == State.DIVERGED for row in rows], dtype=bool)
    unknown = np.isnan(learnt) & ~diverged
    return np.where(unknown, np.nan, (learnt == 1) & ~(fid > WORSE * beside))


def broken(table: Table, method: str, architecture: str) -> np.ndarray:
    """By seed [n]: 1 if the architecture diverges or collapses, 0 if not (it may have learnt little
    yet); NaN for a run that failed."""
    cell = {"method": method, "architecture": architecture}
    spread = np.array(table.values("spread_share", **cell))
    rows = sorted(table.at(**cell).rows, key=lambda row: row["seed"])
    diverged = np.array([row["state"] == State.DIVERGED for row in rows], dtype=bool)
    return np.where(np.isnan(spread) & ~diverged, np.nan, diverged | (spread < SPREAD))


def all_seven(table: Table, method: str) -> np.ndarray:
    """Of each seed of which all runs are known [n]: whether every architecture trains."""
    each = _of_all(trained, table, method)
    return np.asarray((each[:, ~np.isnan(each).any(0)] == 1).all(0))


def some_broken(table: Table, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Of each seed of which all runs are known [n]: whether an architecture that WGAN-GP trains
    diverges or collapses; and whether one does that or does not train, or not yet."""
    each, its = _of_all(broken, table, method), _of_all(trained, table, OURS)
    fails = _of_all(trained, table, method) == 0
    known = ~(np.isnan(each) | np.isnan(its)).any(0)
    some, may = ((so & (its == 1))[:, known].any(0) for so in (each == 1, (each == 1) | fails))
    return np.asarray(some), np.asarray(may)


def _of_all(of: Callable[[Table, str, str], np.ndarray], table: Table, method: str) -> np.ndarray:
    """What is told of an architecture, of all seven, [7, n]."""
    return np.array([of(table, method, a) for a in table.grid.axes["architecture"]])


def claims(table: Table) -> list[Claim]:
    tests: dict[str, Test] = {}
    for method, title in table.grid.titles("method").items():
        if method == OURS:
            every = all_seven(table, method)
            said = "share of seeds on which all seven architectures train"
            text = f"{title} trains every architecture with one set of hyperparameters"
            tests[text] = share_of(every, quantity=said)
            continue
        some, may = some_broken(table, method)
        said = "share of seeds on which an architecture that WGAN-GP trains diverges or collapses"
        test = share_of(some, quantity=said)
        if test.verdict == Verdict.NOT_SUPPORTED != share_of(may).verdict:
            test = undecided(test, f"on {np.sum(may & ~some)} more one does not train, or not yet")
        baseline = trained(table, method, BASELINE)
        learns = share_of(baseline[~np.isnan(baseline)])
        text = f"with {title} some of the architectures are unstable or suffer from mode collapse"
        tests[text] = given(learns, test, f"its baseline, {title},")
    return stated("wgan_gp, sec. 5.2 and Fig. 2", tests)


def draw(runs: Runs, table: Table) -> Figure:
    what = named(runs.finished, "FID")

    def samples(axes: Axes, run: Run) -> str:
        axes.imshow(grid_picture(run.arrays("samples")["fake"][:SHOWN], COLUMNS))
        so = trained(table, **run.cell)
        seeds = so[~np.isnan(so)]
        mean = f"mean {table.mean('fid', **run.cell):.1f}"
        return f"{mean}; {seeds.sum():.0f} of {len(seeds)} train"

    figure, grid = page(
        runs, samples, "method", "architecture", height=6.8, share=False, legend=None
    )
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.yaxis.label.set_size(7)
        axes.title.set_size(7)
    for axes in grid[1:].flat:  # the methods head the columns
        axes.set_title(axes.get_title().rpartition("\n")[2], fontsize=7)
    figure.suptitle(
        f"above a panel: mean {what} over seeds; on how many seeds the architecture trains, that"
        f" is, the FID is at most {LEFT:g} times that\nbefore training and {WORSE:g} times the"
        " baseline's of the same method, and the samples differ from one another (no collapse)",
        fontsize=7,
    )
    return figure


ENTRY = Entry(measure, claims, draw)
