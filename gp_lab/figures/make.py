"""From runs to figure.png, figure.pdf, data.csv and claims.json, and the table of verdicts."""

import csv
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from gp_lab.figures.claims import Verdict
from gp_lab.figures.registry import Panels, Row, Run, entry
from gp_lab.figures.style import footer, paper_style
from gp_lab.launching.panels import Job
from gp_lab.launching.places import config_folder
from gp_lab.runs.folder import State, write_atomically
from gp_lab.runs.identity import NOT_IDENTITY
from gp_lab.runs.outcome import Outcome

FREE = NOT_IDENTITY | {"seed"}
"""Keys of the command line that leave an entry what it is."""


def make_figure(
    name: str, jobs: Sequence[Job], outcomes: Sequence[Outcome], user: Sequence[str] = ()
) -> str:
    """Draw an entry from its runs, write everything beside the picture, return the table.

    `user` are the overrides of the command line: one that changes what is trained (another number
    of steps, say) leaves the numbers and takes the verdicts away.
    Runs that diverged are counted and left out of the picture; if no run of a panel is whole,
    the entry's drawing says so in that panel.
    """
    what = entry(name)
    scale = jobs[0].config["scale"]["name"]
    folder = Path(jobs[0].config["out"]) / "figures" / name / scale
    folder.mkdir(parents=True, exist_ok=True)
    panels = _panels(jobs, outcomes)
    whole = {p: [r for r in runs if r.state == State.FINISHED] for p, runs in panels.items()}
    rows = what.measure(whole) + [
        {"panel": r.panel, "seed": r.seed, "state": r.state}
        for runs in panels.values()
        for r in runs
        if r.state != State.FINISHED
    ]
    text = yaml.safe_load((config_folder() / "figure" / f"{name}.yaml").read_text())
    changed = [o for o in user if re.split(r"[=./]", o)[0].lstrip("+~") not in FREE]
    decides = text["scales"][scale]["decides"] and not changed
    claims = [c if decides else c.undecided() for c in what.claims(rows)]
    seeds = max(len(runs) for runs in panels.values())
    with paper_style():
        picture = what.draw(whole, rows)
        footer(picture, _made_from(name, scale, seeds, jobs))
        for suffix in ("png", "pdf"):
            picture.savefig(folder / f"figure.{suffix}", dpi=150, bbox_inches="tight")
    _write_rows(folder / "data.csv", rows)
    summary = {
        "figure": name,
        "title": text["title"],
        "scale": scale,
        "seeds": seeds,
        "steps": sorted({job.config["steps"] for job in jobs}),
        "command": " ".join(["gp-lab figure", name, f"scale={scale}", *changed]),
        "overrides": changed,
        "claims": [claim.as_dict() for claim in claims],
        "assumptions": text.get("assumptions", []),
        "cost": text.get("cost", {}),
        "settings": {p: _settings(text, p, scale) for p in text["panels"]},
        "made_by": _makers(outcomes),
        "runs": [
            {"panel": j.panel, "seed": j.config["seed"], "id": o.folder.status.get("id"),
             "state": str(o.state), "step": o.step, "why": o.why}
            for j, o in zip(jobs, outcomes, strict=True)
        ],
    }  # fmt: skip
    write_atomically(folder / "claims.json", (json.dumps(summary, indent=1) + "\n").encode())
    return claims_table(summary) + f"\npicture, data, claims: {folder}{os.sep}"


def claims_table(summary: dict[str, Any]) -> str:
    """The claims of a claims.json for a terminal: verdict, sentence, numbers."""
    lines = [f"{summary['figure']} at scale {summary['scale']}, {summary['seeds']} seeds"]
    for claim in summary["claims"]:
        lines.append(f"  {claim['verdict']:>22}  {claim['text']}  [{claim['where']}]")
        lines.append(f"{'':24}  {claim['quantity']} = {interval_text(claim)}")
    return "\n".join(lines)


def summary_table(root: Path, minutes: dict[str, float]) -> str:
    """Entry, scale, seeds, how many claims of each verdict, and the time it took this time."""
    header = ["entry", "scale", "seeds", *(str(v) for v in Verdict), "minutes"]
    table = [header]
    for path in sorted((root / "figures").rglob("claims.json")):
        summary = json.loads(path.read_text())
        found = [claim["verdict"] for claim in summary["claims"]]
        counts = [str(found.count(str(v))) for v in Verdict]
        took = f"{minutes.get(summary['figure'], 0):.1f}"
        table.append([summary["figure"], summary["scale"], str(summary["seeds"]), *counts, took])
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def interval_text(claim: dict[str, Any]) -> str:
    """Estimate, interval, how many seeds, how many diverged."""
    numbers = [claim[k] for k in ("estimate", "low", "high")]
    estimate, low, high = ("?" if x is None else f"{x:.3g}" for x in numbers)
    dropped = f", {claim['n_dropped']} left out" if claim["n_dropped"] else ""
    return f"{estimate} [{low}, {high}], n={claim['n']}{dropped}"


def _panels(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> Panels:
    found: dict[str, list[Run]] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
        panel = str(job.panel)
        run = Run(
            panel, job.config["seed"], outcome.folder, str(outcome.state), job.config["steps"]
        )
        found.setdefault(panel, []).append(run)
    return found


def _made_from(name: str, scale: str, seeds: int, jobs: Sequence[Job]) -> str:
    steps = ", ".join(f"{n:,}" for n in sorted({job.config["steps"] for job in jobs}))
    return f"{name}, scale {scale}: {steps} iterations, {seeds} seeds; the first is drawn"


def _settings(text: dict[str, Any], panel: str, scale: str) -> list[str]:
    return [*text["common"], *text["panels"][panel], *text["scales"][scale]["overrides"]]


def _makers(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The machines and versions that made the runs, each once."""
    kept: list[dict[str, Any]] = []
    for outcome in outcomes:
        status = outcome.folder.status
        maker = {k: status.get(k) for k in ("device", "engine", "versions", "commit", "dirty")}
        if maker not in kept:
            kept.append(maker)
    return kept


def _write_rows(path: Path, rows: Sequence[Row]) -> None:
    names = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
