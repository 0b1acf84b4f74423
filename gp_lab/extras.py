"""Packages that not everybody needs: the lab's extras, and the sentence where one is missing."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from gp_lab.errors import BadInput, bad_choice

EXTRAS: Mapping[str, Mapping[str, str]] = {
    "exact": {"cvxpy": "cvxpy", "ot": "POT"},
    "frames": {"pandas": "pandas"},
    "search": {"optuna": "optuna"},
    "tensorboard": {"tensorboard": "tensorboard"},
    "wandb-view": {"wandb_workspaces": "wandb-workspaces"},
}
"""Extra -> module -> the package that it is in."""


def install(extra: str) -> str:
    """The command that brings an extra, in a clone as elsewhere."""
    return f"pip install 'gp-lab[{extra}]'"


def check_extra(what: str, extra: str) -> None:
    """Raises `BadInput` if a package of an extra is missing, for `what` needs it."""
    if extra not in EXTRAS:
        raise bad_choice(f"{what}: extra", extra, EXTRAS)
    missing = [name for module, name in EXTRAS[extra].items() if find_spec(module) is None]
    if missing:
        raise BadInput(f"{what}: needs {' and '.join(missing)}, not here: {install(extra)}")


def of_extra(module: str, extra: str, what: str) -> ModuleType:
    """A module of an extra. Raises `BadInput` if it is missing, for `what` needs it."""
    try:
        return import_module(module)
    except ModuleNotFoundError:
        check_extra(what, extra)
        raise
