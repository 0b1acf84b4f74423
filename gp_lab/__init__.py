"""gp_lab: gradient penalties and generalisation in GANs, five papers as an executable edition.

From Python:

    gp_lab.gradient_penalty(D, real, fake, "zero_gp", weight=10)    on your own networks
    gp_lab.losses["hinge"].phi, .varphi, .psi
    gp_lab.train(["penalty=zero_gp", "steps=1000"])                 a finished run
    gp_lab.load("outputs/runs/RUN").sample(64)
    gp_lab.compare("outputs").to_frame()
    gp_lab.theory.optimal                                           closed forms

Nothing is imported before it is used: PyTorch takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gp_lab import theory
    from gp_lab.launching.face import gradient_penalty, losses, train
    from gp_lab.runs.compare_formats import compare
    from gp_lab.training.load import load

    __version__: str

__all__ = ["__version__", "compare", "gradient_penalty", "load", "losses", "theory", "train"]

_ROOMS = {
    "compare": "runs.compare_formats",
    "gradient_penalty": "launching.face",
    "load": "training.load",
    "losses": "launching.face",
    "train": "launching.face",
}
"""Name -> the module that it is in."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("gp-lab")
    if name == "theory":
        return import_module("gp_lab.theory")
    if name not in _ROOMS:
        raise AttributeError(f"module 'gp_lab' has no attribute {name!r}")
    return getattr(import_module(f"gp_lab.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return __all__
