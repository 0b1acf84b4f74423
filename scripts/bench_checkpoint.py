"""What a checkpoint costs: its size, its time in parts, and the share of training that it takes.

    python scripts/bench.py checkpoint                       times an iteration too (minutes)
    python scripts/bench.py checkpoint --step-seconds 0.1    of a machine where it was timed before
    python scripts/bench.py checkpoint --device cuda --out /scratch/me

The run is that of wgan_gp, Table 3: the CIFAR-10 ResNet pair of 128 filters and 128 latents,
batches of 64, 5 updates of D and 1 of G an iteration, Adam, and an average of G. The images are
random bytes: a checkpoint does not hold them. The parts are timed one after another as
`checkpoint.save` does them, in memory and then in `--out`, and so is the whole; medians. Training
stands still for the whole, once in `checkpoint_every` iterations.
"""

import hashlib
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import bench_tools as tools

from gp_lab.files import flush
from gp_lab.launching.compose import hydra_session
from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder
from gp_lab.training.setup import Setup, setup
from gp_lab.training.step import State

SHARE = 0.01
"""Of the training's time: what checkpoints may take at the default cadence."""


def cifar_run(folder: Path, device: str) -> Setup:
    """wgan_gp's CIFAR run on random images that are kept in a folder."""
    words = ("architecture=resnet_cifar", *tools.WGAN_GP, "average=0.999", "batch_size=64")
    every = "checkpoint_every=1000"
    with hydra_session() as hydra:
        data = tools.random_images(folder, 32)
        return setup(tools.configured(hydra, [*data, *words, every], folder, device))


def step_seconds(run: Setup, repeats: int) -> float:
    """Of an iteration, from one update of each network, the first of them aside."""
    of_d, of_g = (tools.median_seconds(update, repeats) for update in tools.updates(run))
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
            times[name].append(tools.seconds(part))
    return len(data), {name: statistics.median(found) for name, found in times.items()}


def _save(folder: RunFolder, step: int, state: dict[str, Any]) -> None:
    checkpoint.save(folder, step, state, {})
    checkpoint.drop_older(folder)


def main(words: Sequence[str] | None = None) -> None:
    parser = tools.parser_of(__doc__, "checkpoint", pairs=9)
    parser.add_argument("--step-seconds", type=float, help="of an iteration; left out, it is timed")
    parser.add_argument("--out", type=Path, help="a folder on the disk in question")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory(dir=arguments.out) as out:
        run = cifar_run(Path(out), arguments.device)
        folder = RunFolder(Path(out) / "run")
        (folder.path / "checkpoints").mkdir(parents=True)
        size, times = parts(folder, tools.started(run), arguments.pairs)
        iteration = arguments.step_seconds or step_seconds(run, 3)
    every = run.settings.checkpoint_every
    share = times["whole"] / (every * iteration)
    print(f"{tools.said(tools.machine(arguments.device))}; medians of {arguments.pairs}")
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
    tools.keep(arguments.json, {"bytes": size, "seconds": times, "iteration": iteration})


if __name__ == "__main__":
    main()
