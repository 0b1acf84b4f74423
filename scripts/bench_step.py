"""Iterations a second of the lab's training loop against a bare PyTorch loop, for the same run.

    python scripts/bench_step.py                     under five minutes on two cores
    python scripts/bench_step.py --pairs 9 --widths 512
    python scripts/bench_step.py --cpu-time          on a machine that others use too

The run is WGAN-GP on eight Gaussians, 5 updates of D and 1 of G an iteration. The lab's side is all
of `train`: composed config, run folder, a line of metrics every 100 iterations, a checkpoint at
the end; no probes, no tracking. The bare side is what a tutorial writes (modules, torch.optim.Adam,
double backward, no logging); it is eager in both tables, because torch.compile refuses a double
backward through torch.autograd.grad. Each side is timed at two lengths and the times are
subtracted, so that what happens once in a run drops out; compilation is done before the clock runs,
and the runs of one width share the compiled step. The sides alternate, pair by pair.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gp_lab.launching.compose import compose, hydra_session
from gp_lab.training import trainer

D_STEPS = 5
SHORT = 4
"""Iterations of the shorter run."""


@dataclass(frozen=True)
class Size:
    """How large the networks and the batch are, and how many iterations a timing takes."""

    width: int
    batch: int
    iterations: int


SIZES = {64: Size(64, 20, 250), 512: Size(512, 256, 14)}
TARGETS = {("eager", 512): ">= 0.95", ("compiled", 64): "> 1.00"}


# The bare loop


def mlp(outputs: int, width: int) -> nn.Sequential:
    hidden: list[nn.Module] = []
    seen = 2
    for _ in range(3):
        hidden += [nn.Linear(seen, width), nn.ReLU()]
        seen = width
    return nn.Sequential(*hidden, nn.Linear(seen, outputs))


def bare(size: Size, iterations: int) -> None:
    """WGAN-GP on eight Gaussians, as in any tutorial."""
    angle = torch.arange(8) * torch.pi / 4
    centers = 2 * torch.stack([angle.cos(), angle.sin()], dim=1)
    D, G = mlp(1, size.width), mlp(2, size.width)
    of_d = torch.optim.Adam(D.parameters(), lr=1e-4, betas=(0.0, 0.9))
    of_g = torch.optim.Adam(G.parameters(), lr=1e-4, betas=(0.0, 0.9))
    for _ in range(iterations):
        for _ in range(D_STEPS):
            real = centers[torch.randint(8, (size.batch,))] + 0.02 * torch.randn(size.batch, 2)
            fake = G(torch.randn(size.batch, 2)).detach()
            u = torch.rand(size.batch, 1)
            x = (u * real + (1 - u) * fake).requires_grad_()
            f = D(x)
            (gradient,) = torch.autograd.grad(f, x, torch.ones_like(f), create_graph=True)
            penalty = 10 * ((gradient.norm(dim=1) - 1) ** 2).mean()
            of_d.zero_grad()
            (D(fake).mean() - D(real).mean() + penalty).backward()
            of_d.step()
        of_g.zero_grad()
        (-D(G(torch.randn(size.batch, 2))).mean()).backward()
        of_g.step()


# The lab's loop


def lab(hydra: Any, size: Size, mode: str, iterations: int, out: Path) -> None:
    """The same run through `train`, from the config on."""
    config = compose(
        hydra,
        [
            *("dataset=eight_gaussians", "architecture=mlp", f"architecture.width={size.width}"),
            *("loss=wasserstein", "penalty=one_gp", "optimizer=adam", "probe=[]", "tracking=none"),
            *(f"batch_size={size.batch}", f"d_steps={D_STEPS}", f"steps={iterations}"),
            *("log_every=100", "checkpoint_every=1000000", "device=cpu", "force=true"),
            *(f"compile={'always' if mode == 'compiled' else 'never'}", f"out={out}"),
        ],
    )
    (outcome,) = trainer.train([config], progress=False)
    assert outcome.step == iterations, outcome.why
    assert outcome.folder.status["engine"] == mode, outcome.folder.status["engine_reason"]


# The comparison


Clock = Callable[[], float]


def seconds(function: Callable[[int], None], iterations: int, clock: Clock) -> float:
    """Of `iterations` more iterations: the longer run less the shorter one."""
    times = []
    for length in (SHORT, SHORT + iterations):
        began = clock()
        function(length)
        times.append(clock() - began)
    return times[1] - times[0]


def compare(
    hydra: Any, size: Size, mode: str, pairs: int, out: Path, clock: Clock
) -> list[tuple[float, float]]:
    """(lab, bare) in iterations a second, `pairs` times; who goes first alternates."""

    def of_lab(iterations: int) -> None:
        lab(hydra, size, mode, iterations, out)

    def of_bare(iterations: int) -> None:
        bare(size, iterations)

    of_lab(SHORT)  # compiles
    of_bare(SHORT)
    found = []
    for pair in range(pairs):
        sides = [of_lab, of_bare] if pair % 2 == 0 else [of_bare, of_lab]
        rate = {side: size.iterations / seconds(side, size.iterations, clock) for side in sides}
        found.append((rate[of_lab], rate[of_bare]))
    return found


def row(mode: str, size: Size, rates: list[tuple[float, float]]) -> str:
    ratios = [a / b for a, b in rates]
    lab_rate, bare_rate = (statistics.median(column) for column in zip(*rates, strict=True))
    spread = f"{min(ratios):.2f}..{max(ratios):.2f}"
    target = TARGETS.get((mode, size.width), "")
    return (
        f"{mode:9} {size.width:5} {size.batch:5} {lab_rate:9.2f} {bare_rate:9.2f}"
        f" {statistics.median(ratios):9.3f} {spread:>12}  {target}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5, help="timings of each side (median)")
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 512], choices=list(SIZES))
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="processor time of one thread, where other programs keep the machine busy",
    )
    arguments = parser.parse_args()
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    if arguments.cpu_time:
        torch.set_num_threads(1)
    os.environ["TQDM_DISABLE"] = "1"
    print(
        f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {arguments.pairs} pairs,"
        f" {'processor' if arguments.cpu_time else 'wall'} time;"
        f" load before: {os.getloadavg()[0]:.1f} (wall times want less than 0.5)"
    )
    print("step      width batch  lab it/s bare it/s  lab/bare     min..max  target")
    with tempfile.TemporaryDirectory() as out, hydra_session() as hydra:
        for mode in ("eager", "compiled"):
            for width in arguments.widths:
                size = SIZES[width]
                rates = compare(hydra, size, mode, arguments.pairs, Path(out), clock)
                print(row(mode, size, rates), flush=True)


if __name__ == "__main__":
    main()
