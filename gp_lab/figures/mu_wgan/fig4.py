"""mu_wgan, Fig. 4: samples of 2-D GANs under five penalty measures and two baselines."""

import itertools

import numpy as np
from matplotlib.figure import Figure

from gp_lab.evaluation.points import wasserstein
from gp_lab.figures.claims import Claim, equivalent
from gp_lab.figures.mu_wgan.measures import MEASURES
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import FAKE, REAL, empty, new_figure

DATASETS = {
    "eight_gaussians": "8 Gaussians",
    "swiss_roll": "Swiss Roll",
    "twenty_five_gaussians": "25 Gaussians",
}
METHODS = {"clipping": "clipping", "one_gp": "WGAN-GP", **MEASURES}

SAME_W1 = 0.1
"""W1 of two methods is called equivalent within this; the 8 Gaussians' circle has radius 1.41."""

SAME_QUALITY = 0.1
"""The shares of samples of quality are called equivalent within this."""

SAME_MODES = {"eight_gaussians": 0.5, "twenty_five_gaussians": 1.0}
"""The numbers of modes hit are called equivalent within this."""

WINDOW = 2.2
"""Half the side of a panel."""


def _row(run: Run) -> Row:
    samples = run.arrays("samples")
    on_curve = str(run.folder.config["dataset"]["name"]) == "swiss_roll"
    scores = run.arrays("curve" if on_curve else "modes")
    real = samples["real"]
    half = len(real) // 2
    row: Row = {
        "panel": run.panel,
        "seed": run.seed,
        "state": run.state,
        "w1": float(scores["w1"]),
        "w1_of_reals": wasserstein(real[:half], real[half : 2 * half]),
        "quality": float(scores["near"]),
    }
    if on_curve:
        row["coverage"] = float(scores["coverage"])
    else:
        row["modes"] = int(scores["hit"].sum())
        row["balance"] = float(scores["balance"])
    return row


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def _claims(rows: list[Row]) -> list[Claim]:
    where = "mu_wgan, sec. 5.1 and Fig. 4"
    claims = []
    for dataset, name in DATASETS.items():
        tested = [
            ("w1", SAME_W1, "exact W1 to the data"),
            ("quality", SAME_QUALITY, "share of samples near the data"),
        ]
        if dataset in SAME_MODES:
            tested.append(("modes", SAME_MODES[dataset], "modes hit"))
        for one, other in itertools.combinations(MEASURES, 2):
            for quantity, margin, words in tested:
                mine, its = (column(rows, f"{m}_{dataset}", quantity) for m in (one, other))
                claims.append(
                    Claim(
                        f"{name}: the measures {one} and {other} are equivalent in {quantity}"
                        f" (within {margin:g})",
                        equivalent(mine, its, margin, quantity=f"{words}, {one} minus {other}"),
                        where,
                    )
                )
    return claims


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure, grid = new_figure(len(DATASETS), len(METHODS), 4.1)
    drawn = None
    for line, (dataset, name) in zip(grid, DATASETS.items(), strict=True):
        line[0].set_ylabel(name)
        for axes, (method, label) in zip(line, METHODS.items(), strict=True):
            runs = panels.get(f"{method}_{dataset}", ())
            axes.set(xlim=(-WINDOW, WINDOW), ylim=(-WINDOW, WINDOW), aspect="equal")
            if not runs:
                empty(axes, label)
                continue
            samples = runs[0].arrays("samples")
            for kind, colour in (("real", REAL), ("fake", FAKE)):
                axes.scatter(*samples[kind].T, s=1.5, c=colour, linewidths=0, label=kind)
            w1 = np.nanmean(column(rows, f"{method}_{dataset}", "w1"))
            axes.set_title(f"{label}\n$W_1$ {w1:.2f}")
            drawn = axes
    if drawn is not None:
        handles, labels = drawn.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2, markerscale=4)
    return figure


ENTRY = Entry(_measure, _claims, _draw)
