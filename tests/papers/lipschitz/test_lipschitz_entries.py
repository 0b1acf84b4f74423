"""Parts and measurements of lipschitz: pairs alone, segments, a trained D against the optimum."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import built, normal, rng, small_mlp
from lab import SMALL, trained
from made_up import rows_of, verdicts
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from gp_lab.data.lines import UniformSegment
from gp_lab.data.points import PointMasses, Points
from gp_lab.figures.claims import Verdict
from gp_lab.figures.entry import Run, Runs
from gp_lab.figures.table import Table
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import grid_of
from gp_lab.networks.particles import Moved
from gp_lab.papers.lipschitz import appA, appC, appE, fig3, sec32, thm331
from gp_lab.papers.lipschitz._against_optimum import compare
from gp_lab.probes.base import View
from gp_lab.probes.pairs import Pairs
from gp_lab.theory.lipschitz import gradient, optimal_lipschitz
from gp_lab.training.step import AUTOGRAD, FUNC

Array = NDArray[np.float64]


# -- Eq. 7 on pairs alone ------------------------------------------------------------------


@pytest.mark.parametrize("engine", [AUTOGRAD, FUNC])
def test_cross_pairs_penalise_what_exceeds_the_distance_of_each_real_to_each_fake(
    engine: Any,
) -> None:
    penalty = built("penalty", "cross_pairs", weight=7.0)
    real, fake = normal(5, 2, seed=1), normal(5, 2, seed=2)
    slope = torch.tensor([3.0, -4.0], dtype=torch.float64)
    points = penalty.points(real, fake, torch.zeros(5), real[:0])
    value, norm, hardest = penalty(lambda x: x @ slope, points, engine.of_inputs, 0)
    excess = [
        max(0.0, float((x - y) @ slope) - float((x - y).norm())) ** 2 for x in real for y in fake
    ]
    assert float(value) == pytest.approx(7 * np.mean(excess), rel=1e-12)
    assert float(norm) == pytest.approx(5)
    assert len(hardest) == 0
    largest = built("penalty", "cross_pairs", weight=7.0, reduction="max")
    value, _, _ = largest(lambda x: x @ slope, points, engine.of_inputs, 0)
    assert float(value) == pytest.approx(7 * max(excess), rel=1e-12)


def test_cross_pairs_ask_nothing_between_reals_and_fakes() -> None:
    # f = x - 2x(1 - x) falls at the fakes, but no pair exceeds its distance.
    penalty = built("penalty", "cross_pairs")
    z = torch.linspace(0, 1, 6, dtype=torch.float64)
    real, fake = torch.stack([torch.ones(6), z], 1).double(), torch.stack([torch.zeros(6), z], 1)
    points = penalty.points(real, fake.double(), z, real[:0])

    def f(x: torch.Tensor) -> torch.Tensor:
        return x[:, 0] - 2 * x[:, 0] * (1 - x[:, 0])

    assert float(penalty(f, points, AUTOGRAD.of_inputs, 0)[0]) == 0


# -- data and networks ---------------------------------------------------------------------


def test_points_of_a_segment_lie_on_it_and_are_uniform() -> None:
    x = UniformSegment((1.0, 0.0), (1.0, 2.0)).sample(rng(), 20_000)
    assert (x[:, 0] == 1).all()
    assert x[:, 1].min() >= 0
    assert x[:, 1].max() <= 2
    assert float(x[:, 1].mean()) == pytest.approx(1, abs=0.02)
    assert float(x[:, 1].var()) == pytest.approx(4 / 12, abs=0.02)
    with pytest.raises(ValueError, match="start, end"):
        UniformSegment((1.0,), (1.0, 2.0))


def test_moved_points_begin_where_they_are_and_every_one_can_move() -> None:
    net, z = Moved(), normal(4, 2).float()
    torch.testing.assert_close(net(z), z, rtol=0, atol=0)
    net(z).sum().backward()
    assert all(float(p.grad.abs().sum()) > 0 for p in net.by.output.parameters())


# -- the probe and the comparison ----------------------------------------------------------


def view(critic: Any, real: Any, fake: Any) -> View:
    parts: Any = SimpleNamespace
    return View(
        step=0, critic=critic, generate=lambda z: z, dataset=real, latent=fake, loss=parts(),
        discriminator=torch.nn.Identity(), d={}, batch_size=4, device=torch.device("cpu"),
        dtype=torch.float64, rng=lambda stream: rng(len(stream)),
    )  # fmt: skip


def test_segments_hold_the_discriminator_between_each_real_and_each_fake() -> None:
    real = Points(PointMasses(((0.0, 1.0), (2.0, 2.0))))
    fake = Points(PointMasses(((1.0, -1.0), (0.5, 0.5))), size=3).prepare(rng())
    net = small_mlp()
    found = Pairs(count=5, points=4).measure(view(net, real, fake))
    assert found["segment_logit"].shape == (5, 3, 4)
    np.testing.assert_array_equal(found["fake"], fake.points.numpy())
    for i in (0, 4):
        for j in (0, 2):
            for t, at in enumerate((0, 1 / 3, 2 / 3, 1)):
                x = at * found["real"][i] + (1 - at) * found["fake"][j]
                expected = float(net(torch.from_numpy(x)[None]).detach())
                assert found["segment_logit"][i, j, t] == pytest.approx(expected)
    ends = found["segment_logit"]
    np.testing.assert_allclose(ends[:, 0, 0], found["fake_logit"][0])
    np.testing.assert_allclose(ends[0, :, -1], found["real_logit"][0])


def stored(f: Any, real: Array, fake: Array) -> dict[str, Array]:
    """What the probe would store of a function [n, 2] -> [n]."""
    at = np.linspace(0, 1, 5)
    between = at[:, None] * real[:, None, None] + (1 - at[:, None]) * fake[None, :, None]
    return {
        "real": real,
        "fake": fake,
        "real_logit": f(real),
        "fake_logit": f(fake),
        "fake_gradient": gradient(f, fake),
        "at": at,
        "segment_logit": f(between.reshape(-1, 2)).reshape(between.shape[:-1]),
    }


@pytest.mark.parametrize("loss", ["wasserstein", "vanilla"])
def test_a_discriminator_that_is_the_optimum_has_no_error_and_the_optimal_slope(loss: str) -> None:
    draw = np.random.default_rng(3)
    real, fake = draw.normal((3, 0), 0.5, (8, 2)), draw.normal(size=(8, 2))
    optimum = optimal_lipschitz(real, fake, loss, 0.2)
    found = compare(stored(optimum.lowest, real, fake), loss, 0.2)
    assert found.error() < 1e-3
    assert found.slope() == pytest.approx(optimum.k, rel=1e-3)
    assert found.bound_residual() < 1e-3
    # Not all 1: where a fake has two targets the gradient is that towards one of them.
    assert np.nanmean(found.coupled_cosines()) > 0.99


def test_an_offset_is_an_error_except_where_f_is_free_to_shift() -> None:
    draw = np.random.default_rng(3)
    real, fake = draw.normal((3, 0), 0.5, (6, 2)), draw.normal(size=(6, 2))
    for loss, counts in (("wasserstein", False), ("vanilla", True)):
        optimum = optimal_lipschitz(real, fake, loss, 0.2)
        shifted = compare(stored(lambda z, f=optimum: f(z) + 1, real, fake), loss, 0.2)
        assert (shifted.error() > 0.1) == counts
    flat = compare(stored(lambda z: np.zeros(len(z)), real, fake), "wasserstein", 0.2)
    assert flat.error() == pytest.approx(1)  # a constant errs by the optimum's own deviation


def test_a_held_slope_is_the_one_that_is_asked_for() -> None:
    draw = np.random.default_rng(3)
    real, fake = draw.normal((3, 0), 0.5, (6, 2)), draw.normal(size=(6, 2))
    found = compare(stored(lambda z: z[:, 0], real, fake), "wasserstein", 1e6, 1.0)
    assert found.optimum.k == pytest.approx(1, abs=1e-4)
    assert found.slope() == pytest.approx(np.max(  # f = x: its steepest pair
        [abs(a[0] - b[0]) / np.linalg.norm(a - b)
         for k, a in enumerate([*real, *fake]) for b in [*real, *fake][:k]]
    ), rel=1e-6)  # fmt: skip


# -- what the entries measure --------------------------------------------------------------


def test_two_delta_distributions_meet_the_whole_theorem() -> None:
    optimum = optimal_lipschitz([[1.0, 0.0]], [[0.0, 0.0]], "vanilla", 0.1, pairs="all")
    found = thm331.theorem(optimum, "vanilla")
    assert max(found[q] for q in ("bullet1", "bullet2", "bullet3", "corollary")) < 1e-3
    assert found["bound_fakes"] == 1
    assert thm331.segments(optimum) < 1e-3


def test_values_that_bind_nothing_fail_the_theorem() -> None:
    optimum = optimal_lipschitz([[1.0, 0.0]], [[0.0, 0.0]], "vanilla", 0.1)
    slack = SimpleNamespace(**vars(optimum) | {"k": 2 * optimum.k, "distance": np.ones((1, 1))})
    found = thm331.theorem(slack, "vanilla")  # type: ignore[arg-type]
    assert found["bullet1"] == found["bullet3"] == pytest.approx(0.5)
    assert found["bound_fakes"] == 0


def test_a_common_point_that_reals_prevail_on_need_not_be_below_a_real() -> None:
    # The corollary as printed: a point of p_G that is bound has a real above it.
    points = np.array([[0.0, 0.0], [1.0, 0.0]])
    optimum = optimal_lipschitz(points, points, "vanilla", 0.1, 0, [0.1, 0.9], [0.9, 0.1], "all")
    found = thm331.theorem(optimum, "vanilla")
    assert found["bullet1"] < 1e-3
    assert found["corollary"] > 1
    assert found["prevailing"] < 1e-3  # it is bound from the side that its force comes from


def test_marginals_can_agree_where_conditional_distributions_do_not() -> None:
    real, fake = np.array([[-1.0, -1], [1, 1]]), np.array([[-1.0, 1], [1, -1]])
    assert appE.marginal_gap(real, fake, 0) == appE.marginal_gap(real, fake, 1) == 0
    assert appE.conditional_gap(real, fake, 0) == pytest.approx(0.5)
    assert appE.marginal_gap(real, real + 0.5, 0) == pytest.approx(0.5)
    assert appE.conditional_gap(real, real[::-1], 0) == 0


def test_the_optimum_that_turns_away_meets_eq_7_and_reaches_w1() -> None:
    (row,) = sec32.exact()
    assert row["w1_share"] == pytest.approx(1)
    assert row["excess"] <= 1e-12
    assert row["cosine"] == pytest.approx(-1)


def test_half_way_between_two_targets_the_cosine_is_one_over_root_two_with_each() -> None:
    fake, real = np.array([[-0.5, 0.5]]), np.array([[0.5, 0.5], [-0.5, -0.5], [0.5, 0.5]])
    assert cdist(fake, real).min() == 1
    first, second = appC.target_cosines(np.array([[1.0, -1.0]]), fake, real)
    assert first[0] == second[0] == pytest.approx(np.sqrt(0.5))
    first, second = appC.target_cosines(np.array([[2.0, 0.0]]), fake, real)
    assert (first[0], second[0]) == pytest.approx((1, 0))
    first, _ = appC.target_cosines(np.zeros((1, 2)), fake, real)
    assert np.isnan(first[0])


def test_a_cosine_that_rises_as_the_distance_falls_has_rank_correlation_minus_one() -> None:
    cosine, distance = np.array([0.1, np.nan, 0.5, 0.9]), np.array([3.0, 2.5, 2.0, 0.1])
    assert appC.rank_correlation(cosine, distance) == pytest.approx(-1)
    assert np.isnan(appC.rank_correlation(cosine[:3], distance[:3]))
    assert np.isnan(appC.rank_correlation(np.ones(4), distance))


def test_what_comes_near_at_once_is_not_said_to_come_near_along_a_run() -> None:
    assert appC.share_left(np.array([1.0, 1, 0.8, 0.5, 0.4, 0.2, 0.1, 0.1])) == pytest.approx(0.1)
    assert appC.share_left(np.full(8, 0.1)) == pytest.approx(1)
    assert np.isnan(appC.share_left(np.ones(3)))
    rows = rows_of("lipschitz/appC", 10, cosine=0.9, cosine_second=0.3)
    for row in rows:
        row |= {"correlation": -0.9 + 0.01 * row["seed"], "w1_left": 0.1}
    words = "the nearer p_G is to p_data"
    near = {text: v for text, v in verdicts("lipschitz/appC", rows).items() if words in text}
    assert set(near.values()) == {Verdict.SUPPORTED}
    still = verdicts("lipschitz/appC", [row | {"w1_left": 0.9} for row in rows])
    assert {still[text] for text in near} == {Verdict.INCONCLUSIVE}


def test_fig3_says_what_the_k_of_its_titles_is(tmp_path: Path) -> None:
    small = [word for word in SMALL if not word.startswith("probe.samples")]
    folder = trained(
        "penalty=max_gp", "probe=[surface,pairs]", "probe.pairs.count=8", "steps=1",
        f"out={tmp_path}", base=tuple(small),
    )  # fmt: skip
    grid = grid_of(figure_file("lipschitz/fig3"))
    runs = Runs(grid, [Run({"loss": "wasserstein"}, 0, folder, "finished", 1)])
    figure = fig3.ENTRY.draw(runs, Table(fig3.ENTRY.rows(runs), grid))
    assert "k = " in figure.axes[1].get_title()
    assert "k: the Lipschitz constant of f" in figure.get_supxlabel()


def test_an_error_falls_from_its_third_quarter_to_its_last_or_has_settled() -> None:
    assert appA.falls([9, 9, 4, 4, 2, 2, 1, 1]) == 0.5
    assert appA.falls([9, 3, 1, 1]) == 0
    assert appA.falls([9, 3, 1, 2]) == -1
    assert np.isnan(appA.falls([3, 2, 1]))


@pytest.mark.parametrize(
    ("max_gp", "fails", "nearer"),
    [
        (0.02, Verdict.SUPPORTED, Verdict.SUPPORTED),
        (0.2, Verdict.INCONCLUSIVE, Verdict.SUPPORTED),
        (0.5, Verdict.INCONCLUSIVE, Verdict.NOT_SUPPORTED),
    ],
)
def test_that_the_others_fail_to_converge_says_something_where_max_gp_converges(
    max_gp: float, fails: Verdict, nearer: Verdict
) -> None:
    rows = rows_of("lipschitz/appA", 12, lemma_error=0.0, k_share=1.0, state="finished")
    for row in rows:
        row["slope_at_start"] = 1e-3
        row["error"] = (max_gp if row["method"] == "max_gp" else 0.3) + 0.001 * (row["seed"] % 3)
        row["error_of_shape"] = row["error"]
    found = verdicts("lipschitz/appA", rows)
    others = {text: v for text, v in found.items() if "fails to converge" in text}
    assert len(others) == 4
    assert set(others.values()) == {fails}
    assert {v for text, v in found.items() if "nearer" in text} == {nearer}
