"""What the entries of zero_gp read from a run: its modes, its samples' scores over time."""

from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from gp_lab.evaluation.points import balance, modes_hit, share_on_ring
from gp_lab.figures.entry import Run
from gp_lab.figures.plots import Course
from gp_lab.figures.table import Row, Table

if TYPE_CHECKING:
    from gp_lab.data.points import Points

NEAR = 0.1
"""A sample is at a mode, or on the ring, within this share of the ring's radius."""

HIT = 0.01
"""A mode is hit by this share of all samples."""

MODES = 8

A_POINT = 0.01
"""Differences in accuracy of more than this count."""

NO_LETTER = "panels without a letter are not in the paper's figure"


def of_weight(run: Run | None) -> str:
    """The weight of a run's penalty, for a title; "" where it has none."""
    weight = run.folder.config["penalty"].get("weight") if run else None
    return "" if weight is None else f", $\\lambda$ = {weight:g}"


def dead_networks(table: Table, run: Run, step: int) -> str:
    """What a panel of a run at its end says where most seeds of its cell have dead networks."""
    dead = table.column("dead", **run.cell)
    if step < run.step or 2 * dead.sum() <= len(dead):
        return ""
    return f"dead networks in {dead.sum():.0f} of {len(dead)} seeds"


def dataset(run: Run) -> "Points":
    """The data set of the run, from its own config."""
    from gp_lab.data.points import Points
    from gp_lab.instantiate import instantiate

    found = instantiate(run.folder.config["dataset"], "dataset")
    assert isinstance(found, Points)
    return found


def centers(run: Run) -> np.ndarray:
    """The centres [modes, dim] of the run's data."""
    found = dataset(run).centers()
    assert found is not None, f"{run.folder.path}: its data have no modes"
    return found.numpy()


def step_at(run: Run, probe: str, share: float) -> int:
    """The step, among those at which a probe wrote, nearest to this share of the run."""
    return min(run.steps(probe), key=lambda step: abs(step - share * run.step))


def steps_at(run: Run, probe: str, shares: Sequence[float]) -> list[int]:
    """The steps nearest to these shares of the run, each once; fewer where there are fewer."""
    left, found = run.steps(probe), list[int]()
    for share in shares[: len(left)]:
        found.append(min(left, key=lambda step: abs(step - share * run.step)))
        left.remove(found[-1])
    return sorted(found)


def accuracies(run: Run) -> Row:
    """Of D on its training and on held-out samples, and how much better it is on the first."""
    at, row = run.arrays("held_out"), Row()
    for part in ("train", "held_out"):
        right = [at[f"{part}_real_logit"] > 0, at[f"{part}_fake_logit"] < 0]
        row[f"accuracy_{part}"] = float(np.mean([r.mean() for r in right]))
    return row | {"accuracy_gap": row["accuracy_train"] - row["accuracy_held_out"]}


def power(logit: np.ndarray) -> float:
    """Mean probability of reals minus that of fakes, from logits [n, points] on the segments."""
    p = np.exp(-np.logaddexp(0, -logit[:, [0, -1]])).mean(0)
    return float(p[1] - p[0])


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


def evolution(run: Run) -> dict[str, np.ndarray]:
    """step, and `mode_scores` of the run's samples at each, [k] each."""
    where, steps = centers(run), run.steps("samples")
    found = [mode_scores(run.arrays("samples", step)["fake"], where) for step in steps]
    return {"step": np.array(steps)} | {k: np.array([x[k] for x in found]) for k in found[0]}


def over_time(quantity: str) -> Course:
    """A run -> the steps at which samples were stored and one of their scores at each."""
    return lambda run: itemgetter("step", quantity)(evolution(run))
