"""Probes of samples: what G makes, and what D says of data it has seen and has not seen."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gp_lab.data.base import Latent
from gp_lab.errors import BadInput
from gp_lab.fields import Count, Finite
from gp_lab.instantiate import Run, chosen
from gp_lab.objectives.losses import PairLoss, of_discriminator, of_generator
from gp_lab.probes.base import (
    Arrays,
    Probe,
    View,
    check_held_out,
    even_batches,
    slope_of,
    to_numpy,
    values_and_gradients,
)
from gp_lab.probes.pictures import grid_picture, scatter_picture

SHOWN = 64
"""Images on the dashboard."""


@dataclass(frozen=True)
class Samples(Probe):
    """Fakes from latents that are the same at every step, beside as many reals.

    Arrays: real, fake [count, ...]: float64 for points; images are kept as the bytes that they
    stand for, uint8 [count, C, H, W] whatever scale the networks see, texts as strings [count].
    Where the networks take classes, fakes are one of each after another.
    """

    knows_classes: ClassVar[bool] = True

    count: Count = 1000

    def measure(self, view: View) -> Arrays:
        real = view.dataset.draw(view.rng("samples_real"), self.count)
        labels = torch.arange(self.count) % view.classes if view.classes else None
        fake = view.fakes(view.rng("samples_latent"), self.count, labels, real=real)
        return {"real": view.dataset.kept(real), "fake": view.dataset.kept(fake)}

    def pictures(self, arrays: Arrays) -> dict[str, np.ndarray]:
        if arrays["fake"].ndim == 4 and arrays["fake"].dtype == np.uint8:
            return {"samples": grid_picture(arrays["fake"][:SHOWN])}
        if arrays["real"].shape[1:] != (2,):
            return {}
        return {"samples": scatter_picture(arrays["real"], arrays["fake"])}


@dataclass(frozen=True)
class SampleGradients(Probe):
    """What the generator is told at its samples: the two factors of lipschitz, Eq. 2.

    Arrays, for each of real, fake: <name> [count, ...] the points, <name>_logit [count],
    <name>_gradient [count, ...] the gradient of f; fake_psi_slope [count], psi'(f) at the fakes;
    of a loss of pairs its slope in the fake's f, with the real of the same row for a partner.
    """

    seen_at_once: ClassVar[str] = "count"

    count: Count = 1000

    def measure(self, view: View) -> Arrays:
        real = view.dataset.draw(view.rng("gradients_real"), self.count)
        fake = view.fakes_of(view.latent.draw(view.rng("gradients_latent"), self.count, real))
        arrays: Arrays = {}
        for name, points in (("real", view.place(real)), ("fake", fake)):
            f, gradient = values_and_gradients(view.critic, points)
            arrays |= {name: to_numpy(points), f"{name}_logit": f, f"{name}_gradient": gradient}
        f_real = torch.from_numpy(arrays["real_logit"])
        arrays["fake_psi_slope"] = slope_of(
            lambda f: of_generator(view.loss, f, f_real), arrays["fake_logit"]
        )
        return arrays

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        norms = np.linalg.norm(arrays["fake_gradient"].reshape(len(arrays["fake"]), -1), axis=1)
        return {"fake_gradient": float(norms.mean())}


@dataclass(frozen=True)
class LossCurves(Probe):
    """The loss itself: its three functions and their slopes over an axis (lipschitz, Figs. 5, 6).

    Arrays, each [points]: f; phi, varphi, psi; phi_slope, varphi_slope, psi_slope, by automatic
    differentiation in float64.
    """

    knows_classes: ClassVar[bool] = True

    low: Finite = -5.0
    high: Finite = 5.0
    points: Count = 401

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low={self.low}: not below high={self.high}")

    def check(self, key: str, run: Run) -> None:
        super().check(key, run)
        if isinstance(run.game.loss, PairLoss):
            raise BadInput(
                f"{key}: draws phi, varphi and psi, and {chosen(run, 'loss')} is a loss of pairs,"
                " which has none of them; leave it out"
            )

    def measure(self, view: View) -> Arrays:
        f = np.linspace(self.low, self.high, self.points)
        arrays = {"f": f}
        for name in ("phi", "varphi", "psi"):
            function = getattr(view.loss, name)
            arrays[name] = to_numpy(function(torch.from_numpy(f)))
            arrays[f"{name}_slope"] = slope_of(function, f)
        return arrays


@dataclass(frozen=True)
class HeldOut(Probe):
    """The discriminator on training data and on data it never saw (zero_gp, Eq. 3 and sec. 3).

    Training data are the finite sets where they are finite (their first `count` points, if they
    have more), a draw of `count` otherwise;
    held-out data are `count` new samples of the same distributions.
    Arrays, for each of train_real, train_fake, held_out_real, held_out_fake:
    <name> [n, ...] the points (images and texts as `Samples` keeps them), <name>_logit [n],
    <name>_slope [n] the norm of grad f; train_loss, held_out_loss. A loss of pairs takes rows for
    pairs, and has the shares of pairs whose real is above its fake, train_ranked, held_out_ranked,
    for its accuracies: the sign of f says nothing there.
    """

    seen_at_once: ClassVar[str] = "count"

    count: Count = 10_000

    def check(self, key: str, run: Run) -> None:
        check_held_out(key, run)
        super().check(key, run)
        if isinstance(run.game.loss, PairLoss):
            self._check_pairs(key, run)

    def _check_pairs(self, key: str, run: Run) -> None:
        real, fake = finite_set(run.dataset, self.count), finite_set(run.latent, self.count)
        reals = self.count if real is None else len(real)
        if fake is not None and len(fake) != reals:
            raise BadInput(
                f"{key}: {chosen(run, 'loss')} needs as many reals as fakes, and there are {reals}"
                f" and {len(fake)} of them to train on; use {key}.count={min(reals, len(fake))}"
            )

    def measure(self, view: View) -> Arrays:
        arrays: Arrays = {}
        for name, points in self._points(view).items():
            f, slope = _values_and_slopes(view, points)
            arrays |= {
                name: view.dataset.kept(points), f"{name}_logit": f, f"{name}_slope": slope
            }  # fmt: skip
        for part in ("train", "held_out"):
            real, fake = (arrays[f"{part}_{kind}_logit"] for kind in ("real", "fake"))
            loss = of_discriminator(view.loss, torch.from_numpy(real), torch.from_numpy(fake))
            arrays[f"{part}_loss"] = np.array(float(loss))
            if isinstance(view.loss, PairLoss):
                arrays[f"{part}_ranked"] = np.array(np.mean(real > fake))
        return arrays

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        out = {}
        for part in ("train", "held_out"):
            right = [arrays[f"{part}_real_logit"] > 0, arrays[f"{part}_fake_logit"] < 0]
            accuracy = np.mean([np.mean(r) for r in right])
            out[f"accuracy_{part}"] = float(arrays.get(f"{part}_ranked", accuracy))
            out[f"critic_loss_{part}"] = float(arrays[f"{part}_loss"])
        return out

    def _points(self, view: View) -> dict[str, Tensor]:
        train_real = finite_set(view.dataset, self.count)
        if train_real is None:
            train_real = view.dataset.draw(view.rng("train_real"), self.count)
        latent = finite_set(view.latent, self.count)
        if latent is None:
            latent = view.latent.draw(view.rng("train_fake"), len(train_real), train_real)
        real = view.dataset.fresh(view.rng("held_out_real"), self.count)
        partners = None
        if view.latent.follows_reals:  # it gets reals of its own
            partners = view.dataset.fresh(view.rng("held_out_partners"), self.count)
        held_out = view.latent.fresh(view.rng("held_out_fake"), self.count, partners)
        return {
            "train_real": view.place(train_real),
            "train_fake": view.fakes_of(latent),
            "held_out_real": view.place(real),
            "held_out_fake": view.fakes_of(held_out),
        }


def _values_and_slopes(view: View, points: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """f [n] and the norm of its gradient [n] at points [n, ...]; at images in batches."""
    size = len(points) if points.dim() == 2 else view.batch_size
    parts = points.split(even_batches(len(points), size))
    found = [values_and_gradients(view.critic, part) for part in parts]
    slopes = [np.linalg.norm(gradient.reshape(len(f), -1), axis=1) for f, gradient in found]
    return np.concatenate([f for f, _ in found]), np.concatenate(slopes)


def finite_set(source: Latent, most: int) -> Tensor | None:
    """The points of a finite set, so many at most; None of an endless one."""
    return None if source.points is None else source.points[:most]
