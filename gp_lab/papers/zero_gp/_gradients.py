"""Norms of D's gradient between reals and fakes: over a run, and how equal they are (zero_gp)."""

import numpy as np

from gp_lab.evaluation.paths import equality_of_norms
from gp_lab.figures.entry import Run
from gp_lab.figures.table import Row


def largest_norms(run: Run, output: str = "probability") -> tuple[np.ndarray, np.ndarray]:
    """The steps [k] and the largest |grad| on the segments at each [k]."""
    return run.course("segments", lambda at: at[f"{output}_slope"].max())


def equality_across_regions(at_reals: np.ndarray, nearest: np.ndarray) -> float:
    """Equality of the mean norms of the regions, from norms at reals [n] and their modes [n]."""
    return equality_of_norms([at_reals[nearest == mode].mean() for mode in np.unique(nearest)])


def over_the_run(steps: np.ndarray, norms: np.ndarray, early: int) -> Row:
    """log10 of norms [k] at steps [k]: at `early`, at the end, the least of the last half; and how
    far the last two are above the first."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log10(norms)
        at_early, end, least = log[steps == early][0], log[-1], log[steps >= steps[-1] / 2].min()
        row = {"early": at_early, "end": end, "least": least}
        row |= {"growth": end - at_early, "stays": least - at_early}
    return {f"norm_{name}": float(value) for name, value in row.items()}
