"""Text as one-hot sequences, from small files in the layouts of the real ones."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import built, rng
from lab import LANGUAGE, config_of, trained

from gp_lab.data.base import Dataset
from gp_lab.data.text import BILLION_WORD, BILLION_WORD_HELD_OUT, PAD, Text
from gp_lab.errors import BadInput
from gp_lab.probes.base import View
from gp_lab.probes.text import NGramDivergence, lines
from gp_lab.training.setup import setup

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
    assert isinstance(text, Dataset)
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


def test_another_text_is_not_the_billion_word_benchmark(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", *LINES)
    write(tmp_path / BILLION_WORD / "news.en-00001-of-00100", *LINES)
    for root, lacks in ((path, BILLION_WORD), (tmp_path, BILLION_WORD_HELD_OUT)):
        with pytest.raises(BadInput, match=f"no folder {lacks} there, so it is not the One"):
            built("dataset", "billion_word", root=str(root), length=4).prepare(rng())


def test_a_missing_text_says_what_to_put_where_and_what_can_stand_in() -> None:
    with pytest.raises(BadInput) as caught:
        built("dataset", "billion_word", root="/none/words").prepare(rng())
    sentence = str(caught.value)
    assert sentence.startswith("dataset.root=/none/words: no folder training-monolingual.")
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


# -- Python's own documentation ------------------------------------------------------------


def test_pythons_own_documentation_is_a_text_of_distinct_sentences() -> None:
    text = built("dataset", "python_topics")
    prepared = text.prepare(rng())
    assert isinstance(text, Dataset)
    # The width that configs/architecture/char_cnn.yaml has, whatever the version of Python.
    assert prepared.shape == (32, 96)
    assert len(prepared.train_codes) > 2500
    assert len(prepared.held_out_codes) == 640
    sequences = torch.cat([prepared.train_codes, prepared.held_out_codes])
    assert len(sequences.unique(dim=0)) > 0.99 * len(sequences)  # all but what `unk` makes equal
    whole = everything(built("dataset", "python_topics", held_out=0).prepare(rng()))
    assert any(line.startswith("The simple form, ") for line in whole)
    assert not any("\n" in line or "  " in line for line in whole)


def test_a_python_without_its_documentation_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(BadInput, match="dataset=python_topics: this Python comes without"):
        built("dataset", "python_topics", length=7).prepare(rng())


# -- the probe of n-grams ------------------------------------------------------------------


def written(text: Text, codes: torch.Tensor) -> View:
    """A run whose generator writes these sequences [n, length], one after another."""

    class Sequences:
        shape, follows_reals = (1,), False

        def draw(self, rng: torch.Generator, n: int, real: Any = None) -> torch.Tensor:
            return torch.arange(n)[:, None]

    nothing: dict[str, Any] = dict.fromkeys(("critic", "loss", "discriminator", "d"))
    characters = len(text.characters)
    return View(
        step=1, dataset=text, latent=Sequences(), batch_size=7, device=torch.device("cpu"),
        generate=lambda z: torch.nn.functional.one_hot(codes[z[:, 0].long()].long(), characters),
        dtype=torch.float32, rng=lambda stream: rng(), **nothing,
    )  # fmt: skip


@pytest.fixture
def small_text(tmp_path: Path) -> Text:
    """400 lines of three random words each, 100 of them held out."""
    random = np.random.default_rng(0)
    words = ["cat", "sat", "mat", "dog", "ran", "on", "the", "a"]
    drawn = [" ".join(random.choice(words, 3)) for _ in range(400)]
    return Text(str(write(tmp_path / "a.txt", *drawn)), length=10, held_out=100).prepare(rng())


def test_who_writes_the_held_out_text_has_no_divergence_from_it_and_the_floor_from_the_other(
    small_text: Text,
) -> None:
    assert small_text.held_out_codes is not None
    probe = NGramDivergence(count=100)
    arrays = probe.measure(written(small_text, small_text.held_out_codes))
    assert arrays["held_out"].tolist() == pytest.approx([0] * 4, abs=1e-12)
    assert arrays["train"].tolist() == pytest.approx(arrays["train_floor"].tolist())
    assert (arrays["train"] > 0).all()
    assert (np.diff(arrays["train"]) > 0).all()  # rarer n-grams are farther apart by chance
    assert probe.scalars(arrays)["js_4_train"] == arrays["train"][3]
    assert lines(arrays, "codes")[:32] == lines(arrays, "real")
    assert probe.pictures(arrays)["text"].std() > 0


def test_who_writes_what_the_text_never_has_is_as_far_from_it_as_can_be(small_text: Text) -> None:
    never = torch.zeros(20, 10, dtype=torch.int16)  # `unk` at each place
    arrays = NGramDivergence(count=20, largest=3).measure(written(small_text, never))
    for part in ("train", "held_out"):
        assert arrays[part].tolist() == pytest.approx([1.0] * 3)
    assert set(lines(arrays, "codes")) == {"\ufffd" * 10}


def test_the_probe_counts_the_text_of_each_run_for_itself(small_text: Text) -> None:
    assert small_text.held_out_codes is not None
    probe = NGramDivergence(count=50)
    other = Text(small_text.root, length=10, held_out=100, size=40).prepare(rng(1))
    first, second, third = (
        probe.measure(written(text, small_text.held_out_codes))["train"]
        for text in (small_text, other, small_text)
    )
    assert second[3] > first[3]  # 40 lines know fewer 4-grams
    assert first.tolist() == third.tolist()


def test_a_language_model_trains_and_writes_its_divergences(tmp_path: Path) -> None:
    small = ("probe=[ngrams]", "probe.ngrams.count=20", "probe.ngrams.every=1", "log_every=1")
    start = ("probe.ngrams.start=true", "steps=2", f"out={tmp_path}")
    run = trained(*small, *start, base=LANGUAGE)
    found = [line for line in run.metrics() if "ngrams/js_4_held_out" in line]
    assert [line["step"] for line in found] == [0, 1, 2]
    arrays = run.arrays("ngrams")
    assert arrays["codes"].shape == (20, 32)
    assert {len(line) for line in lines(arrays, "codes")} == {32}


def test_networks_are_as_wide_as_the_text_where_they_leave_it_open(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", *LINES)
    own = (f"dataset.root={file}", "architecture.characters=null", "batch_size=2", "probe=[]")
    run = setup(config_of("dataset=text", *own, base=LANGUAGE))
    width = len(run.dataset.characters)
    assert run.game.generator(torch.zeros(2, 128)).shape == (2, 32, width)
    assert run.config["architecture"]["characters"] is None
    with pytest.raises(BadInput, match=r"architecture\.characters=null: as many as the text has"):
        setup(config_of("dataset=mnist_5k", *own[1:], base=LANGUAGE))


def test_what_the_probe_of_n_grams_cannot_look_at_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"probe\.ngrams: counts characters"):
        setup(config_of("probe=[ngrams]", base=("tracking=none",)))
    with pytest.raises(BadInput, match=r"probe\.ngrams\.largest=40: longer than a sequence of 32"):
        setup(config_of("probe=[ngrams]", "probe.ngrams.largest=40", base=LANGUAGE))
    with pytest.raises(BadInput, match=r"probe\.ngrams\.largest=10: the n-grams of 96 characters"):
        setup(config_of("probe=[ngrams]", "probe.ngrams.largest=10", base=LANGUAGE))
    file = write(tmp_path / "a.txt", *LINES)
    own = (
        "dataset=text", f"dataset.root={file}", "dataset.vocabulary=9", "architecture.characters=9",
    )  # fmt: skip
    with pytest.raises(BadInput, match=r"set dataset\.held_out to a number of lines"):
        setup(config_of("probe=[ngrams]", "batch_size=2", *own, base=LANGUAGE))


def test_a_batch_is_made_where_the_run_trains(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("abcdefgh\n" * 3 + "hgfedcba\n" * 3)
    text = Text(str(tmp_path / "text.txt"), length=8).prepare(rng(0))
    placed = text.on(torch.device("meta"))
    assert placed.draw(rng(1), 4).device.type == "meta"
    x = text.draw(rng(1), 4)
    assert torch.equal(x.sum(-1), torch.ones(4, 8))
    assert set(text.decode(x)) <= {"abcdefgh", "hgfedcba"}


def test_a_line_that_is_held_out_is_not_among_the_training_ones_either(tmp_path: Path) -> None:
    words = [f"line {n % 50:03d}" for n in range(400)]  # each of them eight times
    (tmp_path / "own.txt").write_text("\n".join(words) + "\n")
    text = Text(tmp_path, length=8, held_out=20).prepare(rng())
    assert text.train_codes is not None
    assert text.held_out_codes is not None
    kept, held_out = (
        {tuple(row) for row in part.tolist()} for part in (text.train_codes, text.held_out_codes)
    )
    assert len(text.held_out_codes) == 20
    assert not kept & held_out
    assert len(kept | held_out) == 50
    assert len(text.train_codes) == 400 - 8 * len(held_out)
    with pytest.raises(BadInput, match="each line that is left is held out, too"):
        Text(tmp_path, length=5, held_out=20).prepare(rng())
