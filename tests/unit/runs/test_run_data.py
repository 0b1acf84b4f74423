"""What a run was trained on: texts and pictures have one identity, alone, in sweeps and stacks."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from image_files import encoded, picture
from lab import assert_same_run, config_of
from run_data import FOLDER, LINES, TEXT, Runs, data_of, files, refused, write_pictures, write_text
from run_data import _in_a_folder_of_its_own as _in_a_folder_of_its_own
from run_data import run as run

import gp_lab
from gp_lab.cli import main
from gp_lab.data.pictures import ImageFolder, decoded
from gp_lab.data.prepared import prepare
from gp_lab.errors import BadInput, Exit
from gp_lab.launching.local import train_all
from gp_lab.runs import checkpoint
from gp_lab.runs.folder import State
from gp_lab.training.trainer import train

# -- a text --------------------------------------------------------------------------------


def test_the_folder_of_a_run_says_what_it_was_trained_on(run: Runs) -> None:
    root = write_text(LINES)
    folder = run(*TEXT, root)
    found = data_of(folder)
    assert found["digest"] == folder.config["dataset"]["digest"]
    assert (found["unit"], found["train"]) == ("line", 4)
    assert found["place"] == root.removeprefix("dataset.root=")
    assert set(found["characters"][1:]) == set("".join(line[:8] for line in LINES))
    assert tuple(found["characters"]) == gp_lab.load(folder.path).setup.dataset.characters


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ([*LINES, *["zzz" * 9] * 9], "4 training lines then, 13 now; characters that came: 'z'"),
        (LINES[::-1], "other contents, as many lines"),
        (["wwwwwwww", *LINES], "4 training lines then, 5 now;"),
        (["café", *LINES[1:]], "'f', 'é'"),
    ],
    ids=["more", "order", "frequencies", "letter"],
)
def test_a_text_that_changed_is_no_longer_the_run_s(
    run: Runs, changed: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_text(LINES)
    folder = run(*TEXT, root)
    path = str(folder.path)
    assert main(["sample", path, "-n", "5", "--out", "before.txt"]) == Exit.OK
    before = files(folder)
    write_text(changed)
    for command in (["resume", path, "steps=5"], ["resume", path], ["sample", path, "-n", "5"],
                    ["evaluate", path, "probe=gradients"]):  # fmt: skip
        said = refused(capsys, *command)
        assert f"{path}: its data are not those that it was trained on: " in said
        assert words in said
        assert "or dataset.digest=any goes on with what is there now" in said
    with pytest.raises(BadInput, match="not those that it was trained on"):
        gp_lab.load(path)
    assert files(folder) == before
    # What it writes is in its own letters, whatever the text has become.
    assert main(["sample", path, "-n", "5", "--out", "any.txt", "dataset.digest=any"]) == Exit.OK
    assert Path("any.txt").read_text() == Path("before.txt").read_text()
    assert files(folder) == before
    write_text(LINES)
    assert main(["sample", path, "-n", "5", "--out", "after.txt"]) == Exit.OK
    assert Path("after.txt").read_text() == Path("before.txt").read_text()


def test_the_same_command_begins_anew_on_a_text_that_changed_and_says_so(
    run: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_text(LINES)
    first = run(*TEXT, root)
    before = files(first)
    write_text([*LINES, "more"])
    second = run(*TEXT, root)
    (line, *_) = capsys.readouterr().err.splitlines()
    assert line == (
        "trained before on other data (4 training lines then, 5 now), begins anew:"
        f" {first.path} -> {second.path.name}"
    )
    assert second.path != first.path
    assert files(first) == before
    assert run(*TEXT, root).path == second.path
    assert "anew" not in capsys.readouterr().err
    write_text(LINES)
    assert run(*TEXT, root).path == first.path
    assert files(first) == before


@pytest.mark.seconds
def test_going_on_with_any_data_is_noted_with_its_step(
    run: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_text(LINES)
    folder = run(*TEXT, root)
    own, config = data_of(folder), folder.config
    write_text([*LINES, "zzzz"])
    assert main(["resume", str(folder.path), "steps=5", "dataset.digest=any"]) == Exit.OK
    now = data_of(folder)
    (other,) = now.pop("others")
    assert now == own
    assert (other["from_step"], other["train"]) == (3, 5)
    assert other["characters"] == own["characters"]
    assert folder.config == config | {"steps": 5}
    # Those are its data from now on.
    assert main(["resume", str(folder.path), "steps=6"]) == Exit.OK
    assert data_of(folder)["others"] == [other]
    write_text(LINES)
    assert "5 training lines then, 4 now" in refused(capsys, "resume", str(folder.path), "steps=7")
    # Nor is it taken for a run that was trained on these alone.
    assert "5 training lines then, 4 now" in refused(capsys, "train", *TEXT, root)
    assert folder.status["step"] == 6


def test_a_text_has_one_identity_wherever_and_however_it_is_written(run: Runs) -> None:
    folder = run(*TEXT, write_text(LINES))
    Path("windows.txt").write_bytes("\r\n".join(LINES).encode("utf-16"))
    os.mkdir("folder")
    write_text(LINES, "folder/part.txt")
    for other in ("windows.txt", "folder"):
        assert run(*TEXT, f"dataset.root={other}").path == folder.path


def test_files_of_a_folder_in_another_order_are_another_text(
    run: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkdir("texts")
    write_text(LINES[:2], "texts/a.txt")
    write_text(LINES[2:], "texts/b.txt")
    folder = run(*TEXT, "dataset.root=texts")
    Path("texts/b.txt").rename("texts/0.txt")
    said = refused(capsys, "resume", str(folder.path), "steps=5")
    assert "other contents, as many lines" in said


# -- pictures ------------------------------------------------------------------------------


def test_a_relative_root_is_no_identity(
    run: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path / "one" / "data", 8)
    write_pictures(tmp_path / "two" / "data", 12, seed=50)
    command = (*FOLDER, "dataset.root=data", f"out={tmp_path / 'out'}")
    monkeypatch.chdir(tmp_path / "one")
    first = run(*command)
    monkeypatch.chdir(tmp_path / "two")
    second = run(*command)
    assert second.path != first.path
    assert data_of(second)["train"] == 12
    said = refused(capsys, "resume", str(first.path), "steps=5")
    assert f"(they lay in {tmp_path / 'one' / 'data'}): 8 training images then, 12 now" in said
    assert "; put them back, dataset.root=DIR says where they lie, or dataset.digest=any" in said
    place = f"dataset.root={tmp_path / 'one' / 'data'}"
    assert main(["resume", str(first.path), "steps=5", place]) == Exit.OK
    assert first.status["step"] == 5
    assert first.config["dataset"]["root"] == "data"


def test_the_same_pictures_elsewhere_are_the_same_run(run: Runs, tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "here")
    first = run(*FOLDER, root)
    shutil.copytree(tmp_path / "here", tmp_path / "a cluster's" / "disk")
    for path in (tmp_path / "a cluster's").rglob("*.png"):
        os.utime(path, (1, 1))
    shutil.rmtree(tmp_path / "here")
    there = 'dataset.root="' + str(tmp_path / "a cluster's" / "disk") + '"'
    assert run(*FOLDER, there).path == first.path


@pytest.mark.seconds
def test_prepared_or_not_is_the_same_run_bit_for_bit(run: Runs, tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "data")
    whole = run(*FOLDER, root, "steps=6", "out=whole")
    half = run(*FOLDER, root, "steps=6", "out=half", "checkpoint_every=3")
    half.set_aside(checkpoint.files_after(half, 3))
    stopped = half.status | {"state": State.INTERRUPTED, "step": 3}
    del stopped["finished_at"]
    (half.path / "status.json").write_text(json.dumps(stopped))
    source = ImageFolder(str(tmp_path / "data"), image_size=28, channels=1)
    prepare(source, source.pictures, decoded)
    assert run(*FOLDER, root, "steps=6", "out=whole").path == whole.path
    assert run(*FOLDER, root, "steps=6", "out=half").status["state"] == State.FINISHED
    assert_same_run(whole, half)
    (tmp_path / "data" / "new.png").write_bytes(encoded(picture(28, 28, "L", seed=99)))
    with pytest.raises(BadInput, match=r"other images than there are now \(1 added\)"):
        gp_lab.load(half.path)


# -- sweeps, stacks, jobs ------------------------------------------------------------------


@pytest.mark.seconds
def test_a_sweep_says_once_that_its_runs_begin_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_pictures(tmp_path / "data")
    command = ["train", "-m", *FOLDER, root, "seed=0,1,2", "hydra/launcher=replicas"]
    command += ["hydra.launcher.processes=1"]
    assert main(command) == Exit.OK
    capsys.readouterr()
    assert main(command) == Exit.OK
    assert capsys.readouterr().out.startswith("3 runs: 3 finished before")
    write_pictures(tmp_path / "data", 9)
    assert main(command) == Exit.OK
    said = capsys.readouterr()
    (line,) = (x for x in said.err.splitlines() if "anew" in x)
    assert line.startswith("trained before on other data (8 training images then, 9 now), begins")
    assert line.endswith(" and 2 more")
    assert len(list(Path("outputs/runs").iterdir())) == 6


def test_a_stack_goes_on_with_its_own_data_or_not_at_all(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "data")
    configs = [config_of(root, f"seed={seed}", base=FOLDER) for seed in (0, 1)]
    folders = [outcome.folder for outcome in train(configs, progress=False)]
    before = [files(folder) for folder in folders]
    write_pictures(tmp_path / "data", 9)
    longer = [folder.config | {"steps": 5} for folder in folders]
    with pytest.raises(BadInput, match="8 training images then, 9 now"):
        train(longer, folders, progress=False)
    assert [files(folder) for folder in folders] == before


@pytest.mark.seconds
def test_a_job_trains_on_the_data_that_it_was_submitted_with(run: Runs, tmp_path: Path) -> None:
    folder = run(*FOLDER, write_pictures(tmp_path / "data"))
    folder.write_config(folder.config | {"steps": 5})
    folder.set_status(State.QUEUED)
    submission = Path("outputs/jobs/one")
    submission.mkdir(parents=True)
    (submission / "runs.json").write_text(json.dumps([[folder.path.name]]))
    write_pictures(tmp_path / "data", 9)
    kept = {k: v for k, v in files(folder).items() if k != "status.json"}
    command = [sys.executable, "-m", "gp_lab.launching.slurm_job", "run", str(submission)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == Exit.FAILED
    assert folder.state == State.FAILED
    assert "8 training images then, 9 now" in folder.status["why"]
    assert {k: v for k, v in files(folder).items() if k != "status.json"} == kept


def test_python_s_train_fills_in_the_digest_too(tmp_path: Path) -> None:
    config = config_of(write_pictures(tmp_path / "data"), base=FOLDER)
    assert config["dataset"]["digest"] is None
    (outcome,) = train([config], progress=False)
    (again,) = train_all([config])
    assert again.folder.path == outcome.folder.path
    assert again.before
    assert len(outcome.folder.config["dataset"]["digest"]) == 32
