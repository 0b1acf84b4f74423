"""lipschitz, Theorem 3.3.1: which pairs of points the optimal discriminator is bound by."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from scipy.spatial.distance import cdist

from gp_lab.figures.claims import Claim, greater, less
from gp_lab.figures.registry import Arrays, Calculation, Row, Settings, column
from gp_lab.figures.style import FAKE, REAL
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

NAMES = {
    "disjoint": "disjoint supports",
    "overlapping": "overlapping supports",
    "common": "the same support, other weights",
    "equal": "p_G = p_data",
}


def _sets(rng: np.random.Generator, count: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, fakes `[count, 2]` and their weights; the reals are those of `common`."""
    real = rng.uniform(-1, 1, (count, 2))
    other = rng.uniform(-1, 1, (count, 2))
    p, q = rng.uniform(0.5, 1.5, (2, count))
    half = np.concatenate([real[: count // 2], other[count // 2 :]])
    yield "equal", real, p
    yield "disjoint", other, q
    yield "overlapping", half, q
    yield "common", real, q


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
        "k": optimum.k,
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


def _calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    rows: list[Row] = []
    arrays: Arrays = {"path": np.linspace(0, 1, settings["path"])}
    for loss in settings["losses"]:
        along = np.zeros((settings["seeds"], settings["path"]))
        for seed in range(settings["seeds"]):
            rng = np.random.default_rng(seed)
            sets = _sets(rng, settings["count"])
            _, real, p = next(sets)  # equal
            for name, fake, q in [("equal", real, p), *sets]:
                optimum = optimal_lipschitz(
                    real, fake, loss, settings["weight"], 0.0, p, q, pairs="all"
                )
                row: Row = {"panel": f"{loss}_{name}", "seed": seed, "state": "solved"}
                if name == "equal":
                    row["k"] = optimum.k
                else:
                    row |= theorem(optimum, loss) | {"lemma": segments(optimum)}
                rows.append(row)
                if seed == 0 and loss == "vanilla":
                    arrays |= _picture(name, optimum)
                if name == "disjoint":
                    # Each fake goes straight to a real of its own, and its weight to that real's.
                    for step, t in enumerate(arrays["path"]):
                        along[seed, step] = optimal_lipschitz(
                            real, (1 - t) * fake + t * real, loss, settings["weight"], 0.0, p,
                            (1 - t) * q / q.sum() + t * p / p.sum(),
                        ).k  # fmt: skip
        arrays[f"k_{loss}"] = along
    return rows, arrays


def _picture(name: str, optimum: OptimalDiscriminator) -> Arrays:
    i, j, mass = optimum.coupling
    return {
        f"{name}_real": optimum.real,
        f"{name}_fake": optimum.fake,
        f"{name}_real_weight": optimum.real_weight,
        f"{name}_fake_weight": optimum.fake_weight,
        f"{name}_pairs": np.stack([i, j], axis=1),
        f"{name}_k": np.array(optimum.k),
        f"{name}_mass": mass,
    }


def _claims(rows: list[Row]) -> list[Claim]:
    losses = list(dict.fromkeys(row["panel"].partition("_")[0] for row in rows))
    where = "lipschitz, Theorem 3.3.1"

    def worst(quantity: str, *names: str) -> list[float]:
        """By seed, the largest over the losses and the kinds of sets."""
        of_each = [column(rows, f"{loss}_{name}", quantity) for loss in losses for name in names]
        return [float(x) for x in np.max(of_each, axis=0)]

    def residual(text: str, quantity: str, where: str, *names: str) -> Claim:
        sets = ", ".join(NAMES[name] for name in names)
        said = f"largest residual over the losses ({sets}), as a share of k d"
        return Claim(text, less(worst(quantity, *names), BOUND, quantity=said), where)

    different = ("disjoint", "overlapping", "common")
    claims = [
        residual(
            "each point is in a bound pair, or nothing pulls on f there",
            "bullet1", f"{where}, first bullet", *different,
        ),
        residual(
            "each point of one distribution alone is in a bound pair",
            "bullet2", f"{where}, second bullet", "disjoint", "overlapping",
        ),
        residual(
            "the same support with other weights: some pair is bound",
            "bullet3", f"{where}, third bullet", "common",
        ),
        residual(
            "a point in a bound pair is in one with a fake below and a real above",
            "corollary", "lipschitz, Corollary 3.3.1.1", "disjoint",
        ),
        residual(
            "so too where supports overlap (the corollary does not leave them out)",
            "corollary", "lipschitz, Corollary 3.3.1.1", "overlapping", "common",
        ),
    ]  # fmt: skip
    shares = [
        [a / b for a, b in zip(column(rows, f"{loss}_equal", "k"),
                               column(rows, f"{loss}_disjoint", "k"), strict=True)]
        for loss in losses
    ]  # fmt: skip
    claims.append(
        Claim(
            "p_G = p_data: k(f*) = 0",
            less(
                np.max(shares, axis=0),
                VANISHED,
                quantity="k at equality over k between disjoint sets, largest over the losses",
            ),
            f"{where}, fourth bullet",
        )
    )
    least = [
        np.divide(
            column(rows, f"{loss}_{name}", "k"), column(rows, f"{loss}_disjoint", "k")
        )
        for loss in losses
        for name in ("overlapping", "common")
    ]  # fmt: skip
    claims.append(
        Claim(
            "p_G other than p_data: k(f*) > 0, so no equilibrium",
            greater(
                np.min(least, axis=0),
                VANISHED,
                quantity="k over k between disjoint sets, least over the losses and other sets",
            ),
            f"{where}, fourth bullet",
        )
    )
    claims.append(
        Claim(
            "on bound segments the gradient is k (y - x) / d(x, y)",
            less(
                worst("lemma", *different),
                BOUND,
                quantity="largest error of the gradient over k, all losses and sets",
            ),
            "lipschitz, Lemma 3.3.2",
        )
    )
    return claims


def _draw(arrays: Arrays, rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7.0, 2.6), layout="constrained")
    *maps, curve = figure.subplots(1, 4, width_ratios=[1, 1, 1, 1.1])
    for axes, name in zip(maps, ("disjoint", "overlapping", "common"), strict=True):
        if f"{name}_real" not in arrays:
            continue
        real, fake = arrays[f"{name}_real"], arrays[f"{name}_fake"]
        strength = arrays[f"{name}_mass"] / arrays[f"{name}_mass"].max()
        for (i, j), mass in zip(arrays[f"{name}_pairs"], strength, strict=True):
            axes.plot(
                *np.stack([fake[j], real[i]]).T, color="black", zorder=1,
                linewidth=0.4 + 1.6 * mass,
            )  # fmt: skip
        for x, weight, colour, marker, label, size in (
            (real, arrays[f"{name}_real_weight"], REAL, "o", "real", 300),
            (fake, arrays[f"{name}_fake_weight"], FAKE, "^", "fake", 130),
        ):
            axes.scatter(
                *x.T, s=size * weight, c=colour, marker=marker, edgecolors="black",
                linewidths=0.4, label=label, zorder=2,
            )  # fmt: skip
        axes.set_title(f"{NAMES[name]}\nk = {arrays[f'{name}_k']:.2f}")
        axes.set_aspect("equal")
        axes.set_xlim(-1.15, 1.15)
        axes.set_ylim(-1.15, 1.15)
        axes.set_xticks([-1, 0, 1])
        axes.set_yticks([-1, 0, 1])
    colours = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "black")
    losses = [name.removeprefix("k_") for name in arrays if name.startswith("k_")]
    for loss, colour in zip(losses, colours, strict=False):
        k = arrays[f"k_{loss}"]
        curve.plot(arrays["path"], (k / k[:, :1]).mean(axis=0), color=colour, label=loss)
    curve.set_title("k on the way of p_G to p_data")
    curve.set_xlabel("share of the way")
    curve.set_ylabel("k over k at the start")
    curve.legend(frameon=False)
    handles, labels = maps[0].get_legend_handles_labels()
    handles += maps[0].plot([], [], color="black")
    figure.legend(
        handles, [*labels, "bound pair (width: multiplier), vanilla loss"],
        loc="outside upper center", ncols=3,
    )  # fmt: skip
    return figure


ENTRY = Calculation(_calculate, _claims, _draw)
