"""lipschitz, Theorem 3.3.1: which pairs of points the optimal discriminator is bound by."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.spatial.distance import cdist

from gp_lab.figures.claims import Claim, Test, greater, less, stated
from gp_lab.figures.entry import Arrays, Calculation, Settings
from gp_lab.figures.plots import legend_above
from gp_lab.figures.style import COLOURS, FAKE, REAL, new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.theory.lipschitz import (
    TIGHT,
    OptimalDiscriminator,
    gradient,
    imbalance,
    optimal_lipschitz,
)

BOUND = 0.05
"""A pair is bound if its slope is within this share of k; the theorem's residual is below it."""

VANISHED = 0.01
"""k is called zero at equality below this share of its value between disjoint sets."""

DIFFERENT = {
    "disjoint": "disjoint supports",
    "overlapping": "overlapping supports",
    "common": "the same support, other weights",
}
"""The kinds of p_G other than p_data."""


def theorem(optimum: OptimalDiscriminator, loss: str) -> Row:
    """What the theorem and its corollary say of an optimum, as residuals in shares of k d(x, y).

    bullet1: over all points, the largest of the lesser of (least residual of a pair, imbalance);
    bullet2: over points of one distribution alone, the largest least residual (NaN without any);
    bullet3: over all pairs, the least residual;
    corollary: over points with a bound pair, the largest least residual of a pair of a fake below
    and a real above;
    prevailing: the same over the fakes that fakes prevail on and the reals that reals prevail on.
    """
    points = np.concatenate([optimum.real, optimum.fake])
    values = np.concatenate([optimum.at_real, optimum.at_fake])
    n = len(optimum.real)
    distance = cdist(points, points)
    bound = np.where(distance > 0, optimum.k * distance, np.nan)
    rise = values[None, :] - values[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        residual = np.abs(np.abs(rise) / bound - 1)
        upward = np.abs(rise / bound - 1)
    of_point = _least(residual)
    pull = np.concatenate(imbalance(optimum, loss))
    # Up from fakes to reals, and down from reals to fakes: the corollary's two halves.
    of_fake, of_real = _least(upward[n:, :n]), _least(upward[n:, :n].T)
    crossing = np.concatenate([of_real, of_fake])
    same = np.concatenate([(distance[:n, n:] == 0).any(1), (distance[:n, n:] == 0).any(0)])
    return {
        "bullet1": float(np.minimum(of_point, np.abs(pull)).max()),
        "bullet2": float(of_point[~same].max()) if not same.all() else np.nan,
        "bullet3": float(of_point.min()),
        "corollary": float(crossing[of_point < TIGHT].max(initial=0.0)),
        "prevailing": max(
            float(of_fake[pull[n:] > BOUND].max(initial=0.0)),
            float(of_real[pull[:n] < -BOUND].max(initial=0.0)),
        ),
        "bound_fakes": float((of_fake < BOUND).mean()),
    }


def _least(residual: np.ndarray) -> np.ndarray:
    """The least of each row, the point itself left out; infinite where there is nothing else."""
    return np.asarray(np.where(np.isnan(residual), np.inf, residual).min(axis=1))


def segments(optimum: OptimalDiscriminator) -> float:
    """Lemma 3.3.2: the largest |grad f - k (y - x) / d| / k on bound segments, fake x to real y.

    Of the largest and the smallest k-Lipschitz extension; NaN without a bound pair.
    """
    i, j = np.nonzero(optimum.tight)
    if not len(i):
        return float("nan")
    y, x = optimum.real[i], optimum.fake[j]
    slope = optimum.k * (y - x) / optimum.distance[i, j][:, None]
    worst = 0.0
    for t in (0.25, 0.5, 0.75):
        for f in (optimum, optimum.lowest):
            error = gradient(f, x + t * (y - x)) - slope
            worst = max(worst, float(np.linalg.norm(error, axis=1).max()) / optimum.k)
    return worst


def calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    rows: list[Row] = []
    arrays: Arrays = {"path": np.linspace(0, 1, settings["path"])}
    weight = settings["weight"]
    for loss in settings["losses"]:
        along = np.zeros((settings["seeds"], settings["path"]))
        for seed in range(settings["seeds"]):
            real, p, sets = _sets(np.random.default_rng(seed), settings["count"])
            for name, (fake, q) in sets.items():
                optimum = optimal_lipschitz(real, fake, loss, weight, 0.0, p, q, pairs="all")
                rows.append({"loss": loss, "sets": name, "seed": seed, "state": "solved"})
                rows[-1]["k"] = optimum.k
                if name in DIFFERENT:
                    rows[-1] |= theorem(optimum, loss) | {"lemma": segments(optimum)}
                if seed == 0 and loss == "vanilla":
                    arrays |= _picture(name, optimum)
            fake, q = sets["disjoint"]
            # Each fake goes straight to a real of its own, and its weight to that real's.
            for step, t in enumerate(arrays["path"]):
                there, then = (1 - t) * fake + t * real, (1 - t) * q / q.sum() + t * p / p.sum()
                along[seed, step] = optimal_lipschitz(real, there, loss, weight, 0.0, p, then).k
        arrays[f"k_{loss}"] = along
    return rows, arrays


def _sets(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Reals `[count, 2]` and their weights; by the kind of sets the fakes and theirs."""
    real, other = rng.uniform(-1, 1, (2, count, 2))
    p, q = rng.uniform(0.5, 1.5, (2, count))
    half = np.concatenate([real[: count // 2], other[count // 2 :]])
    of = {"equal": (real, p), "disjoint": (other, q), "overlapping": (half, q), "common": (real, q)}
    return real, p, of


def _picture(name: str, optimum: OptimalDiscriminator) -> Arrays:
    i, j, mass = optimum.coupling
    points = {of: getattr(optimum, of) for of in ("real", "fake", "real_weight", "fake_weight")}
    drawn = {**points, "mass": mass, "pairs": np.stack([optimum.fake[j], optimum.real[i]], axis=1)}
    return {f"{name}_{of}": values for of, values in drawn.items()}


def claims(table: Table) -> list[Claim]:
    losses = list(dict.fromkeys(row["loss"] for row in table.rows))

    def of(quantity: str, *sets: str) -> np.ndarray:
        """[losses, sets, seeds]"""
        return np.array(
            [[table.values(quantity, loss=loss, sets=s) for s in sets] for loss in losses]
        )

    def bound(quantity: str, *sets: str) -> Test:
        said = ", ".join(DIFFERENT[name] for name in sets)
        said = f"largest residual over the losses ({said}), as a share of k d"
        return less(of(quantity, *sets).max((0, 1)), BOUND, quantity=said)

    start, theorem = of("k", "disjoint"), "lipschitz, Theorem 3.3.1"
    equal = (of("k", "equal") / start).max((0, 1))
    other = (of("k", "overlapping", "common") / start).min((0, 1))
    of_equal = "k at equality over k between disjoint sets, largest over the losses"
    of_other = "k over k between disjoint sets, least over the losses and other sets"
    of_lemma = "largest error of the gradient over k, all losses and sets"
    return [
        *stated(f"{theorem}, first bullet", {
            "each point is in a bound pair, or nothing pulls on f there":
                bound("bullet1", *DIFFERENT),
        }),
        *stated(f"{theorem}, second bullet", {
            "each point of one distribution alone is in a bound pair":
                bound("bullet2", "disjoint", "overlapping"),
        }),
        *stated(f"{theorem}, third bullet", {
            "the same support with other weights: some pair is bound": bound("bullet3", "common"),
        }),
        *stated("lipschitz, Corollary 3.3.1.1", {
            "a point in a bound pair is in one with a fake below and a real above":
                bound("corollary", "disjoint"),
            "so too where supports overlap (the corollary does not leave them out)":
                bound("corollary", "overlapping", "common"),
        }),
        *stated(f"{theorem}, fourth bullet", {
            "p_G = p_data: k(f*) = 0": less(equal, VANISHED, quantity=of_equal),
            "p_G other than p_data: k(f*) > 0":
                greater(other, VANISHED, quantity=of_other),
        }),
        *stated("lipschitz, Lemma 3.3.2", {
            "on bound segments the gradient is k (y - x) / d(x, y)":
                less(of("lemma", *DIFFERENT).max((0, 1)), BOUND, quantity=of_lemma),
        }),
    ]  # fmt: skip


def draw(arrays: Arrays, table: Table) -> Figure:
    """The bound pairs of an optimum, for each kind of sets; k on the way of p_G to p_data."""
    figure, ((*maps, curve),) = new_panels(1, 4, 2.6, width_ratios=[1, 1, 1, 1.1])
    for axes, (name, title) in zip(maps, DIFFERENT.items(), strict=True):
        if f"{name}_real" in arrays:
            _draw_pairs(axes, arrays, name)
            k = table.one(loss="vanilla", sets=name, seed="0")["k"]
            axes.set_title(f"{title}\nk = {k:.2f}")
    maps[0].plot([], [], "k", label="bound pair (width: multiplier), vanilla loss")
    legend_above(figure, maps, "upper center")
    losses = dict.fromkeys(row["loss"] for row in table.rows)
    for loss, colour in zip(losses, COLOURS, strict=False):
        k = arrays[f"k_{loss}"]
        curve.plot(arrays["path"], (k / k[:, :1]).mean(axis=0), color=colour, label=loss)
    curve.set_title("k on the way of p_G to p_data")
    curve.set(xlabel="share of the way", ylabel="k over k at the start")
    curve.legend(frameon=False)
    return figure


def _draw_pairs(axes: Axes, arrays: Arrays, name: str) -> None:
    start = f"{name}_"
    of = {key.removeprefix(start): x for key, x in arrays.items() if key.startswith(start)}
    for ends, mass in zip(of["pairs"], of["mass"] / of["mass"].max(), strict=True):
        axes.plot(*ends.T, color="black", zorder=1, lw=0.4 + 1.6 * mass)
    for kind, colour, marker, size in (("real", REAL, "o", 300), ("fake", FAKE, "^", 130)):
        (x, y), sizes = of[kind].T, size * of[f"{kind}_weight"]
        axes.scatter(
            x, y, s=sizes, c=colour, marker=marker, edgecolors="black", linewidths=0.4, label=kind,
            zorder=2,
        )  # fmt: skip
    ticks = [-1, 0, 1]
    axes.set(aspect="equal", xlim=(-1.15, 1.15), ylim=(-1.15, 1.15), xticks=ticks, yticks=ticks)


ENTRY = Calculation(calculate, claims, draw)
