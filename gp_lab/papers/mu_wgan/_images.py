"""What the entries of mu_wgan on images hold against WGAN-GP (Figs. 1, 2, 5 to 7, Table 2)."""

import numpy as np
from numpy.typing import ArrayLike

from gp_lab.figures.claims import Test, equivalent, less, only_if
from gp_lab.figures.table import Table
from gp_lab.papers._scores import LEARNT, judge

BASELINE = "one_gp"
"""WGAN-GP, which the paper calls the measures' results similar to."""

SAME_FID = 1.5
"""FIDs are similar within this factor; the paper's own are within 1.24 of WGAN-GP's (Table 2)."""


def learns(table: Table, **at: str) -> Test:
    """Does WGAN-GP learn the data at these levels?"""
    left = table.values("fid_left", method=BASELINE, **at)
    said = f"share left of the untrained generator's {judge(table)} FID, WGAN-GP"
    return less(left, LEARNT, quantity=said)


def similar_fid(
    fid: ArrayLike, its_fid: ArrayLike, quantity: str, level: float | None = None
) -> Test:
    """Are FIDs [n] those of the others [n] within the factor `SAME_FID`, paired by seed?"""
    log, its_log = (np.log(np.asarray(x, dtype=float)) for x in (fid, its_fid))
    margin = float(np.log(SAME_FID))
    return equivalent(log, its_log, margin, level, quantity=f"log FID, {quantity}")


def given(learnt: Test, test: Test) -> Test:
    """The verdict where WGAN-GP learns the data: to share a failure is not to be similar."""
    left = f"{learnt.quantity} {learnt.interval.estimate:.2f}"
    return only_if(learnt, test, f"WGAN-GP itself may not learn the data: {left}")
