"""What a run's folder holds, told to its dashboard: when the run begins or goes on, and later."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from gp_lab.errors import LabError, one_line
from gp_lab.instantiate import instantiate
from gp_lab.probes.base import Probe
from gp_lab.runs.folder import RunFolder
from gp_lab.tracking.base import Tracker
from gp_lab.tracking.ending import close_all

log = logging.getLogger(__name__)


def replay(tracker: Tracker, folder: RunFolder, probes: Mapping[str, Probe]) -> None:
    """Tell a tracker all that the run has written so far, in order."""
    tracker.scores({f"{name}/{k}": v for name, p in probes.items() for k, v in p.best.items()})
    lines, pictures = defaultdict(list), defaultdict(list)
    for line in folder.metrics():
        lines[line["step"]].append(line)
    for line in folder.timing():
        if line["step"] in lines:
            lines[line["step"]].append(timing_line(line))
    for name, probe in probes.items():
        for step in folder.array_steps(name):
            pictures[step].append((name, probe))
    for step in sorted(lines.keys() | pictures.keys()):
        for name, probe in pictures[step]:
            tracker.pictures(step, name, partial(_pictures, folder, probe, name, step))
        tracker.log(lines[step])
    for line in folder.evaluations():
        tracker.results(evaluated(line))


def tell_again(
    folder: RunFolder, trust: Sequence[str] = (), asked: Mapping[str, Any] | None = None
) -> None:
    """Tell the dashboard of a run that is not under way what was found out about it since; `asked`
    are keys of its config that somebody else now asks for it with.

    It is no reason to fail: what is wrong is said in a line. A run that trains in another process
    is told when it goes on.
    """
    try:
        folder.lock()
    except (LabError, OSError):
        return
    try:
        config = folder.found_config | {"trust": list(trust)} | dict(asked or {})
        tracker = Tracker.of(config, folder)
        if type(tracker) is not Tracker:
            nodes = config.get("probe") or {}
            replay(tracker, folder, {k: probe_of(k, node, trust) for k, node in nodes.items()})
            close_all([tracker])
    except (LabError, OSError) as error:
        log.warning("%s: its dashboard was not told (%s)", folder.path, one_line(error))
    finally:
        folder.unlock()


def timing_line(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of `timing.jsonl` as the dashboard has it."""
    return {k if k == "step" else f"timing/{k}": v for k, v in line.items()}


def probe_of(name: str, node: Any, trust: Sequence[str] = ()) -> Probe:
    """The probe that a run's config describes. Raises `BadInput`."""
    probe = instantiate(node, f"probe.{name}", trust, Probe)
    assert isinstance(probe, Probe)
    return probe


def _pictures(folder: RunFolder, probe: Probe, name: str, step: int) -> dict[str, np.ndarray]:
    return probe.pictures(folder.arrays(name, step))


def evaluated(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of `evaluations.jsonl`: its scores, and the step of the checkpoint."""
    name, scores = f"evaluated/{line.get('probe')}", line.get("scores")
    numbers = scores if isinstance(scores, Mapping) else {}
    return {f"{name}/{k}": v for k, v in numbers.items()} | {f"{name}/step": line["step"]}
