# ruff: noqa: N999
"""lipschitz, App. F: type-I gradient vanishing, and the target gamma of LSGAN's generator."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.evaluation.points import wasserstein
from gp_lab.figures.claims import (
    SHARE,
    Claim,
    computed,
    greater,
    inside,
    less,
    paired_greater,
    stated,
)
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import by_seed, panels
from gp_lab.figures.style import FAKE, REAL, new_panels, points
from gp_lab.figures.table import Row, Table

COLOURS = {"middle": "#0072B2", "beta": "#D55E00"}

VANISHED = 0.01
"""psi'(f) at the fakes has vanished below this share of its largest value."""

STAYS = 0.5
"""It has not above this one."""

LEFT = 2.0
"""|psi'| that gamma = beta leaves at f* of p_G = p_data, with the paper's targets."""

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
    tests, share = {}, "median |psi'(f)| at the fakes over its largest"
    for name, cell in table.grid.named("loss", "gamma", fakes="disjoint").items():
        values = table.values("psi_slope_share", **cell)
        if cell["loss"] == "saturating":
            text = "a D that separates leaves the generator no gradient scale"
            test = less(values, VANISHED, quantity=share, within=SHARE)
            tests[f"{name}: {text} (below {VANISHED:.0%})"] = test
        elif cell["loss"] == "wasserstein":
            quantity = f"{share} (psi is linear)"
            test = computed(float(np.min(values)), above=STAYS, quantity=quantity)
            tests[f"{name}: the scale stays (above {STAYS:.0%})"] = test
        else:
            within = None if cell["loss"] == "least_squares" else SHARE  # which has no largest
            test = greater(values, STAYS, quantity=share, within=within)
            tests[f"{name}: the scale stays (above {STAYS:.0%})"] = test
    where = "lipschitz, App. F, the target point of the generator"
    far, near = table.by("gamma", "w1", COLOURS, fakes="trained").values()
    w1 = "final W1, gamma = (alpha + beta) / 2 minus gamma = beta"
    middle, beta = table.by("gamma", "psi_slope", COLOURS, fakes="at_data").values()
    of, tenth = "mean |psi'(f)| at the fakes,", NONE_LEFT * np.array(beta)
    less_left = f"{of} {NONE_LEFT:.0%} of gamma = beta's minus gamma = (alpha + beta) / 2's"
    at_data = {"fakes": "at_data", "gamma": list(COLOURS)}
    return [
        # Without `about`: a gradient that vanishes is what they are about.
        *stated("lipschitz, App. F, type-I gradient vanishing", tests),
        *stated(where, {
            "LSGAN with gamma = beta comes nearer to the data than with (alpha + beta) / 2":
                paired_greater(far, near, quantity=w1),
        }, about={"fakes": "trained", "gamma": list(COLOURS)}),
        *stated(where, {
            "gamma = beta leaves a gradient scale at p_G = p_data (within 10% of the paper's)":
                inside(beta, 0.9 * LEFT, 1.1 * LEFT, quantity=f"{of} gamma = beta"),
        }, paper="non-zero (2 at f*)", about=at_data | {"gamma": "beta"}),
        *stated(where, {
            f"gamma = (alpha + beta) / 2 leaves less than {NONE_LEFT:.0%} of that":
                paired_greater(tenth, middle, quantity=less_left),
        }, about=at_data),
    ]  # fmt: skip


def draw(runs: Runs, table: Table) -> Figure:
    def samples(axes: Axes, run: Run) -> str:
        found = run.arrays("samples")
        points(axes, found["real"], found["fake"])
        axes.set_aspect("equal", adjustable="datalim")
        if run.cell["gamma"] == "middle":
            axes.legend(loc="best")
        return f"mean W1 {table.mean('w1', **run.cell):.2g}"

    losses = runs.grid.named("loss", "gamma", fakes="disjoint")
    figure, grid = new_panels(2, len(losses), 4.4)
    panels(grid[0], runs, losses, _draw_slope)
    grid[0, 0].set_ylabel("psi'(f), black line")
    panels(grid[1], runs, runs.grid.named("gamma", fakes="trained"), samples)
    for axes, fakes, quantity, title in (
        (grid[1, 2], "trained", "w1", "final W1 by seed"),
        (grid[1, 3], "at_data", "psi_slope", "mean |psi'| at\np_G = p_data"),
    ):
        found = {gamma: table.values(quantity, fakes=fakes, gamma=gamma) for gamma in COLOURS}
        by_seed(axes, found, list(COLOURS.values()))
        axes.set(ylim=(0, None), xlabel="gamma\n(middle: of alpha, beta)", title=title)
    return figure


def _draw_slope(axes: Axes, run: Run) -> None:
    """psi' over f, and where the fakes' and the reals' values lie."""
    curves, data = run.arrays("loss"), run.arrays("gradients")
    axes.plot(curves["f"], curves["psi_slope"], color="black", lw=1)
    axes.set_xlabel("f (at ends: all beyond)")
    least_squares = run.cell["loss"] == "least_squares"
    low, high = (-3.0, 3.0) if least_squares else (curves["f"][0], curves["f"][-1])
    axes.set_xlim(low, high)
    axes.set_ylim(*((-8.5, 4.5) if least_squares else (-1.5, 0.1)))
    density = axes.twinx()
    density.set_yticks([])
    for kind, colour in (("fake", FAKE), ("real", REAL)):
        values = np.clip(data[f"{kind}_logit"], low, high)
        label = f"f({kind})"
        density.hist(values, bins=40, range=(low, high), color=colour, alpha=0.6, label=label)
    if run.cell["loss"] == "saturating":
        density.legend(loc="lower center")
    elif least_squares:
        density.set_ylabel("samples, bars")


ENTRY = Entry(measure, claims, draw)
