"""What the words after a command mean: flags, folders, and `key=value` in one grammar.

`train` and `figure` take Hydra's flags and overrides; the commands that read a run take the few
keys that can change then. Everything that is wrong ends in `BadInput`, before anything is done.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from hydra.core.override_parser.types import Override

from gp_lab.errors import BadInput, bad_choice, show
from gp_lab.files import is_folder, path_of
from gp_lab.instantiate import packages
from gp_lab.launching.config_groups import EXPERIMENT, choices, groups
from gp_lab.launching.fitting import key_of
from gp_lab.launching.hydra_internals import get_args_parser
from gp_lab.launching.hydra_settings import check_word
from gp_lab.launching.methods import methods_of_experiment, split
from gp_lab.overrides import group_of, parse, quoted, shortened, unquoted, values, whole_number
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import Config, elsewhere
from gp_lab.runs.kept import BEST, LAST

LAST_STEP = 10**12

LONGEST_NAME = 200
"""Characters of the name of a choice, which is that of a file."""


def parse_arguments(arguments: Sequence[str], sweep: bool = False) -> argparse.Namespace:
    """Hydra's own flags (-m, --cfg, --info, --help ...) and overrides, each of them well-formed.

    Of a key that comes twice the last override is kept. `sweep` allows several values without -m;
    so does what may say `hydra.mode=MULTIRUN`, and `refuse_sweeps` is for whoever finds that it
    does not. Raises `BadInput`.
    """
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise BadInput(message)

    parser.error = refuse  # type: ignore[method-assign]
    args, rest = parser.parse_known_intermixed_args(list(arguments))
    if rest:
        raise BadInput(f"{rest[0]}: no such flag; overrides are written key=value")
    for flag in ("config_name", "config_path", "experimental_rerun", "shell_completion"):
        if getattr(args, flag):
            raise BadInput(f"--{flag.replace('_', '-')}: not a flag of this command")
    args.config_dir = _folder_of_configs(args.config_dir)
    last: dict[str, str] = {}
    sweep = sweep or args.multirun or any(key_of(o) in _MODES for o in args.overrides)
    for override in parse(args.overrides):
        _check_override(override, sweep)
        last.pop(key := override.get_key_element(), None)
        if key != EXPERIMENT or override.is_sweep_override() or override.value() is not None:
            last[key] = unquoted(override)
    args.overrides = list(last.values())
    args.parser = parser
    return args


_MODES = (EXPERIMENT, "hydra.mode", "+hydra.mode")
"""Keys of what may make a sweep of a command."""


def refuse_sweeps(overrides: Sequence[str]) -> None:
    """Raises `BadInput` for several values of a key."""
    for override in parse(overrides):
        _check_override(override, sweep=False)


def figure_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """What stands after an entry's name: overrides, `methods` of one's own (those of an experiment
    among them), --cfg job, --config-dir. Raises `BadInput`."""
    words, methods = split(arguments)
    args = parse_arguments(words, sweep=True)
    args.methods = methods
    own = ("--cfg", "--config-dir")
    flags = [word for word in words if word.startswith("-") and not word.startswith(own)]
    if flags or args.cfg not in (None, "job"):
        wrong = flags[0] if flags else f"--cfg {args.cfg}"
        raise BadInput(f"{wrong}: gp-lab figure takes overrides, written key=value, or --cfg job")
    for word in [word for word in args.overrides if key_of(word) == EXPERIMENT]:
        args.overrides.remove(word)
        args.methods = {**methods_of_experiment(word, args.config_dir), **methods}
    return args


def _check_override(override: Override, sweep: bool) -> None:
    """Raises `BadInput` for what Hydra would misunderstand, or refuse with a traceback."""
    text, written = shortened(str(override.input_line)), str(override.input_line).partition("=")[2]
    if dots := re.fullmatch(r"(\d+)\.\.(\d+)", written):
        first, last = int(dots[1]), int(dots[2])
        bounds = f"{first},{last + 1}" if first else f"{last + 1}"
        flag, key = "" if sweep else "-m ", override.get_key_element()
        raise BadInput(f"{text}: {first} to {last} is written {flag}'{key}=range({bounds})'")
    if override.is_sweep_override():
        if not sweep:
            raise BadInput(f"{text}: several values are a sweep; add -m, or write a list as [a,b]")
        return
    group, value = override.key_or_group, override.value()
    if group == "hydra":
        raise BadInput(f"{text}: Hydra's own keys are written hydra.KEY=value")
    if group_of(group) == "hydra":
        check_word(text, group)
    chosen = group in (EXPERIMENT, *groups()) or group.startswith("hydra/")
    if override.is_delete() or not chosen or (group == EXPERIMENT and value is None):
        return
    if override.is_add() or override.is_force_add():
        raise BadInput(f"{text}: every run has its {group} already; leave out the +")
    names = value if group == "probe" and isinstance(value, list) else [value]
    other_sweeper = group == "hydra/sweeper" and value not in choices(group)
    if other_sweeper or not all(map(_is_name, names)):
        raise bad_choice(group, shortened(override.get_value_element_as_str()), choices(group))


def _is_name(value: Any) -> bool:
    """Whether a choice of a group could be called so; files that only others use begin with _."""
    name = isinstance(value, str) and value != "???" and value[:1] != "_"
    return name and len(value) <= LONGEST_NAME


@dataclass(frozen=True)
class Later:
    """What the words after a run's folder say.

    data: words that say where its data lie now; trust: packages of one's own; own: the value of
    each key of the command's own.
    """

    data: tuple[str, ...]
    trust: tuple[str, ...]
    own: Mapping[str, Any]


def later(words: Sequence[str], own: Sequence[str], refusal: str) -> Later:
    """The words that a command takes after a run's folder, `own` its own keys.

    Raises `BadInput`, with `refusal` for any other key.
    """
    found = values(words)
    for key in found:
        if group_of(key) != "dataset" and key not in ("trust", *own):
            raise BadInput(f"{key}={shortened(show(found[key]))}: {refusal}")
    last = {str(o.key_or_group): str(o.input_line) for o in parse(words)}
    return Later(
        tuple(word for key, word in last.items() if group_of(key) == "dataset"),
        tuple(packages(found["trust"])) if "trust" in found else (),
        {key: value for key, value in found.items() if key in own},
    )


def run_and_words(
    arguments: Sequence[str], command: str, usage: str
) -> tuple[RunFolder, Sequence[str]]:
    """The run that the first word names, and the words after it. Raises `BadInput`."""
    first = arguments[0] if arguments else ""
    if not first or ((first.startswith("-") or "=" in first) and not is_folder(path_of(first))):
        raise BadInput(f"{command}: which run? write {usage}")
    folder = RunFolder(first)
    if not folder.exists:
        raise BadInput(f"{folder.path}: no run there (it has no config.yaml)")
    return folder, arguments[1:]


def resumed(folder: RunFolder, said: Later) -> Config:
    """The config of a run that goes on as these words say. Raises `BadInput`."""
    from gp_lab.launching.compose import check_found
    from gp_lab.runs.settings import Settings

    config = folder.found_config
    try:
        check_found(config)
        Settings.of(config)
    except BadInput as error:
        raise BadInput(f"{folder.path / 'config.yaml'}: {error}") from error
    before = config["steps"]
    config = elsewhere(config, said.data) | {"trust": list(said.trust), **said.own}
    if Settings.of(config).steps < before:
        raise BadInput(f"steps={config['steps']}: the run has {before}; it can only be extended")
    return config


def own_configs(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """The words without `--config-dir=DIR` (or `--config-dir DIR`), and that folder.

    Raises `BadInput` if it is not there.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", metavar="DIR")

    def refuse(message: str) -> NoReturn:
        raise BadInput(f"--config-dir: {message.partition(': ')[2] or message}")

    parser.error = refuse  # type: ignore[method-assign]
    found, words = parser.parse_known_args(list(arguments))
    return words, _folder_of_configs(found.config_dir)


def _folder_of_configs(text: str | None) -> str | None:
    if not text:
        return None
    if not is_folder(folder := path_of(text)):
        raise BadInput(f"--config-dir={text}: no such folder")
    return str(folder)


def probes_of(words: Sequence[str], out: str, config_dir: str | None = None) -> Config:
    """The probes that words ask for, `probe=NAME` and `probe.NAME.key=value`, composed for a run
    whose root is `out`, with the configs in a folder of one's own. Raises `BadInput`."""
    from gp_lab.launching.compose import compose, hydra_session

    chosen = values([word for word in words if word.startswith("probe=")])
    names = chosen.get("probe", "inception")
    listed = ",".join(map(show, names if isinstance(names, list) else [names]))
    own = [word for word in words if not word.startswith("probe=")]
    with hydra_session(config_dir) as hydra:
        given = parse_arguments([f"out={quoted(out)}", f"probe=[{listed}]", *own]).overrides
        probes: Config = compose(hydra, given)["probe"]
    return probes


def checkpoint_step(written: str, value: Any) -> int | str:
    """The step of a checkpoint, or `best` or `last`, that a word asks for. Raises `BadInput`."""
    if isinstance(value, str) and value in (BEST, LAST):
        return value
    if not isinstance(value, int):
        raise BadInput(f"{shortened(written)}: not a whole number, nor best or last")
    return whole_number(written, value, 0, LAST_STEP)
