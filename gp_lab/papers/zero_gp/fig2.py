"""zero_gp, Fig. 2: D's gradient field while GANs train on 8 Gaussians."""

from functools import partial
from string import ascii_lowercase

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.evaluation.paths import equality_of_norms, largest_over_mean_step, step_lengths
from gp_lab.figures.claims import (
    Claim,
    Test,
    greater,
    paired_greater,
    paired_greatest,
    share_of,
    stated,
)
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import legend_above, panel
from gp_lab.figures.style import panels_above_curves
from gp_lab.figures.table import Row, Table
from gp_lab.papers.zero_gp._drawing import draw_evolution, draw_field
from gp_lab.papers.zero_gp._reading import MODES, centers, mode_scores, step_at

READS = (
    ("none", 0.1), ("none", 1), ("none_ttur", 0.1),
    ("none_ttur", 1), ("zero_gp", 1), ("zero_gp_ttur", 0.5),
    ("zero_gp_ttur", 1), ("one_gp", 1), ("zero_gp_sample", 1),
)  # fmt: skip
"""The panels (a) to (i) of the paper's figure: of which run, and how far in it is looked at."""

OTHERS = ("none", "none_ttur", "one_gp", "zero_gp_sample")
"""What the paper holds against 0-GP."""

EARLY, EARLY_OF = 0.1, {"zero_gp_ttur": 0.5}
"""The share of the run at which it is read a first time."""


def largest_norms(run: Run, output: str = "probability") -> tuple[np.ndarray, np.ndarray]:
    """The steps [k] and the largest |grad| on the segments at each [k]."""
    return run.course("segments", lambda at: at[f"{output}_slope"].max())


def equality_across_regions(at_reals: np.ndarray, nearest: np.ndarray) -> float:
    """Equality of the mean norms of the regions, from norms at reals [n] and their modes [n]."""
    return equality_of_norms([at_reals[nearest == mode].mean() for mode in np.unique(nearest)])


def growth(steps: np.ndarray, norms: np.ndarray, early: int) -> tuple[float, float]:
    """log10 of how often norms [k] at steps [k] are those at `early`: at the end, and the smallest
    of the last half."""
    with np.errstate(divide="ignore", invalid="ignore"):
        over = np.log10(norms / norms[steps == early][0])
    return float(over[-1]), float(over[steps >= steps[-1] / 2].min())


def measure(run: Run) -> Row:
    modes = centers(run)
    early = step_at(run, "samples", EARLY_OF.get(run.cell["method"], EARLY))
    row = mode_scores(run.arrays("samples")["fake"], modes) | {"early_step": early}
    at_early = mode_scores(run.arrays("samples", early)["fake"], modes)
    row |= {f"{k}_early": v for k, v in at_early.items()}

    on_segments = run.arrays("segments")
    nearest = np.linalg.norm(on_segments["real"][:, None] - modes, axis=2).argmin(1)
    first = step_at(run, "segments", EARLY)
    for output in ("probability", "logit"):
        slope = on_segments[f"{output}_slope"]
        row[f"equality_{output}"] = equality_of_norms(slope)
        row[f"equality_regions_{output}"] = equality_across_regions(slope[:, -1], nearest)
        steps, norms = largest_norms(run, output)
        row[f"norm_max_{output}"], row[f"norm_mean_{output}"] = norms[-1], float(slope.mean())
        row[f"norm_growth_{output}"], row[f"norm_stays_{output}"] = growth(steps, norms, first)

    lines = run.arrays("lines")["fake"]
    jumps = largest_over_mean_step(lines)
    moving = np.isfinite(jumps)  # all but those of a generator that is constant there
    row["jump"] = float(jumps[moving].mean()) if moving.any() else np.nan
    radius = np.linalg.norm(modes, axis=1).mean()
    return row | {"jump_over_radius": float(step_lengths(lines).max(1).mean() / radius)}


def claims(table: Table) -> list[Claim]:
    title = table.grid.titles("method")
    modes = {method: table.outcomes("modes", method=method) for method in title}

    def greatest(quantity: str, words: str) -> Test:
        mine = table.values(quantity, method="zero_gp")
        others = table.by("method", quantity, OTHERS)
        return paired_greatest(mine, others, quantity=f"{words}, 0-GP")

    norm = "log10 of the largest |grad D| on segments"
    text = "with TTUR and no penalty the largest gradient between reals and fakes"
    at_end = f"{norm}, at the end over a tenth of the run"
    least = f"{norm}, smallest of the last half over a tenth of the run"
    of_norm = "norm_growth_probability", "norm_stays_probability"
    grows, stays = (table.values(q, method="none_ttur") for q in of_norm)
    without = table.values("norm_stays_probability", method="none")
    jump = table.values("jump", method="zero_gp")
    return [
        *stated("zero_gp, sec. 6.2 and Fig. 2", {
            f"{title[method]} keeps all 8 modes":
                share_of(modes[method] == MODES,
                         quantity=f"share of seeds with all 8 modes, {place}")
            for method, place in (("zero_gp", "(e)"), ("zero_gp_ttur", "(g)"))
        } | {
            f"{title[method]} fails to keep all 8 modes":
                share_of(modes[method] != MODES,
                         quantity="share of seeds that miss a mode or diverge, at the end")
            for method in OTHERS
        }),
        *stated("zero_gp, sec. 4.2.2 and Figs. 2c, 2d", {
            f"{text} grows": greater(grows, 0.0, quantity=at_end),
            f"{text} stays": greater(stays, 0.0, quantity=least),
            "without TTUR the explosion does not persist as it does with it":
                paired_greater(stays, without, quantity=f"{least}, with TTUR minus without"),
        }),
        *stated("zero_gp, sec. 5.5", {
            f"0-GP's gradient norms are the most equal, {what}":
                greatest(quantity, f"(E |grad D|)^2 / E |grad D|^2 {what}")
            for quantity, what in (
                ("equality_probability", "on segments"),
                ("equality_regions_probability", "at the reals of the 8 modes"),
            )
        }),
        *stated("zero_gp, sec. 6.2", {
            f"{name} jumps between modes, more than 0-GP":
                paired_greater(its, jump, quantity="largest over mean step on latent lines,"
                               f" {name} minus 0-GP")
            for name, its in table.by("method", "jump", ("none", "zero_gp_sample")).items()
        } | {
            "0-GP generates points on the circle: a larger share than the others":
                greatest("ring", "share of samples on the ring"),
        }),
    ]  # fmt: skip


def draw(runs: Runs, table: Table) -> Figure:
    methods = runs.grid.titles("method")
    reads = [*READS, *((method, 1) for method in methods if method not in dict(READS))]
    figure, fields, (norms, modes) = panels_above_curves(-(-len(reads) // 3), 3, 2, height=9.4)
    for axes, letter, (method, share) in zip(fields.flat, ascii_lowercase, reads, strict=False):
        title = f"({letter}) {methods[method]}"
        panel(axes, runs.first(method=method), title, partial(_field, share))
    legend_above(figure, fields.flat)
    draw_evolution(norms, modes, runs, largest_norms, "largest |grad D| on segments")
    if runs.finished:
        norms.legend(ncols=2, fontsize=6)
    return figure


def _field(share: float, axes: Axes, run: Run) -> str:
    step = step_at(run, "field", share)
    longest = draw_field(axes, run, step)
    hit = mode_scores(run.arrays("samples", step)["fake"], centers(run))["modes"]
    return f"it. {step:,}, modes: {hit}, arrows to {longest:.2g}"


ENTRY = Entry(measure, claims, draw)
