"""The probe of convex combinations of training data, with a certified Lipschitz constant
(anomalous, Theorem 3)."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from gp_lab.errors import BadInput
from gp_lab.fields import Count
from gp_lab.instantiate import Run
from gp_lab.networks.layers import LeakyReLU, ReLU, SoftplusELU
from gp_lab.networks.mlp import MLP
from gp_lab.probes.base import Arrays, Probe, View, to_numpy, values_and_gradients
from gp_lab.theory.anomalous import certified_lipschitz

SLOPES: dict[type[nn.Module], float] = {
    ReLU: 1.0,
    LeakyReLU: 1.0,
    nn.Tanh: 1.0,
    nn.ELU: 1.0,
    SoftplusELU: 1.0,
    nn.Identity: 1.0,
    # Its slope at 0 from below, scale * alpha.
    nn.SELU: 1.0507009873554805 * 1.6732632423543772,
}
"""The largest slope of each activation."""


@dataclass(frozen=True)
class Mixtures(Probe):
    """D at share x_1 + (1 - share) x_2 for pairs of training data, beside what bounds it.

    Pairs of a finite set are of two different points of it. D has to be an MLP without norms or
    concatenation, whose Lipschitz constant the product of spectral norms and slopes certifies.
    Arrays: x1, x2 [pairs, ...]; share, f1, f2, f_mixed [pairs]; slope [pairs] the norm of grad f at
    the combinations; lipschitz, the certified constant.
    """

    pairs: Count = 2000

    def check(self, key: str, run: Run) -> None:
        super().check(key, run)
        net = run.game.discriminator
        lipschitz_of(net, dict(net.named_parameters()))

    def measure(self, view: View) -> Arrays:
        rng = view.rng("mixtures")
        points = view.dataset.points
        if points is None:
            x1, x2 = view.dataset.draw(rng, 2 * self.pairs).chunk(2)
        else:
            i = torch.randint(len(points), (self.pairs,), generator=rng)
            other = torch.randint(1, max(2, len(points)), (self.pairs,), generator=rng)
            x1, x2 = points[i], points[(i + other) % len(points)]
        x1, x2 = view.place(x1), view.place(x2)
        share = view.place(torch.rand(self.pairs, generator=rng))
        weight = share.view(-1, *[1] * (x1.dim() - 1))
        f, slope = values_and_gradients(view.critic, weight * x1 + (1 - weight) * x2)
        with torch.no_grad():
            f1, f2 = view.critic(x1), view.critic(x2)
        return {
            "x1": to_numpy(x1),
            "x2": to_numpy(x2),
            "share": to_numpy(share),
            "f1": to_numpy(f1),
            "f2": to_numpy(f2),
            "f_mixed": f,
            "slope": np.linalg.norm(slope.reshape(len(f), -1), axis=1),
            "lipschitz": np.array(lipschitz_of(view.discriminator, view.d)),
        }

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        return {
            "real": float(np.mean(arrays["f_mixed"] > 0)),
            "lipschitz": float(arrays["lipschitz"]),
        }


def lipschitz_of(net: nn.Module, params: dict[str, torch.Tensor]) -> float:
    """A Lipschitz constant that an MLP with these parameters cannot exceed.

    Raises BadInput for a network of other layers than linear ones and known activations.
    """
    slopes, weights = [], []
    plain = isinstance(net, MLP) and not net.concatenate
    for name, module in net.named_modules():
        if isinstance(module, nn.Linear):
            weights.append(to_numpy(params[f"{name}.weight"]))
        elif type(module) in SLOPES:
            slopes.append(SLOPES[type(module)])
        elif not isinstance(module, MLP | nn.ModuleList | nn.Sequential):
            plain = False
    if not plain:
        raise BadInput(
            "probe.mixtures: certifies the Lipschitz constant of an MLP of linear layers and"
            " activations alone; use norm=none, connection=plain and an init that is not equalised"
        )
    return certified_lipschitz(weights) * math.prod(slopes)
