"""The gradient step of a small parametric GAN as one map of its parameters, and its Jacobian.

The objectives are those that the trainer uses; the data are fixed points of equal weight, so there
is no chance in a step (`mu_wgan`, sec. 2.2 and Theorem 1).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad, jacrev

from gp_lab.objectives.losses import Loss, mean, of_discriminator, of_generator
from gp_lab.objectives.penalties import NoPenalty


@dataclass(frozen=True)
class ParametricGAN:
    """A GAN whose parameters are two vectors: psi `[p]` of the discriminator, theta `[q]` of G.

    discriminator: (psi, points [n, d]) -> f [n]; generator: (theta, latents [n, k]) -> fakes
    [n, d]; real [n, d], latent [n, k] and u [n] are the nodes of a quadrature with equal weights.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    real: Tensor
    latent: Tensor
    u: Tensor
    loss: Loss
    penalty: NoPenalty

    def d_objective(self, psi: Tensor, theta: Tensor) -> Tensor:
        """E phi(f(fake)) + E varphi(f(real)) + penalty, what D minimises; or E pair + penalty."""
        fake = self.generator(theta, self.latent)
        value = of_discriminator(
            self.loss, self.discriminator(psi, self.real), self.discriminator(psi, fake)
        )
        points = self.penalty.points(self.real, fake, self.u, fake[:0])
        # The penalty takes its points for constants; how they move with theta is wanted here, so
        # they go into the function and it is differentiated at no displacement from them.
        penalty, _, _ = self.penalty(
            lambda shift: self.discriminator(psi, points + shift),
            torch.zeros_like(points),
            lambda critic, at: grad(lambda x: critic(x).sum())(at),
        )
        return value + penalty

    def g_objective(self, psi: Tensor, theta: Tensor) -> Tensor:
        """E psi(f(fake)), what G minimises; or E pair."""
        fake = self.generator(theta, self.latent)
        f_fake, f_real = self.discriminator(psi, fake), self.discriminator(psi, self.real)
        return mean(of_generator(self.loss, f_fake, f_real))


Step = Callable[[ParametricGAN, Tensor, int, float], Tensor]


def simultaneous_step(gan: ParametricGAN, parameters: Tensor, p: int, lr: float) -> Tensor:
    """Parameters `[p + q]` after one SGD step of D and G from the same point (`mu_wgan`, 2.2)."""
    psi, theta = parameters[:p], parameters[p:]
    d = psi - lr * grad(gan.d_objective)(psi, theta)
    g = theta - lr * grad(gan.g_objective, argnums=1)(psi, theta)
    return torch.cat([d, g])


def alternating_step(gan: ParametricGAN, parameters: Tensor, p: int, lr: float) -> Tensor:
    """Parameters `[p + q]` after an SGD step of D and then one of G, as the trainer goes."""
    psi, theta = parameters[:p], parameters[p:]
    d = psi - lr * grad(gan.d_objective)(psi, theta)
    g = theta - lr * grad(gan.g_objective, argnums=1)(d, theta)
    return torch.cat([d, g])


def update_jacobian(
    gan: ParametricGAN, at: Tensor, p: int, lr: float = 1.0, step: Step = simultaneous_step
) -> Tensor:
    """d step_i / d parameters_j `[p + q, p + q]` of one update at the parameters `at` `[p + q]`."""
    jacobian: Tensor = jacrev(lambda parameters: step(gan, parameters, p, lr))(at)
    return jacobian


def flow_jacobian(gan: ParametricGAN, at: Tensor, p: int) -> Tensor:
    """The Jacobian `[p + q, p + q]` of the flow whose Euler step is the simultaneous update.

    (d step / d parameters - I) / lr, which does not depend on lr.
    """
    return update_jacobian(gan, at, p) - torch.eye(len(at), dtype=at.dtype)


def two_point_product(*, pairs: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """All sign patterns of `pairs` pairs over sqrt(3), `[2^pairs, pairs]`.

    Equal weights on +-1/sqrt(3) integrate polynomials of degree 3 in each variable against
    U(-1, 1)^pairs exactly (Gauss and Legendre's rule with two nodes).
    """
    node = torch.tensor([-1.0, 1.0], dtype=dtype) / torch.tensor(3.0, dtype=dtype).sqrt()
    return torch.cartesian_prod(*[node] * pairs).reshape(-1, pairs)
