"""One self-contained page of all figures, claims and runs below a folder.

What it shows is data from run folders and claims.json: everything is escaped, links to files
elsewhere are not followed, and the page itself forbids scripts.
"""

import base64
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from gp_lab.errors import BadInput, LabError, counted
from gp_lab.figures.claims import Verdict
from gp_lab.figures.methods import comparisons_table
from gp_lab.figures.publishing import ANIMATION, belonging, moves, published, summary_of
from gp_lab.figures.sentences import budget_text, entry_text, interval_text, verdict_text
from gp_lab.files import write_atomically
from gp_lab.runs.compare import compare
from gp_lab.runs.compare_table import cells
from gp_lab.runs.folder import RunFolder, find_runs
from gp_lab.runs.scores import not_comparable, telling_metrics


def write_report(root: Path) -> Path:
    """Write `report.html` into the folder; its path.

    A broken claims.json, and a picture of another drawing, are left out with a warning.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = [f for path in published(_inside(root, "figures")) if (f := _figure(path))]
    page = environment.get_template("page.html").render(
        root=root.name or str(root.resolve().name),
        figures=figures,
        budgets=by_budget(figures),
        sweep=_sweep(_inside(root, "runs")),
        runs=[_run(folder) for folder in find_runs(_inside(root, "runs"))],
        verdicts=[str(v) for v in Verdict],
        counted=counted,
    )
    path = root / "report.html"
    write_atomically(path, page.encode())
    return path


def _inside(root: Path, name: str) -> Path:
    """`root/name` of an output root; another folder is searched whole."""
    return root / name if (root / name).is_dir() else root


def _figure(path: Path) -> dict[str, Any] | None:
    try:
        summary = summary_of(path)
        found = [str(claim["verdict"]) for claim in summary["claims"]]
        return summary | {
            "anchor": f"{summary['figure']}-{path.parent.name}".replace("/", "-"),
            "image": _image(path, "figure.png", summary),
            "animation": _image(path, ANIMATION, summary) if moves(summary) else "",
            "steps_text": ", ".join(f"{n:,}" for n in summary["steps"]),
            "counts": {str(v): found.count(str(v)) for v in Verdict},
            "entry": entry_text(summary),
            "stand_ins": [str(text) for text in summary.get("stand_ins", [])],
            "not_the_papers": [str(text) for text in summary.get("not_the_papers", [])],
            "unproven": [str(text) for text in summary.get("unproven", [])],
            "methods": {k: [str(o) for o in own] for k, own in summary.get("methods", {}).items()},
            "compared": comparisons_table(summary.get("comparisons", ())),
            "left_out": [str(text) for text in summary.get("left_out", [])],
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


def _image(path: Path, name: str, summary: dict[str, Any]) -> str:
    try:
        return base64.b64encode(belonging(path, name, summary)).decode()
    except LabError as error:
        warnings.warn(f"{error}; left out of the report", stacklevel=4)
        return ""


def _sweep(runs: Path) -> dict[str, Any]:
    """What `gp-lab compare` says of the runs that belong to no figure; empty if there are none."""
    try:
        groups = compare(runs, ["figure.id=null"])
    except BadInput:  # no run says whether it belongs to one
        return {}
    names = telling_metrics(groups)
    head, *lines = cells(groups, names)
    mixed = ", ".join(not_comparable(groups, names))
    return {"head": head, "lines": lines, "mixed": mixed} if groups else {}


def _run(folder: RunFolder) -> dict[str, Any]:
    try:
        status = folder.status
    except BadInput as error:  # one damaged run does not hide the others
        status = {"state": "damaged", "why": str(error)}
    return {
        "name": folder.path.name,
        "state": status.get("state", "?"),
        "step": status.get("step", "?"),
        "engine": status.get("engine", ""),
        "why": status.get("why", ""),
        "megabytes": folder.size() / 1e6,
    }
