"""The robustness that zero_gp claims (contribution 4, secs. 5.2, 5.3, 6.2), as maps."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import rankdata

from gp_lab.figures.claims import Claim, inside, less, paired_greater, paired_greatest
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import heat_map
from gp_lab.papers.zero_gp._reading import centers, mode_scores, outcomes
from gp_lab.runs.folder import State

NAMES = {"none": "no GP", "one_gp": "1-GP", "zero_gp_sample": "0-GP-sample", "zero_gp": "0-GP"}
PENALTIES = ("one_gp", "zero_gp_sample", "zero_gp")
OTHERS = ("none", "one_gp", "zero_gp_sample")

MODES = 8

NO_POWER = 0.05
"""A discriminator that gives reals and fakes mean probabilities nearer than this has no power."""


class Cell(NamedTuple):
    """What a panel's name says: where in the maps its runs are."""

    optimizer: str
    network: str
    penalty: str
    lr: float
    weight: float
    dim: int


def cell(panel: str) -> Cell:
    """The cell of a panel named optimiser-network-penalty-lr<x>[-lambda<x>][-dim<x>]."""
    optimizer, network, penalty, *rest = panel.split("-")
    settings = {"lr": "", "lambda": "0", "dim": "2"}
    for setting in rest:
        key = next(k for k in settings if setting.startswith(k))
        settings[key] = setting.removeprefix(key)
    lr, weight, dim = settings.values()
    return Cell(optimizer, network, penalty, float(lr), float(weight), int(dim))


SGD, BASE = "sgd", "relu_2x512"
RATES = (0.001, 0.003, 0.01)
WEIGHTS = (0.01, 1.0, 10.0, 100.0, 10_000.0)
DIMENSIONS = (2, 8, 32, 128)


class Map(NamedTuple):
    """One heat map of optimiser and network: penalties against learning rates at one lambda."""

    title: str
    optimizer: str
    network: str
    rates: tuple[float, ...]


MAPS = (
    Map("Adam, beta1 = .5", "adam.5", BASE, (0.0001, 0.0003, 0.001)),
    Map("Adam, beta1 = .9", "adam.9", BASE, (0.0001, 0.0003, 0.001)),
    Map("3 x 512 ReLU", SGD, "relu_3x512", RATES),
    Map("2 x 64 tanh", SGD, "tanh_2x64", RATES),
)


def panel_of(at: Cell) -> str:
    """The name of a cell's panel; that of no penalty has no lambda."""
    name = f"{at.optimizer}-{at.network}-{at.penalty}-lr{at.lr:g}"
    return name if at.penalty == "none" else f"{name}-lambda{at.weight:g}"


def _lambda_map(penalty: str) -> list[str]:
    """The panels of lambda x learning rate. Without a penalty each lambda is the same run."""
    return [panel_of(Cell(SGD, BASE, penalty, lr, w, 2)) for w in WEIGHTS for lr in RATES]


def _map(of: Map, penalty: str) -> list[str]:
    return [panel_of(Cell(of.optimizer, of.network, penalty, lr, 10.0, 2)) for lr in of.rates]


def _dimension_panel(penalty: str, dim: int) -> str:
    return panel_of(Cell(SGD, BASE, penalty, 0.003, 10.0, dim)) + f"-dim{dim}"


def regions(penalty: str) -> dict[str, list[str]]:
    """The panels in which a penalty is tried, by what is varied."""
    optimizers, networks = (
        [p for m in MAPS if (m.network == BASE) == is_base for p in _map(m, penalty)]
        for is_base in (True, False)
    )
    found = {"lambda and learning rate": _lambda_map(penalty)}
    return found | {"optimiser": optimizers, "architecture": networks}


def share_kept(rows: list[Row], panels: Iterable[str]) -> np.ndarray:
    """By seed [n], the share of the cells in which it keeps all modes; a diverged run keeps none.

    NaN for a seed that has neither finished nor diverged in one of them.
    """
    kept = {(r["panel"], r["seed"]): _kept(r) for r in rows}
    seeds = sorted({r["seed"] for r in rows})
    cells = list(panels)
    return np.array([np.mean([kept.get((p, s), np.nan) for p in cells]) for s in seeds])


def modes_kept(rows: list[Row], panel: str) -> list[float]:
    """A panel's modes by seed: none where it diverged, NaN where it is not known."""
    mine = sorted((r for r in rows if r["panel"] == panel), key=lambda r: r["seed"])
    return [0.0 if r["state"] == State.DIVERGED else float(r.get("modes", np.nan)) for r in mine]


def _kept(row: Row) -> float:
    if row["state"] == State.FINISHED:
        return float(row["modes"] == MODES)
    return 0.0 if row["state"] == State.DIVERGED else np.nan


def power(logit: np.ndarray) -> float:
    """Mean probability of reals minus that of fakes, from logits [n, points] on the segments."""
    p = np.exp(-np.logaddexp(0, -logit[:, [0, -1]])).mean(0)
    return float(p[1] - p[0])


def rank_correlation(values: Sequence[float]) -> float:
    """Spearman's correlation of values [n] with their places, NaNs (diverged runs) left out.

    NaN for fewer than three values, or if all are equal.
    """
    x = np.asarray(values, dtype=np.float64)
    place = np.flatnonzero(~np.isnan(x))
    if len(place) < 3 or np.ptp(x[place]) == 0:
        return np.nan
    return float(np.corrcoef(rankdata(x[place]), np.arange(len(place)))[0, 1])


def _row(run: Run) -> Row:
    fake = run.arrays("samples")["fake"]
    row: Row = {"panel": run.panel, "seed": run.seed, "state": run.state}
    row |= cell(run.panel)._asdict() | mode_scores(fake, centers(run))
    return row | {"power": power(run.arrays("segments")["logit"])}


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def _claims(rows: list[Row]) -> list[Claim]:
    where, claims = "zero_gp, contribution 4 and sec. 6.2", []
    of_each = {penalty: regions(penalty) for penalty in NAMES}
    everything = {p: [panel for ps in r.values() for panel in ps] for p, r in of_each.items()}
    for varied in ("all settings", *of_each["none"]):
        region = {
            penalty: share_kept(
                rows,
                everything[penalty] if varied == "all settings" else of_each[penalty][varied],
            )
            for penalty in NAMES
        }
        claims.append(
            Claim(
                f"the region in which all 8 modes are kept is the largest with 0-GP: {varied}",
                paired_greatest(
                    region["zero_gp"],
                    {NAMES[p]: region[p] for p in OTHERS},
                    quantity="share of the cells in which a seed keeps all modes, 0-GP",
                ),
                where,
            )
        )
    of_lambda = [
        column(rows, panel_of(Cell(SGD, BASE, "zero_gp", 0.003, w, 2)), "power") for w in WEIGHTS
    ]
    claims += [
        Claim(
            "the larger lambda, the less 0-GP's discriminator discriminates",
            less(
                [rank_correlation(values) for values in zip(*of_lambda, strict=True)],
                0.0,
                quantity="rank correlation of lambda and E D(real) - E D(fake) at the end",
            ),
            "zero_gp, sec. 5.2",
        ),
        Claim(
            f"as lambda grows 0-GP's discriminator loses its power (lambda {WEIGHTS[-1]:g})",
            inside(of_lambda[-1], -NO_POWER, NO_POWER, quantity="E D(real) - E D(fake) at the end"),
            "zero_gp, sec. 5.2",
        ),
    ]
    one, zero = (
        {dim: modes_kept(rows, _dimension_panel(penalty, dim)) for dim in DIMENSIONS}
        for penalty in ("one_gp", "zero_gp")
    )
    low, high = DIMENSIONS[0], DIMENSIONS[-1]
    claims += [
        Claim(
            "1-GP keeps fewer modes in more dimensions",
            paired_greater(
                one[low], one[high], quantity=f"modes of 1-GP in {low} minus in {high} dimensions"
            ),
            "zero_gp, sec. 5.3",
        ),
        Claim(
            f"in {high} dimensions 0-GP keeps more modes than 1-GP",
            paired_greater(
                zero[high], one[high], quantity=f"modes in {high} dimensions, 0-GP minus 1-GP"
            ),
            "zero_gp, sec. 5.3",
        ),
    ]
    return claims


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7.0, 6.6), layout="constrained")
    grid = figure.subplots(3, 3)

    def share(panel: str) -> float:
        kept = outcomes(rows, panel, "modes") == MODES
        return float(kept.mean()) if len(kept) else np.nan

    rates = [f"{lr:g}" for lr in RATES]
    none = [share(panel_of(Cell(SGD, BASE, "none", lr, 0, 2))) for lr in RATES]
    for axes, penalty in zip(grid[0], PENALTIES, strict=True):
        of_lambda = np.reshape([share(p) for p in _lambda_map(penalty)], (-1, len(RATES)))
        values = np.vstack([none, of_lambda])
        heat_map(axes, values, rates, ["0 (none)", *(f"{w:g}" for w in WEIGHTS)])
        axes.set_title(f"{NAMES[penalty]}, SGD, 2 x 512 ReLU")
        axes.set_ylabel("lambda")
    for axes, of in zip([*grid[1], grid[2, 0]], MAPS, strict=True):
        values = np.array([[share(p) for p in _map(of, penalty)] for penalty in NAMES])
        cells = heat_map(axes, values, [f"{lr:g}" for lr in of.rates], list(NAMES.values()))
        axes.set_title(f"{of.title}, lambda 10")
    for axes in [*grid[0], *grid[1], grid[2, 0]]:
        axes.set_xlabel("learning rate")
    tried = ("one_gp", "zero_gp")
    values = np.array([[share(_dimension_panel(p, d)) for d in DIMENSIONS] for p in tried])
    heat_map(grid[2, 1], values, [str(d) for d in DIMENSIONS], [NAMES[p] for p in tried])
    grid[2, 1].set_title("SGD, 2 x 512 ReLU, lambda 10")
    grid[2, 1].set_xlabel("dimension")
    _sizes(grid[2, 2], rows)
    figure.colorbar(cells, ax=grid, shrink=0.4, label="share of seeds that keep all 8 modes")
    return figure


def _sizes(axes: Axes, rows: list[Row]) -> None:
    """The size of each penalty's region: a dot for each seed, a bar for their mean."""
    for y, penalty in enumerate(NAMES):
        sizes = share_kept(rows, [p for ps in regions(penalty).values() for p in ps])
        axes.barh(y, np.nan_to_num(np.mean(sizes)), color="0.8")
        axes.plot(sizes, np.full(len(sizes), y), "o", ms=2.5, color="black")
    axes.set_yticks(range(len(NAMES)), list(NAMES.values()))
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("share of cells")
    axes.set_title("regions, by seed")


ENTRY = Entry(_measure, _claims, _draw)
