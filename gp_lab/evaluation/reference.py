"""Statistics of real data that are worked out once: caches named by a fingerprint of the data."""

import hashlib
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gp_lab.evaluation.frechet import Moments
from gp_lab.files import replacing

FORMAT = 1


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


def cached_moments(folder: str | Path, key: str, compute: Callable[[], Moments]) -> Moments:
    """The moments kept in `folder` for `key`, worked out and kept where they are not there.

    `key` is a fingerprint of the data *and* of the features, as `fingerprint([images,
    network.identity])`. The file is `moments-<16 digits>.npz` with count, total, outer and the
    whole key, read without pickles; one that is damaged or another's is replaced, with a warning.
    """
    path = cache_path(folder, "moments", key, "npz")
    if path.exists():
        try:
            with np.load(path, allow_pickle=False) as kept:
                if int(kept["format"]) != FORMAT or str(kept["key"]) != key:
                    raise ValueError("of another format or of other data")
                count, total, outer = (kept[name] for name in ("count", "total", "outer"))
            if outer.shape != (len(total), len(total)) or count.shape != ():
                raise ValueError("its arrays do not match")
            return Moments(*(torch.from_numpy(np.array(x)) for x in (count, total, outer)))
        except Exception as error:  # whatever is wrong with it, it can be made anew
            warnings.warn(f"{path}: worked out again ({error})", stacklevel=2)
    moments = compute()
    arrays = {name: getattr(moments, name).cpu().numpy() for name in ("count", "total", "outer")}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, format=FORMAT, key=key, **arrays)
    return moments


def cache_path(folder: str | Path, what: str, key: str, ending: str) -> Path:
    """`<folder>/<what>-<first 16 digits of the key>.<ending>`."""
    return Path(folder) / f"{what}-{key[:16]}.{ending}"
