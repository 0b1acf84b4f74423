"""One self-contained page of all figures, claims and runs below a folder: a dashboard in a file.

What it shows is data from run folders and claims.json: everything is escaped, links to files
elsewhere are not followed, and the page runs the two scripts that it is shipped with and no other:
its policy names them by their hashes.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from gp_lab.errors import counted
from gp_lab.figures.claims import Verdict
from gp_lab.files import write_atomically
from gp_lab.report.data import page_of
from gp_lab.report.edition import by_budget, drawings_of, entries_of
from gp_lab.report.pictures import album_of

HERE = Path(__file__).parent

SCRIPTS = ("vendor/uPlot.iife.min.js", "page.js")

STYLES = ("vendor/uPlot.min.css", "page.css")


def write_report(root: Path) -> Path:
    """Write `report.html` into the folder; its path.

    A broken claims.json, and a picture of another drawing, are left out with a warning.
    """
    path = root / "report.html"
    write_atomically(path, page_text(root).encode())
    return path


def page_text(root: Path) -> str:
    """The page of what is below a folder."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    drawings = drawings_of(_inside(root, "figures"))
    page = page_of(_inside(root, "runs"), _readers(drawings))
    album = album_of(page)
    name = root.name or str(root.resolve().name)
    data = page.json() | {"root": name, "images": album.images, "pictures": album.of_runs}
    scripts, styles = ([Shipped(name) for name in names] for names in (SCRIPTS, STYLES))
    return environment.get_template("page.html").render(
        root=name,
        scripts=scripts,
        styles=styles,
        entries=entries_of(drawings),
        drawings=drawings,
        budgets=by_budget(drawings),
        data=Markup(json_for_script(data)),
        runs=len(page.runs),
        pictures_left_out=album.left_out,
        points=page.points,
        verdicts=[str(v) for v in Verdict],
        counted=counted,
    )


class Shipped:
    """A script or a style of the page: its text, and what the policy calls it."""

    def __init__(self, name: str) -> None:
        text = (HERE / name).read_text()
        digest = hashlib.sha256(text.encode()).digest()
        self.text = Markup(text)
        self.source = Markup(f"'sha256-{base64.b64encode(digest).decode()}'")


def json_for_script(data: Mapping[str, Any]) -> str:
    """JSON that can stand in a script element, whatever its texts are: none can end the element.

    Nothing but ASCII is in it, and none of < > &.
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _inside(root: Path, name: str) -> Path:
    """`root/name` of an output root; another folder is searched whole."""
    return root / name if (root / name).is_dir() else root


def _readers(drawings: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The id of a run -> the entries that were drawn of it."""
    found: dict[str, list[str]] = {}
    for drawing in drawings:
        runs = drawing.get("runs")
        for run in runs if isinstance(runs, list) else ():
            if isinstance(run, Mapping):
                found.setdefault(str(run.get("id")), []).append(str(drawing["figure"]))
    return found
