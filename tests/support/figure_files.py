"""What an entry's files say, and the densities of zero_gp, Fig. 1."""

import csv
import json
from itertools import takewhile
from pathlib import Path

import numpy as np
from scipy.stats import multivariate_normal

UNDECIDED = "needs scale=miniature"


def claims_of(folder: Path) -> dict:
    return json.loads((folder / "claims.json").read_text())


def rows_of(folder: Path) -> dict[tuple[str, int], dict[str, str]]:
    """(panel, seed) -> a row; the axes' columns come first."""
    with (folder / "data.csv").open(newline="") as file:
        rows = csv.DictReader(file)
        axes = list(takewhile(lambda column: column != "seed", rows.fieldnames or ()))
        return {("-".join(row[axis] for axis in axes), int(row["seed"])): row for row in rows}


def densities(axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """p_r and p_g of zero_gp, Fig. 1, as its caption gives them: row = y, column = x."""
    x, y = np.meshgrid(axis, axis)
    at = np.dstack([x, y])
    real = multivariate_normal([0.4, 0.9], [[1, 0.5], [0.5, 1]])
    fake = multivariate_normal([1.3, 1.2], [[1, 0.7], [0.7, 1]])
    return real.pdf(at), fake.pdf(at)
