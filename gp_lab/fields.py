"""Kinds of numbers that configs hold, and roles of their keys, said once beside a field.

`lr: Annotated[Positive, Stackable]` is a number above 0 that the runs of a stack may differ in.
"""

from functools import cache
from typing import Annotated, Any, get_type_hints

from pydantic import AfterValidator, Field

from gp_lab.files import expanded

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=10**8)]
CountOrZero = Annotated[int, Field(ge=0, le=10**8)]
Few = Annotated[int, Field(ge=1, le=10**4)]
"""How many there are of what is made one by one: layers, blocks, modes."""
FewOrZero = Annotated[int, Field(ge=0, le=10**4)]
Steps = Annotated[int, Field(ge=1, le=10**12)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
PathText = Annotated[str, Field(min_length=1), AfterValidator(expanded)]
"""A path: `~` at its start is the home folder."""


class Role:
    """What a key is for, said once beside its field: `lr: Annotated[Positive, Stackable]`.

    A key without a role is computed with, and alike for all runs of a stack and ranks of a run.
    """


class Execution(Role):
    """How a run is made, or for whom: no part of its identity."""


class Stackable(Role):
    """The runs of one stack may differ in it; a number of a dataclass becomes a tensor there."""


class PerRank(Role):
    """Only rank 0 obeys it, or each rank reads it in its own way."""


class Budget(Role):
    """How long, or how often; claims about exact objects do not depend on it."""


class Place(Role):
    """Where files lie: another one may hold the same."""


class Check(Role):
    """By what it is known what files hold."""


def keys(target: type, *roles: type[Role]) -> frozenset[str]:
    """The fields of a class, or keys of a `TypedDict`, that have one of these roles."""
    return frozenset(
        name
        for name, hint in _annotations(target).items()
        if any(role in getattr(hint, "__metadata__", ()) for role in roles)
    )


@cache
def _annotations(target: type) -> dict[str, Any]:
    return get_type_hints(target, include_extras=True)
