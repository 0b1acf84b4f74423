"""Configs of older runs as they would be written today.

A part once carried keys of other choices of its group, which it never read.
"""

from collections.abc import Mapping
from typing import Any

UNREAD: Mapping[str, frozenset[str]] = {
    f"gp_lab.{path}": frozenset(keys.split())
    for path, keys in {
        "objectives.constraints.NoConstraint": "value iterations",
        "objectives.constraints.L1Decay": "iterations",
        "objectives.constraints.L2Decay": "iterations",
        "objectives.constraints.L2NormClipping": "iterations",
        "objectives.constraints.SpectralNorm": "value",
        "objectives.constraints.WeightClipping": "iterations",
        "objectives.constraints.WeightNorm": "iterations",
        "objectives.losses.Combined": "gamma",
        "objectives.losses.Exponential": "alpha beta gamma",
        "objectives.losses.Hinge": "alpha beta gamma",
        "objectives.losses.NonSaturating": "alpha beta gamma",
        "objectives.losses.SquareRoot": "alpha beta gamma",
        "objectives.losses.Vanilla": "alpha beta gamma",
        "objectives.losses.Wasserstein": "alpha beta gamma",
        "objectives.penalties.CrossPairs": "measure shape anchor carry",
        "tracking.base.NoTracking": "mode project entity",
        "training.optimizers.Adam": "alpha momentum",
        "training.optimizers.RMSProp": "betas",
        "training.optimizers.SGD": "betas alpha eps",
    }.items()
}
"""Target -> keys that stood beside it and that it did not read."""

GROUPS = ("constraint", "loss", "penalty", "tracking", "optimizer")

NO_PENALTY = {"name": "none", "_target_": "gp_lab.objectives.penalties.NoPenalty"}


def modern(config: dict[str, Any]) -> dict[str, Any]:
    """A config without the keys that never had an effect; today's is as it was."""
    return config | {g: _modern(g, config[g]) for g in GROUPS if isinstance(config.get(g), dict)}


def _modern(group: str, node: dict[str, Any]) -> dict[str, Any]:
    if group == "penalty" and node.get("measure") == "none":
        return dict(NO_PENALTY)
    unread = UNREAD.get(str(node.get("_target_")), ())
    return {k: v for k, v in node.items() if k not in unread}
