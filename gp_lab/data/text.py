"""Characters as one-hot sequences: the language model of wgan_gp, Table 4.

A line is a sequence: cut to its first `length` characters, or filled up with the pad character.
The vocabulary is the most frequent characters (the padding counted among them) after `unk`, which
stands for all others, as in the authors' code.
"""

import copy
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from gp_lab.data.base import Dataset, spelt
from gp_lab.data.contents import Contents
from gp_lab.data.corpus import (
    BILLION_WORD,
    BILLION_WORD_HELD_OUT,
    PAD,
    Corpus,
    contents_of_files,
    contents_of_topics,
    python_topics,
    read_corpus,
)
from gp_lab.data.random import choose, generator
from gp_lab.errors import BadInput
from gp_lab.fields import Count, CountOrZero, PathText

__all__ = ["BILLION_WORD", "BILLION_WORD_HELD_OUT", "PAD", "PythonTopics", "Text", "read_corpus"]

VocabularySize = Annotated[int, Field(ge=2, le=2048)]


@dataclass(frozen=True)
class Text(Dataset):
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
        digest: of what the text is now, where it was looked at.
    """

    root: PathText
    length: Count = 32
    vocabulary: VocabularySize = 2048
    lines: Count | None = None
    size: Count | None = None
    held_out: CountOrZero | None = None
    order: Literal["replacement", "shuffle"] = "replacement"
    digest: str | None = None
    spelt: tuple[str, ...] = field(default=(), init=False, repr=False)
    """The vocabulary, where it is not to be taken from the text; see `spelt_with`."""
    train_codes: Tensor | None = field(default=None, init=False, repr=False, compare=False)
    """The sequences that are trained on, int16 [N, length]; None before `prepare`."""
    held_out_codes: Tensor | None = field(default=None, init=False, repr=False, compare=False)
    """The sequences that are not, int16 [M, length]; None where there are none."""
    device: torch.device | None = field(default=None, init=False, repr=False, compare=False)
    """Where batches are made; None for the device of the random numbers."""

    draws_parts: ClassVar[bool] = True

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

    def spelt_with(self, characters: tuple[str, ...]) -> "Text":
        """A copy with this vocabulary, `unk` first, whatever the text has now: that of a run."""
        return self._with(spelt=characters)

    def contents(self) -> Contents:
        """What the text is; its vocabulary is not looked for. Raises `BadInput` as `prepare`."""
        return contents_of_files(self.root)

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
            if self.held_out:
                held_out, train = train[shuffled[: self.held_out]], train[shuffled[self.held_out :]]
                train = train[~_among(train, held_out)]  # the same words may be in two lines
            else:
                held_out = None
            if not len(train):
                raise BadInput(
                    f"dataset.held_out={self.held_out}: each line that is left is held out, too"
                )
        if self.size is not None:
            if self.size > len(train):
                raise BadInput(f"dataset.size={self.size}: larger than the {len(train)} lines")
            train = train[torch.randperm(len(train), generator=rng)[: self.size]]
        return self._with(train_codes=train, held_out_codes=held_out)

    def on(self, device: torch.device) -> "Text":
        """A copy that makes its batches on a device, which is sent numbers of characters alone."""
        return self._with(device=device)

    @property
    def count(self) -> int:
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

    def fresh(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor:
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
        return spelt(x, self.letters)

    def kept(self, x: Tensor) -> np.ndarray:
        """The strings [n] of sequences, as `decode` gives them."""
        return np.array(self.decode(x))

    def _prepared(self) -> Tensor:
        if self.train_codes is None:
            raise ValueError("a text must be prepared before it is drawn from")
        return self.train_codes

    def _corpus(self) -> Corpus:
        shape = (self.length, self.vocabulary, self.lines)
        return read_corpus(self.root, *shape, self.spelt, self.digest)

    def _with(self, **values: object) -> "Text":
        other = copy.copy(self)
        for name, value in values.items():
            object.__setattr__(other, name, value)
        return other

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

    def contents(self) -> Contents:
        """What this Python's help is. Raises `BadInput` where it has none."""
        return contents_of_topics()

    def _corpus(self) -> Corpus:
        return python_topics(self.length, self.vocabulary, self.lines, self.spelt)


def _among(sequences: Tensor, others: Tensor) -> Tensor:
    """Which of the sequences [n, length] are among the others [m, length], bool [n]."""
    weights = torch.randint(2**62, (sequences.shape[1],), generator=generator(0, "text_hash", 0))
    hashed, its = ((codes.long() * weights).sum(1) for codes in (sequences, others))
    return torch.isin(hashed, its)
