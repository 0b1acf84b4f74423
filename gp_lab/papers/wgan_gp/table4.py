"""wgan_gp, Table 4: what a character language model writes, and how far its n-grams are off."""

from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.data.corpus import PAD
from gp_lab.figures.claims import Claim, Verdict, greater, less, paired_greater, undecided
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import band, legend_above
from gp_lab.figures.style import COLOURS
from gp_lab.figures.table import Row, Table
from gp_lab.launching.grid import Where
from gp_lab.probes.text import lines

PARTS = {"held_out": ("validation text", "-"), "train": ("training text", ":")}
"""What divergences are from: its name and its line in the picture."""

LARGEST = 4

HALF = 0.5
"""A divergence is high if more than this share of what was there before training is left."""

SHOWN = 12
"""Lines of text in each column of the picture."""


def measure(run: Run) -> Row:
    first, last = run.arrays("ngrams", 0), run.arrays("ngrams")
    row: Row = {"data": run.folder.config["dataset"]["name"]}
    for part in PARTS:
        before, after, floor = first[part], last[part], last[f"{part}_floor"]
        left = (after - floor) / (before - floor)  # of the excess over the floor: 1 all, 0 none
        for n in range(1, LARGEST + 1):
            row |= {
                f"js{n}_{part}_untrained": before[n - 1],
                f"js{n}_{part}": after[n - 1],
                f"js{n}_{part}_floor": floor[n - 1],
                f"js{n}_{part}_left": left[n - 1],
            }
        row[f"left_{part}"] = left[:LARGEST].mean()
        row[f"js1_{part}_of_untrained"] = after[0] / before[0]
    row["distinct"] = len(np.unique(last["codes"], axis=0)) / len(last["codes"])
    return row


def claims(table: Table) -> list[Claim]:
    where, falls, keeps = "wgan_gp, sec. 5.5 and Table 4", [], []
    about: Where = {"method": "gan"}  # dead nets would not say what the objective does
    for n in range(1, LARGEST + 1):
        said = f"share left of the untrained JS-{n} over the floor, held-out text"
        wgan_gp, gan = (table.values(f"js{n}_held_out_left", method=m) for m in ("wgan_gp", "gan"))
        text = f"{table.title(method='wgan_gp')}: the divergence of its {n}-grams falls by more"
        half = less(wgan_gp, HALF, quantity=said)
        learns = Claim(f"{text} than half", half, where, about={"method": "wgan_gp"})
        fails = greater(gan, HALF, quantity=said)
        if fails.verdict == Verdict.SUPPORTED != learns.test.verdict:  # a failure that is shared
            fails = undecided(fails, "WGAN-GP's own is not below half")
        text = f"{table.title(method='gan')}: the divergence of its {n}-grams keeps more than half"
        falls.append(learns)
        keeps.append(Claim(text, fails, where, about=about))
    gan, wgan_gp = (
        np.mean(
            [
                np.minimum(table.values(f"js{n}_held_out_left", method=m), 1)
                for n in range(1, LARGEST + 1)
            ],
            axis=0,
        )
        for m in ("gan", "wgan_gp")
    )
    text = "the standard GAN's results are not comparable to WGAN-GP's"
    quantity = (
        "share left of the untrained JS over the floor, 1 where it has grown, mean of n = 1 to 4,"
        " standard GAN minus WGAN-GP"
    )
    test = paired_greater(gan, wgan_gp, quantity=quantity)
    return [*falls, *keeps, Claim(text, test, where, about=about)]


def draw(runs: Runs, table: Table) -> Figure:
    figure = Figure(figsize=(7.0, 4.6), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=[1.15, 1])
    above, below = parts
    of_n = above.subplots(1, LARGEST, sharey=True)
    for n, axes in enumerate(of_n, 1):
        _divergences(axes, runs, n)
    of_n[0].set(ylabel="JS divergence, bits", ylim=(-0.03, 1.03))
    seeds = "mean over seeds (shaded: range)"
    legend_above(above, of_n[:1], "lower center", ncols=3, title=seeds, title_fontsize=7)
    columns = [
        (title, runs.first(method=m), "codes") for m, title in runs.grid.titles("method").items()
    ]
    columns.append((PARTS["held_out"][0], runs.first(), "real"))
    below.supxlabel(f"{PAD} fills up a line", fontsize=7)
    for axes, (title, run, kind) in zip(below.subplots(1, len(columns)), columns, strict=True):
        text = lines(run.arrays("ngrams"), kind)[:SHOWN] if run else ["no finished run"]
        axes.set_axis_off()
        axes.set_title(title, loc="left")
        axes.text(
            0, 1, "\n".join(text), va="top", family="monospace", size=6.8, parse_math=False,
            linespacing=1.4, transform=axes.transAxes,
        )  # fmt: skip
    return figure


def _divergences(axes: Axes, runs: Runs, n: int) -> None:
    """From both texts over the iterations, each method's, and the floors of the first run."""

    def course(run: Run, part: str) -> tuple[np.ndarray, np.ndarray]:
        return run.course("ngrams", lambda at: at[part][n - 1])

    for (method, title), colour in zip(runs.grid.titles("method").items(), cycle(COLOURS)):
        for part, (text, style) in PARTS.items():
            look: Any = {"ls": style, "color": colour}
            of_part = partial(course, part=part)
            band(axes, runs.at(method=method), of_part, f"{title}, {text}", **look)
    for run in runs.finished[:1]:
        for part, (text, style) in PARTS.items():
            floor = run.arrays("ngrams")[f"{part}_floor"][n - 1]
            axes.axhline(floor, ls=style, color="0.5", lw=0.8, label=f"floor, {text}")
    axes.set(title=f"{n}-grams", xlabel="iteration")
    axes.locator_params(axis="x", nbins=3, integer=True)


ENTRY = Entry(measure, claims, draw)
