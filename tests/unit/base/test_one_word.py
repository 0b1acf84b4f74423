"""One `key=value` means what it means in Hydra's grammar, or is refused in one sentence."""

import re

import pytest

from gp_lab.errors import BadInput
from gp_lab.launching.arguments import parse_arguments
from gp_lab.overrides import choices_of, parse, quoted, unquoted, values


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("k=a b", "a b"),
        ("k='a b'", "a b"),
        ('k="a=b, [c]"', "a=b, [c]"),
        (r"k=a\=b\,c", "a=b,c"),
        (r"k='it\'s'", "it's"),
        ("k=[a,'b c',3]", ["a", "b c", 3]),
        ("k={a:1}", {"a": 1}),
        ("k=", ""),
        ("k=''", ""),
        ("k= 5 ", 5),
        ("k=1_000", 1000),
        ("k=1e3", 1000.0),
        ("k='5'", "5"),
        ("k=null", None),
        ("k='null'", "null"),
        ("k=true", True),
        ("k=~", "~"),
        ("k=~/a b", "~/a b"),
        ("k='~/a'", "~/a"),
        ("k=[~/a, '~/b']", ["~/a", "~/b"]),
        ("k=~/a=b", "~/a=b"),
        ("k='\N{LATIN SMALL LETTER U WITH DIAERESIS}'", "\N{LATIN SMALL LETTER U WITH DIAERESIS}"),
    ],
)
def test_a_value_is_what_hydra_reads(word: str, value: object) -> None:
    assert values([word]) == {"k": value}
    assert type(values([word])["k"]) is type(value)


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("k", "k: not an override; write key=value"),
        ("", ": not an override"),
        ("=3", "=3: not an override"),
        ("@k=3", "@k=3: not an override"),
        ("~", "~: not an override"),
        ("k =3", "k =3: cannot be read as key=value; a key has letters"),
        (" k=3", " k=3: cannot be read"),
        ("\N{CYRILLIC SMALL LETTER DZE}teps=3", "a key has letters"),
        ("k\N{FULLWIDTH EQUALS SIGN}3", "not an override"),
        ("k=a=b", "k=a=b: cannot be read as key=value; such a text needs quotes: 'k=\"a=b\"'"),
        ("k=\N{SUPERSCRIPT TWO}", "needs quotes"),
        ("k=a#b", "'k=\"a#b\"'"),
        ("k='a", "check its quotes"),
        ("k=[a", "check its quotes, brackets and commas"),
        ("k=a,", "check its quotes, brackets and commas"),
        ("k=int(x)", "cannot be read"),
        ("k=" + "[" * 5000, "cannot be read"),
        ("k=" + "1" * 5000, "it has too many digits"),
    ],
    ids=lambda text: text[:20],
)
def test_what_cannot_be_read_is_one_sentence(word: str, says: str) -> None:
    with pytest.raises(BadInput) as raised:
        parse([word])
    assert says in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("word", ["+k=3", "++k=3", "~k", "~k=3", "k@p=3", "k=1,2", "k=range(3)"])
def test_where_one_value_is_wanted_others_are_refused(word: str) -> None:
    with pytest.raises(BadInput, match=re.escape(word)):
        values([word])


def test_the_last_of_a_key_that_comes_twice_counts() -> None:
    assert values(["k=1", "j=2", "k=3"]) == {"k": 3, "j": 2}
    words = ["penalty=none", "seed=1", "penalty=one_gp"]
    assert parse_arguments(words).overrides == ["seed=1", "penalty=one_gp"]


def test_choices_are_listed_as_sweeps_are() -> None:
    words = ["seed=0,1", "penalty.weight=range(1,3)", "a='b,c'", "d='e f',g"]
    assert choices_of(words) == {
        "seed": [0, 1],
        "penalty.weight": [1, 2],
        "a": ["b,c"],
        "d": ["e f", "g"],
    }
    for endless in ("k=interval(0,1)", "k=range(0,3,0)", "k=range(3,1)", "k=range(0,1e9)"):
        with pytest.raises(BadInput, match=r"k="):
            choices_of([endless])


@pytest.mark.parametrize("text", ["", " ", "a b", "it's", '"', "a=b", "[x", "\\", "~", "5", "null"])
def test_a_text_can_be_quoted_whatever_it_holds(text: str) -> None:
    assert values([f"k={quoted(text)}"]) == {"k": text}


@pytest.mark.parametrize(
    ("word", "plain"),
    [
        ("dataset='mnist'", "dataset=mnist"),
        ('k="a b"', "k=a b"),
        ("k='5'", "k='5'"),
        ("k='a,b'", "k='a,b'"),
        ("k='true'", "k='true'"),
        ("k=''", "k=''"),
        ("k='~/a'", "k='~/a'"),
        ("k=~/a", 'k="~/a"'),
        ("+k='a'", "+k=a"),
        ("k=1,2", "k=1,2"),
    ],
)
def test_quotes_that_change_nothing_are_left_out(word: str, plain: str) -> None:
    (override,) = parse([word])
    assert unquoted(override) == plain
    assert values([plain.lstrip("+")]) == values([word.lstrip("+")]) if "," not in plain else True
