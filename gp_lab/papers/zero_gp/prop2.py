"""`zero_gp`, Prop. 2, App. B and sec. 4.2.2: the eps-optimal discriminator, and its gradient."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, computed, greater, inside, share_of, stated
from gp_lab.figures.entry import Arrays, Calculation, Settings
from gp_lab.figures.plots import colour_bar
from gp_lab.figures.style import new_panels, points, surface
from gp_lab.figures.table import Row, Table
from gp_lab.theory.epsilon_optimal import (
    eps_reached,
    least_k,
    softmax_discriminator,
    steepest_of_a_pair,
    steepest_on_segment,
    sufficient_k,
)
from gp_lab.theory.surfaces import plane

ALMOST_ALL = 0.95
"""'For large enough k' is called true if it holds for more than this share of random sets."""

EXPONENT = (-1.05, -0.95)
"""A derivative 'grows as 1/distance' if its exponent lies in here."""

DATA = {
    "MNIST": (60_000, 784),
    "ImageNet 64x64": (1_281_167, 12_288),
}
"""Training samples and d_x of the paper's own data sets."""

SHOWN = 20
"""How many of the random sets are drawn."""


def _circle(angles: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _of_a_set(seed: int, s: Settings) -> tuple[Row, Arrays]:
    """One random set: eps against k, then one fake walks up to one real."""
    rng = np.random.default_rng(seed)
    angles = rng.uniform(0, 2 * np.pi, s["n"] + s["m"])
    real, fake = _circle(angles[: s["n"]]), _circle(angles[s["n"] :])
    eps, alpha = s["eps"], s["alpha"]

    def reached(k: float) -> float:
        net = softmax_discriminator(real, fake, k, eps, alpha)
        return eps_reached(net(real), net(fake))

    enough = sufficient_k(real, fake, eps, alpha)
    relative_k = np.geomspace(s["k_low"], s["k_high"], s["k_points"])
    others = np.concatenate([real, fake[1:]])
    gaps = np.linalg.norm(others[:, None] - others, axis=-1) + np.diag(np.full(len(others), np.inf))
    distance = gaps.min() * np.geomspace(1e-1, s["near"], s["distances"])
    slopes = []
    for d in distance:
        # A chord of length d on the unit circle spans 2 arcsin(d/2).
        near = np.concatenate([_circle(angles[:1] + 2 * np.arcsin(d / 2)), fake[1:]])
        k = least_k(real, near, eps, alpha)
        net, steep = (softmax_discriminator(real, near, n * k, eps, alpha) for n in (1, 100))
        # A segment of one point is its end: here the real.
        at_real = [steepest_on_segment(of, near[0], real[0], 1) for of in (net, steep)]
        slopes.append([steepest_on_segment(net, real[0], near[0], s["segment"]), *at_real])
    steepest, at_its_real, saturated = np.array(slopes).T
    row: Row = {
        "case": "set",
        "seed": seed,
        "k_enough": enough,
        "k_least": least_k(real, fake, eps, alpha),
        "eps_at_k_enough": reached(enough),
        "exponent": float(np.polyfit(np.log(distance), np.log(steepest), 1)[0]),
        "exponent_at_real": float(np.polyfit(np.log(distance), np.log(at_its_real), 1)[0]),
        "least_over_bound": float((steepest * distance / eps).min()),
        "saturated_share": float((saturated / at_its_real).max()),
        "eps": eps,
    }
    at_k = np.array([reached(k) for k in enough * relative_k])
    arrays = {"real": real, "fake": fake, "reached": at_k, "relative_k": relative_k}
    return row, arrays | {"distance": distance, "steepest": steepest}


def calculate(settings: Settings) -> tuple[list[Row], Arrays]:
    found = [_of_a_set(seed, settings) for seed in range(settings["sets"])]
    rows = [row for row, _ in found]
    arrays: Arrays = {key: np.stack([of[key] for _, of in found]) for key in found[0][1]}
    eps, alpha = settings["eps"], settings["alpha"]
    real, fake = arrays["real"][0], arrays["fake"][0]
    net = softmax_discriminator(real, fake, rows[0]["k_least"], eps, alpha)
    axis = np.linspace(-1.3, 1.3, 161)
    arrays |= {"axis": axis, "surface": net(plane(axis)).reshape(len(axis), len(axis))}
    arrays["eps_alpha"] = np.array([eps, alpha])
    d, n_m = real.shape[1], settings["n"] + settings["m"]
    rows.append({"case": "size", "parameters": net.parameters, "formula": d * n_m + n_m})
    rows += [{"case": name, "parameters": dim * 2 * n + 2 * n} for name, (n, dim) in DATA.items()]
    return rows, arrays


def claims(table: Table) -> list[Claim]:
    optimal = [row["eps_at_k_enough"] >= row["eps"] for row in table.at(case="set").rows]
    exponents, over_bound = (table.values(q, case="set") for q in ("exponent", "least_over_bound"))
    size = table.one(case="size")
    excess = abs(size["parameters"] - size["formula"])
    of_exponent = "exponent of the largest derivative on the segment in the distance"
    of_bound = "least of derivative * distance / eps over the distances"
    millions = {name: table.one(case=name)["parameters"] / 1e6 for name in DATA}
    return [
        *stated("zero_gp, Prop. 2 and App. B", {
            f"for k large enough the construction is eps-optimal (on more than {ALMOST_ALL:.0%} of"
            " random sets, at the k that a bound gives)":
                share_of(optimal, ALMOST_ALL, quantity="share of sets with eps reached"),
        }),
        *stated("zero_gp, App. B", {
            "it has d_x (m+n) + (m+n) parameters":
                computed(excess, below=0.5, quantity="numbers in W1 and W2 less the formula"),
        }),
        *stated("zero_gp, sec. 4.2.2", {
            "kept eps-optimal, its directional derivative grows as 1/distance where a fake"
            f" approaches a real (exponent in {EXPONENT[0]} to {EXPONENT[1]})":
                inside(exponents, *EXPONENT, quantity=of_exponent),
        }),
        *stated("zero_gp, sec. 4.2.2 and Eq. 4", {
            "the derivative exceeds eps/distance somewhere on the segment":
                greater(over_bound, 1.0, quantity=of_bound),
        }),
        *stated("zero_gp, sec. 4.2.1", {
            "a shallow eps-optimal discriminator for real-world data has a few to hundreds of"
            f" millions of parameters: {name}":
                computed(millions[name], above=1, below=1000, quantity="millions of parameters")
            for name in DATA
        }, paper="a few to hundreds of millions"),
    ]  # fmt: skip


def draw(arrays: Arrays, table: Table) -> Figure:
    figure, ((of_one, against_k, near),) = new_panels(1, 3, 2.7)
    _draw_set(of_one, arrays, table)

    eps, alpha = arrays["eps_alpha"]
    k, reached = arrays["relative_k"][0], arrays["reached"]
    against_k.semilogx(k, reached[:SHOWN].T, color="0.6", lw=0.5)
    against_k.semilogx(k, np.median(reached, axis=0), color="black", lw=1.4, label="median set")
    wanted, limit = f"wanted, $\\epsilon$ = {eps:g}", r"limit, $\epsilon + 2\alpha$"
    against_k.axhline(eps, color="#D55E00", lw=1, ls="--", label=wanted)
    against_k.axhline(eps + 2 * alpha, color="#009E73", lw=1, ls=":", label=limit)
    against_k.axvline(1, color="0.3", lw=0.6)
    against_k.set(xlabel="k / (k that suffices by a bound)", ylabel=r"$\epsilon$ reached")
    against_k.set_title(f"App. B: {len(reached)} random sets")
    against_k.legend(loc="lower right", frameon=False)

    distance, steepest = arrays["distance"], arrays["steepest"][:SHOWN]
    dots = {"color": "0.5", "ms": 4, "mew": 0, "label": "random sets"}
    near.loglog(distance[:SHOWN].ravel(), steepest.ravel(), ".", **dots)
    span = np.array([distance.min(), distance.max()])
    pair = steepest_of_a_pair(span, eps, alpha)
    near.loglog(span, pair, color="#0072B2", ls="--", lw=1.2, label="one pair, closed form")
    near.loglog(span, eps / span, color="#D55E00", ls=":", lw=1.2, label=r"$\epsilon$ / distance")
    near.set(xlabel=r"distance $\|x - y\|$", ylabel=r"largest $|\nabla_u D|$ on the segment")
    near.set_title("Sec. 4.2.2: a fake nears a real")
    near.legend(loc="lower left", frameon=False)
    return figure


def _draw_set(axes: Axes, arrays: Arrays, table: Table) -> None:
    axis, levels = arrays["axis"], np.linspace(0, 1, 11)
    surface(axes, axis, axis, arrays["surface"], levels, lines=False)
    real, fake = arrays["real"][0], arrays["fake"][0]
    points(axes, real, fake, s=14, linewidths=0.4, clip_on=False)
    axes.set_title(f"D of one set, k = {table.column('k_least')[0]:.3g}")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False)
    colour_bar([axes], shrink=0.7, ticks=[0, 0.5, 1])


ENTRY = Calculation(calculate, claims, draw)
