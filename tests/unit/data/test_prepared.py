"""Image sets as arrays that scripts/prepare.py makes: of these pictures, and of no others."""

import json
import os
import runpy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import CLONE, rng
from image_files import encoded, picture, random_bytes, tree, write_lmdb
from PIL import Image

from gp_lab.data.images import Images
from gp_lab.data.pictures import LSUN, ImageFolder, ImageTree, decoded
from gp_lab.data.prepared import map_array, prepare, prepared_folder
from gp_lab.errors import BadInput

PREPARE = CLONE / "scripts" / "prepare.py"


def test_a_prepared_set_is_mapped_and_equal_to_the_pictures(tmp_path: Path) -> None:
    source = tree(tmp_path)
    in_memory = source.load().train
    folder = prepare(source, source.pictures, decoded)
    assert folder == prepared_folder(source)
    mapped = source.load().train
    assert torch.equal(mapped.images, in_memory.images)
    assert mapped.labels is not None
    assert in_memory.labels is not None
    assert torch.equal(mapped.labels, in_memory.labels)
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert str(folder / "train.npy") in maps.read_text()
    images = Images(source, size=3).prepare(rng())
    assert images.draw(rng(), 5).shape == (5, 3, 8, 8)
    assert source.load().train.labels is not None  # its own folder is no class


def test_a_folder_for_arrays_of_several_sets_keeps_them_apart(tmp_path: Path) -> None:
    shared = str(tmp_path / "arrays")
    sources = [replace(tree(tmp_path / name), prepared=shared) for name in "ab"]
    for source, grey in zip(sources, (0, 255), strict=True):
        for path in Path(source.root).rglob("*.png"):
            path.write_bytes(encoded(Image.new("RGB", (8, 8), (grey,) * 3)))
        prepare(source, source.pictures, decoded)
    assert [float(s.load().train.images[:].float().mean()) for s in sources] == [0, 255]
    shutil.rmtree(prepared_folder(sources[1]))
    prepared_folder(sources[0]).rename(prepared_folder(sources[1]))
    with pytest.raises(BadInput, match="arrays were made of other images or with other settings"):
        sources[1].load()


def test_arrays_in_their_root_move_with_it(tmp_path: Path) -> None:
    source = tree(tmp_path / "here")
    prepare(source, source.pictures, decoded)
    (tmp_path / "here").rename(tmp_path / "there")
    assert replace(source, root=str(tmp_path / "there")).load().train.streams


def test_preparation_that_is_broken_off_goes_on_where_it_was(tmp_path: Path) -> None:
    source = tree(tmp_path)
    expected = source.load().train.images
    asked: list[int] = []

    def until_the_third(pictures: Any, source: Any, part: str, start: int) -> Any:
        for first, some in decoded(pictures, source, part, start, chunk=1):
            if first == 3 and not asked:
                asked.append(start)
                raise KeyboardInterrupt
            yield first, some

    def noting(pictures: Any, source: Any, part: str, start: int) -> Any:
        asked.append(start)
        return decoded(pictures, source, part, start)

    with pytest.raises(KeyboardInterrupt):
        prepare(source, source.pictures, until_the_third, chunk=1)
    with pytest.raises(BadInput, match="preparation stopped at 3 of 6 train images"):
        source.load()
    prepare(source, source.pictures, noting)
    prepare(source, source.pictures, noting)
    assert asked == [0, 3, 6]
    assert torch.equal(source.load().train.images, expected)
    (tmp_path / "n1" / "1.png").unlink()
    prepare(source, source.pictures, noting)
    assert asked[-1] == 0
    assert len(source.load().train.images) == 5


def test_a_truncated_array_is_refused(tmp_path: Path) -> None:
    source = tree(tmp_path)
    array = prepare(source, source.pictures, decoded) / "train.npy"
    array.write_bytes(array.read_bytes()[:-10])
    with pytest.raises(BadInput, match=r"train.npy: not the array \(or labels\) that"):
        source.load()
    with pytest.raises(BadInput, match=r"train.npy: not a whole .npy file"):
        map_array(array)


@pytest.mark.seconds
def test_the_script_prepares_what_a_config_describes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = runpy.run_path(str(PREPARE))["main"]
    tree(tmp_path / "train")
    tree(tmp_path / "val", 2)
    words = [f"root={tmp_path}", "source.image_size=8"]
    assert main(["imagenet", *words]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert {path.name for path in folder.iterdir()} == {
        f"{part}{end}"
        for part in ("train", "test")
        for end in (".json", ".npy", "_labels.npy", "_files.npy")
    }
    assert main(["cifar10"]) == 2
    assert "dataset=cifar10: is not made of picture files" in capsys.readouterr().err
    for word in ("rot=3", "dataset.rot=3"):
        assert main(["imagenet", word]) == 2
        said = capsys.readouterr().err
        assert said.startswith("dataset.rot: no such key; choose from dequantise, ")
        assert said.endswith("did you mean root?\n")
    assert main(["imagenet", "root=[1,2"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert main(["imagnet"]) == 2
    assert "did you mean imagenet?" in capsys.readouterr().err
    for key in ("root", "dataset.root"):
        assert main(["celeba", f"{key}={tmp_path}"]) == 2
        assert f"there is no folder {tmp_path}" in capsys.readouterr().err


# -- of these pictures ---------------------------------------------------------------------


def made(source: ImageFolder) -> Path:
    """The folder of a source's arrays, prepared now."""
    return prepare(source, source.pictures, decoded)


def folder_of_pictures(root: Path) -> ImageFolder:
    tree(root)
    return ImageFolder(str(root), image_size=8)


def data_base(root: Path) -> LSUN:
    write_lmdb(root / "train_lmdb")
    write_lmdb(root / "val_lmdb", 2)
    return LSUN(str(root), train="train_lmdb", test="val_lmdb", image_size=8)


def two_trees(root: Path) -> ImageTree:
    tree(root / "train")
    tree(root / "val", 4)
    return ImageTree(str(root), train="train", test="val", image_size=8)


@pytest.mark.parametrize("make", [tree, folder_of_pictures, data_base, two_trees])
def test_a_set_is_the_same_prepared_or_not(
    make: Callable[[Path], ImageFolder], tmp_path: Path
) -> None:
    source = make(tmp_path)
    before = source.contents()
    images = source.load().train.images[:]
    made(source)
    after = source.contents()
    assert after == before
    assert source.load().train.streams
    assert torch.equal(source.load().train.images[:], images)


def change(path: Path, data: bytes) -> None:
    """Other contents, at another time."""
    before = path.stat().st_mtime_ns
    path.write_bytes(data)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def add(root: Path) -> str:
    (root / "n1" / "new.png").write_bytes(encoded(picture(8, 8, seed=9)))
    return r"\(1 added\)"


def remove_and_add_two(root: Path) -> str:
    (root / "n0" / "0.png").unlink()
    add(root)
    (root / "n0" / "another.png").write_bytes(encoded(picture(8, 8, seed=10)))
    return r"\(2 added, 1 removed\)"


def edit_two(root: Path) -> str:
    for name in ("n0/0.png", "n1/3.png"):
        change(root / name, encoded(picture(8, 8, seed=11)))
    return r"\(2 changed\)"


def rename_a_class(root: Path) -> str:
    (root / "n1").rename(root / "n3")
    return r"\(3 added, 3 removed\)"


@pytest.mark.parametrize("act", [add, remove_and_add_two, edit_two, rename_a_class])
def test_pictures_that_changed_since_are_counted_and_prepared_again(
    act: Callable[[Path], str], tmp_path: Path
) -> None:
    source = tree(tmp_path)
    made(source)
    counts = act(tmp_path)
    why = rf"prepared-8-\w+: its train arrays were made of other images than there are now {counts}"
    for look in (source.load, source.contents):
        with pytest.raises(BadInput, match=rf"{why}; run scripts/prepare.py again"):
            look()
    made(source)
    ready = source.load().train
    shutil.rmtree(prepared_folder(source))
    assert torch.equal(ready.images[:], source.load().train.images[:])


def test_a_data_base_that_was_replaced_is_another(tmp_path: Path) -> None:
    source = data_base(tmp_path)
    made(source)
    shutil.rmtree(tmp_path / "val_lmdb")
    write_lmdb(tmp_path / "val_lmdb", 3)
    with pytest.raises(BadInput, match=r"its test arrays were made of other images .*1 changed"):
        source.load()


def test_times_and_places_make_no_other_pictures(tmp_path: Path) -> None:
    source = tree(tmp_path / "here")
    made(source)
    for path in (tmp_path / "here").rglob("*.png"):
        os.utime(path, (1, 1))
    expected = source.contents()
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    copied = replace(source, root=str(tmp_path / "there"))
    assert copied.load().train.streams
    assert replace(copied.contents(), place=expected.place) == expected
    (tmp_path / "there" / "n0" / "0.png").rename(tmp_path / "there" / "n0" / "00.png")
    assert copied.contents().digest == expected.digest  # the same pictures in the same order


def test_arrays_without_their_pictures_are_the_same_set(tmp_path: Path) -> None:
    source = two_trees(tmp_path)
    expected = source.contents()
    made(source)
    for part in ("train", "val"):
        shutil.rmtree(tmp_path / part)
    assert source.contents() == expected
    assert len(source.load().train.images) == 6
    with pytest.raises(BadInput, match="there is no folder"):
        made(source)


@pytest.mark.parametrize("name", ["train.npy", "train_labels.npy"])
def test_an_array_that_was_written_to_is_refused_and_made_again(tmp_path: Path, name: str) -> None:
    source = tree(tmp_path)
    folder = made(source)
    whole = source.load().train
    expected, labels = whole.images[:].clone(), whole.labels
    before = (folder / name).stat().st_mtime_ns
    array = np.load(folder / name, mmap_mode="r+")
    array[0] = 1 - array[0] % 2
    array.flush()
    os.utime(folder / name, ns=(before + 10**9, before + 10**9))
    with pytest.raises(BadInput, match=r"train.npy: not the array \(or labels\) .*run it again"):
        source.contents()
    made(source)
    again = source.load().train
    assert torch.equal(again.images[:], expected)
    assert again.labels is not None
    assert labels is not None
    assert torch.equal(again.labels, labels)


def test_a_picture_that_changed_while_preparation_was_broken_off_starts_it_again(
    tmp_path: Path,
) -> None:
    source = tree(tmp_path)

    def broken_off(pictures: Any, source: Any, part: str, start: int) -> Any:
        for first, some in decoded(pictures, source, part, start, chunk=1):
            if first == 3:
                raise KeyboardInterrupt
            yield first, some

    with pytest.raises(KeyboardInterrupt):
        prepare(source, source.pictures, broken_off, chunk=1)
    change(tmp_path / "n0" / "0.png", encoded(picture(8, 8, seed=12)))
    folder = made(source)
    ready = source.load().train.images[:].clone()
    shutil.rmtree(folder)
    assert torch.equal(ready, source.load().train.images[:])


def test_arrays_that_do_not_say_what_they_were_made_of_go_by_themselves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = tree(tmp_path)
    path = made(source) / "train.json"
    note = json.loads(path.read_text())
    kept = {k: v for k, v in note.items() if k in ("settings", "shape", "labels", "done")}
    path.write_text(json.dumps(kept | {"format": 1, "fingerprint": "0" * 32}))
    first = source.contents()
    assert "do not say which pictures they were made of" in caplog.text
    assert len(source.load().train.images) == first.train == 6
    add(tmp_path)
    assert source.contents() == first
    made(source)
    assert source.contents().train == 7


# -- any name ------------------------------------------------------------------------------

ODD = "a b='x', [1]{2} \"q\" ü --"
ODD_NAMES = [
    ODD.encode(),
    b"-dash.png",
    b"=.png",
    b"\xff\xfe.png",
    "e\u0301.png".encode(),
    b"a\nb.png",
]


def quoted(value: str) -> str:
    """A value as `gp-lab train` takes it, whatever is in it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def test_the_script_takes_whatever_names_training_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = runpy.run_path(str(PREPARE))["main"]
    root = tmp_path / ODD
    for k, name in enumerate(ODD_NAMES):
        path = os.path.join(os.fsencode(root), b"--n%d \xe9" % (k % 2), name + b".png")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(os.fsdecode(path)).write_bytes(encoded(picture(8, 8, seed=k)))
    source = ImageTree(str(root), train=".", test=None, image_size=8)
    expected, known = source.load().train, source.contents()
    words = [
        f"root={quoted(str(root))}",
        "source.image_size=8",
        "source.train=.",
        "source.test=null",
    ]
    assert main(["imagenet", *words]) == 0
    assert prepared_folder(source).name in capsys.readouterr().out
    assert source.contents() == known
    ready = source.load().train
    assert ready.streams
    assert torch.equal(ready.images[:], expected.images[:])


def test_the_script_and_training_read_a_value_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = runpy.run_path(str(PREPARE))["main"]
    tree(tmp_path / "a=b")
    assert main(["image_folder", f"root={tmp_path / 'a=b'}", "source.image_size=8"]) == 2
    assert "cannot be read as key=value; such a text needs quotes" in capsys.readouterr().err
    assert main(["image_folder", f'root="{tmp_path / "a=b"}"', "source.image_size=8"]) == 0


def test_hidden_files_and_links_to_what_is_there_are_no_pictures(tmp_path: Path) -> None:
    source = tree(tmp_path)
    names = source.pictures(".").names
    for name in ("n0/._0.png", ".git/x.png", "n1/.ipynb_checkpoints/1.png", ".n3/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(random_bytes(10).tobytes())
    (tmp_path / "n1" / "up").symlink_to(tmp_path)
    (tmp_path / "n1" / "again").symlink_to(tmp_path / "n0")
    assert source.pictures(".").names == names
    assert ImageFolder(str(tmp_path), image_size=8).contents().train == 6
    (tmp_path / "n0").rename(tmp_path.parent / f"{tmp_path.name}-elsewhere")
    (tmp_path / "n1" / "again").unlink()
    (tmp_path / "n0").symlink_to(tmp_path.parent / f"{tmp_path.name}-elsewhere")
    assert source.pictures(".").names == names
