"""A probe that ends processes in mid-run: what `trust=[interfering]` admits in the tests.

What it does, in `INTERFERE`, is `FOLDER|ACT|COUNT`: once so many processes have come to step 20,
which they note in the folder, the first of them acts. Left out, it does nothing.
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gp_lab.launching import workers
from gp_lab.probes.base import Arrays, Probe, View

OVERRIDES = (
    "probe=[]",
    "+probe.interfering._target_=interfering.Interfering",
    "+probe.interfering.every=20",
    "trust=[interfering]",
)
"""What puts it into a run."""


def held() -> None:
    """Until this process is asked to stop."""
    handler = signal.getsignal(signal.SIGTERM)
    while not handler.__self__.asked:  # type: ignore[union-attr]
        time.sleep(0.01)


def end_parent() -> None:
    os.kill(os.getppid(), signal.SIGKILL)


def end_parent_and_hang() -> None:
    workers.LEAVING = 0.1
    end_parent()
    while True:
        time.sleep(1)


ACTS: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "kill": (lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: None),
    "crash": (lambda: os.kill(os.getpid(), signal.SIGSEGV), lambda: None),
    "exit": (lambda: os._exit(3), lambda: None),
    "terminate": (lambda: os.kill(os.getpid(), signal.SIGTERM), lambda: None),
    "end the parent": (end_parent, held),
    "end the parent and hang": (end_parent_and_hang, held),
}
"""What the first does, and then all of them."""


@dataclass(frozen=True)
class Interfering(Probe):
    """See the module."""

    def measure(self, view: View) -> Arrays:
        plan = os.environ.get("INTERFERE")
        if plan and view.step == 20:
            folder, act, count = plan.split("|")
            first, then = ACTS[act]
            come = Path(folder, f"come-{os.getpid()}")
            if not come.exists():
                come.touch()
                try:
                    Path(folder, "acting").mkdir()
                except FileExistsError:
                    pass
                else:
                    while len(list(Path(folder).glob("come-*"))) < int(count):
                        time.sleep(0.01)
                    first()
            then()
        return {"step": np.array(view.step)}
