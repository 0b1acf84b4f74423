"""Probes of how much of the data G makes: the modes it hits, the curve it covers (2-D GANs of
zero_gp, mu_wgan and lipschitz)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from gp_lab.errors import BadInput
from gp_lab.evaluation.points import (
    balance,
    coverage,
    distance_to_curve,
    mode_shares,
    modes_hit,
    share_near,
    wasserstein,
)
from gp_lab.fields import Count, Few, Positive
from gp_lab.instantiate import Run
from gp_lab.probes.base import Arrays, Probe, Scores, View, check_held_out, to_numpy


@dataclass(frozen=True)
class Modes(Probe):
    """Which modes G hits and how evenly, and how far its samples are from new reals.

    Args:
        count: of fakes; the same latents at every step.
        transport: of fakes and of reals in the exact W1, which two such samples of one
            distribution do not have at 0 either.
        radius: about a centre, in the units of the data; null for a tenth of the largest distance
            of a centre to the mean of all (zero_gp, Fig. 2: a tenth of the circle's radius).
        share: of all fakes that have to be near a centre for a hit.

    Arrays: centers [k, dim], hit [k], mode_shares [k] of fakes nearest to each, near the share
    within the radius of any, balance the entropy of mode_shares over log k, w1, radius.
    """

    best: ClassVar[Scores] = {"hit": "max", "near": "max", "w1": "min"}

    count: Count = 10_000
    transport: Few = 500
    radius: Positive | None = None
    share: Positive = 0.01

    def __post_init__(self) -> None:
        if self.share > 1:
            raise ValueError(f"share={self.share}: must be at most 1")

    def check(self, key: str, run: Run) -> None:
        centers = run.dataset.centers()
        if centers is None:
            raise BadInput(
                f"{key}: counts modes, but the data set has none; choose one with centres"
                " or leave the probe out"
            )
        if self.radius is None and not (centers != centers[0]).any():
            raise BadInput(f"{key}.radius: give it for a data set with a single mode")
        check_held_out(key, run)
        super().check(key, run)

    def measure(self, view: View) -> Arrays:
        modes = view.dataset.centers()
        assert modes is not None
        centers = to_numpy(modes)
        radius = self.radius
        if radius is None:
            radius = 0.1 * float(np.linalg.norm(centers - centers.mean(0), axis=1).max())
        fake = _fakes(view, self.count)
        real = to_numpy(view.dataset.fresh(view.rng("modes_transport"), self.transport))
        return {
            "centers": centers,
            "hit": modes_hit(fake, centers, radius, self.share),
            "mode_shares": mode_shares(fake, centers),
            "near": np.array(share_near(fake, centers, radius)),
            "balance": np.array(balance(fake, centers)),
            "w1": np.array(wasserstein(real, fake[: self.transport])),
            "radius": np.array(radius),
        }

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        single = {k: float(arrays[k]) for k in ("near", "balance", "w1")}
        return {"hit": float(arrays["hit"].sum())} | single


@dataclass(frozen=True)
class Curve(Probe):
    """How near G's samples are to the curve that the data lie about, and how much of it they reach.

    Args:
        count: of fakes; the same latents at every step.
        points: of the curve, equal steps of its parameter apart.
        transport: of fakes and of reals in the exact W1.
        radius: of what is near, in the units of the data.

    Arrays: curve [points, 2], distance [count] of each fake to it, near the share of fakes within
    the radius, coverage the share of the curve's points with a fake within the radius, w1.
    """

    best: ClassVar[Scores] = {"near": "max", "coverage": "max", "distance": "min", "w1": "min"}

    count: Count = 10_000
    points: Count = 300
    transport: Few = 500
    radius: Positive = 0.1

    def check(self, key: str, run: Run) -> None:
        if run.dataset.curve(2) is None:
            raise BadInput(
                f"{key}: measures distances to a curve, but the data set has none; choose"
                " dataset=swiss_roll or dataset=s_curve, or leave the probe out"
            )
        check_held_out(key, run)
        super().check(key, run)

    def measure(self, view: View) -> Arrays:
        points = view.dataset.curve(self.points)
        assert points is not None
        curve = to_numpy(points)
        fake = _fakes(view, self.count)
        real = to_numpy(view.dataset.fresh(view.rng("curve_transport"), self.transport))
        distance = distance_to_curve(fake, curve)
        return {
            "curve": curve,
            "distance": distance,
            "near": np.array(np.mean(distance <= self.radius)),
            "coverage": np.array(coverage(fake, curve, self.radius)),
            "w1": np.array(wasserstein(real, fake[: self.transport])),
        }

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        single = {k: float(arrays[k]) for k in ("near", "coverage", "w1")}
        return {"distance": float(arrays["distance"].mean())} | single


def _fakes(view: View, count: int) -> np.ndarray:
    """As many fakes as there are; a latent that follows the reals gets reals of its own."""
    real: Tensor = view.dataset.fresh(view.rng("modes_partners"), count)
    latent = view.latent.draw(view.rng("modes_latent"), count, real)
    return to_numpy(view.fakes_of(latent))
