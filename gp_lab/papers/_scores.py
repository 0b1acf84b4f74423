"""Score and FID of a run's samples, Inception's or a classifier's: entries of several papers."""

import numpy as np
from matplotlib.axes import Axes

from gp_lab.figures.entry import Run
from gp_lab.figures.table import Row, Table
from gp_lab.probes.pictures import grid_picture

JUDGES = {"inception": "Inception", "classifier": "classifier"}
"""Probe -> whose score and Frechet distance (FID) those of an entry are."""

LEARNT = 0.2
"""A GAN has learnt the data if so much of the untrained generator's FID is left, or less."""

SHOWN = 64
"""Samples in a panel."""


def probe_of(run: Run) -> str:
    """The probe that judges a run's samples."""
    return next(probe for probe in JUDGES if probe in run.folder.config["probe"])


def measure(run: Run) -> Row:
    """Score and FID of a run's samples, whose they are, and how much of the untrained generator's
    FID is left; NaN where there were no weights of the Inception network."""
    probe = probe_of(run)
    every = [run.arrays(probe, step) for step in run.steps(probe)]
    found = [arrays for arrays in every if "fid" in arrays] or [{}]
    first, last = found[0], found[-1]
    row: Row = {"data": run.folder.config["dataset"]["name"], "judge": JUDGES[probe]}
    row |= {k: float(last.get(k, np.nan)) for k in ("score", "score_std", "fid")}
    row |= {k: float(last[k]) for k in ("confidence_share", "class_entropy") if k in last}
    return row | {"fid_left": row["fid"] / float(first.get("fid", np.nan))}


def judge(table: Table) -> str:
    """Whose scores a table's are."""
    return next((str(row["judge"]) for row in table.rows if "judge" in row), "")


def samples(axes: Axes, run: Run) -> str:
    """Draw a run's samples; what to say below their title."""
    pictures(axes, run.arrays("samples")["fake"])
    row = measure(run)
    return f"FID {row['fid']:.3g}, score {row['score']:.2f}"


def pictures(
    axes: Axes, images: np.ndarray, shown: int = SHOWN, columns: int | None = None
) -> None:
    """The first images uint8 [n, C, H, W] of these, in rows; about a square without `columns`."""
    axes.imshow(grid_picture(images[:shown], columns))
    axes.set_axis_off()
