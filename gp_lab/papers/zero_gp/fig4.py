"""zero_gp, Fig. 4: the Inception score over time of GANs on ImageNet."""

from itertools import cycle

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import SHARE, Claim, Verdict, greater, paired_greater, stated, undecided
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import band, by_seed
from gp_lab.figures.style import COLOURS, new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.papers.zero_gp._imagenet import SCORES, course, kind, scored

CONSISTENT = 0.9
"""One method consistently outperforms another if it is ahead at more than this share of looks."""

LARGE = 0.1
"""The margin is large if it is more than this share of WGAN-GP's score."""

LEARNT = 4.0
"""WGAN-GP has learnt something if its score is above this, the pilot's: as where four classes come
out clearly."""

PLACE = "zero_gp, Fig. 4 and sec. 6.2"

LOOKS = "score_at_"
"""Quantities of the row begin so, one for each look."""


def measure(run: Run) -> Row:
    _, values = course(run)
    return scored(run) | {f"{LOOKS}{i}": float(value) for i, value in enumerate(values, 1)}


def ahead(table: Table, method: str, other: str) -> np.ndarray:
    """By seed, the share of looks at which a method's score is above another's [n]; NaN where a run
    of either has no scores."""
    names = sorted({key for row in table.rows for key in row if key.startswith(LOOKS)})
    if not names:
        return np.full(len(table.values("score", method=method)), np.nan)
    a, b = (np.array([table.values(name, method=m) for name in names]) for m in (method, other))
    known = np.isfinite(a) & np.isfinite(b)
    counted = known.sum(0)
    won = ((a > b) & known).sum(0)
    return np.divide(won, counted, out=np.full(a.shape[1], np.nan), where=counted > 0)


def claims(table: Table) -> list[Claim]:
    names = table.grid.titles("method")
    ours, sample, wgan = (
        table.values("score", method=m) for m in ("zero_gp", "zero_gp_real", "wgan_gp")
    )
    looks = "share of looks at which the score of 0-GP is above that of 0-GP-sample"
    found = stated(
        PLACE,
        {
            "0-GP outperforms 0-GP-sample at the end": paired_greater(
                ours, sample, quantity="score at the end, 0-GP minus 0-GP-sample"
            ),
            f"it does so consistently (at more than {CONSISTENT:.0%} of the looks)": greater(
                ahead(table, "zero_gp", "zero_gp_real"), CONSISTENT, quantity=looks, within=SHARE
            ),
        },
        about={"method": "zero_gp_real"},
    )
    learns = greater(wgan, LEARNT)
    for method, values in (("zero_gp", ours), ("zero_gp_real", sample)):
        name, times = names[method], 1 + LARGE
        text = f"{name} outperforms WGAN-GP by a large margin ({LARGE:.0%} of its score)"
        said = f"score at the end, {name} minus {times:g} times WGAN-GP's"
        test = paired_greater(values, times * np.array(wgan), quantity=said)
        if learns.verdict != Verdict.SUPPORTED:  # few updates of G are no margin of a penalty
            why = f"WGAN-GP itself may not have learnt: its score is {learns.interval.estimate:.2f}"
            test = undecided(test, why)
        found.append(Claim(text, test, PLACE, about={"method": "wgan_gp"}))
    return found


def draw(runs: Runs, table: Table) -> Figure:
    heads = runs.grid.titles("method")
    figure, ((over, end),) = new_panels(1, 2, 2.9, width_ratios=[2, 1])
    for (method, name), colour in zip(heads.items(), cycle(COLOURS)):
        found = runs.at(method=method)
        label = f"{name}, {found[0].step:,} updates of G" if found else name
        band(over, found, course, label, color=colour, marker="o", ms=2)
    scores = {kind(run) for run in runs.finished} - {None}
    what = " or ".join(SCORES[str(one)] for one in sorted(map(str, scores))) or "score"
    over.set(xlabel="iteration (updates of D)", ylabel=what)
    over.set_title("mean and range of the seeds")
    if runs.finished:
        over.legend()
    by_seed(end, table.by("method", "score"), [COLOURS[i % 7] for i in range(len(heads))])
    end.set(title="at the end, by seed (line: mean)", ylabel=what)
    end.tick_params(axis="x", labelsize=6)
    return figure


ENTRY = Entry(measure, claims, draw)
