"""How fast image data reach a run, and what memory they take: resident, mapped, single files.

    python scripts/bench.py data                     about a minute on two free cores
    python scripts/bench.py data --blocks 40 --repeats 9

Each path is drawn from as the trainer does it, block by block, in processes of its own:

    resident   as large as CIFAR-10: 50 000 images of 3 x 32 x 32 from pickled batches
    mapped     50 000 images of 3 x 64 x 64 in a mapped array of 614 MB
    files      JPEGs of 256 x 256, decoded to 3 x 64 x 64 whenever they are drawn

`data` is the memory that only this process has (a mapped file's pages are not counted: the system
takes them back when it wants to), over what it had before the set was read; `blocks` what comes on
top at most while blocks are drawn and used, `bound` what may: the block in use, and the next one
with its bytes where data stream. `images/s` is without a network. `ahead` is the rate with the
next block drawn in a thread, `waiting` without, with a network that takes as long for a block as
drawing it and leaves a core free; medians, and the median and range of their ratio.
"""

import argparse
import logging
import multiprocessing
import os
import pickle
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gp_lab.data import pictures
from gp_lab.data.cifar import TRAIN
from gp_lab.launching.compose import compose, hydra_session
from gp_lab.training.batches import Blocks, batches_at_once, draw_batches
from gp_lab.training.setup import Setup, setup

MAPPED = 50_000
FILES = 1000
COMMON = ("tracking=none", "device=cpu", "threads=1", "steps=1000000", "probe=[]")
CASES = {
    "resident": ("dataset=cifar10", "dataset.source.checksum=false", "architecture=dcgan_cifar"),
    "mapped": ("dataset=image_array", "architecture=dcgan_lsun"),
    "files": ("dataset=image_folder", "architecture=dcgan_lsun"),
}


# The sets


def write(case: str, root: Path) -> None:
    rng = np.random.default_rng(0)
    if case == "resident":
        for name in TRAIN:
            data = rng.integers(0, 256, (10_000, 3072), dtype=np.uint8)
            batch = {b"data": data, b"labels": [i % 10 for i in range(10_000)]}
            (root / name).write_bytes(pickle.dumps(batch, protocol=2))
    elif case == "mapped":
        shape = (MAPPED, 3, 64, 64)
        array = np.lib.format.open_memmap(root / "train.npy", "w+", np.uint8, shape)
        for start in range(0, MAPPED, 1000):
            array[start : start + 1000] = rng.integers(0, 256, (1000, *shape[1:]), dtype=np.uint8)
    else:
        for i in range(FILES):
            smooth = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
            smooth.resize((256, 256), Image.Resampling.BICUBIC).save(root / f"{i:04}.jpg")


# Memory


def private() -> int:
    """Bytes of memory that only this process has: not those of a mapped file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


@contextmanager
def peak() -> Iterator[list[int]]:
    """What `private` grows to meanwhile, looked at every millisecond."""
    found, over = [private()], threading.Event()

    def look() -> None:
        while not over.wait(0.001):
            found[0] = max(found[0], private())

    watch = threading.Thread(target=look)
    watch.start()
    try:
        yield found
    finally:
        over.set()
        watch.join()


# Timing


def rate(run: Setup, blocks: int, ahead: bool, busy: float) -> float:
    """Images a second over so many blocks, each of them used for `busy` seconds."""
    source = Blocks([run])
    if not ahead and source.thread is not None:
        source.close()
        source.thread = None
    images = source[0].real.shape[:3].numel()
    began = time.perf_counter()
    for k in range(1, blocks + 1):
        source[k].real.sum()
        time.sleep(busy)
    seconds = time.perf_counter() - began
    source.close()
    return blocks * images / seconds


def started(case: str, root: str) -> Setup:
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    if case == "files":
        pictures.IN_MEMORY = 0
    with hydra_session() as hydra:
        return setup(compose(hydra, [*CASES[case], f"dataset.root={root}", *COMMON]))


def memory(case: str, root: str, blocks: int) -> str:
    """The columns of memory, in MB."""
    torch.zeros(8).float().div_(2).sum()  # what PyTorch itself needs is there before
    before = private()
    run = started(case, root)
    nets = (run.game.discriminator, run.game.generator)
    data = private() - before - sum(p.nbytes for net in nets for p in net.parameters())
    block = draw_batches(run, 0)
    size = sum(x.nbytes for x in block if isinstance(x, torch.Tensor))
    drawn = size + block.real.numel()  # a byte for each float
    bound = size + drawn if Blocks([run]).thread else drawn
    del block
    held = private()
    with peak() as found:
        rate(run, blocks, True, 0.01)
    return " ".join(f"{n / 1e6:9.1f}" for n in (data, found[0] - held, bound))


def rates(case: str, root: str, blocks: int, repeats: int) -> str:
    """The columns of rates."""
    run = started(case, root)
    alone = rate(run, blocks, False, 0.0)
    busy = batches_at_once(run) * run.settings.batch_size * run.settings.d_steps / alone
    pairs = [
        (rate(run, blocks, True, busy), rate(run, blocks, False, busy)) for _ in range(repeats)
    ]
    ratios = [with_thread / without for with_thread, without in pairs]
    medians = [alone, *(statistics.median(column) for column in zip(*pairs, strict=True))]
    return (
        " ".join(f"{n:9,.0f}" for n in medians)
        + f" {statistics.median(ratios):6.2f} {min(ratios):.2f}..{max(ratios):.2f}"
    )


def in_a_process(function: Callable[..., str], *arguments: object) -> str:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench.py data", description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=20, help="drawn in each timing")
    parser.add_argument("--repeats", type=int, default=5, help="timings of each side (median)")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    arguments = parser.parse_args(words)
    if not Path("/proc/self/status").exists():
        sys.exit("memory is read from /proc, which this system does not have")
    print(f"PyTorch {torch.__version__}; load before: {os.getloadavg()[0]:.1f}")
    print("path        data MB blocks MB  bound MB  images/s     ahead   waiting  ratio range")
    for case in arguments.cases:
        with tempfile.TemporaryDirectory() as root:
            write(case, Path(root))
            # Freed memory goes back to the system at once: what is counted is what is held, not
            # what malloc keeps for later. It is slow, so nothing is timed there.
            os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"
            held = in_a_process(memory, case, root, arguments.blocks)
            del os.environ["MALLOC_MMAP_THRESHOLD_"]
            timed = in_a_process(rates, case, root, arguments.blocks, arguments.repeats)
            print(f"{case:9} {held} {timed}", flush=True)


if __name__ == "__main__":
    main()
