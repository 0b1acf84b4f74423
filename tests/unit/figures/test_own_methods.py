"""One's own methods in an entry: claims are about the paper's alone, comparisons about the best."""

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from gp_lab.figures.entry import Run
from gp_lab.figures.make import undefined_is_counted
from gp_lab.figures.methods import comparisons, comparisons_table, without_methods
from gp_lab.figures.plots import curves, panel
from gp_lab.figures.style import COLOURS, FAKE, OWN, REAL
from gp_lab.figures.table import Row, Table
from gp_lab.launching.grid import grid_of
from gp_lab.launching.methods import joins_of
from gp_lab.runs.folder import RunFolder

FILE: dict[str, Any] = {
    "id": "paper/item",
    "grid": {"data": {"ring": [], "roll": []}, "method": {"a": [], "b": [], "c": []}},
    "joins": {"axis": "method", "like": "a", "scores": {"w1": "lower"}},
}
OURS = FILE | {"methods": {"mine": ["penalty=p"]}}


def table_of(file: dict[str, Any], **values: list[float]) -> Table:
    """w1 by seed, the same for both data sets unless a key names one: `roll_mine`."""
    grid, rows = grid_of(file), list[Row]()
    for one in grid.panels:
        data, method = one.cell["data"], one.cell["method"]
        for seed, w1 in enumerate(values.get(f"{data}_{method}", values[method])):
            state = "diverged" if np.isnan(w1) else "finished"
            known = {} if np.isnan(w1) else {"w1": w1}
            rows.append({**one.cell, "seed": seed, "state": state, **known})
    return Table(rows, grid)


def test_claims_see_the_papers_rows_and_grid_alone() -> None:
    values = {"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [5.0, 6.0], "mine": [0.0, 0.0]}
    papers = without_methods(table_of(OURS, **values), grid_of(FILE))
    assert papers == table_of(FILE, **values)
    assert "mine" not in papers.grid.titles("method")


def test_a_rival_that_lost_other_seeds_in_each_setting_is_not_the_best_of_their_mean() -> None:
    lost = np.nan
    table = table_of(
        OURS, b=[5.0, 5.2, 5.4, 5.1], c=[9.0] * 4, mine=[6.0, 6.4, 6.2, 6.1],
        ring_a=[lost, lost, 1.0, 1.1], roll_a=[1.0, 1.2, lost, lost], a=[0.0],
    )  # fmt: skip
    *_, mean = comparisons(table, joins_of(OURS))
    assert (mean["where"], mean["best"], mean["n"]) == ("mean of 2 settings", "b", 4)
    one_left = table_of(
        OURS, b=[lost] * 4, c=[lost] * 4, mine=[6.0, 6.4, 6.2, 6.1],
        ring_a=[lost, lost, 1.0, 1.1], roll_a=[1.0, 1.2, lost, lost], a=[0.0],
    )  # fmt: skip
    assert [one["where"] for one in comparisons(one_left, joins_of(OURS))] == ["ring", "roll"]


def test_a_method_is_compared_by_seed_with_the_papers_best() -> None:
    table = table_of(
        OURS, a=[3.0, 4.0, 5.0], b=[2.0, 3.0, 1.0], c=[9.0, 9.0, 9.0],
        mine=[1.0, 2.0, 0.5], roll_mine=[2.0, 3.0, 2.0],
    )  # fmt: skip
    ring, roll, mean = comparisons(table, joins_of(OURS))
    assert [one["where"] for one in (ring, roll, mean)] == ["ring", "roll", "mean of 2 settings"]
    assert {one["best"] for one in (ring, roll, mean)} == {"b"}
    gains = np.array([1.0, 1.0, 0.5])
    assert ring["advantage"] == pytest.approx(gains.mean())
    assert ring["high"] - ring["low"] == pytest.approx(2 * 4.30265 * gains.std(ddof=1) / 3**0.5)
    assert roll["advantage"] == pytest.approx(-1 / 3)
    assert mean["advantage"] == pytest.approx((5 / 6 - 1 / 3) / 2)
    assert (ring["mean"], ring["mean_of_best"], ring["n"]) == (pytest.approx(3.5 / 3), 2.0, 3)
    (line,) = comparisons_table([ring])
    assert "mine (ring): w1 1.17, the paper's best b 2 (lower is better)" in line
    assert "better by +0.833 [" in line


def test_what_diverged_is_left_out_and_a_method_that_mostly_does_is_not_the_best() -> None:
    nan = float("nan")
    table = table_of(
        OURS, a=[3.0, nan, 5.0], b=[0.0, nan, nan], c=[9.0, 9.0, 9.0], mine=[1.0, 2.0, nan]
    )
    ring, *_ = comparisons(table, joins_of(OURS))
    assert (ring["best"], ring["n"], ring["left_out"]) == ("a", 1, 2)
    assert ring["advantage"] == 2.0
    assert ring["low"] is None  # of one pair there is no interval
    gone = table_of(OURS, a=[3.0] * 3, b=[4.0] * 3, c=[9.0] * 3, mine=[nan] * 3)
    with undefined_is_counted():
        ring, *_ = comparisons(gone, joins_of(OURS))
    assert (ring["mean"], ring["advantage"], ring["n"]) == (None, None, 0)
    assert "w1 ?" in comparisons_table([ring])[0]


@pytest.mark.parametrize(
    ("better", "best", "advantage"),
    [("higher", "c", -11.0), ("lower", "a", -1.0), ("near_zero", "b", -1.0)],
)
def test_what_is_better_is_what_the_file_says(better: str, best: str, advantage: float) -> None:
    table = table_of(OURS, a=[-3.0] * 2, b=[1.0] * 2, c=[9.0] * 2, mine=[-2.0] * 2)
    joins = joins_of(FILE | {"joins": {**FILE["joins"], "scores": {"w1": better}}})
    ring, *_ = comparisons(table, joins)
    assert (ring["best"], ring["advantage"]) == (best, advantage)


def test_a_terminal_shows_the_mean_of_many_settings_alone() -> None:
    many = [f"d{i}" for i in range(9)]
    file = OURS | {"grid": {"data": {"each": many, "set": []}, "method": FILE["grid"]["method"]}}
    table = table_of(file, a=[1.0] * 2, b=[2.0] * 2, c=[3.0] * 2, mine=[1.0] * 2)
    found = comparisons(table, joins_of(file))
    assert len(found) == 10
    (line,) = comparisons_table(found)
    assert "mean of 9 settings" in line


def test_a_method_has_a_colour_of_its_own_in_panels_and_curves(tmp_path: Any) -> None:
    assert not {*OWN} & {*COLOURS, REAL, FAKE}
    axes = Figure().subplots()
    run = Run({"method": "mine"}, 0, RunFolder(tmp_path), "finished", 1, OWN[0])
    assert panel(axes, run, "mine", lambda *_: None)
    assert axes.title.get_color() == OWN[0]
    assert {to_hex(spine.get_edgecolor()).upper() for spine in axes.spines.values()} == {OWN[0]}
    curves(axes, [run], lambda _: ([0, 1], [1, 2]), "mine", color="black")
    assert axes.lines[0].get_color() == OWN[0]
