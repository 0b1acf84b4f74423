"""What became of the sentences that the edition began with: first_sentences.md.

outputs/reference/first_sentences.yaml has each one, its verdict then, and the sentence of the same
entry that has taken its place, if any; today's verdicts are those of the kept claims.json.
`reference.py` writes the page.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from reference_tools import SCALES, VERDICTS, in_table

from gp_lab.figures.publishing import CLAIMS, summary_of
from gp_lab.figures.sentences import why_open
from gp_lab.figures.verdicts import Verdict

FILE, PAGE = "first_sentences.yaml", "first_sentences.md"

NOT_RUN = "not run at paper scale"
"""A verdict that there is no more."""

THEN = [*VERDICTS, NOT_RUN]

OF_SEVERAL = (Verdict.NOT_SUPPORTED, Verdict.NEEDS_PAPER, Verdict.INCONCLUSIVE, Verdict.SUPPORTED)
"""The verdict of several sentences together is the first of these that one of them has."""

DECIDED, MERGED, TAKEN_OUT = "decided", "merged away", "taken out"
FATES = (DECIDED, Verdict.INCONCLUSIVE, Verdict.NEEDS_PAPER, MERGED, TAKEN_OUT)

NAMES = {"miniature": "in miniature", "paper": "at paper scale"}

Claims = Sequence[Mapping[str, Any]]
Kept = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Claims by scale and text."""

HEAD = """# The sentences that the edition began with

{all} of them, of which {not_run} read "{NOT_RUN}"; what each has become, with today's verdict in
miniature, and at the paper's scale where that was run. `scripts/reference.py` writes this page from
`first_sentences.yaml` and what is kept; [today's sentences](README.md), which are more.

Verdicts by kind, when the edition began and today:

{kinds}

A sentence is decided if what has taken its place is supported or not supported, in miniature or at
paper scale; several sentences in its place are supported if all are, and not if one is not. It is
merged away if a sentence above it has the same one in its place. Of the {not_run}, {decided} are
decided today and {undecided} are not; the last column says why.

{fates}
"""


@dataclass(frozen=True)
class First:
    """A sentence as it stood, and the texts of those in its place; why, if there are none."""

    entry: str
    scale: str
    text: str
    then: str
    now: tuple[str, ...]
    none: str


@dataclass(frozen=True)
class Fate:
    """What became of a sentence: one of `FATES`, its claims by scale, why it is undecided."""

    first: First
    kind: str
    claims: Mapping[str, Claims]
    why: str


def first_sentences(reference: Path) -> list[First]:
    """In the order of the file."""
    found = []
    for entry, told in yaml.safe_load((reference / FILE).read_text()).items():
        for line in told["sentences"]:
            (then,) = line.keys() - {"now", "none"}
            none = line.get("none", told.get("none", ""))
            now = line.get("now", line[then])
            texts = () if none else (now,) if isinstance(now, str) else tuple(now)
            found.append(First(entry, told["scale"], line[then], then, texts, none))
    return found


def fates(reference: Path) -> list[Fate]:
    """Raises `SystemExit`, which names them all, if sentences are not among what is kept."""
    every = first_sentences(reference)
    kept = {first.entry: _kept(reference / first.entry) for first in every}
    if missing := [line for first in every for line in _missing(first, kept[first.entry])]:
        raise SystemExit("\n".join(dict.fromkeys(missing)))
    found, holders = list[Fate](), dict[tuple[str, str], str]()
    for first in every:
        claims = {scale: [of[t] for t in first.now] for scale, of in kept[first.entry].items()}
        before = [holders.setdefault((first.entry, t), first.text) for t in first.now]
        holder = next((text for text in before if text != first.text), "")
        found.append(_fate(first, claims, holder))
    return found


def _kept(folder: Path) -> Kept:
    paths = {scale: folder / scale / CLAIMS for scale in SCALES}
    return {
        scale: {claim["text"]: claim for claim in summary_of(path)["claims"]}
        for scale, path in paths.items()
        if path.exists()
    }


def _missing(first: First, kept: Kept) -> list[str]:
    """What to say of the sentences in its place that an entry does not have."""
    at = f"{FILE}: {first.entry}"
    if first.now and not kept:
        return [f"{at}: nothing is kept of it; its sentences need `none`"]
    return [
        f"{at}: no sentence of {first.entry}/{scale}/{CLAIMS} is {text!r}"
        for scale, of in kept.items()
        for text in first.now
        if text not in of
    ]


def _fate(first: First, claims: Mapping[str, Claims], holder: str) -> Fate:
    """holder: the sentence that has one of those in its place already."""
    if not first.now:
        return Fate(first, TAKEN_OUT, claims, f"{TAKEN_OUT}: {first.none}")
    if holder:
        return Fate(first, MERGED, claims, f"{MERGED}: with {holder}")
    verdicts = [together(of) for of in claims.values()]
    if Verdict.SUPPORTED in verdicts or Verdict.NOT_SUPPORTED in verdicts:
        return Fate(first, DECIDED, claims, "")
    open_ones = {NAMES[scale]: filter(None, map(why_open, of)) for scale, of in claims.items()}
    reasons = [f"{scale}: {'; '.join(why)}" for scale, why in open_ones.items()]
    kind = Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in verdicts else Verdict.NEEDS_PAPER
    return Fate(first, kind, claims, "; ".join(reasons))


def together(claims: Claims) -> Verdict:
    """Of the sentence that all of some sentences make up."""
    verdicts = {claim["verdict"] for claim in claims}
    return next(v for v in OF_SEVERAL if v in verdicts)


def page(reference: Path, today: Mapping[str, Mapping[str, int]]) -> str:
    """`PAGE`. today: how many sentences of each verdict the gallery counts, by scale."""
    every = fates(reference)
    by_entry: dict[str, list[Fate]] = {}
    for fate in every:
        by_entry.setdefault(fate.first.entry, []).append(fate)
    lines, names = [], [NAMES[scale] for scale in SCALES]
    for entry, own in by_entry.items():
        lines += ["", f"## {entry}, scale {own[0].first.scale}", ""]
        lines += [_row(["sentence", "then", "now", *names, "undecided"]), _row(["---"] * 6)]
        lines += [_line(fate) for fate in own]
    decided = [fate.kind == DECIDED for fate in every if fate.first.then == NOT_RUN]
    head = HEAD.format(
        all=len(every), not_run=len(decided), NOT_RUN=NOT_RUN,
        decided=sum(decided), undecided=len(decided) - sum(decided),
        kinds=_kinds(every, today), fates=_fates(every),
    )  # fmt: skip
    return "\n".join([head, *lines[1:], ""])


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _line(fate: Fate) -> str:
    first = fate.first
    now = "<br>".join(map(in_table, first.now)) or "-"
    verdicts = ["<br>".join(c["verdict"] for c in fate.claims.get(scale, ())) for scale in SCALES]
    same = first.now == (first.text,)
    cells = [in_table(first.text), first.then, "the same" if same else now, *verdicts]
    return _row([*cells, in_table(fate.why)])


def _kinds(every: Sequence[Fate], today: Mapping[str, Mapping[str, int]]) -> str:
    """How many sentences had each verdict, by scale, and have it."""
    then: dict[str, Counter[str]] = {}
    for fate in every:
        then.setdefault(fate.first.scale, Counter())[fate.first.then] += 1
    counts = {f"then, scale {scale}": then[scale] for scale in sorted(then, reverse=True)}
    counts |= {f"today, scale {scale}": Counter(today[scale]) for scale in SCALES}
    lines = [_row(["", *THEN, "all"]), _row(["---"] * (len(THEN) + 2))]
    for name, count in counts.items():
        lines.append(_row([name, *(count[v] for v in THEN), count.total()]))
    return "\n".join(lines)


def _fates(every: Sequence[Fate]) -> str:
    """How many became what: of those that were undecided then, and of the others."""
    lines = [_row(["then", *FATES, "all"]), _row(["---"] * (len(FATES) + 2))]
    groups = {NOT_RUN: {NOT_RUN}, "supported or not": {f.first.then for f in every} - {NOT_RUN}}
    for name, verdicts in groups.items():
        count = Counter(fate.kind for fate in every if fate.first.then in verdicts)
        lines.append(_row([name, *(count[kind] for kind in FATES), count.total()]))
    return "\n".join(lines)
