"""Many runs on one bar, wherever they train, without anybody waiting for a look at folders."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from gp_lab.errors import LabError, counted
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import Config, folder_of
from gp_lab.terminal import bar, watched


class Pace:
    """When a look is due that takes its time, as one at the folders of thousands of runs: it takes
    a twentieth of the time at most, and comes once a minute in any case."""

    def __init__(self) -> None:
        self._due = float("-inf")

    @property
    def due(self) -> bool:
        return time.monotonic() >= self._due

    @contextmanager
    def looking(self) -> Iterator[None]:
        began = time.monotonic()
        yield
        ended = time.monotonic()
        self._due = ended + min(20 * (ended - began), 60)


def watch(configs: Sequence[Config], over: Callable[[], bool]) -> None:
    """One bar for many runs until `over`, which is asked twice a second: iterations of all of them,
    from their status.json."""
    folders = [RunFolder(folder_of(config)) for config in configs]
    total = sum(config["steps"] for config in configs)
    with bar(total=total, unit="it", desc=counted(len(configs), "run")) as line:
        pace, shown, last = Pace(), time.monotonic(), False
        statuses: list[Mapping[str, Any]] = [{} for _ in folders]
        while not last:
            last = over()
            if last or pace.due:
                with pace.looking():
                    for i, folder in enumerate(folders):
                        with suppress(LabError):  # just replaced, on a network's disk
                            statuses[i] = folder.status
                line.n = sum(s.get("step", 0) for s in statuses)
                ended = Counter(s.get("state") for s in statuses)
                counts = {state: ended[state] for state in ("finished", "diverged")}
                line.set_postfix(counts, refresh=False)
                if watched() or time.monotonic() - shown > 15:
                    shown = time.monotonic()
                    line.refresh()
            if not last:
                time.sleep(0.5)
