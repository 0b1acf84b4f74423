"""`zero_gp`, Prop. 3 and App. C: what it takes D to stay eps-optimal under alternating descent."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, computed
from gp_lab.figures.registry import Arrays, Calculation, Row, Settings
from gp_lab.theory.alternating import (
    LinearPair,
    Objective,
    border_pair,
    fixed_alternation,
    least_distance,
    steps_to_return,
    steps_to_return_exact,
)

OBJECTIVES: dict[Objective, str] = {"wasserstein": "linear objective", "vanilla": "Eq. 1"}
COLOURS = {"wasserstein": "#0072B2", "vanilla": "#D55E00"}

WITHOUT_BOUND = -1.0
"""'Grows without bound': at small distances at least as fast as the distance to this power."""


def _at_distance(distance: float, s: Settings) -> Row:
    eps, z_norm, lr = s["eps"], s["z_norm"], s["lr"]
    row: Row = {"panel": "distance", "distance": distance}
    row["steps_exact"] = float(steps_to_return_exact(distance, eps, lr, z_norm))
    for objective in OBJECTIVES:
        pair = border_pair(distance, eps, z_norm, objective)
        row[f"ratio_{objective}"] = pair.ratio
        row[f"gradient_d_{objective}"] = float(np.linalg.norm(pair.gradient_d))
        row[f"gradient_g_{objective}"] = float(np.linalg.norm(pair.gradient_y)) * z_norm
        # Eq. 1 takes 4 logit(1/2 + eps/2)^2 / eps^2 times as many: do not start what cannot end.
        factor = 1 if objective == "wasserstein" else (2 * np.arctanh(eps) / eps) ** 2
        if row["steps_exact"] * factor < s["most"]:
            taken = steps_to_return(pair.generator_step(lr), eps, lr, s["most"])
            row[f"steps_{objective}"] = float("nan") if taken is None else taken
    return row


def _fixed(d_steps: int, s: Settings) -> tuple[Row, np.ndarray, np.ndarray]:
    """One run with so many D steps a G step: how long D stays eps-optimal."""
    eps = s["eps"]
    start = border_pair(1.0, eps, s["z_norm"])
    seen: list[LinearPair] = []

    def value(pair: LinearPair) -> float:
        seen.append(pair)
        return float(pair.theta @ (pair.x - pair.y))

    gap = fixed_alternation(start, s["fixed_lr"], d_steps, s["rounds"], value)
    distance = np.array([pair.distance for pair in seen])
    lost = gap < eps
    row: Row = {
        "panel": "fixed",
        "d_steps": d_steps,
        "share_optimal": float(1 - lost.mean()),
        "first_lost": int(lost.argmax()) + 1 if lost.any() else float("nan"),
        "distance_when_lost": float(distance[lost.argmax()]) if lost.any() else float("nan"),
    }
    return row, gap, distance


def _calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    distances = np.geomspace(settings["far"], settings["near"], settings["distances"])
    rows = [_at_distance(float(d), settings) for d in distances]
    runs = [_fixed(n, settings) for n in settings["fixed_steps"]]
    rows += [row for row, _, _ in runs]
    floor = least_distance(settings["eps"], settings["lr"], settings["z_norm"])
    rows.append({"panel": "floor", "distance": floor})
    fine = np.geomspace(settings["far"], 1.5 * floor, 200)
    return rows, {
        "fine": fine,
        "steps": steps_to_return_exact(fine, settings["eps"], settings["lr"], settings["z_norm"]),
        "floor": np.array(floor),
        "eps": np.array(settings["eps"]),
        "gap": np.stack([gap for _, gap, _ in runs]),
        "fixed_lr": np.array(settings["fixed_lr"]),
    }


def _exponent(rows: list[Row], quantity: str) -> float:
    """d log quantity / d log distance between the two least distances; NaN with fewer."""
    if len(rows) < 2:
        return float("nan")
    last, end = (r for r in rows[-2:])
    rise = np.log(end[quantity] / last[quantity])
    return float(rise / np.log(end["distance"] / last["distance"]))


def _claims(rows: list[Row]) -> list[Claim]:
    at = [r for r in rows if r["panel"] == "distance"]
    steps = np.array([r["steps_exact"] for r in at])
    (floor,) = (r["distance"] for r in rows if r["panel"] == "floor")
    where = "zero_gp, App. C"
    claims = [
        Claim(
            "the number of D steps back to eps-optimal grows without bound as the distance goes"
            f" to 0 (at least as distance^{WITHOUT_BOUND:g})",
            computed(
                _exponent(at, "steps_exact"),
                below=WITHOUT_BOUND,
                quantity="exponent of the D steps in the distance, at the least distances",
            ),
            f"{where} and Prop. 3",
        ),
        Claim(
            "so it does for Eq. 1's objective, as far as it was followed",
            computed(
                _exponent([r for r in at if r.get("steps_vanilla", np.nan) > 0], "steps_vanilla"),
                below=WITHOUT_BOUND,
                quantity="exponent of the D steps in the distance, at the least distances followed",
            ),
            f"{where} and Prop. 3",
        ),
        Claim(
            "it increases with each approach",
            computed(
                float(np.diff(steps).min()),
                above=0,
                quantity="least increase of the D steps from one distance to the next",
            ),
            where,
        ),
    ]
    for objective, name in OBJECTIVES.items():
        claims.append(
            Claim(
                f"the ratio of the gradients goes to 0 ({name})",
                computed(
                    _exponent(at, f"ratio_{objective}"),
                    above=0,
                    quantity="exponent of the ratio in the distance, at the least distances",
                ),
                "zero_gp, Eq. 13",
            )
        )
    for row in rows:
        if row["panel"] == "fixed":
            claims.append(
                Claim(
                    f"with {row['d_steps']} D steps to a G step D does not stay eps-optimal",
                    computed(
                        row["share_optimal"],
                        below=1,
                        quantity="share of rounds after which D is eps-optimal",
                    ),
                    "zero_gp, Prop. 3",
                )
            )
    claims.append(
        Claim(
            "if the learning rate is small enough the distance goes to 0 while D is kept"
            " eps-optimal (the premise of the limit)",
            computed(
                floor,
                below=1e-9,
                quantity="distance below which a G step leads away from the real",
            ),
            where,
        )
    )
    return claims


def _draw(arrays: Arrays, rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7.0, 2.6), layout="constrained")
    steps, ratio, fixed = figure.subplots(1, 3)
    at = [r for r in rows if r["panel"] == "distance"]
    distance = np.array([r["distance"] for r in at])
    steps.loglog(
        arrays["fine"], arrays["steps"], color=COLOURS["wasserstein"], lw=1, label="closed form"
    )
    for objective, name in OBJECTIVES.items():
        _steps_taken(steps, at, objective, name)
    eps = float(arrays["eps"])
    steps.loglog(
        arrays["fine"], eps**2 / arrays["fine"] ** 4, color="0.4", lw=0.8, ls=":",
        label=r"$\epsilon^2 \|z\|^2$ / distance$^4$",
    )  # fmt: skip
    steps.axvline(arrays["floor"], color="0.3", lw=0.8, ls="--")
    steps.text(arrays["floor"] * 1.15, 1.5, "G overshoots", rotation=90, fontsize=6, va="bottom")
    steps.set(
        xlabel=r"distance $\|x - y\|$",
        ylabel="D steps",
        title=r"D steps back to $\epsilon$-optimal",
    )
    steps.legend(frameon=False, fontsize=6)

    for objective, name in OBJECTIVES.items():
        values = [r[f"ratio_{objective}"] for r in at]
        ratio.loglog(distance, values, "o-", color=COLOURS[objective], ms=3, lw=1, label=name)
    ratio.set(
        xlabel=r"distance $\|x - y\|$", title="Eq. 13",
        ylabel=r"$\|\partial L/\partial\theta_D\|\ /\ \|\partial L/\partial\theta_G\|$",
    )  # fmt: skip
    ratio.legend(frameon=False)

    runs = [r for r in rows if r["panel"] == "fixed"]
    for i, (row, gap) in enumerate(zip(runs, arrays["gap"], strict=True)):
        time = np.arange(1, len(gap) + 1) * float(arrays["fixed_lr"])
        colour = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")[i % 4]
        fixed.plot(time, gap, color=colour, lw=1, label=f"{row['d_steps']} D steps")
    fixed.axhline(eps, color="0.3", lw=0.8, ls="--")
    fixed.set(
        xlabel="G steps x learning rate", ylabel="D(x) - D(y)", xlim=(0, 1.5), ylim=(-5.5, 8.5),
        title=r"Fixed D steps; dashed: $\epsilon$",
    )  # fmt: skip
    fixed.legend(frameon=False, fontsize=6, loc="upper center", ncols=2)
    return figure


def _steps_taken(axes: Any, at: list[Row], objective: str, name: str) -> None:
    taken = [r for r in at if f"steps_{objective}" in r]
    if taken:
        axes.loglog(
            [r["distance"] for r in taken], [r[f"steps_{objective}"] for r in taken], "o",
            color=COLOURS[objective], ms=3, label=f"taken, {name}",
        )  # fmt: skip


ENTRY = Calculation(_calculate, _claims, _draw)
