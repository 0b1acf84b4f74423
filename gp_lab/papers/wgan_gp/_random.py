"""Random architectures of wgan_gp (Tables 2 and 5, App. C): seed n trains pair n of the list."""

import numpy as np

from gp_lab.figures.entry import Run
from gp_lab.figures.table import Row, Table
from gp_lab.papers.wgan_gp._scores import scored
from gp_lab.runs.folder import State

LEARNT = 3.0
"""A score above which a pair has learnt something: the threshold of Table 2 that 198 of the paper's
200 pairs passed with WGAN-GP."""


def measure(run: Run) -> Row:
    return {"data": run.folder.config["dataset"]["name"], **scored(run)}


def scores(table: Table, **cell: str) -> np.ndarray:
    """The scores of a cell [n], by seed, which is the pair's number: 1, the least, of a run
    that diverged; NaN of one that failed or has no score."""
    rows = sorted(table.at(**cell).rows, key=lambda row: row["seed"])
    diverged = np.array([row["state"] == State.DIVERGED for row in rows], dtype=bool)
    return np.where(diverged, 1.0, table.values("score", **cell))


def above(found: np.ndarray, threshold: float) -> np.ndarray:
    """Success or failure of each pair [n], 1 or 0; NaN where its score is."""
    return np.where(np.isnan(found), np.nan, found > threshold)
