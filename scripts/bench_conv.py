"""Conv nets on a CPU: milliseconds of an update, the lab's against a textbook's, and what helps.

    python scripts/bench.py conv                     about six minutes on two idle cores
    python scripts/bench.py conv --cpu-time          on a machine that others use too: one thread
    python scripts/bench.py conv --only textbook stack --pairs 9

An iteration is 5 updates of D and 1 of G, WGAN-GP with Adam, on images that are in memory. The
textbook writes stock modules and `torch.optim.Adam`, `autocast` around the networks for bf16. The
lab's side is the step that `train` runs, on its own networks. Sides alternate; a row has the median
of `ms` an iteration and the ratio to the side that `over` names, as median, low and high of pairs.

textbook    the lab's eager step over the textbook's, by precision
bf16        precision=bf16 over fp32; it needs AVX512-bf16 or AMX (`lscpu`)
layout      channels-last over contiguous, both in the lab's step
compiled    the compiled step over the eager one (after compiling, a minute or two)
threads     two threads over one
processes   two processes of a thread each over one of two threads, updates of both counted
stack       a stack of 5 over one after another

What helped, in the rooms it went to: padding inside the convolutions and no second derivative of
piecewise-linear activations (networks; the same bits), the bias of transposed convolutions after
them (bf16). What did not:

- channels-last: .92 to 1.01 with this processor's oneDNN, which blocks the weights its own way
  whatever it is given; for that no run's rounding should change.
- a bias after transposed convolutions in fp32: 1.1 to 1.4 forwards, hardly anything of a step, and
  the sum of the bias's gradient is taken in another order: other bits.
- a 6 x 6 kernel with a row and a column of zeros, so that odd paddings are symmetric: 36 products
  for 25, to save a copy of one row and one column.
- casting weights to bf16 once a step, not once a call of a network: a million of them are cast in
  about a millisecond (reckoned), of the hundreds of an update.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import bench_tools as tools
import torch
from torch import Tensor, nn
from torch.nn import functional

from gp_lab.launching.compose import compose, hydra_session
from gp_lab.training.engine import make_engine
from gp_lab.training.setup import setup
from gp_lab.training.stacking import stacked
from gp_lab.training.step import start_state

D_STEPS = 5
STACK = 5

Row = dict[str, Any]
Iteration = Callable[[], None]
"""5 updates of D and 1 of G."""


@dataclass(frozen=True)
class Network:
    """A pair of networks and its batch, as overrides; `filters` and `size` of the textbook's."""

    name: str
    overrides: tuple[str, ...]
    batch: int
    filters: int = 0
    size: int = 0


def _small(filters: int, batch: int) -> Network:
    words = (
        *("architecture=dcgan_mnist", "architecture.size=16", "dataset=mnist_5k_16"),
        *("dataset.pixels=zero_one", f"architecture.filters={filters}"),
    )
    return Network(f"DCGAN 16x16, {filters} filters", words, batch, filters, 16)


NETWORKS = [
    Network(
        "DCGAN 28x28, 64 filters",
        ("architecture=dcgan_mnist", "dataset=mnist_5k", "dataset.pixels=zero_one"),
        *(64, 64, 28),
    ),
    _small(16, 32),
    _small(8, 64),
    Network(
        "ResNet 16x16, 32 filters",
        (
            *("architecture=resnet_cifar", "architecture.filters=32", "architecture.size=16"),
            *("architecture.channels=1", "dataset=mnist_5k_16"),
        ),
        8,
    ),
]


# The textbook


def _sizes(size: int) -> list[int]:
    sizes = [size]
    while sizes[-1] > 4:
        sizes.append(-(-sizes[-1] // 2))
    return sizes


def _textbook_d(filters: int, size: int) -> nn.Module:
    widths = [1, *(filters * 2**i for i in range(len(_sizes(size)) - 1))]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 5, 2, 2), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * widths[-1], 1))


class _TextbookG(nn.Module):
    def __init__(self, filters: int, size: int) -> None:
        super().__init__()
        self.sizes = _sizes(size)[-2::-1]
        widths = [*(filters * 2**i for i in reversed(range(len(self.sizes)))), 1]
        self.input = nn.Linear(128, 16 * widths[0])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 5, 2, 2, 1) for before, after in pairwise(widths)
        )

    def forward(self, z: Tensor) -> Tensor:
        x = self.input(z).unflatten(1, (-1, 4, 4))
        for layer, size in zip(self.up, self.sizes, strict=True):
            x = layer(functional.relu(x))[..., :size, :size]
        return torch.sigmoid(x)


def textbook(network: Network, precision: str) -> Iteration:
    """WGAN-GP as in any tutorial."""
    batch = network.batch
    D, G = _textbook_d(network.filters, network.size), _TextbookG(network.filters, network.size)
    of_d = torch.optim.Adam(D.parameters(), lr=1e-4, betas=(0.0, 0.9))
    of_g = torch.optim.Adam(G.parameters(), lr=1e-4, betas=(0.0, 0.9))
    real = torch.rand(batch, 1, network.size, network.size)

    def cast() -> Any:
        return torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext()

    def iterate() -> None:
        for _ in range(D_STEPS):
            with cast():
                fake = G(torch.randn(batch, 128)).detach().float()
                u = torch.rand(batch, 1, 1, 1)
                x = (u * real + (1 - u) * fake).requires_grad_()
                f, f_real, f_fake = D(x).float(), D(real).float(), D(fake).float()
            (gradient,) = torch.autograd.grad(f.sum(), x, create_graph=True)
            penalty = 10 * ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()
            of_d.zero_grad()
            (f_fake.mean() - f_real.mean() + penalty).backward()
            of_d.step()
        of_g.zero_grad()
        with cast():
            f_fake = D(G(torch.randn(batch, 128)))
        (-f_fake.float().mean()).backward()
        of_g.step()

    return iterate


# The lab's step


def lab(
    network: Network,
    precision: str = "fp32",
    engine: str = "eager",
    stack: int = 1,
    layout: torch.memory_format = torch.contiguous_format,
) -> Iteration:
    """The step of a run, or of a stack of runs that start alike."""
    with hydra_session() as hydra:
        words = (f"precision={precision}", f"batch_size={network.batch}", "device=cpu")
        own = ("probe=[]", "tracking=none", "optimizer.lr=1e-4", "optimizer.betas=[0,0.9]")
        run = setup(compose(hydra, [*network.overrides, *words, *own]))

    def laid(x: Tensor) -> Tensor:
        return x.contiguous(memory_format=layout) if x.dim() == 4 else x

    initial = [{k: laid(p) for k, p in net.items()} for net in run.initial]
    shape, batch, latent = run.dataset.shape, network.batch, run.latent.shape
    state = stacked([start_state(run.game, *initial, batch, shape)] * stack)
    made, of_stack = make_engine(run.game, engine, "", stack), (stack,) if stack > 1 else ()
    rate = torch.ones(stack) if stack > 1 else 1.0
    real = laid(torch.rand(*of_stack, batch, *shape))

    def drawn() -> Tensor:
        return torch.randn(*of_stack, batch, *latent)

    def iterate() -> None:
        nonlocal state
        for _ in range(D_STEPS):
            u = torch.rand(*of_stack, batch)
            state, _ = made.discriminator_step(state, {}, rate, real, drawn(), u, (), {})
        state, _ = made.generator_step(state, {}, rate, drawn())

    return iterate


# The comparison


class Bench:
    """Times sides in turn, on one clock."""

    def __init__(self, pairs: int, clock: Callable[[], float], seconds: float) -> None:
        self.pairs, self.clock, self.seconds = pairs, clock, seconds

    def row(
        self, what: str, network: Network, over: str, sides: Sequence[tuple[Iteration, int]]
    ) -> Row:
        """The second side over the first, each (an iteration, of how many runs it is one)."""
        count = [self._warm(side) for side, _ in sides]
        found: list[list[float]] = [[], []]
        for pair in range(self.pairs):
            for i in (0, 1) if pair % 2 == 0 else (1, 0):
                side, runs = sides[i]
                began = self.clock()
                for _ in range(count[i]):
                    side()
                found[i].append(1000 * (self.clock() - began) / count[i] / runs)
        ratios = [a / b for a, b in zip(*found, strict=True)]
        ms = statistics.median(found[1])
        return _row(what, network, over, ms, ratios)

    def _warm(self, side: Iteration) -> int:
        """How many iterations fill the seconds of a timing, once all is compiled and cached."""
        side()
        began = self.clock()
        side()
        return max(1, round(self.seconds / max(1e-4, self.clock() - began)))


def _row(what: str, network: Network, over: str, ms: float, ratios: Sequence[float]) -> Row:
    return {
        "what": what,
        "network": network.name,
        "batch": network.batch,
        "over": over,
        "ms": ms,
        "ratio": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
    }


def _textbooks(bench: Bench, network: Network) -> list[Row]:
    """Only of networks that the textbook has."""

    def row(over: str, precision: str) -> Row:
        sides = [(textbook(network, over), 1), (lab(network, precision), 1)]
        return bench.row(f"lab {precision}", network, f"textbook {over}", sides)

    pairs = [("fp32", "fp32"), ("bf16", "bf16"), ("fp32", "bf16")]
    return [row(*pair) for pair in pairs if network.filters]


def _bf16(bench: Bench, network: Network) -> list[Row]:
    kinds: dict[str, Callable[[Network, str], Iteration]] = {"lab": lab}
    kinds |= {"textbook": textbook} if network.filters else {}
    return [
        bench.row(
            *(f"{name} bf16", network, f"{name} fp32"),
            [(made(network, "fp32"), 1), (made(network, "bf16"), 1)],
        )
        for name, made in kinds.items()
    ]


def _with(name: str, over: str, **more: Any) -> Callable[[Bench, Network], list[Row]]:
    """The lab's step with something more, in both precisions."""

    def rows(bench: Bench, network: Network) -> list[Row]:
        return [
            bench.row(
                *(f"{name} {precision}", network, f"{over} {precision}"),
                [(lab(network, precision), 1), (lab(network, precision, **more), 1)],
            )
            for precision in ("fp32", "bf16")
        ]

    return rows


def _threads(bench: Bench, network: Network) -> list[Row]:
    side, before = lab(network), torch.get_num_threads()

    def on(threads: int) -> Iteration:
        def iterate() -> None:
            torch.set_num_threads(threads)
            side()

        return iterate

    try:
        return [bench.row("2 threads", network, "1 thread", [(on(1), 1), (on(2), 1)])]
    finally:
        torch.set_num_threads(before)


def _stacks(bench: Bench, network: Network) -> list[Row]:
    sides = [(lab(network), 1), (lab(network, stack=STACK), STACK)]
    return [bench.row(f"stack of {STACK}", network, "one after another", sides)]


def _processes(bench: Bench, network: Network) -> list[Row]:
    """One process of two threads, two of one, each in turn for as long."""
    index = NETWORKS.index(network)
    wide, *narrow = (_Process(index, threads, bench.seconds) for threads in (2, 1, 1))
    try:
        found: list[list[float]] = [[], []]
        for pair in range(bench.pairs):
            for i in (0, 1) if pair % 2 == 0 else (1, 0):
                found[i].append(sum(_together([[wide], narrow][i])))
        ratios = [b / a for a, b in zip(*found, strict=True)]
        ms = 1000 / statistics.median(found[1])
        over = "1 process x 2 threads"
        return [_row("2 processes x 1 thread", network, over, ms, ratios)]
    finally:
        for process in (wide, *narrow):
            process.end()


class _Process:
    """A process that trains for some seconds whenever it is told to."""

    def __init__(self, network: int, threads: int, seconds: float) -> None:
        command = [sys.executable, __file__, "--worker", str(network), str(threads), str(seconds)]
        self.pipe = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.read()  # it is ready

    def tell(self) -> None:
        assert self.pipe.stdin
        self.pipe.stdin.write("go\n")

    def read(self) -> float:
        assert self.pipe.stdout
        return float(self.pipe.stdout.readline())

    def end(self) -> None:
        assert self.pipe.stdin
        self.pipe.stdin.close()
        self.pipe.wait()


def _together(processes: Sequence[_Process]) -> list[float]:
    """Iterations a second of each, all at the same time."""
    for process in processes:
        process.tell()
    return [process.read() for process in processes]


def _work(network: int, threads: int, seconds: float) -> None:
    torch.set_num_threads(threads)
    side = lab(NETWORKS[network])
    side()
    print(0.0, flush=True)
    for _ in sys.stdin:
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            side()
            count += 1
        print(count / (time.perf_counter() - began), flush=True)


PARTS: dict[str, Callable[[Bench, Network], list[Row]]] = {
    "textbook": _textbooks,
    "bf16": _bf16,
    "layout": _with("channels-last", "contiguous", layout=torch.channels_last),
    "compiled": _with("compiled", "eager", engine="compiled"),
    "threads": _threads,
    "processes": _processes,
    "stack": _stacks,
}


def measure(
    only: Sequence[str] = tuple(PARTS),
    networks: Sequence[int] = tuple(range(len(NETWORKS))),
    pairs: int = 5,
    cpu_time: bool = False,
    seconds: float = 1.0,
    told: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Rows of what, network, batch, over, ms (an iteration), ratio, low and high, as measured.

    cpu_time: processor time of one thread; without `threads` and `processes` then. `networks` are
    indices into `NETWORKS`, `seconds` about what one timing takes; `told` hears each row at once.
    """
    clock = time.process_time if cpu_time else time.perf_counter
    bench, before = Bench(pairs, clock, seconds), torch.get_num_threads()
    torch.set_num_threads(1)
    rows = []
    try:
        for name in only:
            if cpu_time and name in ("threads", "processes"):
                continue
            for network in (NETWORKS[i] for i in networks):
                for row in PARTS[name](bench, network):
                    told(row)
                    rows.append(row)
    finally:
        torch.set_num_threads(before)
    return rows


def _show(row: Row) -> None:
    print(
        f"{row['what']:24} {row['over']:22} {row['network']:26} {row['batch']:5}"
        f" {row['ms']:9.1f} {row['ratio']:6.2f} ({row['low']:.2f} .. {row['high']:.2f})",
        flush=True,
    )


def main(words: Sequence[str] | None = None) -> None:
    parser = tools.parser_of(__doc__, "conv", device=False)
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--networks", type=int, nargs="+", default=list(range(len(NETWORKS))))
    parser.add_argument("--seconds", type=float, default=1.0, help="of one timing, about")
    tools.add_cpu_time(parser)
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    a = parser.parse_args(words)
    if a.worker:
        network, threads, seconds = a.worker
        _work(int(network), int(threads), float(seconds))
        return
    print(tools.said(tools.machine()))
    print(f"{'what':24} {'over':22} {'network':26} {'batch':>5} {'ms':>9}  ratio (low .. high)")
    tools.keep(a.json, measure(a.only, a.networks, a.pairs, a.cpu_time, a.seconds, _show))


if __name__ == "__main__":
    main()
