"""Divergence of the n-grams of two sets of token sequences (wgan_gp, Table 4)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_CHUNK = 2**17
"""Sequences that are counted at a time: millions of lines need no more memory than these."""


@dataclass(frozen=True)
class NGrams:
    """Which n-grams there are and how often.

    n: their length; vocabulary: how many tokens there are; codes: each as a number with its tokens
    for digits, rising `[m]`; counts: how often each stands there `[m]`.
    """

    n: int
    vocabulary: int
    codes: Integers
    counts: Integers


def count(sequences: ArrayLike, n: int, vocabulary: int) -> NGrams:
    """The n-grams inside sequences of tokens `[k, length]`, integers from 0 to vocabulary - 1.

    None reaches from one sequence into the next. Raises ValueError for tokens that are no integers
    or outside the vocabulary, another shape, sequences shorter than n, or vocabulary^n too large
    for 64 bits.
    """
    tokens = np.asarray(sequences)
    if tokens.ndim != 2 or not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(f"integers [k, length] wanted, got {tokens.dtype} {list(tokens.shape)}")
    if not 1 <= n <= tokens.shape[1]:
        raise ValueError(f"n={n}: must lie between 1 and the sequences' {tokens.shape[1]} tokens")
    if tokens.size and not (tokens.min() >= 0 and tokens.max() < vocabulary):
        raise ValueError(f"tokens outside the vocabulary of {vocabulary}")
    if vocabulary**n >= 2**63:
        raise ValueError(f"vocabulary={vocabulary}: its {n}-grams do not fit into 64 bits")
    width = tokens.shape[1] - n + 1
    found = counts = np.zeros(0, dtype=np.int64)
    for first in range(0, len(tokens), _CHUNK):
        some = tokens[first : first + _CHUNK]
        codes = np.zeros((len(some), width), dtype=np.int64)
        for i in range(n):
            codes = codes * vocabulary + some[:, i : i + width]
        new, how_often = np.unique(codes, return_counts=True)
        found, place = np.unique(np.concatenate([found, new]), return_inverse=True)
        both = np.concatenate([counts, how_often])
        counts = np.bincount(place, weights=both, minlength=len(found)).astype(np.int64)
    return NGrams(n, vocabulary, found, counts)


def jensen_shannon(p: NGrams, q: NGrams) -> float:
    """Jensen-Shannon divergence of two n-gram distributions, base 2: 0 if equal, 1 if disjoint.

    (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2. NaN where one has no n-gram. Raises
    ValueError where n or the vocabulary differ.
    """
    if (p.n, p.vocabulary) != (q.n, q.vocabulary):
        raise ValueError(
            f"{p.n}-grams of {p.vocabulary} tokens do not compare with"
            f" {q.n}-grams of {q.vocabulary}"
        )
    if not (p.counts.sum() and q.counts.sum()):
        return np.nan
    codes = np.union1d(p.codes, q.codes)
    shares = np.zeros((2, len(codes)))
    for row, grams in zip(shares, (p, q), strict=True):
        row[np.searchsorted(codes, grams.codes)] = grams.counts / grams.counts.sum()
    middle = np.broadcast_to(shares.mean(0), shares.shape)
    there = shares > 0
    terms = shares[there] * np.log2(shares[there] / middle[there])
    return float(min(1.0, max(0.0, terms.sum() / 2)))


def count_all(sequences: ArrayLike, vocabulary: int, largest: int = 4) -> tuple[NGrams, ...]:
    """`count` for n = 1, ..., largest: of a long text once, for many comparisons with it.

    Raises ValueError as `count` does.
    """
    return tuple(count(sequences, n, vocabulary) for n in range(1, largest + 1))


def divergences(samples: Sequence[NGrams], text: Sequence[NGrams]) -> Array:
    """JS-1 to JS-4 (or as many as there are) of two texts counted by `count_all` -> `[largest]`.

    Raises ValueError as `jensen_shannon` does, or where there are more of one than of the other.
    """
    return np.array([jensen_shannon(p, q) for p, q in zip(samples, text, strict=True)])
