"""Constraints on the discriminator's weights: none, clipping (WGAN), norms, decay.

A constraint acts at four moments of a step, each a pure function: `prepare` before the loss
(power iteration), `apply` inside it (which weights the network sees), `pull` on its gradient (a
term of the weights alone), `project` after the update (clipping, decay).
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from gp_lab.fields import Few, Fraction, Positive, Stackable
from gp_lab.instantiate import Checked

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class NoConstraint(Checked):
    """The weights as they are; also the base of the others."""

    def start(self, params: Tensors) -> Tensors:
        """The constraint's own state, from the initial weights."""
        return {}

    def prepare(self, params: Tensors, state: Tensors) -> Tensors:
        """The state for this step; no gradient flows through it."""
        return state

    def apply(self, params: Tensors, state: Tensors) -> Tensors:
        """The weights that the network uses, differentiable in `params`."""
        return params

    def pull(self, params: Tensors, grads: Tensors) -> Tensors:
        """The gradient that the optimiser gets."""
        return grads

    def project(self, params: Tensors) -> Tensors:
        """The weights after the update."""
        return params


@dataclass(frozen=True)
class WeightClipping(NoConstraint):
    """Every weight and bias clipped to [-value, value] after each update (wgan_gp, sec. 2.2)."""

    value: Annotated[Positive, Stackable] = 0.01

    def project(self, params: Tensors) -> Tensors:
        return {k: torch.clamp(p, -self.value, self.value) for k, p in params.items()}


@dataclass(frozen=True)
class L2NormClipping(NoConstraint):
    """Each weight matrix and bias scaled back to an L2 norm of at most `value` after each update.

    One of the constraints that wgan_gp, sec. 3, tried beside clipping; that the norm
    is taken of each tensor by itself is an assumption.
    """

    value: Annotated[Positive, Stackable] = 1.0

    def project(self, params: Tensors) -> Tensors:
        return {
            k: p * torch.clamp(self.value / (torch.linalg.vector_norm(p) + 1e-12), max=1)
            for k, p in params.items()
        }


@dataclass(frozen=True)
class WeightNorm(NoConstraint):
    """The weights of each unit scaled to an L2 norm of `value` where the network sees them.

    Weight normalisation (wgan_gp, sec. 3) with its gain held fixed: a gain that is
    learned would bound nothing. Weights of more than two dimensions are matrices [out, rest];
    vectors (biases, norms' scales) are left alone.
    """

    value: Annotated[Positive, Stackable] = 1.0

    def apply(self, params: Tensors, state: Tensors) -> Tensors:
        scaled = dict(params)
        for name, weight in _matrices(params).items():
            rows = torch.linalg.vector_norm(weight, dim=1, keepdim=True) + 1e-12
            scaled[name] = (self.value * weight / rows).reshape(params[name].shape)
        return scaled


@dataclass(frozen=True)
class L1Decay(NoConstraint):
    """Every weight and bias moved towards 0 by `value` after each update, and not past it.

    L1 weight decay (wgan_gp, sec. 3) as its proximal step, beside the optimiser: its
    strength does not depend on the learning rate.
    """

    value: Annotated[Positive, Stackable] = 1e-5

    def project(self, params: Tensors) -> Tensors:
        return {k: p.sign() * torch.clamp(p.abs() - self.value, min=0) for k, p in params.items()}


@dataclass(frozen=True)
class L2Decay(NoConstraint):
    """Every weight and bias multiplied by 1 - `value` after each update.

    L2 weight decay (wgan_gp, sec. 3), beside the optimiser: its strength does not
    depend on the learning rate.
    """

    value: Annotated[Fraction, Stackable] = 1e-3

    def project(self, params: Tensors) -> Tensors:
        return {k: (1 - self.value) * p for k, p in params.items()}


@dataclass(frozen=True)
class DecayBesideNorm(NoConstraint):
    """`value` times each weight and bias added to its gradient, in a network that has a norm.

    The small weight decay of wgan_gp, App. B: L2, as a term of the loss, of discriminators with
    batch or layer norm; others are left alone. Only norms have weights of one dimension.
    """

    value: Annotated[Positive, Stackable] = 1e-3

    def pull(self, params: Tensors, grads: Tensors) -> Tensors:
        if not any(k.endswith("weight") and p.dim() == 1 for k, p in params.items()):
            return grads
        return {k: grads[k] + self.value * p for k, p in params.items()}


@dataclass(frozen=True)
class SpectralNorm(NoConstraint):
    """Each weight matrix divided by its largest singular value (Miyato et al., 2018).

    sigma = u^T W v with u, v from `iterations` power iterations a step, once per step and outside
    the loss; the gradient flows through W, not through u and v. Weights of more than two
    dimensions are matrices [out, rest]; vectors (biases, norms' scales) are left alone.
    """

    iterations: Few = 1

    def start(self, params: Tensors) -> Tensors:
        state = {}
        for name, weight in _matrices(params).items():
            # A fixed start, good enough for power iteration: the row of largest norm points
            # into the row space, so v is never orthogonal to it.
            row = weight[weight.square().sum(1).argmax()]
            state[f"{name}.v"] = _unit(row)
            state[f"{name}.u"] = _unit(weight @ state[f"{name}.v"])
        for _ in range(15):  # close to the singular vector before the first step
            state = self.prepare(params, state)
        return state

    def prepare(self, params: Tensors, state: Tensors) -> Tensors:
        new = {}
        for name, weight in _matrices(params).items():
            weight, v = weight.detach(), state[f"{name}.v"]
            for _ in range(self.iterations):
                u = _unit(weight @ v)
                v = _unit(weight.T @ u)
            new[f"{name}.v"], new[f"{name}.u"] = v, u
        return new

    def apply(self, params: Tensors, state: Tensors) -> Tensors:
        scaled = dict(params)
        for name, weight in _matrices(params).items():
            sigma = state[f"{name}.u"] @ weight @ state[f"{name}.v"]
            scaled[name] = params[name] / sigma
        return scaled


Constraint = NoConstraint


def _matrices(params: Tensors) -> Tensors:
    return {k: p.flatten(1) for k, p in params.items() if p.dim() > 1}


def _unit(vector: Tensor) -> Tensor:
    return vector / (torch.linalg.vector_norm(vector) + 1e-12)
