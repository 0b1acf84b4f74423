"""What data sets say they hold: the same wherever they lie, another where a sample is another."""

import gzip
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import built, rng
from image_files import (
    encoded,
    idx_bytes,
    picture,
    random_bytes,
    tree,
    write_cifar,
    write_lmdb,
    write_mnist,
)

from gp_lab.data import sources
from gp_lab.data.cifar import CIFAR10
from gp_lab.data.contents import Contents, contents_of, differences, looking
from gp_lab.data.digits import MNIST, FashionMNIST
from gp_lab.data.images import Images
from gp_lab.data.pictures import LSUN, CelebA, ImageFolder, ImageTree
from gp_lab.data.prepared import ImageArray
from gp_lab.data.text import BILLION_WORD, BILLION_WORD_HELD_OUT, Text
from gp_lab.errors import BadInput

Make = Callable[[Path], Any]
"""Writes a set below a folder; the source that reads it."""


def pictures(root: Path) -> ImageFolder:
    tree(root)
    return ImageFolder(str(root), image_size=8)


def trees(root: Path) -> ImageTree:
    tree(root / "train")
    tree(root / "val", 4)
    return ImageTree(str(root), train="train", test="val", image_size=8)


def celeba(root: Path) -> CelebA:
    tree(root / "img_align_celeba")
    return CelebA(str(root), train="img_align_celeba", image_size=8)


def lsun(root: Path) -> LSUN:
    root.mkdir(exist_ok=True)
    write_lmdb(root / "a")
    write_lmdb(root / "b", 2)
    return LSUN(str(root), train="a", test="b", image_size=8)


def arrays(root: Path) -> ImageArray:
    root.mkdir(parents=True)
    np.save(root / "train.npy", random_bytes(7, 1, 5, 5))
    np.save(root / "test.npy", random_bytes(3, 1, 5, 5))
    np.save(root / "train_labels.npy", np.arange(7))
    return ImageArray(str(root), image_size=5, channels=1)


def mnist(root: Path) -> MNIST:
    write_mnist(root)
    return MNIST(str(root), checksum=False)


def cifar10(root: Path) -> CIFAR10:
    write_cifar(root)
    return CIFAR10(str(root), checksum=False)


def text(root: Path) -> Text:
    for name in ("b", "a/c"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"the lines of {name}\nand another line\n")
    return Text(str(root), length=8)


def words(root: Path) -> Text:
    for name, line in ((BILLION_WORD, "to train on"), (BILLION_WORD_HELD_OUT, "aside")):
        (root / name).mkdir(parents=True)
        (root / name / "news").write_text(f"{line}\n" * 3)
    return built("dataset", "billion_word", root=str(root), length=4)


ALL: list[tuple[Make, tuple[str, int, int | None]]] = [
    (pictures, ("image", 6, None)),
    (trees, ("image", 6, 4)),
    (celeba, ("image", 6, None)),
    (lsun, ("image", 5, 2)),
    (arrays, ("image", 7, 3)),
    (mnist, ("image", 20, 10)),
    (cifar10, ("image", 20, 4)),
    (text, ("line", 4, None)),
    (words, ("line", 3, 3)),
]


@pytest.mark.parametrize(("make", "counts"), ALL, ids=[make.__name__ for make, _ in ALL])
def test_a_set_holds_the_same_wherever_it_lies(
    make: Make, counts: tuple[str, int, int | None], tmp_path: Path
) -> None:
    source = make(tmp_path / "here")
    found = source.contents()
    assert (found.unit, found.train, found.held_out) == counts
    assert found.place == str(tmp_path / "here")
    assert len(found.digest) == 32
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    for path in (tmp_path / "there").rglob(".*"):
        path.unlink()
    there = replace(source, root=str(tmp_path / "there"))
    assert there.contents() == replace(found, place=str(tmp_path / "there"))


def edit_a_picture(root: Path) -> None:
    path = sorted(root.rglob("*.png"))[0]
    path.write_bytes(encoded(picture(8, 8, seed=77)))


def add_a_picture(root: Path) -> None:
    path = sorted(root.rglob("*.png"))[-1]
    path.with_name("zz.png").write_bytes(encoded(picture(8, 8, seed=78)))


def remove_a_picture(root: Path) -> None:
    sorted(root.rglob("*.png"))[0].unlink()


def swap_two_pictures(root: Path) -> None:
    first, *_, last = sorted(root.rglob("*.png"))
    aside = first.rename(root / "aside")
    last.rename(first)
    aside.rename(last)


def rename_a_class(root: Path) -> None:
    for path in sorted(root.rglob("n0")):
        path.rename(path.with_name("n00"))


def add_a_class(root: Path) -> None:
    (root / "train" / "n7").mkdir()
    (root / "train" / "n7" / "x.png").write_bytes(encoded(picture(8, 8)))


def another_held_out_picture(root: Path) -> None:
    add_a_picture(root / "val")


def replace_the_data_base(root: Path) -> None:
    shutil.rmtree(root / "b")
    write_lmdb(root / "b", 2, kind="JPEG")


def write_into_an_array(root: Path) -> None:
    array = np.load(root / "test.npy", mmap_mode="r+")
    array[1, 0, 2, 2] ^= 1
    array.flush()


def other_labels(root: Path) -> None:
    np.save(root / "train_labels.npy", np.arange(7)[::-1])


def lose_the_labels(root: Path) -> None:
    (root / "train_labels.npy").unlink()


def another_digit(root: Path) -> None:
    path = root / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx_bytes(random_bytes(10, 28, 28, seed=5))))


def another_batch(root: Path) -> None:
    (root / "data_batch_2").write_bytes((root / "data_batch_3").read_bytes())


def files_in_another_order(root: Path) -> None:
    (root / "b").rename(root / "0")


def another_letter(root: Path) -> None:
    path = sorted(p for p in root.rglob("*") if p.is_file())[-1]
    path.write_text(path.read_text().replace("line", "lime"))


def another_word_aside(root: Path) -> None:
    path = root / BILLION_WORD_HELD_OUT / "news"
    path.write_text("asides\naside\naside\n")


CHANGES: list[tuple[Make, Callable[[Path], None]]] = [
    *((pictures, act) for act in (edit_a_picture, add_a_picture, remove_a_picture,
                                  swap_two_pictures)),
    *((trees, act) for act in (rename_a_class, add_a_class, another_held_out_picture)),
    (celeba, edit_a_picture),
    (lsun, replace_the_data_base),
    *((arrays, act) for act in (write_into_an_array, other_labels, lose_the_labels)),
    (mnist, another_digit),
    (cifar10, another_batch),
    *((text, act) for act in (files_in_another_order, another_letter)),
    (words, another_word_aside),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "act"), CHANGES, ids=[f"{m.__name__}-{a.__name__}" for m, a in CHANGES]
)
def test_a_set_with_another_sample_is_another(
    make: Make, act: Callable[[Path], None], tmp_path: Path
) -> None:
    source = make(tmp_path / "set")
    before = source.contents()
    act(tmp_path / "set")
    after = source.contents()
    assert after.digest != before.digest
    assert differences(before, after)


def test_packed_or_not_digits_are_the_same(tmp_path: Path) -> None:
    write_mnist(tmp_path / "a", zipped=True)
    write_mnist(tmp_path / "b", zipped=False)
    found = {kind(str(tmp_path / name), checksum=False).contents().digest
             for name in "ab" for kind in (MNIST, FashionMNIST)}  # fmt: skip
    assert len(found) == 1


def test_a_running_process_sees_that_its_data_were_replaced(tmp_path: Path) -> None:
    source = lsun(tmp_path)
    first = Images(source, digest=source.contents().digest).prepare(rng())
    shutil.rmtree(tmp_path / "a")
    write_lmdb(tmp_path / "a", 4)
    now = source.contents()
    assert now.train == 4
    assert Images(source, digest=now.digest).prepare(rng()).count == 4
    assert first.count == 5
    sources.loaded.cache_clear()


# -- texts ---------------------------------------------------------------------------------

LINES = "hello wörld one\nfoo bar\n\nthe last one"


@pytest.mark.parametrize(
    "data",
    [
        LINES.encode(),
        LINES.replace("\n", "\r\n").encode(),
        LINES.replace("\n", "\r").encode(),
        (LINES + "\n").encode(),
        LINES.encode("utf-8-sig"),
        LINES.encode("utf-16"),
        b"\xfe\xff" + LINES.encode("utf-16-be"),
        LINES.encode("utf-32"),
        b"\0\0\xfe\xff" + LINES.encode("utf-32-be"),
        "\ufeff".join(["", *LINES.splitlines(keepends=True)]).encode(),
    ],
    ids=["lf", "crlf", "cr", "end", "bom", "utf-16", "utf-16-be", "utf-32", "utf-32-be", "joined"],
)
def test_a_text_is_the_same_in_every_encoding_and_with_every_end_of_lines(
    data: bytes, tmp_path: Path
) -> None:
    plain, other = tmp_path / "plain", tmp_path / "other"
    plain.write_text(LINES, encoding="utf-8")
    other.write_bytes(data)
    texts = [Text(str(path), length=16).prepare(rng()) for path in (plain, other)]
    assert texts[0].characters == texts[1].characters
    assert not {"\ufeff", "\r", "\0"} & set(texts[1].characters)
    assert texts[0].train_codes is not None
    assert texts[1].train_codes is not None
    assert texts[0].train_codes.tolist() == texts[1].train_codes.tolist()
    assert texts[0].contents().digest == texts[1].contents().digest
    assert texts[1].contents().train == 3


def test_each_file_of_a_folder_may_begin_with_a_mark(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"some text of {name}\n", encoding="utf-8-sig")
    assert "\ufeff" not in Text(str(tmp_path), length=8).characters


@pytest.mark.parametrize(
    "data",
    [
        LINES.encode("utf-16-le"),
        LINES.encode("utf-16-be"),
        LINES.encode("utf-32-le"),
        b"a\0b c d\n",
    ],
)
def test_a_text_with_nul_characters_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes(data)
    for look in (lambda t: t.contents(), lambda t: t.prepare(rng())):
        with pytest.raises(BadInput, match=r"text.txt: not a text(: it holds NUL| in UTF-8)"):
            look(Text(str(tmp_path / "text.txt"), length=4))


def test_hidden_files_and_folders_are_no_text_and_links_count_once(tmp_path: Path) -> None:
    source = text(tmp_path)
    expected = source.contents()
    for name in ("._b", ".git/x", "a/.ipynb_checkpoints/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("hidden\n")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert source.contents() == expected


def test_a_run_s_vocabulary_spells_whatever_the_text_has_become(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("aab\n" * 3)
    characters = Text(str(path), length=4).characters
    path.write_text("bbba\nzzzz\n" * 3)
    spelt = Text(str(path), length=4).spelt_with(characters).prepare(rng())
    assert spelt.characters == characters
    assert set(spelt.decode(spelt.draw(rng(), 9))) <= {"bbba", "\ufffd" * 4}


def test_a_text_that_changed_is_read_again_in_the_same_process(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    sizes = []
    for content in ("aab\n" * 3, "bbba\nzzzz\n" * 3):
        path.write_text(content)
        digest = Text(str(path), length=4).contents().digest
        sizes.append(Text(str(path), length=4, digest=digest).prepare(rng()).count)
    assert sizes == [3, 6]


# -- in words ------------------------------------------------------------------------------

BEFORE = Contents("0" * 32, "image", 16, None, ("cat", "dog"))


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ({"train": 30}, "16 training images then, 30 now"),
        ({"held_out": 4}, "no held-out images then, 4 now"),
        ({"classes": ("cat", "hen")}, "classes that came: 'hen'; classes that went: 'dog'"),
        ({}, "other contents, as many images"),
    ],
)
def test_what_changed_is_said_in_words(now: dict[str, Any], words: str) -> None:
    assert differences(BEFORE, replace(BEFORE, digest="1" * 32, **now)) == words


def test_letters_that_came_and_went_are_named_up_to_a_number() -> None:
    before = Contents("0", "line", 2, characters=("unk", "a", "b"))
    now = replace(before, digest="1", characters=("unk", "b", *"cdefghijklmn"))
    assert differences(before, now) == (
        "characters that came: 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j' and 4 more;"
        " characters that went: 'a'"
    )
    assert differences(Contents("0"), now) == "other contents"


def test_a_command_looks_at_a_set_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source, looks = pictures(tmp_path), []
    look = ImageFolder.contents
    monkeypatch.setattr(ImageFolder, "contents", lambda of: looks.append(1) or look(of))
    with looking():
        contents_of(source)
        with looking():
            contents_of(source)
    assert len(looks) == 1
    contents_of(source)
    assert len(looks) == 2
