"""Methods of one's own that join an entry: their words, the cells in which they stand, what they
set there."""

import re
from pathlib import Path
from typing import Any

import pytest

from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.launching.grid import Panel, grid_of
from gp_lab.launching.jobs import settings_of
from gp_lab.launching.methods import joins_of, method_overrides, split

FIGURE: dict[str, Any] = {
    "id": "paper/item",
    "common": ["loss=vanilla", "penalty.output=logit"],
    "grid": {
        "data": {"ring": ["dataset=ring"], "roll": ["dataset=roll"]},
        "method": {
            "none": ["penalty=none"],
            "zero_gp": ["penalty=zero_gp", "penalty.weight=10", "optimizer.lr=0.1"],
        },
        "weight": {"each": [1, 9], "set": ["penalty.weight={}"]},
    },
    "cells": [
        {"method": "none", "weight": 1},
        {"method": "zero_gp", "set": ["steps=7"]},
    ],
    "joins": {"axis": "method", "like": "zero_gp", "scores": {"modes": "higher"}},
    "scales": {
        "miniature": {
            "seeds": 1,
            "overrides": ["batch_size=8", "penalty.center=1"],
            "cells": [
                {"method": "zero_gp", "set": ["penalty.weight=5", "optimizer.lr=0.2"]},
                {"data": "roll", "set": ["steps=3", "penalty.weight=4"]},
                {"method": "none", "set": ["steps=1"]},
            ],
        },
    },
}


def joined(own: list[str], **more: Any) -> list[Panel]:
    grid = grid_of({**FIGURE, "methods": {"mine": own}, **more})
    assert grid.own == ("mine",)
    return [panel for panel in grid.panels if "mine" in panel.cell.values()]


def test_words_of_methods_are_split_at_semicolons_outside_quotes() -> None:
    words = ["steps=3", "method.a=penalty=p;penalty.weight=3", 'method.b= x="a;b" ; y=[1,2];', "-m"]
    rest, methods = split(words)
    assert rest == ["steps=3", "-m"]
    assert methods == {"a": ("penalty=p", "penalty.weight=3"), "b": ('x="a;b"', "y=[1,2]")}


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("method.mine=", "sets nothing"),
        ("method.mine=;", "sets nothing"),
        ("method.mine=zero_gp", "zero_gp: not an override"),
        ("method.mine=penalty=a,b", "one value; name a method for each"),
        ("method.mine=penalty=zero_gp;seed=3", "seed=3: not one method's"),
        ("method.mine=device=cuda", "device=cuda: not one method's"),
        ("method.a-b=penalty=none", "method.a-b: the name of a method"),
        ("method.=penalty=none", "the name of a method"),
    ],
)
def test_a_method_that_cannot_be_read_is_refused(word: str, says: str) -> None:
    with pytest.raises(BadInput, match="method") as refusal:
        split([word])
    assert says in str(refusal.value)


def test_a_method_stands_wherever_the_one_stands_that_it_is_like() -> None:
    before = grid_of(FIGURE)
    after = grid_of({**FIGURE, "methods": {"mine": ["penalty=p"], "yours": ["steps=2"]}})
    assert after.panels[: len(before.panels)] == before.panels
    assert [panel.name for panel in after.panels[len(before.panels) :]] == [
        f"{data}-{name}-{weight}"
        for name in ("mine", "yours")
        for data in ("ring", "roll")
        for weight in ("1", "9")
    ]
    assert after.titles("method") == {
        "none": "none",
        "zero_gp": "zero_gp",
        "mine": "mine",
        "yours": "yours",
    }
    of_some = {**FIGURE["joins"], "at": {"weight": "9", "data": "roll"}}
    assert [panel.name for panel in joined(["penalty=p"], joins=of_some)] == ["roll-mine-9"]


def test_it_has_the_settings_of_that_method_and_of_the_scale_below_its_own() -> None:
    *_, panel = joined(["optimizer.lr=0.5"])
    assert settings_of(FIGURE, "miniature", panel) == [
        *FIGURE["common"],
        *("dataset=roll", "penalty=zero_gp", "penalty.weight=10", "optimizer.lr=0.1"),
        *("penalty.weight=9", "steps=7"),
        *("batch_size=8", "penalty.center=1"),
        *("penalty.weight=5", "optimizer.lr=0.2", "steps=3", "penalty.weight=4"),
        "optimizer.lr=0.5",
    ]


def test_a_choice_that_it_names_is_taken_without_what_the_other_method_sets_in_that_group() -> None:
    """What all cells, or the levels of other axes, set in the group stays: it is the entry's."""
    *_, panel = joined(["penalty=p"])
    assert settings_of(FIGURE, "miniature", panel) == [
        *FIGURE["common"],
        *("dataset=roll", "optimizer.lr=0.1"),
        *("penalty.weight=9", "steps=7"),
        *("batch_size=8", "penalty.center=1"),
        *("optimizer.lr=0.2", "steps=3", "penalty.weight=4"),
        "penalty=p",
    ]


def test_where_the_grid_lacks_the_axis_a_method_is_the_whole_entry_once_more() -> None:
    joins = {"axis": "own", "like": "paper", "scores": {}}
    before = grid_of(FIGURE)
    after = grid_of({**FIGURE, "joins": joins, "methods": {"mine": ["penalty=p"]}})
    assert len(after.panels) == 2 * len(before.panels)
    for panel, same, mine in zip(
        before.panels, after.at(own="paper"), after.at(own="mine"), strict=True
    ):
        assert same.cell == {**panel.cell, "own": "paper"}
        assert (same.overrides, same.own) == (panel.overrides, ())
        assert (mine.overrides, mine.own) == (panel.overrides, ("penalty=p",))


def test_methods_of_a_file_are_lists_or_mappings() -> None:
    listed, mapped = (
        joined(["penalty=p", "steps=4"]),
        grid_of({**FIGURE, "methods": {"mine": {"penalty": "p", "steps": 4}}}).at(method="mine"),
    )
    assert mapped == listed
    with pytest.raises(BadInput, match="neither a list of overrides nor key: value"):
        grid_of({**FIGURE, "methods": {"mine": "penalty=p"}})


@pytest.mark.parametrize(
    ("joins", "says"),
    [
        (None, "no method of one's own joins it"),
        ({"axis": "method", "like": "zero_gp"}, "scores"),
        ({"axis": "method", "like": "zerogp", "scores": {}}, "zerogp"),
        ({"axis": "method", "like": "none", "scores": {"modes": "more"}}, "more"),
        ({"axis": "method", "like": "none", "scores": {}, "kept": []}, "kept"),
    ],
)
def test_a_file_that_says_no_proper_joins_is_refused(joins: Any, says: str) -> None:
    with pytest.raises(BadInput, match="joins") as refusal:
        joins_of({**FIGURE, "joins": joins})
    assert says in str(refusal.value)


def test_names_of_the_papers_methods_and_groups_that_are_kept_are_refused() -> None:
    with pytest.raises(BadInput, match=r"method\.none: the entry has one of that name"):
        grid_of({**FIGURE, "methods": {"none": ["penalty=p"]}})
    keeps = {**FIGURE["joins"], "keeps": ["loss"]}
    with pytest.raises(BadInput, match=r"method\.mine: loss\.x=1: the entry keeps its loss"):
        joined(["loss.x=1"], joins=keeps)


def test_methods_of_an_experiment_are_all_that_an_entry_takes_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "experiment" / "own.yaml"
    path.parent.mkdir()
    methods = "{mine: {penalty: zero_gp, penalty.weight: 3}}"
    said = f"# @package _global_\nfigure:\n  methods: {methods}\n"
    path.write_text(said)
    words = ["figure", "lipschitz/sec32", f"--config-dir={tmp_path}", "experiment=own"]
    assert main([*words, "method.yours=steps=7", "scale=smoke", "--cfg", "job"]) == Exit.OK
    table = capsys.readouterr().out
    assert re.search(r"^ *mine .* penalty=zero_gp penalty\.weight=3", table, re.M)
    assert re.search(r"^ *yours .* steps=7", table, re.M)
    path.write_text(said + "steps: 3\n")
    assert main([*words, "--cfg", "job"]) == Exit.BAD_INPUT
    assert "an entry has settings of its own; of an experiment it takes" in capsys.readouterr().err


def test_an_override_keeps_its_quotes_for_hydra() -> None:
    assert method_overrides("a", ['"optimizer.betas=[0,1]"'.strip('"'), " "]) == (
        "optimizer.betas=[0,1]",
    )
