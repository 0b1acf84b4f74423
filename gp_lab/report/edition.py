"""The edition: of each entry what was drawn of it, at every budget, as its claims.json says it.

What is reduced to fit: pictures, where those of all entries together are too large for one page.
"""

import base64
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from gp_lab.errors import BadInput, LabError
from gp_lab.figures.claims import Verdict
from gp_lab.figures.methods import comparisons_table
from gp_lab.figures.publishing import ANIMATION, belonging, moves, published, summary_of
from gp_lab.figures.sentences import budget_text, entry_text, interval_text, verdict_text

PAPERS = {
    "zero_gp": (
        "Improving Generalization and Stability of Generative Adversarial Networks",
        "https://arxiv.org/abs/1902.03984",
    ),
    "lipschitz": (
        "Understanding the Effectiveness of Lipschitz Constraint in Training of GANs"
        " via Gradient Analysis",
        "https://arxiv.org/abs/1807.00751",
    ),
    "mu_wgan": (
        "Local Stability and Performance of Simple Gradient Penalty mu-Wasserstein GAN",
        "https://arxiv.org/abs/1810.02528",
    ),
    "wgan_gp": (
        "Improved Training of Wasserstein GANs",
        "https://arxiv.org/abs/1704.00028",
    ),
    "anomalous": (
        "On the Anomalous Generalization of GANs",
        "https://arxiv.org/abs/1909.12638",
    ),
}
"""The papers' titles, and where they can be read."""

PICTURE_BYTES = 8_000_000
"""Of the pictures and animations of all entries together."""

WIDTHS = (1400, 1000, 700)
"""Pixels that a picture is made narrower to, one after the other, until all fit."""


def drawings_of(root: Path) -> list[dict[str, Any]]:
    """What stands on the page of every claims.json below a folder.

    A broken claims.json, and a picture of another drawing, are left out with a warning.
    """
    found = [drawing for path in published(root) if (drawing := _drawing(path))]
    _fit(found)
    return found


def entries_of(drawings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries in the order of their names: paper, anchor, and their drawings."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for drawing in drawings:
        by_name.setdefault(str(drawing["figure"]), []).append(drawing)
    return [
        {
            "figure": name,
            "paper": (paper := name.partition("/")[0]),
            "of": PAPERS.get(paper),
            "anchor": anchor(name),
            "drawings": several,
        }
        for name, several in by_name.items()
    ]


def anchor(*names: str) -> str:
    """Where the page shows an entry, or one drawing of it: `entry-zero_gp-fig2-miniature`."""
    return "-".join(["entry", *(re.sub(r"[^\w.]+", "-", name) for name in names)])


def by_budget(figures: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each entry that was drawn more than once: each sentence's verdict at each budget.

    figures: summaries of claims.json. Sentences are told apart by text and place.
    """
    drawn: dict[str, list[Mapping[str, Any]]] = {}
    for figure in figures:
        drawn.setdefault(str(figure["figure"]), []).append(figure)
    found = []
    for name, several in drawn.items():
        said = [
            {(str(c["text"]), str(c["where"])): str(c["verdict"]) for c in figure["claims"]}
            for figure in several
        ]
        sentences = dict.fromkeys(sentence for one in said for sentence in one)
        if len(several) > 1:
            columns = [budget_text(figure) for figure in several]
            lines = [(text, [one.get((text, at), "") for one in said]) for text, at in sentences]
            found.append({"figure": name, "columns": columns, "lines": lines})
    return found


def beside_the_papers(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(key, the paper's value, ours) of each setting that is not the paper's.

    The paper's is that of its own scale, of the panels that have ours here; empty where the entry
    leaves the key to a choice, as `architecture.width` to `architecture`. Panels that differ are
    named together.
    """
    papers = summary.get("papers", {})
    rows = []
    for own in map(str, summary.get("not_the_papers", [])):
        key, _, ours = own.partition("=")
        rows.append((key, ", ".join(map(str, papers.get(own, ()))), ours))
    return rows


def _drawing(path: Path) -> dict[str, Any] | None:
    try:
        summary = summary_of(path)
        found = [str(claim["verdict"]) for claim in summary["claims"]]
        figure = str(summary["figure"])
        return summary | {
            "anchor": anchor(figure, path.parent.name),
            "image": _image(path, "figure.png", summary),
            "animation": _image(path, ANIMATION, summary) if moves(summary) else None,
            "steps_text": ", ".join(f"{n:,}" for n in summary["steps"]),
            "counts": {str(v): n for v in Verdict if (n := found.count(str(v)))},
            "entry": entry_text(summary),
            "budget": budget_text(summary),
            "beside": beside_the_papers(summary),
            "stand_ins": [str(text) for text in summary.get("stand_ins", [])],
            "not_the_papers": [str(text) for text in summary.get("not_the_papers", [])],
            "unproven": [str(text) for text in summary.get("unproven", [])],
            "methods": {k: [str(o) for o in own] for k, own in summary.get("methods", {}).items()},
            "compared": comparisons_table(summary.get("comparisons", ())),
            "left_out": [str(text) for text in summary.get("left_out", [])],
            "dead": [str(text) for text in summary.get("dead", [])],
            "claims": [
                c
                | {
                    "numbers": interval_text(c),
                    "verdict": str(c["verdict"]),
                    "verdict_text": verdict_text(c, summary),
                }
                for c in summary["claims"]
            ],
            "settings": {k: [str(o) for o in list(v)] for k, v in summary["settings"].items()},
        }
    except (BadInput, ValueError, KeyError, TypeError, AttributeError) as error:
        what = str(error) if isinstance(error, BadInput) else f"{path}: {error!r}"
        warnings.warn(f"{what}; left out of the report", stacklevel=3)
        return None


def _image(path: Path, name: str, summary: dict[str, Any]) -> dict[str, Any] | None:
    """A picture that belongs to the claims: kind and bytes."""
    try:
        data = belonging(path, name, summary)
    except LabError as error:
        warnings.warn(f"{error}; left out of the report", stacklevel=4)
        return None
    return {"kind": name.rpartition(".")[2], "data": data, "reduced": False}


def _fit(drawings: Sequence[dict[str, Any]]) -> None:
    """Make pictures smaller, the largest bytes first to go, and write them as the page has them.

    Animations go where even narrow pictures are too much. What was done to a picture is said.
    """
    pictures = [d["image"] for d in drawings if d["image"]]
    animations = [d["animation"] for d in drawings if d["animation"]]

    def total() -> int:
        return sum(len(image["data"]) for image in [*pictures, *animations])

    for width in WIDTHS:
        if total() <= PICTURE_BYTES:
            break
        for image in pictures:
            _reduce(image, width)
    moving = [drawing for drawing in drawings if drawing["animation"]]
    for drawing in sorted(moving, key=lambda d: len(d["animation"]["data"]), reverse=True):
        if total() <= PICTURE_BYTES:
            break
        animations.remove(drawing["animation"])
        drawing["animation"], drawing["animation_left_out"] = None, True
    for image in [*pictures, *animations]:
        text = base64.b64encode(image["data"]).decode()
        image["url"] = f"data:image/{image['kind']};base64,{text}"


def _reduce(image: dict[str, Any], width: int) -> None:
    """A picture as WebP, no wider than that; as it is if that is no smaller, or is no picture."""
    try:
        with Image.open(io.BytesIO(image["data"])) as picture:
            picture.thumbnail((width, 100 * width), Image.Resampling.LANCZOS)
            file = io.BytesIO()
            picture.convert("RGB").save(file, "WEBP", quality=80)
    except (OSError, ValueError):
        return
    if file.tell() < len(image["data"]):
        image |= {"data": file.getvalue(), "kind": "webp", "reduced": True}
