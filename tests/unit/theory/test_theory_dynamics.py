"""Toy dynamics of mu_wgan against the papers' numbers, other integrators and the lab's updates."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from gp_lab.objectives import toys
from gp_lab.objectives.losses import Vanilla, Wasserstein
from gp_lab.objectives.penalties import NoPenalty, Penalty
from gp_lab.objectives.toys import Toy
from gp_lab.objectives.updates import (
    ParametricGAN,
    alternating_step,
    flow_jacobian,
    simultaneous_step,
    two_point_product,
    update_jacobian,
)
from gp_lab.theory.dynamics import (
    Mass,
    Measure,
    conserved,
    constant_mass,
    dirac_basin,
    dirac_field,
    gaussian_mass,
    guaranteed_radius,
    jacobian,
    lyapunov_condition,
    projected,
    runge_kutta,
    second_moment,
    settles,
    squared_dirac_field,
    squared_dirac_limit,
    trajectory,
    uniform_eigenvalues,
    uniform_field,
)

MEASURES: tuple[Measure, ...] = ("real", "fake", "between", "midpoint", "anchor")


# Lemma 1


def test_lemma_1s_radius_is_1_for_a_gaussian_mass_and_unbounded_for_a_probability_measure() -> None:
    assert guaranteed_radius(gaussian_mass()) == pytest.approx(1, abs=1e-9)
    assert guaranteed_radius(constant_mass(1.0), largest=7.0) == 7.0


def test_lemma_1s_radius_of_a_mass_that_falls_with_theta_too_is_found_on_the_right_ray() -> None:
    # M = 2 - psi^2 - theta^2: 2 M + psi dM/dpsi = 4 - 4 psi^2 - 2 theta^2, least at theta = 0.
    mass = Mass(lambda psi, theta: 2 - psi**2 - theta**2, lambda psi, theta: -2 * psi)
    assert guaranteed_radius(mass) == pytest.approx(1, abs=1e-9)


def test_the_squared_distance_falls_as_the_lyapunov_condition_says() -> None:
    rng, rho = np.random.default_rng(0), 0.7
    state = rng.normal(size=(50, 2))
    change = (2 * state * dirac_field(state, rho, gaussian_mass())).sum(axis=1)
    psi, theta = state.T
    formula = -rho * psi**2 * lyapunov_condition(psi, theta, gaussian_mass())
    np.testing.assert_allclose(change, formula, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("rho", "radius"), [(0.1, 1.25), (1.0, 1.20), (3.0, 1.13)])
def test_the_basin_of_a_gaussian_mass_ends_at_the_cycle_that_time_reversed_curves_tend_to(
    rho: float, radius: float
) -> None:
    slow = rho < 1
    times = np.linspace(0, 300 if slow else 30, 8000 if slow else 4000)
    back = trajectory(lambda y: -dirac_field(y, rho, gaussian_mass()), [1.1, 0.0], times, 1e-8)
    cycle = back[-1000:]
    distance, angle = np.hypot(*cycle.T), np.arctan2(cycle[:, 1], cycle[:, 0])
    nearest = distance.argmin()
    assert distance[nearest] == pytest.approx(radius, abs=0.005)
    angles, horizon = angle[nearest : nearest + 1], 300 if slow else 40
    found = dirac_basin(np.array([rho]), gaussian_mass(), angles, horizon, 0.2, tolerance=0.01)
    assert found[0, 0] == pytest.approx(distance[nearest], abs=0.02)


def test_without_mass_nothing_settles_and_curves_are_circles() -> None:
    def field(state: NDArray, which: NDArray[np.intp]) -> NDArray:
        return dirac_field(state, 1.0, constant_mass(0.0))

    starts = np.array([[1.0, 0.0], [0.001, 0.001]])
    assert not settles(field, starts, horizon=30).any()
    curve = trajectory(lambda y: field(y, np.arange(1)), [1.0, 0.0], np.linspace(0, 6, 20))
    np.testing.assert_allclose(np.hypot(*curve.T), 1, atol=1e-9)


def test_a_runge_kutta_step_has_an_error_of_order_5() -> None:
    start = np.array([[0.3, 1.0]])

    def error(step: float) -> float:
        exact = solve_ivp(
            lambda _, y: squared_dirac_field(y, 0.4), (0, step), start[0], rtol=1e-13, atol=1e-13
        ).y[:, -1]
        found = runge_kutta(lambda y: squared_dirac_field(y, 0.4), start, step)[0]
        return float(np.abs(found - exact).max())

    assert 25 < error(0.2) / error(0.1) < 40  # 2^5


# Lemma 2


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("theta", [1.0, 0.6])
def test_second_moments_are_those_of_samples(measure: Measure, theta: float) -> None:
    nodes, weights = np.polynomial.legendre.leggauss(4)
    x, y, u = np.meshgrid(nodes, theta * nodes, (nodes + 1) / 2, indexing="ij")
    weight = np.einsum("i,j,k->ijk", weights, weights, weights) / 8
    points = {
        "real": x, "fake": y, "between": u * x + (1 - u) * y, "midpoint": (x + y) / 2,
        "anchor": 2 * u + (1 - u) * y,
    }  # fmt: skip
    expected = (weight * points[measure] ** 2).sum()
    # E[u (1 - u) A y] vanishes, as the fakes' mean is 0.
    assert float(second_moment(measure, theta, 2.0)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("measure", "moment"),
    [("real", 1 / 3), ("fake", 1 / 3), ("between", 2 / 9), ("midpoint", 1 / 6),
     ("anchor", 4 / 3 + 1 / 9), ("origin", 0.0)],
)  # fmt: skip
@pytest.mark.parametrize("theta", [1.0, -1.0])
def test_lemma_2s_spectrum_is_that_of_the_fields_jacobian(
    measure: Measure, moment: float, theta: float
) -> None:
    rho = 0.8
    found = jacobian(
        lambda s: uniform_field(s, rho, lambda t: second_moment(measure, t, 2.0)), [0.0, theta]
    )
    assert np.trace(found) == pytest.approx(-4 * rho * moment, abs=1e-9)
    assert np.linalg.det(found) == pytest.approx(4 / 9, abs=1e-9)
    np.testing.assert_allclose(
        np.sort_complex(np.linalg.eigvals(found)),
        np.sort_complex(uniform_eigenvalues(rho, moment)),
        atol=1e-9,
    )


def test_a_complex_step_gives_the_derivative_to_rounding() -> None:
    found = jacobian(lambda s: np.stack([np.exp(s[0]) * s[1], s[0] ** 3]), [0.5, 2.0])
    expected = [[2 * np.exp(0.5), np.exp(0.5)], [0.75, 0]]
    np.testing.assert_allclose(found, expected, rtol=1e-15)


# Lemma 3


def test_the_conserved_quantity_does_not_change_along_the_field() -> None:
    rng, rho = np.random.default_rng(1), 0.9
    state = rng.normal(size=(40, 2))
    field, small = squared_dirac_field(state, rho), 1e-6
    ahead, behind = (conserved(state + s * small * field, rho) for s in (1, -1))
    np.testing.assert_allclose((ahead - behind) / (2 * small), 0, atol=1e-6)


@pytest.mark.parametrize(
    "start", [[1.0, 0.5], [0.0, 0.5], [-1.0, -0.7], [-3.0, 2.0], [-2.0, 1.0], [2.5, -3.0]]
)
def test_curves_end_at_the_exact_limit_and_never_at_the_origin(start: list[float]) -> None:
    rho = 3 / 8
    end = trajectory(lambda y: squared_dirac_field(y, rho), start, np.array([0.0, 150.0]))[-1]
    limit = float(squared_dirac_limit(np.array(start), rho))
    np.testing.assert_allclose(end, [limit, 0], atol=1e-8)
    assert limit < 0


def test_states_without_theta_are_equilibria_and_limits_keep_the_conserved_quantity() -> None:
    still = np.array([[0.7, 0.0], [-4.0, 0.0]])
    np.testing.assert_array_equal(squared_dirac_limit(still, 0.5), [0.7, -4.0])
    start = np.random.default_rng(2).normal(size=(30, 2))
    limit = squared_dirac_limit(start, 0.5)
    at_limit = conserved(np.stack([limit, np.zeros(30)], axis=1), 0.5)
    np.testing.assert_allclose(at_limit, conserved(start, 0.5), rtol=1e-9, atol=1e-12)


# Theorem 1: the update of the lab's own objectives


def penalty(measure: Measure, dimensions: int = 1, weight: float = 1.3) -> Penalty:
    return Penalty(measure=measure, weight=weight, half=True, anchor=(2.0, -1.0)[:dimensions])  # type: ignore[arg-type]


@pytest.mark.seconds
@pytest.mark.parametrize("measure", MEASURES)
def test_the_updates_jacobian_is_that_of_lemma_2s_field_also_away_from_the_equilibrium(
    measure: Measure,
) -> None:
    toy = toys.uniform(Wasserstein(), penalty(measure))
    for at in ([0.0, 1.0], [0.4, 0.7]):
        found = flow_jacobian(toy.gan, torch.tensor(at, dtype=torch.float64), toy.p).numpy()
        field = jacobian(
            lambda s: uniform_field(s, 1.3, lambda t: second_moment(measure, t, 2.0)), at
        )
        np.testing.assert_allclose(found, field, atol=1e-9)


def test_an_update_goes_down_the_gradients_by_hand() -> None:
    # The Dirac-GAN with p_d: D minimises psi theta + rho/2 psi^2, G minimises -psi theta.
    toy = toys.dirac(Wasserstein(), penalty("real"))
    at = torch.tensor([0.3, -0.5], dtype=torch.float64)
    psi = 0.3 - 0.1 * (-0.5 + 1.3 * 0.3)
    together = simultaneous_step(toy.gan, at, 1, 0.1)
    torch.testing.assert_close(together, torch.tensor([psi, -0.5 + 0.1 * 0.3]).double())
    one_by_one = alternating_step(toy.gan, at, 1, 0.1)
    torch.testing.assert_close(one_by_one, torch.tensor([psi, -0.5 + 0.1 * psi]).double())


def test_an_updates_jacobian_predicts_how_a_small_change_travels() -> None:
    toy = toys.network(Vanilla(), penalty("between", 2))
    change = 1e-6 * torch.randn(len(toy.equilibrium), generator=torch.Generator().manual_seed(0))
    base = alternating_step(toy.gan, toy.equilibrium, toy.p, 0.1)
    moved = alternating_step(toy.gan, toy.equilibrium + change.double(), toy.p, 0.1) - base
    found = update_jacobian(toy.gan, toy.equilibrium, toy.p, 0.1, alternating_step)
    torch.testing.assert_close(found @ change.double(), moved, rtol=1e-4, atol=1e-10)


TOYS = {
    "dirac": toys.dirac, "redundant": toys.redundant, "uniform": toys.uniform,
    "quadratic": toys.quadratic, "network": toys.network,
}  # fmt: skip


@pytest.mark.parametrize("name", TOYS)
@pytest.mark.parametrize("loss", [Wasserstein(), Vanilla()])
def test_each_toys_equilibrium_is_a_fixed_point_where_the_fakes_are_distributed_as_the_reals(
    name: str, loss: Wasserstein | Vanilla
) -> None:
    dimensions = 2 if name in ("quadratic", "network") else 1
    for measure in MEASURES:
        toy: Toy = TOYS[name](loss, penalty(measure, dimensions))
        step = simultaneous_step(toy.gan, toy.equilibrium, toy.p, 1.0)
        torch.testing.assert_close(step, toy.equilibrium, rtol=0, atol=1e-12)
        fake = toy.gan.generator(toy.equilibrium[toy.p :], toy.gan.latent)
        values = [torch.sort(x.flatten()).values for x in (fake, toy.gan.real)]
        torch.testing.assert_close(values[0], values[1], rtol=0, atol=1e-12)


def test_projecting_takes_away_the_line_of_equilibria_and_leaves_the_dirac_gans_spectrum() -> None:
    toy = toys.redundant(Wasserstein(), penalty("real"))
    full = flow_jacobian(toy.gan, toy.equilibrium, toy.p).numpy()
    kept = np.sort_complex(np.linalg.eigvals(projected(full, toy.p)))
    everything = np.sort_complex(np.linalg.eigvals(full))
    assert len(kept) == 2
    assert np.abs(everything).min() < 1e-9
    # Along (1, 1)/sqrt(2) D is sqrt(2) v x: v' = -sqrt(2) theta - 2 rho v, theta' = sqrt(2) v.
    expected = np.sort_complex(np.roots([1, 2 * 1.3, 2]).astype(complex))
    np.testing.assert_allclose(kept, expected, atol=1e-9)


def test_two_points_integrate_cubes_of_three_uniform_variables_exactly() -> None:
    nodes = two_point_product(pairs=3)
    assert nodes.shape == (8, 3)
    x, y, z = nodes.T
    value = (x**2 * y**2 + z**3 * x + 2 * z**2 + x).mean()
    assert float(value) == pytest.approx(1 / 9 + 2 / 3, rel=1e-14)


def test_no_penalty_leaves_the_losses_alone() -> None:
    nodes = two_point_product(pairs=3)
    gan = ParametricGAN(
        lambda psi, x: psi[0] * x[:, 0], lambda theta, z: theta[0] + z, nodes[:, :1] + 1,
        nodes[:, 1:2], nodes[:, 2], Wasserstein(), NoPenalty(),
    )  # fmt: skip
    psi, theta = torch.tensor([2.0]).double(), torch.tensor([0.25]).double()
    assert float(gan.d_objective(psi, theta)) == pytest.approx(2 * (0.25 - 1))
    assert float(gan.g_objective(psi, theta)) == pytest.approx(-2 * 0.25)
