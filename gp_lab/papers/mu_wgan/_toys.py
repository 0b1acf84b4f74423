"""The small GANs whose update the theorems of mu_wgan are about, under a penalty measure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from gp_lab.objectives.toys import Toy


def toy(
    name: str, measure: str, weight: float, anchor: Sequence[float], loss: str = "wasserstein"
) -> "Toy":
    """One of `gp_lab.objectives.toys` with weight/2 E_mu |grad D|^2, the text's penalty.

    Of the anchor on the plane only the first coordinate is on the line.
    """
    from gp_lab.objectives import losses, toys
    from gp_lab.objectives.penalties import NoPenalty, Penalty

    of_name = {"wasserstein": losses.Wasserstein(), "vanilla": losses.Vanilla()}
    at = tuple(float(a) for a in (anchor if name in ("quadratic", "network") else anchor[:1]))
    penalty = NoPenalty()
    if measure != "none":
        penalty = Penalty(measure=measure, weight=weight, half=True, anchor=at)  # type: ignore[arg-type]
    found: Toy = getattr(toys, name)(of_name[loss], penalty)
    return found


def dirac_curves(shape: str, weights: Sequence[float], lr: float, steps: int) -> np.ndarray:
    """(psi, theta) `[weights, steps + 1, 2]` of the Dirac-GAN from (0, 1), simultaneous updates.

    `squared` is the text's penalty, `two_sided` WGAN-GP's weight E (|grad D| - 1)^2, both between.
    """
    import torch

    from gp_lab.objectives.losses import Wasserstein
    from gp_lab.objectives.penalties import Penalty
    from gp_lab.objectives.toys import dirac
    from gp_lab.objectives.updates import simultaneous_step

    penalty = Penalty(measure="between", half=True)
    if shape == "two_sided":
        penalty = Penalty(measure="between", shape="two_sided", center=1.0)

    def step(state: "Tensor", weight: "Tensor") -> "Tensor":
        weighted = replace(penalty, weight=weight)  # type: ignore[arg-type]
        of = dirac(Wasserstein(), weighted)
        return simultaneous_step(of.gan, state, of.p, lr)

    rho = torch.tensor(weights, dtype=torch.float64)
    found = [torch.tensor([[0.0, 1.0]] * len(weights), dtype=torch.float64)]
    for _ in range(steps):
        found.append(torch.func.vmap(step)(found[-1], rho))
    return np.asarray(torch.stack(found, dim=1).numpy())
