"""What a run was trained on, as `data.json` in its folder says it.

digest, unit, train, held_out, classes, characters, place   (`gp_lab.data.contents.Contents`)
others    where it went on with other data: the same entries of those, with `from_step`
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from gp_lab.data.contents import Contents
from gp_lab.errors import BadInput, one_line
from gp_lab.files import inside, read, write_atomically

DATA = "data.json"


def data_of(run: Path) -> list[Contents]:
    """What a run was trained on: first its own data, last those that it went on with.

    Empty where its folder does not say. Raises `BadInput` for a damaged file.
    """
    first, others = _read(run)
    return [_contents(entries) for entries in (first, *others) if entries]


def keep_data(run: Path, own: str, data: Contents, step: int) -> None:
    """Write that a run, whose own data have the digest `own`, goes on with these from `step` on.

    Raises `BadInput` where what is there is damaged.
    """
    first, others = _read(run)
    entries = {k: v for k, v in asdict(data).items() if v not in (None, (), "")}
    if not first:
        first = entries if data.digest == own else {"digest": own}
    others = [other for other in others if other["from_step"] < step]
    if [first, *others][-1]["digest"] != data.digest:
        others.append({"from_step": step} | entries)
    text = json.dumps(first | ({"others": others} if others else {}), indent=1)
    write_atomically(inside(run, DATA), f"{text}\n".encode())


def recorded_digest(run: Path) -> str | None:
    """The digest of a run's own data. Raises `BadInput` as `data_of` does."""
    known = data_of(run)
    return known[0].digest if known else None


def _read(run: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    path = inside(run, DATA)
    try:
        found = json.loads(read(path))
        others = found.pop("others", [])
        for entries in (found, *others):
            _contents(entries)
        steps = [other["from_step"] for other in others]
        if not all(isinstance(step, int) for step in steps):
            raise ValueError("its steps are no numbers")
    except (FileNotFoundError, NotADirectoryError):
        return {}, []
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise BadInput(
            f"{path}: does not say what the run was trained on ({one_line(error)}); put it back, or"
            " move it away to go on with the data that are there"
        ) from error
    return found, others


def _contents(entries: Mapping[str, Any]) -> Contents:
    """Raises `ValueError`, `TypeError` or `LookupError` for entries of other kinds."""
    known = {k: v for k, v in entries.items() if k in {f.name for f in fields(Contents)}}
    texts = [known["digest"], known.get("unit", ""), known.get("place", "")]
    numbers = [known.get(k) or 0 for k in ("train", "held_out")]
    lists = {k: tuple(known.get(k, ())) for k in ("classes", "characters")}
    texts += [*lists["classes"], *lists["characters"]]
    letters = lists["characters"][1:]
    if not (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(number, int) for number in numbers)
        and all(len(letter) == 1 for letter in letters)
    ):
        raise ValueError("an entry is of another kind")
    return Contents(**known | lists)
