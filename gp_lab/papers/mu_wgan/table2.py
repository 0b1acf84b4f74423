"""mu_wgan, Table 2 with Figs. 2, 6 and 7: CIFAR-10 under five measures, clipping, WGAN-GP."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import (
    Claim,
    Test,
    Verdict,
    greater,
    less,
    level_of_each,
    paired_greatest,
    stated,
    undecided,
)
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.plots import beside_the_papers, panel, score_table
from gp_lab.figures.table import Table
from gp_lab.papers._scores import judge, measure, pictures
from gp_lab.papers.mu_wgan._images import BASELINE, SAME_FID, given, learns, similar_fid
from gp_lab.papers.mu_wgan._measures import MEASURES

SCORES = {"score": "score", "fid": "FID"}

PAPER = {
    "dcgan": {
        "clipping": (5.64, 48.7), "one_gp": (6.48, 35.0), "fake": (6.46, 38.0),
        "real": (6.33, 38.9), "between": (6.40, 35.4), "midpoint": (6.60, 33.9),
        "anchor": (6.45, 33.7),
    },
    "resnet": {
        "one_gp": (7.82, 18.1), "fake": (7.63, 20.9), "real": (7.63, 20.3),
        "between": (7.60, 18.3), "midpoint": (7.86, 16.4), "anchor": (7.36, 22.4),
    },
}  # fmt: skip
"""Table 2: Inception score and FID; of clipping with the ResNet there is none, as it failed."""

NEAR = {"score": 0.2, "fid": 2.0}
"""All of the paper's numbers are met within this: two of its standard deviations of the score."""

SAME_SCORE = 0.1
"""Scores that are nearer are not told apart: half of `NEAR`."""

FAILED = 2.0
"""Clipping fails to generate images if its FID is more than so many times WGAN-GP's."""

PLACE = "mu_wgan, sec. 5.2 and Table 2"

FEW = 16
"""Samples in a panel."""


def claims(table: Table) -> list[Claim]:
    networks = table.grid.titles("network")
    found = [_clipping_fails(table), *_midpoint_is_best(table)]
    for network, title in networks.items():
        text = f"{title}: every measure is similar to WGAN-GP in its FID (within {SAME_FID:g} x)"
        about = {"network": network, "method": (BASELINE, *MEASURES)}
        test = given(learns(table, network=network), _all_similar(table, network))
        found += stated("mu_wgan, secs. 5 and 5.2, Table 2", {text: test}, about=about)
    for network, title in networks.items():
        for i, (quantity, name) in enumerate(SCORES.items()):
            text = f"{title}: the paper's numbers are met within {NEAR[quantity]:g}: {name}"
            numbers = {method: both[i] for method, both in PAPER[network].items()}
            said = f"largest difference of a method's Inception {name} from the paper's"
            off = [
                np.abs(np.array(table.values(quantity, network=network, method=method)) - number)
                for method, number in numbers.items()
            ]
            test = less(np.max(off, axis=0), NEAR[quantity], quantity=said)
            papers = ", ".join(map(str, numbers.values()))
            found += stated(PLACE, {text: test}, paper=papers, needs_paper=True)
    return found


def _clipping_fails(table: Table) -> Claim:
    at = {"network": "resnet"}
    said = f"log2 of {judge(table)} FID, clipping minus WGAN-GP"
    test = greater(_log_times(table, "resnet"), float(np.log2(FAILED)), quantity=said)
    text = f"ResNet: weight clipping fails to generate images (FID above {FAILED:g} x WGAN-GP's)"
    test = given(learns(table, **at), test)
    works = less(_log_times(table, "dcgan"), float(np.log2(FAILED)))
    if works.verdict != Verdict.SUPPORTED:  # then it is not the ResNet that it fails with
        test = undecided(test, "with the DCGAN, too, its FID is not below that")
    return Claim(text, test, PLACE, "failed", about={"network": "resnet", "method": BASELINE})


def _log_times(table: Table, network: str) -> np.ndarray:
    """log2 of how many times WGAN-GP's FID clipping's is, by seed [n]."""
    clipped, gp = (
        np.log2(table.values("fid", method=method, network=network))
        for method in ("clipping", BASELINE)
    )
    return np.asarray(clipped - gp)


def _midpoint_is_best(table: Table) -> list[Claim]:
    """Of the paper's ResNets; of its DCGANs two measures share the best numbers. Its scores are too
    near to one another for any number of seeds: that none is better by more than `SAME_SCORE`."""
    at, tests = {"network": "resnet"}, dict[str, Test]()
    rivals = (BASELINE, *(name for name in MEASURES if name != "midpoint"))
    for quantity, text, sign, slack in (
        ("score", f"no score is above the measure midpoint's by {SAME_SCORE:g}", 1.0, SAME_SCORE),
        ("fid", "the measure midpoint has the lowest FID", -1.0, 0.0),
    ):
        own = sign * np.array(table.values(quantity, method="midpoint", **at))
        others = {
            title: sign * np.array(values) - slack
            for title, values in table.by("method", quantity, rivals, **at).items()
        }
        less_of, more = "less, " * (sign < 0), f" plus {slack:g}" * (slack > 0)
        said = f"{judge(table)} {SCORES[quantity]}, {less_of}midpoint{more}"
        test = paired_greatest(own, others, quantity=said)
        tests[f"ResNet: {text}"] = given(learns(table, **at), test)
    about = {"network": "resnet", "method": ("midpoint", *rivals)}
    return stated(PLACE, tests, about=about)


def _all_similar(table: Table, network: str) -> Test:
    """Each measure's FID against WGAN-GP's: the test of the one that is the least similar, as all
    of them have to be similar (which costs no level), or of one that certainly is not (which
    does)."""
    fid = table.values("fid", network=network, method=BASELINE)

    def each(level: float | None) -> list[Test]:
        return [
            similar_fid(
                table.values("fid", network=network, method=name),
                fid,
                f"{name} minus WGAN-GP",
                level,
            )
            for name in MEASURES
        ]

    unlike = [t for t in each(level_of_each(len(MEASURES))) if t.verdict == Verdict.NOT_SUPPORTED]

    def farthest(test: Test) -> float:
        ends = np.abs([test.interval.low, test.interval.high])
        return float(np.nan_to_num(ends, nan=np.inf).max())

    return max(unlike or each(None), key=farthest)


def draw(runs: Runs, table: Table) -> Figure:
    """The table above, Fig. 6 (DCGAN) and Fig. 7 (ResNet; its (f) and (g) are Fig. 2) below."""
    methods, networks = runs.grid.titles("method"), runs.grid.titles("network")
    figure = Figure(figsize=(len(methods), 4.7), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=[1, 1.35])
    of_table, of_samples = parts
    columns = {(net, quantity): None for net in networks for quantity in SCORES}
    rows = {
        title: [_number(table, net, method, quantity) for net, quantity in columns]
        for method, title in methods.items()
    }
    heads = [f"{networks[net]}: {SCORES[quantity]}" for net, quantity in columns]
    above = of_table.subplots()
    score_table(above, heads, rows, f"{judge(table)}'s (paper: Inception's)")
    for text in above.texts:
        text.set_fontsize(7)
    of_table.supxlabel(
        "mean over seeds ± half of its 95% interval; in brackets the paper's", fontsize=7
    )

    def few(axes: Axes, run: Run) -> None:
        pictures(axes, run.arrays("samples")["fake"], FEW)

    grid = of_samples.subplots(len(networks), len(methods), squeeze=False)
    for row, (net, net_title) in zip(grid, networks.items(), strict=True):
        for i, (axes, (method, title)) in enumerate(zip(row, methods.items(), strict=True)):
            axes.set_axis_off()
            letter = f"({'abcdefg'[i]}) " if i < len(PAPER["dcgan"]) else ""
            panel(axes, runs.first(network=net, method=method), f"{letter}{title}", few)
            axes.title.set_fontsize(7)
        row[0].text(-0.1, 0.5, net_title, rotation=90, ha="right", va="center",
                    transform=row[0].transAxes)  # fmt: skip
    return figure


def _number(table: Table, network: str, method: str, quantity: str) -> str:
    """Ours over seeds beside the paper's, which is of another network than a stand-in's."""
    papers = PAPER[network].get(method)
    values = table.values(quantity, network=network, method=method)
    number = papers[list(SCORES).index(quantity)] if papers else None
    return beside_the_papers(values, number, 2 if quantity == "score" else 1)


ENTRY = Entry(measure, claims, draw)
