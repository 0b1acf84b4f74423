"""wgan_gp, Table 4: what a character language model writes, and how far its n-grams are off."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, greater, less, paired_greater
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import empty
from gp_lab.probes.text import lines

PANELS = {"wgan_gp": "WGAN-GP", "gan": "standard GAN"}
COLOURS = {"wgan_gp": "#0072B2", "gan": "#D55E00"}
PARTS = {"held_out": ("validation text", "-"), "train": ("training text", ":")}
"""What divergences are from: its name and its line in the picture."""

LARGEST = 4

HALF = 0.5
"""A divergence is high if more than this share of what was there before training is left."""

SHOWN = 12
"""Lines of text in each column of the picture."""


def left(before: float, after: float, floor: float) -> float:
    """The share of a divergence's excess over its floor that training has left: 1 all, 0 none."""
    return (after - floor) / (before - floor)


def _steps(run: Run) -> list[int]:
    return [step for step in run.folder.array_steps("ngrams") if step <= run.step]


def _row(run: Run) -> Row:
    first, last = run.folder.arrays("ngrams", 0), run.arrays("ngrams")
    row: Row = {"panel": run.panel, "seed": run.seed, "state": run.state}
    row["data"] = run.folder.config["dataset"]["name"]
    for part in PARTS:
        values = (first[part], last[part], last[f"{part}_floor"])
        for n, (before, after, floor) in enumerate(zip(*values, strict=True), 1):
            row |= {
                f"js{n}_{part}_untrained": before,
                f"js{n}_{part}": after,
                f"js{n}_{part}_floor": floor,
                f"js{n}_{part}_left": left(before, after, floor),
            }
        row[f"left_{part}"] = np.mean([row[f"js{n}_{part}_left"] for n in range(1, LARGEST + 1)])
    row["distinct"] = len(np.unique(last["codes"], axis=0)) / len(last["codes"])
    return row


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def _claims(rows: list[Row]) -> list[Claim]:
    where = "wgan_gp, sec. 5.5 and Table 4"
    claims = [
        Claim(
            f"{PANELS[panel]}: the divergence of its {n}-grams {does}",
            test(
                column(rows, panel, f"js{n}_held_out_left"),
                HALF,
                quantity=f"share left of the untrained JS-{n} over the floor, held-out text",
            ),
            where,
        )
        for panel, does, test in (("wgan_gp", "falls", less), ("gan", "stays high", greater))
        for n in range(1, LARGEST + 1)
    ]
    claims.append(
        Claim(
            "the standard GAN's results are not comparable to WGAN-GP's",
            paired_greater(
                column(rows, "gan", "left_held_out"),
                column(rows, "wgan_gp", "left_held_out"),
                quantity="share left of the untrained JS over the floor, mean of n = 1 to 4,"
                " standard GAN minus WGAN-GP",
            ),
            where,
        )
    )
    return claims


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7.0, 4.6), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=[1.15, 1])
    above, below = parts
    curves = above.subplots(1, LARGEST, sharey=True)
    for n, axes in enumerate(curves, 1):
        _divergences(axes, panels, n)
    curves[0].set_ylabel("Jensen-Shannon divergence")
    curves[0].set_ylim(0, 1.03)
    found = [axes.get_legend_handles_labels() for axes in curves]
    if found[0][0]:
        above.legend(*found[0], loc="outside lower center", ncols=3)
    columns = below.subplots(1, 3)
    for axes, (panel, title) in zip(columns, PANELS.items(), strict=False):
        runs = panels.get(panel, ())
        if runs:
            _text(axes, title, lines(runs[0].arrays("ngrams"), "codes"))
        else:
            empty(axes, title)
            axes.set_axis_off()
    runs = [run for of in panels.values() for run in of]
    real = lines(runs[0].arrays("ngrams"), "real") if runs else []
    _text(columns[-1], "held-out text", real)
    return figure


def _divergences(axes: Axes, panels: Panels, n: int) -> None:
    for panel, title in PANELS.items():
        for i, run in enumerate(panels.get(panel, ())):
            steps = _steps(run)
            stored = [run.folder.arrays("ngrams", step) for step in steps]
            for part, (text, style) in PARTS.items():
                axes.plot(
                    steps, [arrays[part][n - 1] for arrays in stored], style,
                    marker="o", ms=1.5, lw=1.2 if i == 0 else 0.4, color=COLOURS[panel],
                    label=f"{title}, {text}" if i == 0 else None,
                )  # fmt: skip
    runs = [run for of in panels.values() for run in of][:1]
    for part, (text, style) in PARTS.items() if runs else ():
        floor = runs[0].arrays("ngrams")[f"{part}_floor"][n - 1]
        axes.axhline(floor, ls=style, color="0.5", lw=0.8, label=f"floor, {text}")
    axes.set(title=f"{n}-grams", xlabel="iteration")
    axes.locator_params(axis="x", nbins=3, integer=True)


def _text(axes: Axes, title: str, text: list[str]) -> None:
    axes.set_axis_off()
    axes.set_title(title, loc="left")
    axes.text(
        0, 1, "\n".join(text[:SHOWN]), va="top", family="monospace", size=6.8, parse_math=False,
        linespacing=1.4, transform=axes.transAxes,
    )  # fmt: skip


ENTRY = Entry(_measure, _claims, _draw)
