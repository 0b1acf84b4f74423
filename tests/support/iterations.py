"""Iterations of a small game: its first state, the data and rates of each step."""

from typing import Any

import torch
from helpers import (
    normal,
    parameters,
    small_mlp,
    stacked,
    uniform,
)
from torch import Tensor

from gp_lab.training.engine import Engine
from gp_lab.training.step import (
    Game,
    start_state,
)

BATCH, STEPS, D_STEPS = 12, 50, 2


def started(g: Game, seed: int | None = None, dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    """The state before the first step; with a seed, from networks of their own."""
    if seed is None:
        d, generator = g.discriminator, g.generator
    else:
        depth = len(g.discriminator.hidden)  # type: ignore[arg-type]
        d = small_mlp(seed=100 + seed, depth=depth)
        generator = small_mlp(outputs=2, seed=200 + seed)
    encoder = g.encoder
    if encoder is not None and seed is not None:
        encoder = small_mlp(outputs=2, seed=300 + seed)
    of_d, of_g, of_e = (
        None if net is None else {k: p.to(dtype) for k, p in parameters(net).items()}
        for net in (d, generator, encoder)
    )
    assert of_d is not None
    assert of_g is not None
    training = {"training": training_set(seed or 0).to(dtype)}
    own = training if "realistic" in g.correction.metrics else None
    return start_state(g, of_d, of_g, BATCH, (2,), of_e, own)


def training_set(seed: int) -> Tensor:
    """What a measure of reality compares with: on the way from the first fakes to the reals."""
    return normal(16, 2, seed=400 + seed, scale=0.6) + torch.tensor([0.7, 0.0]).double()


def data(step: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    """Two Gaussians to the right as reals, latents, u, what corrections draw; each step's own."""
    at = 1000 * seed + 10 * step
    real = normal(BATCH, 2, seed=at, scale=0.3) + torch.tensor([1.5, 0.0], dtype=torch.float64)
    real[::2, 1] += 1
    fields = {
        "real": real,
        "latent": normal(BATCH, 2, seed=at + 1),
        "u": uniform(BATCH, seed=at + 2),
        "latent_g": normal(BATCH, 2, seed=at + 3),
    }
    drawn = {
        "combined": normal(BATCH, 2, seed=at + 4),
        "candidates": normal(BATCH, 2, 2, seed=at + 5),
    }
    own: dict[str, Any] = {"drawn": {k: v.to(dtype) for k, v in drawn.items()}}
    return own | {k: v.to(dtype) for k, v in fields.items()}


def rates(step: int) -> tuple[float, float]:
    return 1.0 / (1 + step / 100), 0.5


def iterate(
    engine: Engine, state: dict[str, Any], hyper: dict[str, Any], step: int, seeds: list[int]
) -> tuple[dict[str, Any], Tensor]:
    """D_STEPS updates of D and one of G: the state, and the metrics of the last updates."""
    for j in range(D_STEPS + 1):
        each = [data(3 * step + j, seed) for seed in seeds]
        d = stacked(each) if len(seeds) > 1 else each[0]
        lr_d, lr_g = (torch.tensor(r, dtype=torch.float64) for r in rates(step))
        if len(seeds) > 1:
            lr_d, lr_g = lr_d.expand(len(seeds)), lr_g.expand(len(seeds))
        if j < D_STEPS:
            state, of_d = engine.discriminator_step(
                state, hyper, lr_d, d["real"], d["latent"], d["u"], (), d["drawn"]
            )
        else:
            state, of_g = engine.generator_step(state, hyper, lr_g, d["latent_g"])
    return state, torch.cat([of_d, of_g], dim=-1)
