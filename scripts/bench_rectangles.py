"""What counting squares costs: images a second, and the share of a training step that it takes; and
the search for the sample nearest to a training image.

    python scripts/bench_rectangles.py                 under a minute on two cores
    python scripts/bench_rectangles.py --repeats 9
    python scripts/bench_rectangles.py --cpu-time      on a machine that others use too

The data are those of anomalous, Fig. 1: 25 600 images of 32 x 32 pixels with two squares of 8 x 8.
The step is one update of D and one of G of `architecture=dcgan_cifar` (128 filters) on one channel,
batch 64, without a penalty, eager; sample correction asks `has_squares` once of the batch of fakes.
The two alternate; medians.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from gp_lab.data.random import generator
from gp_lab.data.rectangles import Rectangles
from gp_lab.evaluation.neighbours import closest
from gp_lab.launching.compose import compose, hydra_session
from gp_lab.objectives.squares import count_squares, has_squares
from gp_lab.training.batches import draw_batches
from gp_lab.training.engine import make_engine
from gp_lab.training.setup import Setup, setup
from gp_lab.training.step import start_state

SHARE = 0.05
"""Of a step: what sample correction's counting may take."""

BATCH = 64


IMAGES, SAMPLES = 30, 256_000
"""Of anomalous, Fig. 7: samples are looked through for the one nearest to each image."""

Clock = Callable[[], float]


def seconds(function: Callable[[], object], clock: Clock) -> float:
    began = clock()
    function()
    return clock() - began


def batches(images: Tensor) -> Iterator[Tensor]:
    """`SAMPLES` samples, a few thousand at a time, none of which is held."""
    rng = generator(0, "noise", 0)
    for start in range(0, SAMPLES, len(images)):
        some = images[: SAMPLES - start]
        yield some + 0.1 * torch.randn(some.shape, generator=rng)


def step_of_a_run() -> Setup:
    overrides = [
        *("dataset=rectangles", "architecture=dcgan_cifar", "architecture.channels=1"),
        *("loss=non_saturating", "penalty=none", f"batch_size={BATCH}", "d_steps=1", "g_steps=1"),
        *("probe=[]", "tracking=none", "device=cpu", "compile=never"),
    ]
    with hydra_session() as hydra:
        return setup(compose(hydra, overrides))


def compared(repeats: int, clock: Clock) -> tuple[list[float], list[float]]:
    """Seconds of a step, and of `has_squares` on its batch of fakes, in turn."""
    run = step_of_a_run()
    engine, block = make_engine(run.game, "eager"), draw_batches(run, 0)
    state = start_state(run.game, *run.initial, BATCH, run.dataset.shape)
    images = run.dataset.draw(generator(0, "bench", 0), BATCH)

    def step() -> None:
        engine.discriminator_step(
            state, {}, block.rate_d[0], block.real[0, 0], block.latent[0, 0], block.u[0, 0]
        )
        engine.generator_step(state, {}, block.rate_g[0], *block.of_g(0, 0))

    def count() -> None:
        has_squares(images, run.dataset.squares, run.dataset.square)

    step(), count()
    times = [(seconds(step, clock), seconds(count, clock)) for _ in range(repeats)]
    return [a for a, _ in times], [b for _, b in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="of each timing (median)")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="processor time of one thread, where other programs keep the machine busy",
    )
    arguments = parser.parse_args()
    repeats = arguments.repeats
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    if arguments.cpu_time:
        torch.set_num_threads(1)

    def median(function: Callable[[], object]) -> float:
        return statistics.median(seconds(function, clock) for _ in range(repeats))

    print(
        f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, medians of {repeats},"
        f" {'processor' if arguments.cpu_time else 'wall'} time; load {os.getloadavg()[0]:.1f}"
    )
    data = Rectangles().prepare(generator(0, "set", 0))
    images = data.draw(generator(0, "images", 0), 4096)
    making = median(lambda: Rectangles().prepare(generator(0, "set", 0)))
    drawing = median(lambda: data.draw(generator(0, "images", 0), len(images)))
    counting = median(lambda: count_squares(images, data.square))
    print(f"the set of {data.size} images is made in {making:.2f} s")
    print(f"drawn: {len(images) / drawing:.0f} images a second")
    print(f"counted: {len(images) / counting:.0f} images a second")
    searching = seconds(lambda: closest(images[:IMAGES], batches(images)), clock)
    print(f"the nearest of {SAMPLES} samples to {IMAGES} images is found in {searching:.1f} s")
    steps, counts = compared(repeats, clock)
    ratios = [b / a for a, b in zip(steps, counts, strict=True)]
    print(
        f"has_squares of {BATCH} images: {1e3 * statistics.median(counts):.1f} ms, a step"
        f" {1e3 * statistics.median(steps):.0f} ms: {statistics.median(ratios):.2%} of it"
        f" ({min(ratios):.2%} .. {max(ratios):.2%}; wanted: < {SHARE:.0%})"
    )


if __name__ == "__main__":
    main()
