"""What pictures have in common: pages of panels, curves over seeds, tables of scores."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from gp_lab.figures.entry import Run, Runs
from gp_lab.figures.plots import (
    band,
    beside_the_papers,
    by_seed,
    curves,
    legend_above,
    page,
    score_table,
)
from gp_lab.launching.grid import grid_of
from gp_lab.runs.folder import RunFolder

FILE = {
    "id": "mine",
    "grid": {
        "data": {"ring": {"title": "8 Gaussians"}, "roll": []},
        "method": {"none": {"title": "no GP"}, "zero_gp": [], "clipping": []},
    },
    "without": [{"data": "roll", "method": "clipping"}],
}


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Two seeds of each cell; those of one have diverged."""
    grid = grid_of(FILE)
    dead = {"data": "ring", "method": "zero_gp"}
    return Runs(
        grid,
        [
            Run(p.cell, seed, RunFolder(tmp_path), "diverged" if p.cell == dead else "finished", 9)
            for p in grid.panels
            for seed in (0, 1)
        ],
    )


def drawn(axes: Axes, run: Run) -> str:
    axes.plot([0, 1], [run.seed, run.seed], label="a line")
    return f"seed {run.seed}"


def test_a_page_has_a_panel_for_each_cell_with_the_first_seed_in_it(runs: Runs) -> None:
    _, axes = page(runs, drawn, "method", "data", height=4)
    assert axes.shape == (2, 3)
    assert [a.get_title() for a in axes[0]] == ["no GP\nseed 0", "zero_gp", "clipping\nseed 0"]
    assert [axes[y, 0].get_ylabel() for y in (0, 1)] == ["8 Gaussians", "roll"]
    assert [len(a.lines) for a in axes[1]] == [1, 1, 0]


def test_a_cell_without_a_finished_run_says_so_and_one_that_is_not_trained_is_white(
    runs: Runs,
) -> None:
    _, axes = page(runs, drawn, "method", "data", height=4)
    assert [t.get_text() for t in axes[0, 1].texts] == ["no finished run"]
    assert not axes[1, 2].axison
    assert axes[1, 2].get_title() == ""


def test_a_legend_says_each_label_once(runs: Runs) -> None:
    figure, _ = page(runs, drawn, "method", "data", height=4)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a line"]
    assert page(runs, drawn, "method", "data", height=4, legend=None)[0].legends == []
    assert legend_above(Figure(), [Figure().subplots()]) is None


def course(run: Run) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(3 + run.seed), np.full(3 + run.seed, float(run.seed))


def test_the_first_seed_is_thick_and_labelled_the_others_thin(runs: Runs) -> None:
    axes = Figure().subplots()
    curves(axes, runs.at(data="ring", method="none"), course, "no GP", color="#0072B2")
    assert [line.get_linewidth() for line in axes.lines] == [1.2, 0.4]
    assert axes.get_legend_handles_labels()[1] == ["no GP"]
    assert {to_hex(line.get_color()) for line in axes.lines} == {"#0072b2"}


def test_a_band_is_the_mean_and_the_range_over_seeds_as_far_as_all_have_come(runs: Runs) -> None:
    axes = Figure().subplots()
    band(axes, runs.at(data="ring", method="none"), course, "no GP")
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_xydata(), [[0, 0.5], [1, 0.5], [2, 0.5]])
    (shade,) = axes.collections
    low, high = shade.get_datalim(axes.transData).intervaly
    assert (low, high) == (0, 1)
    band(axes, [], course, "nothing")
    assert len(axes.lines) == 1


def test_seeds_are_dots_about_their_mean_and_those_that_diverged_are_left_out() -> None:
    axes = Figure().subplots()
    by_seed(axes, {"no GP": [1.0, np.nan, 3.0], "0-GP": [np.nan]}, ["#000000", "#0072B2"])
    assert [list(line.get_ydata()) for line in axes.lines] == [[1.0, 3.0], []]
    (mean,) = axes.collections
    np.testing.assert_allclose(mean.get_segments()[0], [[-0.3, 2], [0.3, 2]])
    assert [t.get_text() for t in axes.get_xticklabels()] == ["no GP", "0-GP"]


def test_a_score_stands_beside_the_papers() -> None:
    assert beside_the_papers([7.0, 8.0, 9.0, np.nan], 7.86) == "8.00 ± 2.48 (7.86)"
    assert beside_the_papers([7.0], None, digits=1) == "7.0"
    assert beside_the_papers([np.nan], 7.86) == "no run (7.86)"


def test_a_table_of_scores_has_its_texts_in_rows_and_columns() -> None:
    axes = Figure().subplots()
    score_table(axes, ["IS", "FID"], {"WGAN-GP": ["7.9", "30"], "0-GP": ["8", "25"]}, "method")
    where = {text.get_text(): text.get_position() for text in axes.texts}
    assert where["method"][1] == where["IS"][1] < where["WGAN-GP"][1] == where["30"][1]
    assert where["30"][1] < where["0-GP"][1] == where["25"][1]
    assert where["FID"][0] == where["30"][0] == where["25"][0] > where["7.9"][0]
