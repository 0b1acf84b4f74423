"""Which of Hydra's own settings the lab obeys. Any other is refused: none is dropped in silence.

On the command line a setting is known by its name, in files by what it makes of Hydra's node: the
lab's files, and Hydra's, leave that as `_usual` says.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from hydra.conf import HydraConf
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gp_lab.errors import BadInput, show
from gp_lab.launching.config_groups import config_folder
from gp_lab.runs import yaml_text
from gp_lab.runs.identity import Config

OBEYED = ("launcher", "sweeper", "mode", "searchpath", "help", "hydra_help")
"""What of `hydra.*` does here what Hydra's documentation says."""

OF_A_SWEEP = {"launcher": "local", "sweeper": "panels"}
"""What of that only a sweep has -> the choice that a single run may have."""

INSTEAD = {
    "run": "a run's folder is named after its config; out=DIR says where it lies",
    "sweep": "a run's folder is named after its config; out=DIR says where it lies",
    "output_subdir": "a run's folder holds its config.yaml; out=DIR says where it lies",
    "callbacks": "what acts while a run trains is a probe",
    "job": "a run never changes the folder or the environment that it is in",
    "job_logging": "a run logs to metrics.jsonl in its folder",
    "hydra_logging": "a run logs to metrics.jsonl in its folder",
    "verbose": "a run logs to metrics.jsonl in its folder",
}
"""Setting -> what there is for whoever wants it."""

FILLED_IN = ("overrides", "runtime", "job.override_dirname", "job.config_name", "job.id", "job.num")
"""What Hydra itself writes there at each composition."""


def check_word(word: str, key: str) -> None:
    """Raises `BadInput` for a word, `key=value`, that sets what is not obeyed."""
    _, _, setting = key.replace("/", ".").partition(".")
    if (name := setting.partition(".")[0]) not in OBEYED:
        raise _refusal(word, name)


def check_settings(config: DictConfig, sweep: bool) -> None:
    """Raises `BadInput` for a setting of a composed config that has no effect.

    sweep: whether the config is that of a sweep.
    """
    node = _plain(config.hydra)
    usual = dict(_leaves(_usual()))
    for key, value in _leaves({k: v for k, v in node.items() if k not in OBEYED}):
        if not key.startswith(FILLED_IN) and value != usual.get(key):
            raise _refusal(f"hydra.{key}={show(value)}", key.partition(".")[0])
    if sweep:
        return
    if config.hydra.mode == RunMode.MULTIRUN:  # of a file that does not choose what a command does
        raise BadInput("hydra.mode=MULTIRUN: only an experiment or the command line can say so")
    for part, choice in OF_A_SWEEP.items():
        before = dict(_leaves(_file(f"hydra/{part}/{choice}")))
        for key, value in _leaves(node[part]):
            if value != before.get(key):
                raise BadInput(
                    f"hydra.{part}.{key}={show(value)}: only a sweep has a {part}; add -m, or in an"
                    " experiment hydra.mode: MULTIRUN"
                )


def check_same_settings(config: DictConfig, master: DictConfig) -> None:
    """Raises `BadInput` where a run of a sweep asks for another sweep than it is part of."""
    check_settings(config, sweep=True)
    for part in OF_A_SWEEP:
        own, of_all = _plain(config.hydra[part]), _plain(master.hydra[part])
        for key, value in _leaves(own):
            if value != dict(_leaves(of_all)).get(key):
                raise BadInput(
                    f"hydra.{part}.{key}={show(value)}: one of several experiments asks for it, and"
                    " it would be for all runs; choose that experiment alone"
                )


def _refusal(text: str, name: str) -> BadInput:
    instead = INSTEAD.get(name) or f"obeyed are {', '.join(f'hydra.{k}' for k in OBEYED)}"
    return BadInput(f"{text}: this setting of Hydra's has no effect here; {instead}")


@cache
def _usual() -> Config:
    """Hydra's node where nobody has set anything, without what is obeyed."""
    node: Config = _plain(OmegaConf.structured(HydraConf()))
    silent = {"version": 1, "root": None, "disable_existing_loggers": False}
    own = {"job": node["job"] | {"name": "gp_lab"}, "job_logging": silent, "hydra_logging": silent}
    return node | own | {"env": {}} | _file("hydra/lab")


def _file(name: str) -> Any:
    return yaml_text.load((config_folder() / f"{name}.yaml").read_text())


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=False)


def _leaves(node: Mapping[str, Any], key: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of what is not a mapping with something in it."""
    for name, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{key}{name}.")
        else:
            yield f"{key}{name}", value
