"""The launchers: runs on this machine, one after another, in processes or stacked; and on Slurm."""

from collections.abc import Sequence
from typing import Any

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from gp_lab.errors import BadInput, show


def whole(key: str, value: Any, at_least: int, other: str = "") -> int:
    """A launcher's number, checked; `other` is what it may be instead. Raises `BadInput`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        choice = f" or {other}" if other else ""
        raise BadInput(f"{key}={show(value)}: not a whole number of at least {at_least}{choice}")
    return value


class ConfigLauncher(Launcher):
    """A launcher that is given resolved configs by the sweeper, in `launch_configs`."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.master = config
        self.loader = hydra_context.config_loader

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
        from gp_lab.launching.compose import plain

        return self.launch_configs(
            [plain(self.loader.load_sweep_config(self.master, list(o))) for o in job_overrides]
        )

    def launch_configs(self, configs: Sequence[dict[str, Any]]) -> Sequence[Any]:
        """Train resolved configs; their results in the same order."""
        raise NotImplementedError

    def check_configs(self, configs: Sequence[dict[str, Any]]) -> None:
        """Raises `BadInput` for what `launch_configs` would refuse of those that are to train."""
        from gp_lab.launching.local import checked_here, unfinished

        checked_here(unfinished(configs))


class LocalLauncher(ConfigLauncher):
    """Trains the jobs on this machine.

    Args:
        processes: how many train at the same time; 0 is one for each core (one, with a GPU).
        max_stack: the most runs that are trained as one stack (they may differ in their seeds,
            data, rates and numbers: `gp_lab/training/stacking.py`); `auto` fits the memory.
    """

    def __init__(self, processes: int = 1, max_stack: Any = 1) -> None:
        self.processes = whole("hydra.launcher.processes", processes, at_least=0)
        self.max_stack = max_stack
        if max_stack != "auto":
            whole("hydra.launcher.max_stack", max_stack, at_least=1, other="auto")

    def launch_configs(self, configs: Sequence[dict[str, Any]]) -> Sequence[Any]:
        from gp_lab.launching.local import train_all

        return train_all(configs, processes=self.processes, max_stack=self.max_stack)


class SlurmLauncher(ConfigLauncher):
    """Trains the jobs on a cluster; the keys are those of `gp_lab.launching.sbatch.Jobs`."""

    def __init__(self, **keys: Any) -> None:
        from gp_lab.instantiate import checked
        from gp_lab.launching.sbatch import Jobs

        plain = {k: OmegaConf.to_object(v) if OmegaConf.is_config(v) else v
                 for k, v in keys.items()}  # fmt: skip
        self.jobs = checked(Jobs, plain, "hydra.launcher")

    def launch_configs(self, configs: Sequence[dict[str, Any]]) -> Sequence[Any]:
        from gp_lab.launching.slurm import train_on_slurm

        return train_on_slurm(configs, self.jobs)

    def check_configs(self, configs: Sequence[dict[str, Any]]) -> None:
        # The nodes have the GPUs; what can be checked without one is checked here.
        from gp_lab.launching.local import checked_setups, unfinished

        checked_setups([config | {"device": "cpu"} for config in unfinished(configs)])
