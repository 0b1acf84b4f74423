"""From runs to figure.png, figure.pdf, data.csv and claims.json, and the table of verdicts."""

import hashlib
import io
import os
import re
import shlex
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gp_lab.errors import BadInput, LabError, counted, one_line, show
from gp_lab.fields import Budget
from gp_lab.figures.claims import SMOKE, Claim
from gp_lab.figures.entry import Calculation, Entry, Run, Runs, entry
from gp_lab.figures.judging import judged, told
from gp_lab.figures.methods import comparisons, only, without_methods
from gp_lab.figures.pilot import unproven
from gp_lab.figures.plan import MINIATURE, Plan
from gp_lab.figures.publishing import NOTHING, animated, publish
from gp_lab.figures.sentences import claims_table
from gp_lab.figures.settings import FREE
from gp_lab.figures.style import OWN, footer, header, hide_unused, paper_style, settle
from gp_lab.figures.table import Row, Table
from gp_lab.launching.grid import Cell, Grid, Panel, grid_of, seeds_of, titled
from gp_lab.launching.jobs import Job, settings_of
from gp_lab.launching.methods import NO_METHODS, PAPER, Methods, joins_of, methods_of
from gp_lab.overrides import group_of
from gp_lab.runs.folder import State
from gp_lab.runs.identity import WHERE_IT_LIES, is_checked
from gp_lab.runs.provenance import provenance
from gp_lab.runs.result import RunResult
from gp_lab.runs.settings import run_keys
from gp_lab.tracking.wandb_figures import tell_figure

UNDER_WAY = (State.QUEUED, State.RUNNING, State.INTERRUPTED, State.PREEMPTED)
"""States of a run that has not come to its end."""

BUDGET = run_keys(Budget)
"""Keys of the command line that claims about exact objects do not depend on."""

LONGEST = 48
"""Letters of one's own settings in a folder's name."""

MAKER = ("device", "engine", "versions", "commit", "dirty")
"""What `claims.json` says of the machine and the versions that made the runs."""

Pictures = Mapping[str, Figure]
"""Name of a file, without its suffix -> what is drawn in it."""

BLAMED = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)
"""What a calculation ends in with settings that make no sense."""


@contextmanager
def undefined_is_counted() -> Iterator[None]:
    """Inside, NumPy does not warn of what is undefined: it is NaN, and `Table.left_out` says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


@undefined_is_counted()
def make_figure(plan: Plan, results: Sequence[RunResult]) -> str:
    """Draw an entry from its runs, write everything beside the picture, return the table.

    Verdicts hold at the scale, or at the user's own settings where an override changes what is
    trained (another number of steps, say), and say so. The paper's data set, or one that the entry
    knows as a stand-in for it, changes nothing; a stand-in is named in all that is written. Runs
    that diverged are counted and left out of the picture; if no run of a panel is whole, the panel
    says so.
    """
    name, text, scale, user = plan.name, plan.file, plan.scale, plan.words
    what = entry(name, text, plan.trust)
    assert isinstance(what, Entry), f"{name} is a calculation, but its file has a grid"
    assert plan.sweep is not None
    jobs = plan.sweep.jobs
    _refuse_unfinished(name, results)
    grid = grid_of(text)
    runs = _runs(grid, jobs, results)
    table = Table(what.rows(runs), grid)
    shown = Table(table.rows, titled(grid, text, scale))
    seeds = len({run.seed for run in runs.every})
    own, papers = methods_of(text), without_methods(table, grid_of({**text, "methods": None}))
    first = "; of single runs the first is drawn" * (seeds > 1 and what.singles)
    steps = sorted({job.config["steps"] for job in jobs})
    datasets = [job.config["dataset"] for job in jobs]
    chosen = [known for known in known_datasets(text) if f"dataset={known}" in user]
    iterations = " or ".join(f"{n:,}" for n in steps)
    changed = [*changes(user, text, datasets), *other_seeds(user, text, scale, runs)]
    unseen = [] if all(map(is_checked, datasets)) else _places(user)
    return _publish(
        plan,
        changed,
        table.rows,
        judged(what.claims, papers, scale),
        lambda: _pictures(what, runs, table, papers.grid, lambda g: titled(g, text, scale)),
        f"{iterations} iteration{'s' * (steps != [1])}, {counted(seeds, 'seed')}{first}",
        chosen=chosen,
        places=[o for o in unseen if o not in changed],
        stand_ins=stand_ins(text, datasets),
        left_out=shown.left_out(),
        dead=shown.dead_cells(),
        others=animated(what.animate(runs)),
        methods=own,
        comparisons=comparisons(table, joins_of(text)) if own else [],
        seeds=seeds,
        steps=steps,
        settings={panel.name: settings_of(text, scale, panel) for panel in grid.panels},
        made_by=_makers(results),
        runs=[
            {"panel": j.panel, "seed": j.config["seed"], "id": o.folder.status.get("id"),
             "state": str(o.state), "step": o.step, "why": o.why}
            for j, o in zip(jobs, results, strict=True)
        ],
    )  # fmt: skip


@undefined_is_counted()
def make_calculation(plan: Plan) -> str:
    """Work out an entry that needs no runs, write everything beside the picture, return the table.

    Raises `BadInput` for an override that no calculation reads.
    """
    name = plan.name
    what = entry(name, plan.file, plan.trust)
    assert isinstance(what, Calculation), f"{name} is drawn from runs, but its file has no grid"
    changed, settings = plan.calculation()
    with _blamed_on(changed, name):
        rows, arrays = what.calculate(settings)
        table = Table(rows)
        claims = judged(what.claims, table, plan.scale)

    def draw() -> Pictures:
        with _blamed_on(changed, name):
            return {"figure": what.draw(arrays, table)}

    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    seeds = len({row["seed"] for row in rows if "seed" in row})
    return _publish(
        plan,
        changed,
        rows,
        claims,
        draw,
        counted(seeds, "seed") if seeds else "calculated",
        stand_ins=[],
        others={"arrays.npz": file.getvalue()},
        seeds=seeds,
        steps=[],
        settings={"settings": [f"{k}={show(v)}" for k, v in settings.items()]},
        made_by=[{k: v for k, v in provenance().items() if k in MAKER}],
        runs=[],
    )


@contextmanager
def _blamed_on(changed: Sequence[str], name: str) -> Iterator[None]:
    """Inside, an error of a calculation is that of the settings that were changed, if any were."""
    if not changed:
        yield
        return
    try:
        yield
    except BadInput:
        raise
    except BLAMED as error:
        why = f"{name} cannot work with it ({one_line(error)})"
        raise BadInput(f"{' '.join(changed)}: {why}") from error


def _publish(
    plan: Plan,
    changed: Sequence[str],
    rows: Sequence[Row],
    claims: Sequence[Claim],
    draw: Callable[[], Pictures],
    made_from: str,
    stand_ins: Sequence[str],
    methods: Methods = NO_METHODS,
    chosen: Sequence[str] = (),
    places: Sequence[str] = (),
    left_out: Sequence[str] = (),
    dead: Sequence[str] = (),
    others: Mapping[str, bytes] = NOTHING,
    **more: Any,
) -> str:
    """figure.png, figure.pdf, data.csv and claims.json of an entry; its table of claims.

    A data set that was `chosen` among those of the entry's file has a folder of its own, and so
    has what was made with settings of one's own. `places` are overrides that say where files
    without checksums lie: a reader of the command sees them. Where `methods` of one's own joined,
    they have a folder of their own, too, and change no verdict.
    """
    name, text, scale = plan.name, plan.file, plan.scale
    joined = [f"method.{method}={';'.join(own)}" for method, own in methods.items()]
    folder = plan.out / "figures" / name / "-".join([scale, *chosen, *_own([*changed, *joined])])
    of_user = [o for o in changed if group_of(o) not in BUDGET | FREE]
    last = {o.partition("=")[0]: o for o in of_user}  # cells of a scale may differ in a key
    both = [*not_budget(text["scales"][scale]), *of_user]
    apart = list(dict.fromkeys(last.get(o.partition("=")[0], o) for o in both))
    warned = unproven(text) if scale == MINIATURE else []
    not_papers = f"; not the paper's: {', '.join(apart)}" if apart else ""
    beside = f"; beside the paper's: {', '.join(joined)}" if joined else ""
    with paper_style():
        pictures = draw()
        hide_unused(pictures.values())
        above = [f"stand-in: {'; '.join(stand_ins)}"] if stand_ins else []
        above += warned
        if scale == SMOKE:
            above.append("scale=smoke: a trial of the code, nothing of the paper's")
        for picture in pictures.values():
            settle(picture)
            if above:
                header(picture, "; ".join(above))
            footer(
                picture,
                f"{name}, scale {scale}: {made_from}{not_papers}{beside}",
                {"left out": left_out, "dead networks": dead},
            )
    summary = {
        "figure": name,
        "title": text["title"],
        "scale": scale,
        "command": shlex.join(
            [
                *("gp-lab", "figure", name, f"scale={scale}"),
                *([f"--config-dir={plan.config_dir}"] if plan.config_dir else []),
                *(o for o in plan.words if group_of(o) == "trust"),
                *(f"dataset={d}" for d in chosen),
                *places,
                *changed,
                *joined,
            ]
        ),
        "dataset": chosen[0] if chosen else None,
        "overrides": list(changed),
        "not_the_papers": apart,
        "papers": {own: papers_values(text, scale, own, own in of_user) for own in apart},
        "stand_ins": list(stand_ins),
        "left_out": list(left_out),
        "dead": list(dead),
        "unproven": warned,
        "claims": told(claims, bool(stand_ins)),
        "assumptions": text.get("assumptions", []),
        "minutes": text.get("minutes", {}),
        "methods": {method: list(own) for method, own in methods.items()},
        **more,
    }
    with paper_style():
        publish(folder, pictures, rows, summary, others)
    if plan.sweep is not None:
        tell_figure(plan.sweep.jobs[0].config, folder, summary)
    return claims_table(summary) + f"\npicture, data, claims: {folder}{os.sep}"


def _pictures(
    what: Entry, runs: Runs, table: Table, papers: Grid, title: Callable[[Grid], Grid]
) -> Pictures:
    """An entry's picture, with its scale's titles; where methods joined an axis that it lacks, one
    for each beside it."""
    grid, papers = title(table.grid), title(papers)
    runs, table = replace(runs, grid=grid), Table(table.rows, grid)
    if not grid.own or grid.joined in papers.axes:
        return {"figure": what.draw(runs, table)}
    names = {PAPER: "figure"} | {method: f"figure-{method}" for method in grid.own}
    return {file: what.draw(*only(runs, table, of, papers)) for of, file in names.items()}


def _own(changed: Sequence[str]) -> list[str]:
    """The settings of one's own as a part of a folder's name: what fits, and a digest of all."""
    if not changed:
        return []
    words = re.sub(r"[^\w.=-]+", "_", ",".join(changed))[:LONGEST]
    return [f"{words}-{hashlib.sha256(repr(sorted(changed)).encode()).hexdigest()[:6]}"]


def stand_ins(text: Mapping[str, Any], datasets: Sequence[Mapping[str, Any]]) -> list[str]:
    """What `stand_ins` of an entry's file says of those of these data sets that it names."""
    known = text.get("stand_ins", {})
    return [known[name] for name in dict.fromkeys(d["name"] for d in datasets) if name in known]


def known_datasets(text: Mapping[str, Any]) -> list[str]:
    """The paper's data set of an entry, and those that its file knows as stand-ins for it."""
    return [*([text["data"]] if "data" in text else []), *text.get("stand_ins", ())]


def changes(
    user: Sequence[str], text: Mapping[str, Any], datasets: Sequence[Mapping[str, Any]]
) -> list[str]:
    """The overrides of the command line that make the runs others than the entry's own.

    Not among them: the data set that the paper used (`data` of the entry's file), a stand-in that
    the file knows, and where a set with checksums or the paper's own lies. What has no checksums
    is the paper's because the user says so.
    """
    free = {f"dataset={name}" for name in known_datasets(text)}
    if all(is_checked(d) or _is_declared(d, text) for d in datasets):
        free |= set(_places(user))
    return [o for o in user if o not in free and group_of(o) not in FREE]


def other_seeds(user: Sequence[str], text: Mapping[str, Any], scale: str, runs: Runs) -> list[str]:
    """The user's word for the seeds, or that of an experiment, unless the scale has the same."""
    seeds = {run.seed for run in runs.every}
    if seeds == set(seeds_of(text, scale)):
        return []
    words = [o for o in user if group_of(o) == "seed"]
    return words or [f"seed={','.join(map(str, sorted(seeds)))}"]


def papers_values(text: Mapping[str, Any], scale: str, own: str, everywhere: bool) -> list[str]:
    """What a key that is not the paper's has at its scale: `own` is what it has here.

    In the panels that have it here, which is `everywhere` if the user said so; none where the
    paper's scale leaves it to a choice.
    """
    if not text.get("grid") or "paper" not in text["scales"]:
        return []
    key, _, ours = own.partition("=")

    def last(scale: str, panel: Panel) -> str | None:
        said = [o for o in settings_of(text, scale, panel) if o.startswith(f"{key}=")]
        return said[-1].partition("=")[2] if said else None

    panels = [p for p in grid_of(text).panels if everywhere or last(scale, p) == ours]
    values = dict.fromkeys(last("paper", panel) for panel in panels)
    return [value for value in values if value not in (None, ours)]


def not_budget(scale: Mapping[str, Any]) -> list[str]:
    """The overrides of a scale that change more than how long, or how often, something is done."""
    of_cells = [line["set"] for line in scale.get("cells") or ()]
    every = dict.fromkeys(o for part in (scale.get("overrides") or (), *of_cells) for o in part)
    return [o for o in every if group_of(o) not in BUDGET | FREE]


def _places(user: Sequence[str]) -> list[str]:
    keys = {f"dataset.{source}{key}" for source in ("", "source.") for key in WHERE_IT_LIES}
    return [o for o in user if o.partition("=")[0] in keys]


def _is_declared(dataset: Mapping[str, Any], text: Mapping[str, Any]) -> bool:
    """Whether a set is the paper's by its name alone, its files having no checksums."""
    source = dataset.get("source")
    ignored = isinstance(source, Mapping) and "checksum" in source
    return dataset.get("name") == text.get("data") and not ignored


def _refuse_unfinished(name: str, results: Sequence[RunResult]) -> None:
    """Raises `LabError` where runs are under way: others train them, and will draw the entry."""
    left = [result for result in results if result.state in UNDER_WAY]
    if left:
        raise LabError(
            f"{name}: {counted(len(left), 'run')} of {len(results)} not finished, such as"
            f" {left[0].folder.path} ({left[0].state}), which another process may be training;"
            " nothing is drawn, and the same command draws it when they have ended"
        )


def _runs(grid: Grid, jobs: Sequence[Job], results: Sequence[RunResult]) -> Runs:
    return Runs(
        grid,
        [
            Run(grid.names[str(j.panel)].cell, j.config["seed"], o.folder, str(o.state),
                j.config["steps"], _colour(grid, grid.names[str(j.panel)].cell))
            for j, o in zip(jobs, results, strict=True)
        ],
    )  # fmt: skip


def _colour(grid: Grid, cell: Cell) -> str:
    """Of a method of one's own; none of the paper's."""
    level = cell.get(grid.joined, "")
    return OWN[grid.own.index(level) % len(OWN)] if level in grid.own else ""


def _makers(results: Sequence[RunResult]) -> list[dict[str, Any]]:
    """The machines and versions that made the runs, each once."""
    kept: list[dict[str, Any]] = []
    for result in results:
        status = result.folder.status
        maker = {k: status.get(k) for k in MAKER}
        if maker not in kept:
            kept.append(maker)
    return kept
