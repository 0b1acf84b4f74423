"""wgan_gp, Fig. 1a: value surfaces of critics trained to optimality, and of the exact critic."""

from functools import lru_cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, less, paired_greater, stated
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import colour_bar, legend_above, panel
from gp_lab.figures.style import new_figure, surface
from gp_lab.figures.table import Row, Table
from gp_lab.theory.surfaces import plane, polynomial_r2, rmse_up_to_affine
from gp_lab.theory.transport import ExactCritic, exact_critic

EXACT = "exact critic\n(not in the paper's)"


def measure(run: Run) -> Row:
    at_grid, at_data = run.arrays("surface"), run.arrays("held_out")
    real, fake = at_data["held_out_real"], at_data["held_out_fake"]
    f_real, f_fake = at_data["held_out_real_logit"], at_data["held_out_fake_logit"]
    slopes = np.concatenate([at_data["held_out_real_slope"], at_data["held_out_fake_slope"]])
    lipschitz = max(float(at_grid["logit_slope"].max()), float(slopes.max()))
    grid, values = plane(at_grid["axis"]), at_grid["logit"].ravel()
    exact = _exact(real.tobytes(), fake.tobytes())
    i, j = exact.coupling.i, exact.coupling.j
    distance = np.linalg.norm(real[i] - fake[j], axis=1)
    rise = exact(real[i]) - exact(fake[j])
    optimal = exact(np.concatenate([real, fake]))
    trained = np.concatenate([f_real, f_fake])
    error = rmse_up_to_affine(trained, optimal)
    return {
        "w1": exact.w1,
        "w1_share": (f_real.mean() - f_fake.mean()) / (lipschitz * exact.w1),
        "r2_affine": polynomial_r2(grid, values, 1),
        "r2_quadratic": polynomial_r2(grid, values, 2),
        "simplicity": simplicity(trained, slopes),
        "simplicity_exact": simplicity(optimal, np.ones(len(optimal))),  # Corollary 1
        "rmse_exact": error,
        "unexplained": float(error**2 / optimal.var()),
        "slope_mean": float(slopes.mean()),
        "slope_max": lipschitz,
        "exact_slope_error": float(np.abs(rise / distance - 1).max()),
    }


def simplicity(values: np.ndarray, slopes: np.ndarray) -> float:
    """How far a critic rises without a turn: sd of its values over its mean slope, at points [k].

    A length in the units of the data, free of the critic's scale and offset; the larger, the
    simpler. NaN for a critic that is flat at all points.
    """
    return float(values.std() / slopes.mean()) if slopes.any() else float("nan")


@lru_cache(maxsize=64)
def _exact(real: bytes, fake: bytes) -> ExactCritic:
    """The optimal critic on held-out samples, which all methods of a seed share: solved once."""
    return exact_critic(np.frombuffer(real).reshape(-1, 2), np.frombuffer(fake).reshape(-1, 2))


def claims(table: Table) -> list[Claim]:
    found = []
    for dataset, name in table.grid.titles("dataset").items():
        clipping, penalty = (
            table.at(dataset=dataset, method=method).values for method in ("clipping", "penalty")
        )
        simple = "sd over mean slope, clipped critic minus"
        about = {"dataset": dataset, "method": ("clipping", "penalty")}
        found += stated("wgan_gp, Fig. 1a and sec. 3.1", {
            f"{name}: a clipped critic is simpler than the optimal one":
                paired_greater(clipping("simplicity"), clipping("simplicity_exact"),
                               quantity=f"{simple} the optimal one"),
            f"{name}: a clipped critic is simpler than a penalised one":
                paired_greater(clipping("simplicity"), penalty("simplicity"),
                               quantity=f"{simple} the penalised one"),
            f"{name}: a clipped critic is farther from the optimal one than a penalised one":
                paired_greater(clipping("unexplained"), penalty("unexplained"),
                               quantity="1 - R2 of the optimal critic by the trained one,"
                               " clipping minus penalty"),
            f"{name}: a clipped critic reaches less of W1 than a penalised one":
                paired_greater(penalty("w1_share"), clipping("w1_share"),
                               quantity="(E_r f - E_g f) / (Lip f * W1), penalty minus clipping"),
        }, about=about)  # fmt: skip
    worst = np.max(
        [
            table.values("exact_slope_error", dataset=dataset, method="penalty")
            for dataset in table.grid.axes["dataset"]
        ],
        axis=0,
    )
    return found + stated("wgan_gp, Proposition 1 and Corollary 1", {
        "the exact critic has unit gradient on coupled segments":
            less(worst, 1e-6, quantity="largest |slope - 1| over coupled pairs and data sets"),
    })  # fmt: skip


def draw(runs: Runs, table: Table) -> Figure:
    datasets, methods = (runs.grid.titles(axis) for axis in ("dataset", "method"))
    figure, grid = new_figure(len(methods) + 1, len(datasets), 7.4)

    def critic(axes: Axes, run: Run) -> str:
        _surface(axes, run, run.arrays("surface")["logit"])
        return f"mean {table.mean('w1_share', **run.cell):.0%} of W1"

    def exact(axes: Axes, run: Run) -> None:
        real, fake = (run.arrays("held_out")[f"held_out_{kind}"] for kind in ("real", "fake"))
        f = _exact(real.tobytes(), fake.tobytes())
        _surface(axes, run, f(plane(run.arrays("surface")["axis"])))

    for column, (dataset, title) in zip(grid.T, datasets.items(), strict=True):
        for axes, method in zip(column, methods, strict=False):
            panel(axes, runs.first(dataset=dataset, method=method), title, critic)
        panel(column[-1], runs.first(dataset=dataset), title, exact)
    for axes, side in zip(grid[:, 0], (*methods.values(), EXACT), strict=True):
        axes.set_ylabel(side)
    colour_bar(grid.flat, "critic, scaled to the window", shrink=0.5, ticks=[0, 0.5, 1])
    legend_above(figure, grid.flat, "lower center")
    figure.suptitle(
        "% of W1: the critic's mean on reals minus that on fakes, over its largest slope, as a"
        " share of W1; the mean over seeds", fontsize=7,
    )  # fmt: skip
    return figure


def _surface(axes: Axes, run: Run, values: np.ndarray) -> None:
    """A critic's scale and offset are free: 0 and 1 are its extremes on the window."""
    axis, low, high = run.arrays("surface")["axis"], values.min(), values.max()
    unit = (values - low) / (high - low) if high > low else np.full_like(values, 0.5)
    surface(axes, axis, axis, unit.reshape(len(axis), -1), np.linspace(0, 1, 15))
    x, y = run.arrays("held_out")["held_out_real"][:200].T
    axes.scatter(x, y, s=6, c="white", edgecolors="black", linewidths=0.5, label="real samples")


ENTRY = Entry(measure, claims, draw)
