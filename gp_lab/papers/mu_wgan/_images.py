"""What the entries of mu_wgan on images measure, hold against WGAN-GP and draw (Figs. 1, 2, 5 to 7,
Table 2)."""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from gp_lab.figures.claims import Test, Verdict, equivalent, less
from gp_lab.figures.entry import Run
from gp_lab.figures.table import Row, Table
from gp_lab.probes.pictures import grid_picture

BASELINE = "one_gp"
"""WGAN-GP, which the paper calls the measures' results similar to."""

JUDGES = {"inception": "Inception", "classifier": "classifier"}
"""Probe -> whose score and Frechet distance (FID) those of an entry are."""

LEARNT = 0.2
"""A GAN has learnt the data if so much of the untrained generator's FID is left, or less."""

SAME_FID = 1.5
"""FIDs are similar within this factor; the paper's own are within 1.24 of WGAN-GP's (Table 2)."""

SHOWN = 64
"""Samples in a panel."""


def measure(run: Run) -> Row:
    """Score and FID of a run's samples, whose they are, and how much of the untrained generator's
    FID is left; NaN where there were no weights of the Inception network."""
    probe = next(p for p in JUDGES if p in run.folder.config["probe"])
    steps = [step for step in run.steps(probe) if "fid" in run.arrays(probe, step)]
    first, last = ({}, {}) if not steps else (run.arrays(probe, s) for s in (steps[0], steps[-1]))
    row: Row = {"data": run.folder.config["dataset"]["name"], "judge": JUDGES[probe]}
    row |= {k: float(last.get(k, np.nan)) for k in ("score", "score_std", "fid")}
    row |= {k: float(last[k]) for k in ("confidence_share", "class_entropy") if k in last}
    return row | {"fid_left": row["fid"] / float(first.get("fid", np.nan))}


def judge(table: Table) -> str:
    """Whose scores a table's are."""
    return next((str(row["judge"]) for row in table.rows if "judge" in row), "")


def learns(table: Table, **at: str) -> Test:
    """Does WGAN-GP learn the data at these levels?"""
    left = table.values("fid_left", method=BASELINE, **at)
    said = f"share left of the untrained generator's {judge(table)} FID, WGAN-GP"
    return less(left, LEARNT, quantity=said)


def similar_fid(fid: ArrayLike, its_fid: ArrayLike, quantity: str, **more: Any) -> Test:
    """Are FIDs [n] those of the others [n] within the factor `SAME_FID`, paired by seed?"""
    log, its_log = (np.log(np.asarray(x, dtype=float)) for x in (fid, its_fid))
    margin = float(np.log(SAME_FID))
    return equivalent(log, its_log, margin, quantity=f"log FID, {quantity}", **more)


def given(learnt: Test, test: Test) -> Test:
    """The verdict where WGAN-GP learns the data: to share a failure is not to be similar."""
    if learnt.verdict == Verdict.SUPPORTED:
        return test
    said = f"(undecided: WGAN-GP itself may not learn the data: {learnt.quantity}"
    said += f" {learnt.interval.estimate:.2f})"
    return replace(test, verdict=Verdict.INCONCLUSIVE, quantity=f"{said} {test.quantity}")


def samples(axes: Axes, run: Run) -> str:
    """Draw a run's samples; what to say below their title."""
    pictures(axes, run.arrays("samples")["fake"])
    row = measure(run)
    return f"FID {row['fid']:.3g}, score {row['score']:.2f}"


def pictures(axes: Axes, images: np.ndarray) -> None:
    """The first images uint8 [n, C, H, W] of these, in rows."""
    axes.imshow(grid_picture(images[:SHOWN]))
    axes.set_axis_off()
