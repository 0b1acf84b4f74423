"""Statistics of real data that are worked out once: caches named by a fingerprint of the data."""

import hashlib
import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from gp_lab.evaluation.frechet import Moments
from gp_lab.files import alone, opened, replacing

FORMAT = 1

T = TypeVar("T")

_ONCE: WeakKeyDictionary[Any, dict[Hashable, Any]] = WeakKeyDictionary()


def fingerprint(parts: Iterable[Tensor | str]) -> str:
    """SHA-256 of tensors (type, shape and bits) and texts, in their order: 64 digits.

    The same data in other batches has another fingerprint. Tensors on a GPU are copied.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            header, data = f"text {len(part.encode())}\n", part.encode()
        else:
            array = np.ascontiguousarray(part.detach().cpu().numpy())
            header, data = f"{array.dtype.str} {array.shape}\n", array.tobytes()
        digest.update(header.encode())
        digest.update(data)
    return digest.hexdigest()


def once(of: object, key: Hashable, compute: Callable[[], T]) -> T:
    """What `compute` says of data, kept in memory under `key` for as long as the data are."""
    kept: dict[Hashable, T] = _ONCE.setdefault(of, {})
    if key not in kept:
        kept[key] = compute()
    return kept[key]


def cached_moments(folder: str | Path, key: str, compute: Callable[[], Moments]) -> Moments:
    """The moments kept in `folder` for `key`, worked out and kept where they are not there.

    `key` is a fingerprint of the data *and* of the features, as `fingerprint([images,
    network.identity])`. The file is `moments-<16 digits>.npz` with count, total, outer and the
    whole key, read without pickles; one that is damaged or another's is replaced, with a warning.
    They are on the CPU.
    """

    def check(kept: Mapping[str, np.ndarray]) -> None:
        count, total, outer = (kept[name] for name in ("count", "total", "outer"))
        if outer.shape != (len(total), len(total)) or count.shape != ():
            raise ValueError("its arrays do not match")

    kept = _cached(
        cache_path(folder, "moments", key, "npz"),
        key,
        lambda: {name: x.cpu().numpy() for name, x in vars(compute()).items()},
        check,
    )
    return Moments(*(torch.from_numpy(np.array(kept[k])) for k in ("count", "total", "outer")))


def cached_features(folder: str | Path, key: str, compute: Callable[[], Tensor]) -> Tensor:
    """Features `[n, d]` kept in `folder` for `key`, as `cached_moments`: `features-<...>.npz`."""

    def check(kept: Mapping[str, np.ndarray]) -> None:
        if kept["features"].ndim != 2:
            raise ValueError("its array does not match")

    path = cache_path(folder, "features", key, "npz")
    kept = _cached(path, key, lambda: {"features": compute().cpu().numpy()}, check)
    return torch.from_numpy(np.array(kept["features"]))


def _cached(
    path: Path,
    key: str,
    compute: Callable[[], Mapping[str, np.ndarray]],
    check: Callable[[Mapping[str, np.ndarray]], None],
) -> Mapping[str, np.ndarray]:
    with alone(path):
        if path.exists():
            try:
                with opened(path) as file, np.load(file, allow_pickle=False) as arrays:
                    if int(arrays["format"]) != FORMAT or str(arrays["key"]) != key:
                        raise ValueError("of another format or of other data")
                    kept = dict(arrays)
                check(kept)
                return kept
            except Exception as error:  # whatever is wrong with it, it can be made anew
                warnings.warn(f"{path}: worked out again ({error})", stacklevel=3)
        made = compute()
        keep(path, lambda file: np.savez(file, format=FORMAT, key=key, **made))  # type: ignore[arg-type]
        return made


def cache_path(folder: str | Path, what: str, key: str, ending: str) -> Path:
    """`<folder>/<what>-<first 16 digits of the key>.<ending>`."""
    return Path(folder) / f"{what}-{key[:16]}.{ending}"


def keep(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a file of a cache. Where it cannot be written a warning says so: nothing is lost."""
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            write(file)
    except OSError as error:
        warnings.warn(f"{path}: not kept ({error.strerror})", stacklevel=3)
