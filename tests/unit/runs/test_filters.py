"""Words that select runs: one grammar for compare, status and evaluate."""

from typing import Any

import pytest

from gp_lab.errors import BadInput
from gp_lab.runs.filters import (
    asks_for_figures,
    belongs_to_figure,
    facts,
    filters_of,
    is_filter,
    none_left,
    selected,
)

CONFIGS: dict[str, dict[str, Any]] = {
    "a": {"penalty": {"name": "none"}, "optimizer": {"lr": 1e-4}, "steps": 500, "seed": 0},
    "b": {"penalty": {"name": "one_gp", "weight": 10.0}, "optimizer": {"lr": 1e-3}, "steps": 1000},
    "c": {
        "penalty": {"name": "zero_gp", "weight": 1},
        "optimizer": {"lr": 0.1},
        "steps": 2000,
        "figure": {"id": "zero_gp/fig6"},
    },
}
FOUND = [
    (name, facts(config, f"Swiss_{name}" if name != "c" else "moons_c", state, step))
    for (name, config), state, step in zip(
        CONFIGS.items(), ("running", "finished", "finished"), (7, 1000, 2000), strict=True
    )
]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["penalty=one_gp"], "b"),
        (["penalty=none,one_gp"], "ab"),
        (["penalty!=none,one_gp"], "c"),
        (["penalty.weight=10"], "b"),
        (["optimizer.lr=1e-4..1e-3"], "ab"),
        (["optimizer.lr=1e-3.."], "bc"),
        (["optimizer.lr=..5e-4"], "a"),
        (["steps=500,1500..3000"], "ac"),
        (["steps!=600..1500"], "ac"),
        (["steps>=1000"], "bc"),
        (["steps>1000"], "c"),
        (["steps<=1000"], "ab"),
        (["steps<1000"], "a"),
        (["steps >= 1000", "steps<2000"], "b"),
        (["penalty.weight<5"], "c"),
        (["name~swiss"], "ab"),
        (["penalty~GP"], "bc"),
        (["state=finished"], "bc"),
        (["state!=finished"], "a"),
        (["step>=1000"], "bc"),
        (["figure=zero_gp/fig6"], "c"),
        (["figure=none"], "ab"),
        (["seed=0", "penalty=none"], "a"),
        ([], "abc"),
    ],
)
def test_a_filter_selects_the_runs_that_it_says(words: list[str], expected: str) -> None:
    assert "".join(selected(FOUND, filters_of(words))) == expected
    assert all(map(is_filter, words))


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("penaltie=none", r"penaltie: no such key; .*did you mean penalty\?"),
        ("optimizer.ls>=1", r"optimizer\.ls: no such key; choose from lr"),
        ("state=done", "state=done: no such choice; choose from diverged, failed, finished"),
        ("state=lost", "state=lost: no such choice"),
        ("steps>=many", "steps>=many: many is no number"),
        ("steps>=", "steps>=: nothing is no number"),
        ("steps=1..b", r"steps=1\.\.b: b is no number"),
        ("steps=2..1", r"steps=2\.\.1: an empty range"),
        ("steps=..", r"steps=\.\.: a range without ends"),
        ("name~", "name~: no text"),
        ("penalty>3", "penalty>3: penalty is no number in any of these runs"),
        ("penalty", "penalty: selects no runs"),
        ("steps=[1", r"steps=\[1: cannot be read"),
    ],
)
def test_what_selects_nothing_that_there_could_be_ends_in_a_sentence(
    word: str, sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        selected(FOUND, filters_of([word]))


def test_of_filters_that_no_run_passes_the_first_is_named_with_what_there_is() -> None:
    filters = filters_of(["state=finished", "penalty=none,two_gp", "steps=3"])
    found = [has for _, has in FOUND]
    assert none_left(found, filters) == (
        "penalty=none,two_gp: no run has it; there is penalty=one_gp,zero_gp"
    )


def test_words_and_flags_that_are_no_filters() -> None:
    assert not any(map(is_filter, ["curve/w1", "outputs", "--sort=curve/w1", "-m"]))


def test_a_run_with_an_entry_or_a_panel_belongs_to_a_figure() -> None:
    assert belongs_to_figure({"figure": {"id": "zero_gp/fig1"}, "panel": None})
    assert belongs_to_figure({"figure": {"id": None}, "panel": "a"})
    assert not belongs_to_figure({"figure": {"id": None}, "panel": None})
    assert not belongs_to_figure({})
    assert asks_for_figures(["seed=0", "figure.id=null"])
    assert asks_for_figures(["panel~one"])
    assert not asks_for_figures(["seed=0", "name~figure"])
