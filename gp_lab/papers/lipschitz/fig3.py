"""lipschitz, Fig. 3: value surfaces under a Lipschitz constraint beside the exact optima."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gp_lab.figures.claims import COSINE, Claim, greater, paired_greater, stated
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import colour_bar, legend_above
from gp_lab.figures.style import empty, new_figure
from gp_lab.figures.table import Row, Table
from gp_lab.papers.lipschitz._against_optimum import Comparison, compare
from gp_lab.papers.lipschitz._scene import AXES, draw_coupling, draw_plane, draw_units
from gp_lab.theory.surfaces import plane

POINTING = 0.9
"""A gradient points to its coupled real above this mean cosine."""

CAPTION = (
    "exact: off the coupled segments, where optima differ, the midpoint of the highest and the"
    " lowest one\n"
    "trained, Wasserstein: f less its mean difference from the exact f at the samples\n"
    "k: the Lipschitz constant of f, its steepest slope between samples and on coupled segments\n"
    "cosine: between ∇f at a fake and the way to its coupled real, mean over fakes and seeds"
)

HIGHEST = 1.5
"""The window is of the paper's shape: from -2 to 2, and from minus this to this."""

SHOWN = 30
"""So many fakes are drawn, each with its gradient, and the reals that they are coupled with."""

LEVELS = 16


def _compare(run: Run) -> Comparison:
    config = run.folder.config
    weight = config["penalty"].get("weight", 1.0)  # a penalty of one's own may have none
    return compare(run.arrays("pairs"), config["loss"]["name"], float(weight))


def measure(run: Run) -> Row:
    found = _compare(run)
    return found.row() | {"cosine_random": float(np.nanmean(found.random_cosines()))}


def claims(table: Table) -> list[Claim]:
    found = []
    for loss, name in table.grid.titles("loss").items():
        coupled, random = (table.values(q, loss=loss) for q in ("cosine", "cosine_random"))
        text = f"{name}: gradients at fakes point to their coupled reals (cosine > {POINTING})"
        cosine = "mean cosine of grad f at fakes with the way to the coupled real"
        tests = {text: greater(coupled, POINTING, quantity=cosine, within=COSINE)}
        minus = "mean cosine, coupled minus random directions"
        more = paired_greater(coupled, random, quantity=minus)
        tests[f"{name}: more so than in random directions"] = more
        found += stated("lipschitz, Fig. 3 and sec. 3.3", tests, about={"loss": loss})
    return found


def draw(runs: Runs, table: Table) -> Figure:
    losses = runs.grid.titles("loss")
    figure, grid = new_figure(2, len(losses), 5.6)
    for column, (loss, name) in zip(grid.T, losses.items(), strict=True):
        run = runs.first(loss=loss)
        if run is None:
            for axes in column:
                empty(axes, name)
            continue
        found, at_grid = _compare(run), run.arrays("surface")
        stored, axis, trained = found.stored, at_grid["axis"], at_grid["logit"]
        at = plane(axis)
        # All optima lie between these two, and agree on the coupled segments.
        exact = ((found.optimum(at) + found.optimum.lowest(at)) / 2).reshape(trained.shape)
        if loss == "wasserstein":
            trained = trained - _offset(found)
        cosine = table.mean("cosine", loss=loss)
        titles = (
            f"{name}, trained\nmean cosine {cosine:.2f}, k = {found.slope():.2f}",
            f"{name}, exact optimum\nk = {found.optimum.k:.2f}",
        )
        inside = np.abs(axis) <= HIGHEST
        shown = np.stack([trained, exact])[:, inside]
        levels = MaxNLocator(LEVELS).tick_values(shown.min(), shown.max())
        partner, fake = found.optimum.partner()[:SHOWN], stored["fake"][:SHOWN]
        real = stored["real"][np.unique(partner[partner >= 0])]
        for axes, values, title in zip(column, shown, titles, strict=True):
            draw_plane(axes, axis, axis[inside], values, real, fake, size=9, levels=levels)
            axes.set_title(title)
        colour_bar(column, "f", shrink=0.8)
        draw_units(column[0], fake, stored["fake_gradient"][:SHOWN], scale=15)
        draw_coupling(column[1], found.optimum, SHOWN, "coupled segment")
        column[1].set(xlabel=AXES["xlabel"])
    for axes in grid[:, 0]:
        axes.set(ylabel=AXES["ylabel"])
    legend_above(figure, grid.ravel(), "upper center", facecolor="0.7")
    figure.supxlabel(CAPTION, fontsize=7)
    return figure


def _offset(found: Comparison) -> float:
    """By how much f lies above f* on average over the samples: phi = x leaves it free."""
    of, f = found.stored, found.optimum
    return float(np.mean([*(of["real_logit"] - f.at_real), *(of["fake_logit"] - f.at_fake)]))


ENTRY = Entry(measure, claims, draw)
