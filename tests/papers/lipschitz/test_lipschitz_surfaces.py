"""What lipschitz, Figs. 1, 2, 5 and App. F, measure: made-up runs, known answers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from helpers import node_of
from scipy.stats import multivariate_normal

from gp_lab.figures.claims import Verdict
from gp_lab.figures.entry import Run
from gp_lab.figures.table import Table
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import Cell, grid_of
from gp_lab.papers.lipschitz import appF, fig1, fig2, fig5, sec32
from gp_lab.papers.lipschitz._scene import inside_square, optimum, to_square
from gp_lab.theory.lipschitz import optimal_lipschitz

LEAST_SQUARES = {"_target_": "LeastSquares", "alpha": -1.0, "beta": 1.0, "gamma": 1.0}


def group(name: str, member: str) -> dict[str, Any]:
    return node_of(name, member)


class Stored:
    """A run folder of arrays that nobody trained: probe -> step -> arrays."""

    def __init__(self, config: dict[str, Any], arrays: Mapping[str, Mapping[int, Any]]) -> None:
        self.config, self.stored = config, arrays

    def arrays(self, probe: str, step: int) -> Any:
        return self.stored[probe][step]

    def array_steps(self, probe: str) -> list[int]:
        return sorted(self.stored[probe])


def run_of(
    cell: Cell, dataset: str, architecture: str, arrays: Any, loss: Any = None, step: int = 1
) -> Run:
    config = {
        "dataset": group("dataset", dataset),
        "architecture": group("architecture", architecture),
        "loss": loss or LEAST_SQUARES,
        "penalty": {"weight": 0.1},
    }
    folder: Any = Stored(config, arrays)
    return Run(cell, 0, folder, "finished", step)


# -- geometry ------------------------------------------------------------------------------


def test_the_optimum_of_gaussians_is_that_of_their_densities() -> None:
    x = np.random.default_rng(0).uniform(-1.6, 1.6, (10, 20, 2)).astype("float32")
    spread = 0.15**2 * np.eye(2)
    modes = [multivariate_normal(mean, spread).pdf(x) for mean in ([1, 0], [-1.25, 0])]
    real, fake = np.mean(modes, 0), multivariate_normal([-0.75, 0], spread).pdf(x)
    at = optimum(run_of({}, "mixture", "fixed_near", {}), x)
    np.testing.assert_allclose(at, (real - fake) / (real + fake), rtol=1e-9)


def test_the_optimum_on_the_two_squares_is_minus_and_plus_six_tenths() -> None:
    run = run_of({}, "uniform_squares", "fixed_squares", {})
    at = optimum(run, np.array([[-1.2, 0.3], [0.6, -0.4], [0.0, 0.0]]))
    np.testing.assert_allclose(at, [-0.6, 0.6, np.nan])


def test_the_way_to_a_square_ends_at_its_nearest_point() -> None:
    square = {"center": [1.0, 0.0], "half_width": 0.5}
    x = np.array([[-0.5, 0.25], [-0.5, 1.5], [1.2, 0.1], [1.0, -2.0]])
    np.testing.assert_allclose(to_square(x, square), [[1, 0], [1, -1], [0, 0], [0, 1.5]])
    assert inside_square(x, square, 0.05).tolist() == [False, False, True, False]
    assert not inside_square(np.array([[1.48, 0.0]]), square, 0.05)[0]


# -- Fig. 1 --------------------------------------------------------------------------------


def isolated(gradient_inside: float, gradient_on_border: np.ndarray) -> Run:
    """300 fakes inside, 16 on the border with gradients of their own."""
    latent = group("architecture", "fixed_isolated")["latent"]["distribution"]
    border = np.array(latent["components"][0]["points"])
    inner = np.random.default_rng(0).uniform(-0.2, 0.2, (300, 2)) + np.array([-1, 0])
    gradient = np.concatenate([np.full((300, 2), [gradient_inside, 0.0]), gradient_on_border])
    data = {
        "fake": np.concatenate([inner, border]),
        "fake_gradient": gradient,
        "fake_logit": np.full(316, -1.0),
        "real_logit": np.full(10, 1.0),
    }
    return run_of({}, "uniform_square", "fixed_isolated", {"gradients": {1: data}})


def test_the_border_points_are_sixteen_equally_spaced_on_the_outer_square() -> None:
    latent = group("architecture", "fixed_isolated")["latent"]["distribution"]
    points = np.array(latent["components"][0]["points"])
    np.testing.assert_allclose(np.abs(points - [-1, 0]).max(1), 0.5)
    following = np.roll(points, -1, axis=0)
    np.testing.assert_allclose(np.linalg.norm(following - points, axis=1), 0.25)
    assert len(np.unique(points, axis=0)) == 16
    real = group("dataset", "uniform_square")["distribution"]
    gap = np.linalg.norm(to_square(points, real), axis=1).min()
    assert gap == pytest.approx(fig1.GAP)


def test_fig1_tells_inner_from_border_fakes_and_slopes_from_directions() -> None:
    real = {"center": [1.0, 0.0], "half_width": 0.5}
    latent = group("architecture", "fixed_isolated")["latent"]["distribution"]
    way = to_square(np.array(latent["components"][0]["points"]), real)
    row = fig1.at_fakes(isolated(0.03, way))
    assert row["norm_inner"] == pytest.approx(0.015)  # of (1 - -1) / 1
    assert row["share_vanish_inner"] == 0
    assert row["cosine_border"] == pytest.approx(1)
    assert row["cosine_inner"] > 0.95
    turned = np.stack([-way[:, 1], way[:, 0]], axis=1)
    row = fig1.at_fakes(isolated(0.01, turned))
    assert row["cosine_border"] == pytest.approx(0, abs=1e-12)
    assert row["share_vanish_inner"] == 1


def verdicts(claims: Any, table: Table, words: str) -> list[Verdict]:
    """Of the claims with these words in their text."""
    return [claim.test.verdict for claim in claims(table) if words in claim.text]


@pytest.mark.parametrize(
    ("cosines", "verdict"),
    [
        ([0.3, 0.1, 0.2, 0.2, 0.2], Verdict.SUPPORTED),  # its interval does not hold 0
        ([0.8, 0.9, 0.7, 0.8, 0.85], Verdict.NOT_SUPPORTED),
        ([-0.8, -0.9, -0.7, -0.8, -0.85], Verdict.NOT_SUPPORTED),
        ([1.0, -1.0, 1.0, -1.0, 0.5], Verdict.INCONCLUSIVE),  # a direction by seed
        ([0.0, 0.1, -0.1, 0.0, np.nan], Verdict.INCONCLUSIVE),
    ],
)
def test_gradients_have_no_direction_where_their_mean_cosine_is_small(
    cosines: list[float], verdict: Verdict
) -> None:
    for claims, name, axis, level, words in (
        (fig1.claims, "lipschitz/fig1", "surface", "complex", "do not lead"),
        (sec32.claims, "lipschitz/sec32", "method", "pairs", "no direction"),
    ):
        rows = [
            {
                axis: level,
                "seed": seed,
                "cosine": c,
                "cosine_border": c,
                "error": 0.01 + 0.001 * seed,
            }
            for seed, c in enumerate(cosines)
        ]
        rows += sec32.exact() if claims is sec32.claims else []
        table = Table(rows, grid_of(figure_file(name)))
        assert verdicts(claims, table, words)[-1] == verdict


def test_gradients_of_an_f_that_has_learnt_nothing_are_no_answer() -> None:
    rows = [
        {"surface": "complex", "seed": seed, "cosine_border": 0.1 * seed, "error": 0.8}
        for seed in range(6)
    ]
    table = Table(rows, grid_of(figure_file("lipschitz/fig1")))
    assert verdicts(fig1.claims, table, "complex: gradients") == [Verdict.INCONCLUSIVE]


def test_fig1_measures_how_far_f_is_from_alpha_at_fakes_and_beta_at_reals() -> None:
    run = isolated(0.0, np.zeros((16, 2)))
    assert fig1.at_fakes(run)["error"] == 0
    data = run.arrays("gradients")
    data["real_logit"] = np.full(316, 0.4)
    data["fake_logit"] = np.full(316, -0.2)
    assert fig1.at_fakes(run)["error"] == pytest.approx(np.sqrt((0.6**2 + 0.8**2) / 2))


# -- Fig. 2 --------------------------------------------------------------------------------


GAUSSIANS = {"dataset": "gaussians", "network": "wide"}


def test_fig2_counts_gradients_that_vanish_or_lead_to_either_mode() -> None:
    fake = np.random.default_rng(1).normal([-0.75, 0], 0.15, (400, 2))
    near, far = np.array([-1.25, 0]) - fake, np.array([1.0, 0]) - fake
    gradient = np.concatenate([0 * fake[:200], near[200:320], far[320:360], -0.5 * fake[360:]])
    gradient[360:] = [0.0, 1.0]  # across: to the near mode or to none, by the fake's place
    data = {
        "fake": fake, "fake_gradient": gradient, "real": fake[:5],
        "real_logit": np.zeros(5), "fake_logit": np.zeros(400),
    }  # fmt: skip
    row = fig2.measure(run_of(GAUSSIANS, "mixture", "fixed_near", {"gradients": {1: data}}))
    below = fake[360:, 1] < 0
    assert row["share_vanish"] == 0.5
    assert row["share_near"] == pytest.approx((120 + below.sum()) / 400)
    assert row["share_far"] == pytest.approx(40 / 400)
    assert row["share_lost"] == pytest.approx(row["share_vanish"] + row["share_near"])


def test_on_the_optimum_of_fig2_itself_nearly_all_fakes_vanish_or_head_to_the_near_mode() -> None:
    fake = np.random.default_rng(2).normal([-0.75, 0], 0.15, (2000, 2))
    data = {
        "fake": fake, "fake_gradient": fake, "real": fake[:5],
        "real_logit": np.zeros(5), "fake_logit": np.zeros(2000),
    }  # fmt: skip
    row = fig2.measure(run_of(GAUSSIANS, "mixture", "fixed_near", {"gradients": {1: data}}))
    # log p_data / p_G is linear near the fakes, and its slope points left: grad f* does.
    assert row["share_far_optimal"] < 0.01
    assert row["share_lost_optimal"] > 0.99


def test_fig2_takes_f_minus_and_plus_six_tenths_on_the_squares_for_the_optimum() -> None:
    rng = np.random.default_rng(3)
    left, right = (rng.uniform(-0.5, 0.5, (100, 2)) + np.array([x, 0]) for x in (-1, 1))
    fake = np.concatenate([left, right])
    f = np.where(fake[:, 0] < 0, -0.6, 0.6)
    data = {
        "fake": fake, "fake_gradient": np.zeros((200, 2)), "real": fake,
        "real_logit": f, "fake_logit": f + 0.2,
    }  # fmt: skip
    cell, arrays = {"dataset": "squares"}, {"gradients": {1: data}}
    row = fig2.measure(run_of(cell, "uniform_squares", "fixed_squares", arrays))
    assert row["rmse"] == pytest.approx(np.sqrt(0.5 * 0.2**2))
    assert (row["f_left"], row["f_right"]) == pytest.approx((-0.4, 0.8))
    assert row["share_vanish"] == 1


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(0.97, Verdict.SUPPORTED), (0.6, Verdict.NOT_SUPPORTED), (0.9, Verdict.INCONCLUSIVE)],
)
def test_fig2_asks_both_networks_for_the_vast_majority(share: float, verdict: Verdict) -> None:
    grid = grid_of(figure_file("lipschitz/fig2"))
    rows = [
        {**panel.cell, "seed": seed, "share_vanish": share + d, "share_lost": share + d}
        | {"rmse": 0.05 + d, "cosine_border": (0.8 if panel.cell["network"] == "deep" else 0.1) + d}
        for panel in grid.panels
        for seed, d in enumerate((-0.01, 0.0, 0.02, 0.01, -0.02))
    ]
    assert len(grid.panels) == 4
    assert verdicts(fig2.claims, Table(rows, grid), "no gradient") == [verdict] * 4
    led = verdicts(fig2.claims, Table(rows, grid), "at the border")
    assert led == [Verdict.SUPPORTED, Verdict.NOT_SUPPORTED]  # the wide one, the deep one


# -- Figs. 5 and 6 -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ([1, 0.5, 0.09, 0.05], 20),
        ([1, 0.05, 0.2, 0.05], 30),  # it left again
        ([0.05, 0.05, 0.05, 0.05], 0),
        ([1, 0.5, 0.2, 0.3], 40),  # never: beyond the budget
        ([1, 0.05, np.nan, 0.05], 30),
    ],
)
def test_a_run_has_converged_when_its_error_stays_small(error: list[float], expected: int) -> None:
    assert fig5.steps_to_converge(np.arange(0, 40, 10), np.array(error)) == expected


@pytest.mark.parametrize(("loss", "offset_counts"), [("wasserstein", False), ("vanilla", True)])
def test_fig5_measures_the_distance_to_the_exact_optimum(loss: str, offset_counts: bool) -> None:
    real = np.array(group("dataset", "four_points")["distribution"]["points"])
    fake = np.array(group("architecture", "fixed_points")["latent"]["distribution"]["points"])
    exact = optimal_lipschitz(real, fake, loss, 0.1)
    spread = np.concatenate([exact.at_real, exact.at_fake]).std()
    order = np.array([3, 0, 2, 1, 1])

    def look(scale: float, offset: float) -> dict[str, np.ndarray]:
        return {
            "real": real[order].astype("float32"), "fake": fake[order].astype("float32"),
            "real_logit": scale * exact.at_real[order] + offset,
            "fake_logit": scale * exact.at_fake[order] + offset,
        }  # fmt: skip

    looks = {0: look(0.0, 0.0), 5: look(1.0, 0.3), 9: look(1.0, 0.0)}
    run = run_of(
        {}, "four_points", "fixed_points", {"gradients": looks}, group("loss", loss), step=9
    )
    steps, error = fig5.errors(run)
    assert steps.tolist() == [0, 5, 9]
    assert error[0] >= 1 - 1e-9  # f = 0 is off by the spread, and by the mean of f* beside it
    assert error[1] == pytest.approx(0.3 / spread if offset_counts else 0, abs=1e-9)
    assert error[2] == pytest.approx(0, abs=1e-9)


# -- App. F --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fakes", "loss", "slope", "share"),
    [
        ("disjoint", {"_target_": "gp_lab.x.Vanilla", "alpha": -1, "beta": 1}, -0.02, 0.02),
        ("disjoint", {**LEAST_SQUARES, "gamma": 1.0}, -3.0, 0.75),
        ("trained", {**LEAST_SQUARES, "gamma": 0.0}, -1.0, 0.5),
    ],
)
def test_the_scale_of_the_generators_gradient_is_a_share_of_its_largest(
    fakes: str, loss: dict[str, Any], slope: float, share: float
) -> None:
    arrays = {
        "gradients": {
            1: {
                "fake_psi_slope": np.full(6, slope),
                "fake_gradient": np.full((6, 2), [3.0, 4.0]),
                "fake_logit": np.zeros(6),
            }
        },
        "samples": {1: {"fake": np.zeros((4, 2)), "real": np.full((4, 2), [3.0, 4.0])}},
    }
    row = appF.measure(run_of({"fakes": fakes}, "mixture", "fixed_at_data", arrays, loss))
    assert row["psi_slope_share"] == pytest.approx(share)
    assert row["gradient"] == pytest.approx(5 * abs(slope))
    assert row.get("w1") == (pytest.approx(5) if fakes == "trained" else None)
