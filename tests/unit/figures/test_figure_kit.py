"""What entries say and draw with: sentences and their tests, columns of rows, panels, bars."""

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from gp_lab.figures.claims import Verdict, computed, share_greater, share_of, stated
from gp_lab.figures.entry import Run, Runs
from gp_lab.figures.plots import colour_bar, page, panels
from gp_lab.figures.style import FAKE, NOTES, REAL, footer, points, surface
from gp_lab.figures.table import Table
from gp_lab.launching.grid import grid_of
from gp_lab.runs.folder import RunFolder
from gp_lab.theory.surfaces import plane

GRID = grid_of(
    {
        "id": "mine",
        "grid": {
            "data": {"ring": {"title": "8 Gaussians"}, "roll": []},
            "method": {"a": [], "b": []},
        },
    }
)
AXIS = np.linspace(-1, 1, 5)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """One seed of each cell; that of (roll, b) has diverged."""
    dead = {"data": "roll", "method": "b"}
    states = [(p.cell, "diverged" if p.cell == dead else "finished") for p in GRID.panels]
    return Runs(GRID, [Run(cell, 0, RunFolder(tmp_path), state, 9) for cell, state in states])


def test_sentences_of_one_place_share_what_is_said_of_it() -> None:
    tests = {"one is positive": computed(1.0, above=0), "so is minus one": computed(-1.0, above=0)}
    first, second = stated("mine, Eq. 1", tests, paper=0.5, about={"method": "a"})
    assert (first.text, second.text) == tuple(tests)
    assert (first.test.verdict, second.test.verdict) == (Verdict.SUPPORTED, Verdict.NOT_SUPPORTED)
    for claim in (first, second):
        assert (claim.where, claim.paper, claim.about) == ("mine, Eq. 1", 0.5, {"method": "a"})


def test_a_share_of_runs_is_their_count_against_the_bound() -> None:
    happened = np.array([True] * 9 + [False])
    assert share_of(happened, quantity="q") == share_greater(9, 10, 0.5, quantity="q")
    assert share_of(happened, 0.9).verdict == Verdict.INCONCLUSIVE
    assert share_of(np.zeros(10)).verdict == Verdict.NOT_SUPPORTED


def test_a_column_is_of_the_rows_that_have_it_in_their_order() -> None:
    table = Table(
        [{"case": "a", "x": 3}, {"case": "b"}, {"case": "b", "x": 1}, {"case": "a", "x": 2}]
    )
    np.testing.assert_array_equal(table.column("x"), [3, 1, 2])
    np.testing.assert_array_equal(table.column("x", case="a"), [3, 2])


def test_what_was_left_out_is_said_of_cells_that_did_not_finish_and_of_what_is_undefined() -> None:
    grid = grid_of({"id": "mine", "grid": {"method": {"a": [], "b": []}}})
    rows = [
        {"method": "a", "seed": 0, "state": "finished", "w1": 1.0, "gap": math.nan},
        {"method": "a", "seed": 1, "state": "diverged"},
        {"method": "b", "seed": 0, "state": "finished", "w1": 2.0},
        {"method": "b", "seed": 1, "state": "failed"},
    ]
    assert Table(rows, grid).left_out() == [
        "a: 1 of 2 diverged",
        "b: 1 of 2 failed",
        "gap undefined in 1 finished run",
    ]
    assert Table(rows[2:3], grid).left_out() == []


def test_a_picture_says_below_what_it_leaves_out_and_how_many_lines_more() -> None:
    figure = Figure()
    diverged = [f"cell {i}: 1 of 5 diverged" for i in range(NOTES + 2)]
    footer(figure, "made from", {"left out": diverged, "dead networks": ["b in 5 of 5 seeds"]})
    lines = " ".join(figure.texts[0].get_text().split())
    said, dead = lines.split(" dead networks: ")
    assert said.startswith("made from left out: cell 0: 1 of 5 diverged; ")
    assert said.endswith("; 2 more in claims.json")
    assert dead == "b in 5 of 5 seeds"
    footer(figure, "made from", {"left out": [], "dead networks": []})
    assert figure.texts[1].get_text() == "made from"


def test_the_cells_whose_networks_are_dead_in_most_seeds_are_named() -> None:
    grid = grid_of({"grid": {"method": {"a": [], "b": []}}})
    of_a = [{"method": "a", "seed": s, "state": "finished", "dead": int(s < 2)} for s in range(4)]
    of_b = [{"method": "b", "seed": s, "state": "finished", "dead": int(s < 3)} for s in range(4)]
    table = Table([*of_a, *of_b, {"method": "b", "seed": 4, "state": "failed"}], grid)
    assert table.dead_cells() == ["b in 3 of 4 seeds"]
    assert table.dead({"method": "a"}) == table.dead({}) == ""
    assert table.dead([{"method": "a"}, {"method": "b"}, {}]) == "b in 3 of 4 seeds"


def test_cells_are_named_by_the_axes_that_matter() -> None:
    assert list(GRID.named()) == ["8 Gaussians, a", "8 Gaussians, b", "roll, a", "roll, b"]
    assert GRID.named("method", data="roll")["b"] == {"data": "roll", "method": "b"}
    with pytest.raises(LookupError, match="no such cells"):
        GRID.named("method", data="moon")


def test_titled_cells_are_drawn_into_ones_own_axes(runs: Runs) -> None:
    grid = Figure().subplots(1, 2)
    drawn = panels(grid, runs, GRID.named("method", data="roll"), lambda axes, run: "below")
    assert drawn == [grid[0]]
    assert [axes.get_title() for axes in grid] == ["a\nbelow", "b"]
    assert [text.get_text() for text in grid[1].texts] == ["no finished run"]


def test_a_colour_bar_stands_beside_the_surfaces_alone() -> None:
    figure = Figure()
    first, second = figure.subplots(1, 2)
    colour_bar([first, second], "f")
    assert len(figure.axes) == 2  # nothing is drawn: no bar
    points(first, np.zeros((1, 2)), np.ones((1, 2)))
    surface(second, AXIS, AXIS, np.add.outer(AXIS, AXIS), np.linspace(-2, 2, 5))
    colour_bar([first, second], "f")
    *_, bar = figure.axes
    assert len(figure.axes) == 3
    assert bar.get_ylabel() == "f"
    assert second.get_xlim() == (-1, 1)


def test_rows_of_a_page_may_have_planes_of_their_own(runs: Runs) -> None:
    def side(axes, run) -> None:  # type: ignore[no-untyped-def]
        axes.set_xlim(0, 1 if run.cell["data"] == "ring" else 10)

    _, grid = page(runs, side, "method", "data", height=3, share="row")
    assert [[axes.get_xlim()[1] for axes in row] for row in grid] == [[1, 1], [10, 10]]


def test_reals_and_fakes_have_their_colours_whatever_their_look() -> None:
    axes = Figure().subplots()
    points(axes, np.zeros((300, 2)), np.ones((300, 2)), s=20, linewidths=0)
    real, fake = axes.collections
    assert [to_hex(of.get_facecolor()[0]) for of in (real, fake)] == [REAL.lower(), FAKE.lower()]
    assert [len(of.get_offsets()) for of in (real, fake)] == [200, 200]
    assert real.get_sizes() == [20]


def test_a_plane_has_a_point_for_each_pair_of_coordinates_a_row_for_each_y() -> None:
    np.testing.assert_array_equal(plane(np.array([0.0, 1.0])), [[0, 0], [1, 0], [0, 1], [1, 1]])


def test_a_course_is_what_a_probe_wrote_up_to_the_step_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "arrays").mkdir()
    folder = RunFolder(tmp_path)
    for step in (0, 5, 10):
        folder.write_arrays("norms", step, {"x": np.array([step, 2.0 * step])})
    run = Run({}, 0, folder, "finished", 5)
    steps, largest = run.course("norms", lambda at: at["x"].max())
    assert (steps.tolist(), largest.tolist()) == ([0, 5], [0.0, 10.0])
