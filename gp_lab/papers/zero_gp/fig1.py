"""Figures of zero_gp: improving generalisation and stability of GANs."""

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import multivariate_normal

from gp_lab.figures.claims import Claim, greater, less, paired_greater
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import empty, new_figure, points, surface, window
from gp_lab.theory.optimal import optimal_discriminator
from gp_lab.theory.surfaces import rmse

TITLES = {
    "none": "(a) no GP",
    "none_more": "(b) no GP, more samples",
    "one_gp": "(c) 1-GP",
    "zero_gp_sample": "(d) 0-GP-sample",
    "zero_gp": "(e) 0-GP",
    "optimal": "(f) D*, Eq. 2",
    "one_gp_logit": "(c') 1-GP, logit",
    "zero_gp_sample_logit": "(d') 0-GP-sample, logit",
    "zero_gp_logit": "(e') 0-GP, logit",
}

TINY = 0.1
"""A gradient on training points is called tiny below this share of the largest on the grid."""

NOT_BETTER = 0.05
"""0-GP-sample is called no better than no penalty if it gains less than this share."""


def _densities(run: Run, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log p_r and log p_g [points, points] on the grid, from the run's own config."""
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    config = run.folder.config
    found = []
    for source in (config["dataset"], config["architecture"]["latent"]):
        gaussian = source["distribution"]
        (mean,), (covariance,) = gaussian["means"], gaussian["covariances"]
        found.append(multivariate_normal(mean, covariance).logpdf(grid))
    return found[0], found[1]


def _row(run: Run) -> Row:
    at_grid, at_data = run.arrays("surface"), run.arrays("held_out")
    log_real, log_fake = _densities(run, at_grid["axis"])
    optimal = optimal_discriminator(log_real, log_fake)
    density = np.exp(log_real) + np.exp(log_fake)
    surface_, slope = at_grid["probability"], at_grid["probability_slope"]
    row: Row = {"panel": run.panel, "seed": run.seed, "state": run.state}
    row["rmse_plain"] = rmse(surface_, optimal)
    row["rmse_weighted"] = rmse(surface_, optimal, density)
    for part in ("train", "held_out"):
        right = [at_data[f"{part}_real_logit"] > 0, at_data[f"{part}_fake_logit"] < 0]
        row[f"accuracy_{part}"] = float(np.mean([r.mean() for r in right]))
    row["accuracy_gap"] = row["accuracy_train"] - row["accuracy_held_out"]
    row["slope_max"], row["slope_mean"] = float(slope.max()), float(slope.mean())
    on_train = [
        _probability_slope(at_data[f"train_{kind}_logit"], at_data[f"train_{kind}_slope"])
        for kind in ("real", "fake")
    ]
    row["slope_train_mean"] = float(np.concatenate(on_train).mean())
    row["slope_train_median"] = float(np.median(np.concatenate(on_train)))
    row["slope_train_share"] = row["slope_train_mean"] / row["slope_max"]
    return row


def _probability_slope(logit: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """|grad sigmoid(f)| from f and |grad f|."""
    p = np.exp(-np.logaddexp(0, -logit))
    return p * (1 - p) * slope


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def _claims(rows: list[Row]) -> list[Claim]:
    where = "zero_gp, Fig. 1 and sec. 6.1"
    error = {p: column(rows, p, "rmse_weighted") for p in TITLES if p != "optimal"}
    weighted = "RMSE to D* weighted by p_r + p_g"
    claims = []
    for label, suffix in (("", ""), (" (penalty on the logit)", "_logit")):
        one, zero, sample = (error[p + suffix] for p in ("one_gp", "zero_gp", "zero_gp_sample"))
        claims += [
            Claim(
                f"0-GP comes nearer to D* than 1-GP{label}",
                paired_greater(one, zero, quantity=f"{weighted}, 1-GP minus 0-GP"),
                where,
            ),
            Claim(
                f"1-GP comes nearer to D* than no penalty{label}",
                paired_greater(error["none"], one, quantity=f"{weighted}, none minus 1-GP"),
                where,
            ),
            Claim(
                f"0-GP-sample does not help: at most {NOT_BETTER:.0%} nearer to D* than no"
                f" penalty{label}",
                paired_greater(
                    sample,
                    error["none"],
                    margin=NOT_BETTER,
                    relative=True,
                    quantity=f"{weighted}, 0-GP-sample minus {1 - NOT_BETTER:.0%} of none",
                ),
                where,
            ),
        ]
    claims.append(
        Claim(
            "with more samples D without penalty still overfits",
            greater(
                column(rows, "none_more", "accuracy_gap"),
                0.0,
                quantity="accuracy on training minus on held-out samples, (b)",
            ),
            "zero_gp, sec. 4.2",
        )
    )
    for panel, name in (("none", "no penalty"), ("zero_gp_sample", "0-GP-sample")):
        claims.append(
            Claim(
                f"{name}: gradients on training points are tiny beside those between them"
                f" (below {TINY:.0%})",
                less(
                    column(rows, panel, "slope_train_share"),
                    TINY,
                    quantity="mean |grad D| on training points over its maximum on the grid",
                ),
                "zero_gp, sec. 5.3",
            )
        )
    return claims


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure, grid = new_figure(3, 3, 7.4)
    levels = np.linspace(0, 1, 11)
    filled, drawn = None, None
    for axes, (panel, title) in zip(grid.ravel(), TITLES.items(), strict=True):
        source = panels["none"] if panel == "optimal" else panels[panel]
        if not source:
            empty(axes, title)
            continue
        run = source[0]
        at_grid, at_data = run.arrays("surface"), run.arrays("held_out")
        axis, values = at_grid["axis"], at_grid["probability"]
        if panel == "optimal":
            values = optimal_discriminator(*_densities(run, axis))
        else:
            errors = column(rows, panel, "rmse_weighted")
            title += f": RMSE {np.nanmean(errors):.3f}"
        filled = surface(axes, axis, values, levels, title)
        points(axes, at_data["train_real"], at_data["train_fake"])
        window(axes, axis)
        drawn = axes
    if filled is not None and drawn is not None:
        figure.colorbar(
            filled, ax=grid, shrink=0.5, ticks=levels, label="D, the probability of real"
        )
        handles, labels = drawn.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2)
    return figure


ENTRY = Entry(_measure, _claims, _draw)
