"""The words `key=value` of every command, read in one grammar: that of Hydra's overrides.

https://hydra.cc/docs/advanced/override_grammar/basic/ says what quotes, commas, brackets and braces
mean. One thing is added: a value may begin with `~` without quotes, as paths do in a shell; what it
stands for is for the keys that are paths to say (`gp_lab.files.path_of`).
"""

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, Quote, QuotedString
from hydra.errors import HydraException

from gp_lab.errors import BadInput, one_line

KEY = re.compile(r"[\w./@:$-]+", re.ASCII)
"""What a key is made of."""

LONGEST = 60
"""Characters of a word in a sentence about it."""

MOST = 100_000
"""Values of a sweep; more are a slip of the keyboard."""

_TILDE = re.compile(
    r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?<=[=,\[(])(\s*)(~[^,\[\](){}"'\\]*)""",
)
"""A quoted text; or what begins with `~` outside of quotes, up to the end of an element."""


def parse(words: Sequence[str]) -> list[Override]:
    """Each word as Hydra reads it. Raises `BadInput` for one that is no `key=value` (or `~key`)."""
    return [_parsed(word) for word in words]


def values(words: Sequence[str]) -> dict[str, Any]:
    """Key -> value of words that give one value each; of a key that comes twice, the last.

    Raises `BadInput` for other words, several values, or keys that are to be added or deleted.
    """
    found = {}
    for override in parse(words):
        if override.is_sweep_override():
            raise BadInput(
                f"{shortened(str(override.input_line))}: several values, and one is wanted; a list"
                " is written [a,b]"
            )
        found[_key(override)] = override.value()
    return found


def choices_of(words: Sequence[str]) -> dict[str, list[Any]]:
    """Key -> the values that words name, `seed=0,1` two of them. Raises `BadInput` as `values`."""
    found = {}
    for override in parse(words):
        key, several = _key(override), override.is_sweep_override()
        found[key] = (
            [values([f"{key}={one}"])[key] for one in each(override)]
            if several
            else [override.value()]
        )
    return found


def each(sweep: Override) -> list[str]:
    """The values of a sweep, as they would be written. Raises `BadInput` if none can be listed."""
    text, key = shortened(str(sweep.input_line)), sweep.get_key_element()
    if not sweep.is_discrete_sweep():
        raise BadInput(f"{text}: a sweep lists its values, as {key}=1,2 or range(3)")
    try:
        found = list(islice(sweep.sweep_string_iterator(), MOST + 1))
    except (HydraException, ValueError, ArithmeticError) as error:
        raise BadInput(f"{text}: not the values of a sweep ({one_line(error)})") from error
    if not found:
        raise BadInput(f"{text}: there is no value in this sweep")
    if len(found) > MOST:
        raise BadInput(f"{text}: more than {MOST} values")
    return found


def unquoted(override: Override) -> str:
    """The word, its value without quotes that change nothing: `dataset=mnist` for
    `dataset='mnist'`."""
    text = str(override.input_line)
    key, _, written = text.partition("=")
    value = None if override.is_sweep_override() else override.value()
    if not isinstance(value, str) or written[:1] not in ("'", '"'):
        return text
    try:
        bare = _parsed(plain := f"{key}={value}")
    except BadInput:
        return text
    same = bare.input_line == plain and not bare.is_sweep_override() and bare.value() == value
    return plain if same and value == value.strip() != "" else text


def quoted(value: str) -> str:
    """A text as the value of an override, whatever it holds."""
    return str(QuotedString(text=value, quote=Quote.double).with_quotes())


def group_of(word: str) -> str:
    """The first part of a word's key: `penalty` of `+penalty.weight=1`."""
    return re.split(r"[=./@]", word.lstrip("+~"))[0]


def whole_number(written: str, value: Any, least: int, most: int) -> int:
    """The value of a word, `written` as it stands in the sentence. Raises `BadInput`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadInput(f"{shortened(written)}: not a whole number")
    if not least <= value <= most:
        bound = f"at least {least}" if value < least else f"at most {most}"
        raise BadInput(f"{shortened(written)}: must be {bound}")
    return value


def number_behind(flag: str, text: str, least: int, most: int) -> int:
    """The whole number that stands behind a flag. Raises `BadInput`."""
    return whole_number(f"{flag} {text}", value_of(text), least, most)


def value_of(text: str) -> Any:
    """The value that a text is in an override; the text itself if it is none."""
    try:
        return values([f"n={text}"])["n"]
    except BadInput:
        return text


def shortened(text: str) -> str:
    """A word for a sentence: its beginning, if it is long."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _parsed(word: str) -> Override:
    key, equals, _ = word.partition("=")
    short, bare = shortened(word), key.lstrip("+~")
    if not bare.strip() or not (equals or word.startswith("~")):
        raise BadInput(f"{short}: not an override; write key=value")
    if not KEY.fullmatch(bare):
        raise BadInput(
            f"{short}: cannot be read as key=value; a key has letters, digits, _ and dots, and no"
            " spaces"
        )
    try:
        (override,) = OverridesParser.create().parse_overrides([_with_quoted_tildes(word)])
    except (HydraException, RecursionError, ValueError) as error:
        raise unreadable(word, error) from error
    if not override.key_or_group:
        raise BadInput(f"{short}: not an override; write key=value")
    return override


def _key(override: Override) -> str:
    """The key of a word that sets it. Raises `BadInput` for one that adds or deletes it."""
    if override.type != OverrideType.CHANGE or override.package is not None:
        text = shortened(str(override.input_line))
        raise BadInput(f"{text}: write key=value, without + or ~ or @ before the =")
    return str(override.key_or_group)


def unreadable(word: str, error: Exception) -> BadInput:
    """The sentence for a word that Hydra's parser refuses, with what to write instead."""
    key, _, value = word.partition("=")
    if isinstance(error, RecursionError):
        hint = "it is nested too deeply"
    elif isinstance(error, ValueError):  # Python reads no integers of thousands of digits
        hint = "it has too many digits"
    elif why := re.search(r"while evaluating .*: (.*)", str(error)):
        hint = why[1]
    elif value.strip() and not re.search(r"""["'\[\](){},]""", value):
        hint = f"such a text needs quotes: '{shortened(f'{key}={quoted(value)}')}'"
    else:
        hint = "check its quotes, brackets and commas"
    return BadInput(f"{shortened(word)}: cannot be read as key=value; {hint}")


def _with_quoted_tildes(word: str) -> str:
    def quote(found: re.Match[str]) -> str:
        inside, space, path = found.groups()
        return inside or f"{space}{quoted(path.rstrip())}"

    key, equals, value = word.partition("=")
    return key + _TILDE.sub(quote, equals + value)
