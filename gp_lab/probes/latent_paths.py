"""Paths between fakes and reals through the generator (`zero_gp`, App. F)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from gp_lab.fields import Count
from gp_lab.objectives.penalties import interpolate
from gp_lab.probes.base import Arrays, Probe, View, to_numpy


@dataclass(frozen=True)
class LatentPaths(Probe):
    """G(u E(x) + (1 - u) z) for pairs of reals x and latents z, u from 0 to 1 (Algorithm 1).

    Needs an architecture with an encoder E.

    Args:
        count: pairs, the same at every step.
        points: on a path, its ends among them.

    Arrays: real [count, ...], path [count, points, ...], codes [count, ...]: of the reals.
    """

    count: Count = 1000
    points: Count = 21

    needs_encoder: ClassVar[bool] = True
    seen_at_once: ClassVar[str] = "count"

    def measure(self, view: View) -> Arrays:
        assert view.encode is not None
        real = view.place(view.dataset.draw(view.rng("paths_real"), self.count))
        latent = view.place(view.latent.draw(view.rng("paths_latent"), self.count, real))
        with torch.no_grad():
            codes = view.encode(real)
        path = [
            to_numpy(view.fakes_of(interpolate(codes, latent, real.new_full((len(real),), u))))
            for u in np.linspace(0, 1, self.points)
        ]
        return {"real": to_numpy(real), "path": np.stack(path, axis=1), "codes": to_numpy(codes)}

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        missed = arrays["path"][:, -1] - arrays["real"]
        norm = np.linalg.norm(missed.reshape(len(missed), -1), axis=1)
        return {"missed": float(np.median(norm))}
