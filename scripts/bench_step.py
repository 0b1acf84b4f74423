"""The lab's training loop against a textbook loop and two published trainers, for the same runs.

    python scripts/bench.py step                       some ten minutes on two cores
    python scripts/bench.py step --cases mlp_64 char --pairs 9
    python scripts/bench.py step --device cuda --json  at the papers' sizes, in bf16, as CUDA graphs
    python scripts/bench.py step --quick               tries everything: a minute

The lab's side is all of `train`: composed config, run folder, metrics every 100 iterations, a
checkpoint at the end; no probes, no tracking. The other side (`bench_textbook.py`) trains the same
networks and logs nothing. A side is timed at two lengths, and the times are subtracted: what
happens once drops out. The sides alternate, pair by pair. `start-up`, the `compiled` iteration and
`peak` are of processes of their own: what a run takes until its first iteration has ended (with the
imports, without compiling), what compiling adds, and the most memory of it. Operations are counted,
of matrix products and convolutions alone; the ceiling is one large product in the same precision.

Tried, and no help (two cores):
- compiling the convolutional pairs: a minute and more for a tenth at most (`compile=always`).
  (One graph of all of D's updates does help small networks: 1.8 times, after twice the time to
  compile; `compile=block`. It is not the default, since runs are to stay what they are to the bit.)
- an eager update that sees all parameters as one vector: 0.99 times on a CPU (of use on a GPU,
  where each parameter is a launch); Inductor fuses the rules with the step anyway.
- a thread that draws the next block for data in memory: 1.08 times at most (`bench.py data`).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import bench_tools as tools
import torch
from bench_textbook import LOOPS

from gp_lab.launching.compose import hydra_session
from gp_lab.runs.identity import Config
from gp_lab.training.setup import Setup, setup

ON_GPU = ("precision=bf16", "compile=graphs")


@dataclass(frozen=True)
class Case:
    """A run: its words, on a CPU and at a paper's size, and the iterations of a timing on each.

    against: the loop it is compared with; wanted: the ratio, and the share of the ceiling, that
    a GPU should reach; cpu_alone: on a GPU it is another case once more.
    """

    words: tuple[str, ...]
    iterations: tuple[int, int]
    on_cpu: tuple[str, ...] = ()
    on_gpu: tuple[str, ...] = ()
    images: tuple[int, int] | None = None
    against: str = "textbook"
    wanted: tuple[float, float] | None = None
    cpu_alone: bool = False


def _plane(width: int, batch: int, cpu: int, how: str = "always", **more: Any) -> Case:
    words = (*tools.PLANE, f"architecture.width={width}", f"batch_size={batch}")
    return Case(words, (cpu, 400), on_cpu=(f"compile={how}",), **more)


R1 = (
    "loss=non_saturating", "penalty=mu_real", "penalty.weight=10", "optimizer=rmsprop",
    "optimizer.lr=1e-4", "optimizer.alpha=0.99", "average=0.999", "d_steps=1", "g_steps=1",
)  # fmt: skip
RESNET2 = ("architecture=resnet2_imagenet", "architecture.classes=0")
SMALL_RESNET2 = ("architecture.filters=8", "batch_size=8")

CASES = {
    "mlp_64": _plane(64, 20, 1000),
    "mlp_128": _plane(128, 64, 200),
    "mlp_512": _plane(512, 256, 10),
    "eager_64": _plane(64, 20, 200, "never", cpu_alone=True),
    "eager_128": _plane(128, 64, 100, "never", cpu_alone=True),
    "eager_512": _plane(512, 256, 10, "never", cpu_alone=True),
    "toy_512": _plane(512, 256, 10, against="wgan-gp toy"),
    "mlp_mnist": Case(
        ("architecture=mlp_mnist", *tools.WGAN_GP, "batch_size=64"), (40, 400), images=(28, 1)
    ),
    "dcgan_28": Case(
        ("architecture=dcgan_mnist", "dataset.pixels=zero_one", *tools.WGAN_GP),
        (2, 100),
        on_cpu=("architecture.filters=16", "batch_size=16"),
        on_gpu=("batch_size=50",),
        images=(28, 1),
    ),
    "resnet_cifar": Case(
        ("architecture=resnet_cifar", *tools.WGAN_GP),
        (2, 60),
        on_cpu=("architecture.filters=16", "batch_size=16"),
        on_gpu=("batch_size=64",),
        images=(32, 3),
        wanted=(3.0, 0.35),
    ),
    "resnet2_64": Case(
        (*RESNET2, *tools.WGAN_GP),
        (2, 40),
        on_cpu=SMALL_RESNET2,
        on_gpu=("batch_size=64",),
        images=(64, 3),
    ),
    "stability_64": Case(
        (*RESNET2, *R1),
        (4, 100),
        on_cpu=SMALL_RESNET2,
        on_gpu=("batch_size=64",),
        images=(64, 3),
        against="GAN_stability",
    ),
    "char": Case(
        ("dataset=python_topics", "architecture=char_cnn", "architecture.characters=null",
         *tools.WGAN_GP),
        (3, 60),
        on_cpu=("architecture.filters=64", "batch_size=16"),
        on_gpu=("batch_size=64",),
    ),
}  # fmt: skip
TINY = ("architecture.filters=2", "batch_size=2", "compile=never")
QUICK = {
    "mlp_64": replace(CASES["mlp_64"], iterations=(20, 20), on_cpu=("compile=never",)),
    "toy_512": replace(
        CASES["toy_512"], iterations=(4, 4), on_cpu=("architecture.width=32", "compile=never")
    ),
    "stability_64": replace(CASES["stability_64"], iterations=(1, 1), on_cpu=TINY),
    "resnet_cifar": replace(CASES["resnet_cifar"], iterations=(1, 1), on_cpu=TINY, wanted=None),
}
"""Every kind of side, as small as it goes."""


def config_of(hydra: Any, case: Case, out: Path, device: str) -> Config:
    data = tools.random_images(out, *case.images) if case.images else ()
    own = case.on_cpu if device == "cpu" else (*case.on_gpu, *ON_GPU)
    plain = () if any(word.startswith("compile=") for word in own) else ("compile=never",)
    return tools.configured(hydra, [*data, *case.words, *own, *plain], out, device)


def measured(config: Config, case: Case, pairs: int, clock: tools.Clock) -> tools.Record:
    """Rates of both sides, operations, and the engine that the lab chose."""
    run: Setup = setup(config)
    status: tools.Record = {}

    def lab(iterations: int) -> None:
        status.update(tools.train([config], iterations))

    other = partial(LOOPS[case.against], run)
    length = case.iterations[0 if run.device.type == "cpu" else 1]
    rates = tools.interleaved({"lab": (lab, length), "other": (other, length)}, pairs, clock)
    s = run.settings
    return {
        "against": case.against,
        "precision": s.precision,
        "engine": f"{status['engine']} ({status['engine_reason']})",
        "rates": rates,
        "samples": s.batch_size * (s.d_steps + s.g_steps),
        "flops": tools.flops_of_iteration(run),
    }


def cost(config: Config, case: Case, side: str, clock: tools.Clock) -> tools.Record:
    """Of a side in a fresh process: seconds to the first iteration's end, and memory at its peak.

    An eager iteration first, then a compiled one where the run is compiled: `compiling` is what
    that takes longer.
    """
    if side == "other":
        LOOPS[case.against](setup(config), 1)
        return {"seconds": clock(), "peak": tools.peak_bytes(config["device"])}
    tools.train([config | {"compile": "never"}], 1)
    began, compiling = clock(), 0.0
    if config["compile"] != "never":
        tools.train([config], 1)
        compiling = clock() - began
    peak = tools.peak_bytes(config["device"])
    return {"seconds": began, "compiling": compiling, "peak": peak}


def costs(name: str, device: str, *flags: str) -> tools.Record:
    found = {}
    for side in ("lab", "other"):
        command = [sys.executable, __file__, "--device", device, "--cost", name, side]
        with tempfile.TemporaryDirectory() as empty:  # where nothing is compiled yet
            own = {"GP_LAB_BENCH_BEGAN": str(time.time()), "TORCHINDUCTOR_CACHE_DIR": empty}
            done = subprocess.run(
                [*command, *flags],
                env=os.environ | own,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
        found[side] = json.loads(done.stdout.splitlines()[-1])
    return found


HEAD = (
    f"{'case':13}{'against':>14}{'lab it/s':>10}{'its it/s':>10}{'ratio':>7}{'min..max':>13}"
    f"{'samples/s':>11}{'Gflop/s':>9}{'ceiling':>9}{'share':>7}{'peak MB':>9}{'its':>7}"
    f"{'start s':>9}{'its':>6}{'compile s':>11}  engine"
)


def row(name: str, r: tools.Record) -> str:
    middle, low, high = tools.ratios(r["rates"]["lab"], r["rates"]["other"])
    lab, other = (statistics.median(r["rates"][side]) for side in ("lab", "other"))
    achieved = lab * r["flops"]
    of_lab, of_other = (r.get("costs", {}).get(side, {}) for side in ("lab", "other"))
    peaks = [x.get("peak", 0) / 1e6 for x in (of_lab, of_other)]
    return (
        f"{name:13}{r['against']:>14}{lab:10.2f}{other:10.2f}{middle:7.2f}"
        f"{f'{low:.2f}..{high:.2f}':>13}{lab * r['samples']:11.0f}{achieved / 1e9:9.1f}"
        f"{r['ceiling'] / 1e9:9.0f}{achieved / r['ceiling']:7.1%}{peaks[0]:9.0f}{peaks[1]:7.0f}"
        f"{of_lab.get('seconds', 0):9.1f}{of_other.get('seconds', 0):6.1f}"
        f"{of_lab.get('compiling', 0):11.1f}  {r['engine']}"
    )


def measure(
    names: Sequence[str],
    device: str = "cpu",
    pairs: int = 5,
    cpu_time: bool = False,
    quick: bool = False,
    with_costs: bool = True,
    keep: Callable[[dict[str, tools.Record]], None] = lambda _: None,
) -> dict[str, tools.Record]:
    """Measures the cases; prints a row of each, and keeps all so far, as it is there."""
    cases, clock = (QUICK if quick else CASES), tools.clock_of(cpu_time)
    flags = ["--quick"] * quick + ["--cpu-time"] * cpu_time
    found: dict[str, tools.Record] = {}
    tops: dict[str, float] = {}
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory() as out, hydra_session() as hydra:
        for name in names:
            config = config_of(hydra, cases[name], Path(out), device)
            record = measured(config, cases[name], pairs, clock)
            precision = record["precision"]
            if precision not in tops:
                tops[precision] = tools.ceiling(device, precision, clock=clock)
            record["ceiling"] = tops[precision]
            if with_costs and not (quick and len(found)):
                record["costs"] = costs(name, device, *flags)
            found[name] = record
            print(row(name, record), flush=True)
            keep(found)
    return found


def main(words: Sequence[str] | None = None) -> None:
    parser = tools.parser_of(__doc__, "step")
    tools.add_cpu_time(parser)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), help="all if left out")
    parser.add_argument("--quick", action="store_true", help="one pair of small cases: a try")
    parser.add_argument("--cost", nargs=2, help=argparse.SUPPRESS)
    a = parser.parse_args(words)
    os.environ["TQDM_DISABLE"] = "1"
    cases = QUICK if a.quick else CASES
    tools.clock_of(a.cpu_time)  # and with it the threads
    if a.quick:
        torch.set_num_threads(1)
    if a.cost:
        name, side = a.cost
        with tempfile.TemporaryDirectory() as out, hydra_session() as hydra:
            config = config_of(hydra, cases[name], Path(out), a.device)
            clock = tools.process_clock(a.cpu_time)
            print(json.dumps(cost(config, cases[name], side, clock)))
        return
    machine = tools.machine(a.device)
    print(f"{tools.said(machine)}; {a.pairs} pairs, {'processor' if a.cpu_time else 'wall'} time")
    pairs, names = (1 if a.quick else a.pairs), [n for n in a.cases or cases if n in cases]
    if a.device != "cpu":
        names = [name for name in names if not cases[name].cpu_alone]
    said = {"machine": machine, "pairs": pairs, "cpu_time": a.cpu_time}

    def keep(found: dict[str, tools.Record]) -> None:
        tools.keep(a.json, said | {"cases": found})

    measure(names, a.device, pairs, a.cpu_time, a.quick, keep=keep)


if __name__ == "__main__":
    main()
