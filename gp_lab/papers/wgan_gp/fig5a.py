"""wgan_gp, Fig. 5a: the negative critic loss while a GAN learns LSUN bedrooms; FID beside it."""

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, greater, less, rank_correlations, stated
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import curves, panel
from gp_lab.figures.style import COLOURS, new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.papers import _scores
from gp_lab.papers._scores import judge, probe_of

EARLY = 0.1
"""Until this share of the run the critic learns more of W1 than there was: no trend of G's."""

PAPERS = "wgan_gp"
"""The paper's own method; one that has joined is drawn beside it."""


def measure(run: Run) -> Row:
    row = _scores.measure(run)
    _, loss = course(run)
    fid = fids(run)
    return row | {
        "loss_first": loss[0],
        "loss_last": loss[-1],
        "trend": float(correlation(np.arange(len(loss)), loss)),
        "slowing": slowing(loss),
        "follows_fid": float(correlation(fid, loss)),
    }


def course(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Steps and the negative critic loss on training images, [k] each, from a tenth of the run."""
    steps, loss = run.course("critic_losses", lambda at: -at["train_loss"])
    late = steps >= EARLY * run.step
    return steps[late], loss[late]


def fids(run: Run) -> np.ndarray:
    """FID [k] at the steps of `course`, NaN where there are no weights of the Inception network."""
    probe, (steps, _) = probe_of(run), course(run)
    known = {step: run.arrays(probe, step) for step in run.steps(probe)}
    return np.array([float(known.get(step, {}).get("fid", np.nan)) for step in steps])


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's, NaN where an entry is NaN or all of x [k] are equal."""
    if np.isnan(x).any() or len(np.unique(x)) < 2:
        return float("nan")
    return float(rank_correlations(x, y[None])[0])


def slowing(loss: np.ndarray) -> float:
    """How much more of a curve's [k] fall is in its first half than in its second, over the whole
    range: 1 all of it, 0 a straight line. NaN for fewer than 3 points or a constant."""
    if len(loss) < 3 or not np.ptp(loss) > 0:
        return float("nan")
    middle = loss[len(loss) // 2]
    return float(((loss[0] - middle) - (middle - loss[-1])) / np.ptp(loss))


def claims(table: Table) -> list[Claim]:
    trend, slower, follows = (
        table.values(k, method=PAPERS) for k in ("trend", "slowing", "follows_fid")
    )
    late = f"after {EARLY:.0%} of the run"
    tests = {
        "the negative critic loss falls while the generator learns":
            less(trend, 0.0, within=(-1, 1),
                 quantity=f"rank correlation of the negative critic loss with the step, {late}"),
        "it converges: more of its fall is in the first half than in the second":
            greater(slower, 0.0,
                    quantity=f"fall in the first half minus that in the second, over all, {late}"),
        "it correlates with sample quality":
            greater(follows, 0.0, within=(-1, 1),
                    quantity="rank correlation of the negative critic loss with"
                    f" {judge(table)} FID, {late}"),
    }  # fmt: skip
    return stated("wgan_gp, sec. 5.6 and Fig. 5a", tests, about={"method": PAPERS})


def draw(runs: Runs, table: Table) -> Figure:
    figure, (axes,) = new_panels(1, 3, height=2.6)
    loss, fid, images = axes
    for (method, title), colour in zip(runs.grid.titles("method").items(), COLOURS, strict=False):
        found = runs.at(method=method)
        curves(loss, found, course, title, color=colour)
        curves(fid, found, lambda run: (course(run)[0], fids(run)), title, color=colour)
    loss.set(ylabel="negative critic loss", xlabel="iteration", title="estimate of $W_1$")
    fid.set(ylabel=f"{judge(table)} FID", xlabel="iteration", ylim=(0, None))
    fid.set_title("quality of samples (not in the paper's)")
    for one in (loss, fid):
        one.locator_params(axis="x", nbins=4, integer=True)
    if len(runs.grid.titles("method")) > 1:
        loss.legend()
    images.set_axis_off()
    figure.supxlabel(
        f"curves from {EARLY:.0%} of the run on; thick: the first seed, whose samples are shown,"
        " thin: the others", fontsize=7,
    )  # fmt: skip
    title = f"samples, {table.title(method=PAPERS)}"
    panel(images, runs.first(method=PAPERS), title, _scores.samples)
    return figure


ENTRY = Entry(measure, claims, draw)
