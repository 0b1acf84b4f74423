"""Several trackers at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gp_lab.instantiate import Checked
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import Config
from gp_lab.tracking.base import Best, Tracker, Tracking
from gp_lab.tracking.ending import in_a_thread


@dataclass(frozen=True)
class SeveralTracking(Checked):
    """Each of `parts`, by any name, is told everything.

    Two with the same `place`, a folder of the run's, cannot stand together.
    """

    parts: dict[str, Any]

    def __post_init__(self) -> None:
        places = dict[str, str]()
        for name, part in self.parts.items():
            if not isinstance(part, Tracking):
                raise ValueError(f"parts.{name}: a {type(part).__name__} is no tracking")
            place = getattr(part, "place", None)
            if place and places.setdefault(place, name) != name:
                raise ValueError(f"parts.{name}: writes to RUN/{place}, as {places[place]} does")

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
        """At the same time: one that waits for its server, or fails, holds up no other."""
        for thread in [in_a_thread(tracker) for tracker in self.trackers]:
            thread.join()
        self._say_what_is_unsent()

    def abandon(self) -> None:
        for tracker in self.trackers:
            tracker.abandon()
        self._say_what_is_unsent()

    def _say_what_is_unsent(self) -> None:
        self.unsent = next((t.unsent for t in self.trackers if t.unsent), "")
