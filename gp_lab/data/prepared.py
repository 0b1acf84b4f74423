"""Image sets as mapped arrays: made once from pictures, then read row by row without a loader."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from gp_lab.data.sources import Part, Parts, Shape, missing
from gp_lab.errors import BadInput
from gp_lab.files import write_atomically
from gp_lab.parts import Count, PathText

FORMAT = 1
"""Of the arrays and of the JSON file beside each."""


PREPARED = "prepared-"
"""How the names of the folders of arrays begin."""


class Preparable(Protocol):
    """What is asked of a source of pictures (`gp_lab.data.pictures.ImageFolder` is one)."""

    @property
    def root(self) -> str: ...
    @property
    def prepared(self) -> str | None: ...
    @property
    def train(self) -> str: ...
    @property
    def test(self) -> str | None: ...
    @property
    def shape(self) -> Shape: ...


class Listed(Protocol):
    """The pictures of one part: their names and classes."""

    @property
    def names(self) -> Any: ...
    @property
    def labels(self) -> np.ndarray | None: ...


Decoder = Callable[[Any, Any, str, int], Iterator[tuple[int, np.ndarray]]]


def prepared_folder(source: Preparable) -> Path:
    """Where a source's arrays belong: named for its size and a hash of its other settings.

    A folder for the arrays of several sets (`prepared`) tells them apart by their roots.
    """
    text = json.dumps(_settings(source), sort_keys=True)
    digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    place = Path(source.root) if source.prepared is None else Path(source.prepared)
    return place / f"{PREPARED}{source.shape[1]}-{digest}"


def prepared_parts(source: Preparable) -> Parts | None:
    """The mapped arrays of a source; None if it was not prepared.

    Raises `BadInput` where preparation was broken off or an array is damaged.
    """
    folder = prepared_folder(source)
    if not (folder / "train.json").exists():
        return None
    test = None if source.test is None else _mapped(folder, "test", source)
    return Parts(_mapped(folder, "train", source), test)


def prepare(
    source: Preparable, pictures: Callable[[str], Listed], decoder: Decoder, chunk: int = 256
) -> Path:
    """Write a source's arrays, going on where an earlier call was broken off; returns the folder.

    `<part>.npy` is uint8 [N, C, H, W], `<part>_labels.npy` int64 [N] where there are classes,
    `<part>.json` says how far the array is and carries a fingerprint: a hash of the settings and
    of the pictures' names. Another fingerprint (a picture came or went) starts the part again.

    Args:
        source: where the pictures are and how they are cut.
        pictures: part -> its pictures.
        decoder: (pictures, source, part, start) -> (index, uint8 [k, C, H, W]), from `start` on.
        chunk: pictures between two notes of progress, at least.

    Raises `BadInput` naming a picture that cannot be used; what was done before it stays.
    """
    folder = prepared_folder(source)
    folder.mkdir(parents=True, exist_ok=True)
    for part, below in (("test", source.test), ("train", source.train)):
        if below is not None:
            _prepare_part(folder, part, source, pictures(below), decoder, below, chunk)
    return folder


def _prepare_part(
    folder: Path,
    part: str,
    source: Preparable,
    pictures: Listed,
    decoder: Decoder,
    below: str,
    chunk: int,
) -> None:
    shape = [len(pictures.names), *source.shape]
    note = {
        "format": FORMAT,
        "settings": _settings(source),
        "fingerprint": _fingerprint(source, pictures.names),
        "shape": shape,
        "labels": pictures.labels is not None,
    }
    path, array = folder / f"{part}.json", folder / f"{part}.npy"
    before = _read_note(path) if path.exists() else {}
    same = array.exists() and {k: before.get(k) for k in note} == note
    done = int(before["done"]) if same else 0
    if not same and path.exists():
        path.unlink()  # before the array it speaks of is replaced
    images = np.lib.format.open_memmap(
        array, mode="r+" if same else "w+", dtype=np.uint8, shape=None if same else tuple(shape)
    )
    if pictures.labels is not None:
        np.save(folder / f"{part}_labels.npy", pictures.labels.astype(np.int64))
    _write_note(path, note | {"done": done})
    noted = done
    for start, some in decoder(pictures, source, below, done):
        images[start : start + len(some)] = some
        done = start + len(some)
        if done - noted >= chunk or done == shape[0]:
            images.flush()
            _write_note(path, note | {"done": done})
            noted = done


def _settings(source: Preparable) -> dict[str, Any]:
    """All that the pixels depend on; arrays that lie in the root may move with it."""
    fields: dict[str, Any] = asdict(source)  # type: ignore[call-overload]
    kept = {k: v for k, v in fields.items() if k not in ("root", "prepared", "download")}
    root = {} if source.prepared is None else {"root": str(Path(source.root).resolve())}
    return {"source": type(source).__name__} | kept | root


def _fingerprint(source: Preparable, names: Any) -> str:
    digest = hashlib.blake2b(json.dumps(_settings(source), sort_keys=True).encode())
    for name in names:
        digest.update(f"{name}\n".encode())
    return digest.hexdigest()[:32]


def _write_note(path: Path, note: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(note, indent=1) + "\n").encode())


def _read_note(path: Path) -> dict[str, Any]:
    try:
        note = json.loads(path.read_text())
    except (OSError, ValueError):
        note = None
    if not isinstance(note, dict) or note.get("format") != FORMAT:
        raise BadInput(f"{path}: not a note of scripts/prepare.py; remove its folder and run it")
    return note


def _mapped(folder: Path, part: str, source: Preparable) -> Part:
    path = folder / f"{part}.json"
    if not path.exists():
        raise BadInput(f"{folder}: has no {part} images yet; run scripts/prepare.py again")
    note = _read_note(path)
    if note.get("settings") != _settings(source):
        raise BadInput(
            f"{folder}: its arrays were made of other images or with other settings than"
            " dataset.source says; move them away and run scripts/prepare.py again"
        )
    n = note["shape"][0]
    if note["done"] < n:
        raise BadInput(
            f"{folder}: preparation stopped at {note['done']} of {n} {part} images; run"
            " scripts/prepare.py again, it goes on from there"
        )
    images = map_array(folder / f"{part}.npy")
    if list(images.shape) != note["shape"] or tuple(images.shape[1:]) != source.shape:
        raise BadInput(f"{folder / part}.npy: holds {list(images.shape)}, not {note['shape']}")
    labels = map_labels(folder / f"{part}_labels.npy", n) if note["labels"] else None
    return Part(images, labels, streams=True)


def map_array(path: Path) -> torch.Tensor:
    """uint8 [N, C, H, W] of a .npy file, mapped: only what is read takes memory.

    Raises `BadInput` naming a file that is none, is truncated or has 0, 2 or more than 3 channels.
    """
    try:
        # "c": PyTorch wants writable memory; what is written there never reaches the file.
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{path}: not a whole .npy file of numbers ({error})") from error
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim != 4:
        raise BadInput(f"{path}: not an array of bytes [images, channels, height, width]")
    if array.shape[1] not in (1, 3) or not prod(array.shape):
        raise BadInput(
            f"{path}: an array {list(array.shape)}, {array.shape[1]} channels an image where there"
            " are 1 or 3; it is [images, channels, height, width]"
        )
    return torch.from_numpy(array)


def map_labels(path: Path, n: int) -> torch.Tensor:
    """int64 [n] of a .npy file. Raises `BadInput` naming a file that holds anything else."""
    try:
        labels = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{path}: not a whole .npy file of numbers ({error})") from error
    if labels.dtype.kind not in "iu" or labels.shape != (n,) or (n and labels.min() < 0):
        raise BadInput(f"{path}: not {n} whole numbers from 0")
    return torch.from_numpy(labels.astype(np.int64))


@dataclass(frozen=True)
class ImageArray:
    """Images of one's own as an array: train.npy, test.npy, uint8 [N, C, H, W], mapped.

    train_labels.npy and test_labels.npy (int64 [N]) beside them give classes, where they are.

    Args:
        root: the folder of the files; test.npy may be missing.
        image_size: height and width of the images.
        channels: of the images, 1 or 3.
    """

    root: PathText
    image_size: Count = 64
    channels: Count = 3

    @property
    def shape(self) -> Shape:
        return (self.channels, self.image_size, self.image_size)

    def load(self) -> Parts:
        """Raises `BadInput` for files that are missing, damaged or of another shape."""
        root = Path(self.root)
        if not (root / "train.npy").is_file():
            raise missing(
                self.root,
                "no train.npy there",
                "an array of bytes [images, channels, height, width]",
                ("image_folder", "fashion_mnist", "mnist_5k"),
            )
        held_out = self._part(root, "test") if (root / "test.npy").is_file() else None
        return Parts(self._part(root, "train"), held_out)

    def _part(self, root: Path, name: str) -> Part:
        images, labels = map_array(root / f"{name}.npy"), root / f"{name}_labels.npy"
        if tuple(images.shape[1:]) != self.shape:
            raise BadInput(
                f"{root / name}.npy: images of {list(images.shape[1:])}, and dataset.source says"
                f" {list(self.shape)}; set image_size and channels"
            )
        classes = map_labels(labels, len(images)) if labels.is_file() else None
        return Part(images, classes, streams=True)
