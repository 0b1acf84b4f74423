"""Several trackers at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gp_lab.instantiate import Checked
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import Config
from gp_lab.tracking.base import Best, Tracker, Tracking


@dataclass(frozen=True)
class SeveralTracking(Checked):
    """Each of `parts`, by any name, is told everything."""

    parts: dict[str, Any]

    def __post_init__(self) -> None:
        for name, part in self.parts.items():
            if not isinstance(part, Tracking):
                raise ValueError(f"parts.{name}: a {type(part).__name__} is no tracking")

    def check(self) -> None:
        """Raises `BadInput` where one of them cannot work."""
        for part in self.parts.values():
            if hasattr(part, "check"):
                part.check()

    def open(self, config: Config, folder: RunFolder) -> Tracker:
        return _SeveralTrackers([part.open(config, folder) for part in self.parts.values()])


class _SeveralTrackers(Tracker):
    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self.trackers = trackers

    def scores(self, best: Mapping[str, Best]) -> None:
        for tracker in self.trackers:
            tracker.scores(best)

    def log(self, lines: Sequence[Mapping[str, Any]]) -> None:
        for tracker in self.trackers:
            tracker.log(lines)

    def pictures(self, step: int, probe: str, draw: Callable[[], Mapping[str, np.ndarray]]) -> None:
        for tracker in self.trackers:
            tracker.pictures(step, probe, draw)

    def results(self, found: Mapping[str, Any]) -> None:
        for tracker in self.trackers:
            tracker.results(found)

    def close(self) -> None:
        """The last one is waited for longest: whoever sends to a server."""
        for tracker in reversed(self.trackers):
            tracker.close()

    def abandon(self) -> None:
        for tracker in self.trackers:
            tracker.abandon()
        self.unsent = next((t.unsent for t in self.trackers if t.unsent), "")
