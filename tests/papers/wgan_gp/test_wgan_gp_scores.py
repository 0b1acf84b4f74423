"""What wgan_gp's Table 3 and Fig. 5a measure and conclude, from made-up runs and rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import changed, rows_of, told, verdicts

from gp_lab.figures.claims import Verdict
from gp_lab.figures.entry import Run
from gp_lab.figures.table import Row
from gp_lab.papers.wgan_gp import fig5a
from gp_lab.runs.folder import RunFolder

SEEDS = 8


def scored(unsupervised: float, supervised: float) -> list[Row]:
    rows = rows_of("wgan_gp/table3", SEEDS, judge="Inception")
    of = {"unsupervised": unsupervised, "supervised": supervised}
    return [r | {"score": of[r["method"]] + 0.01 * (-1) ** r["seed"]} for r in rows]


def test_the_papers_scores_support_table_3() -> None:
    assert set(verdicts("wgan_gp/table3", scored(7.86, 8.42)).values()) == {Verdict.SUPPORTED}


def test_in_miniature_table_3_says_whether_labels_help_and_no_more() -> None:
    better, *numbers = told("wgan_gp/table3", scored(3, 4)).values()
    assert better == Verdict.SUPPORTED
    assert numbers == [Verdict.NEEDS_PAPER] * 5
    worse, *_ = told("wgan_gp/table3", scored(4, 3)).values()
    assert worse == Verdict.NOT_SUPPORTED


def test_labels_say_nothing_where_the_nets_have_died() -> None:
    rows = changed([r | {"dead": 0} for r in scored(4, 3)], {"method": "supervised"}, dead=1)
    better, *_ = told("wgan_gp/table3", rows).values()
    assert better == Verdict.INCONCLUSIVE


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = RunFolder(tmp_path / "run")
    config = {"out": str(tmp_path), "dataset": {"name": "lsun"}, "probe": {"classifier": {}}}
    folder.create(config, "id")
    return Run({"method": "wgan_gp"}, 0, folder, "finished", 100)


def write(run: Run, loss: Any, fid: Any) -> None:
    for i, (a, b) in enumerate(zip(loss, fid, strict=True)):
        run.folder.write_arrays("critic_losses", 5 * i, {"train_loss": np.array(-a)})
        found = {"fid": np.array(b), "score": np.array(2.0), "score_std": np.array(0.1)}
        run.folder.write_arrays("classifier", 5 * i, found)


def test_a_curve_that_comes_down_and_levels_off_beside_fid(run: Run) -> None:
    t = np.linspace(0, 1, 21)
    write(run, np.where(t < 0.1, 0.0, np.exp(-3 * t)), 50 * np.exp(-t))
    row = fig5a.measure(run)
    assert (row["trend"], row["follows_fid"]) == (-1, pytest.approx(1))
    assert 0.5 < row["slowing"] < 1
    assert row["loss_first"] == pytest.approx(np.exp(-0.3))
    assert row["fid_left"] == pytest.approx(np.exp(-1))


def test_a_straight_line_has_not_converged_and_a_constant_fid_says_nothing(run: Run) -> None:
    write(run, np.linspace(2, 1, 21), np.full(21, 3.0))
    row = fig5a.measure(run)
    assert row["slowing"] == pytest.approx(0, abs=0.15)
    assert np.isnan(row["follows_fid"])


@pytest.mark.parametrize(("sign", "verdict"), [(1, Verdict.SUPPORTED), (-1, Verdict.NOT_SUPPORTED)])
def test_fig_5a_is_supported_by_a_loss_that_does_so_and_by_no_other(
    sign: int, verdict: Verdict
) -> None:
    rows = rows_of("wgan_gp/fig5a", SEEDS, judge="classifier")
    rows = [
        r | {"trend": -sign * x, "slowing": sign * x, "follows_fid": sign * x}
        for r in rows
        for x in [0.8 + 0.01 * (-1) ** r["seed"]]
    ]
    assert set(verdicts("wgan_gp/fig5a", rows).values()) == {verdict}
