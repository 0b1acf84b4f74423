"""Image sets as mapped arrays: made once from pictures, then read row by row without a loader."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from gp_lab.data.contents import Contents, contents_of
from gp_lab.data.decoding import Holding, Pictures
from gp_lab.data.digests import Digest, combined, of_each, of_files, state_of
from gp_lab.data.sources import Missing, Part, Parts, Shape, missing
from gp_lab.errors import BadInput
from gp_lab.fields import Count, PathText
from gp_lab.files import write_atomically
from gp_lab.instantiate import Checked

FORMAT = 2
"""Of the arrays and of the JSON file beside each; the first one does not say which pictures they
were made of."""

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
    @property
    def download(self) -> bool: ...
    def pictures(self, part: str) -> Pictures: ...
    def contents(self) -> Contents: ...


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

    Raises `BadInput` as `prepared_holdings` does, and where an array is damaged.
    """
    folder = prepared_folder(source)
    if not (folder / "train.json").exists():
        return None
    contents_of(source)
    parts = {name: _mapped(folder, name, source) for name in _parts(source)}
    return Parts(parts["train"], parts.get("test"))


def prepared_holdings(source: Preparable) -> dict[str, Holding] | None:
    """What the pictures were that a source's arrays, `train` and `test`, were made of.

    None if it was not prepared. Raises `BadInput` where preparation was broken off, where the
    arrays are not those that it made, and where the pictures are there and are others now.
    """
    folder = prepared_folder(source)
    if not (folder / "train.json").exists():
        return None
    return {name: _holding(folder, name, source, below) for name, below in _parts(source).items()}


def prepare(
    source: Preparable,
    pictures: Callable[[str], Pictures],
    decoder: Decoder,
    chunk: int = 256,
) -> Path:
    """Write a source's arrays, going on where an earlier call was broken off; returns the folder.

    `<part>.npy` is uint8 [N, C, H, W], `<part>_labels.npy` int64 [N] where there are classes,
    `<part>_files.npy` uint8 [files, 24] the digests of the names (8 bytes) and of the bytes (16) of
    the files that they were made of. `<part>.json` says how far the array is, and carries the
    digests of the pictures and of the arrays. Other pictures, or arrays that were changed, start
    the part again.

    Args:
        source: where the pictures are and how they are cut.
        pictures: part -> its pictures.
        decoder: (pictures, source, part, start) -> (index, uint8 [k, C, H, W]), from `start` on.
        chunk: pictures between two notes of progress, at least.

    Raises `BadInput` naming a picture that cannot be used; what was done before it stays.
    """
    folder = prepared_folder(source)
    folder.mkdir(parents=True, exist_ok=True)
    for part, below in reversed(_parts(source).items()):
        _prepare_part(folder, part, source, pictures(below), decoder, below, chunk)
    return folder


def _parts(source: Preparable) -> dict[str, str]:
    """The parts that a source has, and where they are below its root."""
    return {"train": source.train} | ({} if source.test is None else {"test": source.test})


def _prepare_part(
    folder: Path,
    part: str,
    source: Preparable,
    pictures: Pictures,
    decoder: Decoder,
    below: str,
    chunk: int,
) -> None:
    shape = [len(pictures.names), *source.shape]
    state = state_of(pictures.files, Path(source.root))
    each = of_each(pictures.files)
    note = {
        "format": FORMAT,
        "settings": _settings(source),
        "shape": shape,
        "labels": pictures.labels is not None,
        "classes": list(pictures.classes),
        "pictures": pictures.holding(each).digest,
    }
    path, array = folder / f"{part}.json", folder / f"{part}.npy"
    before = _read_note(path) if path.exists() else {}
    same = array.exists() and {k: before.get(k) for k in note} == note
    if same and "arrays" in before:
        same = before["arrays"] == _of_arrays(folder, part, note)
    done = int(before["done"]) if same else 0
    if not same and path.exists():
        path.unlink()  # before the array it speaks of is replaced
    images = np.lib.format.open_memmap(
        array, mode="r+" if same else "w+", dtype=np.uint8, shape=None if same else tuple(shape)
    )
    if pictures.labels is not None and not same:
        np.save(folder / f"{part}_labels.npy", pictures.labels.astype(np.int64))
    np.save(folder / f"{part}_files.npy", _record(pictures, source, each))
    _write_note(path, note | {"done": done})
    noted = done
    for start, some in decoder(pictures, source, below, done):
        images[start : start + len(some)] = some
        done = start + len(some)
        if done - noted >= chunk or done == shape[0]:
            images.flush()
            _write_note(path, note | {"done": done})
            noted = done
    del images
    arrays = _of_arrays(folder, part, note)
    _write_note(path, note | {"done": done, "arrays": arrays, "state": state})


def _settings(source: Preparable) -> dict[str, Any]:
    """All that the pixels depend on; arrays that lie in the root may move with it."""
    fields: dict[str, Any] = asdict(source)  # type: ignore[call-overload]
    kept = {k: v for k, v in fields.items() if k not in ("root", "prepared", "download")}
    root = {} if source.prepared is None else {"root": str(Path(source.root).resolve())}
    return {"source": type(source).__name__} | kept | root


def _of_arrays(folder: Path, part: str, note: dict[str, Any]) -> str:
    """The digest of the arrays of a part."""
    names = [f"{part}.npy"] + [f"{part}_labels.npy"] * note["labels"]
    return of_files([folder / name for name in names]).value


def _record(pictures: Pictures, source: Preparable, each: list[Digest]) -> np.ndarray:
    """uint8 [files, 24]: the digest of the name of each file, and that of its bytes."""
    root = os.path.abspath(source.root)
    names = (os.path.abspath(path).removeprefix(root) for path in pictures.files)
    rows = (combined(name)[:16] + found.value for name, found in zip(names, each, strict=True))
    return np.frombuffer(bytes.fromhex("".join(rows)), np.uint8).reshape(-1, 24)


def _holding(folder: Path, part: str, source: Preparable, below: str) -> Holding:
    note = _whole_note(folder, part, source)
    arrays = _of_arrays(folder, part, note)
    if note["format"] == 1:
        logging.getLogger(__name__).warning(
            f"{folder}: its arrays do not say which pictures they were made of; python"
            " scripts/prepare.py makes them anew, with pictures turned upright"
        )
        return Holding(combined("arrays", arrays), note["shape"][0])
    if arrays != note["arrays"]:
        raise BadInput(
            f"{folder / part}.npy: not the array (or labels) that scripts/prepare.py made; run it"
            " again"
        )
    if source.download:
        source = replace(source, download=False)  # type: ignore[type-var]
    try:
        pictures = source.pictures(below)
    except Missing:  # the arrays were moved without them
        return Holding(note["pictures"], note["shape"][0], tuple(note["classes"]))
    state = state_of(pictures.files, Path(source.root))
    if not (state and state == note["state"]):
        each = of_each(pictures.files)
        if pictures.holding(each).digest != note["pictures"]:
            changed = _changes(folder / f"{part}_files.npy", _record(pictures, source, each))
            raise BadInput(
                f"{folder}: its {part} arrays were made of other images than there are now"
                f"{changed}; run scripts/prepare.py again"
            )
    return Holding(note["pictures"], note["shape"][0], pictures.classes)


def _changes(path: Path, now: np.ndarray) -> str:
    """How many files were added, removed and changed since a record was written to a file."""
    try:
        before = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return ""

    def names(record: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(record[:, :8]).view(np.uint64)[:, 0]

    both, i, j = np.intersect1d(names(before), names(now), return_indices=True)
    counts = {
        "added": len(now) - len(both),
        "removed": len(before) - len(both),
        "changed": int((before[i] != now[j]).any(axis=1).sum()),
    }
    return " (" + ", ".join(f"{n:,} {what}" for what, n in counts.items() if n) + ")"


def _write_note(path: Path, note: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(note, indent=1) + "\n").encode())


def _read_note(path: Path) -> dict[str, Any]:
    try:
        note = json.loads(path.read_text())
    except (OSError, ValueError):
        note = None
    if not isinstance(note, dict) or note.get("format") not in (1, FORMAT):
        raise BadInput(f"{path}: not a note of scripts/prepare.py; remove its folder and run it")
    return note


def _whole_note(folder: Path, part: str, source: Preparable) -> dict[str, Any]:
    """What is noted of a part that was prepared to its end, as the source says."""
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
    if note["done"] < n or (note["format"] > 1 and "arrays" not in note):
        raise BadInput(
            f"{folder}: preparation stopped at {note['done']} of {n} {part} images; run"
            " scripts/prepare.py again, it goes on from there"
        )
    return note


def _mapped(folder: Path, part: str, source: Preparable) -> Part:
    note = _whole_note(folder, part, source)
    images = map_array(folder / f"{part}.npy")
    if list(images.shape) != note["shape"] or tuple(images.shape[1:]) != source.shape:
        raise BadInput(f"{folder / part}.npy: holds {list(images.shape)}, not {note['shape']}")
    n = note["shape"][0]
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
class ImageArray(Checked):
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

    def contents(self) -> Contents:
        """The digest is of the files' bytes. Raises `BadInput` as `load` does."""
        parts, root = self.load(), Path(self.root)
        names = ("train", "train_labels", "test", "test_labels")
        files = {name: path for name in names if (path := root / f"{name}.npy").is_file()}
        digests = (f"{name} {of_files([path]).value}" for name, path in files.items())
        held_out = None if parts.held_out is None else len(parts.held_out.images)
        return Contents(
            combined("arrays", *digests),
            "image",
            len(parts.train.images),
            held_out,
            place=os.path.abspath(root),
        )

    def _part(self, root: Path, name: str) -> Part:
        images, labels = map_array(root / f"{name}.npy"), root / f"{name}_labels.npy"
        if tuple(images.shape[1:]) != self.shape:
            raise BadInput(
                f"{root / name}.npy: images of {list(images.shape[1:])}, and dataset.source says"
                f" {list(self.shape)}; set image_size and channels"
            )
        classes = map_labels(labels, len(images)) if labels.is_file() else None
        return Part(images, classes, streams=True)
