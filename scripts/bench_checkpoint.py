"""What a checkpoint costs: its size, its time in parts, and the share of training that it takes.

    python scripts/bench_checkpoint.py                       times an iteration too (minutes)
    python scripts/bench_checkpoint.py --step-seconds 0.1    of a machine where it was timed before
    python scripts/bench_checkpoint.py --device cuda --out /scratch/me

The run is that of wgan_gp, Table 3: the CIFAR-10 ResNet pair of 128 filters and 128 latents,
batches of 64, 5 updates of D and 1 of G an iteration, Adam, and an average of G. The images are
random bytes: a checkpoint does not hold them. The parts are timed one after another as
`checkpoint.save` does them, in memory and then in `--out`, and so is the whole; medians. Training
stands still for the whole, once in `checkpoint_every` iterations.
"""

import argparse
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gp_lab.files import flush
from gp_lab.launching.compose import compose, hydra_session
from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder
from gp_lab.training.batches import draw_batches
from gp_lab.training.engine import make_engine
from gp_lab.training.setup import Setup, setup
from gp_lab.training.step import State, start_state

SHARE = 0.01
"""Of the training's time: what checkpoints may take at the default cadence."""


def cifar_run(folder: Path, device: str) -> Setup:
    """wgan_gp's CIFAR run on random images that are kept in a folder."""
    rng = np.random.default_rng(0)
    np.save(folder / "train.npy", rng.integers(256, size=(640, 3, 32, 32), dtype=np.uint8))
    overrides = [
        *("dataset=image_array", f"dataset.root={folder}", "dataset.source.image_size=32"),
        *("architecture=resnet_cifar", "loss=wasserstein", "penalty=one_gp", "optimizer=adam"),
        *("average=0.999", "batch_size=64", "d_steps=5", "g_steps=1", "probe=[]"),
        *("tracking=none", f"device={device}", f"out={folder}"),
    ]
    with hydra_session() as hydra:
        return setup(compose(hydra, overrides))


def started(run: Setup) -> State:
    """A state as training leaves it: no tensor is another's."""
    state = start_state(run.game, *run.initial, run.settings.batch_size, run.dataset.shape)
    return state | {"average": {name: x.clone() for name, x in state["average"].items()}}


def step_seconds(run: Setup, repeats: int) -> float:
    """Of an iteration, from one update of each network, the first of them aside."""
    engine, state, block = make_engine(run.game, "eager"), started(run), draw_batches(run, 0)

    def update_d() -> None:
        engine.discriminator_step(
            state, {}, block.rate_d[0], block.real[0, 0], block.latent[0, 0], block.u[0, 0]
        )

    def update_g() -> None:
        engine.generator_step(state, {}, block.rate_g[0], *block.of_g(0, 0))

    for update in (update_d, update_g):
        update()
    of_d, of_g = (median_seconds(update, repeats) for update in (update_d, update_g))
    return run.settings.d_steps * of_d + run.settings.g_steps * of_g


def parts(folder: RunFolder, state: State, repeats: int) -> tuple[int, dict[str, float]]:
    """(bytes of a checkpoint, part -> median seconds)."""
    data, path = checkpoint.serialised(0, state, {}), folder.path / "part"
    steps = iter(range(1, repeats + 2))  # each whole one is a new file, as in a run
    timed: dict[str, Callable[[], Any]] = {
        "serialise": lambda: checkpoint.serialised(0, state, {}),
        "SHA-256": lambda: hashlib.sha256(data).hexdigest(),
        "write": lambda: path.write_bytes(data),
        "flush": lambda: flush(path),
        "whole": lambda: _save(folder, next(steps), state),
    }
    times: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(repeats):
        path.unlink(missing_ok=True)
        for name, part in timed.items():
            times[name].append(seconds(part))
    return len(data), {name: statistics.median(found) for name, found in times.items()}


def _save(folder: RunFolder, step: int, state: dict[str, Any]) -> None:
    checkpoint.save(folder, step, state, {})
    checkpoint.drop_older(folder)


def median_seconds(function: Callable[[], object], repeats: int) -> float:
    return statistics.median(seconds(function) for _ in range(repeats))


def seconds(function: Callable[[], object]) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    began = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9, help="of each part (median)")
    parser.add_argument("--step-seconds", type=float, help="of an iteration; left out, it is timed")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    parser.add_argument("--out", type=Path, help="a folder on the disk in question")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.out) as out:
        run = cifar_run(Path(out), arguments.device)
        folder = RunFolder(Path(out) / "run")
        (folder.path / "checkpoints").mkdir(parents=True)
        size, times = parts(folder, started(run), arguments.repeats)
        iteration = arguments.step_seconds or step_seconds(run, 3)
    every = run.settings.checkpoint_every
    share = times["whole"] / (every * iteration)
    print(
        f"PyTorch {torch.__version__}, {run.device}, {torch.get_num_threads()} threads, medians of"
        f" {arguments.repeats}; load {os.getloadavg()[0]:.1f}"
    )
    print(f"a checkpoint of {run.config['architecture']['name']}: {size / 1e6:.1f} MB")
    for name, took in times.items():
        print(f"  {name:10} {1e3 * took:8.1f} ms")
    said = "given" if arguments.step_seconds else "timed"
    print(f"an iteration ({said}): {1e3 * iteration:.1f} ms")
    print(
        f"training stands still {share:.3%} of the time with checkpoint_every={every}"
        f" (wanted: < {SHARE:.0%}); that is reached where an iteration takes more than"
        f" {1e3 * times['whole'] / (every * SHARE):.1f} ms"
    )


if __name__ == "__main__":
    main()
