"""What `lipschitz` asks of a loss (Eq. 10), decided from its slopes on an axis."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

CONDITIONS = (
    "phi rises", "phi is convex", "varphi falls", "varphi is convex", "slopes cancel somewhere"
)  # fmt: skip

_ROUNDING = 1e-12


def conditions(f: ArrayLike, phi_slope: ArrayLike, varphi_slope: ArrayLike) -> dict[str, bool]:
    """Which of the `CONDITIONS` of `lipschitz`, Eq. 10, hold: all of them for a loss of its kind.

    `f` `[n]` ascends; the slopes are phi' and varphi' there, `[n]`. They rise (phi' > 0), fall
    (varphi' < 0), are convex (neither slope ever sinks, to rounding) and phi'(a) + varphi'(a) = 0
    somewhere on the axis. Only what the axis covers is seen. Raises ValueError for shapes that do
    not match, fewer than two points, or an axis that does not ascend.
    """
    f, phi, varphi = _same(f, phi_slope, varphi_slope)
    total = phi + varphi
    size = np.abs(np.concatenate([phi, varphi])).max()
    found = (
        bool((phi > 0).all()),
        bool((np.diff(phi) >= -_ROUNDING * size).all()),
        bool((varphi < 0).all()),
        bool((np.diff(varphi) >= -_ROUNDING * size).all()),
        bool(total.min() <= _ROUNDING * size and total.max() >= -_ROUNDING * size),
    )
    return dict(zip(CONDITIONS, found, strict=True))


def free_offset(f: ArrayLike, phi: ArrayLike, varphi: ArrayLike, rise: float) -> float:
    """Length of the set of optimal offsets a: those of least phi(a) + varphi(a + rise).

    The problem of one fake and one real whose values differ by `rise` >= 0 (`lipschitz`, App. I).
    0 where the optimum is unique, else up to the whole axis (App. D: phi = x has a free offset).
    `phi` and `varphi` are the functions at the equally spaced `f` `[n]`; lengths are in its units,
    and as fine as its spacing. Raises ValueError as `conditions` does, and for a rise that does
    not fit on the axis.
    """
    f, phi, varphi = _same(f, phi, varphi)
    spacing = (f[-1] - f[0]) / (len(f) - 1)
    shift = round(rise / spacing)
    if not 0 <= shift < len(f):
        raise ValueError(f"rise={rise}: does not fit on an axis from {f[0]:g} to {f[-1]:g}")
    total = phi[: len(f) - shift] + varphi[shift:]
    best = f[: len(total)][total <= total.min() + _ROUNDING * (1 + np.abs(total.min()))]
    return float(best[-1] - best[0])


def _same(f: ArrayLike, a: ArrayLike, b: ArrayLike) -> tuple[Array, Array, Array]:
    f, a, b = (np.asarray(x, dtype=np.float64) for x in (f, a, b))
    if f.ndim != 1 or len(f) < 2 or not f.shape == a.shape == b.shape:
        raise ValueError(
            f"f, and two functions of it, [n] each: got {f.shape}, {a.shape}, {b.shape}"
        )
    if not (np.diff(f) > 0).all():
        raise ValueError("f: does not ascend")
    return f, a, b
