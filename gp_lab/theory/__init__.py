"""Closed forms and exact optima; `gp_lab.theory.optimal` and the others are there when used."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

__all__ = sorted(module.name for module in iter_modules(__path__))


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'gp_lab.theory' has no attribute {name!r}")
    return import_module(f"gp_lab.theory.{name}")


def __dir__() -> list[str]:
    return __all__
