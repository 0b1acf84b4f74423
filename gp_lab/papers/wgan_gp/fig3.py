"""wgan_gp, Fig. 3: scores of four methods over the iterations and over wall-clock time."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import (
    Claim,
    Test,
    equivalent,
    paired_greater,
    share_of,
    stated,
    undecided,
)
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import band, legend_above
from gp_lab.figures.style import COLOURS, new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.papers._scores import probe_of
from gp_lab.papers.wgan_gp._random import LEARNT, above, scores
from gp_lab.papers.wgan_gp._scores import SCORE, given, named, scored

END = 0.2
"""A final score is the mean over this last share of a run, its steadiness the deviation there."""

LEVELS = tuple(float(level) for level in np.arange(1.5, 9.1, 0.5))
"""Scores that are waited for: the thresholds of Table 5 above the least."""

UNITS = {"hours": 1, "minutes": 60, "seconds": 3600}
"""How many an hour has."""

ALIKE = 0.5
"""Final scores are comparable within a step of these."""


def course(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """The iterations [k] at which samples were scored, and the scores [k]."""
    steps = run.steps(probe_of(run))
    return np.array(steps), np.array([scored(run, step)["score"] for step in steps])


def hours_of_one(run: Run) -> float:
    """Of an iteration; of a stack of runs, which share their time, this run's part."""
    status = run.folder.status
    rate = status.get("rate")
    return 1 / (3600 * rate * (status.get("stack") or 1)) if rate else float("nan")


def over_time(run: Run) -> tuple[np.ndarray, np.ndarray]:
    steps, found = course(run)
    return steps * hours_of_one(run), found


def clock(runs: Sequence[Run]) -> tuple[str, int]:
    """A unit of time that the longest run has some of, and how many of it an hour has."""
    longest = np.nanmax([0.0, *(run.step * hours_of_one(run) for run in runs)])
    fits = (unit for unit, of_hour in UNITS.items() if longest * of_hour >= 2)
    unit = next(fits, "seconds")
    return unit, UNITS[unit]


def measure(run: Run) -> Row:
    steps, found = course(run)
    late = found[steps >= (1 - END) * run.step]
    row: Row = {
        "data": run.folder.config["dataset"]["name"],
        "score": float(late.mean()) if len(late) else float("nan"),
        "unsteady": float(late.std(ddof=1)) if len(late) > 1 else float("nan"),
        "hours_of_one": hours_of_one(run),
    }
    for level in LEVELS:
        reached = steps[found >= level]
        row[f"steps_to_{level:g}"] = int(reached[0]) if len(reached) else float("inf")
    return row


def to_one_score(table: Table, *methods: str) -> list[np.ndarray]:
    """Iterations [n] that each of two methods takes to the highest score that both reach on a seed;
    NaN where they reach none."""
    both = [
        np.array([table.values(f"steps_to_{level:g}", method=m) for level in LEVELS])
        for m in methods
    ]
    reached = np.all([np.isfinite(steps) for steps in both], axis=0)
    at, seeds = len(LEVELS) - 1 - reached[::-1].argmax(0), np.arange(reached.shape[1])
    return [np.where(reached.any(0), steps[at, seeds], np.nan) for steps in both]


def claims(table: Table) -> list[Claim]:
    def of(method: str, quantity: str = "score") -> np.ndarray:
        return np.array(table.values(quantity, method=method))

    def learns(method: str) -> Test:
        known = scores(table, method=method)
        return share_of(above(known[~np.isnan(known)], LEARNT) == 1)

    def who(optimiser: str) -> str:
        return f"WGAN-GP with {optimiser}, to a score > {LEARNT:g},"

    final = f"{SCORE}, mean of the last fifth of the run"
    clipping, penalty = to_one_score(table, "clipping", "gp_rmsprop")
    ours, dcgan = to_one_score(table, "gp_adam", "dcgan")
    hours, its_hours = (
        steps * of(m, "hours_of_one") for steps, m in ((ours, "gp_adam"), (dcgan, "dcgan"))
    )
    same = {
        "with the same optimizer WGAN-GP comes to a better score than weight clipping":
            paired_greater(of("gp_rmsprop"), of("clipping"), quantity=f"{final}, difference"),
        "with the same optimizer WGAN-GP converges faster than weight clipping":
            paired_greater(clipping, penalty, quantity="iterations to the highest score that both"
                           " reach, clipping minus WGAN-GP (RMSProp)"),
    }  # fmt: skip
    tests = {
        "Adam improves WGAN-GP further":
            paired_greater(of("gp_adam"), of("gp_rmsprop"), quantity=f"{final}, difference"),
        "WGAN-GP performs comparably to DCGAN":
            equivalent(of("gp_adam"), of("dcgan"), ALIKE, quantity=f"{final}, difference"),
        "WGAN-GP converges more slowly than DCGAN in wall-clock time":
            paired_greater(hours, its_hours, quantity="hours to the highest score that both reach,"
                           " WGAN-GP (Adam) minus DCGAN"),
        "WGAN-GP's score is more stable at convergence than DCGAN's":
            paired_greater(of("dcgan", "unsteady"), of("gp_adam", "unsteady"),
                           quantity=f"deviation of the {SCORE} over the last fifth of the run,"
                           " DCGAN minus WGAN-GP (Adam)"),
    }  # fmt: skip
    said = {text: given(learns("gp_rmsprop"), test, who("RMSProp")) for text, test in same.items()}
    said |= {text: given(learns("gp_adam"), test, who("Adam")) for text, test in tests.items()}
    further, _, slower, _ = tests
    said[further] = given(learns("gp_rmsprop"), said[further], who("RMSProp"))
    for method in ("gp_adam", "dcgan"):
        known = of(method, "hours_of_one")
        known = known[~np.isnan(known)]
        if len(set(known)) < len(known):  # as many measurements as there were stacks
            said[slower] = undecided(said[slower], "seeds were timed together, as stacks")
            break
    about = {"method": ("clipping", "gp_rmsprop", "gp_adam", "dcgan")}
    return stated("wgan_gp, sec. 5.3 and Fig. 3", said, about=about)


def draw(runs: Runs, table: Table) -> Figure:
    figure, grid = new_panels(1, 2, height=3, sharey=True)
    unit, of_hour = clock(runs.finished)

    def timed(run: Run) -> tuple[np.ndarray, np.ndarray]:
        hours, found = over_time(run)
        return of_hour * hours, found

    for axes, of, label in zip(
        grid[0], (course, timed), ("generator iterations", f"{unit} (of one run)"), strict=True
    ):
        for (method, title), colour in zip(table.grid.titles("method").items(), cycle(COLOURS)):
            band(axes, runs.at(method=method), of, title, color=colour)
        if not runs.finished:
            axes.text(0.5, 0.5, "no finished run", ha="center", transform=axes.transAxes)
        axes.set_xlabel(label)
        axes.locator_params(axis="x", nbins=5)
    grid[0, 0].set_ylabel(named(runs.finished, "score"))
    legend_above(figure, grid[0], "lower center")
    figure.suptitle("lines: mean over seeds; shaded: from the lowest to the highest", fontsize=7)
    return figure


ENTRY = Entry(measure, claims, draw)
