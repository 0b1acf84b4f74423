"""The private parts of Hydra that the lab relies on, and what it does with them.

Nothing else imports them; `tests/unit/house/test_internals.py` says what is expected of them.
"""

import copy
from argparse import Namespace
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.types import HydraContext

__all__ = ["Hydra", "asked_to_show", "context_of", "get_args_parser", "new_hydra", "show"]


def new_hydra(configs: Path, own: str | None = None) -> Hydra:
    """Hydra with a folder of configs, then the user's own; it becomes the global one."""
    search_path = create_config_search_path(f"file://{configs}")
    if own:
        path = f"file://{Path(own).resolve()}"
        search_path.prepend("command-line", path, SearchPathQuery(provider="schema"))
    hydra = Hydra.create_main_hydra2(task_name="gp_lab", config_search_path=search_path)
    loader: Any = hydra.config_loader
    loader.repository = _ReadOnce(loader.get_search_path())
    return hydra


class _ReadOnce(ConfigRepository):
    """Hydra's files, each read once: it reads all of them again for every run of a sweep, which is
    a third of what composing takes."""

    def initialize_sources(self, config_search_path: Any) -> None:
        super().initialize_sources(config_search_path)
        self.known: dict[str, Any] = {}

    def load_config(self, config_path: str) -> Any:
        if config_path not in self.known:
            self.known[config_path] = super().load_config(config_path)
        if (found := self.known[config_path]) is None:
            return None
        own = copy.copy(found)
        own.config = copy.deepcopy(found.config)  # Hydra merges into it
        return own

    def __deepcopy__(self, memo: object) -> "_ReadOnce":
        return copy.copy(self)  # of each composition, which may look for files elsewhere


def asked_to_show(args: Namespace) -> bool:
    """Whether there is one of the flags that only print: --help, --hydra-help, --cfg, --info."""
    return bool(args.help or args.hydra_help or args.cfg or args.info is not None)


def show(hydra: Hydra, config_name: str, args: Namespace) -> None:
    """Print what one of those flags asks for."""
    if args.help:
        hydra.app_help(config_name=config_name, args_parser=args.parser, args=args)
    elif args.hydra_help:
        hydra.hydra_help(config_name=config_name, args_parser=args.parser, args=args)
    elif args.cfg:
        hydra.show_cfg(config_name, args.overrides, args.cfg, args.package, args.resolve)
    else:
        hydra.show_info(args.info, config_name=config_name, overrides=args.overrides)


def context_of(hydra: Hydra) -> HydraContext:
    """What Hydra hands to its sweeper and launcher; of its callbacks, none."""
    return HydraContext(hydra.config_loader, Callbacks())
