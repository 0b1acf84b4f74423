"""Several ranks are one: the same parameters as one rank's, one folder, one end for all."""

import os
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from games import GAMES
from helpers import built, normal, parameters, same, small_mlp, uniform
from iterations import training_set
from lab import (
    config_of,
    free_port,
    once,
)
from labelled import Conditional
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from gp_lab.errors import BadInput
from gp_lab.networks.batch_norm import SynchronisedBatchNorm
from gp_lab.objectives.classification import AuxiliaryClassifier
from gp_lab.objectives.constraints import NoConstraint, SpectralNorm
from gp_lab.objectives.losses import Hinge, NonSaturating, PairLoss, Relativistic
from gp_lab.objectives.penalties import CrossPairs, Penalty
from gp_lab.objectives.shard import Shard, part
from gp_lab.runs.identity import run_hash
from gp_lab.runs.settings import Settings
from gp_lab.training.distributed import Group
from gp_lab.training.engine import choose, make_engine, sharded
from gp_lab.training.optimizers import Adam
from gp_lab.training.process_group import ProcessGroup, process_group
from gp_lab.training.ranks import ALONE, Ranks
from gp_lab.training.step import Game, start_state

STEPS, BATCH, CLASSES = 50, 10, 3
"""Over four ranks: parts of 2, 3, 2 and 3."""

NORMED = replace(
    GAMES["non_saturating"],
    # A bias before a norm has a slope of 0: Adam would make steps of the rounding in it.
    discriminator=small_mlp(seed=1, norm="batch", bias=False),
    generator=small_mlp(outputs=2, seed=2, norm="batch", bias=False),
)
MAXIMUM = Penalty("between", "one_sided", 0.2, "max", carry=0.6)
"""Its hardest points are on three of four ranks."""


def conditional(head: bool) -> Game:
    return Game(
        discriminator=Conditional(None, 1, 0 if head else CLASSES, CLASSES if head else 0),
        generator=Conditional(2, 2),
        loss=Hinge() if head else NonSaturating(),
        penalty=built("penalty", "one_gp"),
        constraint=NoConstraint(),
        optimizer=Adam(0.005),
        classification=AuxiliaryClassifier(0.7, 0.3, fakes=True) if head else None,
    )


CASES: dict[str, Game] = GAMES | {
    "max_carried_over_ranks": replace(GAMES["wgan_gp"], penalty=MAXIMUM),
    "cross_pairs": replace(GAMES["wgan_gp"], penalty=CrossPairs(center=0.5)),
    "cross_pairs_max": replace(
        GAMES["max_gp"], penalty=CrossPairs(center=0.5, reduction="max", weight=0.3)
    ),
    "spectral_norm": replace(
        GAMES["max_gp"], penalty=Penalty("real", reduction="max"), constraint=SpectralNorm()
    ),
    "conditional": conditional(head=False),
    "ac_gan": conditional(head=True),
    "pairs": replace(GAMES["max_gp"], loss=Relativistic(), penalty=built("penalty", "r1_r2")),
    "max_of_compiled": replace(GAMES["non_saturating"], penalty=MAXIMUM),
    "batch_norm": NORMED,
    "batch_norm_in_g": replace(NORMED, discriminator=small_mlp(seed=1), penalty=MAXIMUM),
}
ON_FOUR = (
    "wgan_gp", "wgan", "max_gp", "max_carried_over_ranks", "cross_pairs_max", "latent_path",
    "ac_gan", "pairs", "sc_pcr", "batch_norm",
)  # fmt: skip
COMPILED = ("zero_gp", "max_of_compiled", "batch_norm_in_g")
"""On two ranks, by hand on four: a mean; a maximum, alone and beside sums inside a network.
Not Wasserstein's loss: the slope of D's last bias is 0 there, and Adam would make steps of what the
compiler rounds."""


# One group of processes trains all cases


def steps(case: str | Game, engine: str, ranks: Ranks, batch_norm: str = "synchronised") -> dict:
    """The state and the last metrics after `STEPS` steps of both players."""
    whole = CASES[case] if isinstance(case, str) else case
    settings = Settings(batch_size=BATCH, batch_norm=batch_norm)  # type: ignore[arg-type]
    game = sharded(whole, ranks, settings)
    do = make_engine(game, engine)
    rows = game.shard.rows if game.shard else slice(None)
    asked = (torch.tensor([float(ranks.rank == 1)], dtype=torch.float64),) if game.shard else ()
    nets = (whole.discriminator, whole.generator, whole.encoder)
    d, g, e = (None if net is None else parameters(net) for net in nets)
    assert d is not None
    assert g is not None
    training = {"training": training_set(0)}
    own = training if "realistic" in game.correction.metrics else None
    state = start_state(game, d, g, BATCH, (2,), e, own)
    lr = torch.ones((), dtype=torch.float64)
    for i in range(STEPS):
        real = (normal(BATCH, 2, seed=4 * i, scale=0.3) + torch.tensor([1.5, 0.2]).double())[rows]
        latent, latent_g = (normal(BATCH, 2, seed=4 * i + j)[rows] for j in (1, 2))
        y = (torch.arange(BATCH)[rows] + i) % CLASSES
        labels = (y,) if game.classes else ()
        u = uniform(BATCH, seed=4 * i + 3)[rows]
        drawn = {
            "combined": normal(BATCH, 2, seed=4 * i + 2000)[rows],
            "candidates": normal(BATCH, 2, 2, seed=4 * i + 3000)[rows],
        }
        state, of_d = do.discriminator_step(state, {}, lr, real, latent, u, labels, drawn, *asked)
        reals = (normal(BATCH, 2, seed=4 * i + 1000)[rows],)
        of_pairs = reals if isinstance(game.loss, PairLoss) else ()
        state, of_g = do.generator_step(state, {}, lr, latent_g, labels, *of_pairs)
    heard = of_d[-1:] if asked else of_d[:0]
    of_d = of_d[:-1] if asked else of_d
    return {"state": state, "metrics": torch.cat([of_d, of_g]), "heard": heard}


Job = tuple[str, str]
"""A case and the batch norm's setting."""


def jobs(engine: str, world: int) -> list[Job]:
    if engine == "compiled":
        return [(name, "synchronised") for name in COMPILED]
    if world == 4:
        return [(name, "synchronised") for name in ON_FOUR]
    return [*((name, "synchronised") for name in CASES), ("batch_norm_in_g", "local")]


def one_rank(rank: int, world: int, engine: str, port: int, folder: Path) -> None:
    """What each process of a group does."""
    torch.set_num_threads(1)
    group = Group(ProcessGroup(rank, world, rank, world, "127.0.0.1", port))
    with group.together([config_of("device=cpu")]):
        for name, norm in jobs(engine, world):
            torch.save(steps(name, engine, group, norm), folder / f"{name}-{norm}-{rank}.pt")


Results = Callable[..., list[dict]]


@pytest.fixture(scope="module")
def trained_on(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """(world, case, engine, batch_norm) to what each rank came to: a group trains all its cases."""

    @cache
    def folder(world: int, engine: str) -> Path:
        def make(out: Path) -> None:
            arguments = (world, engine, free_port(), out)
            torch.multiprocessing.spawn(one_rank, arguments, nprocs=world)

        return once(tmp_path_factory, f"ranks-{world}-{engine}", make)

    def of(world: int, case: str, engine: str = "eager", norm: str = "synchronised") -> list[dict]:
        paths = [folder(world, engine) / f"{case}-{norm}-{rank}.pt" for rank in range(world)]
        return [torch.load(path) for path in paths]

    return of


@pytest.mark.parametrize(
    ("world", "name"), [(2, name) for name in CASES] + [(4, name) for name in ON_FOUR]
)
def test_several_ranks_come_to_the_parameters_of_one(
    trained_on: Results, world: int, name: str
) -> None:
    expected = steps(name, "eager", ALONE)
    first, *others = trained_on(world, name)
    same(first["state"], expected["state"], 1e-9)
    same(first["metrics"], expected["metrics"], 1e-9)
    for other in others:
        same(other["state"], first["state"], 0)
    assert first["heard"] == 1  # rank 1 alone was asked to stop


@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", COMPILED)
def test_several_ranks_compiled_come_to_the_parameters_of_one(
    trained_on: Results, needs_compiler: None, name: str, world: int
) -> None:
    expected = steps(name, "eager", ALONE)
    for found in trained_on(world, name, "compiled"):
        same(found["state"], expected["state"], 1e-9)


class NormOfParts(nn.Module):
    """Batch norm whose statistics are of the parts that two ranks have."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        self.__dict__["norm"] = norm

    def forward(self, x: Tensor) -> Tensor:
        parts = [batch_norm(p, None, None, self.weight, self.bias, True) for p in x.chunk(2)]
        return torch.cat(parts)


def test_local_batch_norm_is_that_of_each_ranks_part(trained_on: Results) -> None:
    name = "batch_norm_in_g"
    generator = deepcopy(CASES[name].generator)
    for layer in generator.hidden:  # type: ignore[union-attr]
        layer.norm = NormOfParts(layer.norm)
    expected = steps(replace(CASES[name], generator=generator), "eager", ALONE)
    same(trained_on(2, name, norm="local")[0]["state"], expected["state"], 1e-9)


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 3), (6, 4, 5, 3)])
def test_synchronised_batch_norm_of_a_whole_batch_is_torchs(shape: tuple[int, ...]) -> None:
    kind = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}[len(shape)]
    local = kind(4, track_running_stats=False, dtype=torch.float64)
    nn.init.normal_(local.weight)
    nn.init.normal_(local.bias)
    x = normal(*shape).requires_grad_()
    ours = SynchronisedBatchNorm(local, Shard(0, 6, 6, lambda total: total))
    (expected,), (found,) = (
        torch.autograd.grad((layer(x) ** 3).sum(), [x]) for layer in (local, ours)
    )
    torch.testing.assert_close(ours(x), local(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("offset", [0, 50])
def test_synchronised_batch_norm_in_bf16_is_torchs(offset: float) -> None:
    local = nn.BatchNorm2d(4, track_running_stats=False)
    x = (normal(16, 4, 5, 3).float() + offset).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        expected, found = local(x), SynchronisedBatchNorm(local, Shard(0, 16, 16, lambda t: t))(x)
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected)


# Who is who


def test_torchrun_and_slurm_say_the_same() -> None:
    torchrun = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
                "MASTER_ADDR": "node1", "MASTER_PORT": "29500"}  # fmt: skip
    slurm = {"SLURM_JOB_ID": "77", "SLURM_STEP_ID": "2", "SLURM_NTASKS": "5", "SLURM_PROCID": "3",
             "SLURM_LOCALID": "1", "SLURM_NODEID": "1", "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
             "MASTER_ADDR": "node1"}  # fmt: skip
    assert process_group(torchrun) == ProcessGroup(3, 4, 1, 2, "node1", 29500)
    assert process_group(slurm) == ProcessGroup(3, 5, 1, 2, "node1", 15541)
    assert process_group(slurm | {"SLURM_STEP_NUM_TASKS": "1"}) is None  # one task in a larger job
    assert (
        process_group({k: v for k, v in slurm.items() if k != "SLURM_STEP_ID"}) is None
    )  # sbatch's own
    assert process_group(torchrun | {"WORLD_SIZE": "1"}) is None
    assert process_group({}) is None
    with pytest.raises(BadInput, match="environment cannot be read"):
        process_group(torchrun | {"MASTER_PORT": "x"})


def test_slurms_first_node_is_where_the_ranks_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scontrol = tmp_path / "scontrol"
    scontrol.write_text('#!/bin/sh\n[ "$3" = "gpu[07-08]" ] && printf "gpu07\\ngpu08\\n"\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    slurm = {"SLURM_JOB_ID": "77", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "2", "SLURM_PROCID": "1",
             "SLURM_LOCALID": "0", "SLURM_NODEID": "1", "SLURM_STEP_TASKS_PER_NODE": "1(x2)",
             "SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_NODELIST": "gpu[07-08]"}  # fmt: skip
    found = process_group(slurm)
    assert found is not None
    assert found.address == "gpu07"
    one_node = process_group(slurm | {"SLURM_STEP_NUM_NODES": "1"})
    assert one_node is not None
    assert one_node.address == "127.0.0.1"


def test_parts_of_a_batch_are_all_of_it_and_differ_by_one() -> None:
    for batch, world in ((10, 4), (4, 4), (64, 3), (7, 2)):
        parts = [part(batch, rank, world) for rank in range(world)]
        assert [i for begin, end in parts for i in range(begin, end)] == list(range(batch))
        sizes = {end - begin for begin, end in parts}
        assert max(sizes) - min(sizes) <= 1


def test_how_batch_norm_is_shared_out_is_not_what_a_run_is() -> None:
    assert run_hash(config_of("batch_norm=local")) == run_hash(config_of())


def test_what_a_compiler_could_exchange_between_ranks_stays_eager() -> None:
    class Two(Ranks):
        world = 2

        def shard(self, batch: int) -> Shard:
            return Shard(0, 5, batch, lambda x: x)

    settings = Settings(batch_size=BATCH)
    cpu = torch.device("cpu")
    for name, engine in (
        ("latent_path", "eager"),
        ("batch_norm", "eager"),
        ("sc_pcr", "eager"),
        ("max_gp", "compiled"),
    ):
        game = sharded(CASES[name], Two(), settings)
        assert choose("always", game, 1, torch.device("cuda"))[0] == engine
        assert choose("never", game, 1, cpu)[0] == "eager"
    with pytest.raises(BadInput, match="a single sample"):
        sharded(NORMED, Two(), Settings(batch_size=3, batch_norm="local"))
