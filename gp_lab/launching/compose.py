"""Composing configs with Hydra, and saying in one sentence what is wrong with one."""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from gp_lab.errors import BadInput, bad_choice, bad_key, show
from gp_lab.files import expanded
from gp_lab.instantiate import packages
from gp_lab.launching.config_groups import EXPERIMENT, choices, config_folder, groups
from gp_lab.launching.fitting import OPEN, Fitting, key_of
from gp_lab.launching.hydra_internals import Hydra, context_of, new_hydra
from gp_lab.launching.hydra_settings import check_settings
from gp_lab.launching.jobs import Job
from gp_lab.launching.methods import NO_METHODS, Methods
from gp_lab.overrides import group_of, unreadable
from gp_lab.runs import yaml_text
from gp_lab.runs.identity import Config
from gp_lab.runs.older import NEW_KEYS
from gp_lab.runs.result import RunResult

CONFIG_NAME = "train"
NOT_CHOICES = {"defaults", "hydra", "_target_"}
"""Keys that are there, but that nobody should be pointed to."""


@contextmanager
def hydra_session(config_dir: str | None = None) -> Iterator[Hydra]:
    """Hydra with the lab's configs and the user's own; its errors become `BadInput`."""
    one = GlobalHydra.instance()
    others, one.hydra = one.hydra, None  # of a program that calls the lab
    try:
        hydra = new_hydra(config_folder(), config_dir)
        with one_sentence():
            yield hydra
    finally:
        one.hydra = others


def fitting(hydra: Hydra, sweep: bool = True) -> Fitting:
    """Composes the overrides of a command, as its choices know them; of a sweep, or of one run."""
    return Fitting(
        lambda overrides: hydra.compose_config(CONFIG_NAME, overrides, RunMode.RUN),
        hydra.config_loader.get_group_options,
        lambda config: check_settings(config, sweep),
    )


def known(hydra: Hydra, overrides: Sequence[str]) -> list[str]:
    """The overrides that the choices among them know; says which of the others are left out."""
    fit = fitting(hydra, sweep=False)
    kept, _ = fit(overrides)
    fit.report(set(map(key_of, overrides)))
    return list(kept)


def compose(hydra: Hydra, overrides: Sequence[str]) -> Config:
    """The resolved config of one run."""
    return _compose(fitting(hydra, sweep=False), overrides)[0]


def compose_figure(hydra: Hydra, overrides: Sequence[str]) -> tuple[Config, dict[str, Any]]:
    """The config that these overrides ask for, and the node of the entry that they name."""
    return _compose(fitting(hydra), overrides)


def _compose(fit: Fitting, overrides: Sequence[str]) -> tuple[Config, dict[str, Any]]:
    kept, config = fit(overrides)
    values = plain(config, fit.reference(kept, config))
    values["label"] = fit.label(kept, config, values)
    figure = OmegaConf.to_container(config.figure, resolve=True)
    assert isinstance(figure, dict)
    fit.report(set(map(key_of, overrides)))
    return values, {str(k): v for k, v in figure.items()}


@dataclass(frozen=True)
class Sweep:
    """The runs of a sweep, or of a figure: composed and checked, not trained yet."""

    jobs: list[Job]
    launcher: Any
    """The one that the overrides asked for."""
    methods: Mapping[str, Any]
    """Those of one's own that join an entry, as `methods_of` reads them."""

    def check(self) -> None:
        """Raises `BadInput` for what `train` would refuse, and trains nothing."""
        self.launcher.check_configs([job.config for job in self.jobs])

    def train(self) -> list[RunResult]:
        """The results, in the order of the jobs."""
        from gp_lab.tracking import sweeps

        sweeps.decline(len(self.jobs))
        results: list[RunResult] = self.launcher.launch_configs([job.config for job in self.jobs])
        return results


def sweep_of(hydra: Hydra, overrides: Sequence[str], methods: Methods = NO_METHODS) -> Sweep:
    """What these overrides ask for, `methods` beside an entry's own. Raises `BadInput` for a wrong
    one in any of its runs.

    Only what chooses the sweep itself is composed beforehand: the other overrides are for the runs,
    and a panel may have keys that no other config has.
    """
    master = master_of(hydra, of_the_sweep(hydra, overrides))
    for name, own in methods.items():
        OmegaConf.update(master, f"figure.methods.{name}", list(own), force_add=True)
    try:
        sweeper: Any = Plugins.instance().instantiate_sweeper(
            config=master,
            hydra_context=context_of(hydra),
            task_function=lambda _: None,  # the lab's launchers take configs instead
        )
    except RuntimeError as error:  # hydra.launcher._target_=os.system
        raise BadInput(f"hydra.launcher, hydra.sweeper: {_first_line(error)}") from error
    jobs = sweeper.jobs([o for o in overrides if group_of(o) != "hydra"])
    figure: Any = OmegaConf.to_container(master.figure)
    return Sweep(jobs, sweeper.executor, figure.get("methods") or {})


def of_the_sweep(hydra: Hydra, overrides: Sequence[str]) -> list[str]:
    """Those of the overrides that may say how a sweep is made, and not only what its runs are.

    They are figure, scale, experiment, Hydra's own keys, and files of groups that runs lack.
    """
    own = ("figure", "scale", "hydra", EXPERIMENT)
    return [
        o
        for o in overrides
        if group_of(o) in own
        or (o[0] == "+" and hydra.config_loader.get_group_options(key_of(o).lstrip("+")))
    ]


def master_of(hydra: Hydra, overrides: Sequence[str]) -> DictConfig:
    """The config of a sweep, whose runs each have one of their own."""
    config = hydra.compose_config(CONFIG_NAME, [*overrides], RunMode.MULTIRUN)
    check_settings(config, sweep=True)
    return config


def plain(config: DictConfig, reference: Config | None = None) -> Config:
    """A composed config as plain data: resolved, without Hydra's node, entries as tags.

    `reference` is what its choices are without the user's values; left out, where those add and
    delete no keys and change no targets. Raises `BadInput` for a missing value, a key that was
    added or deleted, or an interpolation that leads nowhere or reads the environment.
    """
    with one_sentence():
        node = OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"])
        written: Any = OmegaConf.to_container(node, resolve=False)
        _refuse_resolvers(written)
        if isinstance(out := written.get("out"), str):
            OmegaConf.update(node, "out", expanded(out))  # before other keys are made of it
        data = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    assert isinstance(data, dict)
    values: Config = {str(k): v for k, v in data.items()}
    check_keys(values, reference or values)
    _name_by_file_or_class(config, values, reference or values)
    values["figure"] = {"id": values["figure"]["id"]}
    if (trusted := packages(values["trust"])) and "trust" not in _given(config):
        raise BadInput(
            f"trust={show(trusted)}: said by a config; a package is admitted on the command line"
            " alone"
        )
    values["trust"] = trusted
    return values


class SeedlessComposer:
    """Composes the configs of a sweep; those that differ in nothing but their seed, once."""

    def __init__(self, fit: Fitting) -> None:
        self.fit = fit
        self.known: dict[tuple[str, ...], tuple[DictConfig | None, Config | None, Config]] = {}
        """Overrides -> the composed if its keys follow the seed, its reference, the config."""

    def __call__(self, overrides: Sequence[str]) -> tuple[tuple[str, ...], Config]:
        """The overrides that a run's choices know, and its resolved config. Raises `BadInput`."""
        seeds = [o.removeprefix("seed=") for o in overrides if o.startswith("seed=")]
        rest = tuple(o for o in overrides if not o.startswith("seed="))
        if rest in self.known and len(seeds) == 1 and re.fullmatch("0|[1-9][0-9]*", seeds[0]):
            follows, reference, config = self.known[rest]
            if follows is None:
                config = copy.deepcopy(config) | {"seed": int(seeds[0])}
            else:
                follows.seed = int(seeds[0])
                config = plain(follows, reference) | {"label": config["label"]}
            return self.fit.known(overrides), config
        kept, found = self.fit(overrides)
        reference = self.fit.reference(kept, found)
        config = plain(found, reference)
        config["label"] = self.fit.label(kept, found, config)
        written = [str(node) for key, node in found.items_ex(resolve=False) if key != "hydra"]
        follows = found if any("seed}" in text for text in written) else None
        self.known[rest] = follows, reference, config
        return kept, config


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turns the exceptions of Hydra and OmegaConf into `BadInput` with one sentence."""
    try:
        yield
    except MissingConfigException as error:
        raise _missing(error) from error
    except (HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__ if isinstance(error.__cause__, BadInput) else None
        raise cause or _unfit(error) from error
    except yaml.YAMLError as error:
        raise BadInput(f"a config is not YAML: {' '.join(str(error).split())}") from error


def _missing(error: MissingConfigException) -> BadInput:
    """A member of a group that is not there; `figure` has groups inside."""
    path = error.missing_cfg_file or str(error).partition("Could not load '")[2].partition("'")[0]
    group = "/".join(path.split("/")[: 2 if path.startswith("hydra/") else 1])
    ours = group == "figure" or group.startswith("hydra/")
    known = choices(group) if ours else error.options or choices(group)
    known = [name for name in known if name[0] != "_"]
    return bad_choice(group, path.removeprefix(group + "/"), known)


def _unfit(error: BaseException) -> BadInput:
    """The sentence for a key or value that Hydra or OmegaConf refuses."""
    if isinstance(error, OverrideParseException):
        return unreadable(error.override, error)
    inner = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if not isinstance(inner, OmegaConfBaseException):
        more = f" ({_first_line(inner)})" if inner is not None and str(inner) else ""
        if match := re.search(r"already at '([^']+)'", str(error)):
            return BadInput(f"{match[1]}: exists already; write it without +")
        if match := re.search(r"Could not override '([^']+)'", str(error)):
            return bad_key(match[1], _known())
        return BadInput(_first_line(error) + more)
    if isinstance(inner, MissingMandatoryValue):
        return BadInput(f"{inner.full_key}=???: has no value; write {inner.full_key}=value")
    if isinstance(inner, ConfigKeyError | ConfigAttributeError):
        parent = inner.parent_node
        keys = parent.keys() if isinstance(parent, DictConfig) and not parent._is_none() else ()
        return bad_key(str(inner.full_key), [str(k) for k in keys if k not in NOT_CHOICES])
    return BadInput(f"{inner.full_key}: {_first_line(inner)}")


def check_found(config: Config) -> None:
    """As `check_keys`, of a config that was found in a run's folder."""
    named = {g: config[g].get("name") for g in groups() if isinstance(config.get(g), Mapping)}
    named = {g: name for g, name in named.items() if g not in OPEN and name in choices(g)}
    with hydra_session() as hydra:
        reference = fitting(hydra).nodes(tuple(f"{g}={name}" for g, name in named.items()))
    check_keys(config, {group: reference[group] for group in named})


def check_keys(config: Config, reference: Config) -> None:
    """Raises `BadInput` for a key that nobody reads (`+penalty.wieght=3`) or one that is missing.

    Which keys there are is what the groups' choices say, composed without the user's values: the
    groups of `reference`. A part of another class than its choice's is asked when it is built, as
    probes are and parts from outside gp_lab.
    """
    _same_keys("", {**NEW_KEYS, **config}, _known())
    for group in groups():
        node = config[group]
        if not isinstance(node, Mapping):
            raise BadInput(f"{group}={show(node)}: not a mapping of keys to values")
        usual = reference.get(group, {}) if group not in ("probe", "figure") else {}
        target = node.get("_target_")
        if usual and target == usual.get("_target_") and str(target or "gp_lab.")[:7] == "gp_lab.":
            # A digest of data is younger than some runs, and older than none: its reader checks it.
            node = {k: v for k, v in node.items() if k != "digest"}
            _same_keys(f"{group}.", node, set(usual) - {"digest"})
    for name, node in config["probe"].items():
        if not isinstance(node, Mapping) or "_target_" not in node:
            raise BadInput(f"probe.{name}: values of a probe that is not chosen; see probe=[...]")


def _known() -> set[str]:
    return {*_file("train"), *groups()} - NOT_CHOICES


def _same_keys(prefix: str, node: Mapping[str, Any], known: set[str]) -> None:
    for key in node:
        if key not in known:
            raise bad_key(f"{prefix}{key}", known - NOT_CHOICES)
    for key in sorted(known):
        if key not in node:
            raise BadInput(f"{prefix}{key}: missing; every run has it")


def _name_by_file_or_class(config: DictConfig, values: Config, reference: Config) -> None:
    """A part is named as its file is, or as its class where that is not the file's.

    A run's name is made of these: `penalty.name=../x` would lead out of the runs. A file that
    inherits need not say its name.
    """
    given = _given(config)
    for group, choice in config.hydra.runtime.choices.items():
        path = _path_of(config, group, choice) if group in groups() else None
        if path is None:
            continue
        own, node = yaml_text.load_file(path, path.stat().st_mtime_ns) or {}, values[group]
        if (said := own.get("name", choice)) != choice:
            raise BadInput(
                f"{path}: says name: {show(said)}; it must say name: {choice}, as the file is named"
            )
        if "name" in node and "name" not in own and f"{group}.name" not in given:
            node["name"] = choice
        if (name := node.get("name", choice)) != choice:
            raise BadInput(f"{group}.name={show(name)}: the {group} is named {choice}")
        target, usual = node.get("_target_"), reference[group].get("_target_")
        if "name" in node and usual and isinstance(target, str) and target != usual:
            node["name"] = target.rpartition(".")[2]


def _given(config: DictConfig) -> set[str]:
    """The keys that the command line has given values."""
    return {key_of(word).lstrip("+") for word in config.hydra.overrides.task}


def _path_of(config: DictConfig, group: str, choice: Any) -> Path | None:
    """The file of a choice: the lab's before the user's own."""
    for source in config.hydra.runtime.config_sources:
        path = Path(source.path, group, f"{choice}.yaml")
        if source.schema == "file" and path.is_file():
            return path
    return None


@cache
def _file(name: str) -> dict[str, Any]:
    return yaml_text.load((config_folder() / f"{name}.yaml").read_text())


def _refuse_resolvers(node: Any, key: str = "") -> None:
    """Custom resolvers have no place in a run: `oc.env` would write secrets into its folder."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            _refuse_resolvers(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            _refuse_resolvers(value, f"{key}[{i}]")
    elif isinstance(node, str):
        rest, last = node, ""
        while rest != last:  # what is left when all plain ${a.b} are gone, from the inside out
            rest, last = re.sub(r"\$\{[^${}:]*\}", "", rest), rest
        if "${" in rest:
            raise BadInput(f"{key}={node}: resolvers are not allowed in a run's config")


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
