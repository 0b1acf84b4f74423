"""The sweeper: products of comma-separated values, and the panels of a figure."""

import math
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from gp_lab.errors import BadInput, bad_choice
from gp_lab.launching.config_groups import choices
from gp_lab.overrides import MOST, each, shortened


class PanelSweeper(Sweeper):
    """Expands the command line and checks every config; `executor`, the launcher, trains them.

    All configs are composed before the first run starts, so a wrong one loses nothing.

    Args:
        params: key -> values, as `key=values` of the command line, which counts where both have a
            key.
    """

    def __init__(self, params: Any = None) -> None:
        self.params = {} if params is None else params

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.master = config
        self.loader = hydra_context.config_loader
        self.executor: Any = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        if not hasattr(self.executor, "launch_configs"):
            name = config.hydra.runtime.choices["hydra/launcher"]
            raise bad_choice("hydra/launcher", name, choices("hydra/launcher"))

    def sweep(self, arguments: list[str]) -> Any:
        return self.executor.launch_configs([job.config for job in self.jobs(arguments)])

    def jobs(self, arguments: list[str]) -> Any:
        """The runs that the command line asks for; none of them is trained."""
        from gp_lab.launching.compose import SeedlessComposer
        from gp_lab.launching.fitting import Fitting
        from gp_lab.launching.hydra_settings import check_same_settings
        from gp_lab.launching.jobs import Job, merged, panel_overrides, product

        user: dict[str, list[str]] = {}
        arguments = [*(f"{key}={value}" for key, value in self.params.items()), *arguments]
        for override in OverridesParser.create(config_loader=self.loader).parse_overrides(
            arguments
        ):
            key, text = override.get_key_element(), override.input_line
            if override.is_sweep_override():
                user[key] = each(override)
                if key in ("figure", "scale"):
                    raise BadInput(f"{text}: one {key} at a time")
            else:
                user[key] = [override.get_value_element_as_str()]
        if (count := math.prod(map(len, user.values()))) > MOST:
            raise BadInput(
                f"{shortened(' '.join(arguments))}: {count} runs; a sweep can have {MOST}"
            )
        figure: Any = OmegaConf.to_container(self.master.figure, resolve=False)
        panels: list[tuple[str | None, list[list[str]]]]
        if figure.get("id"):
            panels = list(panel_overrides(figure, self.master.scale.name, user))
        else:
            panels = [(None, [merged(choice) for choice in product(user)])]
        fit = Fitting(
            lambda overrides: self.loader.load_sweep_config(self.master, overrides),
            self.loader.get_group_options,
            lambda config: check_same_settings(config, self.master),
        )
        compose = SeedlessComposer(fit)
        jobs = {  # runs that differ in nothing but what was left out are one
            (panel, kept): Job(panel, kept, config)
            for panel, runs in panels
            for kept, config in map(compose, runs)
        }
        fit.report(user)
        return list(jobs.values())
