"""What a GPU needs of a step, shown without one: nothing is read back in it, and it can be repeated
in place."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from games import GAMES, on_device
from helpers import copied, same
from image_networks import pair
from iterations import D_STEPS, data, iterate, started
from lab import BARE, trained
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from gp_lab.training.engine import UPDATES_THAT_PAY, Engine, choose, make_engine, not_so
from gp_lab.training.replaying import Replayed
from gp_lab.training.step import Game

CPU, META = torch.device("cpu"), torch.device("meta")
STEPS = 3


# Nothing is read back


class Exchanged(TorchDispatchMode):
    """Counts what goes from the host to the device, or back, by the operation's name.

    The device is PyTorch's `meta`, whose tensors hold no numbers: to read one is an error.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, Tensor)]
        wide = {x.device.type for x in tensors if x.dim() > 0}
        if wide == {"cpu", "meta"} or "local_scalar" in func.name():
            self.found.append(func.name())
        return out


def one_iteration(game: Game) -> list[str]:
    """What one iteration on a device exchanges with the host."""
    engine = make_engine(on_device(game, META), "eager")
    state = tree_map(lambda x: x.to(META), started(game))
    rate = torch.ones((), device=META, dtype=torch.float64)
    with Exchanged() as exchanged:
        for j in range(D_STEPS):
            d = tree_map(lambda x: x.to(META), data(j))
            exchanged.found.clear()  # the batch's own way to the device
            state, _ = engine.discriminator_step(
                state, {}, rate, d["real"], d["latent"], d["u"], (), d["drawn"]
            )
        engine.generator_step(state, {}, rate, d["latent_g"])
    return exchanged.found


@pytest.mark.parametrize("name", list(GAMES))
def test_a_step_neither_reads_nor_sends_anything(name: str) -> None:
    assert one_iteration(GAMES[name]) == []


def test_an_exchange_is_counted_and_a_number_cannot_be_read() -> None:
    with Exchanged() as exchanged:
        torch.ones(3).to(META)
    assert exchanged.found == ["aten::_to_copy"]
    with pytest.raises(RuntimeError), Exchanged():
        float(torch.ones((), device=META))


# Repeated in place


def repeated(compute: Any, whole: Any) -> tuple[Tensor, Any]:
    """As a CUDA graph: what is done in place is done anew at each call, into the same memory."""
    metrics = compute()[1].clone()
    return metrics, lambda: metrics.copy_(whole())


def replayed(game: Game, stack: int = 1) -> Engine:
    plain = make_engine(game, "eager", stack=stack)
    steps = (plain.discriminator_step, plain.generator_step)
    return Engine("", "", stack, *Replayed(steps, repeated).updates)


@pytest.mark.parametrize("name", ["wgan_gp", "max_gp", "hinge", "latent_path", "sc_pcr"])
def test_a_replayed_run_is_the_run_bit_for_bit(name: str) -> None:
    engines = make_engine(GAMES[name], "eager"), replayed(GAMES[name])
    found = []
    for engine in engines:
        state, metrics = started(GAMES[name]), []
        for step in range(STEPS):
            state, of_step = iterate(engine, state, {}, step, [0])
            metrics.append(of_step)
        found.append({"state": state, "metrics": torch.stack(metrics)})
    same(found[1], found[0], tolerance=0)


def test_a_replayed_step_leaves_a_state_from_elsewhere_as_it_is() -> None:
    game = GAMES["max_gp"]
    engine, state = replayed(game), started(game)
    kept = copied(state)
    (first, metrics), (_, again) = (iterate(engine, state, {}, 0, [0]) for _ in range(2))
    same(state, kept, tolerance=0)
    same(metrics, again, tolerance=0)
    assert all(x is not y for x, y in zip(tree_leaves(first), tree_leaves(state), strict=True))


def test_a_replayed_engine_goes_over_to_another_run_of_the_structure_and_back() -> None:
    game = GAMES["non_saturating"]
    plain, engine = make_engine(game, "eager"), replayed(game)
    for dtype in (torch.float64, torch.float32, torch.float64):
        results = []
        for one in (plain, engine):
            state = started(game, dtype=dtype)
            batch = data(0, dtype=dtype)
            rate = torch.ones((), dtype=torch.float64)
            state, _ = one.discriminator_step(
                state, {}, rate, batch["real"], batch["latent"], batch["u"]
            )
            results.append(copied(state["d"]))
        same(results[1], results[0], tolerance=0)


def test_a_replayed_stack_takes_the_numbers_of_each_call() -> None:
    game, hyper = GAMES["wgan_gp"], {"penalty": {"weight": torch.tensor([1.0, 20.0]).double()}}
    plain, engine = make_engine(game, "eager", stack=2), replayed(game, stack=2)
    runs = [started(game, seed) for seed in (0, 1)]
    state = tree_map(lambda *x: torch.stack(x), *runs)
    for weights in ([1.0, 20.0], [5.0, 0.0]):
        hyper = {"penalty": {"weight": torch.tensor(weights).double()}}
        expected, found = (iterate(one, state, hyper, 0, [0, 1]) for one in (plain, engine))
        same(found[1], expected[1], tolerance=0)
        same(found[0], expected[0], tolerance=0)


@pytest.mark.usefixtures("needs_compiler")
def test_graphs_are_a_gpus_and_of_one_rank_alone() -> None:
    game = GAMES["wgan_gp"]
    assert choose("graphs", game, 1, CPU) == (
        "compiled",
        "compile=graphs, but a CPU has no CUDA graphs",
    )
    cuda = torch.device("cuda", 0)
    assert not_so("graphs", game, cuda) is None
    assert choose("graphs", game, 1, cuda) == ("compiled", "compile=graphs")
    shard: Any = object()
    assert not_so("graphs", replace(game, shard=shard), cuda) is not None


@pytest.mark.usefixtures("needs_compiler")
@pytest.mark.parametrize(
    ("filters", "engine"), [(4, "compiled"), (64, "eager")], ids=["small", "large"]
)
def test_large_convolutions_are_not_compiled_on_a_cpu_unless_it_is_asked_for(
    filters: int, engine: str
) -> None:
    _, d = pair("dcgan_mnist", f"filters={filters}")
    game = replace(GAMES["wgan_gp"], discriminator=d)
    assert choose("auto", game, UPDATES_THAT_PAY, CPU)[0] == engine
    assert choose("auto", game, UPDATES_THAT_PAY - 1, CPU)[0] == "eager"
    assert choose("always", game, 1, CPU)[0] == "compiled"


# All of D's updates as one


@pytest.mark.parametrize(("name", "stack"), [("wgan_gp", 1), ("sc_pcr", 1), ("max_gp", 2)])
def test_a_block_of_updates_is_the_updates_one_after_another(name: str, stack: int) -> None:
    """The function that is compiled, as it is."""
    game = GAMES[name]
    one = make_engine(game, "eager", stack=stack)
    block = make_engine(game, "eager", stack=stack, how="block")
    assert (one.whole, block.whole) == (False, True)
    runs, batches = [started(game, seed) for seed in range(stack)], []
    for j in range(D_STEPS):
        each = [data(j, seed) for seed in range(stack)]
        batches.append(each[0] if stack == 1 else tree_map(lambda *x: torch.stack(x), *each))
    first = runs[0] if stack == 1 else tree_map(lambda *x: torch.stack(x), *runs)
    rate, state = torch.ones((stack,) if stack > 1 else (), dtype=torch.float64), first
    for d in batches:
        given = (d["real"], d["latent"], d["u"], (), d["drawn"])
        state, metrics = one.discriminator_step(state, {}, rate, *given)
    d = tree_map(lambda *x: torch.stack(x), *batches)
    given = (d["real"], d["latent"], d["u"], (), d["drawn"])
    whole, of_last = block.discriminator_step(first, {}, rate, *given)
    same(whole, state, tolerance=0)
    same(of_last, metrics, tolerance=0)


@pytest.mark.seconds
@pytest.mark.usefixtures("needs_compiler")
def test_a_run_compiled_as_a_block_is_the_run(tmp_path: Path) -> None:
    words = ("architecture.depth=1", "precision=fp64", "d_steps=2", "steps=6", "log_every=1")
    runs = {}
    for how in ("never", "block"):
        runs[how] = trained(*words, f"compile={how}", f"out={tmp_path / how}", base=BARE)
        assert runs[how].status["engine_reason"] == f"compile={how}"
    for one, other in zip(*(run.metrics() for run in runs.values()), strict=True):
        assert other == pytest.approx(one, rel=1e-9)
    parts = ("compile=block", f"out={tmp_path / 'parts'}")
    trained(*words, "steps=3", *parts, base=BARE)
    again = trained(*words, *parts, base=BARE)
    assert again.metrics() == runs["block"].metrics()  # stopped, and gone on with
