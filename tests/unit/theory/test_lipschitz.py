"""The exact optimal discriminator under lambda k(f)^2, against closed forms and brute force."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from scipy.spatial.distance import cdist

from gp_lab.errors import BadInput
from gp_lab.objectives import losses
from gp_lab.theory.lipschitz import (
    FAMILIES,
    gradient,
    imbalance,
    largest_slope,
    optimal_lipschitz,
    wasserstein_slope,
)
from gp_lab.theory.optimal import optimal_least_squares
from gp_lab.theory.transport import exact_critic, transport_plan

Array = NDArray[np.float64]

CLOSE = 1e-4
"""The solver's own accuracy on k and on values."""


def sets(n: int, m: int, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal((2.0, 0.0), size=(n, 2)), rng.normal(size=(m, 2))


TORCH = {
    "wasserstein": losses.Wasserstein(),
    "vanilla": losses.Vanilla(),
    "sqrt": losses.SquareRoot(),
    "exp": losses.Exponential(),
    "combined": losses.Combined(),
    "combined_tenth": losses.Combined(0.1, 0.1),
    "least_squares": losses.LeastSquares(),
    "hinge": losses.Hinge(),
}


@pytest.mark.parametrize("loss", FAMILIES)
def test_phi_in_the_programme_is_the_phi_that_networks_train_on(loss: str) -> None:
    import cvxpy as cp
    import torch

    f = np.linspace(-3.3, 3.1, 41)
    theirs = TORCH[loss].phi(torch.from_numpy(f)).numpy()
    mirrored = TORCH[loss].varphi(torch.from_numpy(-f)).numpy()
    convex = np.asarray(FAMILIES[loss].convex(cp.Constant(f)).value)
    for mine in (FAMILIES[loss].value(f), convex, mirrored):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)
    h = 1e-6
    numeric = (FAMILIES[loss].value(f + h) - FAMILIES[loss].value(f - h)) / (2 * h)
    np.testing.assert_allclose(FAMILIES[loss].slope(f), numeric, rtol=1e-6)


@pytest.mark.parametrize("loss", ["vanilla", "sqrt", "exp", "combined", "least_squares"])
def test_one_real_and_one_fake_have_the_optimum_of_a_one_dimensional_equation(loss: str) -> None:
    # By symmetry f(real) = -f(fake) = k d / 2; J = 2 phi(-k d / 2) + lambda (k - k0)^2.
    d, weight, k0 = 1.7, 0.3, 0.2
    optimum = optimal_lipschitz([[d, 0]], [[0, 0]], loss, weight, k0)
    slope = FAMILIES[loss].slope
    k = brentq(lambda k: 2 * weight * (k - k0) - d * slope(np.array(-k * d / 2)), 0, 100)
    assert optimum.k == pytest.approx(k, abs=CLOSE)
    assert optimum.at_real[0] == pytest.approx(k * d / 2, abs=CLOSE)
    assert optimum.at_fake[0] == pytest.approx(-k * d / 2, abs=CLOSE)
    assert list(optimum.coupling.i) == list(optimum.coupling.j) == [0]
    assert optimum.coupling.mass[0] == pytest.approx(slope(optimum.at_fake)[0], abs=CLOSE)


@pytest.mark.parametrize("loss", ["vanilla", "sqrt", "exp", "least_squares"])
def test_four_points_of_unequal_weights_have_the_optimum_that_brute_force_finds(loss: str) -> None:
    real, fake = np.array([[1.0, 0.2], [1.5, -1.0]]), np.array([[0.0, 0.0], [0.3, 1.2]])
    p, q, weight = np.array([0.7, 0.3]), np.array([0.4, 0.6]), 0.2
    optimum = optimal_lipschitz(real, fake, loss, weight, real_weight=p, fake_weight=q)
    points, phi = np.concatenate([real, fake]), FAMILIES[loss].value

    def objective(v: Array) -> float:
        return float(p @ phi(-v[:2]) + q @ phi(v[2:4]) + weight * v[4] ** 2)

    i, j = np.nonzero(~np.eye(4, dtype=bool))
    distance = cdist(points, points)[i, j]
    bound = {"type": "ineq", "fun": lambda v: v[4] * distance - (v[i] - v[j])}
    found = minimize(
        objective, [0, 0, 0, 0, 1], constraints=[bound], tol=1e-12, options={"maxiter": 500}
    )
    mine = np.concatenate([optimum.at_real, optimum.at_fake, [optimum.k]])
    assert objective(mine) == pytest.approx(found.fun, abs=1e-6)
    np.testing.assert_allclose(mine, found.x, atol=1e-3)


@pytest.mark.parametrize("loss", FAMILIES)
def test_pairs_of_reals_and_fakes_alone_have_the_optimum_of_all_pairs(loss: str) -> None:
    real, fake = sets(9, 12)
    fake = np.concatenate([fake, real[:3]])  # three common points
    cross, every = (
        optimal_lipschitz(real, fake, loss, 0.1, pairs=pairs) for pairs in ("cross", "all")
    )
    assert cross.k == pytest.approx(every.k, abs=CLOSE)
    assert cross.value == pytest.approx(every.value, abs=CLOSE)
    points = np.concatenate([real, fake[:-3]])
    values = np.concatenate([every.at_real, every.at_fake[:-3]])
    assert largest_slope(points, values) == pytest.approx(every.k, rel=CLOSE)
    np.testing.assert_allclose(every.at_real[:3], every.at_fake[-3:], atol=CLOSE)


@pytest.mark.seconds
def test_pairs_added_when_violated_end_at_the_optimum_of_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, fake = sets(40, 50)
    few = {}
    for small in (0, 10**6):
        monkeypatch.setattr("gp_lab.theory.lipschitz._SMALL", small)
        few[small] = optimal_lipschitz(real, fake, "vanilla", 0.1)
    assert few[0].k == pytest.approx(few[10**6].k, abs=CLOSE)
    np.testing.assert_allclose(few[0].at_fake, few[10**6].at_fake, atol=CLOSE)


def test_with_phi_x_the_slope_is_the_lemmas_and_the_values_are_k_times_the_exact_critic() -> None:
    real, fake = sets(30, 30)
    critic = exact_critic(real, fake)
    optimum = optimal_lipschitz(real, fake, "wasserstein", 0.1, 0.5)
    assert optimum.k == pytest.approx(wasserstein_slope(critic.w1, 0.1, 0.5), rel=1e-6)
    assert optimum.value == pytest.approx(-optimum.k * critic.w1, rel=1e-6)
    assert optimum.at_real.mean() == pytest.approx(-optimum.at_fake.mean(), abs=1e-6)
    i, j, mass = optimum.coupling
    plan = np.zeros((30, 30))
    plan[i, j] = mass
    np.testing.assert_allclose(plan.sum(0), 1 / 30, rtol=1e-3)  # multipliers are a plan
    np.testing.assert_allclose(plan.sum(1), 1 / 30, rtol=1e-3)
    assert (plan * cdist(real, fake)).sum() == pytest.approx(critic.w1, rel=1e-3)


@pytest.mark.parametrize("loss", ["vanilla", "sqrt", "exp", "combined"])
def test_multipliers_of_a_fake_add_to_the_force_of_the_loss_on_it(loss: str) -> None:
    optimum = optimal_lipschitz(*sets(7, 9), loss, 0.2)
    i, j, mass = optimum.coupling
    force = optimum.fake_weight * FAMILIES[loss].slope(optimum.at_fake)
    np.testing.assert_allclose(np.bincount(j, mass, 9), force, rtol=1e-2)
    k = (mass * optimum.distance[i, j]).sum() / (2 * 0.2)
    assert optimum.k == pytest.approx(k, rel=1e-2)


def test_equal_distributions_have_a_flat_optimum_and_nothing_pulls_on_it() -> None:
    real, _ = sets(6, 6)
    for loss in ("wasserstein", "vanilla", "sqrt", "exp"):
        optimum = optimal_lipschitz(real, real[::-1], loss, 0.1, pairs="all")
        assert optimum.k < CLOSE
        at_real, at_fake = imbalance(optimum, loss)
        assert np.abs(at_real).max() < CLOSE
        assert np.abs(at_fake).max() < CLOSE


def test_the_force_on_a_point_is_one_sided_where_only_one_distribution_is() -> None:
    real, fake = np.array([[0.0, 0], [1, 0]]), np.array([[0.0, 0], [3, 0]])
    optimum = optimal_lipschitz(real, fake, "wasserstein", 1.0, real_weight=[3, 1])
    at_real, at_fake = imbalance(optimum, "wasserstein")
    np.testing.assert_allclose(at_real, [(0.5 - 0.75) / 1.25, -1])
    np.testing.assert_allclose(at_fake, [(0.5 - 0.75) / 1.25, 1])


def test_extensions_keep_the_slope_and_agree_on_coupled_segments() -> None:
    optimum = optimal_lipschitz(*sets(8, 8), "vanilla", 0.1)
    anywhere = np.random.default_rng(1).uniform(-4, 4, (60, 2))
    for f in (optimum, optimum.lowest):
        assert largest_slope(anywhere, f(anywhere)) <= optimum.k * (1 + CLOSE)
    assert (optimum(anywhere) >= optimum.lowest(anywhere) - CLOSE).all()
    i, j, _ = optimum.coupling
    middle = (optimum.real[i] + optimum.fake[j]) / 2
    np.testing.assert_allclose(optimum(middle), optimum.lowest(middle), atol=10 * CLOSE)
    direction = (optimum.real[i] - optimum.fake[j]) / optimum.distance[i, j][:, None]
    np.testing.assert_allclose(gradient(optimum, middle), optimum.k * direction, atol=1e-4)
    assert optimum.tight[i, j].all()
    partner = optimum.partner()
    assert optimum.tight[partner, np.arange(8)].all()


def test_a_pair_in_another_norm_is_bound_in_that_norm() -> None:
    optimum = optimal_lipschitz([[2, 1]], [[0, 0]], "wasserstein", 0.5, metric="cityblock")
    assert optimum.k == pytest.approx(3, abs=CLOSE)  # W1 / (2 lambda), with |B - A|_1 = 3


def test_an_enormous_weight_leaves_the_slope_at_k0() -> None:
    assert optimal_lipschitz(*sets(5, 5), "vanilla", 1e6, 0.8).k == pytest.approx(0.8, abs=1e-4)


def test_with_little_weight_a_common_point_has_the_value_of_eq_3() -> None:
    point, weights = [[0.0, 0.0], [5.0, 0.0]], ([0.3, 0.7], [0.6, 0.4])
    optimum = optimal_lipschitz(
        point, point, "least_squares", 1e-9, real_weight=weights[0], fake_weight=weights[1]
    )
    exact = optimal_least_squares(np.log(weights[0]), np.log(weights[1]))
    np.testing.assert_allclose(optimum.at_real, exact, atol=1e-4)


def test_the_largest_slope_of_a_linear_function_is_its_gradients_norm_along_some_pair() -> None:
    assert largest_slope([[0, 0], [3, 4], [1, 0]], [0, 10, 0.5]) == pytest.approx(
        9.5 / np.hypot(2, 4)
    )
    assert largest_slope([[0, 0], [3, 4]], [0, 7], "cityblock") == pytest.approx(1)
    assert largest_slope([[1, 2]], [3]) == 0
    assert largest_slope([[1, 2], [1, 2]], [3, 3]) == 0
    assert largest_slope([[1, 2], [1, 2]], [3, 4]) == np.inf


def test_a_transport_plan_has_its_marginals_and_the_cost_of_the_exact_critic() -> None:
    real, fake = sets(12, 12)
    a = np.full(12, 1 / 12)
    plan = transport_plan(a, a, cdist(real, fake))
    np.testing.assert_allclose(plan.sum(0), a)
    np.testing.assert_allclose(plan.sum(1), a)
    assert (plan * cdist(real, fake)).sum() == pytest.approx(exact_critic(real, fake).w1)


def test_a_loss_without_an_optimum_that_is_known_is_refused_in_one_sentence() -> None:
    with pytest.raises(BadInput, match="loss=relativistic: the optimal discriminator is known for"):
        optimal_lipschitz([[0.0, 0.0]], [[2.0, 0.0]], loss="relativistic")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weight": 0.0}, "lambda must be positive"),
        ({"k0": -1.0}, "k0 not negative"),
        ({"real_weight": [1.0]}, "weights of shape"),
        ({"real_weight": [0.0, 0.0]}, "not all zero"),
        ({"fake": [[0.0, 0.0, 0.0]]}, "differ in dimension"),
        ({"fake": [[0.0, np.nan]]}, "finite points"),
    ],
)
def test_an_impossible_programme_is_refused_by_name(change: dict, said: str) -> None:
    good = {"real": [[0.0, 0.0], [1.0, 0.0]], "fake": [[2.0, 0.0]]}
    with pytest.raises(ValueError, match=said):
        optimal_lipschitz(**(good | change))
    with pytest.raises(ValueError, match="values of shape"):
        largest_slope([[0.0, 0.0]], [1.0, 2.0])
