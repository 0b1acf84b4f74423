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
from gp_lab.files import write_atomically
from gp_lab.report.data import page_of
from gp_lab.report.edition import by_budget, drawings_of, entries_of
from gp_lab.report.pictures import Drawn, album_of

HERE = Path(__file__).parent

SCRIPT = [
    "state",
    "filters",
    "statistics",
    "table",
    "curves",
    "pictures",
    "heat",
    "coordinates",
    "runs",
    "page",
    "live",
]
"""The files of our own script, which are one text, in this order."""

SCRIPTS = (("vendor/uPlot.iife.min.js",), tuple(f"script/{name}.js" for name in SCRIPT))

STYLES = (("vendor/uPlot.min.css",), ("page.css",))


def write_report(root: Path) -> Path:
    """Write `report.html` into the folder; its path.

    A broken claims.json, and a picture of another drawing, are left out with a warning.
    """
    path = root / "report.html"
    write_atomically(path, page_text(gathered(root)).encode())
    return path


def gathered(root: Path, drawn: Drawn | None = None) -> dict[str, Any]:
    """What the page says of all below a folder. What is `drawn` is not drawn again, and more is
    put there."""
    drawings = drawings_of(inside(root, "figures"))
    page = page_of(inside(root, "runs"), _readers(drawings))
    album = album_of(page, {} if drawn is None else drawn)
    name = root.name or str(root.resolve().name)
    data = page.json() | {"root": name, "images": album.images, "pictures": album.of_runs}
    return {
        "root": name,
        "entries": entries_of(drawings),
        "drawings": drawings,
        "budgets": by_budget(drawings),
        "data": Markup(json_for_script(data)),
        "runs": len(page.runs),
        "pictures_left_out": album.left_out,
        "points": page.points,
    }


def page_text(what: Mapping[str, Any], build: str = "") -> str:
    """The page of what was gathered; of a `build` that is served, it looks for the next one."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    scripts, styles = ([Shipped(*names) for names in every] for every in (SCRIPTS, STYLES))
    return environment.get_template("page.html").render(
        **what,
        build=build,
        scripts=scripts,
        styles=styles,
        counted=counted,
    )


class Shipped:
    """A script or a style of the page: the text of its files, and what the policy calls it."""

    def __init__(self, *names: str) -> None:
        text = "".join((HERE / name).read_text() for name in names)
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


def inside(root: Path, name: str) -> Path:
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
