"""lipschitz, Figs. 4 and 7: where gradients at images of noise lead."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.evaluation.points import cosines
from gp_lab.figures.claims import Claim, less, paired_greater, stated
from gp_lab.figures.entry import Arrays, Entry, Run, Runs
from gp_lab.figures.plots import page
from gp_lab.figures.table import Row, Table
from gp_lab.papers.lipschitz._against_optimum import compare
from gp_lab.probes.pictures import grid_picture

PASSES = 0.1
"""A path passes through a real if it comes as near as this share of the way |x - y| there."""

PLACES = {"discrete": "lipschitz, Fig. 4 and Lemma 3.3.2", "continuous": "lipschitz, Fig. 7"}

STEPS = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Of the path to its point nearest to the real: epsilon in x + epsilon grad f."""

SHOWN = 10

HEADS = ("$x$", r"$\nabla f(x)$", *(rf"${step:g}\,\epsilon^*$" for step in STEPS), "$y$")
"""Of the columns of tiles."""

CAPTION = (
    r"a row: noise $x$; $\nabla f(x)$, grey where 0, black and white at $\pm$ its own largest"
    r" entry; $x + \epsilon \nabla f(x)$ up to $\epsilon^*$, where it"
    "\n"
    r"is nearest to the real $y$; of the reals the one that it comes nearest to in shares of $|x -"
    r" y|$; the cosine is that of $\nabla f(x)$ with $y - x$"
)


def flat(stored: Arrays) -> Arrays:
    """Arrays of the probe `pairs`, images and gradients [n, C, H, W] as vectors."""
    return {k: x.reshape(len(x), -1) if x.ndim == 4 else x for k, x in stored.items()}


def to_reals(fake: np.ndarray, gradient: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Cosines [fakes, reals] of a direction [fakes, d] at each fake with the ways to the reals."""
    return np.array([cosines(gradient, y - fake) for y in real]).T


def miss(cosine: np.ndarray) -> np.ndarray:
    """How near the path of each fake comes to the real that it comes nearest to, over |x - y|.

    The sine of the angle between them, 1 for a path that leads away; from cosines [fakes, reals].
    """
    return np.sqrt(1 - np.clip(cosine.max(1), 0, 1) ** 2)


def measure(run: Run) -> Row:
    stored = flat(run.arrays("pairs"))
    real, fake = stored["real"], stored["fake"]
    found = to_reals(fake, stored["fake_gradient"], real)
    to_middle = to_reals(fake, real.mean(0) - fake, real)
    row: Row = {
        "data": run.folder.config["dataset"]["name"],
        "miss": float(np.nanmean(miss(found))),
        "miss_middle": float(miss(to_middle).mean()),
        "passes": float(np.mean(miss(found) < PASSES)),
        "cosine_nearest": float(np.nanmean(found.max(1))),
        "reals_pointed_to": len(np.unique(found.argmax(1))),
    }
    if run.cell["noise"] == "discrete":  # the ten fakes that D is trained on: f* is known
        weight = float(run.folder.config["penalty"].get("weight", 1.0))
        row |= compare(stored, run.folder.config["loss"]["name"], weight).row()
    return row


def claims(table: Table) -> list[Claim]:
    found = []
    for noise, name in table.grid.titles("noise").items():
        values, middle = (table.values(q, noise=noise) for q in ("miss", "miss_middle"))
        near = "least distance of x + eps grad f to a real y over |x - y|, mean over fakes"
        less_than = f"within {PASSES:.0%} of |x - y|"
        tests = {
            f"{name}: the paths along gradients pass through a real image ({less_than})":
                less(values, PASSES, quantity=near, within=(0, 1)),
            f"{name}: gradients point to one of the real images, not to the middle of them":
                paired_greater(middle, values, quantity=f"{near}: to the mean image minus grad f"),
        }  # fmt: skip
        found += stated(PLACES[noise], tests, about={"noise": noise})
    return found


def draw(runs: Runs, table: Table) -> Figure:
    def paths(axes: Axes, run: Run) -> str:
        picture = grid_picture(mosaic(run.arrays("pairs")), len(HEADS))
        axes.imshow(picture)
        middles = (np.arange(len(HEADS)) + 0.5) * picture.shape[1] / len(HEADS)
        axes.xaxis.tick_top()
        axes.set_xticks(middles, HEADS, fontsize=6)
        axes.tick_params(length=0, pad=1)
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        miss, cosine = (table.mean(q, **run.cell) for q in ("miss", "cosine_nearest"))
        return f"least distance to y: mean {miss:.2f} |x - y|; mean cosine {cosine:.2f}"

    figure, _ = page(runs, paths, "noise", height=4.8, share=False, legend=None)
    figure.supxlabel(CAPTION, fontsize=7)
    return figure


def mosaic(stored: Arrays) -> np.ndarray:
    """Row after row x, its gradient, the path and the real y, as bytes [n, C, H, W]."""
    vectors, shown = flat(stored), []
    real, fake, gradient = (vectors[k] for k in ("real", "fake", "fake_gradient"))
    nearest = np.nan_to_num(to_reals(fake, gradient, real)).argmax(1)
    for x, g, y in list(zip(fake, gradient, real[nearest], strict=True))[:SHOWN]:
        length = max(0.0, float((y - x) @ g)) / max(float(g @ g), 1e-300)
        path = [x + step * length * g for step in STEPS]
        shown += [x, g / max(np.abs(g).max(), 1e-300), *path, y]
    images = np.array(shown).reshape(-1, *stored["fake"].shape[1:])
    return np.clip(128 * images + 127.5, 0, 255).astype(np.uint8)


ENTRY = Entry(measure, claims, draw)
