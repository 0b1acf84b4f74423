"""What suits this machine, found by timing a few iterations where a run or a stack begins.

On a machine that others use, or between cores that share their memory, several threads may be
slower than one; larger networks may gain nothing from a stack.
"""

import time
from collections.abc import Callable, Sequence

import torch

WORTH = 100
"""Shorter runs are not measured: a trial takes about as long as three iterations, or a second."""

SECONDS = 1.0
"""After so long of timing no other round is begun."""

ROUNDS = 5


def seconds_each(ways: Sequence[Callable[[], object]]) -> list[float]:
    """Of each way the least seconds of a few calls, by turns, after a first one of all."""
    least = [float("inf")] * len(ways)
    for way in ways:
        way()
    began = time.perf_counter()
    for _ in range(ROUNDS):
        for i, way in enumerate(ways):
            start = time.perf_counter()
            way()
            least[i] = min(least[i], time.perf_counter() - start)
        if time.perf_counter() - began > SECONDS:
            break
    return least


def quickest_threads(iterate: Callable[[], object], most: int) -> tuple[int, str]:
    """One thread or `most`, whichever iterates quicker here, and the reason; sets none."""
    before = torch.get_num_threads()

    def with_threads(count: int) -> None:
        torch.set_num_threads(count)
        iterate()

    try:
        one, all_ = seconds_each([lambda: with_threads(1), lambda: with_threads(most)])
    finally:
        torch.set_num_threads(before)
    said = f"an iteration takes {one:.2g} s with 1 thread and {all_:.2g} s with {most}"
    return (1 if one < all_ else most), said
