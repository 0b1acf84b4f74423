"""Small results kept in git: pictures, claims, data; outputs/reference/<paper>/<item>/<scale>.

    python scripts/reference.py outputs      copy from outputs/figures, rewrite the gallery

What was made with settings or seeds of one's own or at scale smoke is passed over. Pictures
are reduced to 256 colours; data.csv is left out where it is large. Verdicts are worked out anew
from what is kept of the rows, also of entries that are not copied. The gallery is
outputs/reference/README.md; the tables of the papers' pages follow, too, and first_sentences.md.

A look at other seeds that is replaced by another one is not forgotten: earlier.json has its seeds
and verdicts.

Whether a picture shows what the paper's does is for somebody to say who looks at both:
outputs/reference/pictures.yaml has, by entry, `shows` (yes, in part or no), `why`, and `picture`,
the first eight digits of the SHA-256 of the one that was looked at. One that is drawn anew has to
be looked at anew; this script names those that have not been.
"""

import argparse
import hashlib
import html
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import first_sentences
import yaml
from PIL import Image
from reference_tools import SCALES, VERDICTS, in_table, plain

from gp_lab.figures.judging import judged_again
from gp_lab.figures.methods import comparisons_table
from gp_lab.figures.publishing import ANIMATION, belonging, moves, published, summary_of
from gp_lab.figures.sentences import why_open
from gp_lab.figures.verdicts import Verdict
from gp_lab.launching.config_groups import figure_file, figure_ids
from gp_lab.report.edition import PAPERS

ROOT = Path(__file__).resolve().parent.parent

LARGEST_TABLE = 200_000
"""Bytes of a data.csv that is kept."""

WIDEST = 1000
"""Pixels of a picture that is kept."""

HEAD = """# What was run

In miniature, and at the paper's own scale where two cores could do it; a picture leads to its
claims, with intervals over seeds, which for an entry hold together in 95 % of repetitions. How each
miniature was chosen stands in the entry's file (`pilot:`). `scripts/reference.py` writes this page.
On another make of processor, which rounds otherwise, a trained run of the same seed is another run:
drawn once more on such a one, the tour's 146 sentences had these verdicts but for one (of
`zero_gp/fig2`; its file says which).
[The sentences that the edition began with](first_sentences.md), and what became of them.

"""
SHOWS = {
    "yes": "it shows what the paper's shows",
    "in part": "it shows in part what the paper's shows",
    "no": "it does not show what the paper's shows",
}
EARLIER = "earlier.json"
LOOK = ("text", "verdict", "quantity", "estimate", "low", "high", "n")
"""Of a sentence at an earlier look."""

COLUMNS = 3


def collect(outputs: Path, reference: Path) -> None:
    """Copy each entry's results. Of two methods that have one name the later one is refused."""
    taken: dict[str, Path] = {}
    for source in published(outputs / "figures"):
        new = summary_of(source)
        if new["scale"] not in SCALES or new["overrides"]:
            continue
        if (other := taken.setdefault(place(new), source)) != source:
            raise SystemExit(f"{source}: would be kept where {other} is; rename its method")
        folder = reference / place(new)
        kept = folder / "claims.json"
        folder.mkdir(parents=True, exist_ok=True)
        remember(kept, new)
        own = {k: v for k, v in new.items() if k != "files"}  # the picture here is another file
        kept.write_text(json.dumps(own, indent=1) + "\n")
        files = {"data.csv": belonging(source, "data.csv", new)}
        if moves(new):
            files[ANIMATION] = belonging(source, ANIMATION, new)
        for name in ("data.csv", ANIMATION):
            (folder / name).unlink(missing_ok=True)  # of an earlier drawing
        for name, data in files.items():
            if name != "data.csv" or len(data) <= LARGEST_TABLE:
                (folder / name).write_bytes(data)
        small(belonging(source, "figure.png", new), folder / "figure.png")


def remember(kept: Path, new: dict[str, Any]) -> None:
    """Add what is kept to earlier.json if what replaces it has other seeds."""
    if not kept.exists() or seeds_of(old := summary_of(kept)) == seeds_of(new):
        return
    claims = [{key: claim[key] for key in LOOK} for claim in old["claims"]]
    looks = [*earlier(kept.parent), {"seeds": seeds_of(old), "claims": claims}]
    (kept.parent / EARLIER).write_text(json.dumps(looks, indent=1) + "\n")


def earlier(folder: Path) -> list[dict[str, Any]]:
    """The looks before the one that is kept: `seeds`, and `claims` with their numbers."""
    path = folder / EARLIER
    return json.loads(path.read_text()) if path.exists() else []


def seeds_of(summary: dict[str, Any]) -> list[int]:
    return sorted({run["seed"] for run in summary.get("runs", ())})


def judge(reference: Path) -> None:
    """Today's verdicts of what is kept, and today's words of the entries' files."""
    for path in published(reference):
        summary = summary_of(path)
        text = figure_file(summary["figure"])
        said = {key: text[key] for key in ("assumptions", "minutes") if key in text}
        today = said | {"claims": judged_again(path.parent, summary)}
        path.write_text(json.dumps(summary | today, indent=1) + "\n")


def place(summary: dict[str, Any]) -> str:
    """Where an entry's result is kept; one on a data set that was asked for, or with methods that
    are not the paper's, has its own folder."""
    beside = [f"with-{method}" for method in summary.get("methods", ())]
    scale = "-".join([summary["scale"], *filter(None, [summary.get("dataset")]), *beside])
    return f"{summary['figure']}/{scale}"


def small(source: bytes, target: Path) -> None:
    """The picture, no wider than `WIDEST`, in 256 colours."""
    with Image.open(io.BytesIO(source)) as picture:
        image = picture.convert("RGB")
        if image.width > WIDEST:
            height = round(image.height * WIDEST / image.width)
            image = image.resize((WIDEST, height), Image.Resampling.LANCZOS)
        # Not by the share of pixels that a colour has: lines would lose theirs to the surfaces.
        reduced = image.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3)
        reduced.save(target, optimize=True)


def gallery(reference: Path, looked: dict[str, str]) -> str:
    """All kept results as an HTML table: picture, title, scale, verdicts, command."""
    kept = [summary_of(path) for path in published(reference)]
    cells = [
        cell(reference, summary, other_than(summary, kept), looked.get(place(summary), ""))
        for summary in kept
    ]
    rows = [cells[i : i + COLUMNS] for i in range(0, len(cells), COLUMNS)]
    lines = ["<table>"]
    for row in rows:
        lines += ["<tr>", *row, "</tr>"]
    return "\n".join([*lines, "</table>"])


def looked_at(reference: Path) -> dict[str, str]:
    """Folder -> what was seen in its picture beside the paper's; not of one drawn anew since."""
    told = yaml.safe_load((reference / "pictures.yaml").read_text())
    return {
        f"{name}/miniature": f"{SHOWS[seen['shows']]}: {seen['why']}"
        for name, seen in told.items()
        if seen["picture"] == digest_of(reference / name / "miniature")
    }


def digest_of(folder: Path) -> str:
    return hashlib.sha256((folder / "figure.png").read_bytes()).hexdigest()[:8]


def is_of_the_papers(name: str) -> bool:
    """Whether an entry is of one of the five papers, not of a later method beside them."""
    return name.partition("/")[0] in PAPERS


def is_looked_at(name: str) -> bool:
    """Whether an entry's picture is to be held against its paper: a figure of it, or what networks
    have learnt, which a table or an appendix may tell."""
    file = figure_file(name)
    drawn = [name.partition("/")[2], *file.get("also", [])]
    return "grid" in file or any(item.startswith("fig") for item in drawn)


def of_the_papers(reference: Path) -> list[dict[str, Any]]:
    """What is kept of the five papers' entries with the methods of the papers."""
    every = map(summary_of, published(reference))
    return [s for s in every if not s.get("methods") and is_of_the_papers(s["figure"])]


def counts(kept: list[dict[str, Any]]) -> dict[str, Counter[str]]:
    """How many sentences have each verdict, by scale."""
    return {
        scale: Counter(c["verdict"] for s in kept if s["scale"] == scale for c in s["claims"])
        for scale in SCALES
    }


def decided(kept: list[dict[str, Any]]) -> str:
    """How many of the papers' sentences are decided at each scale, and why the others are not."""
    lines = [
        "| scale | " + " | ".join(map(str, VERDICTS)) + " |",
        "|---" * (len(VERDICTS) + 1) + "|",
    ]
    for scale, found in counts(kept).items():
        lines.append(f"| {scale} | " + " | ".join(str(found[v]) for v in VERDICTS) + " |")
    lines += ["", "<details><summary>What is open, and why</summary>", ""]
    for summary in kept:
        reasons = {c["text"]: why_open(c) for c in summary["claims"]}
        still = [f"  - {plain(f'{text}: {why}')}" for text, why in reasons.items() if why]
        if still:
            lines += [f"- **{summary['figure']}**, scale {summary['scale']}", *still]
    return "\n".join([*lines, "", "</details>"])


def other_than(summary: dict[str, Any], kept: list[dict[str, Any]]) -> list[str]:
    """The sentences that an entry's miniature decided otherwise than the paper's own settings."""
    if summary["scale"] != "paper":
        return []
    found = []
    for other in kept:
        if (other["figure"], place(other).split("/")[-1]) == (summary["figure"], "miniature"):
            in_miniature = {(c["text"], c["where"]): c["verdict"] for c in other["claims"]}
            for claim in summary["claims"]:
                said = in_miniature.get((claim["text"], claim["where"]), claim["verdict"])
                if said != claim["verdict"]:
                    found.append(f"{claim['text']}: {claim['verdict']}, in miniature {said}")
    return found


def cell(reference: Path, summary: dict[str, Any], otherwise: list[str], seen: str) -> str:
    folder = place(summary)
    said = counted(summary["claims"]) or "descriptive: no claim"
    if summary.get("methods"):  # drawn beside the paper's, whose own look may be another one
        seeds = seeds_of(summary)
        said += f", at seeds {seeds[0]} to {seeds[-1]}"
    for look in earlier(reference / folder):
        seeds = look["seeds"]
        before = f"{counted(look['claims'])} at seeds {seeds[0]} to {seeds[-1]}"
        said += f'; <a href="{folder}/{EARLIER}">before that</a> {before}'
    if apart := summary.get("not_the_papers"):
        said += f"; not the paper's: {html.escape(', '.join(apart))}"
    for line in comparisons_table(summary.get("comparisons", ())):
        said += f"; not in the paper: {html.escape(line.strip())}"
    if otherwise:
        said += f"; the scales disagree: {html.escape('; '.join(otherwise))}"
    if seen:
        said += f"; {html.escape(seen)}"
    if (reference / folder / ANIMATION).exists():
        said += f'; <a href="{folder}/{ANIMATION}">over training</a>'
    title = html.escape(summary["title"]) + " (stand-in data)" * bool(summary.get("stand_ins"))
    return (
        f'<td width="33%" valign="top"><a href="{folder}/claims.json">'
        f'<img src="{folder}/figure.png" alt="{title}"></a><br>'
        f"<b>{summary['figure']}</b>, scale {summary['scale']}: {title}<br>"
        f"<sub>{said}<br><code>{html.escape(summary['command'])}</code></sub></td>"
    )


def counted(claims: list[dict[str, Any]]) -> str:
    verdicts = [claim["verdict"] for claim in claims]
    return ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts))


def claims_shown(page: str) -> str:
    """A paper's page with the rows of its table of sentences as its kept `claims.json` has them."""
    found = re.search(r"\((?:\.\./)+(outputs/reference/\S+/claims\.json)\)", page)
    head, rule, below = page.partition("\n|---|---|---|\n")
    if found is None or not rule:
        return page
    rows = [row_of(claim) for claim in summary_of(ROOT / found[1])["claims"]]
    return "".join([head, rule, *rows, "\n", below.split("\n\n", 1)[1]])


def row_of(claim: dict[str, Any]) -> str:
    """A line of a page's table; what is open is not in bold."""
    verdict, digits = claim["verdict"], 4 if abs(claim["estimate"] or 1) < 1e-3 else 3
    shown = verdict if verdict == Verdict.INCONCLUSIVE else f"**{verdict}**"
    value, low, high = (
        "-" if claim[key] is None else f"{claim[key]:.{digits}f}"
        for key in ("estimate", "low", "high")
    )
    text, quantity = (in_table(claim[key]) for key in ("text", "quantity"))
    return f"| {text} | {shown} | {quantity}: {value} [{low}, {high}] |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("outputs", type=Path, help="the folder whose figures are copied")
    arguments = parser.parse_args()
    reference = ROOT / "outputs" / "reference"
    collect(arguments.outputs, reference)
    judge(reference)
    kept = {summary_of(path)["figure"] for path in published(reference)}
    absent = ", ".join(name for name in figure_ids() if name not in (*kept, "none"))
    left = f"Not run yet: {absent}.\n\n" if absent else ""
    papers, looked = of_the_papers(reference), looked_at(reference)
    unseen = sorted(f for f in kept if is_looked_at(f) and f"{f}/miniature" not in looked)
    for name in unseen:
        digest = digest_of(reference / name / "miniature")
        print(f"{name}: look at it beside the paper's; in pictures.yaml it is {digest}")
    (reference / "README.md").write_text(
        f"{HEAD}{left}{decided(papers)}\n\n{gallery(reference, looked)}\n"
    )
    for page in (ROOT / "gp_lab" / "papers").glob("*/README.md"):
        page.write_text(claims_shown(page.read_text()))
    (reference / first_sentences.PAGE).write_text(first_sentences.page(reference, counts(papers)))


if __name__ == "__main__":
    main()
