"""Compiled or stacked, a step is the one that it is eagerly and alone."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from games import GAMES, NONE, game
from helpers import (
    replica,
    same,
    stacked,
)
from iterations import STEPS, data, iterate, started
from torch.utils._pytree import tree_map

from gp_lab.objectives.losses import (
    Hinge,
    LeastSquares,
    Wasserstein,
)
from gp_lab.training.engine import choose, make_engine
from gp_lab.training.optimizers import SGD


@pytest.mark.seconds
@pytest.mark.usefixtures("needs_compiler")
@pytest.mark.parametrize(
    "name",
    ["max_gp", "latent_path", "sc_pcr_replace"],  # they use every part of the state
)
def test_compiled_steps_are_the_eager_ones(name: str) -> None:
    g = replace(GAMES[name], average=0.9)
    assert choose("always", g, 1, torch.device("cpu"))[0] == "compiled"
    ends = []
    for kind in ("eager", "compiled"):
        engine, state = make_engine(g, kind), started(g)
        for step in range(STEPS):
            state, metrics = iterate(engine, state, {}, step, [0])
        ends.append((state, metrics))
    same(ends[1][0], ends[0][0])
    same(ends[1][1], ends[0][1])


@pytest.mark.seconds
@pytest.mark.usefixtures("needs_compiler")
def test_a_process_may_compile_more_runs_than_pytorch_would_compile_one_function() -> None:
    linear = game(Wasserstein(), NONE, SGD(0.1), depth=0)
    batch = data(0)
    arguments = (1.0, batch["real"], batch["latent"], batch["u"])
    with torch._dynamo.config.patch(recompile_limit=1):
        for loss in (Wasserstein(), LeastSquares(), Hinge()):
            g = replace(linear, loss=loss)
            state = started(g)
            ends = [
                make_engine(g, name).discriminator_step(state, {}, *arguments)
                for name in ("eager", "compiled")
            ]
            same(ends[1][0], ends[0][0])


@pytest.mark.seconds
@pytest.mark.usefixtures("needs_compiler")
def test_a_compiled_step_takes_a_state_that_lies_in_memory_in_another_order() -> None:
    # As the weights of a convolution do once they have been updated.
    g, batch = game(Wasserstein(), NONE, SGD(0.1), depth=1), data(0)
    arguments = (1.0, batch["real"], batch["latent"], batch["u"])
    eager, compiled = (make_engine(g, name).discriminator_step for name in ("eager", "compiled"))
    state, _ = compiled(started(g), {}, *arguments)
    turned = tree_map(lambda x: x.mT.contiguous().mT if x.ndim == 2 else x, state)
    same(compiled(turned, {}, *arguments)[0], eager(turned, {}, *arguments)[0])


@pytest.mark.seconds
@pytest.mark.parametrize("name", list(GAMES))
def test_four_stacked_replicas_are_each_what_they_are_alone(name: str) -> None:
    g, seeds = GAMES[name], [0, 1, 2, 3]
    engine = make_engine(g, "eager", stack=4)
    state = stacked([started(g, seed) for seed in seeds])
    log = []
    for step in range(STEPS):
        state, metrics = iterate(engine, state, {}, step, seeds)
        log.append(metrics)
    alone = make_engine(g, "eager")
    for r, seed in enumerate(seeds):
        own = started(g, seed)
        for step in range(STEPS):
            own, metrics = iterate(alone, own, {}, step, [seed])
            same(log[step][r], metrics)
        same(replica(state, r), own)


def test_in_fp32_a_stacked_step_is_the_one_alone_to_1e_5() -> None:
    g, seeds = GAMES["wgan_gp"], [0, 1, 2, 3]
    state = stacked([started(g, seed, torch.float32) for seed in seeds])
    batch = stacked([data(0, seed, torch.float32) for seed in seeds])
    arguments = (batch["real"], batch["latent"], batch["u"])
    lr = torch.ones(4, dtype=torch.float64)
    new, metrics = make_engine(g, "eager", stack=4).discriminator_step(state, {}, lr, *arguments)
    assert {p.dtype for p in new["d"].values()} == {torch.float32}
    alone = make_engine(g, "eager")
    for r in range(4):
        own, of_own = alone.discriminator_step(
            replica(state, r), {}, lr[r], *(a[r] for a in arguments)
        )
        same(replica(new, r)["d"], own["d"], tolerance=1e-5)
        same(metrics[r], of_own, tolerance=1e-5)


# part -> field -> the number of each of three replicas
OWN_NUMBERS: list[tuple[str, dict[str, dict[str, list[Any]]]]] = [
    (
        "wgan_gp",
        {
            "optimizer": {
                "lr": [0.001, 0.005, 0.01],
                "betas": [(0.0, 0.9), (0.5, 0.99), (0.9, 0.9)],
            },
            "penalty": {"weight": [10.0, 0.0, 1.0], "center": [1.0, 0.5, 0.0]},
        },
    ),
    ("wgan", {"constraint": {"value": [0.1, 0.3, 0.05]}, "optimizer": {"alpha": [0.9, 0.5, 0.99]}}),
    (
        "combined",
        {
            "loss": {"alpha": [0.1, 1.0, 3.0], "beta": [1.0, 2.0, 0.5]},
            "penalty": {"anchor": [(2.0, -1.0), (0.0, 0.0), (-3.0, 1.0)]},
        },
    ),
    ("sc_pcr", {"correction": {"weight": [0.5, 0.1, 1.0]}}),
]


@pytest.mark.seconds
@pytest.mark.parametrize(("name", "numbers"), OWN_NUMBERS, ids=[name for name, _ in OWN_NUMBERS])
def test_replicas_with_numbers_of_their_own_are_each_what_they_are_alone(
    name: str, numbers: dict[str, dict[str, list[Any]]]
) -> None:
    g, seeds = GAMES[name], [0, 1, 2]
    engine = make_engine(g, "eager", stack=3)
    hyper: dict[str, dict[str, Any]] = {
        part: {
            field: tuple(torch.tensor(v, dtype=torch.float64) for v in zip(*of, strict=True))
            if isinstance(of[0], tuple)
            else torch.tensor(of, dtype=torch.float64)
            for field, of in fields.items()
        }
        for part, fields in numbers.items()
    }
    state = stacked([started(g, seed) for seed in seeds])
    for step in range(STEPS):
        state, _ = iterate(engine, state, hyper, step, seeds)
    for r, seed in enumerate(seeds):
        own_game = g
        for part, fields in numbers.items():
            values = {field: of[r] for field, of in fields.items()}
            own_game = replace(own_game, **{part: replace(getattr(g, part), **values)})
        alone, own = make_engine(own_game, "eager"), started(own_game, seed)
        for step in range(STEPS):
            own, _ = iterate(alone, own, {}, step, [seed])
        same(replica(state, r), own)
