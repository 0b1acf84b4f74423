"""The sweeper: products of comma-separated values, and the panels of a figure."""

from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class PanelSweeper(Sweeper):
    """Expands the command line, checks every config, hands the runs to the launcher.

    `sweep` returns (jobs, outcomes), in the same order. All configs are composed before the
    first run starts, so a wrong one loses nothing.
    """

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        from gp_lab.errors import BadInput
        from gp_lab.launching.compose import plain
        from gp_lab.launching.panels import Job, merged, panel_overrides, product

        loader = self.hydra_context.config_loader
        user: dict[str, list[str]] = {}
        for override in OverridesParser.create(config_loader=loader).parse_overrides(arguments):
            key = override.get_key_element()
            if override.is_sweep_override():
                if not override.is_discrete_sweep():
                    raise BadInput(f"{key}: a sweep lists its values, as in {key}=1,2 or range(3)")
                user[key] = list(override.sweep_string_iterator())
            else:
                user[key] = [override.get_value_element_as_str()]
        figure = OmegaConf.to_container(self.config.figure, resolve=False)
        assert isinstance(figure, dict)
        panels: list[tuple[str | None, list[list[str]]]]
        if figure.get("id"):
            panels = list(panel_overrides(figure, self.config.scale.name, user))
        else:
            panels = [(None, [merged(choice) for choice in product(user)])]
        jobs = [
            Job(panel, tuple(overrides), plain(loader.load_sweep_config(self.config, overrides)))
            for panel, runs in panels
            for overrides in runs
        ]
        launch_configs = getattr(self.launcher, "launch_configs", None)
        if launch_configs is not None:  # a launcher of ours takes the configs that are composed
            return jobs, launch_configs([job.config for job in jobs])
        return jobs, self.launcher.launch([job.overrides for job in jobs], initial_job_idx=0)
