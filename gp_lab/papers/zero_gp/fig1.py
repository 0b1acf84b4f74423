"""zero_gp, Fig. 1: value surfaces of discriminators on samples of two fixed Gaussians."""

import math
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import multivariate_normal

from gp_lab.figures.claims import (
    Claim,
    Test,
    greater,
    less,
    paired_greater,
    stated,
    supported_only_if,
)
from gp_lab.figures.entry import Arrays, Entry, Run, Runs
from gp_lab.figures.plots import colour_bar, legend_above, panel
from gp_lab.figures.style import new_figure
from gp_lab.figures.table import Row, Table
from gp_lab.papers.zero_gp._drawing import LABEL, LEVELS, draw_values
from gp_lab.papers.zero_gp._reading import A_POINT, NO_LETTER, accuracies
from gp_lab.theory.optimal import optimal_discriminator
from gp_lab.theory.surfaces import rmse

TINY = 0.1
"""A gradient on training points is called tiny below this share of the largest on the grid; that of
D* itself is a third of it."""

EXPLAINED = 0.5
"""A surface is very different from D* if it explains less than this share of its variance."""

NOTE = (
    "RMSE: to D*, weighted by p_r + p_g; (b): of 1,000 samples of each kind 200 are drawn;\n"
    + NO_LETTER
)

NOT_BETTER = 0.05
"""0-GP-sample is called no better than no penalty if it gains less than this share."""


def _densities(run: Run, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log p_r and log p_g [points, points] on the grid, from the run's own config."""
    grid, config = np.stack(np.meshgrid(axis, axis), axis=-1), run.folder.config
    found = []
    for source in (config["dataset"], config["architecture"]["latent"]):
        gaussian = source["distribution"]
        (mean,), (covariance,) = gaussian["means"], gaussian["covariances"]
        found.append(multivariate_normal(mean, covariance).logpdf(grid))
    return found[0], found[1]


def measure(run: Run) -> Row:
    at_grid, at_data = run.arrays("surface"), run.arrays("held_out")
    log_real, log_fake = _densities(run, at_grid["axis"])
    optimal = optimal_discriminator(log_real, log_fake)
    density = np.exp(log_real) + np.exp(log_fake)
    values, slope = at_grid["probability"], at_grid["probability_slope"]
    row: Row = {
        "rmse_plain": rmse(values, optimal),
        "rmse_weighted": rmse(values, optimal, density),
        "explained": explained(values, optimal, density),
    }
    row |= accuracies(run)
    row["slope_max"], row["slope_mean"] = float(slope.max()), float(slope.mean())
    for part in ("train", "held_out"):
        row[f"slope_{part}_mean"] = float(_slopes(at_data, part).mean())
    row["slope_train_median"] = float(np.median(_slopes(at_data, "train")))
    return row | {"slope_train_share": row["slope_train_mean"] / row["slope_max"]}


def _slopes(at_data: Arrays, part: str) -> np.ndarray:
    """|grad D|, of the probability, at the reals and fakes [n] of a part of the data."""
    logit, of_logit = (
        np.concatenate([at_data[f"{part}_{kind}_{what}"] for kind in ("real", "fake")])
        for what in ("logit", "slope")
    )
    p = np.exp(-np.logaddexp(0, -logit))
    return np.asarray(p * (1 - p) * of_logit)


def explained(values: np.ndarray, optimal: np.ndarray, density: np.ndarray) -> float:
    """The share of the variance of D* that values explain (all `[points, points]`), by p_r + p_g.

    Its mean is 1/2 then, so that a D which is 1/2 everywhere explains nothing; negative for worse.
    """
    of_half = rmse(np.full_like(optimal, 0.5), optimal, density)
    return 1 - (rmse(values, optimal, density) / of_half) ** 2


def claims(table: Table) -> list[Claim]:
    # No claim is `about` dead networks: units of tanh do not die, and where D without a penalty
    # saturates, its vanishing gradients are what the paper speaks of.
    weighted, found = "RMSE to D* weighted by p_r + p_g", list[Claim]()
    error = partial(table.values, "rmse_weighted", samples="100")
    none = error(method="none")
    place = "zero_gp, Fig. 1 and sec. 6.1"
    for output, label, where in (
        ("probability", "", place),
        (
            "logit",
            " (penalty on the logit)",
            f"{place} (the paper's penalty is on the probability)",
        ),
    ):
        tests = {}
        one, zero, sample = (
            error(method=m, output=output) for m in ("one_gp", "zero_gp", "zero_gp_sample")
        )
        for text, near, far, words in (
            ("0-GP comes nearer to D* than 1-GP", zero, one, "1-GP minus 0-GP"),
            ("1-GP comes nearer to D* than no penalty", one, none, "none minus 1-GP"),
        ):
            tests[text + label] = paired_greater(far, near, quantity=f"{weighted}, {words}")
        text = f"0-GP-sample does not help: at most {NOT_BETTER:.0%} nearer to D* than no penalty"
        words = f"{weighted}, 0-GP-sample minus {1 - NOT_BETTER:.0%} of none"
        tests[text + label] = paired_greater(sample, none, NOT_BETTER, True, quantity=words)
        found += stated(where, tests)
    return [
        *found,
        *stated("zero_gp, sec. 4.2 and Fig. 1b", _more_samples(table)),
        *stated("zero_gp, sec. 5.3", _tiny_gradients(table)),
    ]


def _more_samples(table: Table) -> dict[str, Test]:
    """What is said of (b), a discriminator without penalty on ten times the samples."""
    more = {"method": "none", "samples": "1000"}
    gap, share, error = (
        table.values(q, **more) for q in ("accuracy_gap", "explained", "rmse_weighted")
    )
    mine = table.values("rmse_weighted", method="zero_gp", output="probability", samples="100")
    return {
        "with more samples D without penalty still overfits, by more than a point":
            greater(gap, A_POINT, within=(-1, 1),
                    quantity="accuracy on training minus on held-out samples, (b)"),
        f"(b): its surface is very different from D*: explains less than {EXPLAINED:.0%} of its"
        " variance":
            less(share, EXPLAINED, within=(-math.inf, 1),
                 quantity="share of the variance of D* by p_r + p_g, (b)"),
        "(b): 0-GP with a tenth of the samples comes nearer to D*":
            paired_greater(error, mine, quantity="RMSE to D* by p_r + p_g, (b) minus 0-GP, (e)"),
    }  # fmt: skip


def _tiny_gradients(table: Table) -> dict[str, Test]:
    text = f"gradients on training points are tiny beside the largest (below {TINY:.0%})"
    words = "mean |grad D| on training points over its maximum on the grid"
    tiny = {}
    for method, samples, name in (
        ("none", "100", "no penalty"),
        ("none", "1000", "no penalty, more samples"),
        ("zero_gp_sample", "100", "0-GP-sample"),
    ):
        cell = {"method": method, "output": "probability", "samples": samples}
        share = table.values("slope_train_share", **cell)
        test = less(share, TINY, within=(0, math.inf), quantity=words)
        train, unseen = (table.values(f"slope_{x}_mean", **cell) for x in ("train", "held_out"))
        smaller = paired_greater(unseen, train)  # the largest may stand in one sharp place
        test = supported_only_if(smaller, test, "they may be no smaller than at held-out points")
        tiny[f"{name}: {text}, and smaller than at held-out points"] = test
    return tiny


def draw(runs: Runs, table: Table) -> Figure:
    def trained(axes: Axes, run: Run) -> str:
        draw_values(axes, run, "train")
        return f"RMSE {measure(run)['rmse_weighted']:.3f}"

    def optimum(axes: Axes, run: Run) -> None:
        densities = _densities(run, run.arrays("surface")["axis"])
        draw_values(axes, run, "train", optimal_discriminator(*densities))

    cells = [panel.cell for panel in runs.grid.panels]
    figure, grid = new_figure(-(-(len(cells) + 1) // 3), 3, 7.8)
    places = list(grid.flat)
    panel(places.pop(5), runs.first(method="none"), "(f) D*, Eq. 2", optimum)
    for i, (axes, cell) in enumerate(zip(places, cells, strict=False)):
        letter = f"({'abcde'[i]}) " if i < 5 else ""
        panel(axes, runs.first(**cell), letter + runs.grid.name(cell), trained)
    colour_bar(grid.flat, LABEL, shrink=0.5, ticks=LEVELS)
    legend_above(figure, grid.flat)
    figure.supxlabel(NOTE, fontsize=7)
    return figure


ENTRY = Entry(measure, claims, draw)
