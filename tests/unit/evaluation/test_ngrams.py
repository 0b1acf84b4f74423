"""Jensen-Shannon divergence of n-grams, against counting strings."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from gp_lab.evaluation import ngrams
from gp_lab.evaluation.ngrams import NGrams, count, count_all, divergences, jensen_shannon

LINES = ["the cat sat", "on the mat.", "a cat ate a", "hat that sat"[:11]]
OTHER = ["that mat sat", "at the cats."]


def tokens(lines: list[str]) -> np.ndarray:
    return np.array([[ord(c) for c in line] for line in lines])


def strings(lines: list[str], n: int) -> Counter[str]:
    return Counter(line[i : i + n] for line in lines for i in range(len(line) - n + 1))


def counted(lines: list[str]) -> tuple[NGrams, ...]:
    return count_all(tokens(lines), 256)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_divergence_is_that_of_the_counts_of_strings(n: int) -> None:
    p, q = strings(LINES, n), strings(OTHER, n)
    union = sorted({*p, *q})
    expected = jensenshannon([p[g] for g in union], [q[g] for g in union], base=2) ** 2
    found = divergences(counted(LINES), counted(OTHER))
    assert found.shape == (4,)
    assert found[n - 1] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("chunk", [1, 3, 4])
def test_a_long_text_is_counted_in_pieces(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = counted(LINES)
    monkeypatch.setattr(ngrams, "_CHUNK", chunk)
    for p, q in zip(whole, counted(LINES), strict=True):
        assert p.codes.tolist() == q.codes.tolist()
        assert p.counts.tolist() == q.counts.tolist()
        assert sorted(p.counts) == sorted(strings(LINES, p.n).values())


def test_n_grams_are_counted_inside_sequences_only() -> None:
    grams = count([[0, 1], [1, 0], [0, 1]], 2, vocabulary=3)
    assert grams.codes.tolist() == [1, 3]
    assert grams.counts.tolist() == [2, 1]


def test_equal_texts_have_divergence_zero_and_disjoint_ones_one() -> None:
    assert divergences(counted(LINES), counted(LINES)).tolist() == [0, 0, 0, 0]
    other = [line.translate({i: i + 128 for i in range(128)}) for line in LINES]
    np.testing.assert_allclose(divergences(counted(LINES), counted(other)), 1, rtol=1e-12)


def test_how_often_a_text_is_repeated_makes_no_difference() -> None:
    once, often = (divergences(counted(lines), counted(OTHER)) for lines in (LINES, 5 * LINES))
    np.testing.assert_allclose(often, once, rtol=1e-12)


def test_no_text_has_no_divergence() -> None:
    text = tokens(LINES)
    assert math.isnan(jensen_shannon(count(text[:0], 2, 128), count(text, 2, 128)))


def test_what_is_no_sequence_of_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="outside the vocabulary of 5"):
        count([[0, 5]], 1, 5)
    with pytest.raises(ValueError, match="outside the vocabulary of 5"):
        count([[-1, 0]], 1, 5)
    with pytest.raises(ValueError, match="integers"):
        count([[0.5, 1.0]], 1, 5)
    with pytest.raises(ValueError, match="n=3"):
        count([[0, 1]], 3, 5)
    with pytest.raises(ValueError, match="64 bits"):
        count([[0, 1, 2, 3]], 4, 2**17)
    with pytest.raises(ValueError, match="argument 2 is longer"):
        divergences(count_all([[0, 1]], 5, 1), count_all([[0, 1]], 5, 2))
    with pytest.raises(ValueError, match="do not compare"):
        jensen_shannon(count([[0, 1]], 1, 5), count([[0, 1]], 2, 5))
