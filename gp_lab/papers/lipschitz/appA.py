# ruff: noqa: N999
"""lipschitz, App. A: ways of enforcing a Lipschitz constraint against the exact optimum."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import (
    Claim,
    Test,
    Verdict,
    inside,
    less,
    paired_greater,
    share_of,
    stated,
    undecided,
)
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import band, by_seed, legend_above, panels
from gp_lab.figures.style import panels_above_curves, plain_log
from gp_lab.figures.table import Row, Table
from gp_lab.launching.grid import Cell, Grid
from gp_lab.papers.lipschitz._against_optimum import Comparison, compare
from gp_lab.papers.lipschitz._scene import draw_coupling, draw_plane
from gp_lab.theory.lipschitz import wasserstein_slope
from gp_lab.theory.transport import exact_critic

CONVERGED = 0.05
"""A method converges if its error is below this share of the optimum's standard deviation."""

VANISHED = 0.01
"""Slopes vanish below this, where 1 is allowed."""

AGREES = 0.05
"""A trained k is the lemma's within this share; the programme's is within a hundredth of it."""

OWN = "mean_squared"
"""The method that the paper does not name."""

HELD = 1e6
"""The lambda that holds k at k0."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "black", "0.55")

WHERE = "lipschitz, App. A, which withholds its method: max-GP is that of the authors' later code"


def _trained(grid: Grid) -> dict[str, Cell]:
    """Names and cells of all but the 16 layers, which are looked at before the first step."""
    return grid.named("method", "loss", layers="4")


def _constraint(run: Run) -> tuple[float, float]:
    """lambda and k0 of a run's own constraint."""
    penalty = run.folder.config["penalty"]
    if not {"weight", "center"} <= set(penalty):  # none, or one's own
        return HELD, 1.0
    return float(penalty["weight"]), float(penalty["center"])


def _compare(run: Run) -> Comparison:
    return compare(run.arrays("pairs"), run.folder.config["loss"]["name"], *_constraint(run))


def falls(errors: Sequence[float]) -> float:
    """By what share the mean of errors [k] falls from their third quarter to their last: whether
    more training would still bring a critic nearer. NaN for fewer than four."""
    if len(errors) < 4:
        return float("nan")
    third, last = (float(np.mean(part)) for part in np.array_split(errors, 4)[2:])
    return 1 - last / third


def measure(run: Run) -> Row:
    start = run.arrays("pairs", 0)
    gradients, values = (
        np.concatenate([start[f"real_{what}"], start[f"fake_{what}"]])
        for what in ("gradient", "logit")
    )
    row: Row = {
        "slope_at_start": float(np.linalg.norm(gradients, axis=1).mean()),
        "spread_at_start": float(np.std(values)),
    }
    if run.cell["layers"] == "16":
        return row
    found = _compare(run)
    row |= found.row() | {"error_falls": falls(_course("error", run)[1])}
    if found.loss == "wasserstein":
        w1 = exact_critic(found.optimum.real, found.optimum.fake).w1
        lemma = wasserstein_slope(w1, *_constraint(run))
        row |= {"w1": w1, "k_lemma": lemma, "lemma_error": abs(found.optimum.k / lemma - 1)}
    return row


def claims(table: Table) -> list[Claim]:
    paired = table.grid.at(loss="wasserstein", layers="4")
    errors = [table.values("lemma_error", **one.cell) for one in paired]
    largest = "largest |k / lemma's k - 1| of the convex programmes"
    max_gp = table.values("k_share", method="max_gp", loss="wasserstein")
    k = "k(f) on points and coupled segments over W1 / (2 lambda)"
    start = table.at(method="spectral_norm", layers="16")
    slope = "mean |grad f| on the points before the first step"
    trained = _trained(table.grid)
    tests = {name: _converges(table, name, cell) for name, cell in trained.items()}
    others = {name: cell for name, cell in trained.items() if cell["method"] != "max_gp"}
    reached = all(tests[name][1].verdict == Verdict.SUPPORTED for name in trained.keys() - others)
    converges = []
    for name, (text, test) in tests.items():
        if name in others and test.verdict == Verdict.SUPPORTED and not reached:
            test = undecided(test, f"max-GP does not come below {CONVERGED:.0%} either")
        converges += stated(_where(trained[name]), {text: test}, about=trained[name])
    nearer = "RMSE to the optimum over its deviation, the other's minus max-GP's"
    for name, cell in others.items():
        ours = {**cell, "method": "max_gp"}
        # Its own optimum is that of another constraint, and larger: of it the shape is compared.
        error, shape = ("error_of_shape", " in shape") if cell["method"] == OWN else ("error", "")
        theirs, its = (table.values(error, **one) for one in (cell, ours))
        test = paired_greater(theirs, its, quantity=nearer + " after the best scale" * bool(shape))
        text = f"max-GP comes nearer to the optimal f*{shape} than {name}"
        converges += stated(_where(cell), {text: test}, about=[cell, ours])
    # Without `about`: an exact programme; gradients that vanish before the first step.
    return [
        *converges,
        *stated("lipschitz, App. A, after Lemma A.0.1", {
            "with phi = x and lambda (k - k0)^2 the optimal k is W1 / (2 lambda) + k0":
                less(np.max(errors, 0), AGREES / 5, quantity=largest),
        }),
        *stated("lipschitz, App. A, after Lemma A.0.1", {
            "max-GP finds that k when it trains":
                inside(max_gp, 1 - AGREES, 1 + AGREES, quantity=k),
        }, about={"method": "max_gp", "loss": "wasserstein"}),
        *stated("lipschitz, App. A", {
            f"spectral norm: gradients vanish at the start (below {VANISHED}, 16 layers)":
                less(start.values("slope_at_start"), VANISHED, quantity=slope),
        }),
    ]  # fmt: skip


def _where(cell: Cell) -> str:
    return WHERE + " (mean squared slope is ours)" * (cell["method"] == OWN)


def _converges(table: Table, name: str, cell: Cell) -> tuple[str, Test]:
    """That max-GP does, or that another method does not."""
    error = "RMSE to the optimum on points and coupled segments over the optimum's deviation"
    if cell["method"] == "max_gp":
        text = f"{name} converges to the optimal f* (error below {CONVERGED:.0%})"
        return text, less(table.values("error", **cell), CONVERGED, quantity=error)
    text = f"{name} fails to converge to the optimal f* (error above {CONVERGED:.0%})"
    reached = table.outcomes("error", **cell)
    failed = f"share of seeds that diverge, or whose {error} is above {CONVERGED:.0%}"
    return text, share_of(~(reached <= CONVERGED), quantity=failed)


def draw(runs: Runs, table: Table) -> Figure:
    def surface(axes: Axes, run: Run) -> str:
        found, at_grid = _compare(run), run.arrays("surface")
        axis, exact = at_grid["axis"], found.optimum
        draw_plane(axes, axis, axis, at_grid["logit"], exact.real, exact.fake, size=14)
        label = "coupled in the exact optimum (its k in brackets)"
        draw_coupling(axes, exact, len(exact.fake), label)
        return f"error {found.row()['error']:.2f}, k = {found.slope():.2f} ({exact.k:.2f})"

    cells = _trained(runs.grid)
    lines = -(-len(cells) // 3)
    figure, planes, (errors, slopes, start) = panels_above_curves(lines, 3, 3, 2.2 * (lines + 1))
    panels(planes.flat, runs, cells, surface)
    for (title, cell), colour in zip(cells.items(), cycle(COLOURS)):
        for below, quantity, first in ((errors, "error", 0), (slopes, "k_share", 1)):
            course = partial(_course, quantity, first=first)
            band(below, runs.at(**cell), course, title, color=colour)
    legend_above(planes[0, 0].figure, planes.ravel(), "upper center", facecolor="0.7")
    seeds = "mean over seeds (shaded: range)"
    legend_above(errors.figure, [errors], "lower center", fontsize=6, title=seeds, title_fontsize=6)
    deep = table.by("method", "slope_at_start", ["spectral_norm", "none"], layers="16")
    by_seed(start, deep, (COLOURS[0], "0.7"))
    for axes, line, words in (
        (errors, CONVERGED, "error, as a share of the optimum's deviation\n(dotted: converged)"),
        (slopes, 1.0, "k(f) over the optimum's k, after the start\n(dotted: equal)"),
        (start, VANISHED, "mean |grad f| at the start, 16 layers\n(dotted: vanished)"),
    ):
        axes.axhline(line, color="black", linewidth=0.6, linestyle=":")
        axes.set(yscale="log", xlabel="" if axes is start else "iteration")
        axes.set_title(words, fontsize=7)
    plain_log(slopes, "y")
    return figure


def _course(quantity: str, run: Run, first: int = 0) -> tuple[list[int], list[float]]:
    """The stored steps from the first on, and a quantity of the row at each."""
    steps, last = run.steps("pairs")[first:], _compare(run)
    at = [replace(last, stored=run.arrays("pairs", step)) for step in steps]
    return steps, [then.row()[quantity] for then in at]


ENTRY = Entry(measure, claims, draw)
