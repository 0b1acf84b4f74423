"""What cannot be sampled or read of a run is refused in one sentence that says why."""

from pathlib import Path

import pytest
from lab import config_of, trained
from sampled import home as home
from sampled import made as made
from sampled import own_networks as own_networks
from sampled import plain as plain
from sampled import points as points

import gp_lab
from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.runs.folder import RunFolder
from gp_lab.training.load import LoadedRun


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["-n", "0"], "-n 0: must be at least 1"),
        (["-n", "many"], "-n many: not a whole number"),
        (["-n", "2.5"], "-n 2.5: not a whole number"),
        (["-n", "\N{SUPERSCRIPT TWO}"], "-n \N{SUPERSCRIPT TWO}: not a whole number"),
        (["-n", "9" * 20], f"-n {'9' * 20}: must be at most 100000000"),
        (["-n", "9" * 5000], "not a whole number"),
        (["-n", "100000000", "--kind", "interpolation", "--points", "100000000"], "too large for"),
        (["--seed", "-1"], "--seed -1: must be at least 0"),
        (["--seed", str(2**63)], f"--seed {2**63}: must be at most {2**63 - 1}"),
        (["--step", "1e400"], "--step 1e400: not a whole number"),
        (["--step", str(10**30)], f"--step {10**30}: must be at most"),
        (["--points", "0x10"], "--points 0x10: not a whole number"),
        (["--kind", "classes"], "--kind classes: the generator of architecture=plain takes no"),
        (["--kind", "gird"], "--kind=gird: no such choice; choose from classes"),
        (["--points", "1"], "--points 1: a line has two ends"),
        (["--step", "7"], "no checkpoint at step 7, only at [2]"),
        (["--out", "x.jpg"], "--out x.jpg: a .png file is written"),
        (["--out", "nowhere/x.png"], "nowhere/x.png: cannot write there"),
        (["--nope"], "unrecognized arguments: --nope"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_sampled_is_refused_in_one_sentence(
    plain: RunFolder, flags: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    command = ["sample", str(plain.path), "trust=sample_nets", *flags]
    assert main(command) == Exit.BAD_INPUT
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert sentence in said[0]


def test_a_folder_without_a_run_or_a_checkpoint_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", str(tmp_path / "nowhere")]) == Exit.BAD_INPUT
    assert "nowhere: no run there (it has no config.yaml)" in capsys.readouterr().err
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.create(config_of(f"out={tmp_path}"), "run")
    assert main(["sample", str(folder.path)]) == Exit.BAD_INPUT
    assert "the run has no checkpoint yet" in capsys.readouterr().err
    for without_run in ([], ["-n", "3"], ["dataset.root=/data"]):
        assert main(["sample", *without_run]) == Exit.BAD_INPUT
        said = capsys.readouterr().err
        assert said.startswith("gp-lab: sample: which run? write gp-lab sample RUN [-n 64]")


def test_samples_that_are_neither_images_nor_points_nor_texts_stay_in_python(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained(
        "steps=2", "dataset=point_masses", "dataset.distribution.points=[[0,0,0],[1,1,1]]",
        "architecture.generator.outputs=3", "architecture.discriminator.inputs=3", "probe=[]",
        f"out={tmp_path}", base=("tracking=none", "threads=1", "device=cpu"),
    )  # fmt: skip
    run = gp_lab.load(folder.path)
    assert isinstance(run, LoadedRun)
    assert run.sample(3).shape == (3, *run.setup.dataset.shape)
    assert main(["sample", str(folder.path)]) == Exit.BAD_INPUT
    assert "gp_lab.load(run).sample gives them in Python" in capsys.readouterr().err


def test_arrays_of_a_probe_that_was_not_there_name_those_that_were(points: RunFolder) -> None:
    with pytest.raises(BadInput) as refusal:
        gp_lab.load(points.path).arrays("surfac")
    assert str(refusal.value) == (
        f"{points.path}: probe=surfac: no such choice; choose from samples, surface; did you mean"
        " surface?"
    )
