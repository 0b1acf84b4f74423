"""What the benchmarks share: runs to measure, clocks, interleaved timings, operations, ceilings."""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from gp_lab.launching.compose import compose
from gp_lab.runs.identity import Config
from gp_lab.training import trainer
from gp_lab.training.batches import draw_batches
from gp_lab.training.engine import make_engine
from gp_lab.training.setup import Setup
from gp_lab.training.step import State, start_state

KEPT = Path(__file__).parents[1] / "outputs" / "reference" / "bench"
"""Where `--json` without a file puts what was measured: it is kept in git."""

Clock = Callable[[], float]
Record = dict[str, Any]
Side = Callable[[int], object]
"""Trains for so many iterations, from the beginning."""


# The command line


def parser_of(doc: str, part: str, pairs: int = 5, device: bool = True) -> argparse.ArgumentParser:
    """The options that most benchmarks have."""
    parser = argparse.ArgumentParser(prog=f"bench.py {part}", description=doc.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=pairs, help="timings of each side (median)")
    parser.add_argument("--json", type=Path, nargs="?", const=KEPT / f"{part}.json",
                        help="write it; without a file: to outputs/reference/bench")  # fmt: skip
    if device:
        parser.add_argument("--device", default="cpu", help="cpu, cuda")
    return parser


def add_cpu_time(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cpu-time", action="store_true",
                        help="processor time of one thread, for a busy machine")  # fmt: skip


def clock_of(cpu_time: bool) -> Clock:
    """What time is read from; processor time is of one thread, which PyTorch then has."""
    if cpu_time:
        torch.set_num_threads(1)
    return time.process_time if cpu_time else time.perf_counter


def process_clock(cpu_time: bool) -> Clock:
    """Seconds since this process was started, or its processor time, with that of compilers."""
    if cpu_time:
        return lambda: sum(os.times()[:4])
    began = float(os.environ.get("GP_LAB_BENCH_BEGAN", time.time()))
    return lambda: time.time() - began


def machine(device: str = "cpu") -> Record:
    """What was measured on, and how busy it was."""
    gpu = torch.cuda.get_device_name() if device != "cpu" else None
    load = round(os.getloadavg()[0], 1)
    return {
        "torch": torch.__version__,
        "gpu": gpu,
        "threads": torch.get_num_threads(),
        "load": load,
    }


def said(machine: Record) -> str:
    """The machine in a line."""
    name = machine["gpu"] or f"{machine['threads']} threads"
    return f"PyTorch {machine['torch']}, {name}; load before: {machine['load']}"


def keep(path: Path | None, found: Any) -> None:
    """Write what was measured, where a file was asked for."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n")


# Timing


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds(function: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    synchronise()
    began = clock()
    function()
    synchronise()
    return clock() - began


def median_seconds(
    function: Callable[[], object], repeats: int, clock: Clock = time.perf_counter
) -> float:
    """Of some calls after a first one."""
    function()
    return statistics.median(seconds(function, clock) for _ in range(repeats))


def rate(side: Side, iterations: int, clock: Clock = time.perf_counter) -> float:
    """Iterations a second, of a longer run less a shorter one: what happens once drops out."""
    short = max(1, iterations // 20)
    times = [seconds(partial(side, n), clock) for n in (short, short + iterations)]
    return iterations / max(times[1] - times[0], 1e-9)


def interleaved(
    sides: dict[str, tuple[Side, int]], pairs: int, clock: Clock = time.perf_counter
) -> dict[str, list[float]]:
    """Side -> iterations a second, `pairs` times; who goes first alternates.

    Each side comes with its iterations and has been run once before: it may have compiled.
    """
    for side, iterations in sides.values():
        side(max(1, iterations // 20))
    found: dict[str, list[float]] = {name: [] for name in sides}
    for pair in range(pairs):
        for name in list(sides) if pair % 2 == 0 else list(reversed(sides)):
            found[name].append(rate(*sides[name], clock))
    return found


def ratios(over: Sequence[float], under: Sequence[float]) -> tuple[float, float, float]:
    """Median, smallest and largest of the pairs' quotients."""
    each = [a / b for a, b in zip(over, under, strict=True)]
    return statistics.median(each), min(each), max(each)


# Runs


WGAN_GP = ("loss=wasserstein", "penalty=one_gp", "optimizer=adam", "d_steps=5", "g_steps=1")
PLANE = ("dataset=eight_gaussians", "architecture=mlp", *WGAN_GP)
QUIET = ("probe=[]", "tracking=none", "log_every=100", "checkpoint_every=1000000", "force=true")


def configured(hydra: Any, words: Sequence[str], out: Path, device: str = "cpu") -> Config:
    """The config of a run without probes or tracking, and with one checkpoint, at its end."""
    return compose(hydra, [*QUIET, *words, f"device={device}", f"out={out}"])


def random_images(folder: Path, side: int, channels: int = 3, count: int = 640) -> tuple[str, ...]:
    """The words for a set of random bytes, written where it is not yet."""
    root = folder / f"images_{channels}_{side}"
    if not root.exists():
        root.mkdir(parents=True)
        rng = np.random.default_rng(0)
        shape = (count, channels, side, side)
        np.save(root / "train.npy", rng.integers(256, size=shape, dtype=np.uint8))
    size = f"dataset.source.image_size={side}"
    return (
        "dataset=image_array",
        f"dataset.root={root}",
        size,
        f"dataset.source.channels={channels}",
    )


def train(configs: Sequence[Config], iterations: int) -> Record:
    """Train to so many iterations, as `gp-lab train` does; the status of the first run."""
    outcomes = trainer.train([c | {"steps": iterations} for c in configs], progress=False)
    assert all(o.step == iterations for o in outcomes), outcomes[0].why
    return outcomes[0].folder.status


def started(run: Setup) -> State:
    """A state as training leaves it: no tensor is another's."""
    state = start_state(run.game, *run.initial, run.settings.batch_size, run.dataset.shape)
    return state | {"average": {name: x.clone() for name, x in state["average"].items()}}


def updates(run: Setup) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """One update of D and one of G, eager, from the first state on the first batch."""
    engine, state, block = make_engine(run.game, "eager"), started(run), draw_batches(run, 0)

    def of_d() -> Any:
        return engine.discriminator_step(
            *(state, {}, block.rate_d[0], block.real[0, 0], block.latent[0, 0], block.u[0, 0]),
            tuple(y[0, 0] for y in block.labels),
        )

    return of_d, lambda: engine.generator_step(state, {}, block.rate_g[0], *block.of_g(0, 0))


# Operations


class Flops(TorchDispatchMode):
    """Counts operations of matrix products and convolutions.

    PyTorch's FlopCounterMode hooks the modules, which a derivative of a derivative does not allow.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def flops(function: Callable[[], Any]) -> int:
    with Flops() as counted:
        function()
    return counted.total


def flops_of_iteration(run: Setup) -> int:
    """All of an iteration's matrix products and convolutions, forward and back."""
    of_d, of_g = (flops(update) for update in updates(run))
    return run.settings.d_steps * of_d + run.settings.g_steps * of_g


def ceiling(
    device: str, precision: str = "fp32", n: int = 0, clock: Clock = time.perf_counter
) -> float:
    """Flops a second of the product of two n x n matrices, the best of some; large ones for 0."""
    n = n or (8192 if device != "cpu" else 2048)
    dtype = {"fp64": torch.float64, "bf16": torch.bfloat16}.get(precision, torch.float32)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    best = min(seconds(lambda: a @ b, clock) for _ in range(5))
    torch.set_float32_matmul_precision(before)
    return 2 * n**3 / best


def peak_bytes(device: str) -> int:
    """The most that this process has taken: of the GPU by tensors, else of memory.

    Read from /proc where there is one: what getrusage says begins with what the parent had.
    """
    if device != "cpu":
        return torch.cuda.max_memory_allocated()
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(x for x in lines if x.startswith("VmHWM")).split()[1])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
