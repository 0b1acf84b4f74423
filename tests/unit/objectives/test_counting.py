"""Squares are counted as a plain program counts them; DIF is a distance to a training set."""

import itertools
import math
import random
from collections.abc import Iterator

import pytest
import torch
from helpers import rng
from torch import Tensor

from gp_lab.data.rectangles import rendered
from gp_lab.evaluation.neighbours import nearest_training
from gp_lab.objectives.reality import dif
from gp_lab.objectives.squares import count_squares, has_squares


def by_raster(image: Tensor, square: int) -> tuple[int, bool]:
    """Squares of an image [H, W] that share no pixel, from its first row on; and whether they are
    all of it."""
    on = {(y, x) for y, row in enumerate(image.tolist()) for x, v in enumerate(row) if v > 0}
    found = 0
    for y, x in sorted(on):
        window = {(y + i, x + j) for i in range(square) for j in range(square)}
        if window <= on:
            on -= window
            found += 1
    return found, not on


def disjoint(side: int, square: int, n: int) -> Iterator[tuple[int, Tensor]]:
    """(how many squares, an image [H, W]) of up to 6 squares that may touch."""
    choose = random.Random(0)
    for _ in range(n):
        corners: list[tuple[int, int]] = []
        for _ in range(choose.randint(0, 40)):
            y, x = (choose.randint(0, side - square) for _ in "yx")
            if all(max(abs(y - v), abs(x - u)) >= square for v, u in corners) and len(corners) < 6:
                corners.append((y, x))
        yield (
            len(corners),
            rendered(torch.tensor(corners).reshape(1, -1, 2).long(), square, side)[0, 0],
        )


def test_squares_that_are_apart_or_touch_are_counted_as_by_hand() -> None:
    for square, side in ((1, 4), (2, 6), (3, 9), (4, 13)):
        truth, images = zip(*disjoint(side, square, 300), strict=True)
        x = torch.stack(images)[:, None]
        counts, exact = count_squares(x, square)
        assert counts.tolist() == list(truth)
        assert [by_raster(image, square) for image in images] == [(k, True) for k in truth]
        assert exact.all()
        for k in range(5):
            assert torch.equal(has_squares(x, k, square), counts == k)


@pytest.mark.parametrize(("square", "side"), [(1, 3), (2, 6), (3, 8)])
def test_two_squares_are_two_unless_they_overlap(square: int, side: int) -> None:
    places = list(itertools.product(range(side - square + 1), repeat=2))
    pairs = torch.tensor(list(itertools.product(places, repeat=2)))
    counts, exact = count_squares(rendered(pairs, square, side), square)
    distance = (pairs[:, 0] - pairs[:, 1]).abs().amax(1)
    assert torch.equal(counts, torch.where(distance >= square, 2, 1))
    assert torch.equal(exact, (distance >= square) | (distance == 0))


def test_any_image_is_counted_as_a_plain_program_counts_it() -> None:
    """All images of 4 x 4 pixels, and squares of 2 x 2."""
    bits = torch.arange(2**16)[:, None] >> torch.arange(16) & 1
    images = (2.0 * bits - 1).reshape(-1, 1, 4, 4)
    counts, exact = count_squares(images, 2)
    wanted = [by_raster(image, 2) for image in images[:, 0]]
    assert list(zip(counts.tolist(), exact.tolist(), strict=True)) == wanted
    assert (len(counts.unique()), exact.sum()) == (5, 35)


@pytest.mark.parametrize(("rows", "columns", "wanted"), [
    (4, 4, (1, True)), (4, 5, (1, False)), (5, 5, (1, False)), (4, 6, (1, False)),
    (4, 7, (1, False)), (4, 8, (2, True)), (3, 4, (0, False)),
])  # fmt: skip
def test_a_square_that_is_too_large_is_no_second_one(
    rows: int, columns: int, wanted: tuple[int, bool]
) -> None:
    x = -torch.ones(1, 1, 12, 12)
    x[..., 2 : 2 + rows, 3 : 3 + columns] = 1
    assert tuple(y.item() for y in count_squares(x, 4, tolerance=2)) == wanted


def test_what_is_no_square_is_not_exact() -> None:
    x = rendered(torch.tensor([[[1, 1], [6, 6]]] * 3), 3, 12)
    x[1, 0, 11, 0] = 1  # a speck
    x[2, 0, 2, 2] = -1  # a hole
    counts, exact = count_squares(x, 3)
    assert counts.tolist() == [2, 2, 1]
    assert exact.tolist() == [True, False, False]
    assert has_squares(x, 2, 3).tolist() == [True, False, False]
    counts, exact = count_squares(x, 3, tolerance=1)
    assert counts.tolist() == [2, 2, 2]
    assert exact.all()
    assert has_squares(x, 2, 3, tolerance=1).all()
    empty = -torch.ones(1, 1, 5, 5)
    assert [y.item() for y in count_squares(empty, 3)] == [0, True]
    assert has_squares(empty, 0, 3).all()
    assert not has_squares(torch.full_like(empty, torch.nan), 1, 3).any()


@pytest.mark.parametrize("tolerance", [0, 1, 2])
def test_both_ways_to_count_agree_on_any_images(tolerance: int) -> None:
    squares = rendered(torch.randint(8, (400, 3, 2), generator=rng()), 3, 10)
    flipped = torch.rand(squares.shape, generator=rng(1)) < 0.02
    x = torch.where(flipped, -squares, squares)
    x = torch.cat([x, torch.rand(200, 1, 10, 10, generator=rng(2)) - 0.3])
    counts, exact = count_squares(x, 3, tolerance)
    assert len(counts.unique()) > 3
    for k in range(6):
        assert torch.equal(has_squares(x, k, 3, tolerance), (counts == k) & exact)


def test_stacked_images_are_counted_as_each_alone() -> None:
    x = rendered(torch.randint(8, (4, 30, 2, 2), generator=rng()).flatten(0, 1), 3, 10)
    stacked = torch.vmap(lambda some: has_squares(some, 2, 3))(x.reshape(4, 30, 1, 10, 10))
    assert torch.equal(stacked.flatten(), has_squares(x, 2, 3))


@pytest.mark.seconds
@pytest.mark.usefixtures("needs_compiler")
def test_compiled_alone_or_stacked_both_say_the_same() -> None:
    corners, shown = torch.randint(8, (40, 2, 2), generator=rng()), torch.ones(40, 2)
    shown[::2, 1] = 0
    x = rendered(corners, 3, 10, shown)
    training = torch.rand(3, 1, 10, 10, generator=rng()) * 2 - 1

    def both(some: Tensor) -> tuple[Tensor, Tensor]:
        return has_squares(some, 1, 3), dif(some, training)

    for function, given in ((both, x), (torch.vmap(both), x.reshape(2, 20, 1, 10, 10))):
        compiled = torch.compile(function, fullgraph=True)
        for a, b in zip(compiled(given), both(x), strict=True):
            torch.testing.assert_close(a.flatten(), b)


@pytest.mark.parametrize(
    ("shape", "square", "tolerance", "sentence"),
    [
        ((2, 3, 8, 8), 3, 0, r"images \[n, 1, H, W\] wanted"),
        ((2, 1, 8, 5), 6, 0, "square=6: images are 8 x 5 pixels"),
        ((2, 1, 8, 8), 2, 4, r"tolerance=4: must lie in \[0, 4\)"),
        ((2, 1, 8, 8), 2, -1, r"tolerance=-1: must lie"),
    ],
)
def test_images_that_cannot_be_counted_are_refused(
    shape: tuple[int, ...], square: int, tolerance: int, sentence: str
) -> None:
    for count in (count_squares, lambda x, s, t: has_squares(x, 1, s, t)):
        with pytest.raises(ValueError, match=sentence):
            count(torch.zeros(shape), square, tolerance)


def test_dif_is_a_share_of_the_largest_distance_and_0_at_a_training_image() -> None:
    training = torch.rand(5, 3, 8, 8, generator=rng()) * 2 - 1
    images = torch.rand(20, 3, 8, 8, generator=rng(1)) * 2 - 1
    found = dif(images, training)
    assert (found > 0).all()
    assert (found < 1).all()
    expected = nearest_training(images, training).distance / (2 * math.sqrt(192))
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=0)
    assert (dif(training, training) == 0).all()
    black, white = -torch.ones(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
    assert dif(black, white).item() == pytest.approx(1)
    assert dif((black + 1) / 2, white, low=0, high=1).item() == pytest.approx(1)
    stacked = torch.vmap(dif, (0, None))(images.reshape(4, 5, 3, 8, 8), training)
    torch.testing.assert_close(stacked.flatten(), found)


def test_dif_needs_a_training_set_of_its_shape() -> None:
    x = torch.zeros(2, 1, 4, 4)
    with pytest.raises(ValueError, match="against training"):
        dif(x, x[:0])
    with pytest.raises(ValueError, match="against training"):
        dif(x, torch.zeros(2, 1, 4, 5))
    with pytest.raises(ValueError, match="low=1: not below high=1"):
        dif(x, x, low=1, high=1)
