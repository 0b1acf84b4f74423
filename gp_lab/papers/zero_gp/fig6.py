"""Figure 6 of zero_gp: the swiss roll at scale 1 and 10, under each gradient penalty."""

import math

import numpy as np
import torch
from matplotlib.figure import Figure

from gp_lab.data.points import SwissRoll
from gp_lab.evaluation.points import coverage, distance_to_curve, wasserstein
from gp_lab.figures.claims import Claim, share_greater
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import arrows, empty, points, window
from gp_lab.papers.zero_gp._reading import dataset, outcomes

NAMES = {"none": "no GP", "one_gp": "1-GP", "zero_gp_sample": "0-GP-sample", "zero_gp": "0-GP"}
SCALES = (1, 10)

NEAR = 0.1
"""Near the curve is within this share of the distance between two arms of the roll."""

COVERED = 0.9
"""The roll is covered if samples come near to this share of it."""

MOST_SEEDS = 0.5
"""What a GAN does in more than this share of the seeds, it is said to do."""

W1_SAMPLES = 1000


def roll(run: Run) -> tuple[np.ndarray, float]:
    """The run's curve [1000, 2], as the data go along it, and the distance between its arms."""
    data = dataset(run)
    assert isinstance(data.distribution, SwissRoll)
    curve = data.distribution.curve(torch.linspace(0, 1, 1000, dtype=torch.float64))
    return data.scale * curve.numpy(), 2 * math.pi * data.scale


def scores(samples: np.ndarray, curve: np.ndarray, arms: float) -> Row:
    """How well samples [n, 2] are the curve [m, 2]: distances in units of `arms`, and a verdict."""
    distance = distance_to_curve(samples, curve) / arms
    median, covered = float(np.median(distance)), coverage(samples, curve, NEAR * arms)
    return {
        "distance_median": median,
        "distance_mean": float(distance.mean()),
        "near": float((distance < NEAR).mean()),
        "coverage": covered,
        "learnt": int(median < NEAR and covered > COVERED),
    }


def _row(run: Run) -> Row:
    samples = run.arrays("samples")
    curve, arms = roll(run)
    row: Row = {"panel": run.panel, "seed": run.seed, "state": run.state}
    row |= scores(samples["fake"], curve, arms)
    real, fake = (samples[kind][:W1_SAMPLES] for kind in ("real", "fake"))
    return row | {"w1": wasserstein(real, fake) / arms}


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def _claims(rows: list[Row]) -> list[Claim]:
    claims = []
    for panel, text, learns in (
        ("one_gp_1", "1-GP learns the swiss roll at scale 1", True),
        ("one_gp_10", "1-GP fails to learn it at scale 10", False),
        ("zero_gp_1", "0-GP learns the swiss roll at scale 1", True),
        ("zero_gp_10", "0-GP learns it at scale 10", True),
    ):
        learnt = outcomes(rows, panel, "learnt") == 1
        claims.append(
            Claim(
                text,
                share_greater(
                    int((learnt == learns).sum()),
                    len(learnt),
                    MOST_SEEDS,
                    quantity=f"share of seeds that {'learn it' if learns else 'do not learn it'}"
                    f" (median distance < {NEAR:g} of the arms', coverage > {COVERED:g})",
                ),
                "zero_gp, Fig. 6",
            )
        )
    return claims


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7.0, 4.3), layout="constrained")
    # Each scale has a plane of its own, which the four penalties share.
    grid = figure.subplots(len(SCALES), len(NAMES), squeeze=False, sharex="row", sharey="row")
    drawn = None
    for y, scale in enumerate(SCALES):
        for x, (penalty, name) in enumerate(NAMES.items()):
            axes, panel = grid[y, x], f"{penalty}_{scale}"
            title = f"{name}, scale {scale}"
            if not panels[panel]:
                empty(axes, title)
                continue
            run = panels[panel][0]
            field, samples = run.arrays("field"), run.arrays("samples")
            curve, _ = roll(run)
            axes.plot(*curve.T, color="0.6", lw=0.6, zorder=0.5)
            points(axes, samples["real"], samples["fake"], most=400)
            largest = arrows(axes, field["axis"], field["gradient"])
            distance, covered = (
                np.nanmean(column(rows, panel, q)) for q in ("distance_median", "coverage")
            )
            axes.set_title(
                f"{title}\n{distance:.2f} arms off, covers {covered:.0%}\narrows to {largest:.2g}"
            )
            window(axes, field["axis"])
            drawn = axes
    if drawn is not None:
        handles, labels = drawn.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2)
    return figure


ENTRY = Entry(_measure, _claims, _draw)
