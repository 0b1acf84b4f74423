"""What an entry of the catalogue is in code: measure, claims, draw; and where to find it.

An entry `<paper>/<item>` is `ENTRY` of `gp_lab/papers/<paper>/<item>.py`, its settings are
`configs/figure/<paper>/<item>.yaml`; one of a package of one's own is named by `module:` of its
file. An `Entry` is drawn from runs; a `Calculation` needs none.
"""

import importlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gp_lab.errors import BadInput, one_line
from gp_lab.figures.claims import Claim
from gp_lab.figures.table import Row, Table
from gp_lab.launching.grid import Cell, Grid, is_at
from gp_lab.runs.folder import RunFolder, State

UNITS = "units"
"""The probe that tells dead networks."""

Arrays = dict[str, np.ndarray]
"""What a probe wrote at a step, or what a calculation leaves in arrays.npz for the picture."""


@dataclass(frozen=True)
class Run:
    """One run of an entry: its cell, its seed, its folder and the step that the entry reads."""

    cell: Cell
    seed: int
    folder: RunFolder
    state: str
    step: int
    colour: str = ""
    """That of a method of one's own beside the paper's, which have none."""

    def arrays(self, probe: str, step: int | None = None) -> Arrays:
        """What a probe wrote, at the step that the entry reads if no other is given."""
        return self.folder.arrays(probe, self.step if step is None else step)

    def steps(self, probe: str) -> list[int]:
        """The steps at which a probe wrote, up to the one that the entry reads."""
        return [step for step in self.folder.array_steps(probe) if step <= self.step]

    def course(self, probe: str, of: Callable[[Arrays], Any]) -> tuple[np.ndarray, np.ndarray]:
        """The `steps` of a probe [k], and what `of` takes from what it wrote at each [k, ...]."""
        steps = self.steps(probe)
        return np.array(steps), np.array([of(self.arrays(probe, step)) for step in steps])

    def metric(self, name: str) -> np.ndarray:
        """The values [k] of a metric up to the step that the entry reads, where it was written."""
        lines = (line for line in self.folder.metrics() if line["step"] <= self.step)
        return np.array([line[name] for line in lines if name in line], float)

    @property
    def head(self) -> Row:
        """What a row of data.csv begins with; `dead` is what `probe.units` saw last, if it did."""
        head: Row = {**self.cell, "seed": self.seed, "state": self.state}
        if UNITS not in (self.folder.config.get("probe") or {}):
            return head
        dead = self.metric(f"{UNITS}/dead")
        return head | {"dead": int(dead[-1])} if len(dead) else head


@dataclass(frozen=True)
class Runs:
    """The runs of an entry in the order of its panels, then of seeds; drawn are the finished."""

    grid: Grid
    every: Sequence[Run]

    @property
    def finished(self) -> list[Run]:
        return [run for run in self.every if run.state == State.FINISHED]

    def at(self, **where: str | Collection[str]) -> list[Run]:
        """The finished runs at these levels. Raises `LookupError` for a name the grid lacks."""
        self.grid.check(where)
        return [run for run in self.finished if is_at(run.cell, where)]

    def first(self, **where: str | Collection[str]) -> Run | None:
        """The first of them, which is the one that is drawn."""
        return next(iter(self.at(**where)), None)


@dataclass(frozen=True)
class Entry:
    """An entry of the catalogue that is drawn from runs.

    measure: a finished run -> its quantities, which become a row of data.csv;
    claims: the rows -> the paper's sentences, tested;
    draw: the runs and rows -> the picture;
    exact: rows of no run, such as a closed form beside them;
    animate: the runs -> the frames, uint8 [height, width, 3], of what moves; none of a still entry;
    singles: whether the picture shows single runs, the first seed of each, as it says below itself.
    """

    measure: Callable[[Run], Row]
    claims: Callable[[Table], list[Claim]]
    draw: Callable[[Runs, Table], Figure]
    exact: Callable[[], list[Row]] = list
    animate: Callable[[Runs], Sequence[np.ndarray]] = lambda runs: ()
    singles: bool = True

    def rows(self, runs: Runs) -> list[Row]:
        """Those of data.csv: of the runs that finished, the exact ones, and of all others."""
        left = [run.head for run in runs.every if run.state != State.FINISHED]
        return [run.head | self.measure(run) for run in runs.finished] + self.exact() + left


PAPERS = "gp_lab.papers"

Settings = Mapping[str, Any]
"""`settings:` of an entry's file, those of the scale on top."""


@dataclass(frozen=True)
class Calculation:
    """An entry of the catalogue that needs no run: an equation, worked out.

    calculate: the settings -> the rows of data.csv (one a `seed`, where there is chance in it)
        and the arrays that are drawn;
    claims: the rows -> the paper's sentences, tested;
    draw: the arrays and rows -> the picture.
    """

    calculate: Callable[[Settings], tuple[list[Row], Arrays]]
    claims: Callable[[Table], list[Claim]]
    draw: Callable[[Arrays, Table], Figure]


def entry(name: str, file: Mapping[str, Any], trust: Sequence[str] = ()) -> Entry | Calculation:
    """The entry of a name with this file. `trust`: packages that its `module` may be of.

    Raises `BadInput` if the module is not there, is not trusted or has no ENTRY, or if one of the
    user's own cannot be imported.
    """
    module = str(file.get("module", f"{PAPERS}.{name.replace('/', '.').replace('-', '_')}"))
    if (package := module.partition(".")[0]) not in (PAPERS.partition(".")[0], *trust):
        raise BadInput(
            f"figure={name}: its module {module} is not the lab's; add trust=[{package}] to admit"
            " your own package"
        )
    try:
        found = vars(importlib.import_module(module)).get("ENTRY")
    except Exception as error:
        if "module" not in file and not isinstance(error, ModuleNotFoundError):
            raise
        why = f"its module {module} cannot be imported ({one_line(error)})"
        raise BadInput(f"figure={name}: {why}") from error
    if not isinstance(found, Entry | Calculation):
        path = module.replace(".", "/")
        raise BadInput(f"figure={name}: has no drawing; write ENTRY = Entry(...) in {path}.py")
    return found
