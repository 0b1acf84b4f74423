"""What zero_gp's figures of ImageNet have in common: a score over the updates of D."""

import numpy as np

from gp_lab.figures.entry import Run
from gp_lab.figures.table import Row

SCORES = {"inception": "Inception score", "classifier": "classifier score"}
"""The probes that score samples: that of the paper, and that of a stand-in."""


def kind(run: Run) -> str | None:
    """Which of them a run has; None where there was no Inception network."""
    return next((probe for probe in SCORES if run.steps(probe)), None)


def course(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Updates of D [k], in which the paper counts iterations, and the score [k] at each."""
    probe = kind(run)
    if probe is None:
        return np.array([run.step]), np.array([np.nan])
    steps, values = run.course(probe, lambda arrays: float(arrays["score"]))
    return steps * int(run.folder.config["d_steps"]), values


def scored(run: Run) -> Row:
    """The score at the end, its mean over the looks, and what else the probe says at the end."""
    probe, (_, values) = kind(run), course(run)
    row: Row = {"data": run.folder.config["dataset"]["name"], "by": probe or "none"}
    row |= {"score": float(values[-1]), "score_mean": float(values.mean())}
    if probe is not None:
        row |= {f"{probe}_{k}": float(v) for k, v in run.arrays(probe).items() if v.ndim == 0}
    return row
