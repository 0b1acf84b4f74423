"""The linear WGAN under batches against quadrature, ODE solvers and sampling; Theorem 3's bound."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import expm

from gp_lab.theory.anomalous import (
    Steps,
    certified_lipschitz,
    convex_bound,
    full_batch_flow,
    full_batch_orbit,
    scheme_variances,
    simulate,
    variances,
)

START: dict[Steps, float] = {"constant": 0.0, "vanishing": 1.0}


def grid(steps: Steps, end: float, n: int) -> np.ndarray:
    return np.linspace(0, end, n) if steps == "constant" else np.geomspace(1, end, n)


def rate(t: float, steps: Steps) -> float:
    return 1.0 if steps == "constant" else 1 / t


@pytest.mark.parametrize("steps", ["constant", "vanishing"])
def test_full_batch_orbit_solves_the_game_of_the_gradients_of_f(steps: Steps) -> None:
    times = grid(steps, 20.0, 50)
    w0, theta0 = np.array([0.3, -0.2]), np.array([0.1, 0.4])
    w, theta = full_batch_orbit(times, w0, theta0, steps)
    for closed, solved in zip((w, theta), full_batch_flow(times, w0, theta0, steps), strict=True):
        np.testing.assert_allclose(closed, solved, atol=1e-8)
    radius = w**2 + theta**2
    np.testing.assert_allclose(radius, np.broadcast_to(radius[0], radius.shape), rtol=1e-12)


@pytest.mark.parametrize("steps", ["constant", "vanishing"])
@pytest.mark.parametrize("t", [1.5, 4.0, 30.0])
def test_variances_are_the_integrals_of_the_papers_equations(steps: Steps, t: float) -> None:
    m = 7.0
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])

    def integrand(s: float, row: int) -> float:
        # Eq. 43 with Sigma of Eq. 35, or Eq. 56 with Sigma(s) of Eq. 50 (1/s, not 1/t).
        angle = t - s if steps == "constant" else np.log(t / s)
        sigma = rate(s, steps) * np.sqrt(2 / m) * np.array([1.0, 0.0])
        return float((expm(angle * turn)[row] @ sigma) ** 2)

    expected = [quad(integrand, START[steps], t, (row,), limit=200)[0] for row in (0, 1)]
    assert np.ravel(variances([t], m, steps)) == pytest.approx(expected, rel=1e-8)


def test_the_discrete_loop_has_fourteen_times_one_over_m_after_ten_unit_steps() -> None:
    assert scheme_variances(np.arange(11), 1.0, "constant")[1][-1] == pytest.approx(14)
    assert variances([10], 1.0, "constant")[1] == pytest.approx(10 - np.sin(20) / 2)


@pytest.mark.parametrize("steps", ["constant", "vanishing"])
def test_the_scheme_tends_to_the_flow_as_its_steps_shrink(steps: Steps) -> None:
    off = []
    for n in (201, 401, 801):
        times = grid(steps, 10.0, n)
        exact, scheme = (f(times, 3.0, steps) for f in (variances, scheme_variances))
        off.append(max(np.abs(a - b).max() for a, b in zip(exact, scheme, strict=True)))
    assert off[0] / off[1] == pytest.approx(2, rel=0.1)  # of first order
    assert off[1] / off[2] == pytest.approx(2, rel=0.1)
    assert off[2] < 0.02


@pytest.mark.parametrize("steps", ["constant", "vanishing"])
def test_simulated_paths_have_the_means_and_variances_of_the_scheme(steps: Steps) -> None:
    times, m, n = grid(steps, 6.0, 13), 5.0, 40_000
    w0, theta0 = np.array([0.3, 0.0]), np.array([-0.2, 0.5])
    record = (0, 6, 12)
    paths = simulate(times, record, m, w0, theta0, steps, n, np.random.default_rng(0))
    alone = simulate(times, record, np.inf, w0, theta0, steps, 1, np.random.default_rng(0))
    of_scheme = scheme_variances(times, m, steps)
    for got, mean, variance in zip(
        (paths.w, paths.theta), (alone.w, alone.theta), of_scheme, strict=True
    ):
        assert got.shape == (3, n, 2)
        for k, at in enumerate(record):
            std = np.sqrt(variance[at])
            np.testing.assert_allclose(got[k].mean(0), mean[k, 0], atol=4.5 * std / np.sqrt(n))
            expected = pytest.approx(variance[at], rel=4.5 * np.sqrt(2 / n), abs=1e-20)
            assert got[k, :, 0].var() == expected
            assert got[k, :, 1].var() == expected


def test_the_loop_is_the_alternating_updates_of_the_paper() -> None:
    w, theta = np.array([0.3]), np.array([0.2])
    paths = simulate(range(6), range(6), np.inf, w, theta, "constant", 1, np.random.default_rng(0))
    for k in range(6):
        assert (paths.w[k, 0], paths.theta[k, 0]) == (pytest.approx(w), pytest.approx(theta))
        w = w + 1 * (0 - theta)  # Eq. 25: ascent along E x - (E y + theta)
        theta = theta - 1 * (-w)  # Eq. 28: descent, the gradient is -w


def test_a_path_leaves_the_unit_ball_when_w_first_exceeds_one() -> None:
    times = np.linspace(0, 10, 2001)
    paths = simulate(times, [0], np.inf, [0.0], [2.0], "constant", 1, np.random.default_rng(0))
    assert paths.left[0] == pytest.approx(np.pi / 6, abs=0.01)  # |w| = 2 sin t
    paths = simulate(times, [0], np.inf, [0.3], [0.3], "constant", 1, np.random.default_rng(0))
    assert np.isinf(paths.left[0])


def test_no_slope_of_a_random_network_exceeds_its_certified_constant() -> None:
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=s) for s in ((9, 3), (9, 9), (1, 9))]

    def f(x: np.ndarray) -> np.ndarray:
        for w in weights[:-1]:
            x = np.maximum(x @ w.T, 0)
        return (x @ weights[-1].T)[:, 0]

    a, b = rng.normal(size=(2, 5000, 3))
    slope = np.abs(f(a) - f(b)) / np.linalg.norm(a - b, axis=1)
    assert slope.max() <= certified_lipschitz(weights)
    linear = [np.diag([3.0, 1.0]), [[1.0, 0.0]]]
    assert certified_lipschitz(linear) == pytest.approx(3)
    assert certified_lipschitz(linear) >= 3


def test_convex_bound_is_tight_for_a_cone_and_holds_for_a_lipschitz_function() -> None:
    rng = np.random.default_rng(0)
    x1, x2 = rng.normal(size=(2, 500, 4))
    share = rng.random(500)
    mixed = share[:, None] * x1 + (1 - share[:, None]) * x2
    distance = np.linalg.norm(x1 - x2, axis=1)

    def f(x: np.ndarray) -> np.ndarray:
        return 3 - 2 * np.linalg.norm(x - x1[0], axis=1)

    bound = convex_bound(f(x1), f(x2), share, distance, 2.0)
    assert (f(mixed) >= bound - 1e-12).all()
    # From the cone's tip x1[0] every direction falls at the full slope.
    assert f(mixed)[0] == pytest.approx(bound[0])
