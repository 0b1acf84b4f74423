"""`gp-lab status`: how the runs below a folder stand, from their files, their locks and squeue."""

import os
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gp_lab.errors import BadInput, counted, printable
from gp_lab.files import is_folder, path_of
from gp_lab.launching.program import outputs_of
from gp_lab.launching.squeue import SlurmError, queue, stopped_for_good, waits_for_job
from gp_lab.runs.filters import facts, filters_of, is_filter, selected
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.runs.metrics import newest_first, number
from gp_lab.terminal import aligned, clear, columns

USAGE = "gp-lab status [OUTPUTS] [KEY=VALUE ...] [--watch]"

LOST = "lost"
"""What stands for the state of a run that nobody trains although it says so."""

SHORTEST = 24
"""Characters that the name of a run keeps at least where the terminal is narrow."""

HEAD = ("run", "state", "step", "it/s", "left", "score", "job", "why")


@dataclass(frozen=True)
class Row:
    """How one run stands.

    `lost`: it says that it is under way, but there is no process or job that would train it.
    `score` is the last FID in its metrics, or else the last loss of D, with its name.
    """

    name: str
    state: State
    step: int
    steps: int
    rate: float | None
    score: tuple[str, float] | None
    job: str
    why: str
    lost: bool
    under_way: bool
    created: str = ""

    @property
    def stands(self) -> str:
        """Its state, or that it is lost."""
        return LOST if self.lost else str(self.state)

    @property
    def seconds_left(self) -> float | None:
        """At its rate so far; None if it does not run."""
        return (self.steps - self.step) / self.rate if self.rate else None


@dataclass(frozen=True)
class Asked:
    """Of which runs the words after `status` ask, and whether until all have ended."""

    root: Path
    only: Sequence[str]
    watch: bool


def asked(arguments: Sequence[str]) -> Asked:
    """What the words after `status` say: a folder, filters, --watch. Raises `BadInput`."""
    words = [word for word in arguments if word != "--watch"]
    only = [word for word in words if is_filter(word) and not is_folder(path_of(word))]
    root = outputs_of([word for word in words if word not in only], USAGE)
    filters_of(only, (*State, LOST))
    return Asked(root, only, len(words) < len(arguments))


def print_table(of: Asked) -> None:
    """Print the table, once or until all runs have ended."""
    if of.watch:
        watch(of.root, of.only)
    else:
        print(table(rows(of.root, of.only), columns()))


def rows(root: Path, only: Sequence[str] = ()) -> list[Row]:
    """The runs below a folder that filters select (`gp_lab.runs.filters`), the newest first; runs
    that began in the same second in the order of their names. Raises `BadInput`."""
    found = [(folder, _status(folder)) for folder in find_runs(root)]
    held = _queue(str(status["job"]) for _, status in found if waits_for_job(status))
    names = [folder.path.name for folder, _ in found]
    every = []
    for folder, status in found:
        row = _row(folder, status, held)
        has = facts(_config(folder), row.name, row.stands, row.step)
        if names.count(row.name) > 1:
            row = replace(row, name=os.path.relpath(folder.path, root))
        every.append((row, has))
    chosen = sorted(selected(every, filters_of(only, (*State, LOST))), key=lambda row: row.name)
    return sorted(chosen, key=lambda row: row.created, reverse=True)


def table(found: Sequence[Row], width: int | None = None, cut: bool = False) -> str:
    """The rows under a head, and a line that counts the states.

    Where lines are longer than `width`, names are shortened to what tells the runs apart; `cut`:
    and the lines are cut.
    """
    cells = [HEAD, *map(_cells, found)]
    over = max(map(len, aligned(cells))) - width if width else 0
    if over > 0 and found:
        longest = max(len(line[0]) for line in cells[1:])
        short = short_names([line[0] for line in cells[1:]], max(SHORTEST, longest - over))
        rest = [line[1:] for line in cells[1:]]
        cells = [HEAD, *((name, *line) for name, line in zip(short, rest, strict=True))]
    lines = aligned(cells, width if cut else None)
    states = [row.stands for row in found]
    counts = ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states)))
    return "\n".join([*lines, f"{counted(len(found), 'run')}: {counts or 'none'}"])


def short_names(names: Sequence[str], longest: int) -> list[str]:
    """Names of runs without the parts that all of them begin with, then cut in their middle: the
    end, with the seed and the hash, stays. As they are where that made two of them one."""
    common = ""
    for parts in zip(*(name.split("-") for name in names), strict=False):
        if len(set(parts)) > 1:
            break
        common += f"{parts[0]}-"
    alone = len(names) == 1 or len(common) <= 3
    short = list(names) if alone else [f"...{name[len(common) :]}" for name in names]
    end = longest // 2
    short = [f"{n[: longest - 3 - end]}...{n[-end:]}" if len(n) > longest else n for n in short]
    return short if len(set(short)) == len(set(names)) else list(names)


def watch(root: Path, only: Sequence[str] = (), seconds: float = 2.0) -> None:
    """Print the table again and again, in place on a terminal, until no run is under way."""
    while True:
        found = rows(root, only)
        clear()
        print(table(found, columns(), cut=True), flush=True)
        if not any(row.under_way for row in found):
            return
        time.sleep(seconds)


def _row(folder: RunFolder, status: Mapping[str, Any], held: Mapping[str, str] | None) -> Row:
    state, job = State(status["state"]), str(status.get("job") or "")
    waits, why, lost = waits_for_job(status), str(status.get("why", "")), False
    in_queue, rate = (held or {}).get(job, "") if waits else "", status.get("rate")
    if waits and not in_queue and stopped_for_good(status):
        waits = False
    elif waits and held is not None and not in_queue:
        lost, why = True, f"{why}; " * bool(why) + "its job is gone from the queue"
    elif state == State.RUNNING and not waits and _unattended(folder, status):
        lost, why = True, "its process is gone"
    return Row(
        name=folder.path.name,
        state=state,
        step=status.get("step", 0),
        steps=_steps(folder),
        rate=rate if isinstance(rate, float) and state == State.RUNNING and not lost else None,
        score=_score(folder),
        job=f"{job} {in_queue.lower()}".strip(),
        why="; ".join(filter(None, [why, _finished_before(status)])),
        lost=lost,
        under_way=not lost and (waits or state == State.RUNNING),
        created=str(status.get("created", "")),
    )


def _cells(row: Row) -> tuple[str, ...]:
    score = f"{row.score[0]} {row.score[1]:.4g}" if row.score else ""
    state = f"{row.state} (lost)" if row.lost else str(row.state)
    rate = f"{row.rate:.3g}" if row.rate else ""
    step = f"{row.step}/{row.steps}"
    left = _duration(row.seconds_left)
    cells = (row.name, state, step, rate, left, score, row.job, row.why)
    return tuple(printable(cell) for cell in cells)  # one line each, whatever a stranger wrote


def _duration(seconds: float | None) -> str:
    if seconds is None or not seconds < 1e9:  # at a rate of next to nothing
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}h{minutes % 60:02}m" if minutes >= 60 else f"{minutes}m{rest:02}s"


def _finished_before(status: Mapping[str, Any]) -> str:
    """Of a run that is extended: what it was before."""
    before = status.get("finished_at")
    return "" if before is None or status["state"] == State.FINISHED else f"finished at {before}"


def _status(folder: RunFolder) -> dict[str, Any]:
    """A damaged status is a row too: the others are still to be seen."""
    try:
        return folder.status or {"state": State.FAILED, "why": "status.json is gone"}
    except BadInput as error:
        return {"state": State.FAILED, "why": str(error)}


def _config(folder: RunFolder) -> Mapping[str, Any]:
    """Empty where it is damaged."""
    try:
        return folder.config
    except BadInput:
        return {}


def _steps(folder: RunFolder) -> int:
    steps = _config(folder).get("steps", 0)
    return steps if isinstance(steps, int) and 0 <= steps < 2**53 else 0


def _queue(jobs: Iterable[str]) -> dict[str, str] | None:
    """None where there is no Slurm to ask: then nothing is said of the jobs."""
    try:
        return queue(jobs)
    except SlurmError:
        return None


def _unattended(folder: RunFolder, status: Mapping[str, Any]) -> bool:
    """Whether a run that was last seen on this machine has nobody who holds its lock."""
    return status.get("host") == socket.gethostname() and not folder.taken


def _score(folder: RunFolder) -> tuple[str, float] | None:
    last = None
    try:
        metrics = folder.inside("metrics.jsonl")
    except BadInput:
        return None
    for entries in newest_first(metrics):
        for key, entry in entries.items():
            if (value := number(entry)) is None:
                continue
            if key.rpartition("/")[2].startswith("fid"):
                return key, value
            if key == "loss_d" and last is None:
                last = key, value
    return last
