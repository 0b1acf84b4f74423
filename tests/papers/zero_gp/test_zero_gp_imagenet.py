"""Figures 4 and 10 of zero_gp: a score over the updates of D, and samples of a class."""

from pathlib import Path

import numpy as np
import pytest
from lab import config_of
from made_up import rows_of, verdicts

from gp_lab.figures.claims import Verdict
from gp_lab.figures.entry import Run
from gp_lab.figures.table import Row, Table
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import grid_of
from gp_lab.papers.zero_gp import _imagenet, fig4
from gp_lab.runs.folder import RunFolder

NAME, SEEDS = "zero_gp/fig4", 8


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = RunFolder(tmp_path / "run")
    folder.create(config_of("dataset=mnist", "d_steps=5", f"out={tmp_path}", base=()), "id")
    return Run({"method": "wgan_gp"}, 0, folder, "finished", 40)


def test_iterations_are_updates_of_d_and_looks_are_quantities_of_the_row(run: Run) -> None:
    for step, score in ((20, 2.0), (40, 4.0)):
        arrays = {"score": np.array(score), "fid": np.array(1.0)}
        run.folder.write_arrays("classifier", step, arrays)
    steps, values = _imagenet.course(run)
    assert (steps.tolist(), values.tolist()) == ([100, 200], [2.0, 4.0])
    row = fig4.measure(run)
    assert (row["score"], row["score_mean"], row["by"]) == (4.0, 3.0, "classifier")
    assert [row["score_at_1"], row["score_at_2"]] == [2.0, 4.0]


def test_a_run_without_a_network_that_scores_has_no_score(run: Run) -> None:
    row = fig4.measure(run)
    assert row["by"] == "none"
    assert np.isnan([row["score"], row["score_mean"]]).all()


def rows(looks: int = 10, **final: float) -> list[Row]:
    """Scores that rise in a straight line to those of the end, higher from seed to seed."""

    def row(of: Row) -> Row:
        score = final[of["method"]] * (1 + of["seed"] / 500)
        at = {f"{fig4.LOOKS}{i}": score * i / looks for i in range(1, looks + 1)}
        return of | {"score": score} | at

    return [row(of) for of in rows_of(NAME, SEEDS)]


def test_the_papers_order_supports_every_claim() -> None:
    found = verdicts(NAME, rows(zero_gp=8, zero_gp_real=6, wgan_gp=4.5))
    assert len(found) == 4
    assert set(found.values()) == {Verdict.SUPPORTED}


def test_a_margin_before_a_wgan_gp_that_has_not_learnt_is_undecided() -> None:
    found = verdicts(NAME, rows(zero_gp=8, zero_gp_real=6, wgan_gp=2))
    large = [verdict for text, verdict in found.items() if "large margin" in text]
    assert large == [Verdict.INCONCLUSIVE] * 2


def test_the_reverse_supports_none() -> None:
    found = verdicts(NAME, rows(zero_gp=3, zero_gp_real=6, wgan_gp=8))
    assert set(found.values()) == {Verdict.NOT_SUPPORTED}


def test_a_small_margin_is_no_large_one() -> None:
    found = verdicts(NAME, rows(zero_gp=8, zero_gp_real=7.9, wgan_gp=7.6))
    large = [verdict for text, verdict in found.items() if "large margin" in text]
    assert large == [Verdict.NOT_SUPPORTED] * 2


def test_to_be_ahead_at_the_end_alone_is_not_consistent() -> None:
    made = rows(zero_gp=8, zero_gp_real=6, wgan_gp=3)
    for row in made:
        if row["method"] == "zero_gp":
            row |= {f"{fig4.LOOKS}{i}": 0.0 for i in range(1, 10)}
    found = verdicts(NAME, made)
    assert found["0-GP outperforms 0-GP-sample at the end"] == Verdict.SUPPORTED
    (text,) = (text for text in found if "consistently" in text)
    assert found[text] == Verdict.NOT_SUPPORTED


def test_looks_that_one_of_two_runs_lacks_count_for_neither() -> None:
    made = rows(looks=4, zero_gp=8, zero_gp_real=6, wgan_gp=3)
    for row in made:
        if row["method"] == "zero_gp_real":
            del row[f"{fig4.LOOKS}1"]
            row[f"{fig4.LOOKS}2"] = 9.0
    table = Table(made, grid_of(figure_file(NAME)))
    assert fig4.ahead(table, "zero_gp", "zero_gp_real") == pytest.approx([2 / 3] * SEEDS)


@pytest.mark.parametrize("scale", ["paper", "miniature"])
def test_the_samples_of_fig10_are_of_the_runs_of_fig4(scale: str) -> None:
    """The same overrides for 0-GP in both files, so that it is trained once."""

    def overrides(name: str) -> list[str]:
        file = figure_file(name)
        (panel,) = grid_of(file).at(method="zero_gp")
        at_scale = file["scales"][scale]
        own = [line["set"] for line in at_scale["cells"] if "zero_gp" in str(line["method"])][:1]
        return [*file["common"], *panel.overrides, *at_scale["overrides"], *own[0]]

    assert overrides("zero_gp/fig10") == overrides("zero_gp/fig4")
    seeds = (figure_file(f"zero_gp/{f}")["scales"][scale]["seeds"] for f in ("fig4", "fig10"))
    assert len(set(seeds)) == 1
