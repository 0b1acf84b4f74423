"""The end of runs on their dashboard: of all runs of a process at once, and within a bound."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from gp_lab.errors import one_line
from gp_lab.tracking.base import Tracker

log = logging.getLogger(__name__)

ORDINARY = 60.0
"""Seconds that the end of runs waits for what they have not sent yet ..."""

AFTER_SIGNAL = 8.0
"""... and once they have been asked to stop: schedulers kill soon after they have asked."""


def close_all(trackers: Sequence[Tracker], asked: Callable[[], bool] = lambda: False) -> None:
    """Close trackers at the same time; say which have not sent everything.

    `asked` is looked at all the while: whether the runs have been asked to stop.
    """
    under_way = [
        (tracker, in_a_thread(tracker))
        for tracker in trackers
        if type(tracker).close is not Tracker.close
    ]
    try:
        _wait([thread for _, thread in under_way], asked)
    finally:  # a second Ctrl-C ends the waiting
        for tracker, thread in under_way:
            if thread.is_alive():
                tracker.abandon()
    if unsent := [tracker.unsent for tracker in trackers if tracker.unsent]:
        log.warning(_incomplete(unsent, goes_on=asked()))


def _incomplete(unsent: Sequence[str], goes_on: bool) -> str:
    several = len(unsent) > 1
    sync = f"`wandb sync --include-online {'RUN/wandb/run-*' if several else unsent[0]}`"
    again = f"going on with {'them' if several else 'it'}, or {sync}," if goes_on else sync
    whose = f"{len(unsent)} runs' uploads are" if several else "1 run's upload is"
    return f"W&B: {whose} incomplete; {again} makes up for it"


def in_a_thread(tracker: Tracker) -> threading.Thread:
    """Close a tracker in a thread of its own."""

    def close() -> None:
        try:
            tracker.close()
        except Exception as error:  # of somebody's own tracker
            log.warning("%s did not close: %s", type(tracker).__name__, one_line(error))

    thread = threading.Thread(target=close, name="end of a run", daemon=True)
    thread.start()
    return thread


def _wait(threads: Sequence[threading.Thread], asked: Callable[[], bool]) -> None:
    end, hurried = time.monotonic() + ORDINARY, False
    while left := [thread for thread in threads if thread.is_alive()]:
        now = time.monotonic()
        if not hurried and asked():
            end, hurried = min(end, now + AFTER_SIGNAL), True
        if now > end:
            return
        left[0].join(0.05)
