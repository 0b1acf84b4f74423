# ruff: noqa: N999
"""lipschitz, App. A: ways of enforcing a Lipschitz constraint against the exact optimum."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, inside, less, share_greater
from gp_lab.papers.lipschitz._against_optimum import Comparison, compare
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import FAKE, REAL, SURFACE, empty
from gp_lab.runs.folder import State
from gp_lab.theory.lipschitz import wasserstein_slope
from gp_lab.theory.transport import exact_critic

METHODS = {
    "spectral_norm": "spectral norm",
    "one_gp": "1-GP",
    "one_sided": "one-sided 1-GP",
    "mean_squared": "mean squared slope",
    "max_gp": "max-GP",
    "max_gp_vanilla": "max-GP, vanilla loss",
}
DEEP = {"deep_spectral_norm": "spectral norm", "deep_plain": "no constraint"}

MOST_SEEDS = 0.5
"""A method fails if more than this share of its seeds does, with confidence."""

CONVERGED = 0.05
"""A method converges if its error is below this share of the optimum's standard deviation."""

VANISHED = 0.01
"""Slopes vanish below this, where 1 is allowed."""

AGREES = 0.05
"""A trained k is the lemma's within this share; the programme's is within a hundredth of it."""

HELD = 1e6
"""The lambda that holds k at k0."""


def _constraint(run: Run) -> tuple[float, float]:
    """lambda and k0 of a run's own constraint."""
    penalty = run.folder.config["penalty"]
    if penalty["measure"] == "none":
        return HELD, 1.0
    return float(penalty["weight"]), float(penalty["center"])


def _compare(run: Run, step: int | None = None) -> Comparison:
    stored = run.arrays("pairs") if step is None else run.folder.arrays("pairs", step)
    return compare(stored, run.folder.config["loss"]["name"], *_constraint(run))


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def _row(run: Run) -> Row:
    start = run.folder.arrays("pairs", 0)
    slopes = np.linalg.norm(
        np.concatenate([start["real_gradient"], start["fake_gradient"]]), axis=1
    )
    row: Row = {
        "panel": run.panel,
        "seed": run.seed,
        "state": run.state,
        "slope_at_start": float(slopes.mean()),
        "spread_at_start": float(
            np.std(np.concatenate([start["real_logit"], start["fake_logit"]]))
        ),
    }
    if run.panel in DEEP:
        return row
    found = _compare(run)
    row |= {
        "error": found.error(),
        "cosine": float(np.nanmean(found.coupled_cosines())),
        "k": found.slope(),
        "k_exact": found.optimum.k,
        "k_share": found.slope() / found.optimum.k,
        "bound_residual": found.bound_residual(),
    }
    if found.loss == "wasserstein":
        w1 = exact_critic(found.optimum.real, found.optimum.fake).w1
        lemma = wasserstein_slope(w1, *_constraint(run))
        row |= {"w1": w1, "k_lemma": lemma, "lemma_error": abs(found.optimum.k / lemma - 1)}
    return row


def _claims(rows: list[Row]) -> list[Claim]:
    where = "lipschitz, App. A"
    error = "RMSE to the optimum on points and coupled segments over the optimum's deviation"
    claims = []
    for panel, name in METHODS.items():
        values = column(rows, panel, "error")
        if panel.startswith("max_gp"):
            test = less(values, CONVERGED, quantity=error)
            text = f"{name} converges to the optimal f* (error below {CONVERGED:.0%})"
        else:
            mine = [r for r in rows if r["panel"] == panel and r["state"] != State.FAILED]
            fails = sum(r["state"] == State.DIVERGED or r["error"] > CONVERGED for r in mine)
            failed = f"share of seeds that diverge, or whose {error} is above {CONVERGED:.0%}"
            test = share_greater(fails, len(mine), MOST_SEEDS, quantity=failed)
            text = f"{name} fails to converge to the optimal f* (error above {CONVERGED:.0%})"
        claims.append(Claim(text, test, where))
    claims += [
        Claim(
            "with phi = x and lambda (k - k0)^2 the optimal k is W1 / (2 lambda) + k0",
            less(
                np.max(
                    [column(rows, p, "lemma_error") for p in METHODS if p != "max_gp_vanilla"], 0
                ),
                AGREES / 5,
                quantity="largest |k / lemma's k - 1| of the convex programmes",
            ),
            "lipschitz, Lemma A.0.1",
            at_any_scale=True,
        ),
        Claim(
            "max-GP finds that k when it trains",
            inside(
                column(rows, "max_gp", "k_share"),
                1 - AGREES,
                1 + AGREES,
                quantity="k(f) on points and coupled segments over W1 / (2 lambda)",
            ),
            "lipschitz, Lemma A.0.1",
        ),
        Claim(
            f"spectral norm: gradients vanish at the start (below {VANISHED}, 16 layers)",
            less(
                column(rows, "deep_spectral_norm", "slope_at_start"),
                VANISHED,
                quantity="mean |grad f| on the points before the first step",
            ),
            where,
            at_any_scale=True,
        ),
        Claim(
            f"spectral norm: so do activations (spread of f below {VANISHED})",
            less(
                column(rows, "deep_spectral_norm", "spread_at_start"),
                VANISHED,
                quantity="standard deviation of f over the points before the first step",
            ),
            where,
            at_any_scale=True,
        ),
    ]
    return claims


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "black", "0.55")


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7.0, 6.6), layout="constrained")
    top, bottom = np.ravel(figure.subfigures(2, 1, height_ratios=[1.9, 1], squeeze=False))
    grid = top.subplots(2, 3, sharex=True, sharey=True)
    handles: list[Any] = []
    labels: list[str] = []
    for axes, (panel, name) in zip(grid.ravel(), METHODS.items(), strict=True):
        if not panels[panel]:
            empty(axes, name)
            continue
        run = panels[panel][0]
        at_grid, found = run.arrays("surface"), _compare(run)
        axis, values = at_grid["axis"], at_grid["logit"]
        mean = np.nanmean(column(rows, panel, "error"))
        axes.contourf(axis, axis, values, levels=14, cmap=SURFACE)
        for i, j in zip(found.optimum.partner(), range(len(found.optimum.fake)), strict=True):
            if i < 0:
                continue
            ends = np.stack([found.optimum.fake[j], found.optimum.real[i]])
            line = axes.plot(*ends.T, color="white", linewidth=0.8)
        for x, colour, marker, label in (
            (found.optimum.real, REAL, "o", "real"),
            (found.optimum.fake, FAKE, "^", "fake"),
        ):
            axes.scatter(
                *x.T, s=14, c=colour, marker=marker, edgecolors="black", linewidths=0.3,
                label=label, zorder=3,
            )  # fmt: skip
        axes.set_title(f"{name}: error {mean:.2f}, k = {found.slope():.2f} ({found.optimum.k:.2f})",
                       fontsize=7)  # fmt: skip
        axes.set_aspect("equal")
        axes.set_xlim(axis[0], axis[-1])
        axes.set_ylim(axis[0], axis[-1])
        handles, labels = axes.get_legend_handles_labels()
        handles, labels = (
            [*handles, *line],
            [*labels, "coupled in the exact optimum (its k in brackets)"],
        )
    if handles:
        legend = top.legend(handles, labels, loc="outside upper center", ncols=3)
        legend.get_frame().set_facecolor("0.7")
    over_time, slopes, start = bottom.subplots(1, 3)
    _curves(over_time, panels, "error", CONVERGED)
    over_time.set_title("error, as a share of the optimum's deviation", fontsize=7)
    _curves(slopes, panels, "k", 1.0)
    slopes.set_title("k(f) over the optimum's k", fontsize=7)
    for bar, (panel, name) in enumerate(DEEP.items()):
        values = np.array(column(rows, panel, "slope_at_start"))
        start.bar(bar, np.nanmean(values), color=("#0072B2", "0.7")[bar], label=name)
        start.scatter(np.full(len(values), bar), values, s=6, color="black", zorder=3)
    start.axhline(VANISHED, color="black", linewidth=0.6, linestyle=":")
    start.set_yscale("log")
    start.set_xticks(range(len(DEEP)), list(DEEP.values()))
    start.set_title("mean |grad f| at the start, 16 layers", fontsize=7)
    bottom.legend(*over_time.get_legend_handles_labels(), loc="outside lower center", ncols=6,
                  fontsize=6)  # fmt: skip
    return figure


def _curves(axes: Axes, panels: Panels, what: str, line: float) -> None:
    """A quantity over the stored steps, the mean over the seeds, for each method."""
    for (panel, name), colour in zip(METHODS.items(), COLOURS, strict=True):
        runs = panels[panel]
        if not runs:
            continue
        steps = [s for s in runs[0].folder.array_steps("pairs") if s <= runs[0].step]
        # No more than a dozen: each is a convex programme a seed.
        steps = steps[:: max(1, len(steps) // 12)]
        values = []
        for run in runs:
            first = _compare(run)
            at = [Comparison(run.folder.arrays("pairs", s), first.optimum, first.loss)
                  for s in steps]  # fmt: skip
            values.append([c.error() if what == "error" else c.slope() / c.optimum.k for c in at])
        axes.plot(steps, np.mean(values, axis=0), color=colour, label=name, linewidth=1)
    axes.axhline(line, color="black", linewidth=0.6, linestyle=":")
    axes.set_yscale("log")
    axes.set_xlabel("iteration")


ENTRY = Entry(_measure, _claims, _draw)
