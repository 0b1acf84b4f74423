"""What the tests of refused commands share."""

from collections.abc import Callable

Refused = Callable[..., str]
"""Runs a command that has to be refused; the sentence (the fixture `refused` of system/cli)."""

SMALL = ["architecture.width=8", "threads=1", "tracking=none", "steps=2", "out=out"]
"""What a command has to say beside what is wrong with it."""
