"""Euclidean distances between many samples, a chunk at a time, and who is nearest."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

# Distances held at once: 64 MiB of float64.
_CHUNK_ENTRIES = 1 << 23


class Nearest(NamedTuple):
    """distance `[n]`, float64, of each sample to its nearest one; which one `[n]`, int64."""

    distance: Tensor
    which: Tensor


def as_rows(x: Tensor) -> Tensor:
    """Samples `[n, ...]` as `[n, d]` in float64. Raises ValueError for a scalar."""
    if x.ndim < 1:
        raise ValueError("samples [n, ...] wanted, got a scalar")
    return x.detach().double().unsqueeze(1).flatten(1)


def matching_rows(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both as rows `[n, d]`, `[m, d]`. Raises ValueError where the samples' shapes differ."""
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(
            f"samples of shape {list(a.shape[1:])} and {list(b.shape[1:])} cannot be compared"
        )
    return as_rows(a), as_rows(b)


def in_chunks(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows of `a` `[n, d]` and their distances to all of `b` `[m, d]`: (rows, `[rows, m]`).

    By matrix products, in float64: equal rows are found at 1e-8 times their norm, not always at 0.
    """
    rows = max(1, _CHUNK_ENTRIES // max(1, len(b)))
    for start in range(0, len(a), rows):
        chunk = slice(start, min(start + rows, len(a)))
        yield chunk, torch.cdist(a[chunk], b)


def nearest(samples: Tensor, among: Tensor, leave_out_self: bool = False) -> Nearest:
    """The nearest of `among` `[m, ...]` to each sample `[n, ...]`.

    `leave_out_self`: the two are one set, and no sample is its own neighbour. The distance to the
    one found is computed anew from their difference, so that of equal samples is 0. NaN and -1 for
    a sample that is not finite. Raises ValueError where shapes differ or nobody is left.
    """
    a, b = matching_rows(samples, among)
    if len(b) < 1 + leave_out_self:
        raise ValueError(f"{len(b)} samples to look among: too few")
    distance = torch.full((len(a),), torch.nan, dtype=torch.float64, device=a.device)
    which = torch.full((len(a),), -1, dtype=torch.int64, device=a.device)
    finite = a.isfinite().all(1)
    for rows, found in in_chunks(a, b):
        if leave_out_self:
            without_self(found, rows)
        closest = found.nan_to_num(torch.inf, torch.inf).argmin(1)
        exact = (a[rows] - b[closest]).norm(dim=1)
        distance[rows] = torch.where(finite[rows], exact, torch.nan)
        which[rows] = torch.where(finite[rows], closest, -1)
    return Nearest(distance, which)


def radii(x: Tensor, k: int) -> Tensor:
    """Distance of each of `[n, d]` to its k-th nearest other one `[n]`.

    Raises ValueError unless 1 <= k < n.
    """
    if not 1 <= k < len(x):
        raise ValueError(f"k={k}: must lie between 1 and {len(x) - 1}, as there are {len(x)}")
    found = torch.empty(len(x), dtype=torch.float64, device=x.device)
    for rows, distance in in_chunks(x, x):
        found[rows] = without_self(distance, rows).kthvalue(k, dim=1).values
    return found


def without_self(distance: Tensor, rows: slice) -> Tensor:
    """Distances `[rows, n]` of a set to itself, those of a sample to itself set to infinity."""
    here = torch.arange(rows.start, rows.stop, device=distance.device)
    distance[here - rows.start, here] = torch.inf
    return distance
