"""Which checkpoints stay beside the last two: each of `keep_every`, and the best of `keep_best`.

`checkpoints/kept.json` names them. A checkpoint is on the disk before it is named there, and the
one whose place it takes is dropped after: a kill at any moment leaves the old best or the new one.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from gp_lab.errors import BadInput, bad_choice, one_line
from gp_lab.files import read, write_atomically
from gp_lab.runs.folder import LARGEST_TEXT, RunFolder
from gp_lab.runs.metrics import newest_first, number
from gp_lab.runs.settings import Settings

NAME = "kept.json"

BEST, LAST = "best", "last"
"""What may stand in the place of a checkpoint's step."""

_Step = Annotated[int, Field(ge=0, le=2**53)]


class Best(TypedDict):
    """The step of a best checkpoint, and the value of its score there."""

    step: _Step
    value: FiniteFloat


class Kept(TypedDict):
    """every: steps; best: of each score that was asked for, the one asked for last at the end."""

    every: list[_Step]
    best: dict[str, Best]


_KEPT = TypeAdapter(Kept)


def kept(folder: RunFolder) -> Kept:
    """What `kept.json` says; nothing is kept without it. Raises `BadInput` if it is damaged."""
    path = folder.inside("checkpoints", NAME)
    try:
        return _KEPT.validate_json(read(path, LARGEST_TEXT), strict=True)
    except (FileNotFoundError, NotADirectoryError):
        return {"every": [], "best": {}}
    except (OSError, ValidationError) as error:
        why = "another content" if isinstance(error, ValidationError) else one_line(error)
        raise BadInput(
            f"{path}: does not say which checkpoints are kept ({why}); without it, moved away, a"
            " run that goes on keeps its last two: copy the others first"
        ) from error


def checkpoint_name(step: int) -> str:
    """The name of a checkpoint's file."""
    return f"step-{step:08d}.pt"


def kept_steps(folder: RunFolder) -> frozenset[int]:
    """The steps of the checkpoints that stay. Raises `BadInput` as `kept` does."""
    found = kept(folder)
    return frozenset(found["every"]) | {best["step"] for best in found["best"].values()}


def best_step(folder: RunFolder) -> int:
    """The step of the best checkpoint, by the score that was asked for last.

    Raises `BadInput` where there is none.
    """
    if not (best := kept(folder)["best"]):
        raise BadInput(
            f"{folder.path}: no best checkpoint; keep_best=SCORE keeps one while a run trains"
        )
    return list(best.values())[-1]["step"]


def note(folder: RunFolder, settings: Settings, values: Mapping[int, float | None]) -> None:
    """Name those of some checkpoints that are to stay.

    `values`: their steps, in order, with what the score of `keep_best` is there, None where it was
    not measured. Of equal values the first one stays.
    """
    before = kept(folder)
    every = settings.keep_every
    steps = {*before["every"], *(step for step in values if every and step % every == 0)}
    now: Kept = {"every": sorted(steps), "best": dict(before["best"])}
    if (name := settings.keep_best) and (best := _best(name, now["best"].pop(name, None), values)):
        now["best"][name] = best
    _write(folder, before, now)


def _best(name: str, best: Best | None, values: Mapping[int, float | None]) -> Best | None:
    from gp_lab.runs.scores import better  # and with it SciPy: not for every run

    sign = better(name) or 0
    for step, value in values.items():
        if value is not None and (best is None or sign * (value - best["value"]) > 0):
            best = {"step": step, "value": value}
    return best


def cut(folder: RunFolder, step: int) -> None:
    """Keep nothing of what is later than a step: the run goes on from there."""
    before = kept(folder)
    best = {name: best for name, best in before["best"].items() if best["step"] <= step}
    _write(folder, before, {"every": [s for s in before["every"] if s <= step], "best": best})


def _write(folder: RunFolder, before: Kept, now: Kept) -> None:
    if json.dumps(before) != (text := json.dumps(now)):
        write_atomically(folder.inside("checkpoints", NAME), f"{text}\n".encode())


def value_at(folder: RunFolder, step: int, name: str | None) -> float | None:
    """The value of a metric at the run's newest step, if that is `step`; None if it has none."""
    for line in newest_first(folder.inside("metrics.jsonl")):
        if name is None or line.get("step") != step:
            break
        if (value := number(line.get(name))) is not None:
            return value
    return None


def check_best(name: str | None, probes: Mapping[str, Any]) -> None:
    """Raises `BadInput` for a score that a run with these probes does not measure, or of which
    nobody can say which way is better."""
    if name is None:
        return
    from gp_lab.runs.scores import KNOWN, better

    if better(name) is None:
        measured = [score for score in KNOWN if score.partition("/")[0] in probes]
        raise bad_choice("keep_best", name, measured or KNOWN)
    if (probe := name.partition("/")[0]) not in probes:
        names = ",".join([*probes, probe])
        raise BadInput(f"keep_best={name}: this run has no probe {probe}; add it, probe=[{names}]")
