"""What an entry's files say, and the densities of zero_gp, Fig. 1."""

import csv
import json
from itertools import takewhile
from pathlib import Path

import numpy as np
from scipy.stats import multivariate_normal

from gp_lab.figures.claims import Verdict, family
from gp_lab.figures.entry import Calculation, Entry
from gp_lab.figures.table import Table

UNDECIDED = "needs scale=miniature"


def claims_of(folder: Path) -> dict:
    return json.loads((folder / "claims.json").read_text())


def rows_of(folder: Path) -> dict[tuple[str, int], dict[str, str]]:
    """(panel, seed) -> a row; the axes' columns come first."""
    with (folder / "data.csv").open(newline="") as file:
        rows = csv.DictReader(file)
        axes = list(takewhile(lambda column: column != "seed", rows.fieldnames or ()))
        return {("-".join(row[axis] for axis in axes), int(row["seed"])): row for row in rows}


def judged(entry: Entry | Calculation, table: Table) -> dict[str, Verdict]:
    """Verdicts by sentence on a table's rows, tested as one family at the paper's scale."""
    with family(len(entry.claims(table))):
        claims = [claim.at("paper", table.dead(claim.about)) for claim in entry.claims(table)]
    return {claim.text: claim.test.verdict for claim in claims}


def those(said: dict[str, Verdict], *words: str) -> set[Verdict]:
    """The verdicts on the sentences with all these words."""
    found = {verdict for text, verdict in said.items() if all(word in text for word in words)}
    assert found, words
    return found


def densities(axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """p_r and p_g of zero_gp, Fig. 1, as its caption gives them: row = y, column = x."""
    x, y = np.meshgrid(axis, axis)
    at = np.dstack([x, y])
    real = multivariate_normal([0.4, 0.9], [[1, 0.5], [0.5, 1]])
    fake = multivariate_normal([1.3, 1.2], [[1, 0.7], [0.7, 1]])
    return real.pdf(at), fake.pdf(at)
