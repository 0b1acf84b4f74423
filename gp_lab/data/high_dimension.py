"""Points in many dimensions whose distances are known (zero_gp, sec. 5.3)."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gp_lab.data.distribution import Distribution
from gp_lab.data.points import GaussianRing
from gp_lab.fields import Few, Positive
from gp_lab.instantiate import Checked


@dataclass(frozen=True)
class RepeatedRing(Checked, Distribution):
    """Equal Gaussians whose centres are those of a ring, its two coordinates repeated.

    In 2 * `repeats` dimensions all distances between centres are sqrt(repeats) times those of
    `GaussianRing`, and so is the noise's: only the size changes with the dimension
    (zero_gp, sec. 5.3: "the distance between random samples grows with the
    dimensionality").

    Args:
        modes: how many.
        radius: of the ring in each pair of coordinates.
        std: of each coordinate about the centre.
        repeats: half the number of dimensions.
    """

    modes: Few = 8
    radius: Positive = 2.0
    std: Positive = 0.02
    repeats: Few = 1

    @property
    def dim(self) -> int:
        return 2 * self.repeats

    def sample(self, rng: torch.Generator, n: int) -> Tensor:
        which = torch.randint(self.modes, (n,), generator=rng, device=rng.device)
        noise = torch.randn(n, self.dim, generator=rng, device=rng.device)
        return self.centers().to(rng.device, torch.float32)[which] + self.std * noise

    def log_density(self, x: Tensor) -> Tensor:
        squares = torch.cdist(x.double(), self.centers().to(x.device)).square()
        log_each = -squares / (2 * self.std**2) - 0.5 * self.dim * math.log(2 * math.pi)
        each = torch.logsumexp(log_each, 1) - math.log(self.modes)
        return each - self.dim * math.log(self.std)

    def plus_noise(self, std: float) -> "RepeatedRing":
        return replace(self, std=math.hypot(self.std, std))

    def centers(self) -> Tensor:
        return GaussianRing(self.modes, self.radius, self.std).centers().repeat(1, self.repeats)
