"""`zero_gp`, Prop. 3 and App. C: what it takes D to stay eps-optimal under alternating descent."""

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, computed, stated
from gp_lab.figures.entry import Arrays, Calculation, Settings
from gp_lab.figures.style import new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.theory.alternating import (
    LinearPair,
    Objective,
    border_pair,
    fixed_alternation,
    least_distance,
    steps_to_return,
    steps_to_return_exact,
)

OBJECTIVES: dict[Objective, tuple[str, str]] = {
    "wasserstein": ("linear objective", "#0072B2"),
    "vanilla": ("Eq. 1", "#D55E00"),
}
"""What each is called, and its colour."""

WITHOUT_BOUND = -1.0
"""'Grows without bound': at small distances at least as fast as the distance to this power."""


def _at_distance(distance: float, s: Settings) -> Row:
    eps, z_norm, lr = s["eps"], s["z_norm"], s["lr"]
    exact = float(steps_to_return_exact(distance, eps, lr, z_norm))
    row: Row = {"case": "distance", "distance": distance, "steps_exact": exact}
    for objective in OBJECTIVES:
        pair = border_pair(distance, eps, z_norm, objective)
        row[f"ratio_{objective}"] = pair.ratio
        row[f"gradient_d_{objective}"] = float(np.linalg.norm(pair.gradient_d))
        row[f"gradient_g_{objective}"] = float(np.linalg.norm(pair.gradient_y)) * z_norm
        # Eq. 1 takes 4 logit(1/2 + eps/2)^2 / eps^2 times as many: do not start what cannot end.
        factor = 1 if objective == "wasserstein" else (2 * np.arctanh(eps) / eps) ** 2
        if exact * factor < s["most"]:
            taken = steps_to_return(pair.generator_step(lr), eps, lr, s["most"])
            row[f"steps_{objective}"] = float("nan") if taken is None else taken
    return row


def _fixed(d_steps: int, s: Settings) -> tuple[Row, np.ndarray]:
    """One run with so many D steps a G step: how long D stays eps-optimal, D(x) - D(y) by round."""
    distance: list[float] = []

    def value(pair: LinearPair) -> float:
        distance.append(pair.distance)
        return float(pair.theta @ (pair.x - pair.y))

    start = border_pair(1.0, s["eps"], s["z_norm"])
    gap = fixed_alternation(start, s["fixed_lr"], d_steps, s["rounds"], value)
    lost = gap < s["eps"]
    first = int(lost.argmax())
    return {
        "case": "fixed",
        "d_steps": d_steps,
        "share_optimal": float(1 - lost.mean()),
        "first_lost": first + 1 if lost.any() else float("nan"),
        "distance_when_lost": distance[first] if lost.any() else float("nan"),
    }, gap


def calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    of_g = settings["eps"], settings["lr"], settings["z_norm"]
    distances = np.geomspace(settings["far"], settings["near"], settings["distances"])
    runs = [_fixed(n, settings) for n in settings["fixed_steps"]]
    floor = least_distance(*of_g)
    rows = [_at_distance(float(d), settings) for d in distances] + [row for row, _ in runs]
    rows.append({"case": "floor", "distance": floor})
    fine = np.geomspace(settings["far"], 1.5 * floor, 200)
    scalars = {name: np.array(settings[name]) for name in ("eps", "fixed_lr")}
    gap = np.stack([gap for _, gap in runs])
    return rows, {"fine": fine, "steps": steps_to_return_exact(fine, *of_g), "gap": gap} | scalars


def _exponent(rows: list[Row], quantity: str) -> float:
    """d log quantity / d log distance between the two least distances; NaN with fewer."""
    if len(rows) < 2:
        return float("nan")
    last, end = rows[-2:]
    rise = np.log(end[quantity] / last[quantity])
    return float(rise / np.log(end["distance"] / last["distance"]))


def claims(table: Table) -> list[Claim]:
    rows = list(table.at(case="distance").rows)
    followed = [row for row in rows if row.get("steps_vanilla", np.nan) > 0]
    increase = float(np.diff(table.column("steps_exact", case="distance")).min())
    floor = table.one(case="floor")["distance"]
    of_steps = "exponent of the D steps in the distance, at the least distances"
    of_increase = "least increase of the D steps from one distance to the next"
    of_ratio = "exponent of the ratio in the distance, at the least distances"
    of_share = "share of rounds after which D is eps-optimal"
    of_floor = "distance below which a G step leads away from the real"
    return [
        *stated("zero_gp, App. C and Prop. 3", {
            "the number of D steps back to eps-optimal grows without bound as the distance goes"
            f" to 0 (at least as distance^{WITHOUT_BOUND:g})":
                computed(_exponent(rows, "steps_exact"), below=WITHOUT_BOUND, quantity=of_steps),
            "so it does for Eq. 1's objective, as far as it was followed":
                computed(_exponent(followed, "steps_vanilla"), below=WITHOUT_BOUND,
                         quantity=f"{of_steps} followed"),
        }),
        *stated("zero_gp, App. C", {
            "it increases with each approach": computed(increase, above=0, quantity=of_increase),
        }),
        *stated("zero_gp, Eq. 13", {
            f"the ratio of the gradients goes to 0 ({name})":
                computed(_exponent(rows, f"ratio_{objective}"), above=0, quantity=of_ratio)
            for objective, (name, _) in OBJECTIVES.items()
        }),
        *stated("zero_gp, Prop. 3", {
            f"with {row['d_steps']} D steps to a G step D does not stay eps-optimal":
                computed(row["share_optimal"], below=1, quantity=of_share)
            for row in table.at(case="fixed").rows
        }),
        *stated("zero_gp, App. C", {
            "if the learning rate is small enough the distance goes to 0 while D is kept"
            " eps-optimal (the premise of the limit)":
                computed(floor, below=1e-9, quantity=of_floor),
        }),
    ]  # fmt: skip


def draw(arrays: Arrays, table: Table) -> Figure:
    figure, ((steps, ratio, fixed),) = new_panels(1, 3, 2.6)
    rows, floor = table.at(case="distance").rows, table.one(case="floor")["distance"]
    fine, eps = arrays["fine"], float(arrays["eps"])
    steps.loglog(fine, arrays["steps"], color="#0072B2", lw=1, label="closed form")
    for objective, (name, colour) in OBJECTIVES.items():
        taken = [(r["distance"], r[of]) for r in rows if (of := f"steps_{objective}") in r]
        if taken:
            x, y = zip(*taken, strict=True)
            steps.loglog(x, y, "o", color=colour, ms=3, label=f"taken, {name}")
        of_ratio = np.array([(r["distance"], r[f"ratio_{objective}"]) for r in rows])
        ratio.loglog(*of_ratio.T, "o-", color=colour, ms=3, lw=1, label=name)
    limit = r"$\epsilon^2 \|z\|^2$ / distance$^4$"
    steps.loglog(fine, eps**2 / fine**4, color="0.4", lw=0.8, ls=":", label=limit)
    steps.axvline(floor, color="0.3", lw=0.8, ls="--")
    steps.text(floor * 1.15, 1.5, "G overshoots", rotation=90, fontsize=6, va="bottom")
    steps.set(xlabel=r"distance $\|x - y\|$", ylabel="D steps")
    steps.set_title(r"D steps back to $\epsilon$-optimal")
    steps.legend(frameon=False, fontsize=6)
    ratio.set(xlabel=r"distance $\|x - y\|$", title="Eq. 13")
    ratio.set_ylabel(r"$\|\partial L/\partial\theta_D\|\ /\ \|\partial L/\partial\theta_G\|$")
    ratio.legend(frameon=False)

    time = np.arange(1, arrays["gap"].shape[1] + 1) * float(arrays["fixed_lr"])
    for i, (row, gap) in enumerate(zip(table.at(case="fixed").rows, arrays["gap"], strict=True)):
        colour = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")[i % 4]
        fixed.plot(time, gap, color=colour, lw=1, label=f"{row['d_steps']} D steps")
    fixed.axhline(eps, color="0.3", lw=0.8, ls="--")
    fixed.set(xlabel="G steps x learning rate", ylabel="D(x) - D(y)")
    fixed.set(xlim=(0, 1.5), ylim=(-5.5, 8.5), title=r"Fixed D steps; dashed: $\epsilon$")
    fixed.legend(frameon=False, fontsize=6, loc="upper center", ncols=2)
    return figure


ENTRY = Calculation(calculate, claims, draw)
