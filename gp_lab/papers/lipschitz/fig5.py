"""lipschitz, Figs. 5 and 6: losses that meet Eq. 10, and how fast each comes to its optimum."""

from collections.abc import Sequence
from itertools import cycle, product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.spatial.distance import cdist

from gp_lab.errors import counted
from gp_lab.figures.claims import Claim, Test, computed, paired_greater, stated
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import panels
from gp_lab.figures.style import panels_above_curves
from gp_lab.figures.table import Row, Table
from gp_lab.theory.eq10 import CONDITIONS, conditions, free_offset
from gp_lab.theory.lipschitz import OptimalDiscriminator, optimal_lipschitz

WORDS = {
    "wasserstein": "x",
    "vanilla": "-log sigmoid(-x)",
    "sqrt": "sqrt(x^2 + 1) + x",
    "exp": "exp(x)",
    "combined": "the combination, alpha = beta = 1",
    "combined_tenth": "the combination, alpha = beta = .1",
}
"""phi in sentences."""

CONVERGED = 0.1
"""A run has converged when its error stays below this share of the spread of f*."""

RISE = 2.0
"""Between a fake's and a real's value, where the offset is looked for."""

NO_SLOPE = 1e-3
"""A slope below this share of the largest blocks training."""

LINES = (
    ("#000000", "-"), ("#0072B2", "--"), ("#009E73", "-."),
    ("#CC79A7", (0, (5, 1, 1, 1, 1, 1))), ("#D55E00", "-"), ("#E69F00", (0, (3, 1))),
)  # fmt: skip

TITLES = (
    r"above: $\phi$, of a value $x$ of $f$; $\varphi(x) = \phi(-x)$; the last two (Fig. 6) combine"
    r" two, $-\frac{\alpha}{\beta} \log\sigma(-\beta x) + x$, with $\alpha = \beta$ of 1 and .1"
)

TOOK = (
    f"mean steps until the error stays below {CONVERGED:g},\n"
    "and seeds that came there; one that did not\n"
    "counts as if it had just after its end, hence ≥"
)


def measure(run: Run) -> Row:
    curves = run.arrays("loss")
    f, slope = curves["f"], curves["phi_slope"]
    met = conditions(f, slope, curves["varphi_slope"])
    steps, error = errors(run)
    return {
        "conditions_met": sum(met.values()),
        "slope_min": float(slope.min()),
        "slope_max": float(slope.max()),
        "alpha": float(run.folder.config["loss"].get("alpha", 0.0)),
        "free_offset": free_offset(f, curves["phi"], curves["varphi"], RISE),
        "axis": float(f[-1] - f[0]),
        "steps_to_converge": steps_to_converge(steps, error),
        "converged": bool(error[-1] < CONVERGED),
        "error": float(error[-1]),
    }


def errors(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """The steps at which f was looked at, and its RMSE to f* there over the spread of f* [n].

    Over the points of both sets; with phi = x the best offset is taken off first.
    """
    exact, found, steps = _optimum(run), [], run.folder.array_steps("gradients")
    best = np.concatenate([exact.at_real, exact.at_fake])
    for step in steps:
        difference = _values(run, step, exact) - best
        if run.folder.config["loss"]["name"] == "wasserstein":
            difference = difference - np.nanmean(difference)
        found.append(float(np.sqrt(np.nanmean(difference**2)) / best.std()))
    return np.array(steps), np.array(found)


def _optimum(run: Run) -> OptimalDiscriminator:
    config = run.folder.config
    real, fake = (
        source["distribution"]["points"]
        for source in (config["dataset"], config["architecture"]["latent"])
    )
    weight = config["penalty"].get("weight", 1.0)  # a penalty of one's own may have none
    return optimal_lipschitz(real, fake, config["loss"]["name"], weight)


def _values(run: Run, step: int, exact: OptimalDiscriminator) -> np.ndarray:
    """f at the points of both sets [n + m]; NaN for one that the probe did not draw."""
    data, found = run.folder.arrays("gradients", step), []
    for kind, points in (("real", exact.real), ("fake", exact.fake)):
        distance = cdist(points, data[kind], "chebyshev")
        here = distance.min(1) < 1e-5  # float32 on disk
        found.append(np.where(here, data[f"{kind}_logit"][distance.argmin(1)], np.nan))
    return np.concatenate(found)


def steps_to_converge(steps: np.ndarray, error: np.ndarray) -> int:
    """The first of `steps` [n] from which `error` [n] stays below `CONVERGED`.

    One spacing beyond the last where there is none: it took longer than one that got there last.
    """
    above = np.flatnonzero(~(error < CONVERGED))
    first = above[-1] + 1 if len(above) else 0
    return int(steps[first] if first < len(steps) else 2 * steps[-1] - steps[-2])


def claims(table: Table) -> list[Claim]:
    found = []
    for loss in WORDS:
        measured = [row for row in table.at(loss=loss).rows if "conditions_met" in row]
        found += [claim for row in measured[:1] for claim in _of_loss(loss, row)]
    took = {loss: table.values("steps_to_converge", loss=loss) for loss in WORDS}
    said = f"steps until the error stays below {CONVERGED:.0%} of the spread of f* (or the budget)"
    for ours, other in product(("combined", "combined_tenth"), WORDS):
        if not other.startswith("combined"):
            text = f"the combination ({WORDS[ours]}) converges faster than {WORDS[other]}"
            quantity = f"{said}, {WORDS[other]} minus combination"
            test = paired_greater(took[other], took[ours], quantity=quantity)
            found += stated("lipschitz, App. D", {text: test}, about={"loss": [ours, other]})
    return found


def _of_loss(loss: str, row: Row) -> list[Claim]:
    """What a loss's own curves decide: nothing of it depends on training."""
    found = []

    def add(says: str, test: Test, where: str, paper: str | None = None) -> None:
        found.append(Claim(f"phi = {WORDS[loss]} {says}", test, where, paper))

    eq10, most = "lipschitz, Eq. 10, App. D and Fig. 5", len(CONDITIONS)
    said = f"conditions that hold, of {most}"
    add("meets Eq. 10", computed(row["conditions_met"], most - 0.5, quantity=said), eq10)
    share, said = row["free_offset"] / row["axis"], "optimal offsets as a share of the axis"
    if loss == "wasserstein":
        add("leaves the offset free", computed(share, 0.5, 2.0, quantity=said), eq10)
    else:
        add("has one optimal offset", computed(share, -1.0, 0.01, quantity=said), eq10)
    if loss.startswith("combined"):
        low, high = 1.0, 1.0 + row["alpha"]
        inwards = min(row["slope_min"] - low, high - row["slope_max"])
        test = computed(inwards, 0.0, quantity="least distance of a slope to the ends, inwards")
        add("has slopes inside (1, 1 + alpha)", test, "lipschitz, Fig. 6", "(1, 1 + alpha)")
    if loss == "vanilla":
        said = "smallest slope on the axis over the largest"
        test = computed(row["slope_min"] / row["slope_max"], below=NO_SLOPE, quantity=said)
        add("loses its slope where |f| is large", test, "lipschitz, App. D")
    return found


def draw(runs: Runs, table: Table) -> Figure:
    """phi and varphi of each loss; below them the way of each to its optimum."""
    titles = table.grid.titles("loss")
    figure, (top,), (below,) = panels_above_curves(1, len(titles), 1, height=5.4)
    drawn = panels(top, runs, table.grid.named("loss"), _curves)
    for i, ((loss, title), look) in enumerate(zip(titles.items(), cycle(LINES), strict=False)):
        if seeds := runs.at(loss=loss):
            _course(below, seeds, f"{title}: {_took(table, loss)}", look, (i, len(titles)))
    below.axhline(CONVERGED, color="0.5", lw=0.6, label="converged")
    below.set(yscale="log", xlabel="iterations", ylabel="RMSE to f* / spread of f*")
    below.set_title("how fast each comes to its optimum: median over seeds, bars: quartiles")
    if drawn:
        drawn[0].legend(loc="upper center")
        top[0].set_ylabel("loss")
        top[0].figure.supxlabel(TITLES, fontsize=8)
        below.legend(loc="upper left", bbox_to_anchor=(1, 1), title=TOOK)
    return figure


def _course(
    axes: Axes, runs: Sequence[Run], label: str, look: tuple[str, Any], every: tuple[int, int]
) -> None:
    """The median of the errors of runs, and `every` so many steps their quartiles."""
    found = [errors(run) for run in runs]
    low, middle, high = np.quantile([error for _, error in found], [0.25, 0.5, 0.75], axis=0)
    colour, style = look
    axes.errorbar(
        found[0][0], middle, [middle - low, high - middle], errorevery=every, label=label,
        color=runs[0].colour or colour, ls=style, lw=1.3, elinewidth=0.8, capsize=1.5,
    )  # fmt: skip


def _took(table: Table, loss: str) -> str:
    """How many steps the seeds took; a bound where some have not come there."""
    there = table.column("converged", loss=loss)
    bound = "" if there.all() else "≥ "
    took = f"{bound}{table.mean('steps_to_converge', loss=loss):,.0f}" if there.any() else "never"
    return f"{took}, {there.sum():.0f} of {counted(len(there), 'seed')}"


def _curves(axes: Axes, run: Run) -> None:
    curves = run.arrays("loss")
    axes.plot(curves["f"], curves["phi"], color="#0072B2", label=r"$\phi$")
    axes.plot(curves["f"], curves["varphi"], color="#E69F00", ls="--", label=r"$\varphi$")
    axes.set(xlim=(-3, 3), ylim=(-3, 8), xticks=[-2, 0, 2])
    axes.axhline(0, color="0.7", lw=0.4, zorder=0)
    axes.axvline(0, color="0.7", lw=0.4, zorder=0)


ENTRY = Entry(measure, claims, draw)
