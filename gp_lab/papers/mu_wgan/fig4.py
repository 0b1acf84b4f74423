"""mu_wgan, Fig. 4: samples of 2-D GANs under five penalty measures and two baselines."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.evaluation.points import wasserstein
from gp_lab.figures.claims import (
    LEVEL,
    Claim,
    Test,
    equivalent,
    learnt_on,
    only_if,
    share_of,
    stated,
    supported_only_if,
)
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import page
from gp_lab.figures.style import FAKE, window
from gp_lab.figures.table import Row, Table
from gp_lab.papers.mu_wgan._measures import MEASURES
from gp_lab.runs.folder import State
from gp_lab.theory.dynamics import Measure

BASELINE = "one_gp"
"""WGAN-GP, which the paper calls the measures' results similar to."""

ROLL = "swiss_roll"

ON_ROLL, REACHED = 0.5, 0.9
"""The roll is learnt if at least these shares of samples are near its curve, and of it near one."""

SAME_QUALITY = 0.1
"""Shares of samples near the roll are called similar within this."""

SAME_W1 = 0.1
"""So are W1: within the distance at which a sample counts as near the roll, whose radius is 1.9."""

WINDOW = 2.2
"""Half the side of a panel."""

REALS, RIM = 100, "#D55E00"
"""So many are drawn over the fakes, as rims of this colour."""


def measure(run: Run) -> Row:
    samples = run.arrays("samples")
    on_curve = run.cell["dataset"] == ROLL
    scores = run.arrays("curve" if on_curve else "modes")
    real = samples["real"]
    half = len(real) // 2
    near = float(scores["near"])
    row: Row = {
        "w1": float(scores["w1"]),
        "w1_of_reals": wasserstein(real[:half], real[half : 2 * half]),
        "quality": near,
    }
    if on_curve:
        coverage = float(scores["coverage"])
        learnt = near >= ON_ROLL and coverage >= REACHED
        return row | {"coverage": coverage, "learnt": int(learnt)}
    hit, balance = scores["hit"], float(scores["balance"])
    return row | {"modes": int(hit.sum()), "balance": balance, "learnt": int(hit.all())}


def claims(table: Table) -> list[Claim]:
    found: list[Claim] = []
    for dataset, name in table.grid.titles("dataset").items():
        learns = _learns(table, dataset, BASELINE, LEVEL)  # a premise, not one of the claims
        for measure in MEASURES:
            tests = (_on_the_roll if dataset == ROLL else _on_modes)(table, dataset, measure)
            found += stated(
                "mu_wgan, secs. 5 and 5.1, Fig. 4",
                {f"{name}: the measure {measure} is similar to WGAN-GP {what}": _given(learns, test)
                 for what, test in tests.items()},
                about={"dataset": dataset, "method": (BASELINE, measure)},
            )  # fmt: skip
        found += stated(
            "mu_wgan, sec. 5.1 and Fig. 4",
            {f"{name}: the five measures are similar to each other {what}": _given(learns, test)
             for what, test in _to_each_other(table, dataset).items()},
            about={"dataset": dataset, "method": (BASELINE, *MEASURES)},
        )  # fmt: skip
    return found


def _to_each_other(table: Table, dataset: str) -> dict[str, Test]:
    """All five at once: each is tested at the claim's own level, and the test that is farthest from
    its support is returned, as all of them have to be supported (intersection-union)."""
    if dataset != ROLL:
        each = (_learns(table, dataset, measure) for measure in MEASURES)
        return {"in that each hits all modes on most seeds": min(each, key=_low)}
    quality = {m: _quality(table.at(dataset=dataset, method=m)) for m in MEASURES}
    w1 = {m: table.values("w1", dataset=dataset, method=m) for m in MEASURES}
    learn = {m: _learns(table, dataset, m, LEVEL) for m in MEASURES}
    worst = min(learn, key=lambda m: _low(learn[m]))
    why = f"the measure {worst} learns the data on {learnt_on(learn[worst])}"
    near = _farthest_apart(w1, SAME_W1, "exact W1 to the data")
    return {
        f"in the share of samples near the roll (within {SAME_QUALITY:g})":
            _farthest_apart(quality, SAME_QUALITY, "share of samples near it"),
        f"in the distance to the data (W1, within {SAME_W1:g})":
            supported_only_if(learn[worst], near, why),
    }  # fmt: skip


def _farthest_apart(of: Mapping[Measure, Sequence[float]], margin: float, quantity: str) -> Test:
    """Of the pairs of methods the one whose difference reaches farthest from 0."""
    pairs = (
        equivalent(of[a], of[b], margin, quantity=f"{quantity}, {a} minus {b}")
        for a, b in combinations(of, 2)
    )
    return max(pairs, key=lambda test: max(-test.interval.low, test.interval.high))


def _low(test: Test) -> float:
    return test.interval.low


def _learns(table: Table, dataset: str, method: str, level: float | None = None) -> Test:
    """Does a method learn the data on most seeds? Not on one where it diverged."""
    learnt = table.outcomes("learnt", dataset=dataset, method=method) == 1
    said = f"share of seeds on which {method} learns the data"
    return share_of(learnt, level=level, quantity=said)


def _on_modes(table: Table, dataset: str, measure: str) -> dict[str, Test]:
    return {"in that it hits all modes on most seeds": _learns(table, dataset, measure)}


def _on_the_roll(table: Table, dataset: str, measure: str) -> dict[str, Test]:
    of = {"dataset": dataset, "method": measure}, {"dataset": dataset, "method": BASELINE}
    quality, its_quality = (_quality(table.at(**cell)) for cell in of)
    w1, its_w1 = (table.values("w1", **cell) for cell in of)
    minus = f"{measure} minus WGAN-GP"
    # Samples far from the roll are not far from the data: W1 alone would be met by a blur.
    learns = _learns(table, dataset, measure, LEVEL)
    near = equivalent(w1, its_w1, SAME_W1, quantity=f"exact W1 to the data, {minus}")
    return {
        f"in the share of samples near the roll (within {SAME_QUALITY:g})":
            equivalent(quality, its_quality, SAME_QUALITY,
                       quantity=f"share of samples near it, {minus}"),
        f"in the distance to the data (W1, within {SAME_W1:g})":
            supported_only_if(
                learns, near, f"the measure {measure} learns the data on {learnt_on(learns)}"),
    }  # fmt: skip


def _quality(cell: Table) -> list[float]:
    """Shares of samples of quality by seed: a run that diverged has none."""
    rows = sorted(cell.rows, key=lambda row: row["seed"])
    diverged = [row["state"] == State.DIVERGED for row in rows]
    return [0.0 if d else q for d, q in zip(diverged, cell.values("quality"), strict=True)]


def _given(baseline: Test, test: Test) -> Test:
    """The verdict where the baseline learns the data: to share a failure is not to be similar."""
    return only_if(baseline, test, f"WGAN-GP itself learns the data on {learnt_on(baseline)}")


def draw(runs: Runs, table: Table) -> Figure:
    def samples(axes: Axes, run: Run) -> str:
        window(axes, (-WINDOW, WINDOW))
        real, fake = (run.arrays("samples")[kind] for kind in ("real", "fake"))
        (x, y), (real_x, real_y) = fake.T, real[:REALS].T
        axes.scatter(x, y, s=1.5, c=FAKE, linewidths=0, label="fake")
        axes.scatter(
            real_x, real_y, s=4, facecolors="none", edgecolors=RIM, linewidths=0.4,
            label=f"real (the first {REALS})",
        )  # fmt: skip
        if outside := np.mean(np.abs(fake).max(axis=1) > WINDOW):
            axes.text(
                0.97, 0.03, f"{outside:.1%} outside", ha="right", fontsize=5.5,
                transform=axes.transAxes, bbox={"fc": "white", "ec": "none", "pad": 0.5},
            )  # fmt: skip
        return f"mean $W_1$ {table.mean('w1', **run.cell):.2f}"

    return page(runs, samples, "method", "dataset", height=4.1, legend={"markerscale": 3})[0]


ENTRY = Entry(measure, claims, draw)
