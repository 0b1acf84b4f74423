"""Characters as one-hot sequences: the language model of `papers/wgan_gp.txt`, Table 4.

A line is a sequence: cut to its first `length` characters, or filled up with the pad character.
The vocabulary is the most frequent characters (the padding counted among them) after `unk`, which
stands for all others, as in the authors' code.
"""

import copy
import importlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from gp_lab.data.random import choose, generator
from gp_lab.errors import BadInput
from gp_lab.parts import Count, CountOrZero, PathText

PAD = "`"
UNKNOWN = "unk"
BILLION_WORD = "training-monolingual.tokenized.shuffled"
BILLION_WORD_HELD_OUT = "heldout-monolingual.tokenized.shuffled"
"""The two folders of the One Billion Word benchmark (Chelba et al., 2013)."""

_CHUNK = 2**16
_CODE_POINTS = 0x110000
_SENTENCE_END = re.compile(r"(?<=[.!?:;]) (?=[^a-z])")

VocabularySize = Annotated[int, Field(ge=2, le=2048)]


@dataclass(frozen=True, eq=False)
class Corpus:
    """Sequences as numbers of characters.

    Args:
        train: int16 [N, length].
        held_out: int16 [M, length]; None where the text has no such part.
        characters: the vocabulary: `unk`, then characters from the most frequent one.
    """

    train: Tensor
    held_out: Tensor | None
    characters: tuple[str, ...]


@lru_cache(maxsize=2)
def read_corpus(root: str, length: int, vocabulary: int, lines: int | None) -> Corpus:
    """The text below `root`, once for all runs of a process.

    `root` is a text file, the One Billion Word benchmark (its training and held-out folders), or a
    folder whose files are read in sorted order. Empty lines are passed over. Raises `BadInput`
    where there is no text, where it is shorter than one sequence, or where it is not UTF-8.
    """
    place = Path(root)
    corpus = _corpus(_lines(_files(place, root), length), length, vocabulary, lines, root)
    aside = place / BILLION_WORD_HELD_OUT
    if not aside.is_dir():
        return corpus
    chunks, _ = _chunks(_lines(_below(aside), length), length, lines)
    held_out = _numbers(chunks, _table(corpus.characters), length) if chunks else None
    return replace(corpus, held_out=held_out)


@lru_cache(maxsize=2)
def python_topics(length: int, vocabulary: int, lines: int | None) -> Corpus:
    """The sentences of `pydoc_data.topics`, the help of the interpreter that runs this.

    In the order of the topics; of those that agree in their first `length` characters only the
    first, for else what is held out would be trained on. Raises `BadInput` where the interpreter
    comes without its help, or as `read_corpus` does.
    """
    try:
        topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    except ImportError as error:
        raise BadInput(
            "dataset=python_topics: this Python comes without the text of its help"
            f" ({error}); use dataset=text dataset.root=FILE"
        ) from error
    paragraphs = (p for name in sorted(topics) for p in re.split(r"\n\s*\n", topics[name]))
    sentences = (s for p in paragraphs for s in _SENTENCE_END.split(" ".join(p.split())))
    distinct = dict.fromkeys(s[:length] for s in sentences if s)
    return _corpus(distinct, length, vocabulary, lines, "pydoc_data.topics")


def _corpus(
    sequences: Iterable[str], length: int, vocabulary: int, lines: int | None, root: str
) -> Corpus:
    """Lines of at most `length` characters as numbers, nothing held out."""
    chunks, counts = _chunks(sequences, length, lines)
    if not chunks:
        raise BadInput(
            f"dataset.root={root}: the text is shorter than a sequence; give at least {length}"
            f" characters, or set dataset.length below {length}"
        )
    # As Counter.most_common: the more frequent first; ties by code point, so all machines agree.
    points = counts.nonzero()[0]
    kept = points[np.lexsort((points, -counts[points]))][: vocabulary - 1]
    characters = (UNKNOWN, *map(chr, kept.tolist()))
    return Corpus(_numbers(chunks, _table(characters), length), None, characters)


def _table(characters: tuple[str, ...]) -> np.ndarray:
    """int16 [code points]: the number of each character; 0, `unk`, of one not in the vocabulary."""
    table = np.zeros(_CODE_POINTS, dtype=np.int16)
    table[[ord(c) for c in characters[1:]]] = np.arange(1, len(characters))
    return table


def _files(place: Path, root: str) -> list[Path]:
    if place.is_file():
        return [place]
    files = _below(place / BILLION_WORD if (place / BILLION_WORD).is_dir() else place)
    if not files:
        raise BadInput(
            f"dataset.root={root}: no text there; put a text file, a folder of text files or the"
            f" unpacked One Billion Word benchmark ({BILLION_WORD}) there; any text of your own"
            " can stand in: dataset=text dataset.root=FILE, or Python's: dataset=python_topics"
        )
    return files


def _below(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if not path.name.startswith("."))


def _chunks(
    lines: Iterable[str], length: int, most: int | None
) -> tuple[list[np.ndarray], np.ndarray]:
    """Code points [n, length] of padded lines, in chunks, and how often each of them occurs.

    No chunks if all lines together have fewer than `length` characters.
    """
    chunks: list[np.ndarray] = []
    counts = np.zeros(_CODE_POINTS, dtype=np.int64)
    letters = 0
    sequences = islice(lines, most)
    while some := list(islice(sequences, _CHUNK)):
        if letters < length:
            letters += sum(map(len, some))
        text = "".join(line.ljust(length, PAD) for line in some)
        codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4").astype(np.int32)
        counts += np.bincount(codes, minlength=len(counts))
        chunks.append(codes.reshape(-1, length))
    return (chunks if letters >= length else []), counts


def _numbers(chunks: list[np.ndarray], table: np.ndarray, length: int) -> Tensor:
    """The characters' numbers, int16 [N, length]; takes the chunks away one by one."""
    numbers = torch.empty(sum(map(len, chunks)), length, dtype=torch.int16)
    end = len(numbers)
    while chunks:
        last = chunks.pop()
        numbers[end - len(last) : end] = torch.from_numpy(table[last])
        end -= len(last)
    return numbers


def _lines(files: list[Path], length: int) -> Iterator[str]:
    for path in files:
        try:
            with path.open(encoding="utf-8") as file:
                for line in file:
                    if line := line.rstrip("\n"):
                        yield line[:length]
        except UnicodeDecodeError as error:
            raise BadInput(f"{path}: not a text in UTF-8 ({error.reason})") from error
        except OSError as error:
            raise BadInput(f"{path}: cannot be read ({error.strerror})") from error


@dataclass(frozen=True)
class Text:
    """Sequences of characters in the trainer's signature, one-hot [n, length, vocabulary] float32.

    Args:
        root: a text file, a folder of them, or the One Billion Word benchmark.
        length: characters of a sequence.
        vocabulary: how many characters are told apart, at most, `unk` included.
        lines: how many lines are read, at most; null for all.
        size: train on so many sequences, chosen once for a run; null for all.
        held_out: how many sequences to set aside, the same for every seed; null for the text's own
            held-out part (One Billion Word has one), or none.
        order: `replacement` (each sequence of a batch is any of them) or `shuffle` (random
            permutations, one after another).
    """

    root: PathText
    length: Count = 32
    vocabulary: VocabularySize = 2048
    lines: Count | None = None
    size: Count | None = None
    held_out: CountOrZero | None = None
    order: Literal["replacement", "shuffle"] = "replacement"
    train_codes: Tensor | None = field(default=None, init=False, repr=False, compare=False)
    """The sequences that are trained on, int16 [N, length]; None before `prepare`."""
    held_out_codes: Tensor | None = field(default=None, init=False, repr=False, compare=False)
    """The sequences that are not, int16 [M, length]; None where there are none."""
    device: torch.device | None = field(default=None, init=False, repr=False, compare=False)
    """Where batches are made; None for the device of the random numbers."""

    draws_parts: ClassVar[bool] = True
    """Whether it can be told which samples of a batch are wanted."""

    @property
    def characters(self) -> tuple[str, ...]:
        """The vocabulary, `unk` first. Reads the text; raises `BadInput` as `read_corpus` does."""
        return self._corpus().characters

    @property
    def letters(self) -> tuple[str, ...]:
        """The vocabulary as it is shown, one character each: `unk` is U+FFFD."""
        return ("\ufffd", *self.characters[1:])

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample: (length, characters that the text has). Reads the text."""
        return (self.length, len(self.characters))

    def prepare(self, rng: torch.Generator) -> "Text":
        """A copy that holds its sequences; `rng` chooses which where `size` asks for some of them.

        Raises `BadInput` for a text that is missing or smaller than what is asked of it.
        """
        corpus = self._corpus()
        train, held_out = corpus.train, corpus.held_out
        if self.held_out is not None:
            n = len(train)
            if self.held_out >= n:
                raise BadInput(
                    f"dataset.held_out={self.held_out}: leaves nothing of {n} lines to train on"
                )
            # Not from `rng`, which is the run's own: all seeds are to be judged by the same lines.
            shuffled = torch.randperm(n, generator=generator(0, "text_held_out", 0))
            held_out = train[shuffled[: self.held_out]] if self.held_out else None
            train = train[shuffled[self.held_out :]] if self.held_out else train
        if self.size is not None:
            if self.size > len(train):
                raise BadInput(f"dataset.size={self.size}: larger than the {len(train)} lines")
            train = train[torch.randperm(len(train), generator=rng)[: self.size]]
        prepared = copy.copy(self)
        object.__setattr__(prepared, "train_codes", train)
        object.__setattr__(prepared, "held_out_codes", held_out)
        return prepared

    def on(self, device: torch.device) -> "Text":
        """A copy that makes its batches on a device, which is sent numbers of characters alone."""
        placed = copy.copy(self)
        object.__setattr__(placed, "device", device)
        return placed

    def __len__(self) -> int:
        """How many sequences are trained on. Raises ValueError before `prepare`."""
        return len(self._prepared())

    def draw(
        self,
        rng: torch.Generator,
        n: int,
        real: Tensor | None = None,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """n sequences [n, length, vocabulary], on the set's device; `real` is not used.

        Of the n those at the places `wanted` [k], ascending, if it is given.
        Raises ValueError before `prepare`. With `order: shuffle` each call begins a new
        permutation, as in `gp_lab.data.points.Points`.
        """
        return self._batch(self._prepared(), self.order, rng, n, wanted)

    def fresh(self, rng: torch.Generator, n: int) -> Tensor:
        """n held-out sequences [n, length, vocabulary], in random permutations.

        Raises `BadInput` where none are held out.
        """
        if self.held_out_codes is None:
            raise BadInput(
                "dataset.held_out: the text has no held-out part; set dataset.held_out to a number"
                " of lines to set aside"
            )
        return self._batch(self.held_out_codes, "shuffle", rng, n)

    def decode(self, x: Tensor) -> list[str]:
        """The text of sequences [n, length, vocabulary]: the largest entry of each place.

        `unk` becomes the replacement character U+FFFD; padding stays.
        """
        letters = np.array(self.letters)
        return ["".join(row) for row in letters[x.argmax(-1).cpu().numpy()]]

    def _prepared(self) -> Tensor:
        if self.train_codes is None:
            raise ValueError("a text must be prepared before it is drawn from")
        return self.train_codes

    def _corpus(self) -> Corpus:
        return read_corpus(self.root, self.length, self.vocabulary, self.lines)

    def _batch(
        self,
        codes: Tensor,
        order: str,
        rng: torch.Generator,
        n: int,
        wanted: Tensor | None = None,
    ) -> Tensor:
        which = choose(order, len(codes), rng, n).cpu()
        some = codes[which if wanted is None else which[wanted]]
        some = some.to(self.device or rng.device)[..., None].long()
        # As torch's one_hot, whose int64 takes twice the room on the way.
        zeros = torch.zeros(*some.shape[:2], len(self.characters), device=some.device)
        return zeros.scatter_(2, some, 1.0)


@dataclass(frozen=True)
class PythonTopics(Text):
    """Sentences of Python's own documentation, a text that is wherever gp_lab runs: a stand-in.

    About 3500 sequences, some more with each version of Python. As `Text` otherwise.
    """

    root: str = field(default="pydoc_data.topics", init=False)

    def _corpus(self) -> Corpus:
        return python_topics(self.length, self.vocabulary, self.lines)
