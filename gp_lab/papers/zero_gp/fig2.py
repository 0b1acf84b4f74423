"""zero_gp, Fig. 2: D's gradient field while GANs train on 8 Gaussians."""

from functools import partial
from string import ascii_lowercase

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.evaluation.paths import equality_of_norms, largest_over_mean_step, step_lengths
from gp_lab.figures.claims import Claim, Test, greater, paired_greater, paired_greatest
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import legend_above, panel
from gp_lab.figures.style import panels_above_curves
from gp_lab.figures.table import Row, Table
from gp_lab.papers.zero_gp._drawing import draw_field, draw_methods
from gp_lab.papers.zero_gp._reading import (
    MODES,
    centers,
    mode_scores,
    of_most_seeds,
    over_time,
    step_at,
)

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
    steps = run.steps("segments")
    of = [run.arrays("segments", step)[f"{output}_slope"].max() for step in steps]
    return np.array(steps), np.array(of)


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
    return [*_of_modes(table), *_of_explosions(table), *_of_zero_gp(table)]


def _of_modes(table: Table) -> list[Claim]:
    found, where = [], "zero_gp, sec. 6.2 and Fig. 2"
    for method, place in (("zero_gp", "(e)"), ("zero_gp_ttur", "(g)")):
        all_modes = table.outcomes("modes", method=method) == MODES
        test = of_most_seeds(all_modes, f"with all 8 modes, {place}")
        found.append(Claim(f"{table.title(method=method)} keeps all 8 modes", test, where))
    for method in OTHERS:
        fewer = table.outcomes("modes", method=method) != MODES
        test = of_most_seeds(fewer, "that miss a mode or diverge, at the end")
        found.append(Claim(f"{table.title(method=method)} fails to keep all 8 modes", test, where))
    return found


def _of_explosions(table: Table) -> list[Claim]:
    norm = "log10 of the largest |grad D| on segments"
    text = "with TTUR and no penalty the largest gradient between reals and fakes"
    least = "smallest of the last half over a tenth of the run"
    grows = table.values("norm_growth_probability", method="none_ttur")
    stays = table.values("norm_stays_probability", method="none_ttur")
    without = table.values("norm_stays_probability", method="none")
    grown = greater(grows, 0.0, quantity=f"{norm}, at the end over a tenth of the run")
    stayed = greater(stays, 0.0, quantity=f"{norm}, {least}")
    more = paired_greater(stays, without, quantity=f"{norm}, {least}, with TTUR minus without")
    where = "zero_gp, sec. 4.2.2 and Figs. 2c, 2d"
    return [
        Claim(f"{text} grows", grown, where),
        Claim(f"{text} stays", stayed, where),
        Claim("without TTUR the explosion does not persist as it does with it", more, where),
    ]


def _of_zero_gp(table: Table) -> list[Claim]:
    def greatest(quantity: str, words: str) -> Test:
        mine = table.values(quantity, method="zero_gp")
        others = table.by("method", quantity, OTHERS)
        return paired_greatest(mine, others, quantity=f"{words}, 0-GP")

    found, where = [], "zero_gp, sec. 6.2"
    for quantity, what in (
        ("equality_probability", "on segments"),
        ("equality_regions_probability", "at the reals of the 8 modes"),
    ):
        test = greatest(quantity, f"(E |grad D|)^2 / E |grad D|^2 {what}")
        text = f"0-GP's gradient norms are the most equal, {what}"
        found.append(Claim(text, test, "zero_gp, sec. 5.5"))
    mine = table.values("jump", method="zero_gp")
    for name, jumps in table.by("method", "jump", ("none", "zero_gp_sample")).items():
        what = f"largest over mean step on latent lines, {name} minus 0-GP"
        test = paired_greater(jumps, mine, quantity=what)
        found.append(Claim(f"{name} jumps between modes, more than 0-GP", test, where))
    text = "0-GP generates points on the circle: a larger share than the others"
    return [*found, Claim(text, greatest("ring", "share of samples on the ring"), where)]


def draw(runs: Runs, table: Table) -> Figure:
    methods = runs.grid.titles("method")
    reads = [*READS, *((method, 1) for method in methods if method not in dict(READS))]
    figure, fields, (norms, modes) = panels_above_curves(-(-len(reads) // 3), 3, 2, height=9.4)
    for axes, letter, (method, share) in zip(fields.flat, ascii_lowercase, reads, strict=False):
        title = f"({letter}) {methods[method]}"
        panel(axes, runs.first(method=method), title, partial(_field, share))
    legend_above(figure, fields.flat)
    draw_methods(norms, runs, largest_norms, "largest |grad D| on segments")
    draw_methods(modes, runs, over_time("modes"), "modes hit")
    norms.set_yscale("log")
    modes.set(ylim=(-0.3, MODES + 0.3), yticks=range(0, MODES + 1, 2))
    if runs.finished:
        norms.legend(ncols=2, fontsize=6)
    return figure


def _field(share: float, axes: Axes, run: Run) -> str:
    step = step_at(run, "field", share)
    longest = draw_field(axes, run, step)
    hit = mode_scores(run.arrays("samples", step)["fake"], centers(run))["modes"]
    return f"it. {step:,}, modes: {hit}, arrows to {longest:.2g}"


ENTRY = Entry(measure, claims, draw)
