"""Images of squares: what is in a set, its combinations, and the fixed codes beside it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from distributions import LEVEL, present, stream
from helpers import built, names_in
from lab import BARE, config_of
from scipy import stats
from torch import Tensor

from gp_lab.data.base import Dataset
from gp_lab.data.latent import Codes
from gp_lab.data.points import Points, SwissRoll
from gp_lab.data.rectangles import Rectangles, rendered
from gp_lab.errors import BadInput
from gp_lab.objectives.squares import count_squares
from gp_lab.training.setup import setup

SMALL = Rectangles(square=3, side=12, size=200)


def made(**settings: Any) -> Rectangles:
    return Rectangles(**{"square": 3, "side": 12, "size": 200} | settings).prepare(stream("set"))


def gaps(corners: Tensor) -> Tensor:
    """Largest of the distances along rows and columns of each two squares [n, pairs]."""
    i, j = torch.triu_indices(corners.shape[1], corners.shape[1], 1)
    return (corners[:, i] - corners[:, j]).abs().amax(-1)


@pytest.mark.parametrize("squares", [1, 2, 3])
@pytest.mark.parametrize("gap", [0, 1, 2])
def test_siblings_have_one_square_less_in_common_and_one_more_together(
    squares: int, gap: int
) -> None:
    data = made(squares=squares, gap=gap, side=16)
    images = present(data.points)
    first, second = images[::2], images[1::2]
    both, either = torch.minimum(first, second), torch.maximum(first, second)
    assert torch.equal(both, data.intersections())
    assert torch.equal(either, data.unions())
    for x, shown in ((images, squares), (both, squares - 1), (either, squares + 1)):
        counts, exact = count_squares(x, 3)
        assert (counts == shown).all()
        assert exact.all()
        assert ((x > 0).sum((1, 2, 3)) == shown * 9).all()  # none overlap
    assert (first != second).flatten(1).any(1).all()
    assert images.shape == (200, 1, 16, 16)
    assert set(images.unique().tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize("gap", [0, 1, 3])
def test_no_two_squares_are_nearer_than_the_gap_and_some_are_as_near(gap: int) -> None:
    parents = present(made(gap=gap).parents)
    assert gaps(parents).min() == 3 + gap


def test_an_image_is_on_within_its_squares_alone() -> None:
    image = rendered(torch.tensor([[[0, 0], [2, 5]]]), square=2, side=7)[0, 0]
    expected = -torch.ones(7, 7)
    expected[0:2, 0:2] = expected[2:4, 5:7] = 1
    assert torch.equal(image, expected)


def test_squares_are_uniform_over_the_placements_that_the_gap_allows() -> None:
    """Of two squares in a small image all allowed placements are as likely."""
    data = Rectangles(squares=1, square=2, side=5, gap=1, size=20_000).prepare(stream("set"))
    parents = present(data.parents)
    pairs = (parents[..., 0] * 4 + parents[..., 1]) @ torch.tensor([16, 1])
    allowed = gaps(torch.cartesian_prod(*[torch.arange(4)] * 4).reshape(-1, 2, 2)) >= 3
    _, counts = pairs.unique(return_counts=True)
    assert len(counts) == allowed.sum()
    assert stats.chisquare(counts).pvalue > LEVEL


def test_a_set_is_decided_by_its_generator() -> None:
    first, again = (present(SMALL.prepare(stream("set")).points) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, present(SMALL.prepare(stream("set", 1)).points))
    assert SMALL.parents is None
    assert SMALL.points is None


def test_batches_cover_each_image_once_per_permutation_or_take_any() -> None:
    data = made(size=20)
    images = {tuple(x.flatten().tolist()) for x in present(data.points)}
    assert len(images) == 20
    batch = data.draw(stream("batches"), 30)
    assert {tuple(x.flatten().tolist()) for x in batch[:20]} == images
    anyone = made(size=20, order="replacement").draw(stream("batches"), 2000)
    drawn, counts = anyone.flatten(1).unique(dim=0, return_counts=True)
    assert len(drawn) == 20
    assert stats.chisquare(counts).pvalue > LEVEL


def test_a_part_of_a_batch_is_that_part_of_the_whole() -> None:
    data, wanted = made(), torch.tensor([1, 4, 5])
    for drawn in (data.draw, data.combinations):
        assert torch.equal(drawn(stream("x"), 9)[wanted], drawn(stream("x"), 9, wanted=wanted))


def test_fresh_images_are_new_and_show_as_many_squares() -> None:
    data = Rectangles(squares=2, square=2, side=7, gap=1, size=400).prepare(stream("set"))
    fresh = data.fresh(stream("fresh"), 300)
    known = {tuple(x.flatten().tolist()) for x in present(data.points)}
    assert len(known) < 400  # this small a world is nearly full
    assert not known & {tuple(x.flatten().tolist()) for x in fresh}
    counts, exact = count_squares(fresh, 2)
    assert (counts == 2).all()
    assert exact.all()


def test_a_set_of_all_images_has_no_fresh_ones() -> None:
    data = Rectangles(squares=1, square=2, side=4, gap=0, size=400).prepare(stream("set"))
    with pytest.raises(BadInput, match="0 images outside of the set"):
        data.fresh(stream("fresh"), 1)


def test_combinations_are_ands_or_ors_of_siblings_as_often() -> None:
    data = made(size=6)
    known = torch.cat([data.intersections(), data.unions()]).flatten(1)
    drawn = data.combinations(stream("combinations"), 3000)
    assert drawn.shape == (3000, 1, 12, 12)
    assert drawn.dtype == torch.float32
    same = (drawn.flatten(1)[:, None] == known).all(2)
    assert (same.sum(1) == 1).all()
    assert stats.chisquare(same.sum(0)).pvalue > LEVEL


def test_other_data_know_no_combinations() -> None:
    data: Dataset = Points(SwissRoll())
    with pytest.raises(BadInput, match="dataset: knows no combinations"):
        data.combinations(stream("combinations"), 3)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"size": 7}, r"size=7: two images come of each parent"),
        ({"square": 13}, r"square=13: larger than the image, side=12"),
        ({"squares": 9}, r"squares=9: .* no more than 9 fit into side=12"),
        ({"squares": 0}, r"dataset\.squares=0: must be at least 1"),
        ({"order": "sorted"}, r"dataset\.order=sorted: no such choice"),
        ({"gap": -1}, r"dataset\.gap=-1: must be at least 0"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(
    settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        built("dataset", "rectangles", **{"square": 3, "side": 12} | settings)


def test_squares_that_hardly_ever_fit_at_random_are_refused() -> None:
    crowded = Rectangles(squares=8, square=3, side=11, gap=1, size=2)
    with pytest.raises(BadInput, match=r"dataset\.squares=8, square=3, gap=1, side=11: 0 plac"):
        crowded.prepare(stream("set"))


def test_a_set_must_be_prepared() -> None:
    for drawn in (SMALL.draw, SMALL.combinations):
        with pytest.raises(ValueError, match="prepared"):
            drawn(stream("x"), 2)


def test_a_generator_that_cannot_reach_the_background_is_refused(tmp_path: Path) -> None:
    words = (
        "dataset=rectangles_16",
        "architecture=dcgan_cifar",
        "architecture.size=16",
        "architecture.channels=1",
        "architecture.filters=2",
        "architecture.generator.output=sigmoid",
    )
    base = tuple(word for word in BARE if not word.startswith("architecture"))
    with pytest.raises(BadInput, match=r"architecture\.generator\.output=sigmoid: reaches no fur"):
        setup(config_of(f"out={tmp_path}", *words, base=base))


@pytest.mark.parametrize("name", [name for name in names_in("dataset") if "rectangles" in name])
def test_the_files_sets_are_those_of_their_names(name: str) -> None:
    data = built("dataset", name)
    data = data if data.size < 100 else data.prepare(stream("set"))
    size, shown, square, side = {
        "rectangles": (25_600, 2, 8, 32),
        "rectangles_64": (64, 2, 8, 32),
        "rectangles_pair": (2, 3, 8, 32),
        "rectangles_16": (2560, 2, 4, 16),
    }[name]
    assert (data.count, data.squares, data.square, data.shape) == (
        size, shown, square, (1, side, side)
    )  # fmt: skip
    batch = data.prepare(stream("set")).draw(stream("batches"), 50)
    counts, exact = count_squares(batch, square)
    assert (counts == shown).all()
    assert exact.all()


def test_codes_are_normal_drawn_once_and_each_once_in_a_full_batch() -> None:
    codes = Codes(5, 4000).prepare(stream("codes"))
    every = present(codes.points)
    assert stats.kstest(every.flatten().numpy(), stats.norm.cdf).pvalue > LEVEL
    batch = codes.draw(stream("batches"), 4000)
    assert torch.equal(batch[batch[:, 0].argsort()], every[every[:, 0].argsort()])
    assert not torch.isin(codes.fresh(stream("fresh"), 100), every).any()
    with pytest.raises(ValueError, match="prepared"):
        Codes(5, 4).draw(stream("batches"), 2)
