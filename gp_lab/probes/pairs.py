"""The discriminator on points and on the segments between them, for comparison with its optimum."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gp_lab.fields import Count
from gp_lab.probes.base import (
    Arrays,
    Probe,
    View,
    even_batches,
    to_numpy,
    values_and_gradients,
)
from gp_lab.probes.samples import finite_set

_CHUNK = 1 << 14


@dataclass(frozen=True)
class Pairs(Probe):
    """f between every real and every fake (lipschitz, Fig. 3 and App. A).

    Reals and fakes are the finite sets where they are finite (their first `count` points, if they
    have more), a draw of `count` otherwise. Which pairs are coupled is for the reader to find: the
    optimum depends on them all.
    Arrays: real, fake [n, ...], real_logit, fake_logit [n], real_gradient, fake_gradient [n, ...],
    at [points] from 0 (the fake) to 1 (the real), segment_logit [reals, fakes, points].
    """

    seen_at_once: ClassVar[str] = "count"

    count: Count = 100
    points: Count = 7

    def measure(self, view: View) -> Arrays:
        real = finite_set(view.dataset, self.count)
        if real is None:
            real = view.dataset.draw(view.rng("segments_real"), self.count)
        latent = finite_set(view.latent, self.count)
        if latent is None:
            latent = view.latent.draw(view.rng("segments_fake"), self.count, real)
        real = view.place(real)
        fake = view.fakes_of(latent)
        f_real, g_real = values_and_gradients(view.critic, real)
        f_fake, g_fake = values_and_gradients(view.critic, fake)
        at = torch.linspace(0, 1, self.points, dtype=real.dtype, device=real.device)
        return {
            "real": to_numpy(real),
            "fake": to_numpy(fake),
            "real_logit": f_real,
            "fake_logit": f_fake,
            "real_gradient": g_real,
            "fake_gradient": g_fake,
            "at": to_numpy(at),
            "segment_logit": self._along(view, real, fake, at),
        }

    def _along(self, view: View, real: Tensor, fake: Tensor, at: Tensor) -> np.ndarray:
        """f [reals, fakes, points], so many points at a time that memory stays small."""
        t = at.reshape(-1, *[1] * (real.dim() - 1))
        values = []
        with torch.no_grad():
            for x in real:
                flat = (t * x + (1 - t) * fake[:, None]).flatten(0, 1)
                parts = flat.split(even_batches(len(flat), _CHUNK))
                values.append(torch.cat([view.critic(some) for some in parts]))
        return to_numpy(torch.stack(values).reshape(len(real), len(fake), len(at)))

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        norms = np.linalg.norm(arrays["fake_gradient"].reshape(len(arrays["fake"]), -1), axis=1)
        return {"fake_slope_mean": float(norms.mean()), "fake_slope_max": float(norms.max())}
