"""Overrides beside the choices of their groups: keys that only other choices of a group have.

A sweep over choices gives its values to all of them, as `-m penalty=none,zero_gp
penalty.weight=1,10` does: where a choice has no such key the value is checked against those that
have it, and left out. A key that no choice of its group has stays, for Hydra to refuse.
"""

import copy
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import yaml
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from gp_lab.errors import BadInput, bad_key
from gp_lab.instantiate import check_types, packages
from gp_lab.launching.config_groups import EXPERIMENT, groups
from gp_lab.launching.labels import LABELLED, label_of
from gp_lab.overrides import group_of, parse
from gp_lab.runs.identity import Config
from gp_lab.training.process_group import quiet

OPEN = ("probe", "figure", "scale")
"""Groups whose keys are not those of one part."""

BESIDE = "choices_beside_one_another"


class Fitting:
    """Composes the overrides of one command, each run's without the keys that its choices lack.

    Args:
        load: composes overrides.
        options: the choices of a group.
        check: refuses a run's config for what it says of Hydra.
    """

    def __init__(
        self,
        load: Callable[[list[str]], DictConfig],
        options: Callable[[str], list[str]],
        check: Callable[[DictConfig], None],
    ) -> None:
        self.load, self.options, self.check = load, options, check
        self._left_out: dict[tuple[str, ...], set[str]] = {}
        self._nodes: dict[tuple[str, ...], Config] = {}
        self._groups: dict[str, DictConfig] = {}
        self._checked: set[str] = set()
        self._named: set[tuple[str, str]] = set()
        self._of_experiments: set[str] = set()

    def __call__(self, overrides: Sequence[str]) -> tuple[tuple[str, ...], DictConfig]:
        """The overrides that the choices among them know, and the config that they make.

        Raises `BadInput` for a value that no choice with its key would take, and what Hydra does.
        """
        left_out = self._left_out.setdefault(_choices_of(overrides), set())
        while True:
            kept = self.known(overrides)
            try:
                config = self.load(list(kept))
                break
            except ConfigCompositionException as error:
                said = re.search(r"Could not override '([^']+)'", str(error))
                lacking = isinstance(error.__cause__, ConfigKeyError | ConfigAttributeError)
                if not said or not lacking:
                    raise
                if not self._choices_with(key := said[1]):
                    if beside := self._beside(key):
                        raise bad_key(key, beside) from error
                    raise
                left_out.add(key)
        self.check(config)
        self._drop_values_of_others(kept, config)
        for override in set(overrides).difference(kept):
            self._check(override, config)
            group = group_of(key := key_of(override))
            self._named.add((key, f"{group}={config.hydra.runtime.choices[group]}"))
        return kept, config

    def _drop_values_of_others(self, overrides: Sequence[str], config: DictConfig) -> None:
        """An experiment's values for its own choices, where the command line has chosen others."""
        if config.hydra.runtime.choices.get(EXPERIMENT) is None:
            return
        chosen = config.hydra.runtime.choices
        left = [
            (group, key, f"{group}={chosen[group]}")
            for group, usual in (self.reference(overrides, config) or {}).items()
            if group not in OPEN and isinstance(usual, Mapping)
            for key in set(config[group]) - set(usual)
            if any(key in node for node in self._nodes_at([group]).values())
        ]
        left += [
            (
                "probe",
                name,
                f"probe=[{','.join(k for k, v in config.probe.items() if '_target_' in v)}]",
            )
            for name, node in config.probe.items()
            if "_target_" not in node and name in self.options("probe")
        ]
        for group, key, choice in left:
            with open_dict(config):
                del config[group][key]
            self._named.add((f"{group}.{key}", choice))
            self._of_experiments.add(f"{group}.{key}")

    def known(self, overrides: Sequence[str]) -> tuple[str, ...]:
        """Those that are not known to be left out."""
        left_out = self._left_out.get(_choices_of(overrides), ())
        return tuple(o for o in overrides if key_of(o) not in left_out)

    def reference(self, overrides: Sequence[str], config: DictConfig) -> Config | None:
        """The groups as a config chooses them, without the values of these overrides and of an
        experiment; None where the values change no keys."""
        changed = any(o[0] in "+~" or key_of(o).endswith("._target_") for o in overrides)
        if not changed and config.hydra.runtime.choices.get(EXPERIMENT) is None:
            return None
        return self._chosen(config)

    def label(self, overrides: Sequence[str], config: DictConfig, values: Config) -> str | None:
        """What these overrides make a run's `values` differ in from what its choices say.

        None where nothing does, and for the runs of an entry, which their panel tells apart.
        """
        own = any(group_of(o) in LABELLED and "." in key_of(o) for o in overrides)
        own = own or config.hydra.runtime.choices.get(EXPERIMENT) is not None
        if values["panel"] is not None or not own:
            return None
        return label_of(values, self._chosen(config))

    def _chosen(self, config: DictConfig) -> Config:
        chosen = config.hydra.runtime.choices
        return self.nodes(tuple(f"{g}={chosen[g]}" for g in groups() if chosen.get(g) is not None))

    def nodes(self, chosen: tuple[str, ...]) -> Config:
        """The groups of the config that these choices make, nothing resolved."""
        if chosen not in self._nodes:
            config = OmegaConf.masked_copy(self.load(list(chosen)), groups())
            self._nodes[chosen] = _plain(config)
        return self._nodes[chosen]

    def choices(self, group: str) -> DictConfig:
        """Each choice of a group, without values."""
        if group not in self._groups:
            names = [name for name in self.options(group) if name[0] != "_"]
            composed = self.load([f"+{group}@{BESIDE}.{name}={name}" for name in names])
            self._groups[group] = composed[BESIDE]
        return self._groups[group]

    def report(self, given: Collection[str]) -> None:
        """One line about all that was left out of what a user has given, if anything was."""
        said = {*given, *self._of_experiments}
        named = [f"{key} with {choice}" for key, choice in sorted(self._named) if key in said]
        if named and not quiet():
            print(f"left out, as the choice has no such key: {', '.join(named)}", file=sys.stderr)

    def _choices_with(self, key: str) -> list[str]:
        """The choices of a key's group that have it."""
        *above, last = key.split(".")
        return [name for name, node in self._nodes_at(above).items() if last in node]

    def _beside(self, key: str) -> set[str]:
        """The keys that any choice of a key's group has where this one would stand."""
        above = key.split(".")[:-1]
        return set[str]().union(*self._nodes_at(above).values()) - {"_target_"}

    def _nodes_at(self, path: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """What each choice of the group that a path begins with has there, if it is a mapping."""
        group, *inside = path or [""]
        if group not in groups() or group in OPEN:
            return {}
        try:
            nodes: dict[str, Any] = _plain(self.choices(group))
        except (HydraException, OmegaConfBaseException, yaml.YAMLError):
            return {}  # one of them is broken
        for key in inside:
            nodes = {n: node.get(key) for n, node in nodes.items() if isinstance(node, Mapping)}
        return {name: node for name, node in nodes.items() if isinstance(node, Mapping)}

    def _check(self, override: str, config: DictConfig) -> None:
        if override in self._checked:
            return
        trust = packages(_plain(OmegaConf.masked_copy(config, "trust"))["trust"])
        (parsed,), problems = parse([override]), list[BadInput]()
        group, _, path = str(parsed.key_or_group).partition(".")
        for name in self._choices_with(key_of(override)):
            nodes = copy.deepcopy(self._groups[group])
            OmegaConf.update(nodes[name], path, parsed.value())
            try:
                check_types(OmegaConf.to_container(nodes[name], resolve=True), group, trust)
            except BadInput as error:
                problems.append(error)
            else:
                self._checked.add(override)
                return
        raise problems[0]


def key_of(override: str) -> str:
    """What stands before the =, with its + or ~."""
    return override.partition("=")[0]


def _choices_of(overrides: Sequence[str]) -> tuple[str, ...]:
    return tuple(o for o in overrides if key_of(o) in (EXPERIMENT, *groups()))


def _plain(config: DictConfig) -> Config:
    node: Any = OmegaConf.to_container(config, resolve=False)
    return {str(k): v for k, v in node.items()}
