"""What a test of a sentence finds: the interval of a quantity against the region it claims."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from gp_lab.evaluation.intervals import Interval

MIN_SEEDS = 5
"""Fewer decide nothing."""


class Verdict(StrEnum):
    """What the measurements say about a sentence."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    INCONCLUSIVE = "inconclusive"
    NEEDS_MINIATURE = "needs scale=miniature"
    NEEDS_PAPER = "needs scale=paper"


@dataclass(frozen=True)
class Test:
    """A verdict and all that it rests on: the quantity, its interval, and the test used."""

    __test__: ClassVar[bool] = False  # or pytest collects it

    verdict: Verdict
    interval: Interval
    method: str
    quantity: str = ""
    n_dropped: int = 0

    @property
    def n(self) -> int:
        """How many seeds (pairs, trials) count; the others are left out."""
        return self.interval.n

    def __str__(self) -> str:
        dropped = f", {self.n_dropped} left out" if self.n_dropped else ""
        quantity = f"{self.quantity} = " if self.quantity else ""
        return f"{self.verdict}: {quantity}{self.interval}{dropped}; {self.method}"


def verdict(interval: Interval, above: float, below: float) -> Verdict:
    """Of the sentence that a quantity with this interval lies between `above` and `below`."""
    if interval.n < MIN_SEEDS:
        return Verdict.INCONCLUSIVE
    if above < interval.low and interval.high < below:
        return Verdict.SUPPORTED
    if interval.high < above or interval.low > below:
        return Verdict.NOT_SUPPORTED
    return Verdict.INCONCLUSIVE
