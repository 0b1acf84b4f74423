"""What thm1 and thm2 of anomalous share: the linear WGAN with batches, sampled and in formulas."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from gp_lab.evaluation.intervals import mean_interval
from gp_lab.figures.claims import Claim, computed, greater, inside
from gp_lab.figures.registry import Arrays, Row, Settings, column
from gp_lab.theory.anomalous import (
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
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
LOOP = "0.55"


def calculate(settings: Settings, steps: Steps) -> tuple[list[Row], Arrays]:
    """Rows "m=<batch size>" for each seed, "scaling" for each seed, and "full batch"."""
    first, until = (0.0 if steps == "constant" else 1.0), float(settings["until"])
    n = int(settings["grid"])
    fine = np.linspace(first, until, n + 1) if first == 0 else np.geomspace(first, until, n + 1)
    unit = np.arange(first, until + 1)
    record = sorted({round(k) for k in np.linspace(0, n, RECORDED + 1)})
    middle = int(np.searchsorted(fine[record], (first + until) / 2))
    sizes = [float(m) for m in settings["batch_sizes"]]
    start = np.full(int(settings["dimension"]), float(settings["start"]))
    rows: list[Row] = []
    arrays: Arrays = {"times": fine[record], "unit": unit, "batch_sizes": np.array(sizes)}
    found: dict[str, list[list[np.ndarray]]] = {k: [] for k in ("theta", "loop", "kept")}
    for seed in range(int(settings["seeds"])):
        at_end, of_loop = [], []
        for kept in found.values():
            kept.append([])
        for i, m in enumerate(sizes):
            rng = np.random.default_rng((seed, i))
            given: Any = {"m": m, "w": start, "theta": start, "steps": steps, "rng": rng}
            paths = int(settings["paths"])
            flow = simulate(fine, record, **given, paths=paths)
            loop = simulate(unit, range(len(unit)), **given, paths=paths)
            row = _row(flow, loop, m, steps, fine[record], unit, middle)
            rows.append({"panel": f"m={m:g}", "seed": seed} | row)
            at_end.append(row["var_theta"])
            of_loop.append(row["loop_var_theta"])
            found["theta"][-1].append(_variance(flow.theta))
            found["loop"][-1].append(_variance(loop.theta))
            stays = flow.left[:, None] > fine[record]
            found["kept"][-1].append(stays.mean(0))
            if seed == 0 and i == len(sizes) // 2:
                arrays |= {"path_w": flow.w[:, 0, 0], "path_theta": flow.theta[:, 0, 0]}
        logs = np.log(sizes)
        rows.append(
            {
                "panel": "scaling",
                "seed": seed,
                "slope": float(np.polyfit(logs, np.log(at_end), 1)[0]),
                "loop_slope": float(np.polyfit(logs, np.log(of_loop), 1)[0]),
            }
        )
    # [seeds, batch sizes, times]
    arrays |= {f"{k}_of_seeds": np.array(v) for k, v in found.items()}
    full = _full_batch(fine, unit, start, steps, arrays)
    # How far the grid's own variance is from the flow's, without chance.
    of_grid, of_flow = (f(fine, 1.0, steps)[1][-1] for f in (scheme_variances, variances))
    return [*rows, full | {"grid_over_formula": of_grid / of_flow}], arrays


def _row(
    flow: Paths,
    loop: Paths,
    m: float,
    steps: Steps,
    times: np.ndarray,
    unit: np.ndarray,
    middle: int,
) -> Row:
    var_w, var_theta = _variance(flow.w), _variance(flow.theta)
    formula_w, formula_theta = variances(times, m, steps)
    loop_var, loop_exact = _variance(loop.theta)[-1], scheme_variances(unit, m, steps)[1][-1]
    late = times >= times[-1] / 10
    return {
        "t": times[-1],
        "m": m,
        "var_theta": var_theta[-1],
        "formula_theta": formula_theta[-1],
        "ratio_theta": var_theta[-1] / formula_theta[-1],
        "var_w": var_w[-1],
        "formula_w": formula_w[-1],
        "ratio_w": var_w[-1] / formula_w[-1],
        "m_var_theta_middle": m * var_theta[middle],
        "m_var_theta_end": m * var_theta[-1],
        "m_var_theta_late_min": m * var_theta[late].min(),
        "loop_var_theta": loop_var,
        "loop_exact": loop_exact,
        "loop_ratio": loop_var / loop_exact,
        "loop_over_flow": loop_var / formula_theta[-1],
        "kept": float(np.isinf(flow.left).mean()),
        "left_median": float(np.median(flow.left)),
        "loop_kept": float(np.isinf(loop.left).mean()),
    }


def _full_batch(
    fine: np.ndarray, unit: np.ndarray, start: np.ndarray, steps: Steps, arrays: Arrays
) -> Row:
    loop = simulate(
        unit, range(len(unit)), math.inf, start, start, steps, 1, np.random.default_rng(0)
    )
    w, theta = full_batch_flow(fine, start, start, steps)
    closed_w, closed_theta = full_batch_orbit(fine, start, start, steps)
    off = np.hypot(w - closed_w, theta - closed_theta)
    radius = float(np.hypot(start[0], start[0]))
    arrays |= {
        "orbit": np.stack([w[:, 0], theta[:, 0]], 1),
        "loop_orbit": np.stack([loop.w[:, 0, 0], loop.theta[:, 0, 0]], 1),
    }
    loop_radius = np.hypot(loop.w[:, 0], loop.theta[:, 0]) / radius
    return {
        "panel": "full batch",
        "orbit_deviation": float(off.max()) / radius,
        "radius_deviation": float(np.abs(np.hypot(w, theta) / radius - 1).max()),
        "loop_radius_max": float(loop_radius.max()),
        "loop_radius_min": float(loop_radius.min()),
        "w_norm_max": float(np.linalg.norm(w, axis=1).max()),
    }


def _variance(x: np.ndarray) -> np.ndarray:
    """Of paths [k, paths, d] -> [k]: over paths, mean over the components (all alike)."""
    return np.asarray(x.var(axis=1, ddof=1).mean(axis=1))


def batch_panels(rows: list[Row]) -> list[str]:
    """The panels of the batch sizes, in order."""
    return list(dict.fromkeys(r["panel"] for r in rows if r["panel"].startswith("m=")))


def shared_claims(rows: list[Row], theorem: str, appendix: str, formula: str) -> list[Claim]:
    """The circle, the formula, the order 1/m, the discrete loop and the condition on w."""
    (full,) = (r for r in rows if r["panel"] == "full batch")
    panels = batch_panels(rows)
    base = panels[len(panels) // 2]
    example = next(r for r in rows if r["panel"] == base)
    at = f"t = {example['t']:g}"
    claims = [
        Claim(
            "with the full batch (w, theta) goes round a circle about the equilibrium",
            computed(
                full["radius_deviation"],
                below=ROUND,
                quantity="largest relative change of the radius along the solved equations",
            ),
            f"anomalous, {appendix}",
            at_any_scale=True,
        ),
        Claim(
            "with the full batch small initial parameters keep |w| <= 1",
            computed(full["w_norm_max"], below=1.0, quantity="largest |w|"),
            f"anomalous, {appendix}",
            at_any_scale=True,
        ),
    ]
    claims += [
        Claim(
            f"{p}: Var theta at {at} is {formula} (within {MARGIN:.0%})",
            inside(
                column(rows, p, "ratio_theta"),
                1 - MARGIN,
                1 + MARGIN,
                quantity="Monte Carlo variance over the formula's",
            ),
            f"anomalous, {theorem}, with the integral worked out",
        )
        for p in panels
    ]
    claims += [
        Claim(
            f"{base}: Var w has its formula too (within {MARGIN:.0%})",
            inside(
                column(rows, base, "ratio_w"),
                1 - MARGIN,
                1 + MARGIN,
                quantity="Monte Carlo variance over the formula's",
            ),
            f"anomalous, {theorem}, with the integral worked out",
        ),
        Claim(
            f"the variance of theta is of order 1/m (slope -1 within {SLOPE_MARGIN:g})",
            inside(
                column(rows, "scaling", "slope"),
                -1 - SLOPE_MARGIN,
                -1 + SLOPE_MARGIN,
                quantity=f"slope of log Var theta in log m at {at}",
            ),
            f"anomalous, {theorem}",
        ),
        Claim(
            f"{base}: the alternating loop with unit steps of t has Var theta ="
            f" {example['m'] * example['loop_exact']:.3g}/m at {at} (within {MARGIN:.0%};"
            f" the flow: {example['m'] * example['formula_theta']:.3g}/m)",
            inside(
                column(rows, base, "loop_ratio"),
                1 - MARGIN,
                1 + MARGIN,
                quantity="Monte Carlo variance over that of the loop's recursion",
            ),
            "anomalous, Eqs. 25 and 28",
        ),
        Claim(
            f"{base}: with batches, too, small initial parameters keep |w| <= 1 (until {at}, in"
            f" {KEPT:.0%} of the runs), as the theorem's equations take for granted",
            greater(
                column(rows, base, "kept"), KEPT, quantity="share of paths with |w| <= 1 throughout"
            ),
            f"anomalous, {appendix}, where it is said of the full batch",
        ),
    ]
    return claims


def draw(arrays: Arrays, rows: list[Row], steps: Steps, formula: str) -> Figure:
    """Phase plane, variance over time, variance over m, and the condition on w."""
    figure = Figure(figsize=(7.0, 6.0), layout="constrained")
    ((plane, growth), (order, condition)) = figure.subplots(2, 2)
    times, unit, sizes = arrays["times"], arrays["unit"], arrays["batch_sizes"]
    exact, loop = variances(times, 1.0, steps)[1], scheme_variances(unit, 1.0, steps)[1]
    _draw_plane(plane, arrays)
    growth.plot(times, exact, color="black", label="flow: formula, or full batch")
    growth.plot(
        unit, loop, ".-", color=LOOP, lw=0.8, ms=4, label="alternating loop, unit steps of t"
    )
    order.plot(sizes, exact[-1] / sizes, color="black")
    order.plot(sizes, loop[-1] / sizes, color=LOOP, lw=0.8)
    of_seeds = arrays["theta_of_seeds"], arrays["loop_of_seeds"]
    for i, (m, colour) in enumerate(zip(sizes, COLOURS, strict=False)):
        some = np.arange(4 * (i + 1), len(times), 12)
        found = [mean_interval(m * of_seeds[0][:, i, k]) for k in some]
        _bars(growth, times[some], found, "o", colour, f"flow, Monte Carlo, m = {m:g}")
        for values, marker in zip(of_seeds, "o^", strict=True):
            _bars(order, sizes[[i]], [mean_interval(values[:, i, -1])], marker, colour)
        share = arrays["kept_of_seeds"][:, i].mean(0)
        condition.plot(times, share, color=colour)
    order.errorbar([], [], [], fmt="^", ms=4, color=LOOP, label="loop, Monte Carlo")
    growth.set(xlabel="t", ylabel="m Var θ", title=f"m Var θ: {formula}")
    order.set(xscale="log", yscale="log", xlabel="batch size m", ylabel="Var θ")
    order.set_title(f"Var θ at t = {times[-1]:g}")
    order.set_xticks(sizes, [f"{m:g}" for m in sizes])
    order.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    order.yaxis.set_major_formatter("{x:g}")
    order.minorticks_off()
    condition.axhline(1, color="black", ls=":", zorder=3)
    condition.set(xlabel="t", ylabel="share of paths", ylim=(-0.03, 1.06))
    condition.set_title("|w| ≤ 1 so far")
    if steps == "vanishing":
        for axes in (growth, condition):
            axes.set_xscale("log")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _draw_plane(axes: Axes, arrays: Arrays) -> None:
    axes.plot(*arrays["orbit"].T, color="black")
    axes.plot(*arrays["loop_orbit"].T, ".-", color=LOOP, lw=0.8, ms=4)
    middle = len(arrays["batch_sizes"]) // 2
    m, colour = arrays["batch_sizes"][middle], COLOURS[middle]
    axes.plot(arrays["path_w"], arrays["path_theta"], color=colour, lw=0.8)
    axes.axvspan(-1, 1, color="0.93", zorder=0, label="|w| ≤ 1")
    axes.set(
        xlabel="w, first component", ylabel="θ", title=f"full batch, and a path with m = {m:g}"
    )
    axes.set_aspect("equal", adjustable="datalim")
    axes.locator_params(nbins=6)


def _bars(
    axes: Axes, x: np.ndarray, found: list[Any], marker: str, colour: str, label: str = ""
) -> None:
    y = np.array([f.estimate for f in found])
    # Of a single seed there is no interval.
    half = np.array([f.high - f.estimate if math.isfinite(f.high) else 0.0 for f in found])
    axes.errorbar(x, y, half, fmt=marker, ms=3, lw=0.8, capsize=2, color=colour, label=label)
