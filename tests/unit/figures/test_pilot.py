"""How a miniature is chosen: criteria that look at no claim, on seeds that no entry uses."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gp_lab.errors import BadInput
from gp_lab.figures.pilot import FIRST_SEED, levelled, meets, tried, unmeasured, unproven
from gp_lab.launching.config_groups import figure_file, figure_ids
from gp_lab.launching.grid import grid_of, is_at, scale_overrides, seeds_of, titled

STEPS = np.arange(0, 1000, 10)


def test_a_loss_that_still_falls_has_not_levelled_and_one_at_its_end_has() -> None:
    assert levelled(STEPS, 1 - STEPS / 1000) == pytest.approx(0.25 / 0.87, abs=0.01)
    assert levelled(STEPS, np.exp(-STEPS / 50)) < 0.01
    noise = np.random.default_rng(0).normal(scale=0.05, size=len(STEPS))
    assert levelled(STEPS, np.exp(-STEPS / 50) + noise) < 0.1
    assert levelled(STEPS, np.exp(-STEPS / 5) + noise) < 0.1  # at once: the rest is noise
    assert levelled(STEPS, noise) > 0.1  # which went nowhere
    assert np.isnan(levelled(STEPS[:7], np.arange(7.0)))
    assert np.isnan(levelled(STEPS, np.ones(100)))


def rows(**modes: list[float]) -> list[dict[str, Any]]:
    return [
        {"method": method, "seed": str(seed), "modes": "" if value != value else str(value)}
        for method, values in modes.items()
        for seed, value in enumerate(values)
    ]


AT_LEAST = {"some": ["method"], "quantity": "modes", "at_least": 8}


def test_some_method_has_to_do_it_on_every_seed() -> None:
    passed, worst = meets(AT_LEAST, rows(a=[8, 8, 8], b=[8, 3, 8]))
    assert passed
    assert worst == {"a": 8, "b": 3}
    assert not meets(AT_LEAST, rows(a=[8, 8, 7], b=[8, 3, 8]))[0]
    every = {"every": ["method"], "quantity": "modes", "at_least": 3}
    assert meets(every, rows(a=[8, 8, 8], b=[8, 3, 8]))[0]
    assert not meets(every, rows(a=[8, 8, 8], b=[8, 2, 8]))[0]


def test_where_a_seed_is_an_architecture_more_than_half_of_them_have_to_do_it() -> None:
    most = AT_LEAST | {"of": "most"}
    assert meets(most, rows(a=[8, 0, 9], b=[8, 3, 0])) == (True, {"a": 8, "b": 3})
    assert not meets(most, rows(a=[8, 8, 0, 0]))[0]  # a half
    assert meets(most, rows(a=[8, 8, 9, 0])) == (True, {"a": 8})
    at_most = {"some": ["method"], "quantity": "modes", "at_most": 3, "of": "most"}
    assert meets(at_most, rows(a=[8, 1, 3])) == (True, {"a": 3})
    assert not meets(at_most, rows(a=[8, 8, 3, 1]))[0]
    with pytest.raises(BadInput, match=r"measured\.of"):
        meets(AT_LEAST | {"of": "some"}, rows(a=[8]))


def test_a_seed_that_diverged_has_not_done_it() -> None:
    assert not meets(AT_LEAST, rows(a=[8, float("nan"), 8]))[0]
    at_most = {"some": ["method"], "quantity": "modes", "at_most": 8}
    assert not meets(at_most, rows(a=[8, float("nan"), 8]))[0]
    assert meets(at_most, rows(a=[8, 7, 8]))[0]


def test_every_level_of_one_axis_has_some_cell_of_another() -> None:
    both = {"every": ["optimizer"], "some": ["method"], "quantity": "modes", "at_least": 8}
    sgd = [row | {"optimizer": "sgd"} for row in rows(a=[8, 8], b=[1, 1])]
    adam = [row | {"optimizer": "adam"} for row in rows(a=[2, 8], b=[8, 8])]
    assert meets(both, sgd + adam) == (True, {"sgd-a": 8, "sgd-b": 1, "adam-a": 2, "adam-b": 8})
    assert not meets(both, sgd + [row | {"modes": "7"} for row in adam])[0]


def test_only_the_rows_that_it_names_are_looked_at() -> None:
    found = rows(a=[8, 8], b=[1, 1])
    assert meets(AT_LEAST | {"where": {"method": "a"}}, found)[1] == {"a": 8}
    assert not meets(AT_LEAST | {"where": {"method": "b"}}, found)[0]
    with pytest.raises(BadInput, match="no rows with"):
        meets(AT_LEAST | {"where": {"method": "c"}}, found)
    with pytest.raises(BadInput, match=r"measured=best: no such choice"):
        meets(AT_LEAST | {"best": 1}, found)


@pytest.mark.parametrize("name", ["wgan_gp/fig2", "zero_gp/robust", "lipschitz/fig8-12"])
def test_a_pilot_trains_the_cells_that_its_criterion_looks_at_and_no_others(name: str) -> None:
    file = figure_file(name)
    whole = [panel.cell for panel in grid_of(file).panels]
    piloted = [panel.cell for panel in grid_of(file | {"without": unmeasured(file)}).panels]
    assert piloted == [cell for cell in whole if is_at(cell, file["pilot"]["measured"]["where"])]
    assert 0 < len(piloted) < len(whole)


def test_a_miniature_whose_pilot_nothing_has_passed_says_so() -> None:
    assert unproven({}) == unproven({"pilot": {"tried": ["1 fails: a 0", "2 passes: a 8"]}}) == []
    tried = ["with either method 1 passes: a 8", "1 fails: a 0"]  # of a criterion that was replaced
    for pilot in ({}, {"tried": tried}):
        (said,) = unproven({"pilot": pilot})
        assert said.startswith("no settings have passed the pilot")


PILOTS = {n: f for n in figure_ids() if "pilot" in (f := figure_file(n))}


def test_a_miniature_that_is_no_smaller_than_the_papers_scale_needs_no_pilot() -> None:
    scales = {"paper": {"seeds": 10, "overrides": []}, "miniature": {"seeds": 10, "overrides": []}}
    assert unproven({"pilot": {"tried": ["1 fails: a 0"]}, "scales": scales}) == []
    scales["miniature"] = {"seeds": 10, "overrides": ["steps=2"]}
    assert unproven({"pilot": {"tried": ["1 fails: a 0"]}, "scales": scales})


@pytest.mark.parametrize("name", PILOTS)
def test_a_pilot_has_a_criterion_and_candidates_and_no_entry_its_seeds(name: str) -> None:
    text = PILOTS[name]
    pilot = text["pilot"]
    assert pilot["criterion"]
    assert set(pilot["measured"]) & {"some", "every"}
    assert all(set(candidate) <= {"overrides", "cells"} for candidate in pilot["candidates"])
    assert all(max(seeds_of(text, scale)) < FIRST_SEED for scale in text["scales"])
    axes = next(v for k, v in pilot["measured"].items() if k in ("some", "every"))
    assert set(axes) <= set(text["grid"])


@pytest.mark.parametrize("name", PILOTS)
def test_the_miniature_is_the_first_candidate_that_passed(name: str) -> None:
    text = PILOTS[name]
    known, lines = tried(text["pilot"]), text["pilot"].get("tried", ())
    of_this = [line.split(" ", 2) for line in lines if line[0].isdigit()]
    assert [int(number) for number, _, _ in of_this] == list(range(1, known + 1))
    passed = [int(number) for number, outcome, _ in of_this if outcome == "passes:"]
    assert passed in ([], [known])
    miniature = text["scales"]["miniature"]
    chosen = {key: miniature[key] for key in ("overrides", "cells") if key in miniature}
    if miniature == text["scales"]["paper"]:
        return  # it needs no pilot: what was tried for a smaller one stays on record
    # Before one has passed it is one of them all the same, so that nobody starts weeks of training.
    assert chosen == text["pilot"]["candidates"][(passed or [max(1, known)])[0] - 1]


KEPT = sorted((Path(__file__).parents[3] / "outputs" / "reference").glob("*/*/miniature*"))


@pytest.mark.parametrize("folder", KEPT, ids=lambda path: "-".join(path.parts[-3:]))
def test_no_run_of_a_kept_miniature_has_a_pilot_seed(folder: Path) -> None:
    runs = json.loads((folder / "claims.json").read_text())["runs"]
    assert all(run["seed"] < FIRST_SEED for run in runs)


IN_PICTURES = {("lipschitz/fig8-12", "rate"), ("zero_gp/robust", "lr")}
"""Axes whose levels a picture calls by what the runs were trained with."""


@pytest.mark.parametrize("name", [n for n in figure_ids() if "grid" in figure_file(n)])
def test_a_picture_of_a_miniature_tells_no_number_of_the_papers_that_is_another_there(
    name: str,
) -> None:
    """Of the settings of a level, and of the width of all."""
    file = figure_file(name)
    grid, wrong = titled(grid_of(file), file, "miniature"), set()
    width = [o for o in file.get("common", ()) if o.startswith("architecture.width=")]
    for panel in grid.panels:
        here = last(scale_overrides(file, "miniature", panel))
        for axis, level in panel.cell.items():
            numbers = re.findall(r"[\d.]+(?:e-\d+)?", grid.title(axis, level))
            for key, value in last([*width, *grid.axes[axis][level].overrides]).items():
                if value in numbers and here.get(key, value) != value:
                    wrong.add((name, axis))
    assert wrong <= IN_PICTURES


def last(overrides: Sequence[str]) -> dict[str, str]:
    """Key -> value: the last one counts."""
    return {key: value for key, _, value in (o.partition("=") for o in overrides)}
