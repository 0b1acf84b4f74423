"""Where a run stands: the content of its `status.json`."""

import math
from enum import StrEnum
from typing import Annotated, Any, NotRequired

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from gp_lab.machine import MOST_THREADS

_Step = Annotated[int, Field(ge=0, le=2**53)]


def _rate(value: Any) -> float | None:
    """A rate that one can reckon with; it is only shown, so another one is none."""
    return value if isinstance(value, float) and 0 < value < math.inf else None


class State(StrEnum):
    """Where a run stands, as `status.json` says it."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    DIVERGED = "diverged"
    PREEMPTED = "preempted"
    FAILED = "failed"


@with_config(ConfigDict(extra="allow"))
class Status(TypedDict):
    """The entries that something depends on; others may stand beside them.

    finished_at: the step at which the run was finished; it stays while the run is extended.
    rate: iterations a second.
    """

    state: State
    step: NotRequired[_Step]
    finished_at: NotRequired[_Step]
    began: NotRequired[_Step]
    format: NotRequired[Annotated[int, Field(ge=1, le=2**31)]]
    id: NotRequired[str]
    why: NotRequired[str]
    engine: NotRequired[str]
    threads: NotRequired[Annotated[int, Field(ge=1, le=MOST_THREADS)]]
    stack: NotRequired[_Step]
    rate: NotRequired[Annotated[float | None, BeforeValidator(_rate)]]
    job: NotRequired[str | None]


_STATUS = TypeAdapter(Status)


def parsed(text: bytes) -> dict[str, Any]:
    """The entries of a status.json. Raises ValueError, in one line, for what is none."""
    try:
        return dict(_STATUS.validate_json(text, strict=True))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, problem["loc"]))
        raise ValueError(f"{key}: {problem['msg']}" if key else problem["msg"]) from None
