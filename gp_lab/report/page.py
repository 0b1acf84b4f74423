"""One self-contained page of all figures, claims and runs below a folder.

What it shows is data from run folders and claims.json: everything is escaped.
"""

import base64
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from gp_lab.errors import BadInput
from gp_lab.figures.claims import Verdict
from gp_lab.figures.make import interval_text
from gp_lab.files import write_atomically
from gp_lab.runs.folder import RunFolder, find_runs


def write_report(root: Path) -> Path:
    """Write `report.html` into the folder; its path. Raises `BadInput` for a broken claims.json."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html").render(
        root=root.name or str(root.resolve().name),
        figures=[_figure(path) for path in sorted(_inside(root, "figures").rglob("claims.json"))],
        runs=[_run(folder) for folder in find_runs(_inside(root, "runs"))],
        verdicts=[str(v) for v in Verdict],
    )
    path = root / "report.html"
    write_atomically(path, page.encode())
    return path


def _inside(root: Path, name: str) -> Path:
    """`root/name` of an output root; another folder is searched whole."""
    return root / name if (root / name).is_dir() else root


def _figure(path: Path) -> dict[str, Any]:
    try:
        summary = json.loads(path.read_text())
        found = [claim["verdict"] for claim in summary["claims"]]
        picture = path.with_name("figure.png")
        image = base64.b64encode(picture.read_bytes()).decode() if picture.exists() else ""
        return summary | {
            "anchor": f"{summary['figure']}-{summary['scale']}".replace("/", "-"),
            "image": image,
            "steps_text": ", ".join(f"{n:,}" for n in summary["steps"]),
            "counts": {str(v): found.count(str(v)) for v in Verdict},
            "claims": [c | {"numbers": interval_text(c)} for c in summary["claims"]],
        }
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: not a figure's claims.json ({error!r})") from error


def _run(folder: RunFolder) -> dict[str, Any]:
    status = folder.status
    return {
        "name": folder.path.name,
        "state": status.get("state", "?"),
        "step": status.get("step", "?"),
        "engine": status.get("engine", ""),
        "why": status.get("why", ""),
        "megabytes": folder.size() / 1e6,
    }
