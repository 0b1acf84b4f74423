"""Which machinery runs the pure step: eager or compiled, one run or a stack of them."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gp_lab.errors import BadInput
from gp_lab.machine import cores
from gp_lab.networks.batch_norm import SynchronisedBatchNorm, synchronised
from gp_lab.runs.settings import Settings
from gp_lab.training.compilers import obstacle
from gp_lab.training.optimizers import AsOneVector
from gp_lab.training.ranks import Ranks
from gp_lab.training.replaying import Replayed
from gp_lab.training.setup import products_in
from gp_lab.training.step import (
    AUTOGRAD,
    FUNC,
    Drawn,
    Game,
    Hyper,
    Labels,
    State,
    discriminator_step,
    generator_step,
)

Compiled = Literal["", "block", "graphs"]
"""How steps are compiled; by itself each update alone."""

UPDATES_THAT_PAY = 50_000
"""Compiling takes about half a minute; `auto` compiles runs of at least so many updates ..."""

STACKED_UPDATES_THAT_PAY = 4_000
"""... or stacks of so many: `vmap` costs eager steps several times what autograd alone does. On two
cores nine critics of 12 x 64 units take 44 ms an update eagerly, 17 compiled, and 65 s to compile:
2400 updates would do. Shallow ones save less, and take less to compile."""

ENGINES_KEPT = 4
"""Compiled steps that a process keeps for the next run or stack of the same structure."""

SMALL_PARAMETERS = 100_000
"""Beyond so many parameters of D the arithmetic of one run fills the cores of a CPU."""


@dataclass(frozen=True)
class Engine:
    """The two updates, ready to call, and why they are run the way they are.

    `discriminator_step(state, hyper, lr, real, latent, u)` and
    `generator_step(state, hyper, lr, latent)`, and what `step.py` lets follow; with `stack` > 1
    every tensor has the replica as its first dimension. Of several ranks each hands over its part
    of the batch, and in D's step what it adds to a sum (`asked`). With `whole` D's step makes all
    updates of an iteration: its data and noise have one more dimension, the first. Why it has its
    threads and its stack is said where that was measured.
    """

    name: str
    reason: str
    stack: int
    discriminator_step: Callable[..., tuple[State, Tensor]]
    generator_step: Callable[..., tuple[State, Tensor]]
    threads_reason: str = ""
    stack_reason: str = ""
    whole: bool = False


def make_engine(
    game: Game, name: str, reason: str = "", stack: int = 1, how: Compiled = ""
) -> Engine:
    """An engine called `eager` or `compiled`. Alone and eager is plain autograd, the quickest.

    How it is compiled: `block` takes all of D's updates of an iteration as one function; the
    updates of `graphs` are replayed as CUDA graphs: of a state that one has returned nothing may be
    kept once the next is called.
    """
    differentiate = AUTOGRAD if name == "eager" and stack == 1 else FUNC
    if differentiate is AUTOGRAD and _on_gpu(game):
        game = replace(game, optimizer=AsOneVector(game.optimizer))
    steps: list[Callable[..., Any]] = []
    for step in (discriminator_step, generator_step):
        function: Callable[..., Any] = partial(step, game, differentiate)
        if stack > 1:
            function = torch.vmap(function)
        if how == "block" and step is discriminator_step:
            function = all_updates(function)
        if name == "compiled":
            function = torch.compile(
                _with_own_code(function),
                fullgraph=True,
                dynamic=False,
                options={"guard_filter_fn": _guards_of_data},
            )
        steps.append(torch.no_grad()(function))
    of_d, of_g = Replayed(steps).updates if how == "graphs" else steps
    return Engine(name, reason, stack, of_d, of_g, whole=how == "block")


def all_updates(update: Callable[..., Any]) -> Callable[..., Any]:
    """The updates of D on the batches of an iteration, one after another: the metrics are the
    last's."""

    def block(
        state: State,
        hyper: Hyper,
        lr: Tensor,
        real: Tensor,
        latent: Tensor,
        u: Tensor,
        labels: Labels,
        drawn: Drawn,
    ) -> tuple[State, Tensor]:
        for j in range(len(real)):
            of_update = tuple(y[j] for y in labels), {name: x[j] for name, x in drawn.items()}
            state, metrics = update(state, hyper, lr, real[j], latent[j], u[j], *of_update)
        return state, metrics

    return block


def _on_gpu(game: Game) -> bool:
    return any(p.is_cuda for p in game.discriminator.parameters())


def sharded(game: Game, ranks: Ranks, settings: Settings) -> Game:
    """The game of one of several ranks; alone it is the game as it is. Raises `BadInput`.

    Probes and checkpoints keep to the game as it is: rank 0 may look at it without the others.
    """
    shard = ranks.shard(settings.batch_size)
    if shard is None:
        return game
    normed = game.normed
    if settings.batch_norm == "synchronised":
        whole: dict[str, Any] = {k: synchronised(game.networks[k], shard) for k in normed}
        return replace(game, shard=shard, **whole)
    if normed and settings.batch_size < 2 * ranks.world:
        raise BadInput(
            f"batch_size={settings.batch_size}: leaves one of the {ranks.world} ranks a single"
            " sample, which has no statistics for batch norm; use batch_norm=synchronised"
        )
    return replace(game, shard=shard)


_kept: OrderedDict[tuple[str, str, int, Compiled], Engine] = OrderedDict()


def kept_engine(
    key: str, game: Game, name: str, reason: str, stack: int, how: Compiled = ""
) -> Engine:
    """`make_engine`, or what it made before for games that share `key`, so that runs and stacks of
    one structure are compiled once a process. The last few are kept."""
    if name != "compiled":
        return make_engine(game, name, reason, stack)
    whole = (key, name, stack, how)
    engine = _kept.pop(whole, None) or make_engine(game, name, reason, stack, how)
    _kept[whole] = engine
    while len(_kept) > ENGINES_KEPT:
        _kept.popitem(last=False)
    return replace(engine, reason=reason)


def _with_own_code(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, in a code object of its own.

    PyTorch counts compilations by code object and refuses the ninth. Partial functions share one:
    the fifth compiled run of a process would end up eager.
    """

    def step(*arguments: Any) -> Any:
        return function(*arguments)

    step.__code__ = step.__code__.replace()
    return step


def _guards_of_data(guards: Sequence[Any]) -> list[bool]:
    """Which guards PyTorch checks at each call: those of its own settings and of the arguments.

    The others look through the networks, for as long as a stack of eight takes for a fifth of its
    arithmetic; an engine is one game's, and those that may share it are alike. The state's are
    needed: an average begins as the parameters themselves, and what a convolution's weights become
    may lie in memory in another order.
    """
    return [not guard.name or guard.name.startswith("arguments") for guard in guards]


def choose(
    setting: str, game: Game, updates: int, device: torch.device, stack: int = 1
) -> tuple[str, str]:
    """(`eager` or `compiled`, the reason) for a run, or a stack of runs, of so many updates each.

    `setting` is the config's `compile`: auto, always, block, graphs or never.
    """
    if setting == "never":
        return "eager", "compile=never"
    if game.shard is not None and not _sums_in_one_order(game):
        return "eager", "compiled, the ranks might take their sums in different orders"
    pays = updates >= (UPDATES_THAT_PAY if stack == 1 else STACKED_UPDATES_THAT_PAY)
    if setting == "auto" and not pays:
        return "eager", f"{updates} updates do not pay for the compilation"
    if setting == "auto" and device.type == "cpu" and convolves(game) and not fits_a_core(game):
        return "eager", "convolutions of this size are no quicker compiled on a CPU"
    if why := obstacle(device.type):
        return "eager", why
    if why := not_so(setting, game, device):
        return "compiled", f"compile={setting}, but {why}"
    if setting != "auto":
        return "compiled", f"compile={setting}"
    return "compiled", f"{updates} updates pay for the compilation"


def not_so(setting: str, game: Game, device: torch.device) -> str | None:
    """Why a step is compiled, but not the way that the setting asks for; None where it is."""
    if setting == "graphs" and device.type != "cuda":
        return f"a {device.type.upper()} has no CUDA graphs"
    if setting in ("block", "graphs") and game.shard is not None:
        return "several ranks sum after each update"
    return None


def convolves(game: Game) -> bool:
    """Whether D is a net of convolutions, whose work does not go with the numbers it learns."""
    return any(isinstance(m, nn.Conv2d) for m in game.discriminator.modules())


def _sums_in_one_order(game: Game) -> bool:
    """Whether each sum over the ranks needs the one before it, so that a compiler, which sees parts
    of another size on each rank, cannot exchange two of them.

    An encoder's step has sums beside D's; so have reals and fakes in a D that normalises batches,
    and a correction of the negatives may have its own.
    """
    layers = game.discriminator.modules()
    alone = game.encoder is None and not game.correction.changes
    return alone and not any(isinstance(m, SynchronisedBatchNorm) for m in layers)


@contextmanager
def threads_and_precision(game: Game, settings: Settings) -> Iterator[None]:
    """While inside, PyTorch has the CPU's threads and the precision of products that a run asks
    for, or that suit its networks."""
    before = torch.get_num_threads()
    alone = 1 if fits_a_core(game) else min(before, cores())
    torch.set_num_threads(settings.threads or alone)
    products_in(settings.precision)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fits_a_core(game: Game) -> bool:
    """Whether the networks are so small that more than one core has nothing to do."""
    return parameters_of_d(game) <= SMALL_PARAMETERS


def parameters_of_d(game: Game) -> int:
    """How many numbers the discriminator learns."""
    return sum(p.numel() for p in game.discriminator.parameters())
