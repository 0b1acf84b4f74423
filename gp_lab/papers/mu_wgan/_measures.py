"""How the penalty measures of mu_wgan, Table 1, are named and drawn in all its figures."""

from gp_lab.theory.dynamics import Measure

MEASURES: dict[Measure, str] = {
    "fake": r"$p_g$",
    "real": r"$p_d$",
    "between": r"$\mu_{GP}$",
    "midpoint": r"$\mu_{mid}$",
    "anchor": r"$\mu_{g,anc}$",
}

COLOURS = {
    "fake": "#56B4E9",
    "real": "#E69F00",
    "between": "#009E73",
    "midpoint": "#CC79A7",
    "anchor": "#0072B2",
    "origin": "#000000",
}
"""Okabe and Ito's."""

MARKERS = {
    "fake": "^", "real": "o", "between": "s", "midpoint": "D", "anchor": "v", "origin": "X",
}  # fmt: skip
