"""mu_wgan, Table 1: where each of its methods penalises the gradient, and with what."""

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim
from gp_lab.figures.entry import Arrays, Calculation, Settings
from gp_lab.figures.style import new_figure, points
from gp_lab.figures.table import Row, Table
from gp_lab.papers.mu_wgan._measures import MEASURES

METHODS: dict[str, tuple[str, str]] = {
    "clipping": ("none", "WGAN\nno penalty: weight clipping"),
    "one_gp": ("between", r"WGAN-GP: $E_\mu[(|\nabla D| - 1)^2]$"),
    **{name: (name, rf"{title}: $E_\mu[|\nabla D|^2]$") for name, title in MEASURES.items()},
}
"""Where each method penalises the gradient, and what the table says of it."""

PLACES = {
    "none": "",
    "fake": "\n$\\hat x = x_g$",
    "real": "\n$\\hat x = x_d$",
    "between": "\n$\\hat x = \\alpha x_d + (1 - \\alpha) x_g$",
    "midpoint": "\n$\\hat x = 0.5 x_d + 0.5 x_g$",
    "anchor": "\n$\\hat x = \\alpha A + (1 - \\alpha) x_g$",
}

POINTS = 400
"""How many points of each set are drawn."""


def calculate(settings: Settings) -> tuple[list[Row], Arrays]:
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
    for method, (measure, _) in METHODS.items():
        rows.append({"method": method, "seed": settings["seed"], "measure": measure})
        if measure != "none":
            points = points_of(measure, real, fake, u, anchor).double().numpy()  # type: ignore[arg-type]
            arrays[method] = points
            x, y = points.mean(axis=0)
            std = np.sqrt(points.var(axis=0).sum())
            rows[-1] |= {"mean_x": float(x), "mean_y": float(y), "std": float(std)}
    return rows, arrays


def claims(table: Table) -> list[Claim]:
    """Descriptive: the table claims nothing that could be tested."""
    return []


def draw(arrays: Arrays, table: Table) -> Figure:
    figure, grid = new_figure(2, 4, 4.0)
    *panels, last = grid.ravel()
    for axes, (method, (measure, title)) in zip(panels, METHODS.items(), strict=True):
        look = {"s": 3, "linewidths": 0, "edgecolors": "face", "zorder": 1}
        points(axes, arrays["real"], arrays["fake"], POINTS, **look)
        if measure != "none":
            x, y = arrays[method][:POINTS].T
            look = {"c": "none", "edgecolors": "black", "linewidths": 0.35}
            axes.scatter(x, y, s=5, label="where it is penalised", **look)
        if measure == "anchor":
            x, y = arrays["fixed_anchor"].T
            axes.plot(x, y, "*", color="#D55E00", ms=8, label="anchor A", ls="none")
        axes.set(title=title + PLACES[measure], aspect="equal")
    handles, labels = panels[-1].get_legend_handles_labels()
    last.axis("off")
    last.legend(handles, labels, loc="center", title=r"$\alpha \sim U(0, 1)$")
    return figure


ENTRY = Calculation(calculate, claims, draw)
