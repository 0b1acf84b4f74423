"""Entries of anomalous on images (Figs. 4 and 5, Table 1), on made-up runs and rows."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import changed, claim_of, entry_of, rows_of, told, verdicts

from gp_lab.figures.claims import Verdict
from gp_lab.figures.entry import Run, Runs
from gp_lab.figures.table import Row, Table
from gp_lab.papers.anomalous import fig4, fig5, table1
from gp_lab.runs.folder import RunFolder

SEEDS = 6


def run_of(place: Path, arrays: dict[str, dict[int, dict[str, Any]]], **cell: str) -> Run:
    """A finished run whose probes wrote these arrays at these steps."""
    folder = RunFolder(place / "run")
    probes: dict[str, Any] = {probe: {} for probe in arrays}
    folder.create({"out": str(place), "dataset": {"name": "a"}, "probe": probes}, "id")
    for probe, at in arrays.items():
        for step, found in at.items():
            folder.write_arrays(probe, step, {k: np.asarray(x) for k, x in found.items()})
    return Run(cell, 0, folder, "finished", max(arrays["classifier"]))


def scored(fids: list[float]) -> dict[int, dict[str, Any]]:
    return {10 * i: {"fid": x, "score": 2.0, "score_std": 0.1} for i, x in enumerate(fids)}


# -- Table 1 -------------------------------------------------------------------------------


def test_the_best_fid_is_the_lowest_after_the_first_step(tmp_path: Path) -> None:
    row = table1.measure(run_of(tmp_path, {"classifier": scored([1.0, 8.0, 4.0, 6.0])}))
    assert (row["best"], row["fid"], row["fid_left"]) == (4, 6, 6)


def cells(scale: float = 1.0) -> list[Row]:
    """Rows whose best FIDs are the paper's, each seed a little off."""
    rows = rows_of("anomalous/table1", SEEDS, judge="Inception", data="a")
    for row in rows:
        of = table1.PAPER[row["dataset"]][row["model"]]
        noise = 1 + 0.001 * ((row["seed"] * 7 + len(row["method"])) % SEEDS)
        row["best"] = scale * of[table1.METHODS.index(row["method"])] * noise
    return rows


def test_the_papers_own_numbers_support_every_sentence_of_table_1() -> None:
    found = verdicts("anomalous/table1", cells())
    assert len(found) == 15
    assert set(found.values()) == {Verdict.SUPPORTED}
    assert list(told("anomalous/table1", cells()).values())[-5:] == [Verdict.NEEDS_PAPER] * 5


def test_a_pcr_that_is_worse_everywhere_contradicts_all_cells_but_the_exception() -> None:
    rows = [
        row | {"best": (1.2 if row["method"] == "pcr" else 1.0) * (30 + row["seed"] / 100)}
        for row in cells()
    ]
    first, *others = verdicts("anomalous/table1", rows).values()
    assert first == Verdict.INCONCLUSIVE  # CelebA, WGAN-GP: no exception where there is no rule
    assert others[:9] == [Verdict.NOT_SUPPORTED] * 9
    assert others[9:11] == [Verdict.INCONCLUSIVE] * 2  # nowhere more remarkable than elsewhere
    assert others[11:] == [Verdict.NOT_SUPPORTED] * 3


def test_the_share_of_improved_cells_counts_each_seed_and_leaves_out_one_that_lacks_a_cell() -> (
    None
):
    _, grid = entry_of("anomalous/table1")
    rows = changed(cells(), {"dataset": "celeba", "model": "lsgan", "method": "pcr"}, best=99.0)
    rows[0] |= {"best": math.nan}
    assert table1.improved_cells(Table(rows, grid)) == pytest.approx([math.nan, *[7 / 9] * 5],
                                                                     nan_ok=True)  # fmt: skip


def test_a_boost_is_a_share_of_the_vanilla_fid() -> None:
    _, grid = entry_of("anomalous/table1")
    rows = changed(cells(), {"method": "vanilla"}, best=40.0)
    table = Table(changed(rows, {"method": "pcr"}, best=30.0), grid)
    assert table1.boost(table, "cifar10", "sagan") == pytest.approx([0.25] * SEEDS)


# -- Fig. 5 --------------------------------------------------------------------------------


def test_dif_is_a_distance_over_the_largest_there_can_be(tmp_path: Path) -> None:
    pixels = 2 * 8 * 8
    distances = np.array([0.0, 0.1, 0.3, np.nan]) * math.sqrt(pixels)
    black_to_white = math.sqrt(pixels)
    assert fig5.dif({"nearest": np.array([black_to_white])}, pixels) == pytest.approx([1])
    run = run_of(
        tmp_path,
        {
            "classifier": scored([9.0, 4.0, 2.0]),
            "samples": {20: {"real": np.zeros((5, 2, 8, 8), np.uint8)}},
            "neighbours": {
                0: {"nearest": distances + 9},
                10: {"nearest": distances[:2]},
                20: {"nearest": distances[:3]},
            },
        },
    )
    row = fig5.measure(run)
    assert row["fid_course"] == 3
    assert row["dif"] == pytest.approx(0.4 / 3)
    assert row["dif_course"] == pytest.approx((0.05 + 0.4 / 3) / 2)
    assert row["noise"] == pytest.approx(1 / 3)
    assert row["realistic"] == 0
    run.folder.append_metrics([{"step": s, "realistic": v} for s, v in ((10, 0.0), (20, 0.5))])
    run.folder.append_metrics([{"step": 30, "realistic": 1.0}])  # beyond what the entry reads
    run.folder.flush_metrics()
    assert fig5.measure(run)["realistic"] == 0.25


def corrected(**sc: float) -> list[Row]:
    """Rows of two methods that are alike, but for this of SC, each seed a little off."""
    same = {"fid": 10.0, "fid_course": 20.0, "dif_course": 0.2, "noise": 0.1, "judge": "classifier"}
    rows = rows_of("anomalous/fig5", SEEDS, **same, realistic=0.0)
    rows = changed(rows, {"method": "sc"}, **{"realistic": 0.2, **sc})
    for row in rows:
        for key in ("fid", "fid_course", "dif_course", "noise"):
            row[key] *= 1 + 0.01 * ((row["seed"] * 5 + len(row["method"])) % SEEDS)
    return rows


def test_a_correction_that_helps_supports_fig_5_and_one_that_does_not_contradicts_it() -> None:
    better = verdicts("anomalous/fig5", corrected(fid=5, fid_course=9, dif_course=0.1, noise=0.0))
    assert len(better) == 8
    assert set(better.values()) == {Verdict.SUPPORTED}
    worse = verdicts("anomalous/fig5", corrected(fid=11, fid_course=25, dif_course=0.3, noise=0.3))
    assert set(worse.values()) == {Verdict.NOT_SUPPORTED}


def test_a_tenth_is_no_large_margin() -> None:
    found = verdicts("anomalous/fig5", corrected(fid=9, fid_course=9))
    large = [v for text, v in found.items() if "large margin" in text]
    assert large == [Verdict.NOT_SUPPORTED] * 2


def test_of_a_correction_that_corrects_nothing_nothing_follows() -> None:
    rows = corrected(fid=11, fid_course=25, dif_course=0.3, noise=0.3, realistic=0.005)
    assert set(verdicts("anomalous/fig5", rows).values()) == {Verdict.INCONCLUSIVE}


# -- Fig. 4 --------------------------------------------------------------------------------


def test_what_fig_4_measures_is_the_gan_the_averages_and_held_out_images(tmp_path: Path) -> None:
    arrays = {
        "classifier": scored([50.0, 5.0]),
        "gam": {10: {"fid": 4.0, "fid_held_out": 0.5}},
    }
    row = fig4.measure(run_of(tmp_path, arrays))
    assert (row["fid"], row["gam_fid"], row["held_out_fid"]) == (5, 4, 0.5)
    bare = run_of(tmp_path / "b", {"classifier": {10: {}}, "gam": {10: {"images": [0]}}})
    assert np.isnan([fig4.measure(bare)[k] for k in ("fid", "gam_fid", "held_out_fid")]).all()


def beside(factor: float, left: float = 0.1) -> list[Row]:
    rows = rows_of("anomalous/fig4", SEEDS, judge="classifier", gam_fid=4.0, fid_left=left)
    return [row | {"fid": factor * (4 + 0.02 * row["seed"])} for row in rows]


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(1.0, Verdict.SUPPORTED), (2.0, Verdict.NOT_SUPPORTED), (0.5, Verdict.NOT_SUPPORTED)],
)
def test_fids_are_comparable_within_a_factor(factor: float, verdict: Verdict) -> None:
    (found,) = verdicts("anomalous/fig4", beside(factor)).values()
    assert found == verdict


def test_a_gan_that_has_not_learnt_is_comparable_to_nothing() -> None:
    rows = beside(1.0, left=0.5)
    ((text, found),) = verdicts("anomalous/fig4", rows).items()
    assert found == Verdict.INCONCLUSIVE
    assert "may not learn" in claim_of("anomalous/fig4", rows, text).test.quantity


@pytest.mark.parametrize("name", ["fig4", "fig5", "table1"])
def test_a_picture_without_a_finished_run_draws(name: str) -> None:
    what, grid = entry_of(f"anomalous/{name}")
    runs = Runs(grid, ())
    assert what.draw(runs, Table(what.rows(runs), grid)).axes
