"""The key `dataset.digest`, when it is worked out, and runs that have none."""

import shutil
from pathlib import Path

import pytest
import yaml
from lab import config_of, lab
from run_data import FOLDER, IMAGES, QUICK, Runs, data_of, files, refused, write_pictures
from run_data import _in_a_folder_of_its_own as _in_a_folder_of_its_own
from run_data import run as run

import gp_lab
from gp_lab.cli import main
from gp_lab.data.pictures import ImageFolder
from gp_lab.errors import Exit
from gp_lab.launching.jobs import Job, jobs_table
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import run_hash, with_digest

# -- the key -------------------------------------------------------------------------------


@pytest.mark.seconds
def test_one_can_insist_on_a_digest(
    run: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_pictures(tmp_path / "data")
    folder = run(*FOLDER, root)
    digest = data_of(folder)["digest"]
    assert run(*FOLDER, root, f"dataset.digest={digest}").path == folder.path
    other = "0123456789abcdef" * 2
    said = refused(capsys, "train", *FOLDER, root, f"dataset.digest={other}", "out=other")
    assert f"dataset.digest={other}: {tmp_path / 'data'} holds other data, {digest}" in said
    said = refused(capsys, "train", *FOLDER, root, "dataset.digest=any", "out=other")
    assert "gp-lab resume RUN dataset.digest=any" in said
    said = refused(capsys, "resume", str(folder.path), f"dataset.digest={other}")
    assert "a run goes on with the data that it had, or with any" in said
    said = refused(capsys, "train", *IMAGES, "dataset=mnist", f"+dataset.digest={digest}")
    assert "its files have published checksums; leave the key out" in said
    assert not Path("other").exists()


def test_data_without_files_have_no_digest(run: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(*QUICK, "architecture.width=8")
    assert not (folder.path / "data.json").exists()
    said = refused(capsys, "resume", str(folder.path), "dataset.digest=any")
    assert "for this set nothing: it has no files" in said
    said = refused(capsys, "train", *QUICK, f"+dataset.digest={'0' * 32}")
    assert said.endswith(": it has none; leave the key out")


def unseen(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("somebody looked at the data")

    patch.setattr(ImageFolder, "contents", refuse)
    patch.setattr(ImageFolder, "load", refuse)


def test_the_config_is_printed_without_a_look_at_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_pictures(tmp_path / "data")
    unseen(monkeypatch)
    assert main(["train", *FOLDER, root, "--cfg", "job"]) == Exit.OK
    assert yaml.safe_load(capsys.readouterr().out)["dataset"]["digest"] is None


def test_what_can_be_said_quickly_is_said_before_a_look_at_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_pictures(tmp_path / "data")
    unseen(monkeypatch)
    for wrong in ("steps=0", "penalty.weight=-1", "dataset.source.image_size=0", "optimizer.lr=x"):
        assert wrong in refused(capsys, "train", *FOLDER, root, wrong)


def test_how_many_runs_are_finished_is_told_without_a_look_at_the_data(
    run: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_pictures(tmp_path / "data")
    configs = [config_of(root, f"seed={seed}", base=FOLDER) for seed in (0, 1)]
    run(*FOLDER, root)
    unseen(monkeypatch)
    table = jobs_table([Job("a", (), config) for config in configs])
    assert "1 of 2 finished" in table


# -- what there was before -----------------------------------------------------------------


@pytest.fixture
def older(run: Runs, tmp_path: Path) -> RunFolder:
    """A run on pictures as it was made when runs knew no digests."""
    folder = run(*FOLDER, write_pictures(tmp_path / "data"))
    (folder.path / "data.json").unlink()
    config = folder.config
    del config["dataset"]["digest"]
    folder.write_config(config)
    assert run_hash(config) == run_hash(with_digest(config, None))
    start = folder.path.name.rpartition("-")[0]
    return RunFolder(folder.path.rename(folder.path.with_name(f"{start}-{run_hash(config)}")))


@pytest.mark.seconds
def test_a_run_without_a_digest_is_found_and_goes_on_and_has_one_then(
    older: RunFolder, run: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = f"dataset.root={tmp_path / 'data'}"
    before = files(older)
    with pytest.warns(UserWarning, match="made before runs kept the digest of their data"):
        assert run(*FOLDER, root).path == older.path
    assert files(older) == before
    with pytest.warns(UserWarning, match="cannot be told"):
        assert gp_lab.load(older.path).step == 3
    with pytest.warns(UserWarning, match="cannot be told"):
        assert main(["resume", str(older.path), "steps=4"]) == Exit.OK
    assert data_of(older)["digest"] == older.config["dataset"]["digest"]
    assert run(*FOLDER, root).path == older.path  # and nothing is said any more
    write_pictures(tmp_path / "data", 9)
    assert "8 training images then, 9 now" in refused(capsys, "resume", str(older.path), "steps=5")
    assert run(*FOLDER, root).path != older.path


def test_a_run_that_was_killed_before_its_data_were_noted_goes_by_its_config(
    run: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(*FOLDER, write_pictures(tmp_path / "data"))
    noted = data_of(folder)
    (folder.path / "data.json").unlink()
    write_pictures(tmp_path / "data", 9)
    assert "trained on: other contents;" in refused(capsys, "resume", str(folder.path), "steps=5")
    write_pictures(tmp_path / "data", 9)
    (tmp_path / "data" / "08.png").unlink()
    assert main(["resume", str(folder.path), "steps=5"]) == Exit.OK
    assert data_of(folder) == noted


@pytest.mark.parametrize(
    "damage",
    ["{", "[]", '{"digest": 3}', '{"digest": "0", "characters": ["unk", "ab"]}', '{"train": 1}',
     '{"digest": "0", "others": [{"digest": "1"}]}', '{"digest": "0", "train": "many"}'],
)  # fmt: skip
def test_a_damaged_note_of_the_data_is_named_and_left(
    damage: str, run: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(*FOLDER, write_pictures(tmp_path / "data"))
    (folder.path / "data.json").write_text(damage)
    before = files(folder)
    said = refused(capsys, "resume", str(folder.path), "steps=5")
    assert f"{folder.path / 'data.json'}: does not say what the run was trained on" in said
    assert files(folder) == before


def test_a_note_of_the_data_behind_a_link_is_not_read(
    run: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(*FOLDER, write_pictures(tmp_path / "data"))
    note = folder.path / "data.json"
    note.symlink_to(note.rename(tmp_path / "elsewhere.json"))
    said = refused(capsys, "resume", str(folder.path), "steps=5")
    assert f"{note}: a symbolic link; inside a run's folder none is followed" in said


@pytest.mark.seconds
def test_data_that_are_gone_and_data_that_changed_are_one_line_in_a_process_of_their_own(
    run: Runs, tmp_path: Path
) -> None:
    folder = run(*FOLDER, write_pictures(tmp_path / "data"))
    write_pictures(tmp_path / "data", 9)
    said = lab("resume", str(folder.path), "steps=5", cwd=tmp_path)
    assert said.returncode == Exit.BAD_INPUT
    assert len(said.stdout.splitlines()) == 1
    shutil.rmtree(tmp_path / "data")
    said = lab("sample", str(folder.path), cwd=tmp_path)
    assert said.returncode == Exit.BAD_INPUT
    assert "there is no folder" in said.stdout
