"""Entries as tables of factors: which runs a grid stands for, and how rows are found by factor."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from gp_lab.errors import BadInput
from gp_lab.figures.claims import paired_greatest
from gp_lab.figures.plan import plan_of
from gp_lab.figures.table import Row, Table
from gp_lab.launching.compose import compose, hydra_session, sweep_of
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import grid_of, titled
from gp_lab.launching.jobs import panel_overrides

GRID = {
    "dataset": {
        "ring": {"title": "8 Gaussians", "set": ["dataset=eight_gaussians"]},
        "roll": ["dataset=swiss_roll"],
    },
    "method": {"none": {"title": "no GP"}, "zero_gp": ["penalty=zero_gp"]},
    "lr": {"each": [0.001, 0.01], "set": ["optimizer.lr={}", "log_every={}"], "title": "rate {}"},
}


def entry(**more: Any) -> dict[str, Any]:
    scales = {"paper": {"seeds": 2}, "smoke": {"seeds": 1, "overrides": ["steps=1"]}}
    return {"id": "mine", "grid": GRID, "scales": scales} | more


def names(**more: Any) -> list[str]:
    return [panel.name for panel in grid_of(entry(**more)).panels]


def test_a_grid_is_the_product_of_its_axes_the_first_one_slowest() -> None:
    assert names() == [
        f"{dataset}-{method}-{lr}"
        for dataset in ("ring", "roll")
        for method in ("none", "zero_gp")
        for lr in ("0.001", "0.01")
    ]


def test_levels_have_titles_and_each_writes_one_for_every_value() -> None:
    grid = grid_of(entry())
    assert grid.titles("dataset") == {"ring": "8 Gaussians", "roll": "roll"}
    assert grid.titles("lr", ["0.01"]) == {"0.01": "rate 0.01"}
    assert grid.name({"dataset": "ring", "method": "none", "lr": "0.01"}, "dataset", "lr") == (
        "8 Gaussians, rate 0.01"
    )
    (panel,) = grid.at(dataset="roll", method="zero_gp", lr="0.01")
    own = ("dataset=swiss_roll", "penalty=zero_gp", "optimizer.lr=0.01", "log_every=0.01")
    assert panel.overrides == own


def test_a_scale_may_have_titles_of_its_own_for_its_pictures() -> None:
    scale = {"seeds": 1, "titles": {"lr": {0.01: "rate .08"}, "dataset": {"ring": "a ring"}}}
    file = entry(scales={"miniature": scale, "paper": {"seeds": 2}})
    drawn, papers = (titled(grid_of(file), file, scale) for scale in ("miniature", "paper"))
    assert drawn.titles("lr") == {"0.001": "rate 0.001", "0.01": "rate .08"}
    assert drawn.titles("dataset") == {"ring": "a ring", "roll": "roll"}
    assert papers == grid_of(file)
    assert [p.overrides for p in drawn.panels] == [p.overrides for p in papers.panels]


@pytest.mark.parametrize(
    ("titles", "message"),
    [
        ({"rate": {}}, r"scales\.miniature\.titles=rate: no such choice"),
        ({"lr": {"0.1": "x"}}, r"titles\.lr=0\.1: no such choice"),
        ({"lr": None}, r"titles\.lr=null: titles are written as \{axis: \{level: title\}\}"),
        (["lr"], r"titles=.*lr.*: titles are written as"),
    ],
)
def test_a_title_of_what_the_grid_lacks_is_refused(titles: Any, message: str) -> None:
    file = entry(scales={"miniature": {"seeds": 1, "titles": titles}})
    with pytest.raises(BadInput, match=message):
        titled(grid_of(file), file, "miniature")


def test_cells_are_the_blocks_that_are_named_and_those_named_twice_have_both_settings() -> None:
    cells = [
        {"dataset": "roll", "lr": 0.01},
        {"dataset": "roll", "method": ["zero_gp"], "set": ["steps=7"]},
        {"dataset": "ring", "method": "zero_gp", "lr": "0.001"},
    ]
    grid = grid_of(entry(cells=cells))
    assert [p.name for p in grid.panels] == [
        "roll-none-0.01", "roll-zero_gp-0.01", "roll-zero_gp-0.001", "ring-zero_gp-0.001"
    ]  # fmt: skip
    sevens = [p.name for p in grid.panels if "steps=7" in p.overrides]
    assert sevens == ["roll-zero_gp-0.01", "roll-zero_gp-0.001"]


def test_what_is_left_out_is_left_out_of_all_blocks() -> None:
    left = names(without=[{"method": "none", "lr": [0.001]}, {"dataset": "roll"}])
    assert left == ["ring-none-0.01", "ring-zero_gp-0.001", "ring-zero_gp-0.01"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"grid": {}}, "figure=mine: its file has no grid of runs"),
        ({"cells": [{"datset": "ring"}]}, "cells=datset: no such choice.*did you mean dataset"),
        ({"cells": [{"dataset": "rign"}]}, "cells: dataset=rign: no such choice"),
        ({"without": [{"lr": 0.1}]}, "without: lr=0.1: no such choice"),
        (
            {"grid": {"a": {"x": {"titel": "X"}}}},
            r"grid.a.x=titel: no such choice.*did you mean title",
        ),
    ],
)
def test_a_grid_that_names_what_is_not_there_is_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        grid_of(entry(**more))


def test_the_users_word_comes_after_the_scales_the_scales_after_the_cells() -> None:
    scales = {
        "smoke": {
            "seeds": 2,
            "overrides": ["steps=5"],
            "cells": [{"method": "zero_gp", "lr": [0.01], "set": ["steps=6"]}],
        }
    }
    cells = [{"dataset": "ring", "set": ["steps=4"]}]
    file = entry(scales=scales, cells=cells, common=["steps=3", "batch_size=2"])
    found = dict(panel_overrides(file, "smoke", {}))
    assert [run[0] for runs in found.values() for run in runs] == [
        "steps=5", "steps=5", "steps=5", "steps=5", "steps=5", "steps=5", "steps=6", "steps=6"
    ]  # fmt: skip
    assert [run[-1] for run in found["ring-none-0.01"]] == ["seed=0", "seed=1"]
    found = dict(panel_overrides(file, "smoke", {"steps": ["9"], "seed": ["4", "5"]}))
    assert {run[0] for runs in found.values() for run in runs} == {"steps=9"}
    assert [run[-1] for run in found["ring-zero_gp-0.01"]] == ["seed=4", "seed=5"]


def of_key(runs: list[list[str]], key: str) -> list[str]:
    return [o for run in runs for o in run if o.partition("=")[0].lstrip("+") == key]


def test_a_second_look_has_seeds_from_its_first_one_on_unless_the_user_says_which() -> None:
    file = entry(scales={"miniature": {"seeds": 3, "first_seed": 100}})
    own = panel_overrides(file, "miniature", {})[0][1]
    assert [run[-1] for run in own] == ["seed=100", "seed=101", "seed=102"]
    users = panel_overrides(file, "miniature", {"seed": ["7"]})[0][1]
    assert [run[-1] for run in users] == ["seed=7"]


@pytest.mark.parametrize("key", ["steps", "++steps"])
def test_what_is_fixed_in_a_level_no_scale_and_no_word_of_the_user_changes(key: str) -> None:
    layers = {"4": [], "16": {"set": ["architecture.depth=16"], "fixed": ["steps=1"]}}
    scales = {"smoke": {"seeds": 1, "overrides": ["steps=5"], "cells": [{"set": ["steps=6"]}]}}
    file = entry(grid={"layers": layers}, scales=scales, common=["steps=3"])
    assert of_key(dict(panel_overrides(file, "smoke", {}))["16"], "steps") == ["steps=1"]
    found = dict(panel_overrides(file, "smoke", {key: ["500", "600"], "batch_size": ["8"]}))
    assert [run[0] for run in found["16"]] == ["steps=1"]  # once, though the user sweeps it
    assert of_key(found["16"], "batch_size") == ["batch_size=8"]
    assert of_key(found["4"], "steps")[-1] == f"{key}=600"
    assert len(found["4"]) == 2


def test_a_longer_run_of_app_a_leaves_networks_as_they_begin() -> None:
    with hydra_session() as hydra:
        sweep = sweep_of(hydra, ["figure=lipschitz/appA", "scale=smoke", "steps=500"])
    steps = {str(job.panel).rpartition("-")[2]: job.config["steps"] for job in sweep.jobs}
    assert steps == {"4": 500, "16": 1}


# Rows by factor

METHODS = {"id": "m", "grid": {"method": {"a": {"title": "A"}, "b": {"title": "B"}, "c": []}}}


def row(method: str, seed: int, state: str = "finished", **found: float) -> Row:
    return {"method": method, "seed": seed, "state": state} | found


@pytest.fixture
def table() -> Table:
    rows = [
        row("b", 1, fid=3.0), row("b", 0, fid=2.0), row("a", 0, fid=1.0), row("a", 2, fid=5.0),
        row("c", 0, fid=0.5), row("a", 1, "diverged"), row("b", 2, "failed"),
        {"method": "a", "state": "exact", "fid": 0.0},
    ]  # fmt: skip
    return Table(rows, grid_of(METHODS))


def test_values_pair_by_seed_whatever_the_order_of_the_rows(table: Table) -> None:
    np.testing.assert_equal(table.values("fid", method="a"), [1.0, np.nan, 5.0])
    np.testing.assert_equal(table.values("fid", method="b"), [2.0, 3.0, np.nan])


def test_a_seed_that_diverged_is_an_outcome_one_that_failed_is_none(table: Table) -> None:
    np.testing.assert_equal(table.outcomes("fid", method="a"), [1.0, np.nan, 5.0])
    np.testing.assert_equal(table.outcomes("fid", method="b"), [2.0, 3.0])


def test_rows_of_several_cells_are_not_taken_for_one(table: Table) -> None:
    with pytest.raises(LookupError, match="not one cell"):
        table.values("fid")
    with pytest.raises(LookupError, match="no such cells"):
        table.values("fid", method="d")


def test_a_row_of_no_run_stands_beside_them_and_is_no_seed(table: Table) -> None:
    assert table.one(method="a", state="exact")["fid"] == 0.0
    assert len(table.values("fid", method="a")) == 3
    with pytest.raises(LookupError, match="4 rows"):
        table.one(method="a")


def test_means_are_of_what_is_known(table: Table) -> None:
    assert table.mean("fid", method="a") == 3.0
    assert np.isnan(table.mean("is", method="a"))


def test_rivals_are_called_by_their_titles(table: Table) -> None:
    np.testing.assert_equal(
        table.by("method", "fid", ["b", "c"]), {"B": [2.0, 3.0, np.nan], "c": [0.5]}
    )
    pairs = [(one[0], other[0]) for one, other in table.pairs("method", "fid")]
    assert pairs == [("A", "B"), ("A", "c"), ("B", "c")]
    assert table.title(method="a") == "A"


def test_the_best_against_all_others_is_one_line() -> None:
    rows = [row(m, s, quality=v + 0.01 * s * v) for m, v in (("a", 3.0), ("b", 1.0), ("c", 2.0))
            for s in range(6)]  # fmt: skip
    found = Table(rows, grid_of(METHODS))
    rivals = found.by("method", "quality", ["b", "c"])
    assert paired_greatest(found.values("quality", method="a"), rivals).verdict == "supported"
    rivals = found.by("method", "quality", ["a", "c"])
    assert paired_greatest(found.values("quality", method="b"), rivals).verdict == "not supported"


def test_keys_that_follow_the_seed_are_composed_for_each(tmp_path: Path) -> None:
    words = ["scale=smoke", "seed=0,1,5", f"out={tmp_path}"]
    sweep = plan_of("wgan_gp/table2", words).sweep
    assert sweep is not None
    assert len(sweep.jobs) == 6
    pairs = {job.config["seed"]: job.config["architecture"]["pair"] for job in sweep.jobs}
    assert pairs == {0: 0, 1: 1, 5: 5}
    with hydra_session() as hydra:
        for job in sweep.jobs:
            assert compose(hydra, job.overrides) | {"panel": job.panel} == job.config


@pytest.mark.parametrize("word", ["1e-2", "-1E3", "+1_0e5", '"1e-2"', "1e", "0.5", "3", "1e-2x"])
def test_a_number_of_an_entrys_file_is_the_one_that_hydra_reads(word: str, tmp_path: Path) -> None:
    file = tmp_path / "figure" / "own" / "fig1.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(f"grid: {{lr: {{each: [{word}]}}}}\n")
    found = figure_file("own/fig1", tmp_path)["grid"]["lr"]["each"]
    wanted = OmegaConf.load(file)["grid"]["lr"]["each"]
    assert found == OmegaConf.to_container(wanted)
    assert type(found[0]) is type(wanted[0])


@pytest.mark.parametrize(
    ("name", "word", "says"),
    [
        ("zero_gp/fig1", "figure=zero_gp/fig2", "changes figure.settings.KEY alone"),
        ("zero_gp/fig1", "figure.scales.miniature.seeds=2", "changes figure.settings.KEY alone"),
        ("zero_gp/fig1", "~figure.common", "changes figure.settings.KEY alone"),
        ("mu_wgan/lemma1", "figure=mu_wgan/lemma2", "changes figure.settings.KEY alone"),
        ("zero_gp/fig1", "optimizer.lr=0.1,0.2", "optimizer.lr=0.1 and 0.2: an entry is drawn"),
        ("mu_wgan/table1", "seed=3", "seed=3: mu_wgan/table1 is a calculation without runs"),
    ],
)
def test_what_would_make_an_entry_another_under_its_name_is_refused(
    name: str, word: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=says):
        plan_of(name, [word, f"out={tmp_path}"]).check()


def test_a_seed_may_be_named_twice_and_a_setting_of_a_calculation_changed(tmp_path: Path) -> None:
    plan_of("zero_gp/fig1", ["scale=smoke", "seed=0,0", f"out={tmp_path}"]).check()
    plan_of("mu_wgan/table1", ["figure.settings.seed=3", f"out={tmp_path}"]).check()
