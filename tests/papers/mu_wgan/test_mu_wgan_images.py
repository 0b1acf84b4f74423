"""What mu_wgan's entries on images measure and conclude, from made-up runs and rows."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import changed, claim_of, rows_of, told, verdicts

from gp_lab.figures.claims import Verdict
from gp_lab.figures.entry import Run
from gp_lab.figures.table import Row
from gp_lab.papers.mu_wgan import _images
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
    row = _images.measure(Run({"method": "one_gp"}, 0, folder, "finished", 30))
    assert (row["judge"], row["data"], row["fid"]) == ("classifier", "mnist_5k_16", 8)
    assert row["fid_left"] == pytest.approx(0.16)


def test_without_a_network_that_judges_there_are_no_scores(folder: RunFolder) -> None:
    row = _images.measure(Run({"method": "one_gp"}, 0, folder, "finished", 30))
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
