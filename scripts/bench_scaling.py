"""Step, all-reduce and input time on what is at hand, and what they say about 8, 64 and 512 GPUs.

    python scripts/bench.py scaling                  under a minute on two cores
    python scripts/bench.py scaling --tflops 60 --bandwidth 300 --network 50 --latency 5
    python scripts/bench.py scaling --networks resnet_cifar --batch 32

Measured here: seconds and floating-point operations of an update of D and of G (WGAN-GP, eager, a
small batch), the two coefficients of an all-reduce between two gloo processes on this machine, the
seconds in which a block of random numbers is drawn and its images are read. Predicted, with the
model that is printed first: iterations and images a second for several ranks, each with its own
batch (weak scaling: `batch_size` grows with the ranks), once for ranks like this machine's cores
and once for GPUs whose sustained arithmetic and links are given on the command line. No GPU is
asked: the second table is arithmetic on the given numbers, good for what limits what, not for a
procurement.
"""

import argparse
import math
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench_tools as tools
import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from gp_lab.launching.compose import hydra_session
from gp_lab.training.batches import batches_at_once, draw_batches
from gp_lab.training.setup import Setup, setup

NETWORKS = {"resnet_cifar": 32, "resnet2_imagenet": 64, "resnet_lsun": 64}
"""Architecture -> height and width of its images; the last one is the widening ResNet."""

D_STEPS, G_STEPS, MEASURED_BATCH, IMAGES, REPEATS = 5, 1, 4, 512, 3
SMALL, LARGE = 256, 2**22
"""Floats of the two all-reduces that latency and bandwidth are read from."""

ALGORITHMS = {
    "ring": "2 (N-1) alpha + 2 (N-1)/N M/beta (ring)",
    "tree": "2 ceil(log2 N) alpha + 2 M/beta (tree)",
    "better": "the shorter, as NCCL chooses, of a ring,\n    2 (N-1) alpha + 2 (N-1)/N M/beta,"
    " and a tree, 2 ceil(log2 N) alpha + 2 M/beta",
}

MODEL = """\
model: one iteration = {d} x (step of D + its all-reduce) + {g} x (step of G + its all-reduce)
  + input, one after another; images/s are the reals that D sees.
  step: measured at batch {m}, taken as proportional to the batch; for GPUs its operations
    / the sustained rate. No launch overhead: small networks on a GPU are slower than this.
  all-reduce of M bytes over N GPUs: {formula};
    gloo: ring. beta is the slowest link: within a node of {node} GPUs, else the network.
    One a step, all gradients in fp32. Nothing overlaps: what NCCL hides comes on top.
  batch norm in G, synchronised: 2 sums a layer forward, 2 backward, latency alone.
  input: each rank draws the whole batch's indices and latents (the contract on random numbers), so
    this part grows with N; it reads and converts its own images alone. Without `dequantise`, whose
    noise is drawn whole. A thread draws ahead; `hidden` is the efficiency if that works at its
    best: max, not sum."""


@dataclass(frozen=True)
class Links:
    """Of an all-reduce: latency of a message [s]; bytes a second within a node and beyond it."""

    latency: float
    within: float
    beyond: float
    node: int
    algorithm: str

    def seconds(self, size: float, ranks: int) -> float:
        """An all-reduce of `size` bytes, as `ALGORITHMS` says."""
        if ranks == 1:
            return 0.0
        rate = self.within if ranks <= self.node else self.beyond
        depth = math.ceil(math.log2(ranks))
        times = {
            "ring": 2 * (ranks - 1) * self.latency + 2 * (ranks - 1) / ranks * size / rate,
            "tree": 2 * depth * self.latency + 2 * size / rate,
        }
        return times.get(self.algorithm, min(times.values()))


@dataclass(frozen=True)
class Costs:
    """Of one network: seconds and operations per sample of both steps, and of the input: of the
    whole batch's random numbers, of a rank's own images."""

    d_seconds: float
    g_seconds: float
    d_flops: float
    g_flops: float
    d_bytes: int
    g_bytes: int
    norms: int
    numbers_seconds: float
    images_seconds: float


# Measurements


def a_run(hydra: Any, network: str, folder: Path) -> Setup:
    data = tools.random_images(folder, NETWORKS[network], count=IMAGES)
    words = [f"architecture={network}", *data, *tools.WGAN_GP, f"batch_size={MEASURED_BATCH}"]
    config = tools.configured(hydra, [*words, f"d_steps={D_STEPS}", f"g_steps={G_STEPS}"], folder)
    if kinds := config["architecture"]["generator"].get("classes"):
        root = Path(config["dataset"]["root"])
        np.save(root / "train_labels.npy", np.linspace(0, kinds - 1, IMAGES).astype(np.int64))
    return setup(config)


def costs(run: Setup) -> Costs:
    s, game = run.settings, run.game
    of_d, of_g = tools.updates(run)

    def size(net: nn.Module) -> int:
        return sum(p.numel() * p.element_size() for p in net.parameters())

    samples = batches_at_once(run) * s.batch_size
    numbers = tools.median_seconds(lambda: draw_batches(run, 1, slice(0)), REPEATS) / samples
    return Costs(
        tools.median_seconds(of_d, REPEATS) / s.batch_size,
        tools.median_seconds(of_g, REPEATS) / s.batch_size,
        tools.flops(of_d) / s.batch_size,
        tools.flops(of_g) / s.batch_size,
        size(game.discriminator),
        size(game.generator),
        sum(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in game.generator.modules()),
        numbers,
        tools.median_seconds(lambda: draw_batches(run, 1), REPEATS) / samples - numbers,
    )


def one_of_two(rank: int, port: int, out: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    found = []
    for numbers in (SMALL, LARGE):
        x = torch.zeros(numbers)
        for _ in range(5):
            dist.all_reduce(x)
        times = []
        for _ in range(50 if numbers == SMALL else 9):
            dist.barrier()
            began = time.perf_counter()
            dist.all_reduce(x)
            times.append(time.perf_counter() - began)
        found.append(statistics.median(times))
    if rank == 0:
        np.save(out, np.array(found))
    dist.destroy_process_group()


def gloo(folder: Path) -> Links:
    """Latency and bandwidth of an all-reduce between two processes of this machine."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    torch.multiprocessing.spawn(one_of_two, (port, folder / "gloo.npy"), nprocs=2)
    small, large = np.load(folder / "gloo.npy")
    rate = 4 * (LARGE - SMALL) / max(large - small, 1e-9)
    return Links(small / 2, rate, rate, 10**9, "ring")


# Predictions


def table(
    costs: Costs, links: Links, batch: int, rate: float | None, ranks: list[int]
) -> list[str]:
    """A line for each number of ranks; `rate` in operations a second, None: as measured here."""
    of_d = costs.d_seconds if rate is None else costs.d_flops / rate
    of_g = costs.g_seconds if rate is None else costs.g_flops / rate
    step = batch * (D_STEPS * of_d + G_STEPS * of_g)
    alone = D_STEPS * batch / max(step, batch * (costs.numbers_seconds + costs.images_seconds))
    lines = []
    for n in ranks:
        sums = D_STEPS * links.seconds(costs.d_bytes, n) + G_STEPS * links.seconds(costs.g_bytes, n)
        sums += costs.norms * (2 * D_STEPS + 4 * G_STEPS) * links.seconds(0, n)
        draw = batch * (n * costs.numbers_seconds + costs.images_seconds)
        inline, hidden = step + sums + draw, max(step + sums, draw)
        images = [D_STEPS * batch * n / t for t in (inline, hidden)]
        lines.append(
            f"{n:6} {batch * n:8} {1e3 * step:10.1f} {1e3 * sums:11.1f} {1e3 * draw:9.1f}"
            f" {1 / inline:8.3g} {images[0]:10.4g} {images[0] / (n * alone):9.2f}"
            f" {images[1] / (n * alone):7.2f}"
        )
    return lines


HEAD = " ranks    batch    step ms  all-red. ms  input ms     it/s   images/s efficiency  hidden"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench.py scaling", description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS)[:2], choices=NETWORKS)
    parser.add_argument("--batch", type=int, default=64, help="samples of one rank")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 8, 64, 512])
    parser.add_argument("--tflops", type=float, default=20, help="sustained, of one GPU")
    parser.add_argument("--bandwidth", type=float, default=200, help="GB/s within a node")
    parser.add_argument("--network", type=float, default=25, help="GB/s between nodes, per GPU")
    parser.add_argument("--latency", type=float, default=5, help="microseconds of a message")
    parser.add_argument("--node", type=int, default=8, help="GPUs of a node")
    parser.add_argument("--algorithm", default="better", choices=ALGORITHMS, help="of GPUs")
    a = parser.parse_args(words)
    torch.set_num_threads(1)
    model = {"d": D_STEPS, "g": G_STEPS, "m": MEASURED_BATCH, "node": a.node}
    print(MODEL.format(formula=ALGORITHMS[a.algorithm], **model))
    given = Links(a.latency * 1e-6, a.bandwidth * 1e9, a.network * 1e9, a.node, a.algorithm)
    with tempfile.TemporaryDirectory() as name, hydra_session() as hydra:
        here = gloo(Path(name))
        print(
            f"\nPyTorch {torch.__version__}, one thread; load {os.getloadavg()[0]:.1f}\n"
            f"gloo between two processes here: latency {1e6 * here.latency:.0f} us,"
            f" {here.within / 1e9:.2f} GB/s"
        )
        for network in a.networks:
            found = costs(a_run(hydra, network, Path(name)))
            achieved = found.d_flops / found.d_seconds / 1e9
            print(
                f"\n{network}, per sample: D {1e3 * found.d_seconds:.0f} ms,"
                f" {found.d_flops / 1e9:.2f} GFLOP ({achieved:.0f} GFLOP/s here);"
                f" G {1e3 * found.g_seconds:.0f} ms, {found.g_flops / 1e9:.2f} GFLOP;"
                f" input of an iteration {1e3 * found.numbers_seconds:.3f} ms for the random"
                f" numbers, {1e3 * found.images_seconds:.3f} for the images\n"
                f"gradients: D {found.d_bytes / 1e6:.1f} MB, G {found.g_bytes / 1e6:.1f} MB;"
                f" {found.norms} batch norms in G"
            )
            print("ranks like one core here, gloo as measured (all hops as on this machine)")
            print("\n".join([HEAD, *table(found, here, a.batch, None, a.ranks)]))
            print(
                f"GPUs, given: {a.tflops:g} TFLOP/s sustained, {a.bandwidth:g} GB/s within a node,"
                f" {a.network:g} beyond, {a.latency:g} us; input as measured here"
            )
            print("\n".join([HEAD, *table(found, given, a.batch, a.tflops * 1e12, a.ranks)]))


if __name__ == "__main__":
    main()
