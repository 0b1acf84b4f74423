"""Scores of a stored run: what its probes would have said, worked out later."""

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gp_lab.errors import BadInput
from gp_lab.probes.scores import MissingWeights
from gp_lab.runs.provenance import provenance
from gp_lab.terminal import aligned
from gp_lab.training.dashboard import tell_again
from gp_lab.training.load import load

Evaluation = dict[str, Any]
"""A line of evaluations.jsonl: step, probe, settings, scores, date, device, and what the code's
versions and commit are."""


def evaluate(
    run: str | Path,
    probes: Mapping[str, Any],
    step: int | str | None = None,
    trust: tuple[str, ...] = (),
    data: Sequence[str] = (),
) -> list[Evaluation]:
    """What probes say of a run at its newest checkpoint, or at the one at `step`, or the `best`.

    `probes` are nodes of a config, checked as the trainer checks them. They see the random numbers
    that they would have seen while the run trained, and so say the same. What they say is added to
    the run's evaluations.jsonl, which resuming leaves alone, and told its dashboard. `data` say
    where the run's data lie now, as in `gp_lab.training.load.load`. Raises `BadInput` for a run, a
    checkpoint or Inception weights that are not there, or a probe that gives no numbers.
    """
    loaded = load(run, step, trust, probes, data)
    made_by = {k: v for k, v in provenance().items() if k in ("versions", "commit", "dirty")}
    found = []
    for name, probe in loaded.setup.probes.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error", MissingWeights)
            try:
                scores = probe.scalars(probe.measure(loaded.view))
            except MissingWeights as missing:
                raise BadInput(str(missing)) from missing
        if not scores:
            raise BadInput(f"probe.{name}: gives arrays alone, and no numbers to evaluate")
        scores = {k: v for k, v in scores.items() if math.isfinite(v)}  # NaN: it is not known
        found.append(
            {
                "step": loaded.step,
                "probe": name,
                "settings": probes[name],
                "scores": scores,
                "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "device": str(loaded.setup.device),
                **made_by,
            }
        )
    loaded.folder.append_evaluations(found)
    tell_again(loaded.folder, trust)
    return found


def evaluations_table(found: list[Evaluation]) -> str:
    """Probe, quantity and number, a line each."""
    lines = [
        (line["probe"], quantity, f"{value:.6g}")
        for line in found
        for quantity, value in line["scores"].items()
    ]
    return "\n".join(f"  {line}" for line in aligned(lines))
