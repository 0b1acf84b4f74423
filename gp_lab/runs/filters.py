"""Which runs a command is about: words such as `penalty=none,one_gp`, `optimizer.lr=1e-4..1e-2`,
`'steps>=1000'`, `name~swiss` and `state=finished`, in one grammar for all commands.

A word with `=` is read as Hydra reads it (`gp_lab.overrides`): commas separate values, of which a
run has one. To that come ranges, and five more signs, which a shell needs quotes for (all but `~`).
"""

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from gp_lab.errors import BadInput, bad_choice, bad_key, show
from gp_lab.files import expanded
from gp_lab.overrides import choices_of, shortened
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import nameless
from gp_lab.runs.metrics import number
from gp_lab.runs.status import State

Flat = dict[str, Any]
"""Dotted keys of a config to leaves; the key of a node of a group to what was chosen there."""

T = TypeVar("T")

MOST_SHOWN = 12
"""Values of a key that a sentence names."""

NAME, STATE, STEP = "name", "state", "step"
"""What is known of a run beside its config: its folder's name, and where it stands."""

GRAMMAR = """\
KEY=VALUE        the runs that have it; KEY=A,B: one of these
KEY=LOW..HIGH    numbers of a range, both ends included; one may be left out, as in KEY=LOW..
'KEY>=NUMBER'    also <=, > and <; 'KEY!=A,B': none of these
KEY~TEXT         those that have the text in it, as name~swiss
state=STATE      of the run; name: of its folder; step: that it has come to
"""
"""What a filter can be, for the help of commands."""

_WORD = re.compile(r"(?!-)([\w./@:$-]+?)\s*(>=|<=|!=|=|~|>|<)(.*)", re.DOTALL | re.ASCII)

_COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}

_FIGURE = frozenset({"figure", "panel"})
"""First parts of keys that only runs of figures have."""


@dataclass(frozen=True)
class Filter:
    """A word that selects runs: `accepts` says whether a value of its key will do.

    numeric: whether it can only be of numbers.
    """

    word: str
    key: str
    accepts: Callable[[Any], bool]
    numeric: bool = False


def is_filter(word: str) -> bool:
    """Whether a word of a command has a key, a sign and a value."""
    return _WORD.match(word) is not None


def key_and_sign(word: str) -> tuple[str, str]:
    """The key of a filter and its sign; two empty texts for another word."""
    match = _WORD.match(word)
    return (match[1], match[2]) if match else ("", "")


def filters_of(words: Sequence[str], states: Sequence[str] = tuple(State)) -> list[Filter]:
    """What words select by; `states` are those that a run can be in. Raises `BadInput`."""
    return [_filter(word, states) for word in words]


def asks_for_figures(words: Sequence[str]) -> bool:
    """Whether words say which runs of figures they mean."""
    return any(key_and_sign(word)[0].partition(".")[0] in _FIGURE for word in words)


def belongs_to_figure(config: Mapping[str, Any]) -> bool:
    """Whether an entry asked for the run."""
    figure = config.get("figure")
    of = figure.get("id") if isinstance(figure, Mapping) else None
    return of is not None or config.get("panel") is not None


def facts(config: Mapping[str, Any], name: str, state: str, step: int) -> Flat:
    """What filters ask a run about. Keys of its config hide what has the same name beside it."""
    found = {NAME: name, STATE: state, STEP: step} | dict(flat(config))
    return found | {"figure": found.get("figure.id") or "none"}


def selected(found: Sequence[tuple[T, Flat]], filters: Sequence[Filter]) -> list[T]:
    """Those runs, each with its facts, that all filters accept.

    Raises `BadInput` for a key that no run has, or one that is to be a number and in no run is.
    """
    known = {key for _, has in found for key in has}
    for one in filters:
        if found and one.key not in known:
            node, _, _ = one.key.rpartition(".")
            beside = {key.rpartition(".")[2] for key in known if key.rpartition(".")[0] == node}
            raise bad_key(one.key, beside)
        values = [has[one.key] for _, has in found if one.key in has]
        if one.numeric and values and all(number(value) is None for value in values):
            raise BadInput(f"{one.word}: {one.key} is no number in any of these runs")
        found = [(run, has) for run, has in found if one.key in has and one.accepts(has[one.key])]
    return [run for run, _ in found]


def facts_of(run: RunFolder) -> Flat:
    """As `facts`, read from a run's folder. Raises `BadInput` if its config is damaged."""
    try:
        status = run.status
    except BadInput:
        status = {}
    state, step = status.get("state", State.FAILED), status.get("step", 0)
    return facts(run.config, run.path.name, str(state), step)


def readable(runs: Sequence[RunFolder]) -> list[Flat]:
    """The facts of runs, without those that are damaged."""
    found = list[Flat]()
    for run in runs:
        with suppress(BadInput, AttributeError, LookupError, RecursionError, TypeError):
            found.append(facts_of(run))
    return found


def none_left(found: Sequence[Flat], filters: Sequence[Filter]) -> str:
    """Which of the filters nothing passes that has passed those before it, and what there is."""
    for one in filters:
        passed = [has for has in found if one.key in has and one.accepts(has[one.key])]
        if not passed:
            there = {text_of(has[one.key]) for has in found if one.key in has}
            shown = sorted(there)[:MOST_SHOWN] + ["..."] * (len(there) > MOST_SHOWN)
            return f"{one.word}: no run has it; there is {one.key}={','.join(shown) or '?'}"
        found = passed
    return "no runs there"


def flat(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value): of a mapping with a name or a class first what that says."""
    if not isinstance(node, Mapping) or not node:
        yield key, nameless(node)
        return
    target = node.get("_target_")
    choice = node.get("name", target.rpartition(".")[2] if isinstance(target, str) else None)
    if key and choice is not None:
        yield key, choice
    for k, v in node.items():
        if k != "name":
            yield from flat(v, f"{key}.{k}" if key else str(k))


def _filter(word: str, states: Sequence[str]) -> Filter:
    match = _WORD.match(word)
    if not match:
        raise BadInput(f"{shortened(word)}: selects no runs; write KEY=VALUE, KEY~TEXT or KEY>=N")
    key, sign, written = match.groups()
    if sign in _COMPARED:
        bound, compared = _number(word, written), _COMPARED[sign]

        def beyond(value: Any) -> bool:
            return (x := number(value)) is not None and compared(x, bound)

        return Filter(word, key, beyond, numeric=True)
    if sign == "~":
        if not written:
            raise BadInput(f"{shortened(word)}: no text; write {key}~TEXT")
        text = written.casefold()
        return Filter(word, key, lambda value: text in text_of(value).casefold())
    (values,) = choices_of([f"{key}={written}"]).values()
    ranges = [r for value in values if (r := _range(word, value))]
    texts = {text_of(value) for value in values if not _range(word, value)}
    if key == STATE and (wrong := [text for text in texts if text not in states]):
        raise bad_choice(key, wrong[0], states)

    def accepts(value: Any) -> bool:
        x = number(value)
        inside = x is not None and any(low <= x <= high for low, high in ranges)
        return text_of(value) in texts or inside

    if sign == "!=":
        return Filter(word, key, lambda value: not accepts(value), numeric=not texts)
    return Filter(word, key, accepts, numeric=not texts)


def _range(word: str, value: Any) -> tuple[float, float] | None:
    """The ends of `LOW..HIGH`; None for another value. Raises `BadInput` for what is no range."""
    if not isinstance(value, str) or ".." not in value or "/" in value:
        return None
    low, _, high = value.partition("..")
    if not low and not high:
        raise BadInput(f"{shortened(word)}: a range without ends; write LOW..HIGH")
    ends = _number(word, low) if low else -math.inf, _number(word, high) if high else math.inf
    if ends[0] > ends[1]:
        raise BadInput(f"{shortened(word)}: an empty range; the lower end comes first")
    return ends


def _number(word: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise BadInput(f"{shortened(word)}: {shortened(text) or 'nothing'} is no number")
    return value


def text_of(value: Any) -> str:
    """A value as it is compared: 10 is 10.0, and `~` the home folder."""
    return expanded(show(nameless(value)))
