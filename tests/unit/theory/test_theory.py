"""Closed forms, the exact critic and surface distances, against other solvers and properties."""

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linprog, minimize_scalar
from scipy.spatial.distance import cdist
from scipy.stats import multivariate_normal, norm, wasserstein_distance

from gp_lab.errors import LabError
from gp_lab.theory.optimal import optimal_discriminator, optimal_least_squares, optimal_logit
from gp_lab.theory.surfaces import (
    affine_fit,
    polynomial_r2,
    rmse,
    rmse_up_to_affine,
    rmse_up_to_offset,
)
from gp_lab.theory.transport import ExactCritic, exact_critic

Surface = tuple[np.ndarray, np.ndarray, np.ndarray]

REAL, FAKE = multivariate_normal([1.0, 0.0], np.eye(2)), multivariate_normal([-1.0, 0.5], 2.0)


def samples(n: int, m: int, dimensions: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    real = rng.normal(size=(n, dimensions)) + 1.0
    return real, 1.5 * rng.normal(size=(m, dimensions))


# Optimal discriminators


def test_optimal_discriminator_of_two_gaussians_is_the_ratio_of_densities() -> None:
    v = np.random.default_rng(0).normal(size=(500, 2))
    direct = REAL.pdf(v) / (REAL.pdf(v) + FAKE.pdf(v))
    np.testing.assert_allclose(
        optimal_discriminator(REAL.logpdf(v), FAKE.logpdf(v)), direct, rtol=1e-12
    )


def test_optimal_logit_of_two_shifted_gaussians_is_linear() -> None:
    # log N(v; 1, s) - log N(v; -1, s) = 2 v / s^2, also where both densities underflow.
    v, s = np.array([-300.0, -1.0, 0.0, 2.0, 300.0]), 0.5
    logit = optimal_logit(norm.logpdf(v, 1, s), norm.logpdf(v, -1, s))
    np.testing.assert_allclose(logit, 2 * v / s**2, rtol=1e-9)
    probability = optimal_discriminator(norm.logpdf(v, 1, s), norm.logpdf(v, -1, s))
    assert np.isfinite(probability).all()


def test_optimal_discriminator_is_one_on_reals_only_and_free_outside_both_supports() -> None:
    got = optimal_discriminator([0.0, -np.inf, -np.inf], [-np.inf, 0.0, -np.inf])
    np.testing.assert_array_equal(got, [1.0, 0.0, np.nan])


def test_optimal_discriminator_minimises_the_cross_entropy_at_each_point() -> None:
    v = np.array([0.3, -0.7])
    p_real, p_fake = REAL.pdf(v), FAKE.pdf(v)

    def cross_entropy(d: float) -> float:
        return float(-p_real * np.log(d) - p_fake * np.log(1 - d))

    found = minimize_scalar(cross_entropy, bounds=(0, 1), options={"xatol": 1e-10}).x
    assert optimal_discriminator(REAL.logpdf(v), FAKE.logpdf(v)) == pytest.approx(found, abs=1e-5)


@pytest.mark.parametrize(("alpha", "beta"), [(-1.0, 1.0), (0.0, 1.0), (2.0, -3.0)])
def test_optimal_least_squares_is_the_weighted_mean_of_the_targets(
    alpha: float, beta: float
) -> None:
    v = np.random.default_rng(1).normal(size=(200, 2))
    p_real, p_fake = REAL.pdf(v), FAKE.pdf(v)
    direct = (alpha * p_fake + beta * p_real) / (p_fake + p_real)
    got = optimal_least_squares(REAL.logpdf(v), FAKE.logpdf(v), alpha, beta)
    np.testing.assert_allclose(got, direct, rtol=1e-11, atol=1e-13)


def test_optimal_least_squares_on_disjoint_supports_is_alpha_on_fakes_and_beta_on_reals() -> None:
    # `lipschitz`, Eq. 4.
    got = optimal_least_squares([0.0, -np.inf], [-np.inf, 0.0], alpha=-1.0, beta=1.0)
    np.testing.assert_array_equal(got, [1.0, -1.0])


# The exact critic


@pytest.mark.parametrize("seed", range(5))
def test_w1_is_the_least_cost_over_all_permutations(seed: int) -> None:
    real, fake = samples(6, 6, seed=seed)
    cost = cdist(real, fake)
    brute = min(cost[range(6), list(p)].mean() for p in permutations(range(6)))
    assert exact_critic(real, fake).w1 == pytest.approx(brute, rel=1e-12)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 7), (7, 1), (40, 40), (60, 37), (37, 60)])
def test_w1_and_coupling_match_pot_and_the_marginals(n: int, m: int) -> None:
    import ot

    real, fake = samples(n, m, dimensions=3)
    critic = exact_critic(real, fake)
    cost = cdist(real, fake)
    assert critic.w1 == pytest.approx(ot.emd2(ot.unif(n), ot.unif(m), cost), rel=1e-12)
    i, j, mass = critic.coupling
    assert mass @ cost[i, j] == pytest.approx(critic.w1, rel=1e-12)
    np.testing.assert_allclose(np.bincount(i, mass, n), 1 / n, rtol=1e-10)
    np.testing.assert_allclose(np.bincount(j, mass, m), 1 / m, rtol=1e-10)


def test_w1_matches_an_independent_linear_program_for_the_critic() -> None:
    # `wgan_gp`, Eq. 2, written out: maximise E_r f - E_g f under f(x) - f(y) <= |x - y|.
    real, fake = samples(9, 7)
    points = np.concatenate([real, fake])
    k = len(points)
    objective = np.concatenate([np.full(9, -1 / 9), np.full(7, 1 / 7)])
    a, b = np.nonzero(~np.eye(k, dtype=bool))
    constraints = np.zeros((len(a), k))
    constraints[np.arange(len(a)), a] = 1
    constraints[np.arange(len(a)), b] = -1
    bound = np.linalg.norm(points[a] - points[b], axis=1)
    solved = linprog(objective, constraints, bound, bounds=[(0, None)] * k)
    assert solved.fun is not None
    assert exact_critic(real, fake).w1 == pytest.approx(-solved.fun, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(200, 200), (150, 80)])
def test_w1_on_the_line_matches_scipy(n: int, m: int) -> None:
    real, fake = samples(n, m, dimensions=1)
    expected = wasserstein_distance(real[:, 0], fake[:, 0])
    assert exact_critic(real, fake).w1 == pytest.approx(expected, rel=1e-12)


def rounded() -> tuple[np.ndarray, np.ndarray]:
    """Many ties, repeated points and points in both samples: the most degenerate duals."""
    real, fake = samples(120, 90)
    return np.round(real), np.round(fake)


@pytest.mark.parametrize(
    ("real", "fake"),
    [samples(50, 50), samples(64, 31), samples(30, 45, dimensions=5), rounded()],
    ids=["equal", "more reals", "five dimensions", "degenerate"],
)
class TestCritic:
    @pytest.fixture
    def critic(self, real: np.ndarray, fake: np.ndarray) -> ExactCritic:
        return exact_critic(real, fake)

    def test_mean_on_reals_less_mean_on_fakes_is_w1(
        self, critic: ExactCritic, real: np.ndarray, fake: np.ndarray
    ) -> None:
        assert critic(real).mean() - critic(fake).mean() == pytest.approx(critic.w1, rel=1e-10)
        assert critic(real).mean() + critic(fake).mean() == pytest.approx(0, abs=1e-10)

    def test_value_on_the_fakes_is_the_critic_there(
        self, critic: ExactCritic, real: np.ndarray, fake: np.ndarray
    ) -> None:
        np.testing.assert_allclose(critic(fake), critic.value, atol=1e-10)

    def test_is_1_lipschitz(self, critic: ExactCritic, real: np.ndarray, fake: np.ndarray) -> None:
        rng = np.random.default_rng(3)
        x = np.concatenate([rng.uniform(-6, 6, size=(400, real.shape[1])), real, fake])
        f = critic(x)
        assert (np.abs(f[:, None] - f) <= cdist(x, x) + 1e-12).all()

    def test_rises_by_the_distance_along_every_coupled_pair(
        self, critic: ExactCritic, real: np.ndarray, fake: np.ndarray
    ) -> None:
        i, j, _ = critic.coupling
        distance = np.linalg.norm(real[i] - fake[j], axis=1)
        np.testing.assert_allclose(critic(real)[i] - critic(fake)[j], distance, atol=1e-10)

    def test_gradient_on_coupled_segments_points_from_fake_to_real(
        self, critic: ExactCritic, real: np.ndarray, fake: np.ndarray
    ) -> None:
        # `wgan_gp`, Prop. 1, which asks for x != y.
        i, j, _ = critic.coupling
        apart = np.linalg.norm(real[i] - fake[j], axis=1) > 0
        y, x = real[i[apart]], fake[j[apart]]
        direction = (y - x) / np.linalg.norm(y - x, axis=1, keepdims=True)
        for t in (0.2, 0.5, 0.9):
            np.testing.assert_allclose(critic.gradient(t * y + (1 - t) * x), direction, atol=1e-9)


def test_gradient_matches_finite_differences_and_has_unit_norm() -> None:
    critic = exact_critic(*samples(40, 40))
    x = np.random.default_rng(4).uniform(-4, 4, size=(300, 2))
    step = 1e-6
    numeric = np.stack(
        [(critic(x + step * e) - critic(x - step * e)) / (2 * step) for e in np.eye(2)], axis=1
    )
    np.testing.assert_allclose(critic.gradient(x), numeric, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(critic.gradient(x), axis=1), 1, rtol=1e-12)


def test_critic_between_two_points_is_the_distance_to_the_fake() -> None:
    critic = exact_critic([[3.0, 4.0]], [[0.0, 0.0]])
    x = np.random.default_rng(5).normal(size=(50, 2))
    assert critic.w1 == 5.0
    np.testing.assert_allclose(critic(x), np.linalg.norm(x, axis=1) - 2.5, rtol=1e-12)
    np.testing.assert_array_equal(critic.gradient([[0.0, 0.0]]), [[0.0, 0.0]])


def test_critic_of_equal_samples_has_no_distance_and_is_flat_on_them() -> None:
    real, _ = samples(30, 30)
    critic = exact_critic(real, real[::-1])
    assert critic.w1 == 0
    np.testing.assert_allclose(critic(real).mean(), 0, atol=1e-12)


def test_critic_is_the_same_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    critic = exact_critic(*samples(30, 20))
    x = np.random.default_rng(6).normal(size=(101, 2))
    whole = critic(x), critic.gradient(x)
    monkeypatch.setattr("gp_lab.theory.transport._CHUNK_ENTRIES", 7 * 20)
    np.testing.assert_array_equal(critic(x), whole[0])
    np.testing.assert_array_equal(critic.gradient(x), whole[1])


def test_critic_is_equivariant_to_scaling_the_points() -> None:
    real, fake = samples(25, 30)
    assert exact_critic(1e-6 * real, 1e-6 * fake).w1 == pytest.approx(
        1e-6 * exact_critic(real, fake).w1, rel=1e-9
    )


def test_solver_that_stops_early_is_an_error() -> None:
    with pytest.raises(LabError, match="no optimum in 5 iterations"):
        exact_critic(*samples(100, 100), max_iterations=5)


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        (np.zeros((3, 2)), np.zeros((3, 1))),
        (np.zeros((0, 2)), np.zeros((3, 2))),
        (np.zeros(3), np.zeros(3)),
        (np.full((3, 2), np.nan), np.zeros((3, 2))),
    ],
)
def test_samples_that_cannot_be_coupled_are_refused(real: np.ndarray, fake: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"coupled|finite points"):
        exact_critic(real, fake)
    with pytest.raises(ValueError, match="dimensions"):
        exact_critic(*samples(3, 3))([[0.0, 0.0, 0.0]])


# Surfaces


@pytest.fixture
def surface() -> Surface:
    """A function, a noisy affine image of it, and weights, at 200 points."""
    rng = np.random.default_rng(7)
    a, weights = rng.normal(size=200), rng.uniform(size=200)
    return a, 2.5 * a - 4 + 0.3 * rng.normal(size=200), weights


def test_rmse_with_whole_weights_is_rmse_of_repeated_points() -> None:
    a, b = np.array([1.0, 2.0, 5.0]), np.array([0.0, 4.0, 5.5])
    counts = np.array([2, 0, 3])
    repeated = np.sqrt(np.mean((np.repeat(a, counts) - np.repeat(b, counts)) ** 2))
    assert rmse(a, b, counts) == pytest.approx(repeated, rel=1e-14)
    assert rmse(a.reshape(1, 3), b.reshape(1, 3)) == pytest.approx(rmse(a, b))


def test_rmse_up_to_offset_ignores_constants_and_matches_least_squares(surface: Surface) -> None:
    a, reference, w = surface
    root = np.sqrt(w / w.sum())
    offset = np.linalg.lstsq(root[:, None], root * (reference - a), rcond=None)[0][0]
    assert rmse_up_to_offset(a, reference, w) == pytest.approx(rmse(a + offset, reference, w))
    assert rmse_up_to_offset(a + 17, reference, w) == pytest.approx(
        rmse_up_to_offset(a, reference, w)
    )


def test_rmse_up_to_affine_matches_numpy_least_squares(surface: Surface) -> None:
    a, reference, w = surface
    root = np.sqrt(w)
    design = np.stack([a, np.ones_like(a)], axis=1)
    scale, offset = np.linalg.lstsq(design * root[:, None], reference * root, rcond=None)[0]
    assert affine_fit(a, reference, w) == pytest.approx((scale, offset))
    assert rmse_up_to_affine(a, reference, w) == pytest.approx(
        rmse(scale * a + offset, reference, w)
    )


def test_rmse_up_to_affine_of_a_reversed_or_constant_surface_is_the_standard_deviation(
    surface: Surface,
) -> None:
    a, reference, _ = surface
    for other in (-a, np.full_like(a, 0.1)):
        assert affine_fit(other, reference) == pytest.approx((0.0, reference.mean()))
        assert rmse_up_to_affine(other, reference) == pytest.approx(reference.std())


def test_polynomial_r2_of_a_quadratic_is_one_at_degree_two_only() -> None:
    points = 3 + np.random.default_rng(8).normal(size=(100, 2))
    x, y = points.T
    values = 1 - x + 2 * x * y - 0.5 * y**2
    assert polynomial_r2(points, values, 2) == pytest.approx(1, abs=1e-12)
    assert polynomial_r2(points, values, 1) < 0.95
    assert polynomial_r2(points, 3 * x - y + 100, 1) == pytest.approx(1, abs=1e-12)


def test_polynomial_r2_on_the_line_is_the_squared_weighted_correlation(surface: Surface) -> None:
    a, b, w = surface
    covariance = np.cov(a, b, aweights=w)
    squared = covariance[0, 1] ** 2 / (covariance[0, 0] * covariance[1, 1])
    assert polynomial_r2(a[:, None], b, 1, w) == pytest.approx(squared, rel=1e-12)


def test_polynomial_r2_of_an_even_function_has_no_affine_part() -> None:
    x = np.linspace(-1, 1, 101)[:, None]
    assert polynomial_r2(x, np.abs(x[:, 0]), 1) == pytest.approx(0, abs=1e-12)


def test_polynomial_r2_of_a_constant_is_one() -> None:
    points = np.random.default_rng(9).normal(size=(20, 2))
    assert polynomial_r2(points, np.full(20, 0.1), 1) == 1.0


def test_surfaces_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        rmse([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="finite"):
        rmse([1.0, np.nan], [1.0, 2.0])
    with pytest.raises(ValueError, match="non-negative"):
        rmse([1.0, 2.0], [1.0, 2.0], [1.0, -1.0])
    with pytest.raises(ValueError, match="coefficients"):
        polynomial_r2(np.eye(2), [1.0, 2.0], 1)
    with pytest.raises(ValueError, match="degree=0"):
        polynomial_r2(np.zeros((5, 2)), np.zeros(5), 0)
