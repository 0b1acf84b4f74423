"""Composing configs with Hydra, and saying in one sentence what is wrong with one."""

import argparse
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import yaml
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gp_lab.errors import BadInput, bad_choice
from gp_lab.launching.places import choices, config_folder, groups
from gp_lab.runs.identity import Config

CONFIG_NAME = "train"
OPEN_GROUPS = ("dataset", "architecture", "probe", "figure")
"""Groups whose members have keys of their own: their parts check them one by one."""


@contextmanager
def hydra_session() -> Iterator[Hydra]:
    """Hydra with the lab's configs; its errors become `BadInput`."""
    search_path: ConfigSearchPathImpl = create_config_search_path(f"file://{config_folder()}")
    hydra = Hydra.create_main_hydra2(task_name="gp_lab", config_search_path=search_path)
    try:
        with one_sentence():
            yield hydra
    finally:
        GlobalHydra.instance().clear()


def compose(hydra: Hydra, overrides: Sequence[str]) -> Config:
    """The resolved config of one run."""
    return plain(
        hydra.compose_config(
            CONFIG_NAME, list(overrides), RunMode.RUN, with_log_configuration=False
        )
    )


def plain(config: DictConfig) -> Config:
    """A composed config as plain data: resolved, without Hydra's node, entries as tags.

    Raises `BadInput` for a missing value, an unknown key that was added with +, or an
    interpolation that leads nowhere or reads the environment.
    """
    with one_sentence():
        node = OmegaConf.masked_copy(config, [k for k in config if k != "hydra"])
        _refuse_resolvers(OmegaConf.to_container(node, resolve=False))
        data = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    assert isinstance(data, dict)
    values: Config = {str(k): v for k, v in data.items()}
    _refuse_added_keys(values)
    values["figure"] = {"id": values["figure"]["id"]}
    return values


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Hydra's own flags (-m, --cfg, --info, --help, -sc ...) and overrides."""
    parser = get_args_parser()

    def refuse(message: str) -> None:
        raise BadInput(message)

    parser.error = refuse  # type: ignore[method-assign, assignment]
    args, rest = parser.parse_known_args(list(arguments))
    if rest:
        raise BadInput(f"{rest[0]}: no such flag; overrides are written key=value")
    for override in args.overrides:
        if "=" not in override and not override.startswith("~"):
            raise BadInput(f"{override}: not an override; write key=value")
    args.parser = parser
    return args


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turns the exceptions of Hydra and OmegaConf into `BadInput` with one sentence."""
    try:
        yield
    except MissingConfigException as error:
        raise _missing(error) from error
    except (HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__ if isinstance(error.__cause__, BadInput) else None
        raise cause or BadInput(_sentence(error)) from error


def _missing(error: MissingConfigException) -> BadInput:
    group, _, name = (error.missing_cfg_file or "").rpartition("/")
    if error.options and (group in groups() or group.startswith("hydra/")):
        return bad_choice(group, name, choices(group) or error.options)
    for candidate in groups():  # figure=zero_gp/fig9 is looked for below figure/zero_gp
        if group.startswith(candidate + "/"):
            wanted = (error.missing_cfg_file or "").removeprefix(candidate + "/")
            return bad_choice(candidate, wanted, choices(candidate))
    return BadInput(_first_line(error))


def _sentence(error: BaseException) -> str:
    text = str(error)
    if match := re.search(r"Could not override '([^']+)'", text):
        return _unknown_key(match[1])
    if match := re.search(r"Could not find a? ?match for '?([\w/.]+)'?", text):
        return _unknown_key(match[1])
    if "mismatched input" in text or "extraneous input" in text or "LexerNoViableAlt" in text:
        return f"an override cannot be read: {_first_line(error)}"
    if match := re.search(r"Could not append to config.*'([^']+)'", text):
        return f"{match[1]}: exists already; write it without +"
    cause = error.__cause__
    more = f" ({_first_line(cause)})" if cause is not None and str(cause) not in text else ""
    return _first_line(error) + more


def _unknown_key(key: str) -> str:
    """What could have been meant by a key that is not there."""
    parts = key.split(".")
    if parts[0] in groups() and len(parts) > 1:
        first = next(iter(choices(parts[0])), None)
        path = config_folder() / parts[0] / f"{first}.yaml"
        known: Iterable[str] = [k for k in yaml.safe_load(path.read_text()) if k != "_target_"]
        if parts[0] not in OPEN_GROUPS:
            return _no_such_key(key, parts[-1], known)
        return f"{key}: no such key in this {parts[0]}; see configs/{parts[0]}/"
    train = yaml.safe_load((config_folder() / "train.yaml").read_text())
    known = [k for k in train if k not in ("defaults", "hydra")] + groups()
    return _no_such_key(key, parts[0], known)


def _no_such_key(key: str, last: str, known: Iterable[str]) -> str:
    known = sorted(set(known))
    near = get_close_matches(last, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{key}: no such key; choose from {', '.join(known)}{hint}"


def _refuse_resolvers(node: Any) -> None:
    """Custom resolvers have no place in a run: `oc.env` would write secrets into its folder."""
    values: Iterable[Any] = ()
    if isinstance(node, Mapping):
        values = node.values()
    elif isinstance(node, list):
        values = node
    elif isinstance(node, str) and (match := re.search(r"\$\{\s*[\w.]+\s*:", node)):
        raise BadInput(f"{node}: the resolver {match[0]}...}} is not allowed in a run's config")
    for value in values:
        _refuse_resolvers(value)


def _refuse_added_keys(config: Config) -> None:
    """`+penalty.wieght=3` adds a key that nobody reads."""
    train = yaml.safe_load((config_folder() / "train.yaml").read_text())
    known = set(train) | set(groups())
    for key, value in config.items():
        if key not in known:
            raise BadInput(_no_such_key(key, key, known - {"defaults", "hydra"}))
        if key in groups() and key not in OPEN_GROUPS:
            path = config_folder() / key / f"{choices(key)[0]}.yaml"
            allowed = set(yaml.safe_load(path.read_text()) or ())
            own = "." in str(value.get("_target_", "")) and not str(value["_target_"]).startswith(
                "gp_lab."
            )
            for inner in value if not own else ():
                if inner not in allowed:
                    raise BadInput(_no_such_key(f"{key}.{inner}", inner, allowed))


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


