"""What the trainer asks of a tracker; `NoTracking` asks for nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from gp_lab.errors import BadInput
from gp_lab.instantiate import Checked, instantiate
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import Config

Mode = Literal["auto", "online", "offline"]

Best = Literal["min", "max"]
"""Which of the values that a score had is its best one."""


class Tracker:
    """A run's line to a dashboard. This one leads nowhere; a dashboard is never a reason to die."""

    unsent = ""
    """Where what never reached the dashboard lies, for whoever sends it later."""

    @staticmethod
    def of(config: Config, folder: RunFolder) -> "Tracker":
        """The tracker that the config asks for. Raises `BadInput`."""
        return tracking_of(config).open(config, folder)

    def scores(self, best: Mapping[str, Best]) -> None:
        """Which metrics are scores: patterns of their names, as `curve/w1` and `text/js_*`."""

    def log(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Lines of metrics.jsonl, each with its step."""

    def pictures(self, step: int, probe: str, draw: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """A probe's images of a step, uint8 [height, width, 3]; `draw` is called only if they are
        wanted."""

    def results(self, found: Mapping[str, Any]) -> None:
        """What was found out after the run, by name; told again whenever the run is."""

    def close(self) -> None:
        """Finish what is under way, as the run's `status.json` says that it ended.

        Called in a thread, and given up by `abandon` after a while.
        """

    def abandon(self) -> None:
        """Let go of what `close` still waits for."""


@runtime_checkable
class Tracking(Protocol):
    """The part that `tracking` names."""

    def open(self, config: Config, folder: RunFolder) -> Tracker: ...


def tracking_of(config: Config) -> Tracking:
    """The part that the config names; what it needs is here. Raises `BadInput`.

    A part that needs something says so in a method `check()`.
    """
    tracking = instantiate(config["tracking"], "tracking", config.get("trust", ()))
    if not hasattr(tracking, "open"):
        raise BadInput(f"tracking: a {type(tracking).__name__} is no tracking")
    if hasattr(tracking, "check"):
        tracking.check()
    assert isinstance(tracking, Tracking)
    return tracking


@dataclass(frozen=True)
class NoTracking(Checked):
    """Metrics stay in the run folder; `gp-lab report` shows them."""

    def open(self, config: Config, folder: RunFolder) -> Tracker:
        return Tracker()
