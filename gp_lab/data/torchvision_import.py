"""The one place that imports torchvision, and mends its import beside a CPU-only PyTorch."""

import importlib
import sys
from types import ModuleType

import torch

_DECLARED: list[torch.library.Library] = []
"""Kept alive: a library that is collected takes its schemas with it."""


def import_torchvision() -> ModuleType:
    """torchvision, imported when it is first needed.

    The wheels of the package index are built for CUDA. Beside a CPU-only PyTorch their compiled
    operators do not load, and the import ends in "operator torchvision::nms does not exist" where
    it describes the operators' output shapes. Declaring the two schemas is enough: nobody here
    calls them. Raises ImportError if torchvision is not installed.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    for name in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _DECLARED.append(library)
    return importlib.import_module("torchvision")
