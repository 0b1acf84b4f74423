"""The private parts of Hydra that the lab relies on, and what it does with them.

Nothing else imports them; `tests/unit/house/test_internals.py` says what is expected of them.
"""

from argparse import Namespace
from pathlib import Path

from hydra._internal.callbacks import Callbacks
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
    return Hydra.create_main_hydra2(task_name="gp_lab", config_search_path=search_path)


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
