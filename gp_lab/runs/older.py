"""Configs of older runs as they would be written today.

A part once carried keys of other choices of its group, which it never read, and lacked keys that it
has got since; and there were fewer groups.
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

SINCE: Mapping[str, Mapping[str, Any]] = {
    "gp_lab.training.optimizers.RMSProp": {"accumulator": 0.0},
}
"""Target -> keys that it has got since, with what it did before."""

NEW_GROUPS: Mapping[str, Mapping[str, Any]] = {
    "correction": {"name": "none", "_target_": "gp_lab.objectives.corrections.NoCorrection"},
}
"""Groups that runs have got since, with the choice that does what they did before: it is no part of
a run's identity, so that those runs keep their hashes."""

NEW_KEYS: Mapping[str, Any] = {"label": None, "keep_every": None, "keep_best": None}
"""Keys at the top that runs have got since, none of them a part of their identity."""

GROUPS = ("architecture", "constraint", "loss", "penalty", "tracking", "optimizer")


def modern(config: dict[str, Any]) -> dict[str, Any]:
    """A config without the keys that never had an effect and with those that came later; today's is
    as it was."""
    whole = config if "loss" not in config else {**NEW_GROUPS, **config}
    return whole | {g: _modern(config[g]) for g in GROUPS if isinstance(config.get(g), dict)}


def _modern(node: dict[str, Any]) -> dict[str, Any]:
    if node.get("measure") == "none":
        return {"name": "none", "_target_": "gp_lab.objectives.penalties.NoPenalty"}
    unread = UNREAD.get(str(node.get("_target_")), frozenset())
    if _hands_on_fixed_points(node):
        unread = frozenset({"latent_dim"})
    since = SINCE.get(str(node.get("_target_")), {})
    return {k: v for k, v in node.items() if k not in unread} | {
        k: v for k, v in since.items() if k not in node
    }


def _hands_on_fixed_points(architecture: dict[str, Any]) -> bool:
    latent, generator = architecture.get("latent"), architecture.get("generator")
    identity = {"_target_": "gp_lab.networks.generators.Identity"}
    return isinstance(latent, dict) and "distribution" in latent and generator == identity
