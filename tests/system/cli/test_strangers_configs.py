"""Configs and names from strangers are data: they name parts of the lab, and nothing outside it.

Interpolations and trust in found configs are also in test_bad_run_folders.py.
"""

from pathlib import Path

import numpy as np
import pytest
from strangers import changed, refusal, stopped

from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.files import file_name
from gp_lab.instantiate import instantiate
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import run_id
from gp_lab.training.load import load
from gp_lab.training.trainer import train


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return stopped(tmp_path_factory)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "subprocess.Popen",
        "torch.load",
        "torch.hub.load",
        "torch.nn.modules.module.torch.load",
        "torch.nn.modules.module.warnings.warn",
        "torch.serialization.load",
        "torch.utils.cpp_extension.load",
        "gp_lab.data.images.torch.load",
        "gp_lab.data.cifar.pickle.loads",
        "gp_lab.data.cifar._ArraysOnly",
        "gp_lab.runs.folder.RunFolder",
        "gp_lab.data.images.Images.__class__",
        "gp_lab.data..images.Images",
        "gp_lab.data.images.Images\n",
        "ｇp_lab.data.images.Images",
        "",
        ["os.system"],
        None,
    ],
)
@pytest.mark.parametrize("key", ["loss", "architecture.generator", "probe.surface"])
def test_a_found_config_names_parts_and_nothing_else(
    run: RunFolder, capsys: pytest.CaptureFixture[str], key: str, target: object
) -> None:
    said = refusal(capsys, "resume", str(changed(run, f"{key}._target_", target).path))
    assert said.startswith(f"{key}._target_=")
    with pytest.raises(BadInput, match="_target_="):
        load(run.path)


def test_a_target_deep_inside_a_value_is_held_to_the_same_rule() -> None:
    node = {"_target_": "gp_lab.data.latent.Normal", "dim": {"_target_": "os.system", "x": "id"}}
    with pytest.raises(BadInput, match=r"latent\.dim\._target_=os\.system: not a part"):
        instantiate(node, "latent")
    with pytest.raises(BadInput, match=r"x\[1\]\.a\._target_=os\.system: not a part"):
        instantiate([1, {"a": {"_target_": "os.system"}}], "x")


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system [touch {trace}]",
        "loss: !!python/object/new:subprocess.Popen [[touch, {trace}]]",
        "steps: !!python/name:os.system",
        "a: &a [*a]",
        "[" * 1500,
        "l0: &l0 x\n" + "".join(f"l{i + 1}: &l{i + 1} [*l{i}, *l{i}]\n" for i in range(60)),
    ],
    ids=["apply", "new", "name", "endless", "deep", "billions"],
)
def test_a_found_yaml_runs_nothing_and_costs_nothing(
    run: RunFolder, capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    trace = tmp_path / "trace"
    (run.path / "config.yaml").write_text(text.replace("{trace}", str(trace)))
    refusal(capsys, "resume", str(run.path))
    assert not trace.exists()


@pytest.mark.parametrize("value", ["${oc.env:HOME}", "a${seed}", "${oc.env:WANDB_API_KEY,x}"])
@pytest.mark.parametrize("key", ["out", "dataset.name", "probe.surface._target_"])
def test_a_found_config_is_never_resolved(
    run: RunFolder, capsys: pytest.CaptureFixture[str], key: str, value: str
) -> None:
    said = refusal(capsys, "resume", str(changed(run, key, value).path))
    assert f"{key}={value}: interpolations are not resolved in a run folder" in said


@pytest.mark.parametrize(
    ("width", "says"),
    [
        (10**7, ": too large for the memory of this machine"),
        (2**40, f".width={2**40}: must be at most {10**8}"),
        (10**30, f".width={10**30}: must be at most {10**8}"),
    ],
)
def test_a_size_that_no_machine_has_is_refused(
    run: RunFolder, capsys: pytest.CaptureFixture[str], width: int, says: str
) -> None:
    key = "architecture.discriminator"
    said = refusal(capsys, "resume", str(changed(run, f"{key}.width", width).path))
    assert said == key + says


# -- names ---------------------------------------------------------------------------------

NAMES = ["../../up", "/etc/x", "..", "", "a\nb", "\x1b[31m", "<b>", "x" * 300]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_becomes_part_of_a_path_leads_nowhere(
    run: RunFolder, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    config = run.config
    hostile_probe = {name: config["probe"]["surface"]}
    said = refusal(capsys, "resume", str(changed(run, "probe", hostile_probe).path))
    assert said.startswith("probe=")
    assert said.isprintable()
    for group in ("dataset", "loss", "penalty", "constraint"):
        hostile = config | {group: config[group] | {"name": name}}
        with pytest.raises(BadInput, match=rf"{group}\.name="):
            run_id(hostile)
        with pytest.raises(BadInput, match=rf"{group}\.name="):
            train([hostile | {"seed": 7}], progress=False)
    with pytest.raises(BadInput, match="probe="):
        run.write_arrays(name, 1, {"x": np.zeros(1)})
    with pytest.raises(BadInput, match="no arrays"):
        run.arrays(name, 1)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_names_of_all_parts_may_become_parts_of_paths() -> None:
    from helpers import names_in

    for group in ("dataset", "loss", "penalty", "constraint", "probe"):
        for name in names_in(group):
            assert file_name(name, group) == name


def test_a_run_stays_in_its_folder_whatever_its_config_says_of_out(
    run: RunFolder, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    changed(run, "out", str(elsewhere))
    assert main(["resume", str(run.path)]) == Exit.OK
    assert not elsewhere.exists()
