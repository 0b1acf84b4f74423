"""The claims of entries as a terminal and the report say them: verdicts, numbers, tables."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gp_lab.errors import BadInput, counted
from gp_lab.figures.claims import LEVEL, UNDECIDED
from gp_lab.figures.methods import comparisons_table
from gp_lab.figures.publishing import published, summary_of
from gp_lab.figures.verdicts import MIN_SEEDS, Verdict
from gp_lab.terminal import aligned

TABLE_HEAD = ("entry", "scale", "seeds", *(str(v) for v in Verdict), "minutes")


def claims_table(summary: dict[str, Any]) -> str:
    """The claims of a claims.json for a terminal: verdict, sentence, numbers."""
    seeds = f", {counted(summary['seeds'], 'seed')}" if summary["seeds"] else ""
    lines = [f"{summary['figure']} at scale {summary['scale']}{seeds}"]
    lines += [f"stand-in: {text}" for text in summary["stand_ins"]]
    if apart := summary.get("not_the_papers"):
        lines.append(f"not the paper's: {', '.join(apart)}")
    lines += summary.get("unproven", [])
    lines += [f"left out: {text}" for text in summary.get("left_out", [])]
    if any(claim["n"] > 1 for claim in summary["claims"]):
        lines.append(f"all intervals together hold in {LEVEL:.0%} of repetitions")
    for claim in summary["claims"]:
        lines.append(f"  {verdict_text(claim, summary):>26}  {claim['text']}  [{claim['where']}]")
        lines.append(f"{'':28}  {claim['quantity']} = {interval_text(claim)}")
    if methods := summary.get("methods"):
        lines.append("not in the paper, beside its methods (95 % by comparison, no family level):")
        lines += [f"  {name}: {', '.join(own)}" for name, own in methods.items()]
        lines += comparisons_table(summary["comparisons"])
    return "\n".join(lines)


def summary_table(root: Path, minutes: Mapping[tuple[str, str], float]) -> str:
    """Entry, scale, seeds, how many claims of each verdict, and the time it took this time.

    minutes: (entry, scale) -> how long; of one that was not drawn now nothing is shown.
    """
    table = [list(TABLE_HEAD)]
    for path in published(root / "figures"):
        try:
            summary = summary_of(path)
        except BadInput as error:
            warnings.warn(str(error), stacklevel=2)
            continue
        found = [claim["verdict"] for claim in summary["claims"]]
        counts = [str(found.count(str(v))) for v in Verdict]
        spent = minutes.get((summary["figure"], summary["scale"]))
        took = "" if spent is None else f"{spent:.1f}"
        table.append([entry_text(summary), summary["scale"], str(summary["seeds"]), *counts, took])
    return "\n".join(aligned(table))


def entry_text(summary: dict[str, Any]) -> str:
    """An entry's name in a table; it says so where its data are a stand-in."""
    return summary["figure"] + " (stand-in)" * bool(summary.get("stand_ins"))


def budget_text(summary: Mapping[str, Any]) -> str:
    """At what an entry was drawn: scale, data set, settings of one's own, seeds."""
    own = [str(o) for o in summary.get("overrides") or ()]
    chosen = [f"dataset={summary['dataset']}"] if summary.get("dataset") else []
    beside = [f"with {', '.join(methods)}"] if (methods := summary.get("methods")) else []
    return ", ".join([summary["scale"], *chosen, *own, *beside, counted(summary["seeds"], "seed")])


def verdict_text(claim: dict[str, Any], summary: dict[str, Any]) -> str:
    """A claim's verdict, and at what it holds: in miniature, at one's own settings, on a stand-in
    for the paper's data."""
    said = str(claim["verdict"])
    if said.startswith("needs"):
        return said
    if claim.get("dead"):
        said += f": dead networks ({claim['dead']})"
    if summary.get("overrides"):
        said += " at these settings"
    elif summary["scale"] != "paper":
        said += f" in {summary['scale']}"
    return said + " (stand-in)" * bool(claim.get("stand_in"))


def interval_text(claim: dict[str, Any]) -> str:
    """Estimate, interval if there is one (not of one seed), how many seeds count, how many not."""
    estimate, low, high = (claim[k] for k in ("estimate", "low", "high"))
    mean, *bounds = ("?" if x is None else f"{x:.3g}" for x in (estimate, low, high))
    interval = ", no interval" if low is high is None else f" [{', '.join(bounds)}]"
    dropped = f", {claim['n_dropped']} left out" if claim["n_dropped"] else ""
    return f"{mean}{interval}, n={claim['n']}{dropped}"


def why_open(claim: Mapping[str, Any]) -> str:
    """Why a claim of a claims.json is neither supported nor not; nothing if it is."""
    if claim["verdict"] in (Verdict.SUPPORTED, Verdict.NOT_SUPPORTED):
        return ""
    if claim["verdict"] != Verdict.INCONCLUSIVE:
        return str(claim["verdict"])
    if claim["dead"]:
        return f"dead networks: {claim['dead']}"
    if claim["quantity"].startswith(UNDECIDED):
        return str(claim["quantity"].removeprefix(UNDECIDED).partition(") ")[0])
    if claim["estimate"] is None:
        why = "a value is infinite" if claim["n"] else "nothing could be measured"
        return f"{why}: {interval_text(dict(claim))}"
    if claim["n"] < MIN_SEEDS:
        return f"{claim['n']} of the {MIN_SEEDS} that are needed: {interval_text(dict(claim))}"
    return (
        f"the interval reaches across the border: {interval_text(dict(claim))}; {claim['method']}"
    )
