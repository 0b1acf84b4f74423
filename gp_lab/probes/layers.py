"""Probes of the networks' layers: gradient norms, weights (wgan_gp, Fig. 1b), dead units."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from gp_lab.fields import Count, Few
from gp_lab.networks.conditional import classes_of
from gp_lab.objectives.losses import of_discriminator
from gp_lab.probes.base import Arrays, Probe, View, to_numpy, values_and_gradients


@dataclass(frozen=True)
class LayerGradients(Probe):
    """Norms of the critic loss's gradient with respect to each layer's output and weights.

    The loss is what D minimises, without the penalty, on one batch of reals and one of fakes.
    Arrays: loss; layers (names, input first), activations [layers] root of the summed squares over
    the batch, of what the layer itself puts out (before its nonlinearity), parameters [layers]
    likewise over the layer's weights; nonlinearities (names, input first), after [nonlinearities]
    as activations, of what the nonlinearities put out.
    """

    def measure(self, view: View) -> Arrays:
        real = view.dataset.draw(view.rng("layers_real"), view.batch_size)
        latent = view.latent.draw(view.rng("layers_latent"), view.batch_size, real)
        layers = {n: m for n, m in view.discriminator.named_modules() if _has_weight(m)}
        others = {n: m for n, m in view.discriminator.named_modules() if _is_nonlinearity(m)}
        outputs: dict[str, Tensor] = {}

        def keep(name: str) -> object:
            def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
                outputs[name] = output

            return hook

        handles = [m.register_forward_hook(keep(n)) for n, m in (layers | others).items()]
        try:
            with torch.enable_grad():
                fake = view.fakes_of(latent)
                params = {k: p.detach().requires_grad_() for k, p in view.d.items()}
                both = torch.cat([view.place(real), fake])
                f_real, f_fake = functional_call(view.discriminator, params, (both,)).chunk(2)
                loss = of_discriminator(view.loss, f_real, f_fake)
                wanted = [*outputs.values(), *params.values()]
                grads = torch.autograd.grad(loss, wanted, materialize_grads=True)
        finally:
            for handle in handles:
                handle.remove()
        others = {n: m for n, m in others.items() if n in outputs}  # an empty list is no part
        of_output = dict(zip(outputs, grads, strict=False))
        of_weight = dict(zip(params, grads[len(outputs) :], strict=True))
        return {
            "loss": np.array(loss.item()),
            "layers": np.array(list(layers)),
            "activations": np.array([_norm([of_output[n]]) for n in layers]),
            "parameters": np.array(
                [_norm([g for k, g in of_weight.items() if _owner(k) == n]) for n in layers]
            ),
            "nonlinearities": np.array(list(others), dtype=str),
            "after": np.array([_norm([of_output[n]]) for n in others]),
        }


@dataclass(frozen=True)
class DeadUnits(Probe):
    """Units that never fire, inputs at which D is exactly flat, a G that makes one sample only.

    Looked at on `count` reals and as many fakes. A unit is dead if what it puts out is exactly 0
    for all of them (for a channel of an image: everywhere); only units of ReLU's kind can be. D is
    flat at an input if the logit's gradient there is exactly 0 in every coordinate; a loss that
    saturates, or a small gradient, is neither. The networks are dead (`dead` 1) if D is flat at
    most inputs, or all samples of a G that has nonlinearities are exactly the same. A layer whose
    units are all dead does so much, unless there is a way past it, as in a residual network.

    Arrays: discriminator [layers], generator [layers] shares of dead units, input first; flat the
    share of inputs; constant, 1 if the samples are all the same.
    """

    count: Count = 512
    seen_at_once: ClassVar[str] = "count"
    knows_classes: ClassVar[bool] = True

    def measure(self, view: View) -> Arrays:
        draws, takes = view.rng("units_real"), classes_of(view.discriminator)
        real, classes = self._reals(view, draws, takes > 0 or view.classes > 0)
        given = classes if view.classes else None  # a fake is of its row's class
        latent, labels = view.latents(view.rng("units_latent"), self.count, given, real)
        of_generator: dict[str, Tensor] = {}
        of_discriminator: dict[str, Tensor] = {}
        with _firing(view.generator, of_generator):
            fake = view.fakes_of(latent, labels)
        both = torch.cat([view.place(real), fake])
        critic = view.critic
        if takes and classes is not None:
            critic = partial(_of_classes, view.critic, torch.cat([classes, classes]))
        with _firing(view.discriminator, of_discriminator):
            _, gradient = values_and_gradients(critic, both)
        same = bool(of_generator) and bool((fake == fake[:1]).all())
        return {
            "discriminator": _dead(of_discriminator),
            "generator": _dead(of_generator),
            "flat": np.array(np.mean((gradient.reshape(len(both), -1) == 0).all(1))),
            "constant": np.array(float(same)),
        }

    def _reals(
        self, view: View, rng: torch.Generator, labelled: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Reals, and their classes where a network takes them."""
        if labelled:
            return view.dataset.draw_labelled(rng, self.count)
        return view.dataset.draw(rng, self.count), None

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        shares = [*arrays["discriminator"], *arrays["generator"]]
        flat = float(arrays["flat"])
        return {
            "dead_units": float(np.mean(shares)) if shares else 0.0,
            "flat": flat,
            "dead": float(flat > 0.5 or arrays["constant"] == 1),
        }


@dataclass(frozen=True)
class WeightHistogram(Probe):
    """Where D's weights lie (biases too, as clipping takes them).

    Arrays: counts [layers, bins] between edges [layers, bins + 1], layers (names), largest [layers]
    the largest absolute weight, extreme [layers] the share within 1 % of it.
    """

    bins: Few = 100

    knows_classes: ClassVar[bool] = True  # it asks the networks about nothing

    def measure(self, view: View) -> Arrays:
        weights = {k: to_numpy(p).ravel() for k, p in view.d.items()}
        counts, edges = zip(*(np.histogram(w, self.bins) for w in weights.values()), strict=True)
        largest = [float(np.abs(w).max()) for w in weights.values()]
        extreme = [
            float(np.mean(np.abs(w) >= 0.99 * most))
            for w, most in zip(weights.values(), largest, strict=True)
        ]
        return {
            "layers": np.array(list(weights)),
            "counts": np.array(counts),
            "edges": np.array(edges),
            "largest": np.array(largest),
            "extreme": np.array(extreme),
        }


def _of_classes(critic: Callable[..., Tensor], labels: Tensor, x: Tensor) -> Tensor:
    return critic(x, labels.to(x.device))


@contextmanager
def _firing(network: nn.Module, found: dict[str, Tensor]) -> Iterator[None]:
    """While inside, notes of each nonlinearity which of its units [units] have fired."""

    def keep(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            fired = (output.detach() != 0).transpose(0, 1).flatten(1).any(1)
            found[name] = found.get(name, torch.zeros_like(fired)) | fired

        return hook

    named = [(n, m) for n, m in network.named_modules() if n and _is_nonlinearity(m)]
    handles = [module.register_forward_hook(keep(name)) for name, module in named]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _dead(fired: dict[str, Tensor]) -> np.ndarray:
    return np.array([1 - float(units.double().mean()) for units in fired.values()])


def _has_weight(module: nn.Module) -> bool:
    return isinstance(getattr(module, "weight", None), Tensor)


def _is_nonlinearity(module: nn.Module) -> bool:
    """A leaf without parameters."""
    return not any(True for _ in module.children()) and not any(True for _ in module.parameters())


def _owner(parameter: str) -> str:
    return parameter.rpartition(".")[0]


def _norm(tensors: list[Tensor]) -> float:
    return float(sum(t.double().square().sum() for t in tensors)) ** 0.5
