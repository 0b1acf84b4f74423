"""Overrides beside the choices of their groups: keys that only other choices of a group have.

A sweep over choices gives its values to all of them, as `-m penalty=none,zero_gp
penalty.weight=1,10` does: where a choice has no such key the value is checked against those that
have it, and left out. A key that no choice of its group has stays, for Hydra to refuse.
"""

import copy
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from gp_lab.errors import BadInput
from gp_lab.launching.places import groups
from gp_lab.overrides import group_of, parse
from gp_lab.parts import check_types, packages
from gp_lab.runs.identity import Config
from gp_lab.training.place import quiet

OPEN = ("probe", "figure", "scale")
"""Groups whose keys are not those of one part."""

BESIDE = "choices_beside_one_another"


class Fitting:
    """Composes the overrides of one command, each run's without the keys that its choices lack.

    Args:
        load: composes overrides.
        options: the choices of a group.
    """

    def __init__(
        self, load: Callable[[list[str]], DictConfig], options: Callable[[str], list[str]]
    ) -> None:
        self.load, self.options = load, options
        self._left_out: dict[tuple[str, ...], set[str]] = {}
        self._nodes: dict[tuple[str, ...], Config] = {}
        self._groups: dict[str, DictConfig] = {}
        self._checked: set[str] = set()
        self._said: dict[str, None] = {}

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
                if not said or not lacking or not self._choices_with(said[1]):
                    raise
                left_out.add(said[1])
        for override in set(overrides).difference(kept):
            self._check(override, packages(config.trust))
            group = group_of(key := key_of(override))
            self._said[f"{key} with {group}={config.hydra.runtime.choices[group]}"] = None
        return kept, config

    def known(self, overrides: Sequence[str]) -> tuple[str, ...]:
        """Those that are not known to be left out."""
        left_out = self._left_out.get(_choices_of(overrides), ())
        return tuple(o for o in overrides if key_of(o) not in left_out)

    def reference(self, overrides: Sequence[str]) -> Config | None:
        """The groups as these choose them, without values; None where the values change no keys."""
        if any(o[0] in "+~" or key_of(o).endswith("._target_") for o in overrides):
            return self.nodes(_choices_of(overrides))
        return None

    def nodes(self, chosen: tuple[str, ...]) -> Config:
        """The groups of the config that these choices make, nothing resolved."""
        if chosen not in self._nodes:
            config = OmegaConf.masked_copy(self.load(list(chosen)), groups())
            self._nodes[chosen] = _plain(config)
        return self._nodes[chosen]

    def say(self) -> None:
        """One line about all that was left out, if anything was."""
        if self._said and not quiet():
            keys = ", ".join(sorted(self._said))
            print(f"left out, as the choice has no such key: {keys}", file=sys.stderr)

    def _choices_with(self, key: str) -> list[str]:
        """The choices of a key's group that have it."""
        group, _, path = key.partition(".")
        if group not in groups() or group in OPEN:
            return []
        if group not in self._groups:
            every = [f"+{group}@{BESIDE}.{name}={name}" for name in self.options(group)]
            try:
                self._groups[group] = self.load(every)[BESIDE]
            except (HydraException, OmegaConfBaseException, yaml.YAMLError):
                return []  # one of them is broken
        nodes = _plain(self._groups[group])
        return [name for name, node in nodes.items() if _has(node, path.split("."))]

    def _check(self, override: str, trust: Sequence[str]) -> None:
        if override in self._checked:
            return
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
    return tuple(o for o in overrides if key_of(o) in groups())


def _plain(config: DictConfig) -> Config:
    node: Any = OmegaConf.to_container(config, resolve=False)
    return {str(k): v for k, v in node.items()}


def _has(node: Any, path: Sequence[str]) -> bool:
    inside = isinstance(node, Mapping) and path[0] in node
    return inside and (len(path) == 1 or _has(node[path[0]], path[1:]))
