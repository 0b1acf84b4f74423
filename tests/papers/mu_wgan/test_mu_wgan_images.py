"""What mu_wgan's entries on images measure and conclude, from made-up runs and rows."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import changed, claim_of, entry_of, rows_of, told, verdicts

from gp_lab.figures.claims import Verdict
from gp_lab.figures.entry import Run
from gp_lab.figures.table import Row
from gp_lab.papers import _scores
from gp_lab.papers.mu_wgan.table2 import PAPER
from gp_lab.runs.folder import RunFolder

SEEDS = 8


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    probes = {"samples": {}, "classifier": {}}
    config = {"out": str(tmp_path), "dataset": {"name": "mnist_5k_16"}, "probe": probes}
    folder.create(config, "id")
    return folder


def alike(name: str, **more: Any) -> list[Row]:
    """Rows of runs that have all learnt, whose scores differ by chance alone."""
    rng = np.random.default_rng(0)
    rows = rows_of(name, SEEDS, judge="classifier", fid_left=0.1, **more)
    noise = rng.normal(0, 0.05, (2, len(rows)))
    return [
        row | {"fid": 10 * math.exp(a), "score": 8 + b}
        for row, a, b in zip(rows, *noise, strict=True)
    ]


def test_what_is_left_of_the_untrained_generators_fid(folder: RunFolder) -> None:
    for step, fid in ((0, 50.0), (30, 8.0)):
        found = {"fid": fid, "score": 5.0, "score_std": 0.1, "class_entropy": 2.0}
        folder.write_arrays("classifier", step, {k: np.array(x) for k, x in found.items()})
    row = _scores.measure(Run({"method": "one_gp"}, 0, folder, "finished", 30))
    assert (row["judge"], row["data"], row["fid"]) == ("classifier", "mnist_5k_16", 8)
    assert row["fid_left"] == pytest.approx(0.16)


def test_without_a_network_that_judges_there_are_no_scores(folder: RunFolder) -> None:
    row = _scores.measure(Run({"method": "one_gp"}, 0, folder, "finished", 30))
    assert all(math.isnan(row[k]) for k in ("fid", "score", "fid_left"))


def test_measures_whose_digits_score_alike_are_similar_to_wgan_gp() -> None:
    found = verdicts("mu_wgan/fig1", alike("mu_wgan/fig1"))
    assert len(found) == 10
    assert set(found.values()) == {Verdict.SUPPORTED}


def test_a_measure_with_twice_the_fid_is_not_similar_and_the_others_are() -> None:
    worse = [
        r | {"fid": 2 * r["fid"]} if r["method"] == "real" else r for r in alike("mu_wgan/fig1")
    ]
    found = verdicts("mu_wgan/fig1", worse)
    (text,) = (text for text, verdict in found.items() if verdict == Verdict.NOT_SUPPORTED)
    assert "the measure real" in text
    assert "FID" in text


def test_to_fail_alike_is_not_to_be_similar() -> None:
    rows = [r | {"fid_left": 0.9} for r in alike("mu_wgan/fig1")]
    assert set(verdicts("mu_wgan/fig1", rows).values()) == {Verdict.INCONCLUSIVE}
    text = "digits: those of the measure fake are similar to WGAN-GP's in their score (within 1)"
    assert "WGAN-GP itself" in claim_of("mu_wgan/fig1", rows, text).test.quantity


def test_dead_critics_of_a_measure_decide_nothing_about_it() -> None:
    rows = changed(alike("mu_wgan/fig1", dead=0), {"method": "anchor"}, dead=1)
    undecided = {t for t, v in told("mu_wgan/fig1", rows).items() if v == Verdict.INCONCLUSIVE}
    assert len(undecided) == 2
    assert all("the measure anchor" in text for text in undecided)


# -- Table 2 -------------------------------------------------------------------------------


def table2(**fids: float) -> list[Row]:
    """Rows whose scores differ by chance alone but for FIDs of these methods with the ResNet, and
    the best score of the midpoint."""
    rows = []
    for row in alike("mu_wgan/table2"):
        resnet, method = row["network"] == "resnet", row["method"]
        factor = fids.get(method, 1.0) if resnet else 1.0
        better = 0.5 if resnet and method == "midpoint" else 0
        rows.append(row | {"fid": factor * row["fid"], "score": row["score"] + better})
    return rows


def test_what_table_2_says_is_supported_where_it_is_so() -> None:
    found = told("mu_wgan/table2", table2(clipping=5, midpoint=0.75))
    assert list(found.values()) == [Verdict.SUPPORTED] * 5 + [Verdict.NEEDS_PAPER] * 4


def test_clipping_that_learns_and_a_midpoint_like_the_others_contradict_it() -> None:
    clipping, score, fid, dcgan, resnet, *_ = told("mu_wgan/table2", table2(midpoint=1.3)).values()
    assert (clipping, fid) == (Verdict.NOT_SUPPORTED, Verdict.NOT_SUPPORTED)
    assert (score, dcgan, resnet) == (Verdict.SUPPORTED,) * 3


def test_clipping_that_fails_with_the_dcgan_too_says_nothing_of_the_resnet() -> None:
    rows = changed(table2(clipping=5), {"network": "dcgan", "method": "clipping"}, fid=500.0)
    clipping, *_ = told("mu_wgan/table2", rows).values()
    assert clipping == Verdict.INCONCLUSIVE


def test_a_measure_of_which_nothing_is_known_does_not_hide_one_that_is_not_similar() -> None:
    rows = table2(real=2.5)
    for row in rows:
        if row["method"] == "anchor":
            row["fid"] *= 9.0 ** (row["seed"] % 2)
    *_, dcgan, resnet = list(told("mu_wgan/table2", rows).values())[:5]
    assert (dcgan, resnet) == (Verdict.INCONCLUSIVE, Verdict.NOT_SUPPORTED)


def test_one_measure_that_is_not_similar_is_enough() -> None:
    *_, dcgan, resnet = list(told("mu_wgan/table2", table2(anchor=2)).values())[:5]
    assert (dcgan, resnet) == (Verdict.SUPPORTED, Verdict.NOT_SUPPORTED)


def test_the_papers_numbers_are_met_if_each_of_a_column_is() -> None:
    _, grid = entry_of("mu_wgan/table2")
    rows = [
        {**p.cell, "seed": s, "state": "finished", "judge": "Inception", "fid_left": 0.1}
        | dict(zip(("score", "fid"), PAPER[p.cell["network"]].get(p.cell["method"], (1, 99)),
                   strict=True))
        for p in grid.panels for s in range(SEEDS)
    ]  # fmt: skip
    for row in rows:
        row["score"] += 0.01 * (-1) ** row["seed"]
    numbers = [v for text, v in verdicts("mu_wgan/table2", rows).items() if "paper's" in text]
    assert numbers == [Verdict.SUPPORTED] * 4
    off = [r | {"score": r["score"] + 1} if r["method"] == "fake" else r for r in rows]
    numbers = [v for text, v in verdicts("mu_wgan/table2", off).items() if "score" in text]
    assert numbers[1:] == [Verdict.NOT_SUPPORTED] * 2
