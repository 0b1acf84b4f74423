"""wgan_gp, Tables 2 and 5: random architectures that the standard GAN and WGAN-GP train."""

from itertools import cycle

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import (
    Claim,
    Test,
    level_of_each,
    paired_share_greater,
    share_inside,
    stated,
)
from gp_lab.figures.entry import Entry, Runs
from gp_lab.figures.plots import score_table
from gp_lab.figures.style import COLOURS
from gp_lab.figures.table import Table
from gp_lab.figures.verdicts import Verdict
from gp_lab.papers.wgan_gp._random import LEARNT, above, measure, scores
from gp_lab.papers.wgan_gp._scores import SCORE, named

PAPER = {
    1.0: (0, 8, 192, 0), 1.5: (0, 50, 150, 0), 2.0: (0, 60, 140, 0), 2.5: (0, 74, 125, 1),
    3.0: (1, 88, 110, 1), 3.5: (0, 111, 86, 3), 4.0: (1, 126, 67, 6), 4.5: (0, 136, 55, 9),
    5.0: (0, 147, 42, 11), 5.5: (0, 148, 32, 20), 6.0: (0, 145, 21, 34), 6.5: (1, 131, 11, 57),
    7.0: (1, 104, 5, 90), 7.5: (2, 67, 3, 128), 8.0: (1, 34, 0, 165), 8.5: (0, 6, 0, 194),
    9.0: (0, 0, 0, 200),
}  # fmt: skip
"""Table 5: threshold -> how many of 200 only the GAN trains, only WGAN-GP, both, neither. Ten
classes have scores from 1 to 10, so a classifier of the data is held to the same thresholds."""

PAIRS = 200

OUTCOMES = ("GAN", "WGAN-GP", "both", "neither")

MOST = 12
""""For most choices of score threshold": of so many of the 17."""

TOLD = (3.0, 5.0, 7.0)
"""Those of Table 2 at which neither all nor none succeed."""

NEAR = 0.15
"""A share of pairs is the paper's within this: the exact interval of 200 pairs, at the level of
seven claims, is .2 wide."""


def counts(table: Table, threshold: float) -> list[int]:
    """How many pairs only the GAN trains, only WGAN-GP, both, neither; as in the paper's tables."""
    gan, ours = (above(scores(table, method=method), threshold) for method in ("gan", "wgan_gp"))
    wanted = ((1, 0), (0, 1), (1, 1), (0, 0))
    return [int(((gan == g) & (ours == w)).sum()) for g, w in wanted]


def more_often(table: Table, threshold: float, level: float | None = None) -> Test:
    """Does WGAN-GP succeed at a threshold more often than the standard GAN?"""
    gan, ours = (above(scores(table, method=method), threshold) for method in ("gan", "wgan_gp"))
    said = f"share won by WGAN-GP of the pairs that one of them trains to a score > {threshold:g}"
    return paired_share_greater(ours, gan, level, quantity=said)


def at_most_thresholds(table: Table) -> Test:
    """Does it at `MOST` of the thresholds? The test at the one that comes so far down the list,
    each at its share of the level: all before it agree at once."""
    order = (Verdict.SUPPORTED, Verdict.INCONCLUSIVE, Verdict.NOT_SUPPORTED)
    tests = [more_often(table, threshold, level_of_each(len(PAPER))) for threshold in PAPER]
    tests.sort(key=lambda test: (order.index(test.verdict), -test.interval.low))
    return tests[MOST - 1]


def claims(table: Table) -> list[Claim]:
    ours = f"WGAN-GP trains more of the random architectures than the standard GAN, {SCORE} above"
    most = {f"{ours} a threshold, at {MOST} of {len(PAPER)} of them": at_most_thresholds(table)}
    place = "wgan_gp, sec. 5.1, Tables 2 and 5"
    found = stated(place, most, needs_paper=True)  # small nets come to none of the upper half
    for threshold in TOLD:
        more = {f"{ours} {threshold:g}": more_often(table, threshold)}
        found += stated(place, more, needs_paper=threshold > LEARNT)
    for threshold in TOLD:
        only, share = counts(table, threshold), PAPER[threshold][1] / PAIRS
        said = f"share of pairs that only WGAN-GP trains to a score > {threshold:g}"
        test = share_inside(only[1], sum(only), share - NEAR, share + NEAR, quantity=said)
        text = f"as many architectures as in the paper only WGAN-GP trains to {threshold:g}"
        found += stated("wgan_gp, Table 2", {text: test}, paper=share, needs_paper=True)
    return found


def draw(runs: Runs, table: Table) -> Figure:
    figure = Figure(figsize=(7.0, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    of = {threshold: counts(table, threshold) for threshold in PAPER}
    trained = sum(next(iter(of.values())))
    rows = {
        f"{threshold:.1f}": [
            f"{100 * n / max(1, trained):.3g} ({100 * p / PAIRS:.3g})"
            for n, p in zip(of[threshold], paper, strict=True)
        ]
        for threshold, paper in PAPER.items()
    }
    score_table(left, OUTCOMES, rows, "min. score")
    left.set_title(
        f"% of {trained} architectures (the paper's: of {PAIRS})\n"
        "that only the GAN trains, only WGAN-GP, both, neither"
    )
    for (method, title), colour in zip(table.grid.titles("method").items(), cycle(COLOURS)):
        known = scores(table, method=method)
        known, own = np.sort(known[~np.isnan(known)]), {r.colour for r in runs.at(method=method)}
        colour = next(iter(own), "") or colour
        if len(known):
            above_it = 1 - np.arange(len(known) + 1) / len(known)
            right.step(np.append(known, known[-1]), above_it, color=colour, label=title)
        for_both = {"gan": (0, 2), "wgan_gp": (1, 2)}.get(method)
        if for_both:
            share = [sum(paper[i] for i in for_both) / PAIRS for paper in PAPER.values()]
            right.plot(list(PAPER), share, "o", ms=2.5, color=colour, label=f"{title}, the paper's")
    if not runs.finished:
        right.text(0.5, 0.5, "no finished run", ha="center", transform=right.transAxes)
    what = f"{named(runs.finished, 'score')}\n(the paper's: Inception score of ImageNet)"
    right.set(xlabel=what, ylabel="share of architectures above it")
    right.set(xlim=(0.9, 10), ylim=(0, 1.03))
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    return figure


ENTRY = Entry(measure, claims, draw, singles=False)
