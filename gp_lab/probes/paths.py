"""Probes along straight lines: D between fakes and reals, G between latents (zero_gp)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gp_lab.evaluation.paths import equality_of_norms, largest_over_mean_step
from gp_lab.fields import Count
from gp_lab.objectives.penalties import interpolate
from gp_lab.probes.base import (
    Arrays,
    Probe,
    View,
    even_batches,
    sigmoid,
    to_numpy,
    values_and_gradients,
)

CHUNK = 8192
"""Points at once: memory stays small however many segments are asked for."""


@dataclass(frozen=True)
class Segments(Probe):
    """D on the segments from fakes to reals, where 0-GP is taken (zero_gp, Eqs. 4 and 6).

    The pairs are of the same reals and latents at every step.
    Arrays: real, fake [count, ...]; position [points], 0 at the fake, 1 at the real;
    logit, logit_slope, probability_slope [count, points], the slopes are gradient norms.
    """

    count: Count = 500
    points: Count = 33

    def __post_init__(self) -> None:
        _check_ends(self.points)

    def measure(self, view: View) -> Arrays:
        real = view.dataset.draw(view.rng("segments_real"), self.count)
        latent = view.latent.draw(view.rng("segments_latent"), self.count, real)
        real = view.place(real)
        fake = view.fakes_of(latent)
        position = torch.linspace(0, 1, self.points, device=real.device, dtype=real.dtype)
        x, y = (ends.repeat_interleave(self.points, dim=0) for ends in (real, fake))
        on_segments = interpolate(x, y, position.repeat(self.count))
        f, slope = [], []
        for some in on_segments.split(even_batches(len(on_segments), CHUNK)):
            values, gradient = values_and_gradients(view.critic, some)
            f.append(values)
            slope.append(np.linalg.norm(gradient.reshape(len(values), -1), axis=1))
        shape = (self.count, self.points)
        logit, logit_slope = (np.concatenate(parts).reshape(shape) for parts in (f, slope))
        p = sigmoid(logit)
        return {
            "real": to_numpy(real),
            "fake": to_numpy(fake),
            "position": to_numpy(position),
            "logit": logit,
            "logit_slope": logit_slope,
            "probability_slope": p * (1 - p) * logit_slope,
        }

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        out = {}
        for of in ("logit", "probability"):
            slope = arrays[f"{of}_slope"]
            out[f"{of}_slope_max"] = float(slope.max())
            out[f"{of}_slope_mean"] = float(slope.mean())
            out[f"{of}_equality"] = equality_of_norms(slope)
        return out


@dataclass(frozen=True)
class LatentLines(Probe):
    """Fakes along straight lines between latents (zero_gp, Fig. 9 and "mode jumping", sec. 6.2).

    The lines are the same at every step. Arrays: position [points] from 0 to 1;
    fake [count, points, ...].
    """

    count: Count = 100
    points: Count = 65

    def __post_init__(self) -> None:
        _check_ends(self.points)

    def measure(self, view: View) -> Arrays:
        fake = latent_lines(view, self.count, self.points)
        return {"position": np.linspace(0, 1, self.points), "fake": to_numpy(fake)}

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        return {"jump": float(np.mean(largest_over_mean_step(arrays["fake"])))}


def latent_lines(view: View, count: int, points: int) -> Tensor:
    """Fakes [count, points, ...] along straight lines between latents, the same at every step."""
    whole = view.whole(count)
    real = view.dataset.draw(view.rng("lines_real"), 2 * whole)
    start, end = view.latent.draw(view.rng("lines_latent"), 2 * whole, real).chunk(2)
    return view.lines(start, end, points)[:count]


def _check_ends(points: int) -> None:
    if points < 2:
        raise ValueError(f"points={points}: a line has two ends")
