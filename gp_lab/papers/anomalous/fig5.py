"""anomalous, Fig. 5: sample correction on 32 images and batches of 2; samples, FID and DIF."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, paired_greater, stated, undecided
from gp_lab.figures.entry import Arrays, Entry, Run, Runs
from gp_lab.figures.plots import band, panel
from gp_lab.figures.style import COLOURS, new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.papers import _scores
from gp_lab.papers._scores import judge, pictures
from gp_lab.papers.anomalous._images import data_title, fids, trained

LARGE = 0.2
"""SC is better by a large margin if its FID is lower by more than this share of the vanilla one."""

NOISE = 0.2
"""A sample whose DIF is above this, twice the bound of what is realistic, is no training image in
detail or in outline: it counts as noise."""

ACTS = 0.01
"""SC is another method than the vanilla one if so many of its fakes are found realistic, or more;
below, the two train alike, and nothing follows about it."""

REALISTIC = 0.1
"""DIF below which SC replaces a fake."""

METHODS = ("vanilla", "sc")

PLACE = "anomalous, sec. 5.3 and Fig. 5"

SHOWN = 32
"""Training images, and as many samples."""


def dif(arrays: Arrays, pixels: int) -> np.ndarray:
    """DIF [n] of samples, from what probe=neighbours wrote: their distances to the nearest training
    image, brightness in [0, 1], over the largest that there can be of so many pixels."""
    found: np.ndarray = arrays["nearest"] / math.sqrt(pixels)
    return found


def difs(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Steps and the mean DIF of the samples [k] at each."""
    pixels = run.arrays("samples")["real"][0].size
    return run.course("neighbours", lambda at: dif(at, pixels).mean())


def measure(run: Run) -> Row:
    """FID and DIF at the end and on average over the training; the share of noise at the end, and
    of the fakes that SC found realistic over the training (0 for the vanilla approach)."""
    fid, (steps, mean) = trained(run), difs(run)
    realistic = run.metric("realistic")
    last = dif(run.arrays("neighbours"), run.arrays("samples")["real"][0].size)
    return _scores.measure(run) | {
        "fid_course": float(np.mean(fid)) if len(fid) else np.nan,
        "dif": float(mean[-1]),
        "dif_course": float(np.mean(mean[steps > 0])),
        "noise": float(np.mean(~(last <= NOISE))),
        "realistic": float(np.mean(realistic)) if len(realistic) else 0.0,
    }


def claims(table: Table) -> list[Claim]:
    found, who = [], judge(table)
    for dataset, title in table.grid.titles("dataset").items():

        def both(
            quantity: str, dataset: str = dataset, table: Table = table
        ) -> tuple[np.ndarray, np.ndarray]:
            of = (table.values(quantity, dataset=dataset, method=method) for method in METHODS)
            vanilla, sc = (np.array(values) for values in of)
            return vanilla, sc

        fid, sc_fid = both("fid")
        difference = "vanilla minus SC"
        tests = {
            f"{title}: SC has the better FID during training": paired_greater(
                *both("fid_course"), quantity=f"{who} FID, mean over training, {difference}"
            ),
            f"{title}: SC has the better DIF during training": paired_greater(
                *both("dif_course"), quantity=f"mean DIF of samples over training, {difference}"
            ),
            f"{title}: at its end SC is better by a large margin (FID lower by {LARGE:.0%})":
                paired_greater((1 - LARGE) * fid, sc_fid,
                               quantity=f"{who} FID, {1 - LARGE:g} vanilla minus SC"),
            f"{title}: more samples degenerate to noises with the vanilla approach": paired_greater(
                *both("noise"), quantity=f"share of samples with DIF above {NOISE:g}, {difference}"
            ),
        }  # fmt: skip
        realistic = np.mean(table.values("realistic", dataset=dataset, method="sc"))
        if not realistic >= ACTS:
            why = f"SC corrects next to nothing: {realistic:.1%} of its fakes are realistic"
            tests = {text: undecided(test, why) for text, test in tests.items()}
        found += stated(PLACE, tests, about={"dataset": dataset, "method": METHODS})
    return found


def draw(runs: Runs, table: Table) -> Figure:
    """Training images, the samples of each method, and both curves: a row for each data set."""
    datasets, methods = runs.grid.titles("dataset"), runs.grid.titles("method")
    figure, grid = new_panels(len(datasets), 3 + len(methods), height=4.6)
    figure.set_figwidth(1.9 * (3 + len(methods)))
    for (real, *images, fid, distance), dataset in zip(grid, datasets, strict=True):
        for axes in (real, *images):
            axes.set_axis_off()
        here = data_title(table, dataset)
        real.set_title(f"{here}:\ntraining images", fontsize=7)
        if found := runs.at(dataset=dataset):
            pictures(real, np.unique(found[0].arrays("samples")["real"], axis=0), SHOWN)
        for axes, (method, name), colour in zip(images, methods.items(), COLOURS, strict=False):
            panel(axes, runs.first(dataset=dataset, method=method), name, _samples)
            found = runs.at(dataset=dataset, method=method)
            band(fid, found, fids, name, color=colour)
            band(distance, found, difs, name, color=colour)
        fid.set(xlabel="iteration", ylabel=f"{judge(table)} FID", yscale="log")
        line = distance.axhline(
            REALISTIC, color="0.5", lw=0.8, ls="--", label="SC replaces\nfakes below"
        )
        distance.set(xlabel="iteration", ylabel="mean DIF of samples")
        distance.set_ylim(0, 1.05 * distance.get_ylim()[1])
        for axes in (fid, distance):
            axes.locator_params(axis="x", nbins=3, integer=True)
    if runs.finished:
        grid[0, -2].legend(title="mean over seeds\n(shaded: range)", title_fontsize=7)
        grid[0, -1].legend(handles=[line])
    figure.supxlabel(
        "DIF: distance to the nearest training image, as a share of the largest that there can be;"
        " numbers above samples: of the run that is drawn",
        fontsize=8,
    )
    return figure


def _samples(axes: Axes, run: Run) -> str:
    pictures(axes, run.arrays("samples")["fake"], SHOWN)
    row = measure(run)
    return f"FID {row['fid']:.3g}, DIF {row['dif']:.2f}"


ENTRY = Entry(measure, claims, draw)
