"""What the 2-D entries of zero_gp read from a run: where its modes are, and its samples' scores."""

from collections.abc import Sequence

import numpy as np

from gp_lab.data.points import Points
from gp_lab.evaluation.points import balance, modes_hit, share_on_ring
from gp_lab.figures.registry import Row, Run
from gp_lab.parts import build
from gp_lab.runs.folder import State

NEAR = 0.1
"""A sample is at a mode, or on the ring, within this share of the ring's radius."""

HIT = 0.01
"""A mode is hit by this share of all samples."""


def dataset(run: Run) -> Points:
    """The data set of the run, from its own config."""
    found = build(run.folder.config["dataset"], "dataset")
    assert isinstance(found, Points)
    return found


def centers(run: Run) -> np.ndarray:
    """The centres [modes, dim] of the run's data."""
    found = dataset(run).centers()
    assert found is not None, f"{run.panel}: its data have no modes"
    return found.numpy()


def step_at(run: Run, probe: str, share: float) -> int:
    """The step, among those at which a probe wrote, nearest to this share of the run."""
    steps = [step for step in run.folder.array_steps(probe) if step <= run.step]
    return min(steps, key=lambda step: abs(step - share * run.step))


def steps_at(run: Run, probe: str, shares: Sequence[float]) -> list[int]:
    """The steps nearest to these shares of the run, each once; fewer where there are fewer."""
    left, found = steps_up_to(run, probe), list[int]()
    for share in shares[: len(left)]:
        found.append(min(left, key=lambda step: abs(step - share * run.step)))
        left.remove(found[-1])
    return sorted(found)


def steps_up_to(run: Run, probe: str) -> list[int]:
    """All steps at which a probe wrote, to the one that the figure reads."""
    return [step for step in run.folder.array_steps(probe) if step <= run.step]


def mode_scores(fake: np.ndarray, modes: np.ndarray) -> Row:
    """Scores of fakes [n, dim] where the modes [k, dim] lie on a ring about the origin.

    modes: how many are hit; ring: share of fakes on the ring; balance: entropy of the nearest
    modes over log k; radial_error: median of | |x| - radius | / radius.
    """
    radius = float(np.linalg.norm(modes, axis=1).mean())
    distance = np.abs(np.linalg.norm(fake, axis=1) - radius) / radius
    return {
        "modes": int(modes_hit(fake, modes, NEAR * radius, HIT).sum()),
        "ring": share_on_ring(fake, radius, NEAR * radius),
        "balance": balance(fake, modes),
        "radial_error": float(np.median(distance)),
    }


def outcomes(rows: Sequence[Row], panel: str, quantity: str) -> np.ndarray:
    """A quantity of a panel's runs [n] that finished or diverged, NaN for those that diverged.

    A seed that diverged has not reached anything, and counts; one that failed says nothing.
    """
    mine = [r for r in rows if r["panel"] == panel]
    return np.array(
        [
            float(r[quantity]) if r["state"] == State.FINISHED else np.nan
            for r in mine
            if r["state"] in (State.FINISHED, State.DIVERGED)
        ]
    )
