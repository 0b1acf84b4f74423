"""What counting squares costs: images a second, and the share of a training step that it takes; and
the search for the sample nearest to a training image.

    python scripts/bench.py rectangles                 under a minute on two cores
    python scripts/bench.py rectangles --pairs 9
    python scripts/bench.py rectangles --cpu-time      on a machine that others use too

The data are those of anomalous, Fig. 1: 25 600 images of 32 x 32 pixels with two squares of 8 x 8.
The step is one update of D and one of G of `architecture=dcgan_cifar` (128 filters) on one channel,
batch 64, without a penalty, eager; sample correction asks `has_squares` once of the batch of fakes.
The two alternate; medians.
"""

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import bench_tools as tools
import torch
from torch import Tensor

from gp_lab.data.random import generator
from gp_lab.data.rectangles import Rectangles
from gp_lab.evaluation.neighbours import closest
from gp_lab.launching.compose import hydra_session
from gp_lab.objectives.squares import count_squares, has_squares
from gp_lab.training.setup import Setup, setup

SHARE = 0.05
"""Of a step: what sample correction's counting may take."""

BATCH = 64


IMAGES, SAMPLES = 30, 256_000
"""Of anomalous, Fig. 7: samples are looked through for the one nearest to each image."""


def batches(images: Tensor) -> Iterator[Tensor]:
    """`SAMPLES` samples, a few thousand at a time, none of which is held."""
    rng = generator(0, "noise", 0)
    for start in range(0, SAMPLES, len(images)):
        some = images[: SAMPLES - start]
        yield some + 0.1 * torch.randn(some.shape, generator=rng)


def step_of_a_run(out: Path) -> Setup:
    words = [
        *("dataset=rectangles", "architecture=dcgan_cifar", "architecture.channels=1"),
        *("loss=non_saturating", "penalty=none", f"batch_size={BATCH}", "d_steps=1", "g_steps=1"),
    ]
    with hydra_session() as hydra:
        return setup(tools.configured(hydra, words, out))


def compared(out: Path, pairs: int, clock: tools.Clock) -> tuple[list[float], list[float]]:
    """Seconds of a step, and of `has_squares` on its batch of fakes, in turn."""
    run = step_of_a_run(out)
    images = run.dataset.draw(generator(0, "bench", 0), BATCH)
    updates = tools.updates(run)

    def step() -> None:
        for update in updates:
            update()

    def count() -> None:
        has_squares(images, run.dataset.squares, run.dataset.square)

    step(), count()
    times = [(tools.seconds(step, clock), tools.seconds(count, clock)) for _ in range(pairs)]
    return [a for a, _ in times], [b for _, b in times]


def main(words: Sequence[str] | None = None) -> None:
    parser = tools.parser_of(__doc__, "rectangles", device=False)
    tools.add_cpu_time(parser)
    arguments = parser.parse_args(words)
    pairs, clock = arguments.pairs, tools.clock_of(arguments.cpu_time)
    median = partial(tools.median_seconds, repeats=pairs, clock=clock)
    print(f"{tools.said(tools.machine())}; medians of {pairs}")
    data = Rectangles().prepare(generator(0, "set", 0))
    images = data.draw(generator(0, "images", 0), 4096)
    making = median(lambda: Rectangles().prepare(generator(0, "set", 0)))
    drawing = median(lambda: data.draw(generator(0, "images", 0), len(images)))
    counting = median(lambda: count_squares(images, data.square))
    print(f"the set of {data.size} images is made in {making:.2f} s")
    print(f"drawn: {len(images) / drawing:.0f} images a second")
    print(f"counted: {len(images) / counting:.0f} images a second")
    searching = tools.seconds(lambda: closest(images[:IMAGES], batches(images)), clock)
    print(f"the nearest of {SAMPLES} samples to {IMAGES} images is found in {searching:.1f} s")
    with tempfile.TemporaryDirectory() as out:
        steps, counts = compared(Path(out), pairs, clock)
    ratios = [b / a for a, b in zip(steps, counts, strict=True)]
    print(
        f"has_squares of {BATCH} images: {1e3 * statistics.median(counts):.1f} ms, a step"
        f" {1e3 * statistics.median(steps):.0f} ms: {statistics.median(ratios):.2%} of it"
        f" ({min(ratios):.2%} .. {max(ratios):.2%}; wanted: < {SHARE:.0%})"
    )
    found = {"making": making, "drawing": drawing, "counting": counting, "searching": searching}
    tools.keep(arguments.json, found | {"steps": steps, "counts": counts})


if __name__ == "__main__":
    main()
