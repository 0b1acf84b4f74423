"""anomalous, Fig. 1: generated images with another number of rectangles, and corrections of it."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.evaluation.intervals import paired_difference
from gp_lab.figures.claims import (
    LEVEL,
    SHARE,
    Claim,
    greater,
    inside,
    only_if,
    paired_greater,
    stated,
    supported_only_if,
)
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import band, beside_the_papers, panel, score_table
from gp_lab.figures.style import COLOURS, new_panels
from gp_lab.figures.table import Table
from gp_lab.papers.anomalous._codes import MOST
from gp_lab.papers.anomalous._squares import correct_over_time, framed, measure

PAPERS = {"vanilla": 0.2, "pcr": 0.7, "sc": 0.97, "sc_pcr": 0.99}
"""The shares that the paper's curves come to, as its text gives them."""

NEAR = 0.1
"""Within so much of the paper's share ours is said to be the same."""

AS_GOOD = -0.02
"""SC + PCR is at least as good as SC if it is worse by no more than this."""

SHOWN = 24
"""Images in the panel of vanilla samples."""

HUES = (COLOURS[-1], *COLOURS[:-1])
"""Black first, for vanilla training: shaded, it differs from SC's green, where blue does not."""


def claims(table: Table) -> list[Claim]:
    end = {m: table.values("correct", method=m) for m in PAPERS}
    over = {m: table.values("correct_over_the_run", method=m) for m in PAPERS}
    names = table.grid.titles("method", tuple(PAPERS))
    share = "share of samples with two rectangles"
    gain = paired_difference(end["sc_pcr"], end["sc"])
    wrong = table.values("wrong_of_squares", method="vanilla")
    squares = table.values("squares_only", method="vanilla")
    learns = greater(squares, MOST, LEVEL, within=SHARE)  # a premise, not one of the claims
    helps = paired_greater(end["sc"], end["vanilla"])
    tests = {
        "most images of vanilla training that show rectangles show another number of them":
            only_if(learns, greater(wrong, 0.5, within=SHARE,
                    quantity="of samples of rectangles alone, the share with another number"),
                    f"{learns.interval.estimate:.0%} of all samples show rectangles alone"),
        "PCR improves the proportion of correct images":
            paired_greater(end["pcr"], end["vanilla"], quantity=f"{share}, PCR minus vanilla"),
        "SC improves it further than PCR":
            paired_greater(end["sc"], end["pcr"], quantity=f"{share}, SC minus PCR"),
        "SC + PCR is at least as good as SC":
            supported_only_if(
                helps, greater(gain, AS_GOOD, quantity=f"{share}, SC + PCR minus SC"),
                "SC itself may be no better than vanilla"),
    }  # fmt: skip
    for method in ("vanilla", "pcr", "sc"):
        tests[f"SC + PCR comes to it more quickly than {names[method]}"] = paired_greater(
            over["sc_pcr"], over[method],
            quantity=f"{share}, mean over the run, SC + PCR minus {names[method]}",
        )  # fmt: skip
    about = {"method": tuple(PAPERS)}
    found = stated("anomalous, Fig. 1 and sec. 5.2", tests, about=about)
    shares = {
        f"{names[m]}: the share is about {paper}":
            inside(end[m], paper - NEAR, paper + NEAR, within=SHARE, quantity=share)
        for m, paper in PAPERS.items()
    }  # fmt: skip
    return found + stated("anomalous, Fig. 1 and sec. 5.2", shares, needs_paper=True)


def vanilla_samples(axes: Axes, run: Run) -> str:
    """Samples, the wrong ones framed in red, as in the paper."""
    axes.imshow(framed(run.arrays("samples")["fake"][:SHOWN], run, columns=6))
    return "red frame: not two rectangles alone"


def histogram(axes: Axes, runs: Runs, methods: dict[str, str]) -> None:
    """How many squares samples show, mean over the seeds, a bar for each method."""
    width = 0.8 / max(1, len(methods))
    for i, (method, name) in enumerate(methods.items()):
        found = [run.arrays("rectangles") for run in runs.at(method=method)]
        if not found:
            continue
        counts = np.array([shares_of_counts(at) for at in found]).mean(0)
        x = np.arange(len(counts)) + (i - (len(methods) - 1) / 2) * width
        axes.bar(x, counts, width, color=HUES[i % len(HUES)], label=name)
    axes.set_xticks(range(len(LABELS)), LABELS)
    axes.set(xlabel="rectangles in an image (else: not rectangles alone)", ylim=(0, 1))
    axes.set_ylabel("share of samples")


LABELS = ("0", "1", "2", "3", "4", "more", "else")


def shares_of_counts(at: dict[str, np.ndarray]) -> np.ndarray:
    """Of samples that are squares alone: 0 to 4, more; and of those that show something else."""
    counts, most = np.minimum(at["counts"], 5), len(LABELS) - 1
    return np.bincount(np.where(at["exact"], counts, most), minlength=most + 1) / len(counts)


def draw(runs: Runs, table: Table) -> Figure:
    figure, grid = new_panels(2, 2, height=5.4)
    images, course, counts, numbers = grid.flat
    methods = table.grid.titles("method")
    title = table.title(method="vanilla")
    images.set_axis_off()
    panel(images, runs.first(method="vanilla"), title, vanilla_samples)
    for (method, name), colour in zip(methods.items(), HUES, strict=False):
        band(course, runs.at(method=method), correct_over_time, name, color=colour)
    course.set(xlabel="iteration", ylabel="share with two rectangles", ylim=(0, 1))
    course.set_title("correct images\n(line: mean over seeds, shaded: their range)")
    histogram(counts, runs, methods)
    counts.set_title("what samples show at the end, mean over seeds")
    if runs.finished:
        course.legend(loc="upper left")
        counts.legend(loc="upper left")
    rows = {
        name: [beside_the_papers(table.values("correct", method=m), PAPERS.get(m))]
        for m, name in methods.items()
    }
    score_table(numbers, ["ours (paper's)"], rows)
    numbers.set_title(
        "correct images at the end: mean share over seeds\n± half the width of its 95 % interval"
    )
    return figure


ENTRY = Entry(measure, claims, draw)
