"""Figure 2 of zero_gp: D's gradient field while GANs train on 8 Gaussians."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.evaluation.paths import equality_of_norms, largest_over_mean_step, step_lengths
from gp_lab.figures.claims import Claim, greater, paired_greater, paired_greatest, share_greater
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import arrows, empty, panels_above_curves, points, window
from gp_lab.papers.zero_gp._reading import centers, mode_scores, outcomes, step_at, steps_up_to


class Read(NamedTuple):
    """A panel of the paper's figure: a run, and how far in it is looked at."""

    title: str
    panel: str
    share: float


READS = (
    Read("(a) no GP", "none", 0.1),
    Read("(b) no GP", "none", 1),
    Read("(c) no GP, TTUR", "none_ttur", 0.1),
    Read("(d) no GP, TTUR", "none_ttur", 1),
    Read("(e) 0-GP", "zero_gp", 1),
    Read("(f) 0-GP, TTUR", "zero_gp_ttur", 0.5),
    Read("(g) 0-GP, TTUR", "zero_gp_ttur", 1),
    Read("(h) 1-GP", "one_gp", 1),
    Read("(i) 0-GP-sample", "zero_gp_sample", 1),
)

NAMES = {
    "none": "no GP",
    "none_ttur": "no GP with TTUR",
    "zero_gp": "0-GP",
    "zero_gp_ttur": "0-GP with TTUR",
    "one_gp": "1-GP",
    "zero_gp_sample": "0-GP-sample",
}
OTHERS = ("none", "none_ttur", "one_gp", "zero_gp_sample")
"""What the paper holds against 0-GP."""

MODES = 8
EARLY = dict.fromkeys(NAMES, 0.1) | {"zero_gp_ttur": 0.5}
"""The share of the run at which it is read a first time."""

MOST_SEEDS = 0.5
"""What a GAN does in more than this share of the seeds, it is said to do."""

COLOURS = {
    "none": "#000000",
    "none_ttur": "#999999",
    "zero_gp": "#0072B2",
    "zero_gp_ttur": "#56B4E9",
    "one_gp": "#D55E00",
    "zero_gp_sample": "#009E73",
}


def _largest_norms(run: Run, output: str = "probability") -> tuple[np.ndarray, np.ndarray]:
    """The steps [k] and the largest |grad| on the segments at each [k]."""
    steps = steps_up_to(run, "segments")
    of = [run.folder.arrays("segments", step)[f"{output}_slope"].max() for step in steps]
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


def _row(run: Run) -> Row:
    modes = centers(run)
    radius = np.linalg.norm(modes, axis=1).mean()
    early = step_at(run, "samples", EARLY[run.panel])
    row: Row = {"panel": run.panel, "seed": run.seed, "state": run.state}
    row |= mode_scores(run.arrays("samples")["fake"], modes)
    at_early = mode_scores(run.folder.arrays("samples", early)["fake"], modes)
    row |= {"early_step": early} | {f"{k}_early": v for k, v in at_early.items()}

    on_segments = run.arrays("segments")
    to_modes = np.linalg.norm(on_segments["real"][:, None] - modes, axis=2)
    for output in ("probability", "logit"):
        slope = on_segments[f"{output}_slope"]
        row[f"equality_{output}"] = equality_of_norms(slope)
        row[f"equality_regions_{output}"] = equality_across_regions(
            slope[:, -1], to_modes.argmin(1)
        )
        steps, norms = _largest_norms(run, output)
        first = step_at(run, "segments", 0.1)
        row[f"norm_max_{output}"], row[f"norm_mean_{output}"] = norms[-1], float(slope.mean())
        row[f"norm_growth_{output}"], row[f"norm_stays_{output}"] = growth(steps, norms, first)

    lines = run.arrays("lines")["fake"]
    jumps = largest_over_mean_step(lines)
    moving = np.isfinite(jumps)  # all but those of a generator that is constant there
    row["jump"] = float(jumps[moving].mean()) if moving.any() else np.nan
    row["jump_over_radius"] = float(step_lengths(lines).max(1).mean() / radius)
    return row


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def _claims(rows: list[Row]) -> list[Claim]:
    learns, claims = "zero_gp, sec. 6.2 and Fig. 2", []
    for panel, where in (("zero_gp", "(e)"), ("zero_gp_ttur", "(g)")):
        modes = outcomes(rows, panel, "modes")
        claims.append(
            Claim(
                f"{NAMES[panel]} keeps all 8 modes",
                share_greater(
                    int((modes == MODES).sum()),
                    len(modes),
                    MOST_SEEDS,
                    quantity=f"share of seeds with all 8 modes, {where}",
                ),
                learns,
            )
        )
    for panel in OTHERS:
        modes = outcomes(rows, panel, "modes")
        claims.append(
            Claim(
                f"{NAMES[panel]} fails to keep all 8 modes",
                share_greater(
                    int((modes != MODES).sum()),
                    len(modes),
                    MOST_SEEDS,
                    quantity="share of seeds that miss a mode or diverge, at the end",
                ),
                learns,
            )
        )
    explodes = "zero_gp, sec. 4.2.2 and Figs. 2c, 2d"
    for quantity, text, what in (
        ("norm_growth", "grows", "at the end over a tenth of the run"),
        ("norm_stays", "stays", "smallest of the last half over a tenth of the run"),
    ):
        claims.append(
            Claim(
                f"with TTUR and no penalty the largest gradient between reals and fakes {text}",
                greater(
                    column(rows, "none_ttur", f"{quantity}_probability"),
                    0.0,
                    quantity=f"log10 of the largest |grad D| on segments, {what}",
                ),
                explodes,
            )
        )
    claims.append(
        Claim(
            "without TTUR the explosion does not persist as it does with it",
            paired_greater(
                column(rows, "none_ttur", "norm_stays_probability"),
                column(rows, "none", "norm_stays_probability"),
                quantity="log10 of the largest |grad D| on segments, smallest of the last half over"
                " a tenth of the run, with TTUR minus without",
            ),
            explodes,
        )
    )
    for quantity, what in (
        ("equality_probability", "on segments"),
        ("equality_regions_probability", "at the reals of the 8 modes"),
    ):
        claims.append(
            Claim(
                f"0-GP's gradient norms are the most equal, {what}",
                paired_greatest(
                    column(rows, "zero_gp", quantity),
                    {NAMES[panel]: column(rows, panel, quantity) for panel in OTHERS},
                    quantity=f"(E |grad D|)^2 / E |grad D|^2 {what}, 0-GP",
                ),
                "zero_gp, sec. 5.5",
            )
        )
    for panel in ("none", "zero_gp_sample"):
        claims.append(
            Claim(
                f"{NAMES[panel]} jumps between modes, more than 0-GP",
                paired_greater(
                    column(rows, panel, "jump"),
                    column(rows, "zero_gp", "jump"),
                    quantity=f"largest over mean step on latent lines, {NAMES[panel]} minus 0-GP",
                ),
                "zero_gp, sec. 6.2",
            )
        )
    claims.append(
        Claim(
            "0-GP generates points on the circle: a larger share than the others",
            paired_greatest(
                column(rows, "zero_gp", "ring"),
                {NAMES[panel]: column(rows, panel, "ring") for panel in OTHERS},
                quantity="share of samples on the ring, 0-GP",
            ),
            "zero_gp, sec. 6.2",
        )
    )
    return claims


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure, fields, curves = panels_above_curves(3, 3, 2, height=9.4)
    drawn = None
    for axes, read in zip(fields.ravel(), READS, strict=True):
        if not panels[read.panel]:
            empty(axes, read.title)
            continue
        run = panels[read.panel][0]
        step = step_at(run, "field", read.share)
        field, samples = (run.folder.arrays(probe, step) for probe in ("field", "samples"))
        points(axes, samples["real"], samples["fake"])
        hit = mode_scores(samples["fake"], centers(run))["modes"]
        largest = arrows(axes, field["axis"], field["gradient"])
        axes.set_title(
            f"{read.title}, iteration {step:,}\nmodes hit: {hit}, arrows to {largest:.2g}"
        )
        window(axes, np.array([field["axis"][0], -field["axis"][0]]))
        drawn = axes
    if drawn is not None:
        handles, labels = drawn.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2)
    norms, modes = curves
    for panel, runs in panels.items():
        for i, run in enumerate(runs):
            name = NAMES[panel] if i == 0 else None
            look = {"color": COLOURS[panel], "lw": 1.2 if i == 0 else 0.4}
            norms.semilogy(*_largest_norms(run), label=name, **look)
            steps = steps_up_to(run, "samples")
            hit = [
                mode_scores(run.folder.arrays("samples", s)["fake"], centers(run))["modes"]
                for s in steps
            ]
            modes.plot(steps, hit, **look)
    _label(norms, "largest |grad D| on segments")
    _label(modes, "modes hit")
    modes.set_ylim(-0.3, MODES + 0.3)
    modes.set_yticks(range(0, MODES + 1, 2))
    if norms.get_legend_handles_labels()[0]:
        norms.legend(ncols=2, fontsize=6)
    return figure


def _label(axes: Axes, title: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("iteration")


ENTRY = Entry(_measure, _claims, _draw)
