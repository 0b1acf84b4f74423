"""Update rules as pure functions on tensors: Adam, RMSProp, SGD, equal to torch.optim in float64.

torch.optim takes one learning rate for a whole tensor; replicas stacked along a first dimension
need one each. A rule maps (parameters, gradients, its state, learning rate) to new parameters and
state, elementwise, so it can be stacked with `vmap` and compiled with the step it belongs to.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import torch
from torch import Tensor

from gp_lab.fields import BelowOne, NonNegative, Positive, Stackable
from gp_lab.instantiate import Checked

Tensors = dict[str, Tensor]
State = dict[str, Tensors]


class Optimizer(Protocol):
    """`lr` is the base rate; `update` takes the rate of this step, in the same units."""

    @property
    def lr(self) -> float: ...

    def start(self, params: Tensors) -> State:
        """The state before the first update: accumulators, and the number of updates made."""
        ...

    def update(
        self, params: Tensors, grads: Tensors, state: State, lr: Tensor | float
    ) -> tuple[Tensors, State]:
        """New parameters and state; the arguments are left as they are."""
        ...


def _zeros(params: Tensors) -> Tensors:
    return {k: torch.zeros_like(p) for k, p in params.items()}


def _count(params: Tensors) -> Tensors:
    some = next(iter(params.values()))
    return {"t": torch.zeros((), dtype=torch.float64, device=some.device)}


def _decayed(params: Tensors, grads: Tensors, weight_decay: float) -> Tensors:
    """L2 decay as a term of the gradient, as torch.optim's (not decoupled)."""
    if isinstance(weight_decay, float) and weight_decay == 0:
        return grads
    return {k: grads[k] + _as(weight_decay, p) * p for k, p in params.items()}


@dataclass(frozen=True)
class Adam(Checked):
    """Adam (Kingma & Ba, 2014), with bias correction; `amsgrad` is not offered.

    lr in units of the parameters per step; betas in [0, 1).
    """

    lr: Annotated[Positive, Stackable] = 1e-3
    betas: Annotated[tuple[BelowOne, BelowOne], Stackable] = (0.9, 0.999)
    eps: Annotated[Positive, Stackable] = 1e-8
    weight_decay: Annotated[NonNegative, Stackable] = 0.0

    def start(self, params: Tensors) -> State:
        return {"m": _zeros(params), "v": _zeros(params), "count": _count(params)}

    def update(
        self, params: Tensors, grads: Tensors, state: State, lr: Tensor | float
    ) -> tuple[Tensors, State]:
        t = state["count"]["t"] + 1
        # Bias corrections in float64: 1 - beta^t loses its digits in float32 for small t.
        corrections = (lr / (1 - self.betas[0] ** t), torch.sqrt(1 - self.betas[1] ** t))
        grads = _decayed(params, grads, self.weight_decay)
        some = next(iter(params.values()))
        numbers = tuple(_as(x, some) for x in (*self.betas, self.eps, *corrections))
        if _plain(some):
            m, v, new = _adam_at_once(params, grads, state["m"], state["v"], numbers)
        else:
            beta1, beta2, eps, rate, root = numbers
            m, v, new = {}, {}, {}
            for k, p in params.items():
                m[k] = torch.lerp(grads[k], state["m"][k], beta1)
                v[k] = torch.lerp(grads[k] * grads[k], state["v"][k], beta2)
                new[k] = p - rate * (m[k] / (v[k].sqrt() / root + eps))
        return new, {"m": m, "v": v, "count": {"t": t}}


def _adam_at_once(
    params: Tensors, grads: Tensors, m: Tensors, v: Tensors, numbers: tuple[Any, ...]
) -> tuple[Tensors, Tensors, Tensors]:
    """m, v and parameters after Adam's update, all tensors in each call: the same numbers."""
    beta1, beta2, eps, rate, root = numbers
    p, g, m_, v_ = ([x[k] for k in params] for x in (params, grads, m, v))
    ms, vs = torch._foreach_lerp(g, m_, beta1), torch._foreach_mul(g, g)
    torch._foreach_lerp_(vs, v_, beta2)
    scales = torch._foreach_sqrt(vs)
    torch._foreach_div_(scales, root)
    torch._foreach_add_(scales, eps)
    new_p = torch._foreach_div(ms, scales)
    torch._foreach_mul_(new_p, -rate)
    torch._foreach_add_(new_p, p)
    after = (ms, vs, new_p)
    m, v, new = (dict(zip(params, x, strict=True)) for x in after)
    return m, v, new


@dataclass(frozen=True)
class RMSProp(Checked):
    """RMSProp as torch.optim has it: eps outside the root, no centring, optional momentum.

    accumulator: what the mean of squared gradients starts from, in the gradients' units squared. 0
    is torch.optim's; TensorFlow's 1 makes the first steps, of about lr / sqrt(1 - alpha) with 0,
    as small as the gradients.
    """

    lr: Annotated[Positive, Stackable] = 1e-2
    alpha: Annotated[BelowOne, Stackable] = 0.99
    eps: Annotated[Positive, Stackable] = 1e-8
    momentum: Annotated[BelowOne, Stackable] = 0.0
    weight_decay: Annotated[NonNegative, Stackable] = 0.0
    accumulator: Annotated[NonNegative, Stackable] = 0.0

    def start(self, params: Tensors) -> State:
        v = {k: torch.full_like(p, self.accumulator) for k, p in params.items()}
        return {"v": v} | _buffer(params, self.momentum)

    def update(
        self, params: Tensors, grads: Tensors, state: State, lr: Tensor | float
    ) -> tuple[Tensors, State]:
        grads = _decayed(params, grads, self.weight_decay)
        v, steps = {}, {}
        for k, p in params.items():
            v[k] = torch.lerp(grads[k] * grads[k], state["v"][k], _as(self.alpha, p))
            steps[k] = grads[k] / (v[k].sqrt() + _as(self.eps, p))
        steps, buffer = _accumulated(steps, state, self.momentum)
        return {k: p - _as(lr, p) * steps[k] for k, p in params.items()}, {"v": v} | buffer


@dataclass(frozen=True)
class SGD(Checked):
    """Gradient descent with optional momentum, as torch.optim has it (dampening 0)."""

    lr: Annotated[Positive, Stackable] = 1e-2
    momentum: Annotated[BelowOne, Stackable] = 0.0
    weight_decay: Annotated[NonNegative, Stackable] = 0.0

    def start(self, params: Tensors) -> State:
        return _buffer(params, self.momentum)

    def update(
        self, params: Tensors, grads: Tensors, state: State, lr: Tensor | float
    ) -> tuple[Tensors, State]:
        grads = _decayed(params, grads, self.weight_decay)
        steps, buffer = _accumulated(grads, state, self.momentum)
        return {k: p - _as(lr, p) * steps[k] for k, p in params.items()}, buffer


@dataclass(frozen=True)
class AsOneVector:
    """A rule that sees all parameters as one vector: an operation is one launch on a GPU, not one
    for each parameter. The numbers are the rule's own; parameters of several types stay apart."""

    rule: Optimizer

    @property
    def lr(self) -> float:
        return self.rule.lr

    def start(self, params: Tensors) -> State:
        return self.rule.start(params)

    def update(
        self, params: Tensors, grads: Tensors, state: State, lr: Tensor | float
    ) -> tuple[Tensors, State]:
        if len({p.dtype for p in params.values()}) != 1:
            return self.rule.update(params, grads, state, lr)
        of_params = {k for k, part in state.items() if part.keys() == params.keys()}
        flat = {k: _joined(part, params) if k in of_params else part for k, part in state.items()}
        new, after = self.rule.update(_joined(params, params), _joined(grads, params), flat, lr)
        return _parted(new, params), {
            k: _parted(part, params) if k in of_params else part for k, part in after.items()
        }


def _joined(tensors: Tensors, order: Tensors) -> Tensors:
    return {"all": torch.cat([tensors[k].flatten() for k in order])}


def _parted(joined: Tensors, like: Tensors) -> Tensors:
    pieces = joined["all"].split([p.numel() for p in like.values()])
    return {k: x.view(p.shape) for (k, p), x in zip(like.items(), pieces, strict=True)}


def _buffer(params: Tensors, momentum: float) -> State:
    """Without momentum no buffer is kept, so no memory is spent on it."""
    return {"momentum": _zeros(params)} if momentum > 0 else {}


def _accumulated(steps: Tensors, state: State, momentum: float) -> tuple[Tensors, State]:
    if "momentum" not in state:
        return steps, {}
    buffer = {k: _as(momentum, step) * state["momentum"][k] + step for k, step in steps.items()}
    return buffer, {"momentum": buffer}


def _plain(tensor: Tensor) -> bool:
    """Whether an update is of one run on a CPU, step by step: no stack, and no compiler."""
    if torch.compiler.is_compiling() or tensor.device.type != "cpu":
        return False
    return not torch._C._functorch.is_batchedtensor(tensor)


def _as(weight: float | Tensor, like: Tensor) -> float | Tensor:
    """lerp wants its weight in the tensors' own type, and a rate in float64 must not change it."""
    return weight.to(like.dtype) if isinstance(weight, Tensor) else weight
