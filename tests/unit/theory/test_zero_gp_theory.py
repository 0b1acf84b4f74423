"""The propositions of zero_gp, worked out: against closed forms, differences and autograd."""

import numpy as np
import pytest
import torch
from helpers import small_mlp
from scipy.optimize import minimize
from torch import Tensor, nn

from gp_lab.objectives.constraints import NoConstraint
from gp_lab.objectives.losses import NonSaturating
from gp_lab.objectives.penalties import NoPenalty, Penalty
from gp_lab.theory.alternating import (
    LinearPair,
    Objective,
    border_pair,
    fixed_alternation,
    least_distance,
    steps_to_return,
    steps_to_return_exact,
)
from gp_lab.theory.dirac_gan import (
    SMOOTHING,
    Order,
    Output,
    jacobian,
    penalty_curvature,
    spectral_radius,
    trajectory,
)
from gp_lab.theory.epsilon_optimal import (
    eps_reached,
    k_of_a_pair,
    least_k,
    softmax_discriminator,
    steepest_of_a_pair,
    steepest_on_segment,
    sufficient_k,
)
from gp_lab.theory.one_pair import PAIR_PENALTIES, PairPenalty, largest_slope
from gp_lab.training.optimizers import SGD
from gp_lab.training.step import (
    AUTOGRAD,
    Game,
    discriminator_step,
    generator_step,
    start_state,
)

EPS, ALPHA = 0.4, 0.07


def on_sphere(n: int, dim: int, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


# Proposition 2


@pytest.mark.parametrize("dim", [2, 3, 20])
def test_the_construction_is_the_papers_softmax_of_w1_v(dim: int) -> None:
    real, fake, v = on_sphere(4, dim, 0), on_sphere(3, dim, 1), on_sphere(5, dim, 2) * 1.7
    d = softmax_discriminator(real, fake, 6.0, EPS, ALPHA)
    exponential = np.exp(v @ (6.0 * np.concatenate([real, fake])).T)
    expected = (exponential / exponential.sum(axis=1, keepdims=True)) @ d.w2
    np.testing.assert_allclose(d(v), expected, rtol=1e-12)
    assert d.parameters == dim * 7 + 7


def test_its_gradient_is_that_of_central_differences() -> None:
    d = softmax_discriminator(on_sphere(4, 3, 0), on_sphere(3, 3, 1), 9.0, EPS, ALPHA)
    v, h = on_sphere(6, 3, 2), 1e-5
    differences = [(d(v + h * e) - d(v - h * e)) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(d.gradient(v), np.stack(differences, axis=1), atol=1e-8)


def test_eps_reached_is_the_largest_eps_of_definition_1() -> None:
    at_real, at_fake = np.array([0.9, 0.7]), np.array([0.2, 0.45])
    eps = eps_reached(at_real, at_fake)

    def definition(e: float) -> bool:
        return bool((at_real >= 0.5 + e / 2).all() and (at_fake <= 0.5 - e / 2).all())

    assert definition(eps - 1e-12)
    assert not definition(eps + 1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_the_sufficient_k_suffices_and_the_least_is_below_it(seed: int) -> None:
    real, fake = on_sphere(5, 2, seed), on_sphere(7, 2, 100 + seed)
    enough, least = sufficient_k(real, fake, EPS, ALPHA), least_k(real, fake, EPS, ALPHA)
    for k, holds in ((enough, True), (7 * enough, True), (least, True), (0.999 * least, False)):
        d = softmax_discriminator(real, fake, k, EPS, ALPHA)
        assert (eps_reached(d(real), d(fake)) >= EPS) == holds
    assert least < enough


@pytest.mark.parametrize("distance", [0.5, 1e-3, 1e-6])
def test_for_one_real_and_one_fake_k_and_the_steepest_derivative_have_closed_forms(
    distance: float,
) -> None:
    angle = np.arcsin(distance / 2)  # half of the angle that a chord spans
    real = np.array([[np.cos(angle), np.sin(angle)]])
    fake = np.array([[np.cos(angle), -np.sin(angle)]])
    k = least_k(real, fake, EPS, ALPHA)
    assert k == pytest.approx(float(k_of_a_pair(distance, EPS, ALPHA)), rel=1e-6)
    d = softmax_discriminator(real, fake, k, EPS, ALPHA)
    steepest = steepest_on_segment(d, real[0], fake[0], points=101)
    expected = float(steepest_of_a_pair(distance, EPS, ALPHA))
    assert steepest == pytest.approx(expected, rel=1e-6)
    assert steepest > EPS / distance


def test_what_the_construction_cannot_separate_is_refused() -> None:
    same = on_sphere(2, 2, 0)
    with pytest.raises(ValueError, match="same"):
        sufficient_k(same, same, EPS, ALPHA)
    with pytest.raises(ValueError, match="norm 1"):
        softmax_discriminator(2 * same, same, 1.0, EPS, ALPHA)
    with pytest.raises(ValueError, match="at most 1/2"):
        softmax_discriminator(same, same, 1.0, 0.9, 0.1)


# Proposition 3


@pytest.mark.parametrize("objective", ["wasserstein", "vanilla"])
def test_gradients_of_the_linear_pair_are_autograds(objective: Objective) -> None:
    rng = np.random.default_rng(0)
    x, theta, z = rng.normal(size=3), rng.normal(size=3), rng.normal(size=2)
    weights = torch.tensor(rng.normal(size=(3, 2)), requires_grad=True)
    theta_d = torch.tensor(theta, requires_grad=True)
    f_real, f_fake = theta_d @ torch.tensor(x), theta_d @ (weights @ torch.tensor(z))
    if objective == "wasserstein":
        value = f_real - f_fake
    else:
        value = f_real.sigmoid().log() + (1 - f_fake.sigmoid()).log()
    of_d, of_g = torch.autograd.grad(value, [theta_d, weights])
    y = (weights @ torch.tensor(z)).detach().numpy()
    pair = LinearPair(x, y, theta, float(np.linalg.norm(z)), objective)
    np.testing.assert_allclose(pair.gradient_d, of_d.numpy(), rtol=1e-12)
    np.testing.assert_allclose(np.outer(pair.gradient_y, z), of_g.numpy(), rtol=1e-12)
    assert pair.ratio == pytest.approx(float(of_d.norm() / of_g.norm()))
    moved = (weights - 0.1 * of_g) @ torch.tensor(z)  # G descends
    np.testing.assert_allclose(pair.generator_step(0.1).y, moved.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("objective", ["wasserstein", "vanilla"])
@pytest.mark.parametrize("distance", [1.0, 0.1])
def test_the_border_pair_is_eps_optimal_and_no_more(distance: float, objective: Objective) -> None:
    pair = border_pair(distance, 0.5, objective=objective)
    assert pair.distance == pytest.approx(distance)
    assert pair.optimal(0.5)
    assert not pair.optimal(0.5 + 1e-9)
    np.testing.assert_allclose(np.linalg.norm([pair.x, pair.y], axis=1), 1.0)


@pytest.mark.parametrize(("distance", "lr", "z"), [(1.0, 0.01, 1.0), (0.2, 1e-4, 2.0)])
def test_d_takes_the_number_of_steps_that_the_closed_form_gives(
    distance: float, lr: float, z: float
) -> None:
    pair = border_pair(distance, 0.5, z).generator_step(lr)
    taken = steps_to_return(pair, 0.5, lr, 10_000)
    assert taken == np.ceil(steps_to_return_exact(distance, 0.5, lr, z))
    assert steps_to_return(pair, 0.5, lr, taken - 1) is None


def test_at_small_learning_rates_the_steps_are_eps_squared_over_distance_to_the_fourth() -> None:
    d = np.array([1.0, 0.1, 0.01])
    np.testing.assert_allclose(
        steps_to_return_exact(d, 0.5, 1e-10, 3.0), 0.25 * 9 / d**4, rtol=1e-4
    )


def test_below_the_least_distance_a_g_step_leads_away() -> None:
    floor = least_distance(0.5, 1e-3, 2.0)
    for share, nearer in ((1.01, True), (0.99, False)):
        pair = border_pair(share * floor, 0.5, 2.0)
        assert (pair.generator_step(1e-3).distance < pair.distance) == nearer


def test_fixed_alternation_is_a_rotation_that_loses_the_optimality_of_d() -> None:
    # d'' = -n d: D(x) - D(y) has the period pi / sqrt(n) in units of the learning rate.
    lr, n = 1e-3, 4
    gap = fixed_alternation(
        border_pair(1.0, 0.5), lr, n, 4000, lambda p: float(p.theta @ (p.x - p.y))
    )
    period = round(np.pi / np.sqrt(n) / lr)
    np.testing.assert_allclose(gap[period : 2 * period], gap[:period], atol=0.02)
    assert gap.min() < 0 < 0.5 < gap.max()


# Table 1: slopes between one real and one fake


@pytest.mark.parametrize("output", ["probability", "logit"])
@pytest.mark.parametrize("distance", [0.05, 0.5, 3.0])
@pytest.mark.parametrize("weight", [0.3, 2.0])
def test_the_slope_under_0_gp_is_that_of_the_best_profile_on_the_segment(
    weight: float, distance: float, output: Output
) -> None:
    n, scale = 30, min(distance**2, 1.0)

    def profile(x: np.ndarray) -> np.ndarray:
        return scale * np.concatenate([x[:1], x[0] + x[1:].cumsum() / n])

    def loss(x: np.ndarray) -> float:
        f = profile(x)
        p = 1 / (1 + np.exp(-f))
        slope = np.diff(p if output == "probability" else f) * n / distance
        at_ends = np.log1p(np.exp(-f[-1])) + np.log1p(np.exp(f[0]))
        return float(at_ends + weight * (slope**2).mean()) / scale

    best = profile(minimize(loss, np.full(n + 1, 0.1), options={"maxiter": 5000}).x)
    p = 1 / (1 + np.exp(-best))
    steepest = np.diff(p).max() * n / distance
    if output == "probability" and distance**2 > 2 * weight:
        assert largest_slope("zero_gp", distance, weight) == 1 / distance  # D(x) = 1, D(y) = 0
    else:
        assert steepest == pytest.approx(
            largest_slope("zero_gp", distance, weight, output), rel=0.02
        )


@pytest.mark.parametrize("output", ["probability", "logit"])
@pytest.mark.parametrize("distance", [0.01, 0.3])
def test_the_slope_under_1_gp_is_that_of_the_best_gap(distance: float, output: Output) -> None:
    gap = np.linspace(distance, 1 - 1e-9 if output == "probability" else 5, 2_000_001)
    at_ends = (
        -2 * np.log((1 + gap) / 2) if output == "probability" else 2 * np.log1p(np.exp(-gap / 2))
    )
    best = gap[np.argmin(at_ends + 3.0 * (gap / distance - 1) ** 2)] / distance
    slope = best if output == "probability" else best / 4
    assert largest_slope("one_gp", distance, 3.0, output) == pytest.approx(slope, rel=1e-3)


def test_as_the_points_meet_slopes_go_to_0_under_0_gp_to_1_under_1_gp_and_explode_otherwise() -> (
    None
):
    r = 1e-4
    slopes = {penalty: largest_slope(penalty, r, 2.0) for penalty in PAIR_PENALTIES}
    assert slopes["zero_gp"] == pytest.approx(r / 2, rel=1e-3)
    assert slopes["one_gp"] == pytest.approx(1, rel=1e-3)
    assert slopes["zero_gp_sample"] == slopes["none"] == pytest.approx(1 / r)


def test_a_discriminator_that_is_flat_at_the_samples_escapes_the_penalty_on_samples() -> None:
    # D = 1/2 + c (3 u - u^3)/4, u in [-1, 1] along the segment: no slope at either end.
    r, u, c = 1e-3, np.linspace(-1, 1, 1001), 1 - 1e-9
    d = 0.5 + c * (3 * u - u**3) / 4
    slope = np.gradient(d, u * r / 2)
    assert -np.log(d[-1]) - np.log1p(-d[0]) < 1e-8
    assert max(slope[0], slope[-1]) < 0.01 * slope.max()
    assert slope.max() > largest_slope("zero_gp_sample", r, 1.0)


# Table 1: the Dirac-GAN


class Point(nn.Module):
    """A generator whose sample is its parameter, whatever the latent."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(1, 1, dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        return self.theta.expand(len(z), 1)


def dirac_map(penalty: PairPenalty, lr: float, weight: float, output: Output) -> Game:
    parts = {
        "none": NoPenalty(),
        "zero_gp": Penalty("between", "squared", weight=weight, output=output),
        "zero_gp_sample": Penalty("both", "squared", weight=weight, output=output),
        "one_gp": Penalty("between", "two_sided", 1.0, weight=weight, output=output),
    }
    critic = small_mlp(inputs=1, depth=0, bias=False)
    return Game(critic, Point(), NonSaturating(), parts[penalty], NoConstraint(), SGD(lr))


def iterate(game: Game, at: Tensor, batch: int = 1) -> Tensor:
    """One iteration of the lab's own steps from (theta, psi) `[2]`."""
    g, d = {"theta": at[0].reshape(1, 1)}, {"output.weight": at[1].reshape(1, 1)}
    state = start_state(game, d, g, batch, (1,))
    real = torch.zeros(batch, 1, dtype=torch.float64)
    u = (torch.arange(batch, dtype=torch.float64) + 0.5) / batch
    state, _ = discriminator_step(game, AUTOGRAD, state, {}, 1.0, real, real, u)
    state, _ = generator_step(game, AUTOGRAD, state, {}, 1.0, real)
    return torch.cat([state["g"]["theta"].flatten(), state["d"]["output.weight"].flatten()])


@pytest.mark.parametrize("output", ["probability", "logit"])
@pytest.mark.parametrize("penalty", ["none", "zero_gp", "zero_gp_sample"])
def test_the_jacobian_of_the_dirac_gan_is_that_of_the_labs_own_training_step(
    penalty: PairPenalty, output: Output
) -> None:
    game = dirac_map(penalty, 0.2, 1.5, output)
    # The step cuts the graph between D and G, so the derivative of the whole map is by differences.
    h = 1e-4 * torch.eye(2, dtype=torch.float64)
    columns = [(iterate(game, e) - iterate(game, -e)) / 2e-4 for e in h]
    differences = torch.stack(columns, dim=1).numpy()
    curvature = penalty_curvature(penalty, 1.5, output)
    np.testing.assert_allclose(jacobian(curvature, 0.2), differences, atol=1e-7)


@pytest.mark.parametrize("penalty", PAIR_PENALTIES)
@pytest.mark.parametrize("output", ["probability", "logit"])
def test_the_trajectory_is_that_of_the_labs_own_training_step(
    penalty: PairPenalty, output: Output
) -> None:
    game = dirac_map(penalty, 0.1, 1.5, output)
    at = torch.tensor([0.8, -0.6], dtype=torch.float64)
    expected = trajectory(penalty, (0.8, -0.6), 0.1, 1.5, 20, output)
    for row in expected[1:]:
        at = iterate(game, at, batch=400)
        np.testing.assert_allclose(row, at.numpy(), atol=1e-5)


@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
@pytest.mark.parametrize("lr", [0.01, 0.5, 3.0])
@pytest.mark.parametrize("curvature", [-3.0, 0.0, 0.1, 2.0, 30.0])
def test_the_spectral_radius_is_the_largest_eigenvalue_of_the_jacobian(
    curvature: float, lr: float, order: Order
) -> None:
    eigenvalues = np.linalg.eigvals(jacobian(curvature, lr, order))
    expected = np.abs(eigenvalues).max()
    assert spectral_radius(curvature, lr, order) == pytest.approx(expected, abs=1e-6)


def test_without_a_penalty_the_map_turns_on_the_unit_circle_or_leaves_it() -> None:
    assert spectral_radius(0.0, 0.1) == 1.0
    assert spectral_radius(0.0, 0.1, "simultaneous") == pytest.approx(np.sqrt(1 + 0.1**2 / 4))


@pytest.mark.parametrize("output", ["probability", "logit"])
def test_the_curvature_of_1_gp_is_that_of_the_smoothed_penalty(output: Output) -> None:
    def smoothed(psi: float) -> float:
        slope = psi if output == "logit" else psi / 4
        return 1.5 * (np.sqrt(slope**2 + SMOOTHING**2) - 1) ** 2

    h = 1e-5
    second = (smoothed(h) - 2 * smoothed(0) + smoothed(-h)) / h**2
    assert penalty_curvature("one_gp", 1.5, output) == pytest.approx(second, rel=1e-3)


def test_the_whole_map_settles_with_0_gp_and_neither_with_1_gp_nor_without() -> None:
    def last(penalty: PairPenalty) -> float:
        return float(np.linalg.norm(trajectory(penalty, (0.3, 0.0), 0.1, 1.0, 5000)[-1]))

    assert max(last("zero_gp"), last("zero_gp_sample")) < 1e-6
    assert min(last("one_gp"), last("none")) > 0.1
