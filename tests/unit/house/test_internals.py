"""What the lab relies on that other packages call private: each in one place, named here.

A new release of one of them that breaks what is relied on fails here, before it fails a run.
"""

import ast
import inspect
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.types import RunMode
from omegaconf import DictConfig
from submitit import SlurmExecutor

import gp_lab.cli
from gp_lab.launching.compose import CONFIG_NAME
from gp_lab.launching.config_groups import config_folder
from gp_lab.launching.hydra_internals import Hydra, context_of, get_args_parser, new_hydra

PACKAGE = Path(gp_lab.cli.__file__).parent
SOURCES = {str(path.relative_to(PACKAGE)): path.read_text() for path in PACKAGE.rglob("*.py")}


def files_with(word: str) -> list[str]:
    return [name for name, text in SOURCES.items() if word in text]


def private_imports(text: str) -> Iterator[str]:
    """What a source imports from other packages that has an underscore before its name."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            first, *rest = name.split(".")
            if first not in ("gp_lab", "__future__") and any(part[0] == "_" for part in rest):
                yield name


def test_each_private_part_of_another_package_is_used_in_one_file() -> None:
    found = {name: sorted(private_imports(text)) for name, text in SOURCES.items()}
    assert {name: used for name, used in found.items() if used} == {
        "launching/hydra_internals.py": [
            "hydra._internal.callbacks.Callbacks",
            "hydra._internal.config_repository.ConfigRepository",
            "hydra._internal.hydra.Hydra",
            "hydra._internal.utils.create_config_search_path",
            "hydra._internal.utils.get_args_parser",
        ],
        "networks/batch_norm.py": ["torch.nn.modules.batchnorm._BatchNorm"],
        "training/compilers.py": [
            "torch._inductor.async_compile.AsyncCompile",
            "torch._inductor.runtime.cache_dir_utils.cache_dir",
        ],
        "training/distributed.py": ["torch.distributed._functional_collectives"],
        "training/replaying.py": [
            "torch.utils._pytree.tree_flatten",
            "torch.utils._pytree.tree_unflatten",
        ],
    }
    assert files_with("._make_submission_file_text") == ["launching/sbatch.py"]
    assert files_with("._set_pg_timeout") == ["training/distributed.py"]
    assert files_with("._get_sequence_number_for_group") == ["training/distributed.py"]


def test_yaml_is_read_by_one_loader() -> None:
    readers = ("yaml.load(", "yaml.safe_load(", "OmegaConf.load(", "yaml.full_load(")
    assert {name for word in readers for name in files_with(word)} == {"runs/yaml_text.py"}


# -- Hydra ---------------------------------------------------------------------------------


@pytest.fixture
def hydra(tmp_path: Path) -> Iterator[Hydra]:
    """Hydra with the lab's configs, and a folder with a loss of its own."""
    (tmp_path / "loss").mkdir()
    for name in ("hinge", "mine"):
        (tmp_path / "loss" / f"{name}.yaml").write_text(f"name: {name}\nmine: 3\n")
    yield new_hydra(config_folder(), str(tmp_path))
    GlobalHydra.instance().clear()


def test_hydra_composes_what_is_in_the_labs_folder_and_then_what_is_in_the_users(
    hydra: Hydra, tmp_path: Path
) -> None:
    assert GlobalHydra.instance().hydra is hydra
    config = hydra.compose_config(
        CONFIG_NAME, ["loss=mine", "seed=7"], RunMode.MULTIRUN, with_log_configuration=False
    )
    assert (config.loss, config.seed) == ({"name": "mine", "mine": 3}, 7)
    assert config.hydra.runtime.choices["loss"] == "mine"
    sources = [source.path for source in config.hydra.runtime.config_sources]
    assert sources.index(str(config_folder())) < sources.index(str(tmp_path))
    both = hydra.compose_config(
        CONFIG_NAME, ["loss=hinge"], RunMode.RUN, with_log_configuration=False
    )
    assert "mine" not in both.loss


def test_hydra_reads_a_file_once_and_composes_as_if_it_read_it_again(
    hydra: Hydra, tmp_path: Path
) -> None:
    def composed(*overrides: str) -> DictConfig:
        return hydra.compose_config(
            CONFIG_NAME, list(overrides), RunMode.RUN, with_log_configuration=False
        )

    first = composed("loss=mine", "loss.mine=4")
    first.loss.mine = 5
    (tmp_path / "loss" / "mine.yaml").write_text("name: mine\nmine: 6\n")
    assert composed("loss=hinge", "penalty=zero_gp").loss.name == "hinge"
    again = composed("loss=mine")
    assert (again.loss.mine, again.penalty.name) == (3, "one_gp")
    assert first.loss.mine == 5
    elsewhere = composed(f"hydra.searchpath=[file://{tmp_path}]", "loss=mine")
    assert elsewhere.loss.mine == 6
    assert composed("loss=mine").loss.mine == 3


def test_hydra_hands_its_loader_to_the_labs_sweeper_and_launcher(hydra: Hydra) -> None:
    master = hydra.compose_config(CONFIG_NAME, [], RunMode.MULTIRUN, with_log_configuration=False)
    sweeper = Plugins.instance().instantiate_sweeper(
        config=master, hydra_context=context_of(hydra), task_function=lambda _: None
    )
    assert sweeper.loader is sweeper.executor.loader is hydra.config_loader
    assert hydra.config_loader.load_sweep_config(master, ["seed=3"]).seed == 3


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("app_help", {"config_name", "args_parser", "args"}),
        ("hydra_help", {"config_name", "args_parser", "args"}),
        ("show_cfg", {"config_name", "overrides", "cfg_type", "package", "resolve"}),
        ("show_info", {"info", "config_name", "overrides"}),
        ("shell_completion", {"config_name", "overrides"}),
    ],
)
def test_hydras_flags_have_a_method_each(method: str, given: set[str]) -> None:
    parameters = inspect.signature(getattr(Hydra, method)).parameters
    assert given <= set(parameters)
    required = {name for name, p in parameters.items() if p.default is inspect.Parameter.empty}
    assert required <= {"self", *given}


def test_hydras_parser_knows_the_flags_that_the_lab_reads() -> None:
    args = get_args_parser().parse_args(["-m", "--cfg", "job", "--resolve", "seed=1,2"])
    assert (args.multirun, args.cfg, args.resolve, args.overrides) == (
        True, "job", True, ["seed=1,2"]
    )  # fmt: skip
    others = {"help", "hydra_help", "info", "package", "config_dir", "config_name", "config_path",
              "experimental_rerun", "shell_completion"}  # fmt: skip
    assert others <= set(vars(args))


# -- submitit ------------------------------------------------------------------------------


def test_submitits_script_runs_a_command_as_it_is_given_in_an_array_of_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    srun = tmp_path / "srun"  # an executor asks whether there is a Slurm
    srun.write_text("#!/bin/sh\n")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    executor = SlurmExecutor(tmp_path)
    executor.update_parameters(
        array_parallelism=3, setup=["first"], teardown=["last $?"], srun_args=["--own"]
    )
    executor.parameters["map_count"] = 5
    command = "python -m mine 'a b' $HOME"
    lines = executor._make_submission_file_text(command, "").splitlines()
    assert lines[0].startswith("#!")
    assert "#SBATCH --array=0-4%3" in lines
    (run,) = (line for line in lines if line.startswith("srun "))
    assert run.endswith(f" --own {command}")
    assert lines.index("first") < lines.index(run) < lines.index("last $?")
    assert f"{tmp_path}/%A_%a_%t_log.out" in run


# -- torch ---------------------------------------------------------------------------------


@pytest.fixture
def one_rank() -> Iterator[dist.ProcessGroup]:
    dist.init_process_group(
        "gloo", store=dist.HashStore(), rank=0, world_size=1, timeout=timedelta(seconds=60)
    )
    assert dist.group.WORLD is not None
    yield dist.group.WORLD
    dist.destroy_process_group()


def test_a_process_groups_patience_is_set_after_it_was_made(one_rank: dist.ProcessGroup) -> None:
    gloo = one_rank._get_backend(torch.device("cpu"))
    assert gloo.options._timeout == timedelta(seconds=60)
    dist.distributed_c10d._set_pg_timeout(timedelta(seconds=7))
    assert gloo.options._timeout == timedelta(seconds=7)


def test_a_backend_counts_what_ranks_have_done_together(one_rank: dist.ProcessGroup) -> None:
    gloo = one_rank._get_backend(torch.device("cpu"))
    before = gloo._get_sequence_number_for_group()
    dist.all_reduce(torch.ones(2))
    dist.all_reduce(torch.ones(2))
    assert gloo._get_sequence_number_for_group() == before + 2
