# ruff: noqa: N999
"""lipschitz, App. F: type-I gradient vanishing, and the target gamma of LSGAN's generator."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.evaluation.points import wasserstein
from gp_lab.figures.claims import Claim, greater, less, paired_greater
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import FAKE, REAL, empty, points

LOSSES = {
    "saturating": "vanilla, saturating",
    "non_saturating": "vanilla, -log D",
    "wasserstein": "Wasserstein",
    "least_squares": "LSGAN, gamma = beta",
}
GAMMAS = {"middle": "gamma = (alpha + beta)/2", "beta": "gamma = beta"}
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


def _row(run: Run) -> Row:
    at_fakes, samples = run.arrays("gradients"), run.arrays("samples")
    slope = np.abs(at_fakes["fake_psi_slope"])
    row = {
        "panel": run.panel,
        "seed": run.seed,
        "state": run.state,
        "f_fake": float(at_fakes["fake_logit"].mean()),
        "psi_slope": float(slope.mean()),
        "psi_slope_share": float(np.median(slope)) / _largest_slope(run),
        "gradient": float((slope * np.linalg.norm(at_fakes["fake_gradient"], axis=1)).mean()),
    }
    if run.panel.startswith("gan"):
        row["w1"] = wasserstein(samples["fake"], samples["real"])
    return row


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def _claims(rows: list[Row]) -> list[Claim]:
    where = "lipschitz, App. F, type-I gradient vanishing"
    share = "median |psi'(f)| at the fakes over its largest"
    at_fakes = {panel: column(rows, panel, "psi_slope_share") for panel in LOSSES}
    claims = [
        Claim(
            f"{LOSSES['saturating']}: a D that separates leaves the generator no gradient scale"
            f" (below {VANISHED:.0%})",
            less(at_fakes["saturating"], VANISHED, quantity=share),
            where,
        )
    ]
    claims += [
        Claim(
            f"{LOSSES[panel]}: the scale stays (above {STAYS:.0%})",
            greater(at_fakes[panel], STAYS, quantity=share),
            where,
        )
        for panel in ("non_saturating", "wasserstein", "least_squares")
    ]
    where = "lipschitz, App. F, the target point of the generator"
    middle, beta = (column(rows, f"converged_{gamma}", "psi_slope") for gamma in GAMMAS)
    return [
        *claims,
        Claim(
            "LSGAN with gamma = beta comes nearer to the data than with (alpha + beta) / 2",
            paired_greater(
                column(rows, "gan_middle", "w1"),
                column(rows, "gan_beta", "w1"),
                quantity="final W1, gamma = (alpha + beta) / 2 minus gamma = beta",
            ),
            where,
        ),
        Claim(
            "gamma = beta leaves a gradient scale at p_G = p_data",
            greater(beta, STAYS * 2, quantity="mean |psi'(f)| at the fakes, gamma = beta"),
            where,
            paper="non-zero (2 at f*)",
        ),
        Claim(
            f"gamma = (alpha + beta) / 2 leaves less than {NONE_LEFT:.0%} of that",
            paired_greater(
                NONE_LEFT * np.array(beta),
                middle,
                quantity=f"mean |psi'(f)| at the fakes, {NONE_LEFT:.0%} of gamma = beta's minus"
                " gamma = (alpha + beta) / 2's",
            ),
            where,
        ),
    ]


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7.0, 4.4), layout="constrained")
    grid = figure.subplots(2, 4)
    for axes, (panel, title) in zip(grid[0], LOSSES.items(), strict=True):
        _draw_slope(axes, panels[panel], title)
    grid[0, 0].set_ylabel("psi'(f)")
    for axes, (gamma, title) in zip(grid[1], GAMMAS.items(), strict=False):
        runs = panels[f"gan_{gamma}"]
        if not runs:
            empty(axes, title)
            continue
        samples = runs[0].arrays("samples")
        points(axes, samples["real"], samples["fake"])
        w1 = np.nanmean(column(rows, f"gan_{gamma}", "w1"))
        axes.set_title(f"{title}\nW1 {w1:.2g}")
        axes.set_aspect("equal", adjustable="datalim")
    handles, labels = grid[1, 0].get_legend_handles_labels()
    if handles:
        grid[1, 0].legend(handles, labels, loc="best")
    _draw_seeds(grid[1, 2], rows, "gan", "w1", "final W1 by seed")
    _draw_seeds(grid[1, 3], rows, "converged", "psi_slope", "mean |psi'| at\np_G = p_data")
    return figure


def _draw_slope(axes: Axes, runs: Sequence[Run], title: str) -> None:
    """psi' over f, and where the fakes' and the reals' values lie."""
    if not runs:
        empty(axes, title)
        return
    curves, data = runs[0].arrays("loss"), runs[0].arrays("gradients")
    axes.plot(curves["f"], curves["psi_slope"], color="black", lw=1)
    axes.set_title(title)
    axes.set_xlabel("f")
    least_squares = title == LOSSES["least_squares"]
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
    if title == LOSSES["saturating"]:
        density.legend(loc="lower center")


def _draw_seeds(axes: Axes, rows: list[Row], kind: str, quantity: str, title: str) -> None:
    for x, gamma in enumerate(GAMMAS):
        found = column(rows, f"{kind}_{gamma}", quantity)
        axes.plot([x] * len(found), found, "o", ms=4, mec="black", mew=0.3, color=COLOURS[gamma])
    axes.set_xlim(-0.5, 1.5)
    axes.set_ylim(bottom=0)
    axes.set_xticks([0, 1], ["middle", "beta"])
    axes.set_xlabel("gamma")
    axes.set_title(title)


ENTRY = Entry(_measure, _claims, _draw)
