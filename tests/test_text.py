"""Text as one-hot sequences, from small files in the layouts of the real ones."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import built, rng

from gp_lab.data.latent import Latent
from gp_lab.data.text import BILLION_WORD, BILLION_WORD_HELD_OUT, PAD, Text
from gp_lab.errors import BadInput

LINES = ("the cat sat on the mat", "a dog", "the dogs and the cats ran away over the hills", "oh")


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def everything(text: Text) -> list[str]:
    """All sequences that are trained on, decoded."""
    assert text.train_codes is not None
    one_hot = torch.nn.functional.one_hot(text.train_codes.long(), len(text.characters))
    return text.decode(one_hot)


def test_lines_are_cut_or_padded_to_a_sequence(tmp_path: Path) -> None:
    text = Text(str(write(tmp_path / "a.txt", *LINES, "", LINES[1])), length=12).prepare(rng())
    expected = [line[:12] + PAD * (12 - len(line)) for line in (*LINES, LINES[1])]
    assert everything(text) == expected


def test_the_vocabulary_is_unk_and_the_most_frequent_characters_padding_among_them(
    tmp_path: Path,
) -> None:
    path = str(write(tmp_path / "a.txt", *LINES))
    whole = Text(path, length=12)
    # The count of wgan_gp's code, over padded lines, ties in the order of the code points.
    counts = Counter("".join(line[:12] + PAD * (12 - len(line)) for line in LINES))
    ranked = sorted(counts, key=lambda c: (-counts[c], c))
    assert whole.characters == ("unk", *ranked)
    assert whole.characters[1] == PAD
    small = Text(path, length=12, vocabulary=5).prepare(rng())
    assert small.characters == ("unk", *ranked[:4])
    assert small.shape == (12, 5)
    kept = set(ranked[:4])
    assert everything(small)[0] == "".join(c if c in kept else "\ufffd" for c in LINES[0][:12])


def test_batches_are_one_hot_and_of_the_text(tmp_path: Path) -> None:
    text = Text(str(write(tmp_path / "a.txt", *LINES)), length=8)
    assert isinstance(text, Latent)
    prepared = text.prepare(rng())
    x = prepared.draw(rng(), 200)
    assert x.shape == (200, *text.shape) == (200, 8, len(text.characters))
    assert x.dtype == torch.float32
    assert torch.equal(x.sum(2), torch.ones(200, 8))
    assert torch.equal(x.max(2).values, torch.ones(200, 8))
    assert set(prepared.decode(x)) == set(everything(prepared))
    assert torch.equal(x, prepared.draw(rng(), 200))
    # Near-one-hot samples of a generator decode to their largest entries.
    assert prepared.decode(0.9 * x + 0.05) == prepared.decode(x)
    with pytest.raises(ValueError, match="must be prepared"):
        text.draw(rng(), 1)


def test_characters_beyond_ascii_are_single_characters(tmp_path: Path) -> None:
    line = "naïve 東京 🙂 text"
    text = Text(str(write(tmp_path / "a.txt", line)), length=len(line)).prepare(rng())
    assert everything(text) == [line]


def test_a_folder_is_read_in_sorted_order_up_to_the_lines_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "b.txt", "third!")
    write(tmp_path / "a" / "x.txt", "first!", "second")
    write(tmp_path / ".hidden", "hidden")
    assert everything(Text(str(tmp_path), length=6).prepare(rng())) == [
        "first!",
        "second",
        "third!",
    ]
    two = Text(str(tmp_path), length=6, lines=2).prepare(rng())
    assert everything(two) == ["first!", "second"]


def test_the_billion_word_benchmark_has_a_held_out_part(tmp_path: Path) -> None:
    write(tmp_path / BILLION_WORD / "news.en-00002-of-00100", "bbbb")
    write(tmp_path / BILLION_WORD / "news.en-00001-of-00100", "aaaa")
    write(tmp_path / BILLION_WORD_HELD_OUT / "news.en.heldout-00000-of-00050", "abcb")
    text = built("dataset", "billion_word", root=str(tmp_path), length=4).prepare(rng())
    assert everything(text) == ["aaaa", "bbbb"]
    assert text.decode(text.fresh(rng(), 2)) == ["ab\ufffdb"] * 2
    assert text.characters == ("unk", "a", "b")


def test_set_aside_lines_are_the_same_for_every_seed_and_never_trained_on(tmp_path: Path) -> None:
    lines = [f"line {i:03d}" for i in range(100)]
    path = str(write(tmp_path / "a.txt", *lines))
    runs = [Text(path, length=8, held_out=20, size=40).prepare(rng(seed)) for seed in (0, 1)]
    aside = [set(run.decode(run.fresh(rng(), 20))) for run in runs]
    assert aside[0] == aside[1]
    assert len(aside[0]) == 20
    trained = [set(everything(run)) for run in runs]
    assert [len(each) for each in trained] == [40, 40]
    assert trained[0] != trained[1]
    assert not (trained[0] | trained[1]) & aside[0]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"short\n", "the text is shorter than a sequence; give at least 32 characters"),
        (b"", "the text is shorter than a sequence"),
        (b"\n" * 100, "the text is shorter than a sequence"),
        (b"caf\xe9 " * 20, "a.txt: not a text in UTF-8"),
    ],
)
def test_what_is_no_text_for_a_sequence_is_refused(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=sentence):
        built("dataset", "text", root=str(path)).prepare(rng())


def test_a_missing_text_says_what_to_put_where_and_what_can_stand_in() -> None:
    with pytest.raises(BadInput) as caught:
        built("dataset", "billion_word", root="/none/words").prepare(rng())
    sentence = str(caught.value)
    assert sentence.startswith("dataset.root=/none/words: no text there; put ")
    assert "dataset=text dataset.root=FILE" in sentence


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"size": 5}, r"dataset\.size=5: larger than the 4 lines"),
        ({"held_out": 4}, r"dataset\.held_out=4: leaves nothing of 4 lines"),
        ({"vocabulary": 2049}, r"dataset\.vocabulary=2049: must be at most 2048"),
        ({"length": 0}, r"dataset\.length=0: must be at least 1"),
    ],
)
def test_what_a_text_cannot_give_is_refused(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    path = write(tmp_path / "a.txt", *LINES)
    with pytest.raises(BadInput, match=sentence):
        built("dataset", "text", root=str(path), **changes).prepare(rng())


def test_held_out_lines_that_a_text_lacks_are_refused(tmp_path: Path) -> None:
    text = Text(str(write(tmp_path / "a.txt", *LINES))).prepare(rng())
    with pytest.raises(BadInput, match=r"set dataset.held_out to a number"):
        text.fresh(rng(), 1)
