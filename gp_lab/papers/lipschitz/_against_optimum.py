"""A trained discriminator beside the exact optimum on the points that its run stored."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gp_lab.evaluation.points import cosines
from gp_lab.figures.table import Row
from gp_lab.theory.lipschitz import OptimalDiscriminator, largest_slope, optimal_lipschitz
from gp_lab.theory.surfaces import rmse, rmse_up_to_offset


@dataclass(frozen=True, eq=False)
class Comparison:
    """What the probe `pairs` stored, and the optimum f* on its points."""

    stored: Mapping[str, np.ndarray]
    optimum: OptimalDiscriminator
    loss: str

    def row(self) -> Row:
        """What is said of it in data.csv."""
        k = self.slope()
        return {
            "error": self.error(),
            "error_of_shape": self.error_of_shape(),
            "cosine": float(np.nanmean(self.coupled_cosines())),
            "k": k,
            "k_exact": self.optimum.k,
            "k_share": k / self.optimum.k,
            "bound_residual": self.bound_residual(),
        }

    def error(self) -> float:
        """RMSE to f* on points and coupled segments, in shares of f*'s standard deviation there.

        Points count by their weights, segments by their multipliers, both halves the same; with
        phi = x the best offset is removed.
        """
        trained, exact, weights = self._on_points_and_segments()
        measure = rmse_up_to_offset if self.loss == "wasserstein" else rmse
        deviation = rmse_up_to_offset(np.zeros_like(exact), exact, weights)
        return measure(trained, exact, weights) / deviation

    def error_of_shape(self) -> float:
        """`error` of the multiple of f, about an offset, that is the nearest to f*."""
        trained, exact, weights = self._on_points_and_segments()
        off, of_f = (x - np.average(x, weights=weights) for x in (exact, trained))
        spread = np.sum(weights * of_f**2)
        scale = max(0.0, np.sum(weights * off * of_f) / spread) if spread else 0.0
        left = np.average((off - scale * of_f) ** 2, weights=weights)
        return float(np.sqrt(left / np.average(off**2, weights=weights)))

    def slope(self) -> float:
        """k(f) of the trained D over coupled segments and between all points."""
        i, j, _ = self.optimum.coupling
        along = self.stored["segment_logit"][i, j]
        step = self.optimum.distance[i, j][:, None] * np.diff(self.stored["at"])
        points = np.concatenate([self.stored["real"], self.stored["fake"]])
        values = np.concatenate([self.stored["real_logit"], self.stored["fake_logit"]])
        with np.errstate(invalid="ignore", divide="ignore"):
            steepest = float(np.nanmax(np.abs(np.diff(along, axis=1)) / step))
        return max(steepest, largest_slope(points, values))

    def coupled_cosines(self) -> np.ndarray:
        """Of grad f at each fake with the direction to its most strongly coupled real `[m]`."""
        partner = self.optimum.partner()
        direction = self.optimum.real[partner] - self.optimum.fake
        direction[partner < 0] = np.nan
        found = np.full(len(direction), np.nan)
        has = partner >= 0
        found[has] = cosines(self.stored["fake_gradient"][has], direction[has])
        return found

    def random_cosines(self) -> np.ndarray:
        """Of grad f at each fake with a direction drawn at random `[m]`; the same at each call."""
        directions = np.random.default_rng(0).normal(size=self.stored["fake"].shape)
        return cosines(self.stored["fake_gradient"], directions)

    def bound_residual(self) -> float:
        """Median over fakes x of the least |f(y) - f(x) - k d| / (k d) over reals y; D's own k."""
        rise = self.stored["real_logit"][:, None] - self.stored["fake_logit"][None, :]
        bound = self.slope() * self.optimum.distance
        return float(np.median(np.abs(rise / bound - 1).min(axis=0)))

    def _on_points_and_segments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        i, j, mass = self.optimum.coupling
        at, f = self.stored["at"], self.optimum
        low, high = f.at_fake[j][:, None], f.at_real[i][:, None]
        along = self.stored["segment_logit"][i, j]
        trained = [self.stored["real_logit"], self.stored["fake_logit"], along.ravel()]
        exact = [f.at_real, f.at_fake, (low + at * (high - low)).ravel()]
        share = np.repeat(mass / mass.sum() / len(at), len(at))
        weights = [f.real_weight / 4, f.fake_weight / 4, share / 2]
        return np.concatenate(trained), np.concatenate(exact), np.concatenate(weights)


def compare(
    stored: Mapping[str, np.ndarray], loss: str, weight: float, k0: float = 0.0
) -> Comparison:
    """Against the optimum under lambda (k - k0)^2; an enormous `weight` holds k at k0."""
    optimum = optimal_lipschitz(stored["real"], stored["fake"], loss, weight, k0)
    return Comparison(stored, optimum, loss)
