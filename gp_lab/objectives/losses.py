"""GAN losses as three scalar functions of the logit f, for all five papers, or as one of pairs.

D minimises E_fake[phi(f)] + E_real[varphi(f)] and G minimises E_fake[psi(f)]
(lipschitz, sec. 2). With a loss of pairs D minimises E[pair(f(real), f(fake))] and G
E[pair(f(fake), f(real))]. Each function maps f of any shape, elementwise; averages over
samples, with weights where a correction or an uneven split needs them, are taken outside.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Protocol

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import relu

from gp_lab.errors import BadInput
from gp_lab.fields import Finite, Positive, Stackable
from gp_lab.instantiate import Checked


class Loss(Protocol):
    """Three scalar functions; `meets_eq10` claims Eq. 10 of lipschitz.

    Eq. 10: phi increasing, varphi decreasing, both convex, slopes that cancel at some a.
    """

    meets_eq10: ClassVar[bool]

    def phi(self, f: Tensor) -> Tensor: ...
    def varphi(self, f: Tensor) -> Tensor: ...
    def psi(self, f: Tensor) -> Tensor: ...


class PairLoss(ABC):
    """Base of the losses of pairs, of a real and a fake that stand in one row of their batches.

    D minimises E[pair(f(real), f(fake))], and G the same with the two exchanged. There is no phi,
    varphi or psi then: whoever asks for one is told so (`BadInput`).
    """

    meets_eq10: ClassVar[bool] = False

    @abstractmethod
    def pair(self, above: Tensor, below: Tensor) -> Tensor:
        """Small where logits `above` [...] are well above those of their partners `below` [...]."""

    def phi(self, f: Tensor) -> Tensor:
        raise BadInput(f"{type(self).__name__}: a loss of pairs has no phi, varphi or psi")

    varphi = psi = phi


def of_discriminator(
    loss: Loss, f_real: Tensor, f_fake: Tensor, weights: Tensor | None = None
) -> Tensor:
    """What D minimises, without a penalty: a mean over f_real [n] and f_fake [m], a scalar.

    `weights` [m] are those of the fakes, see `mean`. A loss of pairs has none, and takes the i-th
    of both for a pair. Raises `BadInput` unless n = m then.
    """
    if isinstance(loss, PairLoss):
        return mean(_of_pairs(loss, f_real, f_fake))
    return mean(loss.phi(f_fake), weights) + mean(loss.varphi(f_real))


def of_generator(loss: Loss, f_fake: Tensor, f_real: Tensor | None) -> Tensor:
    """What G minimises the mean of, [n]: psi of f_fake [n], or pairs with f_real [n].

    Raises `BadInput` for a loss of pairs without as many reals.
    """
    if isinstance(loss, PairLoss):
        return _of_pairs(loss, f_fake, f_fake[:0] if f_real is None else f_real)
    return loss.psi(f_fake)


def _of_pairs(loss: PairLoss, above: Tensor, below: Tensor) -> Tensor:
    if above.shape != below.shape:
        raise BadInput(
            f"{type(loss).__name__}: pairs need as many reals as fakes, not {len(above)} of one and"
            f" {len(below)} of the other"
        )
    return loss.pair(above, below)


def mean(values: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of `values` [batch], or their weighted mean with `weights` [batch] that average 1.

    They average 1 over a whole batch; of a part of it the mean is what that adds, as of values
    without weights.

    >>> mean(torch.tensor([1.0, 3.0]), torch.tensor([1.5, 0.5]))
    tensor(1.5000)
    """
    return values.mean() if weights is None else (weights * values).mean()


def softplus(f: Tensor) -> Tensor:
    """log(1 + exp(f)), elementwise.

    PyTorch's own is f beyond its threshold of 20 by default, 2e-9 off and with a slope of exactly
    1; beyond 40 that is the same number in float64.
    """
    return functional.softplus(f, threshold=40)


@dataclass(frozen=True)
class Vanilla(Checked):
    """The original GAN, saturating (zero_gp, Eq. 1): G minimises log(1 - D)."""

    meets_eq10: ClassVar[bool] = True

    def phi(self, f: Tensor) -> Tensor:
        return softplus(f)  # -log(1 - sigmoid(f))

    def varphi(self, f: Tensor) -> Tensor:
        return softplus(-f)  # -log sigmoid(f)

    def psi(self, f: Tensor) -> Tensor:
        return -softplus(f)


@dataclass(frozen=True)
class NonSaturating(Vanilla):
    """The original GAN with the generator of practice: G minimises -log D (wgan_gp, sec. 2.1)."""

    def psi(self, f: Tensor) -> Tensor:
        return softplus(-f)


@dataclass(frozen=True)
class Wasserstein(Checked):
    """wgan_gp, Eq. 2: the critic's values as they are."""

    meets_eq10: ClassVar[bool] = True

    def phi(self, f: Tensor) -> Tensor:
        return f

    def varphi(self, f: Tensor) -> Tensor:
        return -f

    def psi(self, f: Tensor) -> Tensor:
        return -f


@dataclass(frozen=True)
class LeastSquares(Checked):
    """LSGAN (lipschitz, sec. 2.1): squares about alpha, beta and gamma."""

    meets_eq10: ClassVar[bool] = False  # a square falls on one side of its centre

    alpha: Annotated[Finite, Stackable] = -1.0
    beta: Annotated[Finite, Stackable] = 1.0
    gamma: Annotated[Finite, Stackable] = 1.0

    def phi(self, f: Tensor) -> Tensor:
        return (f - self.alpha) ** 2

    def varphi(self, f: Tensor) -> Tensor:
        return (f - self.beta) ** 2

    def psi(self, f: Tensor) -> Tensor:
        return (f - self.gamma) ** 2


@dataclass(frozen=True)
class Hinge(Checked):
    """The hinge loss of SAGAN; flat beyond the margin, so Eq. 10 fails where its slope is 0."""

    meets_eq10: ClassVar[bool] = False

    def phi(self, f: Tensor) -> Tensor:
        return relu(1 + f)

    def varphi(self, f: Tensor) -> Tensor:
        return relu(1 - f)

    def psi(self, f: Tensor) -> Tensor:
        return -f


class _Mirrored(Checked):
    """varphi(f) = phi(-f) and psi = varphi: the loss families of lipschitz (appendix).

    The paper leaves psi open ("not required to be -phi", sec. 3.3); the non-saturating choice,
    psi = varphi, is ours.
    """

    meets_eq10: ClassVar[bool] = True

    def phi(self, f: Tensor) -> Tensor:
        raise NotImplementedError

    def varphi(self, f: Tensor) -> Tensor:
        return self.phi(-f)

    def psi(self, f: Tensor) -> Tensor:
        return self.varphi(f)


@dataclass(frozen=True)
class SquareRoot(_Mirrored):
    """phi(f) = sqrt(f^2 + 1) + f (lipschitz, Fig. 5)."""

    def phi(self, f: Tensor) -> Tensor:
        # For f < 0 the sum cancels; 1 / (sqrt(f^2 + 1) - f) is the same number, exactly.
        root = torch.sqrt(f * f + 1)
        return torch.where(f < 0, 1 / (root - torch.clamp(f, max=0)), root + f)


@dataclass(frozen=True)
class Exponential(_Mirrored):
    """phi(f) = exp(f) (lipschitz, Fig. 5)."""

    def phi(self, f: Tensor) -> Tensor:
        return torch.exp(f)


@dataclass(frozen=True)
class Combined(_Mirrored):
    """phi(f) = -(alpha/beta) log sigmoid(-beta f) + f (lipschitz, Fig. 6).

    Wasserstein plus vanilla: the slope stays inside (1, 1 + alpha) and there is no free offset.
    """

    alpha: Annotated[Positive, Stackable] = 1.0
    beta: Annotated[Positive, Stackable] = 1.0

    def phi(self, f: Tensor) -> Tensor:
        return self.alpha / self.beta * softplus(self.beta * f) + f


@dataclass(frozen=True)
class Relativistic(Checked, PairLoss):
    """-log sigmoid(f(real) - f(fake)): RpGAN, in none of the five papers.

    Jolicoeur-Martineau, 2019 (arXiv:1807.00734), and R3GAN (Huang et al., 2024,
    arXiv:2501.05441), Eq. 2, with the generator of practice as in `R3GAN/Trainer.py`.
    """

    def pair(self, above: Tensor, below: Tensor) -> Tensor:
        return softplus(below - above)
