"""What an entry of the catalogue is in code: measure, claims, draw; and where to find it.

An entry `<paper>/<item>` is `ENTRY` of `gp_lab/figures/<paper>/<item>.py`, its settings are
`configs/figure/<paper>/<item>.yaml`. An `Entry` is drawn from runs; a `Calculation` needs none.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gp_lab.errors import BadInput
from gp_lab.figures.claims import Claim
from gp_lab.runs.folder import RunFolder

Row = dict[str, Any]
"""One line of data.csv: panel, seed, state, and the measured quantities."""


@dataclass(frozen=True)
class Run:
    """One run of a figure: its panel, its seed, its folder and the step that the figure reads."""

    panel: str
    seed: int
    folder: RunFolder
    state: str
    step: int

    def arrays(self, probe: str) -> dict[str, Any]:
        """What a probe wrote at the figure's step."""
        return self.folder.arrays(probe, self.step)


Panels = Mapping[str, Sequence[Run]]
"""Panel -> its runs, by seed; runs that did not finish are left out of `measure` and `draw`."""


@dataclass(frozen=True)
class Entry:
    """An entry of the catalogue.

    measure: the runs -> the rows of data.csv, one for each run (and for references);
    claims: the rows -> the paper's sentences, tested;
    draw: the runs and rows -> the picture.
    """

    measure: Callable[[Panels], list[Row]]
    claims: Callable[[list[Row]], list[Claim]]
    draw: Callable[[Panels, list[Row]], Figure]


Settings = Mapping[str, Any]
"""`settings:` of an entry's file, those of the scale on top."""

Arrays = dict[str, np.ndarray]
"""What a calculation leaves in arrays.npz for the picture."""


@dataclass(frozen=True)
class Calculation:
    """An entry of the catalogue that needs no run: an equation, worked out.

    calculate: the settings -> the rows of data.csv (one a `seed`, where there is chance in it)
        and the arrays that are drawn;
    claims: the rows -> the paper's sentences, tested;
    draw: the arrays and rows -> the picture.
    """

    calculate: Callable[[Settings], tuple[list[Row], Arrays]]
    claims: Callable[[list[Row]], list[Claim]]
    draw: Callable[[Arrays, list[Row]], Figure]


def entry(name: str) -> Entry | Calculation:
    """The entry `<paper>/<item>`. Raises `BadInput` if its module is not there."""
    module = f"gp_lab.figures.{name.replace('/', '.').replace('-', '_')}"
    try:
        return importlib.import_module(module).ENTRY
    except ModuleNotFoundError as error:
        if not module.startswith(str(error.name)):
            raise
        path = module.replace(".", "/")
        raise BadInput(f"figure={name}: has no drawing; write ENTRY in {path}.py") from error


def column(rows: Sequence[Row], panel: str, quantity: str) -> list[float]:
    """A quantity of a panel's runs, by seed; NaN for a run that diverged."""
    mine = sorted((r for r in rows if r["panel"] == panel), key=lambda r: r["seed"])
    return [float(r.get(quantity, float("nan"))) for r in mine]
