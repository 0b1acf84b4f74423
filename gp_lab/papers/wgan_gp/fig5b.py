"""wgan_gp, Fig. 5b: the critic's loss on digits that it has seen and on digits that it has not."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, greater, less, rank_correlations
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import empty, new_panels

PANELS = {"penalty": "gradient penalty", "clipping": "weight clipping"}

APART = 0.1
"""The curves part if they are farther apart than this share of the training curve ..."""

END, LATE = 0.1, 0.5
"""... on average over this last share of the run; trends are those of the last half."""


class Curves(NamedTuple):
    """Negative critic loss on training and on held-out digits [k] at the steps [k]."""

    steps: np.ndarray
    train: np.ndarray
    held_out: np.ndarray


def distance_at_the_end(curves: Curves) -> float:
    """Mean of train - held-out over the last tenth of the run, over the size of train's mean."""
    end = curves.steps >= (1 - END) * curves.steps[-1]
    gap = np.mean(curves.train[end] - curves.held_out[end])
    return float(gap / abs(np.mean(curves.train[end])))


def trends(curves: Curves) -> tuple[float, float]:
    """Rank correlations of train and of held-out with the iteration over the last half of the run.

    NaN where there was a single measurement.
    """
    late = curves.steps >= LATE * curves.steps[-1]
    if late.sum() < 2:
        return float("nan"), float("nan")
    both = np.stack([curves.train[late], curves.held_out[late]])
    train, held_out = rank_correlations(curves.steps[late], both)
    return float(train), float(held_out)


def _curves(run: Run) -> Curves:
    steps = [s for s in run.folder.array_steps("critic_losses") if s <= run.step]
    losses = [run.folder.arrays("critic_losses", step) for step in steps]
    train, held_out = (
        np.array([-float(of[f"{part}_loss"]) for of in losses]) for part in ("train", "held_out")
    )
    return Curves(np.array(steps), train, held_out)


def _row(run: Run) -> Row:
    curves = _curves(run)
    rising, falling = trends(curves)
    return {
        "panel": run.panel,
        "seed": run.seed,
        "state": run.state,
        "data": run.folder.config["dataset"]["name"],
        "train_end": curves.train[-1],
        "held_out_end": curves.held_out[-1],
        "apart": distance_at_the_end(curves),
        "trend_train": rising,
        "trend_held_out": falling,
    }


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def _claims(rows: list[Row]) -> list[Claim]:
    where = "wgan_gp, sec. 5.6 and Fig. 5b"
    claims = [
        Claim(
            f"{title}: the losses on training and validation digits part",
            greater(
                column(rows, panel, "apart"),
                APART,
                quantity="(train - validation) over train, last tenth of the run",
            ),
            where,
        )
        for panel, title in PANELS.items()
    ]
    for part, text, test in (
        ("train", "the training loss rises", greater),
        ("held_out", "the validation loss falls all the while", less),
    ):
        claims.append(
            Claim(
                f"gradient penalty: {text}",
                test(
                    column(rows, "penalty", f"trend_{part}"),
                    0.0,
                    quantity="rank correlation of the negative critic loss with the iteration,"
                    " last half of the run",
                ),
                where,
            )
        )
    return claims


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure, grid = new_panels(1, 2, 2.8)
    for axes, (panel, title) in zip(grid[0], PANELS.items(), strict=True):
        if panels.get(panel):
            _plot(axes, [_curves(run) for run in panels[panel]])
            axes.set_title(title)
            axes.legend()
            axes.locator_params(axis="x", nbins=6, integer=True)
        else:
            empty(axes, title)
        axes.set_xlabel("iteration")
    grid[0, 0].set_ylabel("negative critic loss")
    return figure


def _plot(axes: Axes, runs: list[Curves]) -> None:
    for i, curves in enumerate(runs):
        for values, name, colour, style in (
            (curves.train, "training digits", "#0072B2", "-"),
            (curves.held_out, "validation digits", "#D55E00", "--"),
        ):
            axes.plot(
                curves.steps, values, style, color=colour, lw=1.2 if i == 0 else 0.4,
                label=name if i == 0 else None,
            )  # fmt: skip


ENTRY = Entry(_measure, _claims, _draw)
