"""What a data set holds: the digest that tells it from others, and what people call it by."""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

MOST = 8
"""Names of classes or characters in a sentence."""


@dataclass(frozen=True)
class Contents:
    """What a data set holds.

    Args:
        digest: 32 hexadecimal digits of what determines its samples, wherever its files lie.
        unit: what it has many of: `image`, `line`.
        train, held_out: how many; None where there is no such part, or nobody counted.
        classes: their names in the order of their numbers.
        characters: the vocabulary of a text in the order of its numbers.
        place: where it lay.
    """

    digest: str
    unit: str = "sample"
    train: int | None = None
    held_out: int | None = None
    classes: tuple[str, ...] = ()
    characters: tuple[str, ...] = ()
    place: str = ""


@runtime_checkable
class Holds(Protocol):
    """A data set, or a source of one, that can say what it holds: this is then its identity."""

    def contents(self) -> Contents | None:
        """None if it cannot say, after all. Raises `BadInput` where it is missing or damaged."""


def differences(before: Contents, now: Contents) -> str:
    """What has changed, in words."""
    found = []
    if before.train is not None:
        found += [
            f"{_number(then)} {part} {now.unit}s then, {_number(there)} now"
            for part, then, there in (
                ("training", before.train, now.train),
                ("held-out", before.held_out, now.held_out),
            )
            if then != there
        ]
    found += _came_and_went("classes", before.classes, now.classes)
    found += _came_and_went("characters", before.characters, now.characters)
    return "; ".join(found) or "other contents" + f", as many {now.unit}s" * bool(before.train)


def _number(count: int | None) -> str:
    return "no" if count is None else f"{count:,}"


def _came_and_went(what: str, before: Sequence[str], now: Sequence[str]) -> list[str]:
    sides = (("came", sorted({*now} - {*before})), ("went", sorted({*before} - {*now})))
    return [
        f"{what} that {verb}: {_listed(names)}" for verb, names in sides if names and before and now
    ]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(map(repr, names[:MOST])) + more


_looked_at: ContextVar[dict[Holds, Contents | None] | None] = ContextVar("looked_at", default=None)


@contextmanager
def looking() -> Iterator[None]:
    """While inside, `contents_of` looks at each data set once: a large one takes its time."""
    token = _looked_at.set({}) if _looked_at.get() is None else None
    try:
        yield
    finally:
        if token:
            _looked_at.reset(token)


def contents_of(data: Holds) -> Contents | None:
    """What a data set, or a source, holds now. Raises `BadInput` as it does."""
    known = _looked_at.get()
    if known is None or not isinstance(data, Hashable):
        return data.contents()
    if data not in known:
        known[data] = data.contents()
    return known[data]
