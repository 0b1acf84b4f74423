"""`zero_gp`, Prop. 2, App. B and sec. 4.2.2: the eps-optimal discriminator, and its gradient."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, computed, greater, inside, share_greater
from gp_lab.figures.registry import Arrays, Calculation, Row, Settings, column
from gp_lab.figures.style import FAKE, REAL, SURFACE
from gp_lab.theory.epsilon_optimal import (
    SoftmaxDiscriminator,
    eps_reached,
    least_k,
    softmax_discriminator,
    steepest_of_a_pair,
    steepest_on_segment,
    sufficient_k,
)

ALMOST_ALL = 0.95
"""'For large enough k' is called true if it holds for more than this share of random sets."""

EXPONENT = (-1.05, -0.95)
"""A derivative 'grows as 1/distance' if its exponent lies in here."""

DATA = {
    "MNIST": (60_000, 784),
    "CIFAR-10": (50_000, 3072),
    "ImageNet 64x64": (1_281_167, 12_288),
}
"""Training samples and d_x of the paper's own data sets, and of CIFAR-10 for comparison."""


def _circle(angles: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _of_a_set(seed: int, s: Settings) -> tuple[Row, Arrays]:
    """One random set: eps against k, then one fake walks up to one real."""
    rng = np.random.default_rng(seed)
    angles = rng.uniform(0, 2 * np.pi, s["n"] + s["m"])
    real, fake = _circle(angles[: s["n"]]), _circle(angles[s["n"] :])
    eps, alpha = s["eps"], s["alpha"]

    enough = sufficient_k(real, fake, eps, alpha)
    relative_k = np.geomspace(s["k_low"], s["k_high"], s["k_points"])
    reached = [_reached(real, fake, k, s) for k in enough * relative_k]

    others = np.concatenate([real, fake[1:]])
    gaps = np.linalg.norm(others[:, None] - others, axis=-1) + np.diag(np.full(len(others), np.inf))
    distance = gaps.min() * np.geomspace(1e-1, s["near"], s["distances"])
    steepest, at_real, saturated = [], [], []
    for d in distance:
        # A chord of length d on the unit circle spans 2 arcsin(d/2).
        near = np.concatenate([_circle(angles[:1] + 2 * np.arcsin(d / 2)), fake[1:]])
        k = least_k(real, near, eps, alpha)
        net = softmax_discriminator(real, near, k, eps, alpha)
        steepest.append(steepest_on_segment(net, real[0], near[0], s["segment"]))
        at_real.append(_slope_at(net, real[0], near[0]))
        steep = softmax_discriminator(real, near, 100 * k, eps, alpha)
        saturated.append(_slope_at(steep, real[0], near[0]))
    row: Row = {
        "panel": "sets",
        "seed": seed,
        "k_enough": enough,
        "k_least": least_k(real, fake, eps, alpha),
        "eps_at_k_enough": _reached(real, fake, enough, s),
        "exponent": float(np.polyfit(np.log(distance), np.log(steepest), 1)[0]),
        "exponent_at_real": float(np.polyfit(np.log(distance), np.log(at_real), 1)[0]),
        "least_over_bound": float((np.array(steepest) * distance / eps).min()),
        "saturated_share": float((np.array(saturated) / np.array(at_real)).max()),
        "eps": eps,
    }
    arrays = {"real": real, "fake": fake, "reached": np.array(reached), "distance": distance}
    return row, arrays | {"steepest": np.array(steepest)}


def _reached(real: np.ndarray, fake: np.ndarray, k: float, s: Settings) -> float:
    net = softmax_discriminator(real, fake, k, s["eps"], s["alpha"])
    return eps_reached(net(real), net(fake))


def _slope_at(net: SoftmaxDiscriminator, x: np.ndarray, y: np.ndarray) -> float:
    along = (x - y) / np.linalg.norm(x - y)
    return float(np.abs(net.gradient(x[None]) @ along)[0])


def _calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    found = [_of_a_set(seed, settings) for seed in range(settings["sets"])]
    rows = [row for row, _ in found]
    first = found[0][1]
    eps, alpha = settings["eps"], settings["alpha"]
    net = softmax_discriminator(first["real"], first["fake"], 1.0, eps, alpha)
    d, n_m = first["real"].shape[1], settings["n"] + settings["m"]
    rows.append({"panel": "size", "parameters": net.parameters, "formula": d * n_m + n_m})
    for name, (n, dim) in DATA.items():
        rows.append({"panel": name, "parameters": dim * 2 * n + 2 * n})
    arrays: Arrays = {
        key: np.stack([a[key] for _, a in found])
        for key in ("reached", "distance", "steepest", "real", "fake")
    }
    arrays["relative_k"] = np.geomspace(settings["k_low"], settings["k_high"], settings["k_points"])
    arrays["eps_alpha"] = np.array([settings["eps"], settings["alpha"]])
    arrays |= _surface(first, rows[0], settings)
    return rows, arrays


def _surface(first: Arrays, row: Row, s: Settings) -> Arrays:
    """D of the first set over the plane, at the least k."""
    axis = np.linspace(-1.3, 1.3, 161)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    net = softmax_discriminator(first["real"], first["fake"], row["k_least"], s["eps"], s["alpha"])
    return {"axis": axis, "surface": net(grid).reshape(len(axis), len(axis))}


def _claims(rows: list[Row]) -> list[Claim]:
    sets = [r for r in rows if r["panel"] == "sets"]
    (size,) = (r for r in rows if r["panel"] == "size")
    optimal = sum(r["eps_at_k_enough"] >= r["eps"] for r in sets)
    claims = [
        Claim(
            f"for k large enough the construction is eps-optimal (on more than {ALMOST_ALL:.0%} of"
            " random sets, at the k that a bound gives)",
            share_greater(
                optimal, len(sets), ALMOST_ALL, quantity="share of sets with eps reached"
            ),
            "zero_gp, Prop. 2 and App. B",
        ),
        Claim(
            "it has d_x (m+n) + (m+n) parameters",
            computed(
                abs(size["parameters"] - size["formula"]),
                below=0.5,
                quantity="numbers in W1 and W2 less the formula",
            ),
            "zero_gp, App. B",
            at_any_scale=True,
        ),
        Claim(
            "kept eps-optimal, its directional derivative grows as 1/distance where a fake"
            f" approaches a real (exponent in {EXPONENT[0]} to {EXPONENT[1]})",
            inside(
                column(rows, "sets", "exponent"),
                *EXPONENT,
                quantity="exponent of the largest derivative on the segment in the distance",
            ),
            "zero_gp, sec. 4.2.2",
        ),
        Claim(
            "the derivative exceeds eps/distance somewhere on the segment",
            greater(
                column(rows, "sets", "least_over_bound"),
                1.0,
                quantity="least of derivative * distance / eps over the distances",
            ),
            "zero_gp, sec. 4.2.2 and Eq. 4",
        ),
    ]
    for name in DATA:
        (row,) = (r for r in rows if r["panel"] == name)
        claims.append(
            Claim(
                "a shallow eps-optimal discriminator for real-world data has a few to hundreds of"
                f" millions of parameters: {name}",
                computed(
                    row["parameters"] / 1e6, above=1, below=1000, quantity="millions of parameters"
                ),
                "zero_gp, sec. 4.2.1",
                paper="a few to hundreds of millions",
                at_any_scale=True,
            )
        )
    return claims


def _draw(arrays: Arrays, rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7.0, 2.7), layout="constrained")
    plane, against_k, near = figure.subplots(1, 3)
    eps, alpha = arrays["eps_alpha"]
    _draw_plane(figure, plane, arrays, rows)

    for reached in arrays["reached"][:20]:
        against_k.semilogx(arrays["relative_k"], reached, color="0.6", lw=0.5)
    middle = np.median(arrays["reached"], axis=0)
    against_k.semilogx(arrays["relative_k"], middle, color="black", lw=1.4, label="median set")
    against_k.axhline(eps, color="#D55E00", lw=1, ls="--", label=f"wanted, $\\epsilon$ = {eps:g}")
    against_k.axhline(
        eps + 2 * alpha, color="#009E73", lw=1, ls=":", label=r"limit, $\epsilon + 2\alpha$"
    )
    against_k.axvline(1, color="0.3", lw=0.6)
    against_k.set(
        xlabel="k / (k that suffices by a bound)", ylabel=r"$\epsilon$ reached",
        title=f"App. B: {len(arrays['reached'])} random sets",
    )  # fmt: skip
    against_k.legend(loc="lower right", frameon=False)

    for distance, steepest in zip(arrays["distance"][:20], arrays["steepest"], strict=False):
        near.loglog(distance, steepest, ".", color="0.5", ms=4, mew=0)
    near.plot([], [], ".", color="0.5", ms=4, label="random sets")
    span = np.array([arrays["distance"].min(), arrays["distance"].max()])
    near.loglog(
        span, steepest_of_a_pair(span, eps, alpha), color="#0072B2", ls="--", lw=1.2,
        label="one pair, closed form",
    )  # fmt: skip
    near.loglog(span, eps / span, color="#D55E00", ls=":", lw=1.2, label=r"$\epsilon$ / distance")
    near.set(
        xlabel=r"distance $\|x - y\|$", ylabel=r"largest $|\nabla_u D|$ on the segment",
        title="Sec. 4.2.2: a fake nears a real",
    )  # fmt: skip
    near.legend(loc="lower left", frameon=False)
    return figure


def _draw_plane(figure: Figure, plane: Any, arrays: Arrays, rows: list[Row]) -> None:
    levels = np.linspace(0, 1, 11)
    axis = arrays["axis"]
    filled = plane.contourf(axis, axis, arrays["surface"], levels=levels, cmap=SURFACE)
    for kind, colour, marker in (("real", REAL, "o"), ("fake", FAKE, "^")):
        at = arrays[kind][0]
        plane.scatter(
            at[:, 0], at[:, 1], s=14, c=colour, marker=marker, edgecolors="black", linewidths=0.4,
            label=kind, clip_on=False,
        )  # fmt: skip
    plane.set(title=f"D of one set, k = {rows[0]['k_least']:.3g}", aspect="equal")
    plane.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False)
    figure.colorbar(filled, ax=plane, shrink=0.7, ticks=[0, 0.5, 1])


ENTRY = Calculation(_calculate, _claims, _draw)
