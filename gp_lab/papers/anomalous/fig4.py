"""anomalous, Fig. 4: averages of training images that look alike, beside samples of a GAN."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, Verdict, equivalent, less, stated, undecided
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import beside_the_papers, panel
from gp_lab.figures.style import new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.papers import _scores
from gp_lab.papers._scores import LEARNT, judge, pictures

COMPARABLE = 1.25
"""FIDs are comparable within this factor: the paper's Table 1 calls it an improvement where one is
1.03 to 1.44 times another."""

PAPERS = "gan"
"""The GAN that stands for the paper's; one that has joined is drawn beside it."""

PLACE = "anomalous, sec. 4.2 and Fig. 4"


def measure(run: Run) -> Row:
    """The GAN's scores, the FID of the averages by the same judge, and that of held-out images."""
    found = run.arrays("gam")
    return _scores.measure(run) | {
        name: float(found.get(key, np.nan))
        for name, key in (("gam_fid", "fid"), ("held_out_fid", "fid_held_out"))
    }


def claims(table: Table) -> list[Claim]:
    gam, gan, left = (
        table.values(k, method=PAPERS) for k in ("gam_fid", "fid", "fid_left")
    )  # fmt: skip
    who = judge(table)
    test = equivalent(
        np.log(gam), np.log(gan), float(np.log(COMPARABLE)),
        quantity=f"log {who} FID, averages minus the GAN",
    )  # fmt: skip
    learns = less(left, LEARNT)
    if learns.verdict != Verdict.SUPPORTED:
        share = f"{learns.interval.estimate:.2f}"
        test = undecided(test, f"the GAN may not learn: {share} of the untrained one's FID left")
    text = f"the generative average method and GANs are comparable by FID (within {COMPARABLE:g} x)"
    return stated(PLACE, {text: test}, about={"method": PAPERS})


def draw(runs: Runs, table: Table) -> Figure:
    methods = runs.grid.titles("method")
    figure, grid = new_panels(1, 2 + len(methods), height=3.2)
    figure.set_figwidth(2.7 * (2 + len(methods)))
    real, gam, *places = grid.flat
    for axes in grid.flat:
        axes.set_axis_off()

    def of(quantity: str, method: str = PAPERS) -> str:
        return f"mean FID {beside_the_papers(table.values(quantity, method=method), None)}"

    def averages(axes: Axes, run: Run) -> None:
        pictures(axes, run.arrays("gam")["images"])

    def samples(axes: Axes, run: Run) -> None:
        pictures(axes, run.arrays("samples")["fake"])

    real.set_title(f"training images\nheld-out ones: {of('held_out_fid')}")
    if runs.finished:
        pictures(real, runs.finished[0].arrays("samples")["real"])
    panel(
        gam,
        runs.first(method=PAPERS),
        f"averages of similar images (GAM)\n{of('gam_fid')}",
        averages,
    )
    for axes, (method, title) in zip(places, methods.items(), strict=True):
        panel(axes, runs.first(method=method), f"{title}\n{of('fid', method)}", samples)
    figure.supxlabel(
        f"{judge(table)} FID: mean over seeds ± half the width of its 95 % interval", fontsize=8
    )
    return figure


ENTRY = Entry(measure, claims, draw)
