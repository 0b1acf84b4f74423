"""The launchers of one machine: runs one after another, in processes, or stacked."""

from collections.abc import Sequence
from typing import Any

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class LocalLauncher(Launcher):
    """Trains the jobs on this machine.

    Args:
        processes: how many train at the same time; 0 is one for each core (one, with a GPU).
        stack: how many runs that differ only in their seed are trained as one; 1 is none.
    """

    def __init__(self, processes: int = 1, stack: int = 1) -> None:
        self.processes = processes
        self.stack = stack

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.config = config
        self.hydra_context = hydra_context

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[Any]:
        from gp_lab.launching.compose import plain

        loader = self.hydra_context.config_loader
        return self.launch_configs(
            [plain(loader.load_sweep_config(self.config, list(o))) for o in job_overrides]
        )

    def launch_configs(self, configs: Sequence[dict[str, Any]]) -> Sequence[Any]:
        """Train resolved configs; their outcomes in the same order."""
        from gp_lab.launching.local import train_all

        return train_all(configs, processes=self.processes, stack=self.stack)
