"""Losses of pairs: the relativistic one is its formula, and r1_r2 is R3GAN's penalty."""

from typing import Any

import numpy as np
import pytest
import torch
from helpers import built, normal, parameters, same, small_mlp
from torch import Tensor
from torch.nn.functional import logsigmoid

from gp_lab.errors import BadInput
from gp_lab.instantiate import instantiate
from gp_lab.objectives import toys
from gp_lab.objectives.losses import (
    Loss,
    NonSaturating,
    PairLoss,
    Relativistic,
    mean,
    of_discriminator,
    of_generator,
)
from gp_lab.objectives.penalties import NoPenalty
from gp_lab.training.step import AUTOGRAD, FUNC

N = 12
F_REAL, F_FAKE = normal(N, seed=1, scale=3), normal(N, seed=2, scale=3) + 1
APART = torch.tensor([-1e6, -745.0, -45.0, -21.0, -1.0, 0.0, 0.5, 21.0, 45.0, 1e6]).double()


@pytest.mark.parametrize("offset", [0.0, -37.5, 1000.0])
def test_the_relativistic_loss_is_its_formula_wherever_the_two_logits_lie(offset: float) -> None:
    below = torch.full_like(APART, offset)
    above = below + APART
    exact = np.logaddexp(np.longdouble(0), -(above - below).numpy().astype(np.longdouble))
    found = Relativistic().pair(above, below).numpy()
    np.testing.assert_allclose(found, exact.astype(np.float64), rtol=1e-14, atol=0)


def test_the_players_minimise_log_sigmoids_of_opposite_differences() -> None:
    f_real, f_fake = F_REAL.clone().requires_grad_(), F_FAKE.clone().requires_grad_()
    for value, textbook in (
        (of_discriminator(Relativistic(), f_real, f_fake), -logsigmoid(f_real - f_fake).mean()),
        (
            of_generator(Relativistic(), f_fake, f_real).mean(),
            -logsigmoid(f_fake - f_real).mean(),
        ),
    ):
        same(value, textbook, 1e-14)
        slopes = [torch.autograd.grad(v, (f_real, f_fake), retain_graph=True)
                  for v in (value, textbook)]  # fmt: skip
        for ours, theirs in zip(*slopes, strict=True):
            same(ours, theirs, 1e-14)
            assert ours.abs().max() > 1e-3


def test_a_loss_without_pairs_is_its_three_functions_and_sees_no_reals_in_g_s_step() -> None:
    loss = NonSaturating()
    wanted = loss.phi(F_FAKE).mean() + loss.varphi(F_REAL[:5]).mean()
    same(of_discriminator(loss, F_REAL[:5], F_FAKE), wanted, 0)
    same(of_generator(loss, F_FAKE, None), loss.psi(F_FAKE), 0)


@pytest.mark.parametrize("reals", [1, N - 1, N + 1])  # one real would be broadcast to all fakes
def test_as_many_reals_as_fakes_are_asked_for(reals: int) -> None:
    f_real, words = normal(reals), f"not {reals} of one and {N} of the other"
    with pytest.raises(
        BadInput, match=f"^Relativistic: pairs need as many reals as fakes, {words}"
    ):
        of_discriminator(Relativistic(), f_real, F_FAKE)
    with pytest.raises(BadInput, match="as many reals as fakes"):
        of_generator(Relativistic(), F_FAKE, f_real)
    with pytest.raises(BadInput, match=f"not {N} of one and 0 of the other"):
        of_generator(Relativistic(), F_FAKE, None)


@pytest.mark.parametrize("function", ["phi", "varphi", "psi"])
def test_a_loss_of_pairs_says_that_it_has_none_of_the_three_functions(function: str) -> None:
    with pytest.raises(BadInput, match="Relativistic: a loss of pairs has no phi, varphi or psi"):
        getattr(Relativistic(), function)(F_REAL)


def test_a_pair_that_weighs_three_is_three_pairs() -> None:
    weights = torch.tensor([2.25, 0.75, 0.0]).double()
    rows = torch.tensor([0, 0, 0, 1])
    weighted = mean(Relativistic().pair(F_REAL[:3], F_FAKE[:3]), weights)
    same(weighted, of_discriminator(Relativistic(), F_REAL[rows], F_FAKE[rows]), 1e-15)


def test_a_config_may_name_a_loss_of_pairs_and_not_the_base_of_them() -> None:
    assert built("loss", "relativistic") == Relativistic()
    base = {"_target_": f"{PairLoss.__module__}.PairLoss"}
    with pytest.raises(BadInput, match=r"loss\._target_=.*it does not define pair"):
        instantiate(base, "loss", (), Loss)


def test_on_the_dirac_gan_it_is_the_closed_form() -> None:
    # D = psi x, the real at 0 and the fake at theta: f(real) - f(fake) = -psi theta.
    gan = toys.dirac(Relativistic(), NoPenalty()).gan
    psi, theta = torch.tensor([[0.7], [-1.3]]).double()
    same(gan.d_objective(psi, theta), torch.log1p(torch.exp(psi * theta))[0], 1e-14)
    same(gan.g_objective(psi, theta), torch.log1p(torch.exp(-psi * theta))[0], 1e-14)


def test_the_nodes_of_a_toy_pair_each_real_with_each_fake() -> None:
    toy = toys.quadratic(Relativistic(), NoPenalty())
    psi, theta = normal(6, seed=3), normal(5, seed=4)
    f_real = toy.gan.discriminator(psi, toy.gan.real).unique()
    f_fake = toy.gan.discriminator(psi, toy.gan.generator(theta, toy.gan.latent))
    whole = torch.nn.functional.softplus(f_fake[None, :] - f_real[:, None]).mean()
    assert len(f_real) == 4
    same(toy.gan.d_objective(psi, theta), whole, 1e-12)


def r3gan(d: Any, real: Tensor, fake: Tensor, gamma: float) -> Tensor:
    """gamma/2 (R1 + R2) as R3GAN writes it: a penalty for each sample, then a mean over pairs."""
    total = torch.zeros(())
    for x in (real.clone().requires_grad_(), fake.clone().requires_grad_()):
        (gradient,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
        total = total + gamma / 2 * gradient.square().sum(1).mean()
    return total


@pytest.mark.parametrize("differentiate", [AUTOGRAD, FUNC], ids=["autograd", "func"])
@pytest.mark.parametrize("gamma", [1.0, 0.05, 150.0])
def test_r1_r2_of_weight_gamma_is_r3gans_penalty_and_so_is_its_gradient(
    gamma: float, differentiate: Any
) -> None:
    d = small_mlp(seed=1)
    real, fake = normal(N, 2, seed=5) + 1, 2 * normal(N, 2, seed=6)
    penalty = built("penalty", "r1_r2", weight=gamma)

    def objective(params: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        def critic(x: Tensor) -> Tensor:
            return torch.func.functional_call(d, params, (x,))

        points = penalty.points(real, fake, F_REAL, real[:0])
        value, _, _ = penalty(critic, points, differentiate.of_inputs)
        return value, value.detach()

    grads, value = differentiate.of_parameters(objective, parameters(d))
    textbook = r3gan(d, real, fake, gamma)
    same(value, textbook.detach(), 1e-12)
    wanted = torch.autograd.grad(textbook, list(d.parameters()), materialize_grads=True)
    for ours, theirs in zip(grads.values(), wanted, strict=True):
        same(ours, theirs, 1e-12 * max(1, gamma))
    assert built("penalty", "r1_r2").weight == 1.0
