"""All that needs a GPU, on one fresh machine in at most eight minutes: tests, numbers, a figure.

    python scripts/gpu_check.py                      on a GPU; what was done is not done again
    python scripts/gpu_check.py --out DIR --total 300
    python scripts/gpu_check.py --dry-run            on the CPU, tiny: tries the script itself

Each part is a process of its own with a budget of seconds. Its result is DIR/PART.json, its output
DIR/PART.log; a second call goes on with the parts that failed or found no time. Exit status 1 if
anything failed, fell short of what is wanted or is left; the last lines say what.

rates     what the GPU is, and its matrix products a second in each precision: the ceilings
tests     pytest -m gpu: eager steps are the CPU's in float64, compiled and replayed ones the eager
          ones, a stopped run goes on bit for bit, fp32 is not tf32, Inception's features are the
          CPU's, two ranks over NCCL where there are two GPUs
compiled  a convolutional pair in float64, whole runs: eager, compiled, as CUDA graphs
resnet    CIFAR ResNet, WGAN-GP, batch 64, bf16: 3 times the textbook loop, 35 % of the bf16 rate
replicas  64 replicas of 3 x 512, batch 256: 30 times one textbook loop after another
plane     the 2-D networks alone against the textbook loop and wgan-gp's own
entry     zero_gp, Fig. 1 at the paper's scale; DIR/figure.png

The clone need not be installed. Beside PyTorch, torchvision, numpy and Pillow it needs a compiler
for C++ and these packages, 59 MB of wheels, which `pip install --no-index --find-links DIR` takes
from a folder where there is no network: hydra-core (omegaconf, antlr4-python3-runtime 4.9, PyYAML,
packaging), pydantic (pydantic-core, annotated-types, typing-inspection, typing-extensions),
filelock, tqdm, scipy, matplotlib (contourpy, cycler, fonttools, kiwisolver, pyparsing,
python-dateutil, six), pytest (iniconfig, pluggy, pygments), pytorch-fid (without what it needs).
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLONE = Path(__file__).parents[1]
TOTAL = 480.0
TESTS = (
    "tests/unit/training/test_on_a_gpu.py",
    "tests/unit/data/test_streaming.py",
    "tests/unit/evaluation/test_inception.py",
)
Record = dict[str, Any]


@dataclass(frozen=True)
class Where:
    """Where a part leaves its files, on what it runs, and whether it only tries itself."""

    out: Path
    device: str
    tiny: bool


def rates(where: Where) -> Record:
    import bench_tools as tools

    found = {
        precision: tools.ceiling(where.device, precision, 128 if where.tiny else 0)
        for precision in ("fp64", "fp32", "tf32", "bf16")
    }
    for precision, top in found.items():
        print(f"{precision}: {top / 1e12:.3g} TFLOP/s")
    return {"machine": tools.machine(where.device), "flops": found}


def tests(where: Where) -> Record:
    chosen = ["-k", "eager_steps and wgan_gp"] if where.tiny else []
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider", "-rfE"]
    done = subprocess.run(
        [*command, *chosen, *TESTS],
        cwd=CLONE,
        env=os.environ | {"GP_LAB_TEST_DEVICE": where.device},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(done.stdout, flush=True)
    failed = re.findall(r"^(?:FAILED|ERROR) (.+)", done.stdout, re.M)
    if done.returncode and not failed:
        failed = [f"pytest ended with status {done.returncode}"]
    return {"said": done.stdout.splitlines()[-1:], "failed": failed}


def compiled(where: Where) -> Record:
    """Metrics of each iteration, how far they are from the eager ones at most, relatively."""
    import bench_tools as tools

    from gp_lab.launching.compose import hydra_session
    from gp_lab.training import trainer

    hows = ("never", "never") if where.tiny else ("never", "always", "graphs")
    filters, steps = (2, 2) if where.tiny else (16, 20)
    found: Record = {"apart": {}, "failed": []}
    lines: list[list[Record]] = []
    with tempfile.TemporaryDirectory() as folder, hydra_session() as hydra:
        for i, how in enumerate(hows):
            words = [
                *("architecture=dcgan_mnist", "dataset.pixels=zero_one", *tools.WGAN_GP),
                *("precision=fp64", "batch_size=16"),
                *(f"architecture.filters={filters}", f"compile={how}", f"steps={steps}"),
                *tools.random_images(Path(folder), 28, 1),
            ]
            config = tools.configured(hydra, words, Path(folder) / f"{i}", where.device)
            (outcome,) = trainer.train([config | {"log_every": 1}], progress=False)
            lines.append(outcome.folder.metrics())
            status = outcome.folder.status
            print(f"{how}: {status['engine']} ({status['engine_reason']})", flush=True)
            if how != "never" and status["engine_reason"] != f"compile={how}":
                found["failed"].append(f"compile={how}: {status['engine_reason']}")
    for how, other in list(zip(hows, lines, strict=True))[1:]:
        apart = max(
            abs(a[k] - b[k]) / (1 + abs(a[k]))
            for a, b in zip(lines[0], other, strict=True)
            for k in a
        )
        print(f"{how}: {apart:.1e} from eager, {len(other)} iterations")
        found["apart"][how] = apart
        if not apart < 1e-9:
            found["failed"].append(f"compile={how}: {apart:.1e} from eager after {steps} steps")
    return found


def table(where: Where, names: Sequence[str]) -> Record:
    """Rows of the table of `bench.py step`, and what of them falls short."""
    import bench_step
    import bench_tools as tools

    os.environ["TQDM_DISABLE"] = "1"
    names = [name for name in names if not where.tiny or name in bench_step.QUICK]
    pairs = 1 if where.tiny else 3
    found = bench_step.measure(names, where.device, pairs, quick=where.tiny, with_costs=False)
    failed = []
    for name, record in found.items():
        wanted = bench_step.CASES[name].wanted
        if wanted is None or where.tiny:
            continue
        ratio, _, _ = tools.ratios(record["rates"]["lab"], record["rates"]["other"])
        lab = sorted(record["rates"]["lab"])[pairs // 2]
        share = lab * record["flops"] / record["ceiling"]
        if ratio < wanted[0]:
            failed.append(
                f"{name}: {ratio:.2f} times the {record['against']} (wanted: {wanted[0]})"
            )
        if share < wanted[1]:
            failed.append(f"{name}: {share:.1%} of the ceiling (wanted: {wanted[1]:.0%})")
    return {"cases": found, "failed": failed}


def resnet(where: Where) -> Record:
    return table(where, ["resnet_cifar"])


def plane(where: Where) -> Record:
    return table(where, ["mlp_64", "mlp_512", "toy_512"])


def replicas(where: Where) -> Record:
    import bench_replicas
    import bench_tools as tools

    from gp_lab.launching.compose import hydra_session

    os.environ["TQDM_DISABLE"] = "1"
    sizes = [bench_replicas.Size(8, 4, 2, 4, 4, 0.0, "never")] if where.tiny else bench_replicas.GPU
    pairs = 1 if where.tiny else 3
    with tempfile.TemporaryDirectory() as folder, hydra_session() as hydra:
        records = bench_replicas.rates_table(hydra, sizes, pairs, Path(folder), where.device)
    failed = []
    for record in records:
        ratio, _, _ = tools.ratios(record["rates"]["stacked"], record["rates"]["eager"])
        if ratio < record["wanted"]:
            said = f"{record['replicas']} replicas of 3 x {record['width']}: {ratio:.1f} times"
            failed.append(f"{said} (wanted: {record['wanted']})")
    return {"records": records, "failed": failed}


def entry(where: Where) -> Record:
    scale, out = ("smoke" if where.tiny else "paper"), where.out / "entry"
    command = ["-m", "gp_lab", "figure", "zero_gp/fig1", f"scale={scale}", "tracking=none"]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, *command, f"device={where.device}", f"out={out}"], cwd=CLONE
    )
    pictures = sorted(out.glob("figures/zero_gp/fig1/*/figure.png"))
    if pictures:
        shutil.copy(pictures[-1], where.out / "figure.png")
    failed = [] if done.returncode == 0 and pictures else [f"ended with {done.returncode}"]
    return {"seconds": time.monotonic() - began, "scale": scale, "failed": failed}


PARTS: Mapping[str, tuple[float, Callable[[Where], Record]]] = {
    "rates": (40, rates),
    "tests": (150, tests),
    "compiled": (90, compiled),
    "resnet": (180, resnet),
    "replicas": (120, replicas),
    "plane": (90, plane),
    "entry": (150, entry),
}
"""Name -> its budget in seconds, and what it does."""


def write(path: Path, found: Record) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(found, indent=1) + "\n")
    part.replace(path)


def read(path: Path) -> Record | None:
    """A part's result; None where there is none that can be read."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def one_part(name: str, where: Where) -> None:
    began = time.monotonic()
    found: Record = {"failed": []} | PARTS[name][1](where)
    took = {"part": name, "took": time.monotonic() - began, "device": where.device}
    write(where.out / f"{name}.json", took | {"tiny": where.tiny} | found)


def attempt(name: str, where: Where, limit: float) -> Record:
    """A part in a process of its own, which is ended after so many seconds."""
    path = where.out / f"{name}.json"
    path.unlink(missing_ok=True)
    command = [sys.executable, __file__, "--part", name, "--out", str(where.out)]
    command += ["--device", where.device] + ["--dry-run"] * where.tiny
    with (where.out / f"{name}.log").open("w") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            status = child.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    found = read(path)
    if status == 0 and found is not None:
        return found
    why = f"not done in {limit:.0f} s" if status is None else _last_words(where.out / f"{name}.log")
    found = {"part": name, "failed": [why], "device": where.device, "tiny": where.tiny}
    write(path, found)
    return found


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text().splitlines() if line.strip()]
    return f"{lines[-1].strip() if lines else 'no output'} ({log})"


def check(where: Where, total: float, names: Sequence[str]) -> int:
    """Do the parts that are left; the exit status."""
    began, failed, left = time.monotonic(), [], []
    where.out.mkdir(parents=True, exist_ok=True)
    for name in names:
        found = read(where.out / f"{name}.json")
        same = found is not None and (found.get("device"), found.get("tiny")) == (
            where.device,
            where.tiny,
        )
        if not same or found is None or found["failed"]:
            remaining = total - (time.monotonic() - began)
            if remaining < 10:
                left.append(name)
                continue
            print(f"{name} ...", flush=True)
            budget = PARTS[name][0] * (20 if where.tiny else 1)  # a CPU may be busy
            found = attempt(name, where, min(budget, remaining))
        failed += [f"{name}: {why}" for why in found["failed"]]
        said = "failed" if found["failed"] else "ok"
        print(f"{name}: {said}, {found.get('took', 0):.0f} s", flush=True)
    print(f"\n{where.out}: {time.monotonic() - began:.0f} s")
    for sentence in failed:
        print(f"failed: {sentence}")
    for name in left:
        print(f"left: {name}; the same command goes on")
    if not failed and not left:
        print("nothing failed")
    return 1 if failed or left else 0


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=CLONE / "outputs" / "gpu_check")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, cpu")
    parser.add_argument("--total", type=float, default=TOTAL, help="seconds that all may take")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), help="all if left out")
    parser.add_argument("--dry-run", action="store_true", help="on the CPU, tiny")
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    a = parser.parse_args(words)
    places = [str(CLONE), str(CLONE / "gp_lab" / "launching"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, places))
    where = Where(a.out.resolve(), "cpu" if a.dry_run else a.device, a.dry_run)
    if a.part:
        one_part(a.part, where)
        return 0
    if where.device != "cpu":
        import torch

        if not torch.cuda.is_available():
            print(
                "no GPU is available here; --dry-run tries the script on the CPU", file=sys.stderr
            )
            return 2
    return check(where, a.total, a.parts or list(PARTS))


if __name__ == "__main__":
    sys.exit(main())
