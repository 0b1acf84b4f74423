"""mu_wgan, Table 1: where each of its methods penalises the gradient, and with what."""

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim
from gp_lab.figures.registry import Arrays, Calculation, Row, Settings
from gp_lab.figures.style import FAKE, REAL, new_figure

METHODS = {
    "clipping": ("none", "WGAN\nno penalty: weight clipping"),
    "one_gp": (
        "between",
        "WGAN-GP: $E_\\mu[(|\\nabla D| - 1)^2]$\n$\\hat x = \\alpha x_d + (1 - \\alpha) x_g$",
    ),
    "fake": ("fake", "$p_g$: $E_\\mu[|\\nabla D|^2]$\n$\\hat x = x_g$"),
    "real": ("real", "$p_d$: $E_\\mu[|\\nabla D|^2]$\n$\\hat x = x_d$"),
    "between": (
        "between",
        "$\\mu_{GP}$: $E_\\mu[|\\nabla D|^2]$\n$\\hat x = \\alpha x_d + (1 - \\alpha) x_g$",
    ),
    "midpoint": (
        "midpoint",
        "$\\mu_{mid}$: $E_\\mu[|\\nabla D|^2]$\n$\\hat x = 0.5 x_d + 0.5 x_g$",
    ),
    "anchor": (
        "anchor",
        "$\\mu_{g,anc}$: $E_\\mu[|\\nabla D|^2]$\n$\\hat x = \\alpha A + (1 - \\alpha) x_g$",
    ),
}
"""Panel -> where the gradient is penalised, and what the table says of it."""

POINTS = 400
"""How many points of each set are drawn."""


def _calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    import torch

    from gp_lab.data.points import GaussianRing
    from gp_lab.objectives.penalties import points_of

    rng, count = torch.Generator().manual_seed(settings["seed"]), int(settings["count"])
    real = GaussianRing().sample(rng, count) / 1.414
    noise = torch.randn(count, 2, generator=rng)
    fake = torch.tensor(settings["fake_mean"]) + settings["fake_std"] * noise
    u = torch.rand(count, generator=rng)
    anchor = torch.tensor([settings["anchor"]])
    arrays: Arrays = {"real": real.numpy(), "fake": fake.numpy(), "fixed_anchor": anchor.numpy()}
    rows: list[Row] = []
    for panel, (measure, _) in METHODS.items():
        row: Row = {"panel": panel, "seed": settings["seed"], "measure": measure}
        if measure != "none":
            points = points_of(measure, real, fake, u, anchor).double().numpy()  # type: ignore[arg-type]
            arrays[panel] = points
            row |= {
                "mean_x": float(points[:, 0].mean()),
                "mean_y": float(points[:, 1].mean()),
                "std": float(np.sqrt(points.var(axis=0).sum())),
            }
        rows.append(row)
    return rows, arrays


def _claims(rows: list[Row]) -> list[Claim]:
    """Descriptive: the table claims nothing that could be tested."""
    return []


def _draw(arrays: Arrays, rows: list[Row]) -> Figure:
    figure, grid = new_figure(2, 4, 4.0)
    for axes, (panel, (measure, title)) in zip(grid.ravel(), METHODS.items(), strict=False):
        for name, colour, marker in (("real", REAL, "o"), ("fake", FAKE, "^")):
            axes.scatter(
                *arrays[name][:POINTS].T, s=3, c=colour, marker=marker, linewidths=0, label=name
            )
        if measure != "none":
            axes.scatter(
                *arrays[panel][:POINTS].T, s=5, c="none", edgecolors="black", linewidths=0.35,
                label="where it is penalised",
            )  # fmt: skip
        if measure == "anchor":
            axes.plot(
                *arrays["fixed_anchor"].T, "*", color="#D55E00", ms=8, label="anchor A", ls="none"
            )
        axes.set_title(title)
        axes.set_aspect("equal")
    drawn = grid.ravel()[len(METHODS) - 1]
    last = grid.ravel()[-1]
    last.axis("off")
    handles, labels = drawn.get_legend_handles_labels()
    last.legend(handles, labels, loc="center", title=r"$\alpha \sim U(0, 1)$")
    return figure


ENTRY = Calculation(_calculate, _claims, _draw)
