"""Texts from files as numbers of characters: their lines, the vocabulary, the digest.

A line is what stands between two ends of lines (LF, CR LF or CR); empty ones are passed over. Files
are in UTF-8, or in UTF-16 or UTF-32 with a byte order mark; the mark is no character of the text.
"""

import codecs
import importlib
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gp_lab.data.contents import Contents
from gp_lab.data.digests import Digest, combined, of_files, of_lines
from gp_lab.errors import BadInput, one_line
from gp_lab.files import files_below, opened

PAD = "`"
UNKNOWN = "unk"
BILLION_WORD = "training-monolingual.tokenized.shuffled"
BILLION_WORD_HELD_OUT = "heldout-monolingual.tokenized.shuffled"
"""The two folders of the One Billion Word benchmark (Chelba et al., 2013)."""

MARK = "\ufeff"
"""The byte order mark, where a file begins or where files were joined."""

_MARKS = {  # the longer ones first: UTF-32's begins with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip

_CHUNK = 2**16
_CODE_POINTS = 0x110000
_SENTENCE_END = re.compile(r"(?<=[.!?:;]) (?=[^a-z])")


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
def read_corpus(
    root: str,
    length: int,
    vocabulary: int,
    lines: int | None,
    characters: tuple[str, ...] = (),
    digest: str | None = None,
) -> Corpus:
    """The text below `root`, once for all runs of a process.

    `root` is a text file, the One Billion Word benchmark (its training and held-out folders), or a
    folder whose files are read in sorted order, hidden ones left out. `characters`: a vocabulary
    that there is already. `digest` is that of what the text is now: what was read before it changed
    is another. Raises `BadInput` where there is no text, where it is shorter than one sequence, or
    where it is in an encoding that is not known.
    """
    train, aside = text_files(root)
    corpus = _corpus(_lines_of(train), length, vocabulary, lines, root, characters)
    if aside is None:
        return corpus
    chunks, _ = _chunks(_lines_of(aside), length, lines)
    held_out = _numbers(chunks, _table(corpus.characters), length) if chunks else None
    return replace(corpus, held_out=held_out)


@lru_cache(maxsize=2)
def python_topics(
    length: int, vocabulary: int, lines: int | None, characters: tuple[str, ...] = ()
) -> Corpus:
    """The sentences of `pydoc_data.topics`, the help of the interpreter that runs this.

    In the order of the topics; of those that agree in their first `length` characters only the
    first, for else what is held out would be trained on. Raises `BadInput` where the interpreter
    comes without its help, or as `read_corpus` does.
    """
    distinct = dict.fromkeys(s[:length] for s in _sentences())
    return _corpus(distinct, length, vocabulary, lines, "pydoc_data.topics", characters)


def contents_of_files(root: str) -> Contents:
    """What the text below `root` is, without its vocabulary.

    The digest is of the lines of its files in their order, whatever their encoding and ends of
    lines. Raises `BadInput` where there is no text, or where it is in an encoding that is not
    known.
    """
    train, aside = text_files(root)
    found = of_files(train, lines_in)
    held_out = None if aside is None else of_files(aside, lines_in)
    return Contents(
        combined("text", found.value, held_out.value if held_out else ""),
        "line",
        found.number,
        held_out.number if held_out else None,
        place=os.path.abspath(root),
    )


def contents_of_topics() -> Contents:
    """What the help of this Python is. Raises `BadInput` where it is not there."""
    value, number = of_lines(_sentences())
    return Contents(combined("topics", value), "line", number, place="pydoc_data.topics")


def text_files(root: str) -> tuple[list[Path], list[Path] | None]:
    """The files of a text, and those of its held-out part where it has one. Raises `BadInput`."""
    place = Path(root)
    if place.is_file():
        return [place], None
    aside = place / BILLION_WORD_HELD_OUT
    files = _below(place / BILLION_WORD if (place / BILLION_WORD).is_dir() else place)
    if not files:
        raise BadInput(
            f"dataset.root={root}: no text there; put a text file, a folder of text files or the"
            f" unpacked One Billion Word benchmark ({BILLION_WORD}) there; any text of your own"
            " can stand in: dataset=text dataset.root=FILE, or Python's: dataset=python_topics"
        )
    return files, _below(aside) if aside.is_dir() else None


def lines_in(path: Path, told: Callable[[int], object] = lambda read: None) -> Digest:
    """The digest of the lines of a file, and their number; `told` is how many bytes were read."""

    def heard() -> Iterator[str]:
        for line in _lines(path):
            told(len(line) + 1)
            yield line

    return of_lines(heard())


def _sentences() -> Iterator[str]:
    try:
        topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    except ImportError as error:
        raise BadInput(
            "dataset=python_topics: this Python comes without the text of its help"
            f" ({error}); use dataset=text dataset.root=FILE"
        ) from error
    paragraphs = (p for name in sorted(topics) for p in re.split(r"\n\s*\n", topics[name]))
    return (s for p in paragraphs for s in _SENTENCE_END.split(" ".join(p.split())) if s)


def _below(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    try:
        return files_below(folder)
    except OSError as error:
        where = error.filename or folder
        raise BadInput(f"{where}: cannot be listed ({one_line(error)})") from error


def _lines_of(files: Iterable[Path]) -> Iterator[str]:
    return (line for path in files for line in _lines(path))


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file that are not empty, whatever they end with."""
    try:
        with opened(path) as file:
            start = file.read(4)
            file.seek(0)
            encoding = next((name for mark, name in _MARKS.items() if start.startswith(mark)), "")
            # None: LF, CR LF and CR all end a line.
            for line in io.TextIOWrapper(file, encoding=encoding or "utf-8", newline=None):
                if "\0" in line:
                    raise BadInput(
                        f"{path}: not a text: it holds NUL characters, as UTF-16 without a byte"
                        " order mark does; write it in UTF-8"
                    )
                if line := line.rstrip("\n").removeprefix(MARK):
                    yield line
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path}: not a text in {(encoding or 'utf-8').upper()} ({error.reason})"
        ) from error
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({one_line(error)})") from error


def _corpus(
    lines_of_text: Iterable[str],
    length: int,
    vocabulary: int,
    lines: int | None,
    root: str,
    characters: tuple[str, ...],
) -> Corpus:
    """Lines, cut to `length` characters, as numbers, nothing held out."""
    chunks, counts = _chunks(lines_of_text, length, lines)
    if not chunks:
        raise BadInput(
            f"dataset.root={root}: the text is shorter than a sequence; give at least {length}"
            f" characters, or set dataset.length below {length}"
        )
    characters = characters or _most_frequent(counts, vocabulary)
    return Corpus(_numbers(chunks, _table(characters), length), None, characters)


def _most_frequent(counts: np.ndarray, vocabulary: int) -> tuple[str, ...]:
    """`unk` and the most frequent code points; ties in their order, so that all machines agree."""
    points = counts.nonzero()[0]
    kept = points[np.lexsort((points, -counts[points]))][: vocabulary - 1]
    return (UNKNOWN, *map(chr, kept.tolist()))


def _table(characters: tuple[str, ...]) -> np.ndarray:
    """int16 [code points]: the number of each character; 0, `unk`, of one not in the vocabulary."""
    table = np.zeros(_CODE_POINTS, dtype=np.int16)
    table[[ord(c) for c in characters[1:]]] = np.arange(1, len(characters))
    return table


def _chunks(
    lines: Iterable[str], length: int, most: int | None
) -> tuple[list[np.ndarray], np.ndarray]:
    """Code points [n, length] of lines, cut or padded, in chunks, and how often each occurs.

    No chunks if all lines together have fewer than `length` characters.
    """
    chunks: list[np.ndarray] = []
    counts = np.zeros(_CODE_POINTS, dtype=np.int64)
    letters = 0
    sequences = (line[:length] for line in islice(lines, most))
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
