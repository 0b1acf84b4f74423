"""What is to be trained: each run with its parts and its folder, built and checked beforehand."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from gp_lab.data.contents import looking
from gp_lab.errors import BadInput, LabError
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.identity import Config, folder_of
from gp_lab.runs.result import RunResult, result_of
from gp_lab.runs.settings import Settings
from gp_lab.training.data import run_data
from gp_lab.training.ranks import FolderOfAnotherRank, Ranks
from gp_lab.training.replicas import set_status_from_outside
from gp_lab.training.setup import Setup, setup
from gp_lab.training.stacking import refuse_unlike


@dataclass(frozen=True)
class PlannedRun:
    """A run that is asked for: its config, settings and parts (`setup`), and its folder.

    The folder need not be there yet.
    """

    setup: Setup
    folder: RunFolder

    @property
    def settings(self) -> Settings:
        return self.setup.settings

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return not self.settings.force and self.folder.finished(self.settings.steps)

    @property
    def result(self) -> RunResult:
        """How it has ended."""
        return result_of(self.folder, self.settings.steps)

    @property
    def why_alone(self) -> str:
        """Why it has been trained alone so far, where a stack was measured to be slower."""
        status = self.folder.status if self.folder.exists and not self.settings.force else {}
        said = status.get("stack_reason") if status.get("step") and status["stack"] == 1 else ""
        return said if isinstance(said, str) else ""

    @property
    def batch_norm(self) -> str:
        """How several ranks share batch norm: as before the run was resumed."""
        status = self.folder.status if self.folder.exists and not self.settings.force else {}
        before = status.get("batch_norm") if status.get("step") else None
        return before if before in ("local", "synchronised") else self.settings.batch_norm


def plan(
    configs: Sequence[Config], folders: Sequence[RunFolder] | None, ranks: Ranks
) -> list[PlannedRun]:
    """The runs of one call to `train`, in order; nothing is written.

    Left out, `folders` are where the configs say. Ranks that do
    not write get a `FolderOfAnotherRank` for each. Raises `BadInput` for what cannot be trained,
    or not together.
    """
    refuse_unlike(configs)
    if ranks.world > 1 and len(configs) > 1:
        raise BadInput(
            f"{len(configs)} runs in a stack: {ranks.world} ranks train one run at a time; use"
            " hydra/launcher=local"
        )
    with looking():
        data = run_data(configs, folders)
        folders = folders or folders_of([each.config for each in data])
        setups = [setup(each.config, each.contents) for each in data]
    if not ranks.is_main:
        folders = [FolderOfAnotherRank(folder.path) for folder in folders]
    return [PlannedRun(*both) for both in zip(setups, folders, strict=True)]


def folders_of(configs: Sequence[Config]) -> list[RunFolder]:
    """Where these runs are kept, as their configs say."""
    return [RunFolder(folder_of(config)) for config in configs]


def fail_before_training(
    configs: Sequence[Config], folders: Sequence[RunFolder], why: str, state: State
) -> None:
    """The last word of several ranks on runs that they were to train, and that have a folder."""
    for config, folder in zip(configs, folders, strict=True):
        with suppress(LabError, OSError):  # what cannot be read is left alone
            if folder.exists and not folder.finished(config["steps"]):
                set_status_from_outside(RunFolder(folder.path), state, why)
