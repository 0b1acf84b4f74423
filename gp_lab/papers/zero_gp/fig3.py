"""Figure 3 of zero_gp: samples of GANs on MNIST under each penalty, and 0-GP's weight."""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import Claim, greater, rank_correlations, share_greater
from gp_lab.figures.registry import Entry, Panels, Row, Run, column
from gp_lab.figures.style import empty, new_panels
from gp_lab.papers.zero_gp._reading import outcomes, steps_up_to
from gp_lab.probes.pictures import grid_picture


class Read(NamedTuple):
    """A panel of the picture: a run, and whether it is looked at early or at its end."""

    title: str
    panel: str
    early: bool = False


READS = (
    Read("(a) no GP", "none"),
    Read("(b) 0-GP-sample", "zero_gp_sample"),
    Read("(c) 1-GP", "one_gp"),
    Read("(d) 0-GP", "zero_gp", early=True),
    Read("(e) 0-GP", "zero_gp"),
    Read("0-GP", "zero_gp_10"),
    Read("0-GP", "zero_gp_50"),
    Read("0-GP", "zero_gp_500"),
)
WEIGHTS = {"zero_gp_10": 10, "zero_gp_50": 50, "zero_gp": 100, "zero_gp_500": 500}

NAMES = {"none": "no GP", "zero_gp_sample": "0-GP-sample", "one_gp": "1-GP", "zero_gp": "0-GP"}
OTHERS = ("none", "zero_gp_sample", "one_gp")
"""What the paper holds against 0-GP."""

LEGEND = (
    "sure: samples whose class has a probability above .9; H: entropy of the classes in nats;\n"
    "spread: distance to the nearest other sample, over that of real images"
)

CONFIDENT = 0.5
"""A GAN has learnt something if the classifier is confident of more than this share of samples."""

ENTROPY = 0.5
"""It has collapsed if its classes have less than this share of the largest entropy..."""

SPREAD = 0.25
"""...or its samples are nearer to one another than this share of what real images are."""

MOST_SEEDS = 0.5
"""What a GAN does in more than this share of the seeds, it is said to do."""


def early(run: Run) -> int:
    """The step of the paper's panels (a) to (d): the first at which the probes wrote."""
    return steps_up_to(run, "classifier")[0]


def scores(run: Run, step: int, classes: int = 10) -> Row:
    """What the probes say of a run's samples at a step, and whether it passes: `confident` of most
    samples, not `collapsed`, `learnt` if it is the one and not the other."""
    judged, near = (run.folder.arrays(probe, step) for probe in ("classifier", "neighbours"))
    row: Row = {f"classifier_{k}": float(v) for k, v in judged.items()}
    row |= {k: float(v) for k, v in near.items() if v.ndim == 0}
    row["spread_share"] = row["spread"] / row["spread_real"]
    row["confident"] = int(row["classifier_confidence_share"] > CONFIDENT)
    few_classes = row["classifier_class_entropy"] < ENTROPY * math.log(classes)
    row["collapsed"] = int(few_classes or row["spread_share"] < SPREAD)
    return row | {"learnt": int(row["confident"] and not row["collapsed"])}


def _row(run: Run) -> Row:
    row: Row = {"panel": run.panel, "seed": run.seed, "state": run.state}
    row |= {"data": run.folder.config["dataset"]["name"], "early_step": early(run)}
    row |= scores(run, run.step)
    return row | {f"{k}_early": v for k, v in scores(run, early(run)).items()}


def _measure(panels: Panels) -> list[Row]:
    return [_row(run) for runs in panels.values() for run in runs]


def _claims(rows: list[Row]) -> list[Claim]:
    where = "zero_gp, Fig. 3 and sec. 6.2"

    def of_most(panel: str, quantity: str, value: int, text: str, what: str) -> Claim:
        found = outcomes(rows, panel, f"{quantity}_early")
        # A seed that diverged has learnt nothing.
        hits = int((found == value).sum() if value else (found != 1).sum())
        test = share_greater(hits, len(found), MOST_SEEDS, quantity=f"share of seeds {what}")
        return Claim(f"{text} after 1,000 iterations", test, where)

    sure = f"sure (> .9) of more than {CONFIDENT:.0%} of the samples"
    bounds = "the entropy of classes or the spread is below its bound"
    claims = [
        of_most(
            "zero_gp", "confident", 1, "most samples of 0-GP are recognised",
            f"where the classifier is {sure}",
        ),
        *(
            of_most(
                panel, "confident", 0, f"most samples of {NAMES[panel]} are not recognised",
                f"where the classifier is not {sure}",
            )
            for panel in OTHERS
        ),
        of_most(
            "zero_gp", "learnt", 1, "0-GP has learnt, without mode collapse",
            f"where the classifier is {sure}, and not: {bounds}",
        ),
        *(
            of_most(
                panel, "learnt", 0, f"{NAMES[panel]} has collapsed or has learnt nothing",
                f"where the classifier is not {sure}, or {bounds}",
            )
            for panel in OTHERS
        ),
    ]  # fmt: skip
    for quantity, what in (
        ("classifier_class_entropy", "the entropy of the samples' classes"),
        ("spread", "the mean distance of a sample to the nearest other one"),
    ):
        values = [column(rows, panel, quantity) for panel in WEIGHTS]
        whole = len({len(v) for v in values}) == 1
        table = np.array(values).T if whole else np.full((0, len(WEIGHTS)), np.nan)
        claims.append(
            Claim(
                f"a higher weight of 0-GP makes samples more diverse: {what}",
                greater(
                    rank_correlations(list(WEIGHTS.values()), table),
                    0.0,
                    quantity=f"Spearman's correlation of lambda (10, 50, 100, 500) with {what}",
                ),
                "zero_gp, sec. 6.2",
            )
        )
    return claims


def _draw(panels: Panels, rows: list[Row]) -> Figure:
    figure, grid = new_panels(2, 5, height=4.4)
    cells = list(grid.ravel())
    real, weights = cells.pop(5), cells.pop(-1)
    for axes, read in zip(cells, READS, strict=True):
        if panels[read.panel]:
            _samples(axes, panels[read.panel][0], read)
        else:
            empty(axes, read.title)
            axes.set_axis_off()
    runs = [run for of_panel in panels.values() for run in of_panel]
    if runs:
        real.imshow(grid_picture(runs[0].arrays("samples")["real"]))
        figure.suptitle(LEGEND, fontsize=7)
    real.set_title("training images", fontsize=7)
    real.set_axis_off()
    _against_weight(weights, rows)
    return figure


def _samples(axes: Axes, run: Run, read: Read) -> None:
    step = early(run) if read.early else run.step
    fakes = run.folder.arrays("samples", step)["fake"]
    axes.imshow(grid_picture(fakes))
    axes.set_axis_off()
    found = scores(run, step)
    weight = run.folder.config["penalty"]["weight"]
    of_weight = "" if read.panel == "none" else rf", $\lambda$ = {weight:g}"
    axes.set_title(
        f"{read.title}{of_weight}\n"
        f"it. {step:,}: {found['classifier_confidence_share']:.0%} sure\n"
        f"H {found['classifier_class_entropy']:.2f}, spread {found['spread_share']:.0%}",
        fontsize=7,
    )


def _against_weight(axes: Axes, rows: list[Row]) -> None:
    seeds = sorted({row["seed"] for row in rows if row["panel"] in WEIGHTS})
    for seed in seeds:
        mine = {r["panel"]: r for r in rows if r["seed"] == seed and r["panel"] in WEIGHTS}
        found = [float(mine.get(p, {}).get("classifier_class_entropy", "nan")) for p in WEIGHTS]
        axes.semilogx(list(WEIGHTS.values()), found, "o-", ms=3, lw=0.8, color="#0072B2")
    axes.axhline(math.log(10), color="0.5", lw=0.6, ls="--")
    axes.set_xticks(list(WEIGHTS.values()), [str(w) for w in WEIGHTS.values()])
    axes.minorticks_off()
    axes.yaxis.tick_right()
    axes.set_ylim(0, 1.1 * math.log(10))
    axes.set_xlabel(r"$\lambda$ of 0-GP")
    axes.set_title("entropy H of the classes\n(dashed: log 10)", fontsize=7)


ENTRY = Entry(_measure, _claims, _draw)
