"""Replica-iterations a second of a compiled stack against one run after another, eager or compiled.

    python scripts/bench.py replicas                    about ten minutes on two cores
    python scripts/bench.py replicas --sizes 64 --pairs 9
    python scripts/bench.py replicas --device cuda      64 replicas of 3x512, batch 256, too

The run is WGAN-GP on eight Gaussians, 5 updates of D and 1 of G an iteration. `eager` is the
textbook loop of `bench_textbook.py`; `compiled` and `stacked` are all of `train` (run folders,
metrics, one checkpoint at the end; no probes, no tracking), with as many threads as the lab
chooses; `sweep` is what `hydra/launcher=replicas` does with these runs, a process for each core.
One run after another makes as many replica-iterations a second as one. Each side is
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
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import bench_tools as tools
from bench_textbook import textbook

from gp_lab.launching.compose import hydra_session
from gp_lab.launching.local import train_all
from gp_lab.runs.identity import Config
from gp_lab.training.setup import setup
from gp_lab.training.stacking import bytes_per_replica

Record = dict[str, Any]

MANY = {"stacked", "sweep"}
"""The sides that train all replicas."""


@dataclass(frozen=True)
class Size:
    """Networks and batch, how many replicas, the iterations of a timing (alone, stacked; swept is
    longer, since processes start anew each time), and the ratio of stacked to eager wanted."""

    width: int
    batch: int
    replicas: int
    alone: int
    stacked: int
    wanted: float
    compile: str = "always"
    swept: int = 0


CPU = [
    Size(64, 20, 32, 200, 40, 8.0, swept=320),
    Size(64, 64, 32, 200, 40, 4.0, swept=320),
    Size(128, 64, 32, 100, 20, 2.5, swept=160),
    Size(512, 256, 32, 24, 4, 0.95, swept=8),
]
GPU = [Size(64, 20, 64, 200, 100, 8.0, "graphs"), Size(512, 256, 64, 100, 50, 30.0, "graphs")]


def configs(hydra: Any, size: Size, out: Path, device: str, compiled: str = "") -> list[Config]:
    words = [f"architecture.width={size.width}", f"batch_size={size.batch}"]
    words += [f"compile={compiled or size.compile}"]
    config = tools.configured(hydra, [*tools.PLANE, *words], out, device)
    return [config | {"seed": seed} for seed in range(size.replicas)]


def sweep(runs: Sequence[Config], iterations: int) -> None:
    """Train the runs as a sweep on this machine does."""
    results = train_all([c | {"steps": iterations} for c in runs], 0, "auto")
    assert all(r.step == iterations for r in results), results[0].why


def compare(
    hydra: Any, size: Size, pairs: int, out: Path, device: str, clock: tools.Clock, swept: bool
) -> tuple[dict[str, list[float]], str]:
    """Replica-iterations a second of eager, compiled, stacked and, if `swept`, the sweep, `pairs`
    of each; the engine."""
    runs = configs(hydra, size, out, device)
    run, status = setup(runs[0]), {}

    def stacked(iterations: int) -> None:
        status.update(tools.train(runs, iterations))

    sides: dict[str, tuple[tools.Side, int]] = {
        "eager": (partial(textbook, run), size.alone),
        "compiled": (partial(tools.train, runs[:1]), size.alone),
        "stacked": (stacked, size.stacked),
    }
    if swept:
        sides["sweep"] = (partial(sweep, runs), size.swept)
    found = tools.interleaved(sides, pairs, clock)
    for many in MANY & found.keys():
        found[many] = [size.replicas * rate for rate in found[many]]
    return found, f"{status['engine']}, stack of {status['stack']}"


def peak_bytes(hydra: Any, size: Size, replicas: int, out: Path, device: str) -> int:
    """Of a stack of so many replicas, in this process (called in a fresh one)."""
    tools.train(configs(hydra, size, out, device, "never")[:replicas], 3)
    return tools.peak_bytes(device)


def measured_bytes(size: Size, counts: Sequence[int], device: str) -> list[int]:
    """Peak memory of stacks of these sizes, each in a process of its own."""
    command = [sys.executable, __file__, "--device", device, "--peak"]
    return [
        int(subprocess.run([*command, str(size.width), str(size.batch), str(n)],
                           check=True, capture_output=True, text=True).stdout.split()[-1])
        for n in counts
    ]  # fmt: skip


def rates_table(
    hydra: Any,
    sizes: Sequence[Size],
    pairs: int,
    out: Path,
    device: str,
    clock: tools.Clock = time.perf_counter,
    swept: bool = False,
) -> list[Record]:
    """Prints a row of rates for each size as it is measured; what was measured."""
    top = tools.ceiling(device, clock=clock)
    print(f"{tools.said(tools.machine(device))}; {pairs} pairs; ceiling {top / 1e9:.0f} Gflop/s")
    print(
        "width batch replicas |   eager compiled  stacked    sweep | stacked over eager (wanted)"
        " | over compiled: stacked, sweep | of the ceiling | engine"
    )
    records = []
    for size in sizes:
        rates, engine = compare(hydra, size, pairs, out, device, clock, swept)
        middle = {k: statistics.median(v) for k, v in rates.items()}
        of_one = tools.flops_of_iteration(setup(configs(hydra, size, out, device)[0]))
        ratio, low, high = tools.ratios(rates["stacked"], rates["eager"])
        many = sorted(MANY & rates.keys())
        over = {k: tools.ratios(rates[k], rates["compiled"])[0] for k in many}
        share = {k: middle[k] * of_one / top for k in many}
        print(
            f"{size.width:5} {size.batch:5} {size.replicas:8} |"
            + "".join(f" {middle.get(k, 0):8.1f}" for k in ("eager", "compiled", *many))
            + f" | {ratio:.2f} ({low:.2f} .. {high:.2f}; {size.wanted}) | "
            + ", ".join(f"{over[k]:.2f}" for k in many)
            + " | "
            + ", ".join(f"{share[k]:.1%}" for k in many)
            + f" | {engine}",
            flush=True,
        )
        records.append(
            {"width": size.width, "batch": size.batch, "replicas": size.replicas, "engine": engine,
             "rates": rates, "share_of_ceiling": share, "wanted": size.wanted}
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
        estimate = bytes_per_replica(setup(configs(hydra, size, out, device)[0]))
        of_stacks = ", ".join(f"{n}: {p / 1e6:.0f}" for n, p in zip(counts, peaks, strict=True))
        print(
            f"{size.width:5} {size.batch:5} | {each / 1e6:22.2f}, {estimate / 1e6:9.2f}"
            f" | {of_stacks}",
            flush=True,
        )
        records.append({"width": size.width, "bytes_per_replica": each, "peaks": peaks})
    return records


def main(words: Sequence[str] | None = None) -> None:
    parser = tools.parser_of(__doc__, "replicas")
    tools.add_cpu_time(parser)
    parser.add_argument("--sizes", type=int, nargs="+", help="widths to measure; all if left out")
    parser.add_argument("--rates-alone", action="store_true", help="without the memory of stacks")
    parser.add_argument("--peak", type=int, nargs=3, help=argparse.SUPPRESS)
    a = parser.parse_args(words)
    os.environ["TQDM_DISABLE"] = "1"
    with tempfile.TemporaryDirectory() as folder, hydra_session() as hydra:
        out = Path(folder)
        if a.peak:
            width, batch, n = a.peak
            print(peak_bytes(hydra, Size(width, batch, n, 0, 0, 0.0), n, out, a.device))
            return
        sizes = CPU if a.device == "cpu" else GPU
        sizes = [s for s in sizes if not a.sizes or s.width in a.sizes]
        clock = tools.clock_of(a.cpu_time)
        swept = a.device == "cpu" and not a.cpu_time  # its processes have times of their own
        records = rates_table(hydra, sizes, a.pairs, out, a.device, clock, swept)
        records += [] if a.rates_alone else memory_table(hydra, sizes, out, a.device)
    tools.keep(a.json, records)


if __name__ == "__main__":
    main()
