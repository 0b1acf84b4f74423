"""Small parametric GANs with an equilibrium that is known, for the stability theory of mu_wgan.

Each is given with p, the number of D's parameters, and an equilibrium `[p + q]` in float64, where
the fakes are distributed as the reals and grad D = 0 everywhere. Their data are nodes of
quadratures with equal weights; real, latent and u run through all combinations.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gp_lab.objectives.losses import Loss
from gp_lab.objectives.penalties import NoPenalty
from gp_lab.objectives.updates import ParametricGAN, two_point_product


@dataclass(frozen=True)
class Toy:
    """A GAN, how many parameters are D's, and its equilibrium."""

    gan: ParametricGAN
    p: int
    equilibrium: Tensor


def dirac(loss: Loss, penalty: NoPenalty) -> Toy:
    """D = psi x, the real at 0 and the fake at theta (`mu_wgan`, Definition 5)."""
    gan = _on_a_line(lambda psi, x: psi[0] * x[:, 0], _shifted, 0.0, loss, penalty)
    return Toy(gan, 1, _vector([0, 0]))


def redundant(loss: Loss, penalty: NoPenalty) -> Toy:
    """D = (psi1 + psi2) x on the Dirac-GAN: psi1 = -psi2 is a line of equilibria."""
    gan = _on_a_line(lambda psi, x: (psi[0] + psi[1]) * x[:, 0], _shifted, 0.0, loss, penalty)
    return Toy(gan, 2, _vector([0.7, -0.7, 0]))


def uniform(loss: Loss, penalty: NoPenalty) -> Toy:
    """D = psi x^2, U(-1, 1) against U(-|theta|, |theta|), at (0, 1) (`mu_wgan`, Lemma 2)."""
    gan = _on_a_line(lambda psi, x: psi[0] * x[:, 0] ** 2, _stretched, 1.0, loss, penalty)
    return Toy(gan, 1, _vector([0, 1]))


def quadratic(loss: Loss, penalty: NoPenalty) -> Toy:
    """In the plane: D a polynomial of degree 2, G an affine map with a symmetric matrix.

    D's constant is free if the loss does not see it: then the equilibria are a line.
    """

    def discriminator(psi: Tensor, x: Tensor) -> Tensor:
        a, b = x[:, 0], x[:, 1]
        return torch.stack([torch.ones_like(a), a, b, a * a, a * b, b * b], dim=1) @ psi

    gan = _in_the_plane(discriminator, loss, penalty)
    return Toy(gan, 6, torch.cat([torch.zeros(6).double(), _AFFINE_IDENTITY]))


def network(loss: Loss, penalty: NoPenalty, width: int = 6) -> Toy:
    """In the plane: D a net with one hidden tanh layer, its last weights 0, and G as above.

    The hidden weights and biases may then be anything, and so may the last bias if the loss does
    not see it: a manifold of equilibria.
    """
    turn = 2 * torch.pi * torch.arange(width, dtype=torch.float64) / width
    weights = torch.stack([turn.cos() + 0.3, turn.sin() - 0.2], dim=1)
    biases = torch.linspace(-1, 1, width, dtype=torch.float64)

    def discriminator(psi: Tensor, x: Tensor) -> Tensor:
        last, hidden = psi[:width], psi[width : 4 * width].reshape(width, 3)
        return torch.tanh(x @ hidden[:, :2].T + hidden[:, 2]) @ last + psi[4 * width]

    hidden = torch.cat([weights, biases[:, None]], dim=1).flatten()
    start = [torch.zeros(width).double(), hidden, _vector([0]), _AFFINE_IDENTITY]
    return Toy(_in_the_plane(discriminator, loss, penalty), 4 * width + 1, torch.cat(start))


Discriminator = Callable[[Tensor, Tensor], Tensor]


def _on_a_line(
    discriminator: Discriminator,
    generator: Callable[[Tensor, Tensor], Tensor],
    scale: float,
    loss: Loss,
    penalty: NoPenalty,
) -> ParametricGAN:
    """Reals U(-scale, scale), latents U(-1, 1)."""
    nodes = two_point_product(pairs=3)
    real, latent, u = scale * nodes[:, :1], nodes[:, 1:2], (nodes[:, 2] + 1) / 2
    return ParametricGAN(discriminator, generator, real, latent, u, loss, penalty)


def _in_the_plane(discriminator: Discriminator, loss: Loss, penalty: NoPenalty) -> ParametricGAN:
    """Reals and latents at the corners of a square."""
    nodes = two_point_product(pairs=5)
    real, latent, u = nodes[:, :2], nodes[:, 2:4], (nodes[:, 4] + 1) / 2
    return ParametricGAN(discriminator, _affine, real, latent, u, loss, penalty)


def _shifted(theta: Tensor, latent: Tensor) -> Tensor:
    return theta[0] + 0 * latent


def _stretched(theta: Tensor, latent: Tensor) -> Tensor:
    return theta[0] * latent


def _affine(theta: Tensor, latent: Tensor) -> Tensor:
    matrix = torch.stack([theta[2], theta[3], theta[3], theta[4]]).reshape(2, 2)
    return theta[:2] + latent @ matrix


def _vector(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


_AFFINE_IDENTITY = _vector([0, 0, 1, 0, 1])
