"""lipschitz, Fig. 1: LSGAN's surface on disjoint supports, converged and complex."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.evaluation.points import cosines
from gp_lab.figures.claims import COSINE, Claim, inside, less, only_if, stated
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import colour_bar, page
from gp_lab.figures.table import Row, Table
from gp_lab.papers.lipschitz import _scene as scene

GAP = 1.0
"""Between the border points of the fakes and the square of the reals."""

MARGIN = 0.05
"""A fake is inside if it lies farther than this from the border of the inner square."""

UNDIRECTED = 0.5
"""Fakes are not led to the reals if the mean cosine lies within this of 0: 60 degrees or more. On
average: a gradient straight out of a closed square leads nowhere, too."""

FITTED = 0.1
"""f has come to its optimum if its error is below this, the pilot's bound; one that has learnt
nothing leads nowhere either."""

CAPTION = (
    "slope inside: the median |∇f| of fakes in the inner square, as a share of a straight ramp's"
    " from -1 to 1 over the gap;\nthe mean over seeds"
)


def at_fakes(run: Run) -> Row:
    """How steep f is at inner fakes, and where the gradients at inner and border fakes lead.

    Norms are shares of (beta - alpha) / gap; cosines are with the way to the nearest real of the
    support; the run is one of `architecture=fixed_isolated` against one square. `error` is the RMSE
    of f to LSGAN's optimum on disjoint supports: alpha at fakes, beta at reals.
    """
    config, data = run.folder.config, run.arrays("gradients")
    _, square = config["architecture"]["latent"]["distribution"]["components"]
    fake, gradient = data["fake"], data["fake_gradient"]
    alpha, beta = scene.targets(run)
    norm = np.linalg.norm(gradient, axis=1) * GAP / (beta - alpha)
    cosine = cosines(gradient, scene.to_square(fake, config["dataset"]["distribution"]))
    inner = scene.inside_square(fake, square, MARGIN)
    border = ~scene.inside_square(fake, square, -MARGIN)
    off = np.concatenate([data["real_logit"] - beta, data["fake_logit"] - alpha])
    return {
        "error": float(np.sqrt(np.mean(off**2))),
        "f_real": float(data["real_logit"].mean()),
        "f_fake": float(data["fake_logit"].mean()),
        "norm_inner": float(np.median(norm[inner])),
        "norm_border": float(np.median(norm[border])),
        "share_vanish_inner": float((norm[inner] < scene.VANISHED).mean()),
        "cosine_inner": scene.known_mean(cosine[inner]),
        "cosine_border": scene.known_mean(cosine[border]),
    }


def claims(table: Table) -> list[Claim]:
    norm = "median |grad f| at inner fakes over (beta - alpha) / gap"
    cosine = "mean cosine of grad f at border fakes with the way to the nearest real"
    inner = table.values("norm_inner", surface="converged")
    where = "lipschitz, Fig. 1 and sec. 2.1, case 1"
    # Of what vanishes `about` says nothing: where f* is reached, D is exactly flat at most inputs.
    found = stated(where, {
        f"converged: inside p_G the gradient vanishes (below {scene.VANISHED:.0%} of a straight"
        " ramp's)":
            less(inner, scene.VANISHED, quantity=norm),
    })  # fmt: skip
    for level, title in table.grid.titles("surface").items():
        border = table.values("cosine_border", surface=level)
        test = inside(border, -UNDIRECTED, UNDIRECTED, quantity=cosine, within=COSINE)
        fits = less(table.values("error", surface=level), FITTED)
        test = only_if(fits, test, f"f is not within {FITTED:g} of its optimum")
        text = (
            f"{title}: gradients at isolated fakes on the border do not lead to the reals (mean"
            f" cosine within {UNDIRECTED} of 0)"
        )
        found += stated(where, {text: test})
    return found


def draw(runs: Runs, table: Table) -> Figure:
    def surface(axes: Axes, run: Run) -> str:
        fake, which = np.unique(run.arrays("gradients")["fake"], axis=0, return_index=True)
        border = np.abs(fake - [-1, 0]).max(1) > 0.4
        which = np.concatenate([which[border], which[~border][::60]])
        scene.draw_surface(axes, run, fakes=which)
        scene.draw_directions(axes, run, which)
        return f"{run.step:,} steps; mean slope inside {table.mean('norm_inner', **run.cell):.2g}"

    figure, grid = page(runs, surface, "surface", height=4.2, legend={"place": "upper center"})
    for axes in grid.flat:
        axes.set(xlabel=scene.AXES["xlabel"])
    grid[0, 0].set(**scene.AXES)
    colour_bar(grid.flat, location="bottom", shrink=0.5, aspect=40, **scene.BAR)
    figure.supxlabel(CAPTION, fontsize=7)
    return figure


ENTRY = Entry(at_fakes, claims, draw)
