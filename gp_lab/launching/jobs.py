"""From overrides to jobs: products of comma-separated values, for each panel of an entry."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gp_lab.errors import counted
from gp_lab.launching.grid import Panel, grid_of, scale_overrides, seeds_of
from gp_lab.runs.identity import Config, run_id
from gp_lab.runs.lookup import folders_of
from gp_lab.terminal import aligned


@dataclass(frozen=True)
class Job:
    """One run that is wanted: the panel it belongs to, its overrides, its config."""

    panel: str | None
    overrides: tuple[str, ...]
    config: Config


def panel_overrides(
    figure: Mapping[str, Any], scale: str, user: Mapping[str, Sequence[str]]
) -> list[tuple[str, list[list[str]]]]:
    """(panel, the override lists of its runs) for every panel of a figure at a scale.

    The entry's `common` overrides come first, then the panel's, then the scale's, then the
    user's, which may be sweeps (key -> values), and last what is fixed in a panel: of a key that
    is, the user's values are not for it. Seeds are the scale's, unless the user says which.
    Raises `BadInput` if the entry has no grid or no such scale.
    """
    found = []
    for panel in grid_of(figure).panels:
        fixed = {override.partition("=")[0] for override in panel.fixed}
        swept = {key: values for key, values in user.items() if key.lstrip("+") not in fixed}
        own = settings_of(figure, scale, panel)
        swept.setdefault("seed", [*map(str, seeds_of(figure, scale))])
        runs = [merged([*own, f"panel={panel.name}", *choice]) for choice in product(swept)]
        found.append((panel.name, runs))
    return found


def settings_of(figure: Mapping[str, Any], scale: str, panel: Panel) -> list[str]:
    """The overrides of a panel at a scale: the entry's, its own, the scale's, those of a method of
    one's own, what is fixed."""
    of_scale = scale_overrides(figure, scale, panel)
    return [*(figure.get("common") or ()), *panel.overrides, *of_scale, *panel.own, *panel.fixed]


def product(swept: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Every combination of the values of each key, as override lists; `~key` has no value."""
    axes = [
        [key if key.startswith("~") and not value else f"{key}={value}" for value in values]
        for key, values in swept.items()
    ]
    return [list(choice) for choice in itertools.product(*axes)]


def merged(overrides: Sequence[str]) -> list[str]:
    """The overrides with only the last value of each key: Hydra refuses a group named twice."""
    last = {override.partition("=")[0]: override for override in overrides}
    return list(last.values())


def jobs_table(jobs: Sequence[Job]) -> str:
    """What would run: a line for all seeds of the same overrides, and how many are finished.

    Below them, once, the overrides that all have.
    """
    lines: dict[tuple[str, tuple[str, ...]], list[Config]] = {}
    for job in jobs:
        hidden = ("seed", "panel", "figure")
        own = tuple(o for o in job.overrides if o.partition("=")[0] not in hidden)
        lines.setdefault((job.panel or "", own), []).append(job.config)
    shared = [o for o in next(iter(lines))[1] if all(o in own for _, own in lines)]
    rows = [
        (
            panel,
            f"seed={','.join(str(config['seed']) for config in configs)}",
            f"{_finished(configs)} of {len(configs)} finished",
            " ".join(o for o in own if o not in shared),
        )
        for (panel, own), configs in lines.items()
    ]
    of_all = [f"all: {' '.join(shared)}"] if shared else []
    return "\n".join(f"  {line}" for line in [*aligned(rows), *of_all])


def runs_table(jobs: Sequence[Job]) -> str:
    """What a sweep would train: a line for each run, with what differs between them and its id.

    Below them, once, the overrides that all have.
    """
    shared = (
        set(jobs[0].overrides).intersection(*(job.overrides for job in jobs)) if jobs else set()
    )
    done = [_finished([job.config]) for job in jobs]
    rows = [
        (
            run_id(job.config),
            "finished" if finished else "to train",
            " ".join(o for o in job.overrides if o not in shared),
        )
        for job, finished in zip(jobs, done, strict=True)
    ]
    of_all = [f"all: {' '.join(o for o in jobs[0].overrides if o in shared)}"] if shared else []
    head = f"{counted(len(jobs), 'run')}, {sum(done)} of them finished"
    return "\n".join([head, *(f"  {line}" for line in [*aligned(rows), *of_all])])


def _finished(configs: Sequence[Config]) -> int:
    return sum(
        any(folder.finished(config["steps"]) for folder in folders)
        for config, folders in zip(configs, folders_of(configs), strict=True)
    )
