"""lipschitz, Figs. 5 and 6: losses that meet Eq. 10, and how fast each comes to its optimum."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gp_lab.errors import counted
from gp_lab.figures.claims import Claim, computed, paired_greater
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.theory.eq10 import CONDITIONS, conditions, free_offset
from gp_lab.theory.lipschitz import OptimalDiscriminator, optimal_lipschitz

NAMES = {
    "wasserstein": "x",
    "vanilla": r"$-\log\sigma(-x)$",
    "sqrt": r"$\sqrt{x^2+1}+x$",
    "exp": r"$\exp(x)$",
    "combined": "combined, 1",
    "combined_tenth": "combined, .1",
}
"""Panels, and phi as the paper writes it; combined, with alpha = beta, is
-(alpha/beta) log sigmoid(-beta x) + x."""

WORDS = {
    "wasserstein": "x",
    "vanilla": "-log sigmoid(-x)",
    "sqrt": "sqrt(x^2 + 1) + x",
    "exp": "exp(x)",
    "combined": "the combination, alpha = beta = 1",
    "combined_tenth": "the combination, alpha = beta = .1",
}

CONVERGED = 0.1
"""A run has converged when its error stays below this share of the spread of f*."""

RISE = 2.0
"""Between a fake's and a real's value, where the offset is looked for."""

NO_SLOPE = 1e-3
"""A slope below this share of the largest blocks training."""

COLOURS = ("#000000", "#0072B2", "#009E73", "#CC79A7", "#D55E00", "#E69F00")
STYLES = ("-", "--", "-.", ":", "-", "--")


def errors(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """The steps at which f was looked at, and its RMSE to f* there over the spread of f* [n].

    Over the points of both sets; with phi = x the best offset is taken off first.
    """
    exact, found, steps = _optimum(run), [], run.folder.array_steps("gradients")
    best = np.concatenate([exact.at_real, exact.at_fake])
    for step in steps:
        difference = _values(run, step, exact) - best
        if run.folder.config["loss"]["name"] == "wasserstein":
            difference = difference - np.nanmean(difference)
        found.append(float(np.sqrt(np.nanmean(difference**2)) / best.std()))
    return np.array(steps), np.array(found)


def _optimum(run: Run) -> OptimalDiscriminator:
    config = run.folder.config
    real, fake = (
        source["distribution"]["points"]
        for source in (config["dataset"], config["architecture"]["latent"])
    )
    return optimal_lipschitz(real, fake, config["loss"]["name"], config["penalty"]["weight"])


def _values(run: Run, step: int, exact: OptimalDiscriminator) -> np.ndarray:
    """f at the points of both sets [n + m]; NaN for one that the probe did not draw."""
    data, found = run.folder.arrays("gradients", step), []
    for kind, points in (("real", exact.real), ("fake", exact.fake)):
        distance = np.abs(data[kind][None] - points[:, None]).max(2)
        nearest = distance.argmin(1)
        here = np.take_along_axis(distance, nearest[:, None], 1)[:, 0] < 1e-5  # float32 on disk
        found.append(np.where(here, data[f"{kind}_logit"][nearest], np.nan))
    return np.concatenate(found)


def steps_to_converge(steps: np.ndarray, error: np.ndarray) -> int:
    """The first of `steps` [n] from which `error` [n] stays below `CONVERGED`.

    One spacing beyond the last where there is none: it took longer than one that got there last.
    """
    above = np.flatnonzero(~(error < CONVERGED))
    first = above[-1] + 1 if len(above) else 0
    return int(steps[first] if first < len(steps) else 2 * steps[-1] - steps[-2])


def _row(run: Run) -> Row:
    curves = run.arrays("loss")
    f, slope = curves["f"], curves["phi_slope"]
    met = conditions(f, slope, curves["varphi_slope"])
    steps, error = errors(run)
    return {
        "panel": run.panel,
        "seed": run.seed,
        "state": run.state,
        "conditions_met": sum(met.values()),
        "slope_min": float(slope.min()),
        "slope_max": float(slope.max()),
        "alpha": float(run.folder.config["loss"]["alpha"]),
        "free_offset": free_offset(f, curves["phi"], curves["varphi"], RISE),
        "axis": float(f[-1] - f[0]),
        "steps_to_converge": steps_to_converge(steps, error),
        "converged": bool(error[-1] < CONVERGED),
        "error": float(error[-1]),
    }


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def _claims(rows: list[Row]) -> list[Claim]:
    first: dict[str, Row] = {}
    for row in rows:
        if "conditions_met" in row:
            first.setdefault(row["panel"], row)
    claims = [claim for panel, row in first.items() for claim in _of_loss(panel, row)]
    claims += [
        Claim(
            f"the combination ({WORDS[ours]}) converges faster than {WORDS[other]}",
            paired_greater(
                column(rows, other, "steps_to_converge"),
                column(rows, ours, "steps_to_converge"),
                quantity=f"steps until the error stays below {CONVERGED:.0%} of the spread of f*"
                f" (or the budget), {WORDS[other]} minus combination",
            ),
            "lipschitz, App. D",
        )
        for ours in ("combined", "combined_tenth")
        for other in ("wasserstein", "vanilla", "sqrt", "exp")
    ]
    return claims


def _of_loss(panel: str, row: Row) -> list[Claim]:
    """What a loss's own curves decide: nothing of it depends on training."""
    where, word = "lipschitz, Eq. 10, App. D and Fig. 5", WORDS[panel]
    several = panel == "wasserstein"
    claims = [
        Claim(
            f"phi = {word} meets Eq. 10",
            computed(
                row["conditions_met"],
                above=len(CONDITIONS) - 0.5,
                quantity=f"conditions that hold, of {len(CONDITIONS)}",
            ),
            where,
            at_any_scale=True,
        ),
        Claim(
            f"phi = {word} {'leaves the offset free' if several else 'has one optimal offset'}",
            computed(
                row["free_offset"] / row["axis"],
                above=0.5 if several else -1.0,
                below=2.0 if several else 0.01,
                quantity="optimal offsets as a share of the axis",
            ),
            where,
            at_any_scale=True,
        ),
    ]
    if panel.startswith("combined"):
        low, high = 1.0, 1.0 + row["alpha"]
        claims.append(
            Claim(
                f"phi = {word} has slopes inside (1, 1 + alpha)",
                computed(
                    min(row["slope_min"] - low, high - row["slope_max"]),
                    above=0.0,
                    quantity="least distance of a slope to the ends, inwards",
                ),
                "lipschitz, Fig. 6",
                paper="(1, 1 + alpha)",
                at_any_scale=True,
            )
        )
    if panel == "vanilla":
        claims.append(
            Claim(
                f"phi = {word} loses its slope where |f| is large",
                computed(
                    row["slope_min"] / row["slope_max"],
                    below=NO_SLOPE,
                    quantity="smallest slope on the axis over the largest",
                ),
                "lipschitz, App. D",
                at_any_scale=True,
            )
        )
    return claims


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7.0, 5.2), layout="constrained")
    grid = figure.subplots(2, 6, gridspec_kw={"height_ratios": [1, 1.5]})
    for axes, (panel, title) in zip(grid[0], NAMES.items(), strict=True):
        _draw_curves(axes, panels[panel], title)
    lower = grid[1, 0].get_gridspec()
    for axes in grid[1]:
        axes.remove()
    axes = figure.add_subplot(lower[1, :])
    for (panel, title), colour, style in zip(NAMES.items(), COLOURS, STYLES, strict=True):
        found = [errors(run) for run in panels[panel]]
        if not found:
            continue
        steps = found[0][0]
        every = np.array([error for _, error in found])
        took = np.nanmean(column(rows, panel, "steps_to_converge"))
        there = sum(row.get("converged", False) for row in rows if row["panel"] == panel)
        label = f"{title}: {took:,.0f} steps, {there} of {counted(len(found), 'seed')}"
        axes.plot(steps, np.median(every, 0), color=colour, linestyle=style, lw=1.2, label=label)
        axes.fill_between(steps, every.min(0), every.max(0), color=colour, alpha=0.12, lw=0)
    axes.axhline(CONVERGED, color="0.5", lw=0.6)
    axes.set_yscale("log")
    axes.set_xlabel("iterations")
    axes.set_ylabel("RMSE to f* / spread of f*")
    axes.set_title("how fast each comes to its optimum (median and range over seeds)")
    if axes.lines[1:]:
        axes.legend(loc="lower left", title="mean steps to converge, seeds that did")
    return figure


def _draw_curves(axes: Any, runs: Any, title: str) -> None:
    axes.set_title(title, fontsize=7)
    if not runs:
        axes.text(0.5, 0.5, "no finished run", ha="center", transform=axes.transAxes)
        return
    curves = runs[0].arrays("loss")
    axes.plot(curves["f"], curves["phi"], color="#0072B2", label=r"$\phi$")
    axes.plot(curves["f"], curves["varphi"], color="#E69F00", ls="--", label=r"$\varphi$")
    axes.set_xlim(-3, 3)
    axes.set_xticks([-2, 0, 2])
    axes.set_ylim(-3, 8)
    axes.axhline(0, color="0.7", lw=0.4, zorder=0)
    axes.axvline(0, color="0.7", lw=0.4, zorder=0)
    if title == "x":
        axes.legend(loc="upper center")
    else:
        axes.set_yticklabels([])


ENTRY = Entry(_measure, _claims, _draw)
