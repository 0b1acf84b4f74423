"""zero_gp, Fig. 9: latent interpolation of GANs on MNIST under 0-GP-sample and 0-GP."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gp_lab.figures.claims import Claim, paired_greater, stated
from gp_lab.figures.entry import Arrays, Entry, Run, Runs
from gp_lab.figures.plots import by_seed, panel
from gp_lab.figures.style import COLOURS, new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.papers.zero_gp._digits import end, scores
from gp_lab.papers.zero_gp._reading import of_weight
from gp_lab.probes.pictures import GAP, grid_picture

LETTERS = {"zero_gp_sample": "a", "zero_gp": "b"}

SHOWN, STEPS = 8, 8
"""Lines that are drawn, and steps on each: t = j/8, as in the authors' code."""

BOXED = 2.0
"""Neighbours in the picture stand in a red box if they are so many times further apart than those
of their line are on average (the paper's boxes are drawn by hand)."""


NOTE = (
    f"red: neighbours more than {BOXED:g} times as far apart as those of their line on average;\n"
    "sure: samples whose class has a probability above .9; jump: largest over mean of 64 steps of a"
    " line, mean of the lines;\n"
    "nearest: distance to the nearest training image, over that of training images to one another"
)


def jumps(lines: Arrays) -> np.ndarray:
    """The largest step of each line over its mean step [n]; NaN for one that does not move."""
    steps = lines["step"]
    mean = steps.mean(1)
    return np.divide(steps.max(1), mean, out=np.full(len(steps), np.nan), where=mean > 0)


def measure(run: Run) -> Row:
    row, lines = scores(run, end(run)), run.arrays("image_lines")
    row["data"] = run.folder.config["dataset"]["name"]
    row["jump_any"] = float(np.nanmean(jumps(lines)))
    nearest = lines["nearest"] / lines["nearest_real"].mean()
    row["way_any"] = float(nearest[:, 1:-1].mean())
    # What a GAN makes of a code itself may be near to a training image: remembering is on the way.
    row["nearing_any"] = float(nearest[:, [0, -1]].mean()) - row["way_any"]
    # How smoothly noise turns into noise is no matter: of what is not recognised nothing is said.
    for quantity in ("jump", "way", "nearing"):
        row[quantity] = row[f"{quantity}_any"] if row["confident"] else float("nan")
    return row


def claims(table: Table) -> list[Claim]:
    def of(quantity: str) -> tuple[list[float], list[float]]:
        sample, zero_gp = (table.values(quantity, method=m) for m in LETTERS)
        return sample, zero_gp

    (sample, zero_gp), (sample_nears, zero_gp_nears) = of("jump"), of("nearing")
    jump = "largest of 64 steps over the mean step, 0-GP-sample minus 0-GP"
    nears = (
        "distance to the nearest training image at a line's ends minus that on its way,"
        " 0-GP-sample minus 0-GP"
    )
    smooth = "0-GP-sample jumps between modes where 0-GP interpolates smoothly"
    remembers = "0-GP-sample remembers: on the way its images come nearer to training images"
    return stated(
        "zero_gp, Fig. 9 and sec. 6.2",
        {
            smooth: paired_greater(sample, zero_gp, quantity=jump),
            remembers: paired_greater(sample_nears, zero_gp_nears, quantity=nears),
        },
        about={"method": "zero_gp_sample"},
    )


def draw(runs: Runs, table: Table) -> Figure:
    heads = runs.grid.titles("method")
    figure, ((*places, dots),) = new_panels(1, len(heads) + 1, 3.4)
    for axes, (method, name) in zip(places, heads.items(), strict=True):
        letter = f"({LETTERS[method]}) " if method in LETTERS else ""
        run = runs.first(method=method)
        panel(axes, run, f"{letter}{name}{of_weight(run)}", lines)
        axes.set_axis_off()
    by_seed(dots, table.by("method", "jump_any"), [COLOURS[i % 7] for i in range(len(heads))])
    dots.set(title="jump, by seed (line: mean)", ylabel="largest over mean of 64 steps")
    dots.set_ylim(bottom=1)  # of lines whose steps are all equal
    figure.supxlabel(NOTE, fontsize=7)
    return figure


def lines(axes: Axes, run: Run) -> str:
    """Some lines, one below the other, with red boxes about the largest steps."""
    fake = run.arrays("image_lines")["fake"]
    which = np.linspace(0, fake.shape[1] - 1, STEPS + 1).round().astype(int)
    shown = fake[:SHOWN, which]
    picture = grid_picture(shown.reshape(-1, *shown.shape[2:]), STEPS + 1)
    axes.imshow(picture)
    side = (picture.shape[1] - GAP) / (STEPS + 1)  # from one image to the next
    flat = shown.reshape(*shown.shape[:2], -1).astype(float)
    steps = np.linalg.norm(np.diff(flat, axis=1), axis=2)
    for y, x in np.argwhere(steps > BOXED * steps.mean(1, keepdims=True)):
        at = (x * side + GAP / 2 - 0.5, y * side + GAP / 2 - 0.5)
        look: dict[str, Any] = {"edgecolor": "red", "linewidth": 1, "clip_on": False}
        axes.add_patch(Rectangle(at, 2 * side, side, fill=False, **look))
    row = measure(run)
    return (
        f"it. {run.step:,}: {row['classifier_confidence_share']:.0%} sure\n"
        f"jump {row['jump_any']:.2f}, nearest {row['way_any']:.2f}"
    )


ENTRY = Entry(measure, claims, draw)
