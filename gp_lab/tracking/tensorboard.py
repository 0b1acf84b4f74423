"""TensorBoard: event files in the run's folder, written by `torch.utils.tensorboard`."""

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import numpy as np

from gp_lab.errors import one_line
from gp_lab.extras import check_extra
from gp_lab.instantiate import Checked
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import Config
from gp_lab.tracking.base import Best, Tracker

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TensorboardTracking(Checked):
    """Scalars, images, and the config beside the last scores (hparams)."""

    place: ClassVar[str] = "tensorboard"

    def check(self) -> None:
        """Raises `BadInput` where the package `tensorboard` is missing."""
        check_extra("tracking=tensorboard", "tensorboard")

    def open(self, config: Config, folder: RunFolder) -> Tracker:
        """A tracker that writes the run anew: it is told all that there is so far."""
        self.check()
        return _TensorboardTracker(config, folder)


class _TensorboardTracker(Tracker):
    def __init__(self, config: Config, folder: RunFolder) -> None:
        from torch.utils.tensorboard import SummaryWriter

        place = folder.inside(TensorboardTracking.place)
        shutil.rmtree(place, ignore_errors=True)
        self._writer, self._config, self._failed = SummaryWriter(str(place)), config, False
        self._best: dict[str, Best] = {}
        self._last: dict[str, float] = {}

    def scores(self, best: Mapping[str, Best]) -> None:
        self._best = dict(best)

    def log(self, lines: Sequence[Mapping[str, Any]]) -> None:
        for line in lines:
            for name in line.keys() - {"step"}:
                self._try(self._writer.add_scalar, name, line[name], line["step"])
                if any(fnmatchcase(name, pattern) for pattern in (*self._best, "loss_[dg]")):
                    self._last[name] = line[name]

    def pictures(self, step: int, probe: str, draw: Callable[[], Mapping[str, np.ndarray]]) -> None:
        for name, image in (self._try(draw) or {}).items():
            self._try(self._writer.add_image, f"{probe}/{name}", image, step, dataformats="HWC")

    def results(self, found: Mapping[str, Any]) -> None:
        for name, value in found.items():
            self._try(self._writer.add_scalar, name, value)

    def close(self) -> None:
        self._try(
            self._writer.add_hparams,
            _flat(self._config),
            {f"last/{name}": value for name, value in self._last.items()},
            run_name=".",
        )
        self._try(self._writer.close)

    def _try(self, act: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """What fails is said once, and is no reason for a run to die."""
        try:
            return act(*given, **named)
        except Exception as error:
            if not self._failed:
                log.warning("TensorBoard: %s; metrics.jsonl has all", one_line(error))
            self._failed = True
            return None


def _flat(node: Mapping[str, Any], above: str = "") -> dict[str, bool | int | float | str]:
    """The numbers and words of a config, by their keys."""
    found: dict[str, bool | int | float | str] = {}
    for key, value in node.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{above}{key}.")
        elif isinstance(value, bool | int | float | str) and f"{above}{key}" not in (
            "out",
            "force",
        ):
            found[f"{above}{key}"] = value
    return found
