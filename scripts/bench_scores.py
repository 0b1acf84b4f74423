"""FID of two folders of images: the lab against the `pytorch_fid` command's own functions.

    python scripts/bench.py scores --cpu-time          some minutes on a core
    python scripts/bench.py scores --count 2000 --device cuda

Both read the same PNG files (32 x 32, made up) and have the same network, with random weights, from
the same file; `theirs` is `calculate_fid_given_paths` as the command calls it, in batches of 50.
`lab` scores both folders, `kept` one of them beside moments that are kept, as a run does with its
training images after the first time; in fp32 and in bf16. The numbers are compared, too: the lab's
in fp32 with theirs, relatively, and in bf16 with fp32. Seconds of an image are without the
distance, whose time does not depend on the number of images (the matrix root of theirs is slow).

Tried, and no help: PyTorch's own layout in place of channels last (a tenth slower with batch norm
folded, and bf16 then gains 1.7 instead of 2.9 times); batches above 64 on a CPU; the network
compiled, its weights frozen (120 ms an image and thread before and after: at 11.4 Gflop an image
that is the rate of large matrix products, so that in fp32 there is nothing left to gain).
"""

import argparse
import importlib
import statistics
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import bench_tools as tools
import numpy as np
import torch
from PIL import Image
from scipy import linalg
from torch import Tensor

from gp_lab.data.torchvision_import import import_torchvision
from gp_lab.evaluation.frechet import Moments, frechet_distance
from gp_lab.evaluation.inception import FEATURES, Inception, load_inception, random_inception, scan

BATCH = 64


def write(folder: Path, count: int, seed: int) -> Path:
    """PNG files of coloured waves with some noise; each seed has waves of its own kind."""
    folder.mkdir()
    rng, at = np.random.default_rng(seed), np.linspace(0, 1, 32)
    for i in range(count):
        a, b, phase = rng.normal(size=(3, 3, 1, 1)) * (4 + seed)
        waves = 127.5 * (1 + np.sin(a * at + b * at[:, None] + phase))
        levels = (waves + rng.normal(size=(3, 32, 32)) * 20).round().clip(0, 255)
        Image.fromarray(levels.astype(np.uint8).transpose(1, 2, 0)).save(folder / f"{i:05}.png")
    return folder


def images(folder: Path) -> Iterator[Tensor]:
    """Of the files of a folder, [n, 3, 32, 32] in [-1, 1]."""
    files = sorted(folder.iterdir())
    for start in range(0, len(files), BATCH):
        arrays = [np.asarray(Image.open(file)) for file in files[start : start + BATCH]]
        yield torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 127.5 - 1


def moments(folder: Path, network: Inception) -> Moments:
    count = len(list(folder.iterdir()))
    return scan(images(folder), network, count).moments


def pytorch_fid(weights: Path) -> Any:
    """Its module, with weights from a file and a matrix root that new SciPy has."""
    import_torchvision()
    module = importlib.import_module("pytorch_fid.fid_score")
    inception = importlib.import_module("pytorch_fid.inception")
    state = torch.load(weights, map_location="cpu", weights_only=True)
    inception.load_state_dict_from_url = lambda *_, **__: state  # type: ignore[attr-defined]
    root = linalg.sqrtm

    class Linalg:
        @staticmethod
        def sqrtm(matrix: Any, disp: bool = True) -> Any:
            return root(matrix) if disp else (root(matrix), None)

    module.linalg = Linalg  # type: ignore[attr-defined]
    module.tqdm = iter  # type: ignore[attr-defined]
    return module


def measure(count: int, pairs: int, device: str, clock: tools.Clock) -> tools.Record:
    """Seconds of each side and what it said, and seconds of an image."""
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their root is of a singular matrix
        folders = [write(Path(name) / str(seed), count, seed) for seed in (0, 1)]
        weights = Path(name) / "weights.pth"
        torch.save(random_inception().net.state_dict(), weights)
        module = pytorch_fid(weights)
        networks: dict[str, Inception] = {
            precision: load_inception(weights, device, "", precision)
            for precision in ("fp32", "bf16")
        }
        kept = {k: moments(folders[1], network) for k, network in networks.items()}
        paths, said = [str(folder) for folder in folders], dict[str, float]()

        def theirs() -> None:
            fid = module.calculate_fid_given_paths(paths, 50, device, FEATURES, num_workers=0)
            said["theirs"] = float(fid)

        def lab(precision: str, known: bool) -> None:
            network = networks[precision]
            real = kept[precision] if known else moments(folders[1], network)
            fid = frechet_distance(moments(folders[0], network), real)
            said[f"{'kept' if known else 'lab'} {precision}"] = fid

        sides: dict[str, Any] = {"theirs": theirs} | {
            f"{'kept' if known else 'lab'} {precision}": lambda p=precision, k=known: lab(p, k)
            for known in (False, True)
            for precision in networks
        }
        times: dict[str, list[float]] = {side: [] for side in sides}
        for pair in range(pairs):
            for side in list(sides) if pair % 2 == 0 else list(reversed(sides)):
                times[side].append(tools.seconds(sides[side], clock))
        model = module.InceptionV3([3]).to(device)
        files = sorted(folders[0].iterdir())
        of_image = {
            "theirs": lambda: module.get_activations(files, model, 50, FEATURES, device, 0)
        } | {k: lambda n=network: moments(folders[0], n) for k, network in networks.items()}
        each = {k: tools.seconds(f, clock) / count for k, f in of_image.items()}
    return {"count": count, "seconds": times, "fid": said, "seconds_of_an_image": each}


def main(words: Sequence[str] | None = None) -> None:
    parser: argparse.ArgumentParser = tools.parser_of(__doc__, "scores", pairs=3)
    tools.add_cpu_time(parser)
    parser.add_argument("--count", type=int, default=200, help="images of each folder")
    a = parser.parse_args(words)
    clock = tools.clock_of(a.cpu_time)
    machine = tools.machine(a.device)
    print(f"{tools.said(machine)}; {a.pairs} pairs of {a.count} images each")
    found = measure(a.count, a.pairs, a.device, clock)
    print(f"{'side':10} {'seconds':>8} {'theirs over it':>18} {'FID':>12}")
    for side, times in found["seconds"].items():
        over, low, high = tools.ratios(found["seconds"]["theirs"], times)
        fid = found["fid"][side]
        spread = f"{over:.2f} ({low:.2f}..{high:.2f})"
        print(f"{side:10} {statistics.median(times):8.1f} {spread:>18} {fid:12.5f}")
    fid, each = found["fid"], found["seconds_of_an_image"]
    print(
        f"fp32 and theirs: {abs(fid['lab fp32'] / fid['theirs'] - 1):.1e} apart, relatively;"
        f" bf16 and fp32: {fid['lab bf16'] - fid['lab fp32']:+.5f}"
    )
    of_image = ", ".join(f"{k} {1e3 * x:.0f} ms" for k, x in each.items())
    print(f"an image: {of_image}")
    tools.keep(a.json, {"machine": machine} | found)


if __name__ == "__main__":
    main()
