"""The one place where torchvision is imported."""

import importlib
from types import ModuleType

import torch

_DECLARED: list[torch.library.Library] = []
"""Keeps the declarations alive: they go with the library object."""


def import_torchvision() -> ModuleType:
    """torchvision, also beside a PyTorch that it was not built for.

    The wheels of the package index are built for CUDA; beside a CPU-only PyTorch their import fails
    with "operator torchvision::nms does not exist". Nothing here calls that operator: declaring it
    is enough. Raises ImportError where torchvision is not installed.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _DECLARED.append(library)
    return importlib.import_module("torchvision")
