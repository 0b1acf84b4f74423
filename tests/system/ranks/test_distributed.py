"""Several ranks are one: the same parameters as one rank's, one folder, one end for all."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from games import GAMES
from helpers import SUPPORT, built, normal, parameters, same, small_mlp, uniform
from lab import (
    PATIENCE,
    SMALL,
    SignalAt,
    assert_same_run,
    config_of,
    environment,
    final,
    free_port,
    lab_command,
    once,
    start,
    trained,
    wait_for,
)
from labelled import Conditional
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from gp_lab.errors import BadInput
from gp_lab.networks.batch_norm import SynchronisedBatchNorm
from gp_lab.objectives.classification import AuxiliaryClassifier
from gp_lab.objectives.constraints import NoConstraint, SpectralNorm
from gp_lab.objectives.losses import Hinge, NonSaturating
from gp_lab.objectives.penalties import CrossPairs, Penalty
from gp_lab.objectives.shard import Shard, part
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.identity import folder_of, run_hash
from gp_lab.runs.settings import Settings
from gp_lab.training.distributed import Group
from gp_lab.training.engine import choose, make_engine, sharded
from gp_lab.training.optimizers import Adam
from gp_lab.training.process_group import ProcessGroup, process_group
from gp_lab.training.ranks import ALONE, Ranks
from gp_lab.training.step import Game, start_state
from gp_lab.training.trainer import train

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
    "max_of_compiled": replace(GAMES["non_saturating"], penalty=MAXIMUM),
    "batch_norm": NORMED,
    "batch_norm_in_g": replace(NORMED, discriminator=small_mlp(seed=1), penalty=MAXIMUM),
}
ON_FOUR = (
    "wgan_gp", "wgan", "max_gp", "max_carried_over_ranks", "cross_pairs_max", "latent_path",
    "ac_gan", "batch_norm",
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
    state = start_state(game, d, g, BATCH, (2,), e)
    lr = torch.ones((), dtype=torch.float64)
    for i in range(STEPS):
        real = (normal(BATCH, 2, seed=4 * i, scale=0.3) + torch.tensor([1.5, 0.2]).double())[rows]
        latent, latent_g = (normal(BATCH, 2, seed=4 * i + j)[rows] for j in (1, 2))
        y = (torch.arange(BATCH)[rows] + i) % CLASSES
        labels = (y,) if game.classes else ()
        u = uniform(BATCH, seed=4 * i + 3)[rows]
        state, of_d = do.discriminator_step(state, {}, lr, real, latent, u, labels, *asked)
        state, of_g = do.generator_step(state, {}, lr, latent_g, labels)
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
    for name, engine in (("latent_path", "eager"), ("batch_norm", "eager"), ("max_gp", "compiled")):
        game = sharded(CASES[name], Two(), settings)
        assert choose("always", game, 1, torch.device("cuda"))[0] == engine
        assert choose("never", game, 1, cpu)[0] == "eager"
    with pytest.raises(BadInput, match="a single sample"):
        sharded(NORMED, Two(), Settings(batch_size=3, batch_norm="local"))


# The command, started as torchrun does it and as Slurm does it

RUN = (*SMALL, "precision=fp64", "batch_size=15", "log_every=5", "checkpoint_every=50")


def torchrun(
    out: Path, *overrides: str, signal_at: SignalAt | None = None
) -> subprocess.Popen[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    command = lab_command("train", *RUN, *overrides, f"out={out}", signal_at=signal_at)[1:]
    return subprocess.Popen(
        [*launcher, f"--master-port={free_port()}", *command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env=environment(out, OMP_NUM_THREADS="1"),
    )  # fmt: skip


def tasks(
    out: Path, *overrides: str, signals: Mapping[int, SignalAt] | None = None
) -> list[subprocess.Popen[str]]:
    """Two ranks that nobody watches over, as under srun; `signals`: rank -> what it gets."""
    port = str(free_port())
    return [
        start(
            *("train", *RUN, *overrides, f"out={out}"),
            env=environment(
                out,
                PYTHONPATH=os.pathsep.join([str(SUPPORT), *sys.path]),
                OMP_NUM_THREADS="1",
                RANK=str(rank),
                WORLD_SIZE="2",
                MASTER_ADDR="127.0.0.1",
                MASTER_PORT=port,
            ),
            signal_at=(signals or {}).get(rank),
        )
        for rank in range(2)
    ]


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """(exit status, output) of each."""
    outputs = [process.communicate(timeout=PATIENCE)[0] for process in processes]
    return [(p.returncode, output) for p, output in zip(processes, outputs, strict=True)]


def folder_in(out: Path, *overrides: str) -> RunFolder:
    return RunFolder(folder_of(config_of(*overrides, f"out={out}", base=RUN)))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of 400 steps on two ranks."""

    def make(out: Path) -> None:
        ((status, output),) = ended([torchrun(out, "steps=400")])
        assert status == 0, output
        assert output.count("finished at step 400") == 1

    return folder_in(once(tmp_path_factory, "two_ranks", make), "steps=400")


def test_torchruns_ranks_leave_one_folder(undisturbed: RunFolder) -> None:
    steps = [line["step"] for line in undisturbed.metrics() if "loss_d" in line]
    assert steps == list(range(5, 401, 5))
    assert undisturbed.status["ranks"] == 2
    assert undisturbed.array_steps("samples") == [400]
    assert [p.name for p in undisturbed.path.parent.iterdir()] == [undisturbed.path.name]


def test_a_run_on_two_ranks_is_that_on_one_and_can_go_on_there(
    undisturbed: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = trained("steps=400", f"out={tmp_path}", base=RUN)
    same(final(undisturbed)[1], final(alone)[1], 1e-9)
    moved = RunFolder(shutil.copytree(undisturbed.path, tmp_path / "moved"))
    for folder in (moved, alone):
        train([config_of("steps=420", base=RUN)], [folder])
    assert "on 2 ranks so far, now on 1: the same numbers up to rounding" in capsys.readouterr().err
    assert moved.status["ranks"] == 1
    same(final(moved)[1], final(alone)[1], 1e-9)


def test_a_preempted_torchrun_stops_at_one_step_and_goes_on_bit_for_bit(
    undisturbed: RunFolder, tmp_path: Path
) -> None:
    folder = folder_in(tmp_path, "steps=400")
    ended([torchrun(tmp_path, "steps=400", signal_at=SignalAt(40, signal.SIGTERM, "parent"))])
    assert folder.state == State.PREEMPTED
    assert folder.status["why"] == "stopped by SIGTERM"
    assert folder.status["step"] < 400
    ((status, output),) = ended([torchrun(tmp_path, "steps=400")])
    assert status == 0, output
    assert_same_run(folder, undisturbed)


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_rank_ends_the_other_and_the_run_can_go_on(
    undisturbed: RunFolder, tmp_path: Path, killed: int
) -> None:
    folder, signals = folder_in(tmp_path, "steps=400"), {killed: SignalAt(60, signal.SIGKILL)}
    status, output = ended(tasks(tmp_path, "steps=400", signals=signals))[1 - killed]
    assert status == 1, output
    assert folder.state == State.FAILED
    assert f"rank {killed}" in folder.status["why"]
    assert "Traceback" not in output
    assert output.count("gp-lab: rank 1 stopped without a word") == killed  # rank 1 says nothing
    ((status, output), (other, nothing)) = ended(tasks(tmp_path, "steps=400"))
    assert (status, other) == (0, 0), output
    assert nothing == ""
    assert_same_run(folder, undisturbed)


@pytest.mark.parametrize("override", ["penalty=nope", "batch_size=1"])
def test_what_is_wrong_is_said_under_torchrun_though_the_other_rank_may_end_first(
    override: str, tmp_path: Path
) -> None:
    ((status, output),) = ended([torchrun(tmp_path, override)])
    assert status != 0
    assert output.count(f"gp-lab: {override}") == 1


def test_an_error_on_one_rank_ends_all_with_its_message(tmp_path: Path) -> None:
    overrides = ("steps=400", "trust=[faulty]", "loss._target_=faulty.FaultyLoss",
                 "+loss.fault=error")  # fmt: skip
    (zero, output), (one, trace) = ended(tasks(tmp_path, *overrides))
    (status,) = (RunFolder(path.parent).status for path in tmp_path.glob("runs/*/status.json"))
    assert (zero, one) == (1, 1)
    assert status["why"] == "rank 1: ValueError: no such thing on this rank"
    assert status["state"] == State.FAILED
    assert "gp-lab: rank 1: ValueError: no such thing on this rank" in output
    assert "in phi" in trace  # where it happened is told by the rank itself


def test_a_sweep_goes_on_after_a_run_that_failed_on_all_ranks(tmp_path: Path) -> None:
    overrides = ("steps=40", "trust=[faulty]", "loss._target_=faulty.FaultyLoss",
                 "+loss.fault=errors,none")  # fmt: skip
    (zero, output), (one, _) = ended(tasks(tmp_path, "-m", *overrides))
    found = [RunFolder(path.parent).status for path in tmp_path.glob("runs/*/status.json")]
    assert {(s["state"], s["why"]) for s in found} == {
        (State.FAILED, "rank 0: ValueError: no such thing on this rank"),
        (State.FINISHED, ""),
    }, output
    assert (zero, one) == (1, 1)


def test_nan_on_one_rank_is_divergence_on_all(tmp_path: Path) -> None:
    overrides = ("steps=400", "trust=[faulty]", "loss._target_=faulty.FaultyLoss",
                 "+loss.after=21")  # fmt: skip
    (zero, output), (one, nothing) = ended(tasks(tmp_path, *overrides))
    (status,) = (RunFolder(path.parent).status for path in tmp_path.glob("runs/*/status.json"))
    assert (zero, one) == (3, 3), output
    assert (status["state"], status["step"]) == (State.DIVERGED, 22)
    assert nothing == ""


def test_a_rank_that_waits_for_the_others_can_be_stopped(tmp_path: Path) -> None:
    port = free_port()
    alone = start(
        *("train", "-m", *RUN, "seed=0,1", f"out={tmp_path}"),
        env=environment(
            tmp_path, RANK="0", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
        ),
    )

    def listens() -> bool:
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    wait_for(lambda: listens() or alone.poll() is not None)
    alone.send_signal(signal.SIGTERM)
    ((status, output),) = ended([alone])
    assert status == 4, output
    assert "gp-lab: stopped by SIGTERM while it waited for the other ranks" in output


def test_a_run_with_local_batch_norm_stays_so_and_says_what_other_ranks_make_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = (*RUN, "architecture.norm=batch", "penalty=none", f"out={tmp_path}")
    folder = trained("steps=20", "batch_norm=local", base=run)
    folder.set_status(State.FINISHED, ranks=2)
    train([config_of("steps=30", base=run)], [folder])
    assert folder.status["batch_norm"] == "local"
    assert "each rank normalises its part of a batch" in capsys.readouterr().err


def test_what_several_ranks_cannot_do_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (zero, output), (one, nothing) = ended(tasks(tmp_path, "batch_size=1"))
    assert (zero, one) == (2, 2)
    assert output.splitlines() == [
        "gp-lab: batch_size=1: fewer samples than the 2 ranks; use at least 2, or fewer ranks"
    ]
    assert nothing == ""
