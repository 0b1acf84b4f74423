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
    Verdict,
    greater,
    paired_greater,
    paired_greatest,
    share_of,
    stated,
    supported_only_if,
)
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import legend_above, panel
from gp_lab.figures.style import panels_above_curves
from gp_lab.figures.table import Row, Table
from gp_lab.papers.zero_gp._drawing import draw_evolution, draw_field, name_arrows
from gp_lab.papers.zero_gp._gradients import equality_across_regions, largest_norms, over_the_run
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

EXPLODED = 1.0
"""A gradient has exploded beside another one that is smaller by so many powers of ten."""


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
        row |= {f"{k}_{output}": v for k, v in over_the_run(steps, norms, first).items()}

    lines = run.arrays("lines")["fake"]
    jumps = largest_over_mean_step(lines)
    moving = np.isfinite(jumps)  # all but those of a generator that is constant there
    row["jump"] = float(jumps[moving].mean()) if moving.any() else np.nan
    radius = np.linalg.norm(modes, axis=1).mean()
    return row | {"jump_over_radius": float(step_lengths(lines).max(1).mean() / radius)}


def claims(table: Table) -> list[Claim]:
    title, where = table.grid.titles("method"), "zero_gp, sec. 6.2 and Fig. 2"
    modes = {method: table.outcomes("modes", method=method) for method in title}
    found = list[Claim]()
    for method, place in (("zero_gp", "(e)"), ("zero_gp_ttur", "(g)")):
        kept = f"share of seeds with all 8 modes, {place}"
        test = share_of(modes[method] == MODES, quantity=kept)
        text = f"{title[method]} keeps all 8 modes"
        found += stated(where, {text: test}, about={"method": method})
    missed = "share of seeds that miss a mode or diverge, at the end"
    for method in OTHERS:
        test = share_of(modes[method] != MODES, quantity=missed)
        text = f"{title[method]} fails to keep all 8 modes"
        found += stated(where, {text: test}, about={"method": method})
    return found + _explosion(table) + _others(table)


def _explosion(table: Table) -> list[Claim]:
    """Of the largest gradient: within a run (whose vanishing would be no dead network but the
    opposite of what is said), and method against method. In a run that diverges it is infinite
    from then on; when that was is not known, so that at a tenth of the run it says nothing."""
    of = {
        (method, quantity): np.array(
            table.values_or(
                np.nan if quantity == "early" else np.inf,
                f"norm_{quantity}_probability",
                method=method,
            )
        )
        for method in ("none", "none_ttur", "zero_gp_ttur")
        for quantity in ("early", "end", "least", "growth", "stays")
    }
    text = "with TTUR and no penalty the largest gradient between reals and fakes"
    where, norm = "zero_gp, sec. 4.2.2 and Figs. 2c, 2d", "log10 of the largest |grad D|"
    at = {"early": "at a tenth of the run", "end": "at the end", "least": "least of the last half"}
    within = {
        f"{text} {does}":
            _above(of["none_ttur", q], None, quantity=f"{norm}, {what} over a tenth of the run")
        for q, does, what in (("growth", "grows", at["end"]), ("stays", "stays", at["least"]))
    }  # fmt: skip

    def more(quantity: str, other: str, margin: float = 0.0) -> Test:
        mine, words = of["none_ttur", quantity], f"{norm}, {at[quantity]}, no GP with TTUR minus"
        name = table.title(method=other)
        return _above(mine, of[other, quantity], margin, quantity=f"{words} {name}")

    early, end = (more(q, "none") for q in ("early", "end"))
    without = {
        f"{text} is above that without, {at['early']}":
            supported_only_if(end, early, "at the end it is no larger: D with TTUR is only ahead"),
        f"{text} is above that without, {at['end']}": end,
    }  # fmt: skip
    without["without TTUR the explosion does not persist as it does"] = more("least", "none")
    prevents = (
        f"0-GP prevents it: with TTUR its largest gradient is below {10**-EXPLODED:g} of that of"
        " no penalty"
    )
    below, (grows, _) = more("end", "zero_gp_ttur", EXPLODED), within.values()
    if grows.verdict != Verdict.SUPPORTED:  # it may have exploded before a tenth of the run
        below = supported_only_if(end, below, "no explosion is seen that could be prevented")
    return [
        *stated(where, within),
        *stated(where, without, about={"method": "none"}),
        *stated("zero_gp, Table 1 and Figs. 2d, 2g",
                {prevents: below},
                about={"method": "zero_gp_ttur"}),
    ]  # fmt: skip


def _above(
    mine: np.ndarray, other: np.ndarray | None, margin: float = 0.0, *, quantity: str
) -> Test:
    """Are norms [n] larger than a margin, or by a margin than others, by seed? A t test of means;
    where a run diverged, which leaves none, an exact one of the share of seeds where it is so."""
    norms = np.array([mine] if other is None else [mine, other])
    if not np.isposinf(norms).any():
        if other is None:
            return greater(mine, margin, quantity=quantity)
        return paired_greater(mine, other, margin, quantity=quantity)
    known = norms[:, ~np.isnan(norms).any(axis=0)]
    larger = known[0] > (known[1] if len(known) > 1 else 0.0) + margin  # both infinite: neither
    diverged = int(np.isposinf(known).any(axis=0).sum())
    said = f"share of seeds ({diverged} diverged) above {margin:g}: {quantity}"
    return share_of(larger, quantity=said)


def _others(table: Table) -> list[Claim]:
    """What 0-GP does and the others do not. They vanish where there are no fakes, the paper says;
    one that is dead, and flat everywhere, shows none of that."""

    def greatest(quantity: str, words: str) -> Test:
        mine = table.values(quantity, method="zero_gp")
        others = table.by("method", quantity, OTHERS)
        return paired_greatest(mine, others, quantity=f"{words}, 0-GP")

    about = {"method": OTHERS}
    found = stated("zero_gp, sec. 5.5", {
        f"0-GP's gradient norms are the most equal, {what}":
            greatest(quantity, f"(E |grad D|)^2 / E |grad D|^2 {what}")
        for quantity, what in (
            ("equality_probability", "on segments"),
            ("equality_regions_probability", "at the reals of the 8 modes"),
        )
    }, about=about)  # fmt: skip
    jump = table.values("jump", method="zero_gp")
    for method in ("none", "zero_gp_sample"):
        name, words = table.title(method=method), "largest over mean step on latent lines"
        its = table.values("jump", method=method)
        test = paired_greater(its, jump, quantity=f"{words}, {name} minus 0-GP")
        text = f"{name} jumps between modes, more than 0-GP"
        found += stated("zero_gp, sec. 6.2", {text: test}, about={"method": method})
    text = "0-GP generates points on the circle: a larger share than the others"
    ring = {text: greatest("ring", "share of samples on the ring")}
    return found + stated("zero_gp, sec. 6.2", ring, about=about)


def draw(runs: Runs, table: Table) -> Figure:
    methods = runs.grid.titles("method")
    reads = [*READS, *((method, 1) for method in methods if method not in dict(READS))]
    figure, fields, (norms, modes) = panels_above_curves(-(-len(reads) // 3), 3, 2, height=9.8)
    for axes, letter, (method, share) in zip(fields.flat, ascii_lowercase, reads, strict=False):
        title = f"({letter}) {methods[method]}"
        panel(axes, runs.first(method=method), title, partial(_field, table, share))
    if runs.finished:
        name_arrows(fields[0, 0])
    legend_above(figure, fields.flat)
    draw_evolution(norms, modes, runs, largest_norms, "largest |grad D|\nreals to fakes")
    return figure


def _field(table: Table, share: float, axes: Axes, run: Run) -> str:
    step = step_at(run, "field", share)
    longest = draw_field(axes, run, step, table)
    hit = mode_scores(run.arrays("samples", step)["fake"], centers(run))["modes"]
    return f"it. {step:,}, {hit} modes, arrows ≤ {longest:.2g}"


ENTRY = Entry(measure, claims, draw)
