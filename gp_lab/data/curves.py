"""Points about a curve of the plane: the samples, and densities by quadrature or closed form."""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gp_lab.data.distribution import Distribution, float64, in_chunks, randn
from gp_lab.instantiate import Checked

Curve = Callable[[Tensor], Tensor]
"""u [k] in [0, 1] -> points [k, 2]."""


class AboutCurve(Checked, Distribution):
    """Base of distributions in the plane: curve(u) + N(0, noise^2 I) with u uniform on [0, 1]."""

    @property
    @abstractmethod
    def noise(self) -> float:
        """Standard deviation about the curve."""

    @property
    @abstractmethod
    def top_speed(self) -> float:
        """The largest |d curve / du|."""

    @property
    def dim(self) -> int:
        return 2

    @abstractmethod
    def curve(self, u: Tensor) -> Tensor:
        """The points of the curve [k, 2] at u [k] in [0, 1]."""

    def sample(self, rng: torch.Generator, n: int) -> Tensor:
        u = torch.rand(n, generator=rng, device=rng.device)
        return self.curve(u) + self.noise * randn(rng, n, 2)

    def log_density(self, x: Tensor) -> Tensor:
        """By quadrature along the curve, [k] float64. Raises ValueError if `noise` is 0."""
        return log_density_about(self.curve, self.top_speed, self.noise, x)


def polar(radius: Tensor, angle: Tensor) -> Tensor:
    """The points [k, 2] at a radius [k] and an angle [k] in radians."""
    return radius[:, None] * torch.stack([torch.cos(angle), torch.sin(angle)], 1)


def round_circles(radii: Sequence[float], u: Tensor) -> Tensor:
    """Points [k, 2] at u [k] in [0, 1] on the way round one concentric circle after the other."""
    which = (u * len(radii)).floor().clamp(max=len(radii) - 1)
    radius = torch.tensor(radii, dtype=u.dtype)[which.long()]
    return polar(radius, 2 * math.pi * (u * len(radii) - which))


def log_density_about(curve: Curve, top_speed: float, noise: float, x: Tensor) -> Tensor:
    """log of the integral over u in [0, 1] of N(x; curve(u), noise^2 I), x [k, 2].

    Gauss-Legendre, 12 nodes on each stretch of the curve no longer than 2 `noise` (`top_speed`
    bounds |d curve / du|): on so short a stretch the integrand is smooth to double precision.
    """
    variance = _variance(noise)
    stretches = math.ceil(top_speed / (2 * noise))
    nodes, weights = gauss_legendre(12)
    starts = torch.arange(stretches, dtype=torch.float64)
    u = ((starts[:, None] + nodes) / stretches).flatten().to(x.device)
    log_weights = (weights / stretches).log().repeat(stretches).to(x.device)
    on_curve = curve(u)

    def of_some(x: Tensor) -> Tensor:
        squared_distance = sum((x[:, i, None] - on_curve[:, i]).square() for i in range(x.shape[1]))
        return torch.logsumexp(log_weights - squared_distance / (2 * variance), 1)

    return in_chunks(of_some, x, len(u)) - math.log(2 * math.pi * variance)


def gauss_legendre(n: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights [n] on [0, 1], from the eigenvectors of the Jacobi matrix."""
    k = torch.arange(1, n, dtype=torch.float64)
    beta = k / torch.sqrt(4 * k**2 - 1)
    values, vectors = torch.linalg.eigh(torch.diag(beta, 1) + torch.diag(beta, -1))
    return (values + 1) / 2, vectors[0] ** 2


def log_density_about_circles(radii: tuple[float, ...], noise: float, x: Tensor) -> Tensor:
    """The mean over radii R of exp(-(r^2 + R^2) / 2 s^2) I_0(r R / s^2) / (2 pi s^2), where
    r = |x| and s is the noise; its logarithm, [k] float64. Raises ValueError if s is 0."""
    variance = _variance(noise)
    r = x.double().norm(dim=1, keepdim=True)
    R = float64(radii).to(x.device)
    bessel = torch.special.i0e(r * R / variance)  # exp(-r R / s^2) I_0(r R / s^2)
    log_each = bessel.log() - (r - R) ** 2 / (2 * variance)
    return torch.logsumexp(log_each, 1) - math.log(2 * math.pi * variance * len(radii))


def _variance(noise: float) -> float:
    if noise == 0:
        raise ValueError("noise=0: a curve has no density in the plane")
    return noise**2
