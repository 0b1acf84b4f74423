# ruff: noqa: N999
"""lipschitz, App. F: type-I gradient vanishing, and the target gamma of LSGAN's generator."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.evaluation.points import wasserstein
from gp_lab.figures.claims import Claim, greater, less, paired_greater
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import by_seed, panel
from gp_lab.figures.style import FAKE, REAL, new_panels, points
from gp_lab.figures.table import Row, Table

COLOURS = {"middle": "#0072B2", "beta": "#D55E00"}

VANISHED = 0.01
"""psi'(f) at the fakes has vanished below this share of its largest value."""

STAYS = 0.5
"""It has not above this one."""

NONE_LEFT = 0.1
"""With gamma in the middle, at convergence: below this share of what gamma = beta leaves."""


def _largest_slope(run: Run) -> float:
    """The supremum of |psi'|; for LSGAN, which has none, that between its targets."""
    loss = run.folder.config["loss"]
    if loss["_target_"].endswith("LeastSquares"):
        return 2 * max(abs(loss[name] - loss["gamma"]) for name in ("alpha", "beta"))
    return 1.0


def measure(run: Run) -> Row:
    at_fakes = run.arrays("gradients")
    slope = np.abs(at_fakes["fake_psi_slope"])
    row = {
        "f_fake": float(at_fakes["fake_logit"].mean()),
        "psi_slope": float(slope.mean()),
        "psi_slope_share": float(np.median(slope)) / _largest_slope(run),
        "gradient": float((slope * np.linalg.norm(at_fakes["fake_gradient"], axis=1)).mean()),
    }
    if run.cell["fakes"] == "trained":
        samples = run.arrays("samples")
        row["w1"] = wasserstein(samples["fake"], samples["real"])
    return row


def claims(table: Table) -> list[Claim]:
    where = "lipschitz, App. F, type-I gradient vanishing"
    share = "median |psi'(f)| at the fakes over its largest"
    found = []
    for one in table.grid.at(fakes="disjoint"):
        name = table.grid.name(one.cell, "loss", "gamma")
        values = table.values("psi_slope_share", **one.cell)
        text = f"{name}: the scale stays (above {STAYS:.0%})"
        test = greater(values, STAYS, quantity=share)
        if one.cell["loss"] == "saturating":
            text = (
                f"{name}: a D that separates leaves the generator no gradient scale"
                f" (below {VANISHED:.0%})"
            )
            test = less(values, VANISHED, quantity=share)
        found.append(Claim(text, test, where))
    where = "lipschitz, App. F, the target point of the generator"
    far, near = table.by("gamma", "w1", COLOURS, fakes="trained").values()
    w1 = "final W1, gamma = (alpha + beta) / 2 minus gamma = beta"
    middle, beta = table.by("gamma", "psi_slope", COLOURS, fakes="at_data").values()
    less_left = paired_greater(
        NONE_LEFT * np.array(beta),
        middle,
        quantity=f"mean |psi'(f)| at the fakes, {NONE_LEFT:.0%} of gamma = beta's minus"
        " gamma = (alpha + beta) / 2's",
    )
    return [
        *found,
        Claim(
            "LSGAN with gamma = beta comes nearer to the data than with (alpha + beta) / 2",
            paired_greater(far, near, quantity=w1),
            where,
        ),
        Claim(
            "gamma = beta leaves a gradient scale at p_G = p_data",
            greater(beta, STAYS * 2, quantity="mean |psi'(f)| at the fakes, gamma = beta"),
            where,
            paper="non-zero (2 at f*)",
        ),
        Claim(
            f"gamma = (alpha + beta) / 2 leaves less than {NONE_LEFT:.0%} of that", less_left, where
        ),
    ]


def draw(runs: Runs, table: Table) -> Figure:
    def samples(axes: Axes, run: Run) -> str:
        found = run.arrays("samples")
        points(axes, found["real"], found["fake"])
        axes.set_aspect("equal", adjustable="datalim")
        if run.cell["gamma"] == "middle":
            axes.legend(loc="best")
        return f"W1 {table.mean('w1', **run.cell):.2g}"

    figure, grid = new_panels(2, 4, 4.4)
    for axes, one in zip(grid[0], runs.grid.at(fakes="disjoint"), strict=True):
        title = runs.grid.name(one.cell, "loss", "gamma")
        panel(axes, runs.first(**one.cell), title, _draw_slope)
    grid[0, 0].set_ylabel("psi'(f)")
    for axes, gamma in zip(grid[1], COLOURS, strict=False):
        run = runs.first(fakes="trained", gamma=gamma)
        panel(axes, run, runs.grid.title("gamma", gamma), samples)
    for axes, fakes, quantity, title in (
        (grid[1, 2], "trained", "w1", "final W1 by seed"),
        (grid[1, 3], "at_data", "psi_slope", "mean |psi'| at\np_G = p_data"),
    ):
        found = {gamma: table.values(quantity, fakes=fakes, gamma=gamma) for gamma in COLOURS}
        by_seed(axes, found, list(COLOURS.values()))
        axes.set_ylim(bottom=0)
        axes.set_xlabel("gamma")
        axes.set_title(title)
    return figure


def _draw_slope(axes: Axes, run: Run) -> None:
    """psi' over f, and where the fakes' and the reals' values lie."""
    curves, data = run.arrays("loss"), run.arrays("gradients")
    axes.plot(curves["f"], curves["psi_slope"], color="black", lw=1)
    axes.set_xlabel("f")
    least_squares = run.cell["loss"] == "least_squares"
    low, high = (-3.0, 3.0) if least_squares else (curves["f"][0], curves["f"][-1])
    axes.set_xlim(low, high)
    axes.set_ylim(*((-8.5, 4.5) if least_squares else (-1.5, 0.1)))
    density = axes.twinx()
    density.set_yticks([])
    for kind, colour in (("fake", FAKE), ("real", REAL)):
        # Values beyond the axis stand at its ends.
        values = np.clip(data[f"{kind}_logit"], low, high)
        label = f"f({kind})"
        density.hist(values, bins=40, range=(low, high), color=colour, alpha=0.6, label=label)
    if run.cell["loss"] == "saturating":
        density.legend(loc="lower center")


ENTRY = Entry(measure, claims, draw)
