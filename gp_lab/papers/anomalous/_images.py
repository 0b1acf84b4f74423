"""What the entries of anomalous on images have in common (Fig. 5, Table 1)."""

import numpy as np

from gp_lab.figures.entry import Run
from gp_lab.figures.table import Table
from gp_lab.papers._scores import probe_of


def fids(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Steps and FID [k] at each, NaN where there are no weights of the Inception network."""
    return run.course(probe_of(run), lambda at: float(at.get("fid", np.nan)))


def trained(run: Run) -> np.ndarray:
    """The FIDs [k] after the first step: not that of the untrained generator."""
    steps, fid = fids(run)
    return fid[steps > 0]


def data_title(table: Table, dataset: str) -> str:
    """What a data set is called, and what stands in for it."""
    title = table.title(dataset=dataset)
    here = next((row["data"] for row in table.at(dataset=dataset).rows if "data" in row), dataset)
    return title if here == dataset else f"{title} ({here})"
