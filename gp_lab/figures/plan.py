"""What `gp-lab figure` is about to do for an entry: composed and checked, nothing trained yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gp_lab.errors import bad_choice, counted
from gp_lab.launching.compose import Sweep, compose_figure, hydra_session, sweep_of
from gp_lab.launching.jobs import jobs_table
from gp_lab.launching.places import figure_file, figure_ids


@dataclass(frozen=True)
class Plan:
    """An entry at a scale, with the user's overrides.

    words: these overrides; out: the root of its runs and pictures; sweep: its runs, None for an
    entry that is calculated; node: such an entry's composed file.
    """

    name: str
    scale: str
    words: tuple[str, ...]
    out: Path
    sweep: Sweep | None
    node: dict[str, Any]

    def shown(self) -> str:
        """What `--cfg job` prints: the runs and which are finished, or what is calculated."""
        if self.sweep is None:
            lines = [f"{self.name} at scale {self.scale}: calculated, no runs", *self._settings()]
            return "\n  ".join(lines)
        count = counted(len(self.sweep.jobs), "run")
        return f"{self.name} at scale {self.scale}: {count}\n{jobs_table(self.sweep.jobs)}"

    def check(self) -> None:
        """Raises `BadInput` for what would be refused when the runs start, or later."""
        if self.sweep is None:
            self._settings()
        else:
            self.sweep.check()

    def _settings(self) -> list[str]:
        from gp_lab.figures.make import calculation_settings

        return calculation_settings(self.name, self.node, self.scale, self.words)


def plan_of(name: str, words: Sequence[str]) -> Plan:
    """The entry of a name with these overrides. Raises `BadInput`."""
    if name not in figure_ids():
        raise bad_choice("figure", name, figure_ids())
    overrides = [f"figure={name}", *words]
    if not any(word.startswith("hydra/launcher=") for word in overrides):
        overrides.append("hydra/launcher=replicas")
    with hydra_session() as hydra:
        if not figure_file(name).get("grid"):
            node, scale, out = compose_figure(hydra, overrides)
            return Plan(name, scale, tuple(words), out, None, node)
        runs = sweep_of(hydra, overrides)
    config = runs.jobs[0].config
    return Plan(name, config["scale"]["name"], tuple(words), Path(config["out"]), runs, {})
