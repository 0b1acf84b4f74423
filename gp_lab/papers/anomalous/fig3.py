"""anomalous, Fig. 3: pixel-wise combinations of training images among samples, and D's word."""

from collections.abc import Sequence
from operator import itemgetter

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gp_lab.figures.claims import SHARE, Claim, greater, stated
from gp_lab.figures.entry import Arrays, Entry, Run, Runs
from gp_lab.figures.plots import panel
from gp_lab.figures.style import COLOURS, empty, new_panels, plain_log
from gp_lab.figures.table import Row, Table
from gp_lab.papers.anomalous._squares import named_columns
from gp_lab.probes.pictures import grid_picture

OTHER, TRAINING, AND, OR = range(4)
"""What a sample is, as the probe says."""

KINDS = {TRAINING: "training image", AND: "AND", OR: "OR", OTHER: "other"}

FRAMES = np.array([(128, 128, 128), (0, 114, 178), (213, 94, 0), (0, 158, 115)], dtype=np.uint8)

MORE = {TRAINING: 0, AND: -1, OR: 1}
"""How many more rectangles there are in it than in a training image."""

MOST = 0.5
"""G has learnt the two images when more than this share of its samples is one of them; anomalous
images are combinations if more than this share of them is."""

SAME = 0.1
"""DIF below which two images are the same (sec. 5.3)."""

MOMENTS = 8
"""Columns of the panel of codes."""

SHOWN = 5
"""Codes in it."""

CURVES = {"f_real": "training images", "f_and": "AND", "f_or": "OR", "f_fake": "samples"}


def measure(run: Run) -> Row:
    return squares(run) if run.cell["images"] == "rectangles" else faces(run)


def shares(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Steps [k], and the shares of samples that are other images, training images, ANDs, ORs."""
    return run.course(
        "rectangles", lambda at: np.bincount(at["nearest_kind"], minlength=4) / len(at["counts"])
    )


def early(of_kind: np.ndarray) -> np.ndarray:
    """Which looks [k] are early, bool: from the first sample that is a training image or a
    combination until most are a training image. All of them where nothing is ever recognised."""
    known = np.flatnonzero(of_kind[:, TRAINING:].sum(1))
    learnt = np.flatnonzero(of_kind[:, TRAINING] > MOST)
    looks, first = np.arange(len(of_kind)), known[0] if len(known) else 0
    until = max(learnt[0], first + 1) if len(learnt) else len(of_kind)
    return (first <= looks) & (looks < until)


def squares(run: Run) -> Row:
    """Shares over the early part and over the run, and how near D's word of ANDs, and of ORs, is to
    that of training images: 1 the same, 0 that of samples. Of each by itself: an AND and an OR add
    up to the two images, so that a D which is linear says the same of both pairs."""
    _, of_kind = shares(run)
    _, said = run.course("rectangles", lambda at: [float(at[name]) for name in CURVES])
    first, combined = early(of_kind), of_kind[:, [AND, OR]].sum(1)
    real, fake = said[:, 0], said[:, 3]
    nearness = (said.T - fake) / np.where(real == fake, np.nan, real - fake)
    return {
        "learnt": int(of_kind[-1, TRAINING] > MOST),
        "combined_early": float(combined[first].mean()),
        "training_early": float(of_kind[first, TRAINING].mean()),
        "combined_most": float(combined.max()),
        "anomalous_combined": anomalous(run, first),
        "nearness_and_early": float(np.nanmedian(nearness[1][first])),
        "nearness_or_early": float(np.nanmedian(nearness[2][first])),
        "training_end": float(of_kind[-1, TRAINING]),
    }


def anomalous(run: Run, some: np.ndarray) -> float:
    """Of the samples at some looks [k] that show squares alone and are no training image: the share
    that is the AND or the OR. NaN where there are none."""

    def counted(at: Arrays) -> tuple[int, int]:
        of = at["nearest_kind"]
        wrong = at["exact"] & (at["counts"] > 0) & (of != TRAINING)
        return int(wrong.sum()), int((wrong & (of != OTHER)).sum())

    _, found = run.course("rectangles", counted)
    every, combined = found[some].sum(0)
    return float(combined / every) if every else float("nan")


def faces(run: Run) -> Row:
    """Shares of samples that are the average of two training images, and nearer to it than to any
    training image; likewise of two images held out (NaN where none are); and how near samples are
    to training images at all (mean DIF)."""
    last = run.arrays("averages")
    to_training, nearer = last["to_training"], last["to_average"] < last["to_training"]

    def same(distance: np.ndarray) -> float:
        return float(np.mean((distance < to_training) & (distance < SAME)))

    unseen = last.get("to_unseen_average")
    return {
        "learnt": int(np.median(to_training) < SAME),
        "nearer": float(nearer.mean()),
        "averages": same(last["to_average"]),
        "unseen_averages": float("nan") if unseen is None else same(unseen),
        "to_training": float(to_training.mean()),
    }


def claims(table: Table) -> list[Claim]:
    def of(quantity: str, images: str = "rectangles") -> np.ndarray:
        return np.array(table.values(quantity, images=images))

    ahead = of("combined_early") - of("training_early")
    tests = {
        "early in training more samples are an AND or an OR of the two images than one of them":
            greater(ahead, 0.0, within=(-1, 1),
                    quantity="share of ANDs and ORs minus that of training images, early"),
        "the anomalous images of rectangles are exactly the AND or the OR of the two images":
            greater(of("anomalous_combined"), MOST, within=SHARE,
                    quantity="share of samples of rectangles that are no training image, early"),
    } | {
        f"D scores the {kind}s like the training images in the earlier stage":
            greater(of(f"nearness_{kind.lower()}_early"), 0.5,
                    quantity=f"D's mean logit of {kind}s, from that of samples (0) to that of"
                    " training images (1), early")
        for kind in ("AND", "OR")
    }  # fmt: skip
    bottom = {
        "some generated faces are the same as the average of two training faces, and not by chance:"
        " more than of two held-out ones (the control is ours)":
            greater(of("averages", "faces") - of("unseen_averages", "faces"), 0.0, within=(-1, 1),
                    quantity=f"share of samples within DIF {SAME} of an average of two training"
                    " images, and nearer to it than to any of them, minus that of as many averages"
                    " of others"),
    }  # fmt: skip
    where = "anomalous, sec. 4.2 and Fig. 3"
    of_rectangles, of_faces = {"images": "rectangles"}, {"images": "faces"}
    found = stated(f"{where} (top)", tests, about=of_rectangles)
    return found + stated(f"{where} (bottom)", bottom, about=of_faces)


def draw(runs: Runs, table: Table) -> Figure:
    figure, grid = new_panels(2, 3, height=6)
    (samples, of_kind, said), (averages, distances, pictures) = grid
    place = samples.get_subplotspec().subgridspec(2, 1, height_ratios=[1, 4])
    samples.remove()
    references, codes = place.subplots()
    pictures.set_axis_off()
    rectangles, faces = (runs.first(images=kind) for kind in ("rectangles", "faces"))
    panel(references, rectangles, "training images, AND and OR", _references)
    panel(codes, rectangles, "a row: images of one code", _codes)
    if found := runs.at(images="rectangles"):
        _shares(of_kind, found)
    else:
        empty(of_kind, "what samples are")
    panel(said, rectangles, "what D says of them", _scores)
    panel(averages, faces, "samples nearest to averages", _averages)
    panel(distances, faces, "samples and what is nearest to them", _distances)
    panel(pictures, faces, "samples", _samples)
    return figure


def _references(axes: Axes, run: Run) -> str:
    """The two training images, their AND and their OR, which name the colours of the frames."""
    one, other = np.unique(run.arrays("samples")["real"], axis=0)[[0, -1]]
    images = np.stack([one, other, np.minimum(one, other), np.maximum(one, other)])
    kinds = [TRAINING, TRAINING, AND, OR]
    squares = run.folder.config["dataset"]["squares"]
    titles = ("", "", "AND: ", "OR: ")
    names = [f"{title}{squares + MORE[kind]}" for title, kind in zip(titles, kinds, strict=True)]
    named_columns(axes, grid_picture(images, len(kinds), FRAMES[kinds]), names)
    for text, kind in zip(axes.get_xticklabels(), kinds, strict=True):
        text.set_color(FRAMES[kind] / 255)
    return "framed by number of rectangles"


def moments(of_kind: np.ndarray) -> np.ndarray:
    """Which looks show the codes: evenly spread from the first early one to a little after."""
    some = np.flatnonzero(early(of_kind))
    last = min(some[-1] + max(2, len(some) // 4), len(of_kind) - 1)
    return np.unique(np.linspace(some[0], last, MOMENTS).round().astype(int))


def _codes(axes: Axes, run: Run) -> str:
    """Rows of codes, framed in the colours of the references by how many rectangles they show."""
    steps, of_kind = shares(run)
    _, images = run.course("rectangles", lambda at: at["codes"])
    _, kinds = run.course("rectangles", kinds_of_codes)
    some = moments(of_kind)
    rows, of = images[some, :SHOWN].swapaxes(0, 1), kinds[some, :SHOWN].T
    picture = grid_picture(rows.reshape(-1, *rows.shape[2:]), len(some), FRAMES[of.ravel()])
    named_columns(axes, picture, [f"{step:,}" for step in steps[some]])
    axes.set_xlabel("iteration")
    return "framed likewise; grey: other"


def kinds_of_codes(at: Arrays) -> np.ndarray:
    """By their number of rectangles: as many as the training images, one less, one more."""
    kinds = np.full(len(at["codes_count"]), OTHER)
    for kind, more in MORE.items():
        kinds[at["codes_exact"] & (at["codes_count"] == at["squares"] + more)] = kind
    return kinds


def _shares(axes: Axes, runs: Sequence[Run]) -> None:
    found = [shares(run) for run in runs]
    for i, (steps, of_kind) in enumerate(found):
        for kind, name in KINDS.items():
            axes.plot(
                steps, of_kind[:, kind], "--" if kind in (OR, OTHER) else "-",
                color=FRAMES[kind] / 255, label=None if i else name, lw=0.3 if i else 1.2,
            )  # fmt: skip
    steps, of_kind = found[0]
    some = steps[early(of_kind)]
    axes.axvspan(some[0], some[-1], color="0.9", zorder=0, label="early")
    axes.set(xlabel="iteration", ylabel="share of samples", ylim=(-0.02, 1.02))
    axes.set_title("what samples are\n(thin: other seeds)")
    axes.legend(fontsize=6)
    plain_log(axes, "x")


def _scores(axes: Axes, run: Run) -> None:
    for (name, title), colour in zip(CURVES.items(), COLOURS, strict=False):
        steps, values = run.course("rectangles", itemgetter(name))
        axes.plot(steps, values, label=title, color=colour, lw=1)
    low, high = axes.get_ylim()
    axes.set(ylim=(low, high + 0.35 * (high - low)))  # above: the legend
    axes.set(xlabel="iteration", ylabel="mean logit of D")
    axes.legend(fontsize=6, loc="upper center", ncols=2)
    plain_log(axes, "x")


def _averages(axes: Axes, run: Run) -> None:
    at = run.arrays("averages")
    columns = [at[name] for name in ("fake", "average", "one", "other")]
    rows = np.stack(columns, axis=1)[:5]
    picture = grid_picture(rows.reshape(-1, *rows.shape[2:]), len(columns))
    named_columns(axes, picture, ("sample", "average", "of this", "and this"))


def _distances(axes: Axes, run: Run) -> None:
    at = run.arrays("averages")
    titles = {
        "to_training": "training image",
        "to_average": "average of two",
        "to_unseen_average": "average of two held out (ours)",
    }
    bins = np.histogram_bin_edges(np.concatenate([at[name] for name in titles if name in at]), 40)
    for (name, title), colour in zip(titles.items(), COLOURS, strict=False):
        if name in at:
            axes.hist(at[name], bins=bins.tolist(), histtype="step", label=title, color=colour)
    axes.axvline(SAME, color="0.6", lw=0.8, ls="--", label=f"the same: below {SAME}")
    axes.set(xlabel="smallest DIF", ylabel="samples")
    axes.set_ylim(top=1.5 * axes.get_ylim()[1])  # above: the legend
    axes.legend(fontsize=6)


def _samples(axes: Axes, run: Run) -> None:
    axes.imshow(grid_picture(run.arrays("samples")["fake"][:36]))


ENTRY = Entry(measure, claims, draw)
