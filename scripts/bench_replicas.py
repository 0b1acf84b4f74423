"""Replica-iterations a second of a compiled stack against one run after another, eager or compiled.

    python scripts/bench_replicas.py                    about ten minutes on two cores
    python scripts/bench_replicas.py --sizes 64 --pairs 9
    python scripts/bench_replicas.py --device cuda      64 replicas of 3x512, batch 256, too

The run is WGAN-GP on eight Gaussians, 5 updates of D and 1 of G an iteration. `eager` is the bare
loop of `bench_step.py`; `compiled` and `stacked` are all of `train` (run folders, metrics, one
checkpoint at the end; no probes, no tracking), with as many threads as the lab chooses. One run
after another makes as many replica-iterations a second as one run makes iterations. Each side is
timed at two lengths and the times are subtracted, so that what happens once in a run drops out;
compilation is done before the clock runs. Networks that fill the CPU are not stacked: their runs
go one after another and share the compiled step. The sides alternate; medians of the pairs are
printed.
The ceiling is the rate of one large matrix product in the same precision, with all threads; a stack
here has those that a trial at its start has found quicker.

Tried without success, width 64, batch 64, two shared cores:
    Sizes of a stack: 4, 8, 16 and 32 replicas have 43, 45, 48 and 54 % of a thread's ceiling; at
    width 128 there is no difference between 1, 4 and 16 (52, 52, 49 %): none is searched for.
    Two threads in one process: 0.18 s an iteration of 32 replicas eagerly against 0.15 with one;
    two processes of one thread make 1.3 times as much. The launcher has one process for each core.
    Loading PyTorch's libraries in a thread while configs are composed: Python's lock is held by it.
    Known and not done: MKL multiplies [64, 64] by [64, 2] at 3 Gflop/s, its transpose at 17; that
    is 5 of 70 ms, and would change the last bits of all runs.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from bench_step import D_STEPS, bare
from bench_step import Size as BareSize

from gp_lab.launching.compose import compose, hydra_session
from gp_lab.training import trainer
from gp_lab.training.setup import setup
from gp_lab.training.stacking import bytes_per_replica

SHORT = 4
"""Iterations of the shorter run."""


@dataclass(frozen=True)
class Size:
    """Networks and batch, how many replicas, the iterations of a timing (alone, stacked), and the
    ratio of stacked to eager that is wanted."""

    width: int
    batch: int
    replicas: int
    alone: int
    stacked: int
    wanted: float


CPU = [
    Size(64, 20, 32, 200, 40, 8.0),
    Size(128, 64, 32, 100, 20, 2.5),
    Size(512, 256, 32, 24, 4, 0.95),
]
GPU = [Size(64, 20, 64, 400, 200, 8.0), Size(512, 256, 64, 200, 100, 30.0)]


def configs(hydra: Any, size: Size, iterations: int, compiled: str, out: Path, device: str) -> Any:
    config = compose(
        hydra,
        [
            *("dataset=eight_gaussians", "architecture=mlp", f"architecture.width={size.width}"),
            *("loss=wasserstein", "penalty=one_gp", "optimizer=adam", "probe=[]", "tracking=none"),
            *(f"batch_size={size.batch}", f"d_steps={D_STEPS}", f"steps={iterations}"),
            *("log_every=100", "checkpoint_every=1000000", f"device={device}", "force=true"),
            *(f"compile={compiled}", f"out={out}"),
        ],
    )
    return [config | {"seed": seed} for seed in range(size.replicas)]


def seconds(function: Callable[[int], None], iterations: int) -> float:
    """Of `iterations` more iterations: the longer run less the shorter one."""
    times = []
    for length in (SHORT, SHORT + iterations):
        began = time.perf_counter()
        function(length)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return times[1] - times[0]


def compare(
    hydra: Any, size: Size, pairs: int, out: Path, device: str
) -> tuple[dict[str, list[float]], str]:
    """Replica-iterations a second of eager, compiled and stacked, `pairs` of each; the engine."""
    made: dict[str, str] = {}

    def eager(iterations: int) -> None:
        with torch.device(device):
            bare(BareSize(size.width, size.batch, iterations), iterations)

    def compiled(iterations: int) -> None:
        (one, *_) = configs(hydra, size, iterations, "always", out, device)
        (outcome,) = trainer.train([one], progress=False)
        assert outcome.step == iterations, outcome.why

    def stacked(iterations: int) -> None:
        runs = configs(hydra, size, iterations, "always", out, device)
        outcomes = trainer.train(runs, progress=False)
        assert all(o.step == iterations for o in outcomes), outcomes[0].why
        status = outcomes[0].folder.status
        made["engine"] = f"{status['engine']}, stack of {status['stack']}"

    sides = {
        "eager": (eager, 1, size.alone),
        "compiled": (compiled, 1, size.alone),
        "stacked": (stacked, size.replicas, size.stacked),
    }
    for function, _, _ in sides.values():
        function(SHORT)  # compiles
    found: dict[str, list[float]] = {name: [] for name in sides}
    for pair in range(pairs):
        order = list(sides) if pair % 2 == 0 else list(reversed(sides))
        for name in order:
            function, replicas, iterations = sides[name]
            found[name].append(replicas * iterations / seconds(function, iterations))
    return found, made["engine"]


def flops(size: Size) -> int:
    """Of one iteration of one replica, about: matrix products only, 2 for each weight and sample.

    A pass back to inputs costs what the pass forward costs, one to weights as much again. Updates
    of D: reals and fakes (2 x 3 passes), and the penalised points forward, back to the inputs, and
    back through both of these (6). Updates of G: forward and back through G (3) and D (2).
    """
    of_net = 2 * (2 * size.width**2 + 4 * size.width)
    return size.batch * of_net * (D_STEPS * (1 + 6 + 6) + (3 + 2))


def ceiling(device: str) -> float:
    """Flops a second of a product of two 4096 x 4096 matrices (2048 on a CPU), the best of 10."""
    n = 4096 if device != "cpu" else 2048
    a, best = torch.randn(n, n, device=device), float("inf")
    for _ in range(10):
        began = time.perf_counter()
        a @ a
        if device != "cpu":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return 2 * n**3 / best


def peak_bytes(hydra: Any, size: Size, replicas: int, out: Path, device: str) -> int:
    """Of a stack of so many replicas, in this process (called in a fresh one)."""
    stack = configs(hydra, size, 3, "never", out, device)[:replicas]
    trainer.train(stack, progress=False)
    if device != "cpu":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measured_bytes(size: Size, counts: Sequence[int], device: str) -> list[int]:
    """Peak memory of stacks of these sizes, each in a process of its own."""
    command = [sys.executable, __file__, "--device", device, "--peak"]
    return [
        int(subprocess.run([*command, str(size.width), str(size.batch), str(n)],
                           check=True, capture_output=True, text=True).stdout.split()[-1])
        for n in counts
    ]  # fmt: skip


Record = dict[str, Any]


def rates_table(
    hydra: Any, sizes: Sequence[Size], pairs: int, out: Path, device: str
) -> list[Record]:
    """Prints a row of rates for each size as it is measured; what was measured."""
    top = ceiling(device)
    name = torch.cuda.get_device_name() if device != "cpu" else f"{torch.get_num_threads()} cores"
    print(
        f"PyTorch {torch.__version__}, {name}, {pairs} pairs;"
        f" load before: {os.getloadavg()[0]:.1f}; ceiling {top / 1e9:.0f} Gflop/s"
    )
    print(
        "width batch replicas   eager compiled  stacked | stacked/eager     min..max wanted"
        " | /compiled | of ceiling | engine"
    )
    records = []
    for size in sizes:
        rates, engine = compare(hydra, size, pairs, out, device)
        middle = {k: statistics.median(v) for k, v in rates.items()}
        ratios = [s / e for s, e in zip(rates["stacked"], rates["eager"], strict=True)]
        over = [s / c for s, c in zip(rates["stacked"], rates["compiled"], strict=True)]
        share = middle["stacked"] * flops(size) / top
        print(
            f"{size.width:5} {size.batch:5} {size.replicas:8} {middle['eager']:7.1f}"
            f" {middle['compiled']:8.1f} {middle['stacked']:8.1f} |"
            f" {statistics.median(ratios):13.2f} {min(ratios):5.2f}..{max(ratios):5.2f}"
            f" {size.wanted:6} | {statistics.median(over):9.2f} | {share:10.1%} | {engine}",
            flush=True,
        )
        records.append(
            {"width": size.width, "batch": size.batch, "replicas": size.replicas,
             "engine": engine, "rates": rates, "share_of_ceiling": share}
        )  # fmt: skip
    return records


def memory_table(hydra: Any, sizes: Sequence[Size], out: Path, device: str) -> list[Record]:
    """Prints for each size that is stacked what a replica takes; what was measured."""
    print("\nwidth batch | MB a replica: measured, estimated | peak MB of stacks")
    records: list[Record] = []
    for size in sizes:
        if device == "cpu" and size.width == 512:
            continue  # not stacked there
        counts = [128, 256, 512]  # fewer are lost beside what importing PyTorch takes
        peaks = measured_bytes(size, counts, device)
        each = (peaks[-1] - peaks[0]) / (counts[-1] - counts[0])
        estimate = bytes_per_replica(setup(configs(hydra, size, 1, "never", out, device)[0]))
        of_stacks = ", ".join(f"{n}: {p / 1e6:.0f}" for n, p in zip(counts, peaks, strict=True))
        print(
            f"{size.width:5} {size.batch:5} | {each / 1e6:22.2f}, {estimate / 1e6:9.2f}"
            f" | {of_stacks}",
            flush=True,
        )
        records.append({"width": size.width, "bytes_per_replica": each, "peaks": peaks})
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5, help="timings of each side (median)")
    parser.add_argument("--sizes", type=int, nargs="+", help="widths to measure; all if left out")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="write what was measured to this file, too")
    parser.add_argument("--peak", type=int, nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    device = arguments.device
    os.environ["TQDM_DISABLE"] = "1"
    with tempfile.TemporaryDirectory() as folder, hydra_session() as hydra:
        out = Path(folder)
        if arguments.peak:
            width, batch, n = arguments.peak
            print(peak_bytes(hydra, Size(width, batch, n, 0, 0, 0.0), n, out, device))
            return
        sizes = CPU if device == "cpu" else GPU
        sizes = [s for s in sizes if not arguments.sizes or s.width in arguments.sizes]
        records = rates_table(hydra, sizes, arguments.pairs, out, device)
        records += memory_table(hydra, sizes, out, device)
    if arguments.json:
        arguments.json.write_text(json.dumps(records, indent=1) + "\n")


if __name__ == "__main__":
    main()
