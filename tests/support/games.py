"""A small game of each kind: losses, penalties, constraints and optimizers."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from helpers import (
    built,
    small_mlp,
)

from gp_lab.objectives.constraints import NoConstraint, SpectralNorm, WeightClipping
from gp_lab.objectives.corrections import (
    NoCorrection,
    PixelCombination,
    SampleCorrectionAndCombination,
)
from gp_lab.objectives.losses import (
    Combined,
    Hinge,
    LeastSquares,
    NonSaturating,
    SquareRoot,
    Vanilla,
    Wasserstein,
)
from gp_lab.objectives.penalties import NoPenalty, Penalty
from gp_lab.objectives.reality import Dif
from gp_lab.training.optimizers import SGD, Adam, RMSProp
from gp_lab.training.step import (
    Game,
)

NONE = NoPenalty()


def game(
    loss: Any,
    penalty: Penalty,
    optimizer: Any,
    constraint: NoConstraint | None = None,
    average: float = 0.0,
    encoder: bool = False,
    correction: NoCorrection | None = None,
    **settings: Any,
) -> Game:
    return Game(
        discriminator=small_mlp(seed=1, **settings),
        generator=small_mlp(outputs=2, seed=2),
        loss=loss,
        penalty=penalty,
        constraint=constraint or NoConstraint(),
        optimizer=optimizer,
        average=average,
        encoder=small_mlp(outputs=2, seed=3) if encoder else None,
        correction=correction or NoCorrection(),
    )


def on_device(game: Game, device: torch.device) -> Game:
    """The same game with copies of its networks there."""
    nets: dict[str, Any] = {k: deepcopy(net).to(device) for k, net in game.networks.items()}
    return replace(game, **nets)


GAMES: dict[str, Game] = {
    "wgan_gp": game(Wasserstein(), built("penalty", "one_gp"), Adam(0.005, (0.0, 0.9))),
    "wgan": game(Wasserstein(), NONE, RMSProp(0.002, 0.9, 1e-6), WeightClipping(0.1)),
    "zero_gp": game(Vanilla(), built("penalty", "zero_gp"), SGD(0.1, momentum=0.5)),
    "non_saturating": game(NonSaturating(), NONE, Adam(0.005, (0.5, 0.9)), average=0.9),
    "max_gp": game(
        SquareRoot(), Penalty("both", reduction="max", weight=0.5, carry=0.25), Adam(0.005)
    ),
    "hinge": game(Hinge(), Penalty("fake", "one_sided", 0.3), RMSProp(0.002), SpectralNorm()),
    "combined": game(
        Combined(0.1, 2.0),
        Penalty("anchor", "two_sided", 0.5, output="probability", anchor=(2.0, -1.0), half=True),
        SGD(0.02, weight_decay=0.01),
    ),
    "latent_path": game(
        NonSaturating(),
        Penalty("latent_path", reduction="max", output="probability", weight=2.0),
        Adam(0.005),
        encoder=True,
    ),
    "pcr": game(
        NonSaturating(),
        built("penalty", "one_gp"),
        Adam(0.005),
        correction=PixelCombination(weight=0.3),
    ),
    "sc_pcr": game(
        NonSaturating(),
        NONE,
        Adam(0.005),
        correction=SampleCorrectionAndCombination(
            measure=Dif(0.1), pairs="precomputed", operation="and_or"
        ),
    ),
    "sc_pcr_replace": game(
        LeastSquares(),
        Penalty("between", reduction="max", carry=0.25),
        Adam(0.005),
        correction=SampleCorrectionAndCombination(
            measure=Dif(0.1), mode="replace", operation="and_or", candidates=2
        ),
    ),
    "least_squares": game(LeastSquares(), Penalty("midpoint", weight=0.3), Adam(0.005)),
}
