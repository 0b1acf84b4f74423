"""What `gp-lab figure` is about to do for an entry: composed and checked, nothing trained yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gp_lab.errors import BadInput, bad_choice, counted, show
from gp_lab.extras import check_extra
from gp_lab.figures.settings import FREE, check_kind
from gp_lab.launching.compose import Sweep, compose_figure, hydra_session, sweep_of
from gp_lab.launching.config_groups import entry_of, figure_file
from gp_lab.launching.grid import grid_of, titled
from gp_lab.launching.jobs import Job, jobs_table
from gp_lab.launching.methods import NO_METHODS, Methods
from gp_lab.overrides import group_of
from gp_lab.runs.filters import flat
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import Config, run_id
from gp_lab.runs.lookup import folders_of

MINIATURE = "miniature"
"""The scale that an entry has if none is asked for."""


@dataclass(frozen=True)
class Plan:
    """An entry at a scale, with the user's overrides.

    file: the entry's file as it is written; words: the overrides; out: the root of its runs and
    pictures; trust: packages of one's own; sweep: its runs, None for an entry that is calculated;
    node: such an entry's composed file; config_dir: files of one's own.
    """

    name: str
    file: Mapping[str, Any]
    scale: str
    words: tuple[str, ...]
    out: Path
    trust: Sequence[str]
    sweep: Sweep | None = None
    node: Mapping[str, Any] = field(default_factory=dict)
    config_dir: str | None = None

    def minutes_left(self, before: set[str] | None = None) -> float | None:
        """What it still takes on two idle cores, by what its file says of all of its runs.

        None where nobody knows: at scale smoke, with settings or seeds of one's own. before: the
        runs of entries before it, which cost it nothing; its own are added.
        """
        whole: float | None = self.file.get("minutes", {}).get(self.scale)
        free = FREE - {"seed"} | {"scale"}
        if whole is None or any(group_of(word) not in free for word in self.words):
            return None
        if self.sweep is None:
            return whole
        papers = grid_of({**self.file, "methods": None}).panels
        per_run = whole / (len(papers) * len({job.config["seed"] for job in self.sweep.jobs}))
        configs = [job.config for job in self.sweep.jobs]
        if before is not None:
            configs = [config for config in configs if run_id(config) not in before]
            before.update(map(run_id, configs))
        return per_run * sum(map(_left_of, configs, folders_of(configs)))

    def shown(self) -> str:
        """What `--cfg job` prints: the runs and which are finished, or what is calculated."""
        if self.sweep is None:
            lines = [f"{self.name} at scale {self.scale}: calculated, no runs", *self._settings()]
            return "\n  ".join(lines)
        count = counted(len(self.sweep.jobs), "run")
        return f"{self.name} at scale {self.scale}: {count}\n{jobs_table(self.sweep.jobs)}"

    def check_extra(self) -> None:
        """Raises `BadInput` if the packages of an extra that its file names are missing."""
        if extra := self.file.get("extra"):
            check_extra(self.name, str(extra))

    def check(self) -> None:
        """Raises `BadInput` for what would be refused when the runs start, or later."""
        self.check_extra()
        if self.sweep is None:
            self._settings()
        else:
            self.sweep.check()

    def calculation(self) -> tuple[list[str], dict[str, Any]]:
        """The overrides that change a calculation, and its settings, the scale's on top.

        Raises `BadInput` for a scale or a setting that the entry does not have.
        """
        file, free = self.file, FREE - {"seed"} | {"scale"}
        changed = [
            o for o in self.words if o.partition("=")[0] not in free and not o.startswith("hydra")
        ]
        read = {f"figure.settings.{key}" for key in file["settings"]}
        for override in changed:
            if override.partition("=")[0] not in read:
                raise BadInput(
                    f"{override}: {self.name} is a calculation without runs; it reads"
                    f" {', '.join(sorted(read))}"
                )
        if self.scale not in file["scales"]:
            raise bad_choice("scale", self.scale, file["scales"])
        for key, value in self.node["settings"].items():
            check_kind(f"figure.settings.{key}", value, file["settings"].get(key, value))
        given = {o.partition("=")[0].removeprefix("figure.settings.") for o in changed}
        own = {
            k: v
            for k, v in file["scales"][self.scale].get("settings", {}).items()
            if k not in given
        }
        return changed, dict(self.node["settings"]) | own

    def _settings(self) -> list[str]:
        """What a calculation reads, as overrides."""
        _, settings = self.calculation()
        return [f"figure.settings.{k}={show(v)}" for k, v in settings.items()]


def plan_of(
    name: str,
    words: Sequence[str],
    config_dir: str | None = None,
    methods: Methods = NO_METHODS,
) -> Plan:
    """The entry that draws what a name means (`config_groups.entry_of`), with these overrides.

    `config_dir` holds files of one's own; `methods` of one's own join it, each name -> overrides.

    Raises `BadInput`.
    """
    folder = Path(config_dir) if config_dir else None
    name = entry_of(name, folder)
    for word in words:
        if group_of(word) == "figure" and not word.startswith("figure.settings."):
            raise BadInput(
                f"{word}: of an entry's file the command line changes figure.settings.KEY alone,"
                " where it has some; name a run's key (steps=100), or write an entry of your own"
            )
    overrides, file = [f"figure={name}", *words], figure_file(name, folder)
    if MINIATURE in file.get("scales", {}) and not any(w.startswith("scale=") for w in words):
        overrides.append(f"scale={MINIATURE}")
    if not any(word.startswith("hydra/launcher=") for word in overrides):
        overrides.append("hydra/launcher=replicas")
    with hydra_session(config_dir) as hydra:
        if not file.get("grid"):
            if methods:
                raise BadInput(
                    f"method.{next(iter(methods))}: {name} is a calculation without runs"
                )
            config, node = compose_figure(hydra, overrides)
            sweep = None
        else:
            sweep, node = sweep_of(hydra, overrides, methods), {}
            _refuse_several(sweep.jobs)
            file |= {"methods": sweep.methods}
            config = sweep.jobs[0].config
            titled(grid_of(file), file, config["scale"]["name"])  # before anything is trained
    scale, out, trust = config["scale"]["name"], Path(config["out"]), config["trust"]
    if "module" in file:  # one's own: what is wrong with it is said before anything is trained
        from gp_lab.figures.entry import entry

        entry(name, file, trust)
    return Plan(name, file, scale, tuple(words), out, trust, sweep, node, config_dir)


def _left_of(config: Config, folders: Sequence[RunFolder]) -> float:
    """The share of a run's iterations that are still to be trained, by the folders it may have."""
    steps = config["steps"]
    if any(folder.finished(steps) for folder in folders) and not config["force"]:
        return 0
    begun = [] if config["force"] else [folder.status.get("step", 0) for folder in folders]
    return 1 - min(1, max(begun, default=0) / steps)


def _refuse_several(jobs: Sequence[Job]) -> None:
    """Raises `BadInput` where a cell of an entry would have several runs of one seed."""
    first: dict[tuple[str, int], Job] = {}
    for job in jobs:
        other = first.setdefault((str(job.panel), job.config["seed"]), job)
        if other is not job and other.config != job.config:
            one, two = dict(flat(other.config)), dict(flat(job.config))
            key = next(k for k in two if one.get(k) != two[k])
            values = f"{show(one.get(key))} and {show(two[key])}"
            raise BadInput(f"{key}={values}: an entry is drawn with one value of a key; give one")
