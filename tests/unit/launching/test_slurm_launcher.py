"""What the Slurm launcher refuses, writes into a batch script and reads of a job; without Slurm."""

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hydra.types import RunMode
from lab import (
    SMALL,
    config_of,
    trained,
)
from omegaconf import OmegaConf
from on_slurm import (
    ON_SLURM,
)

from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.launching.compose import CONFIG_NAME, hydra_session
from gp_lab.launching.sbatch import Jobs, batch_script, log_of
from gp_lab.launching.slurm_job import progress, runs_of
from gp_lab.runs.folder import RunFolder, State


def test_where_there_is_no_slurm_one_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    command = ["train", "-m", *SMALL, "hydra/launcher=slurm", f"out={tmp_path}"]
    assert main(command) == Exit.BAD_INPUT
    assert "hydra.launcher=slurm" not in (error := capsys.readouterr().err)
    assert error.count("\n") == 1
    assert "there is no sbatch here" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("hydra.launcher.wiat=true", "hydra.launcher.wiat: no such key"),
        ("hydra.launcher.timeout_min=soon", "hydra.launcher.timeout_min=soon: not a whole number"),
        ("hydra.launcher.stack=0", "hydra.launcher.stack=0"),
        ("hydra.launcher.setup=module", "hydra.launcher.setup=module: not a list"),
    ],
)
def test_a_wrong_key_of_the_launcher_is_named(
    override: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "-m", *SMALL, "hydra/launcher=slurm", override, f"out={tmp_path}"]
    assert main(command) == Exit.BAD_INPUT
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (("stack=2", "tasks_per_node=2"), "hydra.launcher.stack=2: the 2 ranks of a job"),
        (("nodes=2", "tasks_per_node=9"), "batch_size=16: fewer samples than the 18 ranks"),
        (("tasks_per_node=2", "gpus_per_node=1"), "more ranks than hydra.launcher.gpus_per_node=1"),
        (("timeout_min=2", "signal_delay_s=120"), "hydra.launcher.signal_delay_s=120: as long as"),
    ],
)
def test_what_no_job_of_its_size_can_train_is_refused_before_anything_is_written(
    overrides: tuple[str, ...],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    launcher = [f"hydra.launcher.{o}" for o in overrides]
    assert main(["train", "-m", *SMALL, *ON_SLURM[:3], *launcher, f"out={tmp_path}"]) == (
        Exit.BAD_INPUT
    )
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_log_of_one_task_is_named_and_of_several_their_pattern(tmp_path: Path) -> None:
    (tmp_path / "12_3_0_log.out").touch()
    assert log_of(tmp_path, "12_3").name == "12_3_0_log.out"
    (tmp_path / "12_3_1_log.out").touch()
    assert log_of(tmp_path, "12_3").name == "12_3_*_log.out"


def test_the_batch_script_asks_for_the_nodes_tells_the_run_in_time_and_requeues(
    needs_tool: Callable[[str], None], tmp_path: Path
) -> None:
    needs_tool("srun")
    jobs = Jobs(nodes=2, tasks_per_node=8, gpus_per_node=8, partition="big", timeout_min=90,
                cpus_per_task=4, signal_delay_s=77, array_parallelism=3,
                setup=("module load cuda",), additional_parameters={"mail-user": "me"})  # fmt: skip
    script = batch_script(tmp_path, 5, ["mine"], jobs).splitlines()
    asked = ("nodes=2", "ntasks-per-node=8", "gpus-per-node=8", "partition=big", "time=90",
             "signal=USR2@77", "array=0-4%3", "mail-user=me", "requeue",
             "cpus-per-task=4")  # fmt: skip
    assert {f"#SBATCH --{flag}" for flag in asked} <= set(script)
    (place,) = (i for i, line in enumerate(script) if line.startswith("srun "))
    assert script.index("module load cuda") < place
    assert "--cpus-per-task=4" in script[place].split()
    assert any(line.endswith("trust=mine") for line in script)


def test_the_presets_of_whole_nodes_are_those_of_one_gpu_but_for_a_jobs_size() -> None:
    one, node, nodes = map(_preset, ("slurm", "slurm_node", "slurm_nodes"))
    of_node = {"tasks_per_node": 8, "gpus_per_node": 8, "cpus_per_task": 8}
    assert node == one | of_node
    assert nodes == one | of_node | {"nodes": 2}
    keys = {field.name for field in fields(Jobs)}
    assert set(one) == {"_target_", *keys}


def _preset(name: str) -> dict[str, Any]:
    with hydra_session() as hydra:
        given = [f"hydra/launcher={name}"]
        config = hydra.compose_config(
            CONFIG_NAME, given, RunMode.MULTIRUN, with_log_configuration=False
        )
    return OmegaConf.to_container(config.hydra.launcher)


def test_a_job_that_finished_one_run_and_began_another_has_made_progress(tmp_path: Path) -> None:
    done, next_one = trained("seed=0", "steps=5", f"out={tmp_path}"), RunFolder(tmp_path / "next")
    done.set_status(State.FINISHED, began=0)
    next_one.create(config_of("seed=1", "steps=5", f"out={tmp_path}"), "next")
    next_one.set_status(State.PREEMPTED, began=0)
    assert progress([done, next_one])
    done.set_status(State.FINISHED, began=5)  # as it was in the job's next life
    assert not progress([done, next_one])


@pytest.mark.parametrize("name", ["../../etc", "/etc", "..", "", 3])
def test_a_list_of_runs_that_leads_outside_is_refused(name: object, tmp_path: Path) -> None:
    submission = tmp_path / "jobs" / "one"
    submission.mkdir(parents=True)
    (submission / "runs.json").write_text(json.dumps([[name]]))
    with pytest.raises(BadInput, match="not the name of a run"):
        runs_of(submission)
