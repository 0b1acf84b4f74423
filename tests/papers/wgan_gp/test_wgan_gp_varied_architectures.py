"""Which architectures of wgan_gp, Fig. 2, train in made-up runs, and what follows from them."""

from pathlib import Path

import numpy as np
import pytest
from made_up import changed, claim_of, rows_of, verdicts

from gp_lab.figures.claims import Verdict
from gp_lab.figures.entry import Run
from gp_lab.figures.table import Row, Table
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import grid_of
from gp_lab.papers.wgan_gp import fig2
from gp_lab.runs.folder import RunFolder

NAME, SEEDS = "wgan_gp/fig2", 8
DIVERGED = {"state": "diverged", "fid": np.nan, "learnt": np.nan}
OURS = "WGAN-GP trains every architecture with one set of hyperparameters"
DCGAN = "with DCGAN some of the architectures are unstable or suffer from mode collapse"


def rows() -> list[Row]:
    """Every method trains all seven architectures on every seed."""
    return rows_of(NAME, SEEDS, fid=5.0, learnt=1, spread_share=0.9)


def papers() -> list[Row]:
    """The paper's outcome: the ResNets of all methods but WGAN-GP collapse."""
    others = {"method": ["dcgan", "lsgan", "clipping"], "architecture": "resnet"}
    return changed(rows(), others, fid=20.0, learnt=0, spread_share=0.1)


def test_the_paper_s_outcome_supports_every_claim_of_fig_2() -> None:
    found = verdicts(NAME, papers())
    assert len(found) == 4
    assert set(found.values()) == {Verdict.SUPPORTED}


def test_methods_that_train_everything_contradict_it() -> None:
    found = verdicts(NAME, rows())
    assert found.pop(OURS) == Verdict.SUPPORTED
    assert set(found.values()) == {Verdict.NOT_SUPPORTED}


@pytest.mark.parametrize("failure", [{"fid": 11.0}, {"learnt": 0}, DIVERGED])
def test_one_architecture_that_wgan_gp_does_not_train_contradicts_it(failure: Row) -> None:
    one = {"method": "wgan_gp", "architecture": "tanh"}
    assert verdicts(NAME, changed(papers(), one, **failure))[OURS] == Verdict.NOT_SUPPORTED


def test_an_architecture_that_wgan_gp_does_not_train_either_is_held_against_nobody() -> None:
    alike = {"fid": 20.0, "learnt": 0, "spread_share": 0.1}
    found = verdicts(NAME, changed(rows(), {"architecture": "resnet"}, **alike))
    assert set(found.values()) == {Verdict.NOT_SUPPORTED}


def test_an_architecture_that_has_not_learnt_yet_is_neither_unstable_nor_collapsed() -> None:
    others = {"method": ["dcgan", "lsgan", "clipping"], "architecture": "resnet"}
    found = verdicts(NAME, changed(rows(), others, fid=20.0, learnt=0))
    assert found.pop(OURS) == Verdict.SUPPORTED
    assert set(found.values()) == {Verdict.INCONCLUSIVE}
    diverged = verdicts(NAME, changed(rows(), others, **DIVERGED, spread_share=np.nan))
    assert set(diverged.values()) == {Verdict.SUPPORTED}


def test_runs_that_nothing_has_judged_decide_nothing() -> None:
    unknown = {"architecture": "resnet", "method": "wgan_gp"}
    found = verdicts(NAME, changed(rows(), unknown, fid=np.nan, learnt=np.nan))
    assert set(found.values()) == {Verdict.INCONCLUSIVE}


def test_nothing_is_held_against_a_method_whose_baseline_does_not_train() -> None:
    found = claim_of(NAME, changed(papers(), {"method": "dcgan"}, learnt=0), DCGAN)
    assert found.test.verdict == Verdict.INCONCLUSIVE
    assert "learns on 0 of 8 seeds" in found.test.quantity


def test_a_run_that_failed_says_nothing_and_one_that_diverged_has_not_trained() -> None:
    table = rows()
    for row in table:
        if row["architecture"] == "mlp" and row["seed"] < 2:
            row["state"] = ("failed", "diverged")[row["seed"]]
            del row["fid"], row["learnt"]
    known = Table(table, grid_of(figure_file(NAME)))
    assert np.isnan(fig2.trained(known, "wgan_gp", "mlp")[0])
    assert fig2.all_seven(known, "wgan_gp").tolist() == [False] + [True] * 6


@pytest.mark.parametrize(
    ("fid", "spread", "learnt"), [(40.0, 2.0, 1), (60.0, 2.0, 0), (40.0, 0.9, 0)]
)
def test_a_generator_has_learnt_by_its_fid_before_training_and_its_spread(
    fid: float, spread: float, learnt: int, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    node = {"out": str(tmp_path), "dataset": {"name": "mnist_5k_16"}, "probe": {"classifier": {}}}
    folder.create(node, "id")
    for step, of in ((0, 100.0), (9, fid)):
        scores = {"score": np.array(2.0), "fid": np.array(of)}
        folder.write_arrays("classifier", step, scores)
    near = {"spread": np.array(spread), "spread_real": np.array(4.0)}
    folder.write_arrays("neighbours", 9, near)
    cell = {"method": "wgan_gp", "architecture": "baseline"}
    row = fig2.measure(Run(cell, 0, folder, "finished", 9))
    assert (row["fid_of_untrained"], row["learnt"]) == (fid / 100, learnt)
