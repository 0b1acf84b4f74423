"""What `scripts/reference.py` keeps beside pictures: earlier looks, and what somebody saw."""

import html
import json
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from gp_lab.launching.config_groups import figure_file, figure_ids
from gp_lab.launching.grid import seeds_of

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "outputs" / "reference"
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "reference.py"))

NAMES = [name for name in figure_ids() if name != "none"]
TRAINED = [name for name in NAMES if figure_file(name).get("grid")]
DRAWN = [name for name in NAMES if SCRIPT["is_looked_at"](name)]


def looks(name: str) -> list[list[int]]:
    """The seeds of each look that is on record, the kept one last."""
    folder = KEPT / name / "miniature"
    kept = SCRIPT["seeds_of"](json.loads((folder / "claims.json").read_text()))
    return [*(look["seeds"] for look in SCRIPT["earlier"](folder)), kept]


@pytest.mark.parametrize("name", TRAINED)
def test_looks_have_seeds_of_their_own_and_the_last_those_of_the_file(name: str) -> None:
    file = figure_file(name)
    seeds = looks(name)
    assert seeds[-1] == list(seeds_of(file, "miniature"))
    every = [seed for look in seeds for seed in look]
    assert len(every) == len(set(every))
    assert max(every) < 1000  # from there on they are the pilots'
    assert len(seeds) > 1 or file["scales"]["miniature"].get("first_seed", 0) == 0


@pytest.mark.parametrize("name", DRAWN)
def test_each_picture_has_been_held_against_the_papers_as_it_is(name: str) -> None:
    seen = yaml.safe_load((KEPT / "pictures.yaml").read_text())[name]
    assert seen["shows"] in SCRIPT["SHOWS"]
    assert 5 < len(seen["why"].split()) < 60
    assert seen["picture"] == SCRIPT["digest_of"](KEPT / name / "miniature")
    assert html.escape(seen["why"]) in (KEPT / "README.md").read_text()


def test_a_look_that_is_replaced_is_remembered_and_one_that_is_drawn_again_is_not(
    tmp_path: Path,
) -> None:
    whole = json.loads((KEPT / "zero_gp" / "fig6" / "miniature" / "claims.json").read_text())

    def look(seeds: range, verdict: str) -> dict[str, Any]:
        numbers = {"quantity": "q", "estimate": 1.0, "low": 0.5, "high": 1.5, "n": len(seeds)}
        claim = {"text": "it grows", "verdict": verdict, "method": "t", **numbers}
        return whole | {"runs": [{"seed": seed} for seed in seeds], "claims": [claim]}

    kept, remember = tmp_path / "claims.json", SCRIPT["remember"]
    first, second = look(range(5), "inconclusive"), look(range(100, 108), "supported")
    remember(kept, first)
    kept.write_text(json.dumps(first))
    remember(kept, first)
    assert SCRIPT["earlier"](tmp_path) == []
    remember(kept, second)
    kept.write_text(json.dumps(second))
    remember(kept, look(range(200, 203), "not supported"))
    assert [(x["seeds"], x["claims"][0]["verdict"]) for x in SCRIPT["earlier"](tmp_path)] == [
        (list(range(5)), "inconclusive"),
        (list(range(100, 108)), "supported"),
    ]
