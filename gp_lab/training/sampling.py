"""What a run's generator makes, as a picture or a text: `gp-lab sample`."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gp_lab.data.random import generator
from gp_lab.errors import BadInput, bad_choice
from gp_lab.files import write_atomically
from gp_lab.probes.pictures import grid_picture, paths_picture, scatter_picture
from gp_lab.runs.folder import writing_to
from gp_lab.training.load import LoadedRun
from gp_lab.training.size import refuse_too_many

KINDS = {"samples": 64, "interpolation": 8, "classes": 10}
"""Kind -> how many there are unless one says: samples, lines, samples of each class."""

POINTS = 1000
"""Samples of the plane in a picture, unless one says."""


def write_samples(
    run: LoadedRun,
    kind: str = "samples",
    n: int | None = None,
    seed: int = 0,
    points: int = 65,
    out: str | Path | None = None,
) -> Path:
    """Draw from a run's generator and write what it made; the file.

    Args:
        run: at one of its checkpoints.
        kind: `samples`; `interpolation`, a row for each line between two latents; `classes`, a row
            for each class.
        n: samples, lines, or samples of each class; None for as many as `KINDS` says.
        seed: of the latents (and of the classes, where they are random).
        points: samples along a line, both ends included.
        out: a PNG file, for texts a .txt; None for one in `samples/` of the run's folder.

    Raises `BadInput` for what this run's generator or data cannot give, and for files that cannot
    be written.
    """
    if kind not in KINDS:
        raise bad_choice("--kind", kind, KINDS)
    if n is not None and n < 1:
        raise BadInput(f"-n {n}: must be at least 1")
    if points < 2:
        raise BadInput(f"--points {points}: a line has two ends; must be at least 2")
    each = {"interpolation": points, "classes": run.classes}.get(kind, 1)
    asked = f"-n {n or KINDS[kind]}" + f" --points {points}" * (each == points > 1)
    refuse_too_many(asked, (n or 1) * each, run.setup)
    dataset = run.setup.dataset
    ending = ".txt" if dataset.characters else ".png"
    name = f"{kind}-step{run.step}-seed{seed}{ending}"
    path = Path(name if out is None else out)
    if path.suffix != ending:
        raise BadInput(f"--out {path}: a {ending} file is written; give it that ending")
    if dataset.characters:
        data = _lines(run, kind, n or KINDS[kind], seed, points).encode()
    elif len(dataset.shape) == 3:
        data = _png(_image_grid(run, kind, n or KINDS[kind], seed, points))
    elif dataset.shape == (2,):
        data = _png(_plane(run, kind, n, seed, points))
    else:
        raise BadInput(
            f"{run.folder.path}: samples of shape {list(dataset.shape)} are neither images, nor"
            " points of the plane, nor texts; gp_lab.load(run).sample gives them in Python"
        )
    if out is None:
        return run.folder.write_file(data, "samples", name)
    with writing_to(path, key="--out "):
        write_atomically(path, data)
    return path


def _made(run: LoadedRun, kind: str, n: int, seed: int, points: int) -> tuple[Tensor, int | None]:
    """Samples in the order of reading, and how many stand in a row (None: as one likes)."""
    if kind == "samples":
        return run.sample(n, seed), None
    if kind == "interpolation":
        return run.interpolate(n, points, seed).flatten(0, 1), points
    if not run.classes:
        name = run.config["architecture"].get("name")
        raise BadInput(f"--kind classes: the generator of architecture={name} takes no classes")
    # One of each class after another: batch norm has learnt with batches of all classes.
    labels = torch.arange(run.classes).repeat(n)
    made = run.sample(len(labels), seed, labels)
    return made.unflatten(0, (n, run.classes)).transpose(0, 1).flatten(0, 1), n


def _image_grid(run: LoadedRun, kind: str, n: int, seed: int, points: int) -> np.ndarray:
    samples, columns = _made(run, kind, n, seed, points)
    images = run.setup.dataset.kept(samples)
    if images.dtype != np.uint8:
        raise BadInput(
            f"{run.folder.path}: {type(run.setup.dataset).__name__}.kept gives no bytes of images;"
            " gp_lab.load(run).sample gives the samples in Python"
        )
    return grid_picture(images, columns)


def _lines(run: LoadedRun, kind: str, n: int, seed: int, points: int) -> str:
    """A line for each text; rows of several stand apart."""
    samples, columns = _made(run, kind, n, seed, points)
    lines = [str(line) for line in run.setup.dataset.kept(samples)]
    if columns is None:
        return _joined(lines)
    return "\n".join(_joined(lines[i : i + columns]) for i in range(0, len(lines), columns))


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _plane(run: LoadedRun, kind: str, n: int | None, seed: int, points: int) -> np.ndarray:
    """Samples among as many reals, or the lines that latents' lines become."""
    n = n or (POINTS if kind == "samples" else KINDS[kind])
    samples, columns = _made(run, kind, n, seed, points)
    real = run.setup.dataset.draw(generator(seed, "sample", 0), n if columns is None else POINTS)
    if columns is None:
        return scatter_picture(real.cpu().numpy(), samples.numpy())
    return paths_picture(real.cpu().numpy(), samples.reshape(n, columns, 2).numpy())


def _png(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return file.getvalue()
