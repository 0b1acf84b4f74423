"""Figures of wgan_gp: improved training of Wasserstein GANs."""

from functools import lru_cache

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, greater, less, paired_greater
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import empty, new_figure, points, surface, window
from gp_lab.theory.surfaces import polynomial_r2, rmse_up_to_affine
from gp_lab.theory.transport import ExactCritic, exact_critic

DATASETS = {
    "eight_gaussians": "8 Gaussians",
    "twenty_five_gaussians": "25 Gaussians",
    "swiss_roll": "Swiss Roll",
}
METHODS = {"clipping": "clipping", "penalty": "penalty"}

NEARLY_QUADRATIC = 0.95
"""A critic is called nearly quadratic if a quadratic explains this share of it on the window."""

LITTLE = 0.5
"""A critic is said to reach little of W1 below this share."""


def _exact(run: Run) -> ExactCritic:
    """The optimal critic on the run's held-out samples."""
    data = run.arrays("held_out")
    return _exact_of(data["held_out_real"].tobytes(), data["held_out_fake"].tobytes())


@lru_cache(maxsize=64)
def _exact_of(real: bytes, fake: bytes) -> ExactCritic:
    """Both methods of a seed are held against the same samples: solved once."""
    return exact_critic(np.frombuffer(real).reshape(-1, 2), np.frombuffer(fake).reshape(-1, 2))


def _row(run: Run) -> Row:
    at_grid, at_data = run.arrays("surface"), run.arrays("held_out")
    exact = _exact(run)
    real, fake = at_data["held_out_real"], at_data["held_out_fake"]
    f_real, f_fake = at_data["held_out_real_logit"], at_data["held_out_fake_logit"]
    slopes = np.concatenate([at_data["held_out_real_slope"], at_data["held_out_fake_slope"]])
    lipschitz = max(float(at_grid["logit_slope"].max()), float(slopes.max()))
    grid = np.stack(np.meshgrid(at_grid["axis"], at_grid["axis"]), axis=-1).reshape(-1, 2)
    values = at_grid["logit"].ravel()
    i, j = exact.coupling.i, exact.coupling.j
    distance = np.linalg.norm(real[i] - fake[j], axis=1)
    rise = exact(real[i]) - exact(fake[j])
    return {
        "panel": run.panel,
        "seed": run.seed,
        "state": run.state,
        "w1": exact.w1,
        "w1_share": (f_real.mean() - f_fake.mean()) / (lipschitz * exact.w1),
        "r2_affine": polynomial_r2(grid, values, 1),
        "r2_quadratic": polynomial_r2(grid, values, 2),
        "rmse_exact": rmse_up_to_affine(
            np.concatenate([f_real, f_fake]), exact(np.concatenate([real, fake]))
        ),
        "slope_mean": float(slopes.mean()),
        "slope_max": lipschitz,
        "exact_slope_error": float(np.abs(rise / distance - 1).max()),
    }


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def _claims(rows: list[Row]) -> list[Claim]:
    where = "wgan_gp, Fig. 1a and sec. 3.1"
    share = "(E_r f - E_g f) / (Lip f * W1)"
    claims = []
    for dataset, name in DATASETS.items():
        clipping, penalty = (
            {q: column(rows, f"{method}_{dataset}", q) for q in
             ("r2_quadratic", "w1_share", "rmse_exact")}
            for method in METHODS
        )  # fmt: skip
        claims += [
            Claim(
                f"{name}: a clipped critic is nearly quadratic (R2 > {NEARLY_QUADRATIC})",
                greater(
                    clipping["r2_quadratic"], NEARLY_QUADRATIC, quantity="R2 of a quadratic fit"
                ),
                where,
            ),
            Claim(
                f"{name}: a clipped critic reaches little of W1 (below {LITTLE:.0%})",
                less(clipping["w1_share"], LITTLE, quantity=share),
                where,
            ),
            Claim(
                f"{name}: a penalised critic is not nearly quadratic",
                less(penalty["r2_quadratic"], NEARLY_QUADRATIC, quantity="R2 of a quadratic fit"),
                where,
            ),
            Claim(
                f"{name}: a penalised critic reaches more than little of W1",
                greater(penalty["w1_share"], LITTLE, quantity=share),
                where,
            ),
            Claim(
                f"{name}: the penalty comes nearer to the optimal critic than clipping",
                paired_greater(
                    clipping["rmse_exact"],
                    penalty["rmse_exact"],
                    quantity="RMSE to the exact critic after best scale and offset, clipping"
                    " minus penalty",
                ),
                where,
            ),
            Claim(
                f"{name}: the exact critic has unit gradient on coupled segments",
                less(
                    column(rows, f"penalty_{dataset}", "exact_slope_error"),
                    1e-6,
                    quantity="largest |slope - 1| over coupled pairs",
                ),
                "wgan_gp, Proposition 1 and Corollary 1",
                at_any_scale=True,
            ),
        ]
    return claims


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure, grid = new_figure(3, 3, 7.4)
    levels = np.linspace(0, 1, 15)
    filled, drawn = None, None
    for x, (dataset, name) in enumerate(DATASETS.items()):
        for y, method in enumerate((*METHODS, "exact")):
            axes = grid[y, x]
            runs = panels[f"{'penalty' if method == 'exact' else method}_{dataset}"]
            if not runs:
                empty(axes, name)
                continue
            at_grid, at_data = runs[0].arrays("surface"), runs[0].arrays("held_out")
            axis, values = at_grid["axis"], at_grid["logit"]
            if method == "exact":
                plane = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
                values = _exact(runs[0])(plane).reshape(values.shape)
                title = f"{name}: exact critic"
            else:
                share = np.nanmean(column(rows, runs[0].panel, "w1_share"))
                title = f"{name}, {METHODS[method]}: {share:.0%} of W1"
            filled = surface(axes, axis, _to_unit(values), levels, title)
            points(axes, at_data["held_out_real"], at_data["held_out_fake"][:0])
            window(axes, axis)
            drawn = axes
    if filled is not None and drawn is not None:
        figure.colorbar(
            filled, ax=grid, shrink=0.5, ticks=[0, 0.5, 1], label="critic, scaled to the window"
        )
        handles, labels = drawn.get_legend_handles_labels()
        figure.legend(handles[:1], labels[:1], loc="outside upper right")
    return figure


def _to_unit(values: np.ndarray) -> np.ndarray:
    """A critic's scale and offset are free: 0 and 1 are its extremes on the window."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.full_like(values, 0.5)


ENTRY = Entry(_measure, _claims, _draw)
