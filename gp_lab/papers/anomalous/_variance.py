"""What thm1 and thm2 of anomalous share: the linear WGAN with batches, sampled and in formulas."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import ArrayLike

from gp_lab.evaluation.intervals import mean_interval
from gp_lab.figures.claims import Claim, Test, computed, greater, inside, stated
from gp_lab.figures.entry import Arrays, Settings
from gp_lab.figures.style import COLOURS, new_panels
from gp_lab.figures.table import Row, Table
from gp_lab.theory.anomalous import (
    Array,
    Paths,
    Steps,
    full_batch_flow,
    full_batch_orbit,
    scheme_variances,
    simulate,
    variances,
)

MARGIN = 0.05
"""The Monte Carlo variance agrees with a formula within this share of it."""

SLOPE_MARGIN = 0.05
"""Variance is of order 1/m if log Var has slope -1 in log m within this."""

ROUND = 1e-6
"""An orbit is a circle if it leaves it by less than this share of the radius (solver's error)."""

KEPT = 0.95
"""The condition |w| <= 1 holds on its own if this share of paths keeps it."""

RECORDED = 120
LOOP = "0.55"


def calculate(settings: Settings, steps: Steps) -> tuple[list[Row], Arrays]:
    """Rows of the cases "m=<batch size>" and "scaling" for each seed, and of the "full batch"."""
    first, until = (0.0 if steps == "constant" else 1.0), float(settings["until"])
    n, seeds, paths = (int(settings[name]) for name in ("grid", "seeds", "paths"))
    fine = np.linspace(first, until, n + 1) if first == 0 else np.geomspace(first, until, n + 1)
    record = sorted({round(k) for k in np.linspace(0, n, RECORDED + 1)})
    times, unit = fine[record], np.arange(first, until + 1)
    sizes = np.array(settings["batch_sizes"], dtype=float)
    start = np.full(int(settings["dimension"]), float(settings["start"]))
    theta, of_loop, kept = (np.empty((seeds, len(sizes), len(t))) for t in (times, unit, times))
    full, arrays = _full_batch(fine, unit, start, steps)
    arrays |= {"times": times, "unit": unit, "batch_sizes": sizes}
    rows: list[Row] = []
    for seed in range(seeds):
        for i, m in enumerate(sizes):
            rng = np.random.default_rng((seed, i))
            flow = simulate(fine, record, m, start, start, steps, paths, rng)
            loop = simulate(unit, range(len(unit)), m, start, start, steps, paths, rng)
            head = {"case": f"m={m:g}", "seed": seed}
            rows.append(head | _row(flow, loop, m, arrays, steps))
            theta[seed, i], of_loop[seed, i] = _variance(flow.theta), _variance(loop.theta)
            kept[seed, i] = (flow.left[:, None] > times).mean(0)
            if seed == 0 and i == len(sizes) // 2:
                arrays |= {"path_w": flow.w[:, 0, 0], "path_theta": flow.theta[:, 0, 0]}
        logs = (np.log(of[seed, :, -1]) for of in (theta, of_loop))
        slope, loop_slope = (float(np.polyfit(np.log(sizes), log, 1)[0]) for log in logs)
        rows.append({"case": "scaling", "seed": seed, "slope": slope, "loop_slope": loop_slope})
    arrays |= {"theta_of_seeds": theta, "loop_of_seeds": of_loop, "kept_of_seeds": kept}
    return [*rows, full], arrays


def _row(flow: Paths, loop: Paths, m: float, arrays: Arrays, steps: Steps) -> Row:
    times, unit = arrays["times"], arrays["unit"]
    var_w, var_theta = _variance(flow.w), _variance(flow.theta)
    formula_w, formula_theta = (of[-1] for of in variances(times, m, steps))
    loop_var, loop_exact = _variance(loop.theta)[-1], scheme_variances(unit, m, steps)[1][-1]
    half_way = int(np.searchsorted(times, (times[0] + times[-1]) / 2))
    return {
        "t": times[-1],
        "m": m,
        "var_theta": var_theta[-1],
        "formula_theta": formula_theta,
        "ratio_theta": var_theta[-1] / formula_theta,
        "var_w": var_w[-1],
        "formula_w": formula_w,
        "ratio_w": var_w[-1] / formula_w,
        "m_var_theta_middle": m * var_theta[half_way],
        "m_var_theta_end": m * var_theta[-1],
        "m_var_theta_late_min": m * var_theta[times >= times[-1] / 10].min(),
        "loop_var_theta": loop_var,
        "loop_exact": loop_exact,
        "loop_ratio": loop_var / loop_exact,
        "loop_over_flow": loop_var / formula_theta,
        "kept": float(np.isinf(flow.left).mean()),
        "left_median": float(np.median(flow.left)),
        "loop_kept": float(np.isinf(loop.left).mean()),
    }


def _variance(x: Array) -> Array:
    """Of paths [k, paths, d] -> [k]: over paths, mean over the components (all alike)."""
    return np.asarray(x.var(axis=1, ddof=1).mean(axis=1))


def _full_batch(fine: Array, unit: Array, start: Array, steps: Steps) -> tuple[Row, Arrays]:
    w, theta = full_batch_flow(fine, start, start, steps)
    closed_w, closed_theta = full_batch_orbit(fine, start, start, steps)
    rng = np.random.default_rng(0)
    loop = simulate(unit, range(len(unit)), math.inf, start, start, steps, 1, rng)
    radius = float(np.hypot(start[0], start[0]))
    loop_radius = np.hypot(loop.w[:, 0], loop.theta[:, 0]) / radius
    # How far the grid's own variance is from the flow's, without chance.
    of_grid, of_flow = (f(fine, 1.0, steps)[1][-1] for f in (scheme_variances, variances))
    row = {
        "case": "full batch",
        "orbit_deviation": float(np.hypot(w - closed_w, theta - closed_theta).max()) / radius,
        "radius_deviation": float(np.abs(np.hypot(w, theta) / radius - 1).max()),
        "loop_radius_max": float(loop_radius.max()),
        "loop_radius_min": float(loop_radius.min()),
        "w_norm_max": float(np.linalg.norm(w, axis=1).max()),
        "grid_over_formula": of_grid / of_flow,
    }
    loop_orbit = np.stack([loop.w[:, 0, 0], loop.theta[:, 0, 0]])
    return row, {"orbit": np.stack([w[:, 0], theta[:, 0]]), "loop_orbit": loop_orbit}


def of_sizes(table: Table) -> list[Row]:
    """The first seed's row of each batch size, in order."""
    return [row for row in table.rows if "m" in row and row["seed"] == 0]


def middle(table: Table) -> Row:
    """The row of the middle batch size, whose sentences are those of one size alone."""
    rows = of_sizes(table)
    return rows[len(rows) // 2]


def shared_claims(table: Table, theorem: str, appendix: str, formula: str) -> list[Claim]:
    """The circle, the formula, the order 1/m, the discrete loop and the condition on w."""
    full, base = table.one(case="full batch"), middle(table)
    m, at = base["case"], f"t = {base['t']:g}"
    theorem, appendix = f"anomalous, {theorem}", f"anomalous, {appendix}"
    loop, flow = (f"{base['m'] * base[of]:.3g}/m" for of in ("loop_exact", "formula_theta"))

    def met(quantity: str, case: str, what: str = "the formula's") -> Test:
        values, words = table.values(quantity, case=case), f"Monte Carlo variance over {what}"
        return inside(values, 1 - MARGIN, 1 + MARGIN, quantity=words)

    order = f"slope of log Var theta in log m at {at}"
    circle = "largest relative change of the radius along the solved equations"
    slope, kept = table.values("slope", case="scaling"), table.values("kept", case=m)
    return [
        *stated(appendix, {
            "with the full batch (w, theta) goes round a circle about the equilibrium":
                computed(full["radius_deviation"], below=ROUND, quantity=circle),
            "with the full batch small initial parameters keep |w| <= 1":
                computed(full["w_norm_max"], below=1.0, quantity="largest |w|"),
        }),
        *stated(f"{theorem}, with the integral worked out", {
            f"{row['case']}: Var theta at {at} is {formula} (within {MARGIN:.0%})":
                met("ratio_theta", row["case"])
            for row in of_sizes(table)
        } | {
            f"{m}: Var w has its formula too (within {MARGIN:.0%})": met("ratio_w", m),
        }),
        *stated(theorem, {
            f"the variance of theta is of order 1/m (slope -1 within {SLOPE_MARGIN:g})":
                inside(slope, -1 - SLOPE_MARGIN, -1 + SLOPE_MARGIN, quantity=order),
        }),
        *stated("anomalous, Eqs. 25 and 28 (ours: the loop that is simulated)", {
            f"{m}: the alternating loop with unit steps of t has Var theta = {loop} at {at}"
            f" (within {MARGIN:.0%}; the flow: {flow})":
                met("loop_ratio", m, "that of the loop's recursion"),
        }),
        *stated(f"{appendix}, where it is said of the full batch", {
            f"{m}: with batches, too, small initial parameters keep |w| <= 1 (until {at}, in"
            f" {KEPT:.0%} of the runs), as the theorem's equations take for granted":
                greater(kept, KEPT, quantity="share of paths with |w| <= 1 throughout"),
        }),
    ]  # fmt: skip


def draw(arrays: Arrays, table: Table, steps: Steps, formula: str) -> Figure:
    """Phase plane, variance over time, variance over m, and the condition on w."""
    figure, ((plane, growth), (order, condition)) = new_panels(2, 2, 6.0)
    _plane(plane, arrays)
    times, unit, sizes = arrays["times"], arrays["unit"], arrays["batch_sizes"]
    theta, of_loop = arrays["theta_of_seeds"], arrays["loop_of_seeds"]
    exact, loop = variances(times, 1.0, steps)[1], scheme_variances(unit, 1.0, steps)[1]
    growth.plot(times, exact, color="black", label="flow: formula, or full batch")
    label = "alternating loop, unit steps of t"
    growth.plot(unit, loop, ".-", color=LOOP, lw=0.8, ms=4, label=label)
    order.plot(sizes, exact[-1] / sizes, color="black")
    order.plot(sizes, loop[-1] / sizes, color=LOOP, lw=0.8)
    for i, (m, colour) in enumerate(zip(sizes, COLOURS, strict=False)):
        some, label = slice(4 * (i + 1), None, 12), f"flow, Monte Carlo, m = {m:g}"
        _bars(growth, times[some], m * theta[:, i, some], "o", colour, label)
        _bars(order, [m], theta[:, i, -1:], "o", colour)
        _bars(order, [m], of_loop[:, i, -1:], "^", colour)
        condition.plot(times, arrays["kept_of_seeds"][:, i].mean(0), color=colour)
    order.errorbar([], [], [], fmt="^", ms=4, color=LOOP, label="loop, Monte Carlo")
    scale = "log" if steps == "vanishing" else "linear"
    growth.set(xscale=scale, xlabel="t", ylabel="m Var θ", title=f"m Var θ: {formula}")
    order.set(xscale="log", yscale="log", xlabel="batch size m", ylabel="Var θ")
    order.set_title(f"Var θ at t = {times[-1]:g}")
    order.set_xticks(sizes, [f"{m:g}" for m in sizes])
    order.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    order.yaxis.set_major_formatter("{x:g}")
    order.minorticks_off()
    condition.axhline(1, color="black", ls=":", zorder=3)
    condition.set(xscale=scale, xlabel="t", ylabel="share of paths", ylim=(-0.03, 1.06))
    condition.set_title("|w| ≤ 1 so far")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _plane(axes: Axes, arrays: Arrays) -> None:
    i = len(arrays["batch_sizes"]) // 2
    m, colour = arrays["batch_sizes"][i], COLOURS[i]
    axes.plot(*arrays["orbit"], color="black")
    axes.plot(*arrays["loop_orbit"], ".-", color=LOOP, lw=0.8, ms=4)
    axes.plot(arrays["path_w"], arrays["path_theta"], color=colour, lw=0.8)
    axes.axvspan(-1, 1, color="0.93", zorder=0, label="|w| ≤ 1")
    axes.set(xlabel="w, first component", ylabel="θ")
    axes.set_title(f"full batch, and a path with m = {m:g}")
    axes.set_aspect("equal", adjustable="datalim")
    axes.locator_params(nbins=6)


def _bars(
    axes: Axes, x: ArrayLike, values: Array, marker: str, colour: str, label: str = ""
) -> None:
    """Means of values [seeds, k] with their intervals; of a single seed there is none."""
    found = [mean_interval(of) for of in values.T]
    y = [of.estimate for of in found]
    half = [of.high - of.estimate if math.isfinite(of.high) else 0.0 for of in found]
    axes.errorbar(x, y, half, fmt=marker, ms=3, lw=0.8, capsize=2, color=colour, label=label)
