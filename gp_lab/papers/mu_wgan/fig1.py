"""mu_wgan, Figs. 1 and 5: MNIST digits under five penalty measures, beside WGAN-GP's."""

from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, equivalent, stated
from gp_lab.figures.entry import Entry, Runs
from gp_lab.figures.plots import by_seed, panel
from gp_lab.figures.style import new_panels
from gp_lab.figures.table import Table
from gp_lab.papers._scores import judge, measure, pictures, samples
from gp_lab.papers.mu_wgan._images import BASELINE, SAME_FID, given, learns, similar_fid
from gp_lab.papers.mu_wgan._measures import COLOURS, MEASURES

SAME_SCORE = 1.0
"""Scores are similar within this: one of the ten classes that a score counts at most."""

COLUMNS = 4


def claims(table: Table) -> list[Claim]:
    found, learnt = list[Claim](), learns(table)
    score, fid = (table.values(k, method=BASELINE) for k in ("score", "fid"))
    for name in MEASURES:
        own_score, own_fid = (table.values(k, method=name) for k in ("score", "fid"))
        minus = f"{name} minus WGAN-GP"
        tests = {
            f"in their FID (within a factor of {SAME_FID:g})":
                similar_fid(own_fid, fid, f"{judge(table)}'s, {minus}"),
            f"in their score (within {SAME_SCORE:g})":
                equivalent(own_score, score, SAME_SCORE,
                           quantity=f"{judge(table)} score, {minus}"),
        }  # fmt: skip
        found += stated(
            "mu_wgan, secs. 5 and 5.1, Figs. 1 and 5",
            {f"digits: those of the measure {name} are similar to WGAN-GP's {what}":
             given(learnt, test) for what, test in tests.items()},
            about={"method": (BASELINE, name)},
        )  # fmt: skip
    return found


def draw(runs: Runs, table: Table) -> Figure:
    """Fig. 5's panels (a) to (e), of which (d) and (e) are Fig. 1, after WGAN-GP's."""
    methods = runs.grid.titles("method")
    rows = -(-(len(methods) + 2) // COLUMNS)
    figure, grid = new_panels(rows, COLUMNS, height=2.1 * rows)
    real, *places = grid.flat
    real.set_title("training images")
    for axes in grid.flat:
        axes.set_axis_off()
    if runs.finished:
        pictures(real, runs.finished[0].arrays("samples")["real"])
    letters = dict(zip(MEASURES, "abcde", strict=True))
    for axes, (method, title) in zip(places, methods.items(), strict=False):
        letter = f"({letters[method]}) " if method in letters else ""
        panel(axes, runs.first(method=method), f"{letter}{title}", samples)
    last = places[len(methods)]
    last.set_axis_on()
    colours = [COLOURS.get(method, "black") for method in methods]
    by_seed(last, table.by("method", "fid"), colours)
    last.tick_params(axis="x", rotation=90)
    last.yaxis.set_ticks_position("right")
    last.yaxis.set_label_position("right")
    last.set(title="each seed (line: mean)", ylabel=f"{judge(table)} FID")
    last.set_ylim(0, 1.1 * last.get_ylim()[1])
    return figure


ENTRY = Entry(measure, claims, draw)
