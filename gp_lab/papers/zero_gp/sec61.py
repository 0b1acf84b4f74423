"""zero_gp, sec. 6.1: GANs on MNIST, five steps of the discriminator for one of the generator."""

import numpy as np
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, paired_greater
from gp_lab.figures.entry import Entry, Run, Runs
from gp_lab.figures.table import Row, Table
from gp_lab.papers.zero_gp._digits import (
    EARLY,
    both_looks,
    early,
    end,
    has_learnt,
    page_of_samples,
    recognised,
    unless,
)

OTHERS = ("none", "zero_gp_sample", "one_gp")
"""What the paper holds against 0-GP."""


def overfit(run: Run) -> Row:
    """The share of reals that D takes for real, of those it has seen and of others, and of fakes;
    its accuracy on both kinds; and how much of that it has learnt by heart."""
    f = run.arrays("critic_losses")
    train, held_out, fake = (float(np.mean(f[k] > 0)) for k in ("train", "held_out", "fake"))
    return {
        "accuracy_train": (train + 1 - fake) / 2,
        "accuracy_held_out": (held_out + 1 - fake) / 2,
        "by_heart": (train - held_out) / 2,
    }


def measure(run: Run) -> Row:
    return both_looks(run) | overfit(run)


def claims(table: Table) -> list[Claim]:
    where, others = "zero_gp, sec. 6.1", table.grid.titles("method", OTHERS)
    cell = {"method": "zero_gp"}
    early_text = "0-GP: most samples are recognised after 1,000 iterations"
    late_text = (
        "0-GP: it has learnt, without mode collapse, at the end (the paper: iteration 10,000)"
    )
    found = [
        recognised(table, cell, True, early_text, where, EARLY),
        has_learnt(table, cell, True, late_text, where),
    ]
    for method, name in others.items():
        text = f"most samples of {name} are not recognised at the end (the paper: iteration 10,000)"
        found.append(unless(found[1], recognised(table, {"method": method}, False, text, where)))
    zero_gp = table.values("by_heart", method="zero_gp")
    for method, name in others.items():
        text = f"the discriminator of 0-GP overfits less than that of {name}"
        said = f"D's accuracy on digits it has seen minus on others, {name} minus 0-GP"
        test = paired_greater(table.values("by_heart", method=method), zero_gp, quantity=said)
        claim = Claim(text, test, where, about={"method": (method, "zero_gp")})
        found.append(unless(found[1], claim))  # a discriminator that does nothing overfits nothing
    return found


def draw(runs: Runs, table: Table) -> Figure:
    figure = page_of_samples(runs, table, (early, end))
    shown = len(runs.grid.titles("method"))
    for axes, method in zip(figure.axes[-shown - 1 :], runs.grid.titles("method"), strict=False):
        if run := runs.first(method=method):
            seen, other = (overfit(run)[f"accuracy_{k}"] for k in ("train", "held_out"))
            words = f"D right on seen digits\n{seen:.1%}, held-out {other:.1%}"
            axes.set_title(f"{axes.get_title()}\n{words}", fontsize=7)
    return figure


ENTRY = Entry(measure, claims, draw)
